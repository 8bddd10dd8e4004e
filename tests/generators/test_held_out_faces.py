"""Test and validation faces never reach a generator, nor what it draws: neither they, nor their groups, nor twins."""

import numpy as np
import pytest
import torch

from fer_data import conditions, links, merging, tables
from fer_data.balance import Cell, Plan
from fer_data.errors import FerError
from fer_data.expressions import BASIC7
from fer_data.images import pixel_sha256
from generators.sampling import GenerateConfig, generate
from generators.training import train_generator
from generators.training_faces import TrainingFaces, load_faces, select_faces

POISON = 250  # training faces are far darker
HOSTILE = [  # split, brightness below POISON (equal is the same picture), group
    ("test", 1, 900),
    ("train", 1, 901),  # a test picture's twin
    ("val", 2, 902),
    ("train", 3, 902),  # shares its group with validation
    ("train", 4, 900),  # shares its group with test
    ("val", 5, 903),
    ("train", 5, 904),  # a validation picture's twin
]


@pytest.fixture(scope="module")
def poisoned(make_manifest):
    """Faces of every label, and poisoned ones of fear wherever they must not be learnt from."""
    plain = [{"label": label, "split": split} for label in BASIC7 for split in ("train",) * 5 + ("val", "test")]
    hostile = [
        {"label": "fear", "split": split, "image": np.full((16, 16), POISON - less, np.uint8), "group": group}
        for split, less, group in HOSTILE
    ]
    return make_manifest("poisoned", plain + hostile)


def innocent(manifest) -> set[str]:
    """Ids of the training rows that may be learnt from."""
    frame = manifest.frame
    dark = manifest.pictures(16, 1).mean(axis=(1, 2, 3)) < 240
    return set(frame["sample_id"][(frame["split"] == "train").to_numpy() & dark])


def pictures_seen(pictures: torch.Tensor) -> set[str]:
    return {pixel_sha256(picture) for side in (pictures, pictures.flip(3)) for picture in side[:, 0].numpy()}


@pytest.fixture(scope="module")
def trained(poisoned, root, make_config):
    """A diffusion model, and every picture that was in a batch while it was trained."""
    batches = []
    take = TrainingFaces.batch

    def watched(self, step, config, *more):
        pictures, conditions = take(self, step, config, *more)
        batches.append(pictures.clone())
        return pictures, conditions

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingFaces, "batch", watched)
        config = make_config("diffusion", derived_faces=30, steps=12)
        checkpoint = train_generator("diffusion", poisoned, config, root / "runs" / "poisoned")
    return checkpoint, torch.cat(batches)


def test_no_batch_shows_a_held_out_face(poisoned, trained):
    _, drawn = trained
    assert len(drawn) == 12 * 8
    flat = drawn.float().std(dim=(1, 2, 3)) < 1  # poisoned pictures are flat, mirrored or not
    assert not flat.any()
    held_out = (poisoned.frame["split"] != "train").to_numpy()
    forbidden = {pixel_sha256(picture[0]) for picture in poisoned.pictures(16, 1, held_out)}
    assert not forbidden & pictures_seen(drawn)


def test_no_copy_that_is_occluded_or_relit_comes_from_a_held_out_face(poisoned, make_config, monkeypatch):
    changed = []
    for name in ("occlude", "relight"):
        original = getattr(conditions, name)
        monkeypatch.setattr(
            conditions,
            name,
            lambda image, *given, original=original, **more: changed.append(image) or original(image, *given, **more),
        )
    load_faces(select_faces(poisoned, 1), make_config("dcgan", derived_faces=60))
    assert len(changed) >= 60
    held_out = (poisoned.frame["split"] != "train").to_numpy()
    forbidden = {pixel_sha256(picture[0]) for picture in poisoned.pictures(16, 1, held_out)}
    assert not forbidden & {pixel_sha256(image) for image in changed}


def test_the_table_of_seen_rows_names_no_held_out_face_group_or_twin(poisoned, trained):
    checkpoint, _ = trained
    seen, _ = tables.read_table(checkpoint / "seen.parquet", kind="seen")
    assert set(seen["sample_id"].to_pylist()) == innocent(poisoned)
    held_out = poisoned.frame["split"] != "train"
    assert not set(seen["group_id"].to_pylist()) & set(poisoned.frame["group_id"][held_out])
    twins = links.twins_across(poisoned, "train", links.HELD_OUT_SPLITS)
    assert twins.sum() == 2
    assert not set(seen["sample_id"].to_pylist()) & set(poisoned.frame["sample_id"][twins])


def test_no_face_is_re_expressed_from_a_held_out_face_group_or_twin(poisoned, trained, root):
    checkpoint, _ = trained
    plan = Plan("basic7", (Cell("disgust", None, None, 0, 80, 80),))
    config = GenerateConfig(source="faces", parents_of=("fear",), processes=1, sampling={"steps": 1})
    made = generate(plan, [checkpoint], root / "manifests" / "from-fear", config, training=poisoned)
    parents = {parents[0] for parents in made.facts(["parents"])["parents"]}
    fear = set(poisoned.frame["sample_id"][poisoned.frame["label"] == "fear"])
    assert parents == innocent(poisoned) & fear
    held_out = poisoned.frame["split"] != "train"
    assert not set(made.frame["group_id"]) & set(poisoned.frame["group_id"][held_out])
    merged = merging.merge([poisoned, made], root / "manifests" / "poisoned-merged", replace=True)
    synthetic = (merged.frame["origin"] == "synthetic").to_numpy()
    assert not links.crossing_groups(merged)[synthetic].any()


def test_a_manifest_that_tests_with_what_a_generator_saw_refuses_its_faces(poisoned, trained, root, make_manifest):
    checkpoint, _ = trained
    plan = Plan("basic7", (Cell("disgust", None, None, 0, 2, 2),))
    made = generate(plan, [checkpoint], root / "manifests" / "two", GenerateConfig(processes=1))
    seen, _ = tables.read_table(checkpoint / "seen.parquet", kind="seen")
    group = seen["group_id"].to_pylist()[0]
    testing = make_manifest("testing", [{"label": "fear", "split": "test", "group": group}])
    with pytest.raises(FerError, match="saw no group of val or test, found 1 rows"):
        merging.merge([testing, made], root / "manifests" / "leaking", replace=True)
