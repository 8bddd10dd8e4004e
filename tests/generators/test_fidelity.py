import json

import numpy as np
import pytest
from typer.testing import CliRunner

from fer_cli import app
from fer_data import links
from fer_data.configuration import resolve
from fer_data.errors import FerError
from fer_data.expressions import BASIC7
from generators.fidelity import (
    FidelityConfig,
    describe_fidelity,
    fidelity_path,
    measure_fidelity,
    read_fidelity,
    read_reference,
    write_fidelity,
)
from generators.fidelity.faces import in_mix, mix_of

CONFIG = FidelityConfig(size_px=16, fewest=10, subsets=5, faces=100)
LABELS = ("anger", "disgust", "fear")
PLAIN = {"occlusion": "none", "light": "normal"}


class SeesConditions:
    """Takes a face for masked where its lowest row is white, and for dark where its first column is black."""

    occlusions = ("none", "mask")
    lights = ("normal", "low")

    def __init__(self, learnt_from=()):
        self.learnt_from = learnt_from

    def probabilities(self, images):
        masked = (images[:, 0, -1].mean(axis=1) > 200).astype(int)
        dark = (images[:, 0, :, 0].mean(axis=1) < 10).astype(int)
        return {"occlusion": np.eye(2, dtype=np.float32)[masked], "light": np.eye(2, dtype=np.float32)[dark]}


def picture(label, seed, size=24):
    """A made-up face as the judge of conftest reads it, on a face-like smooth ground."""
    random = np.random.default_rng(seed)
    ground = np.kron(random.integers(40, 150, size=(size // 4, size // 4)), np.ones((4, 4)))
    place = round((2 * BASIC7.index(label) + 1) * size / 16)
    ground[place : place + size // 8] = random.integers(215, 256, size=(size // 8, size))
    return ground.astype(np.uint8)


def as_rows(labels, split, seed, facts=PLAIN, channels=1):
    faces = [{"label": label, "split": split, "facts": facts} for label in labels]
    for index, face in enumerate(faces):
        grey = picture(face["label"], 1000 * seed + index)
        face["image"] = grey if channels == 1 else np.repeat(grey[:, :, None], 3, axis=2)
    return faces


@pytest.fixture(scope="module")
def real(make_manifest):
    faces = as_rows(LABELS * 40, "train", 1) + as_rows(LABELS * 30, "val", 2) + as_rows(LABELS * 24, "test", 3)
    return make_manifest("fidelity-real", faces, size=24)


@pytest.fixture(scope="module")
def synthetic(make_manifest):
    return make_manifest("fidelity-drawn", as_rows(LABELS * 20, "train", 4), size=24)


@pytest.fixture(scope="module")
def measured(synthetic, real, judge):
    return measure_fidelity(synthetic, real, judge, CONFIG)


def group(measured, label=None, level=None, part="groups"):
    level = level or ("label" if label else "all")
    return next(entry for entry in measured[part] if (entry["level"], entry["label"]) == (level, label))


def test_faces_like_the_real_ones_measure_like_them(measured):
    assert [(entry["level"], entry["label"]) for entry in measured["groups"][:4]] == [
        ("all", None),
        *(("label", label) for label in LABELS),
    ]
    found = group(measured)
    assert (found["count"], found["real_count"], found["held_out_count"]) == (60, 120, 90)
    assert found["agreement"]["value"] == found["agreement"]["real"]["value"] == 1
    assert found["agreement"]["chance"] == pytest.approx(1 / 3)
    features = found["features"]["judge"]
    assert features["frechet_infinity"]["low"] < 0 < features["frechet_infinity"]["high"]
    assert features["coverage"]["value"] == pytest.approx(features["coverage"]["expected"], abs=0.15)
    assert features["coverage"]["count"] == 60
    assert features["subset_kid"]["count"] == 20
    assert set(found["memorisation"]) == {"pixels", "gradients", "judge"}
    assert found["memorisation"]["pixels"]["nearer_training"]["value"] == pytest.approx(0.5, abs=0.2)
    assert [found["copies"][name]["value"] for name in ("near_duplicates", "exact")] == [0, 0]


def test_faces_of_rare_labels_are_held_against_real_ones_of_these_labels(make_manifest, real, judge):
    rare = make_manifest("fidelity-rare", as_rows(["disgust"] * 24, "train", 12), size=24)
    found = measure_fidelity(rare, real, judge, CONFIG)
    whole, disgust = group(found), group(found, "disgust")
    assert (whole["real_count"], whole["held_out_count"]) == (40, 30)
    assert whole["features"] == disgust["features"]
    assert whole["agreement"] == disgust["agreement"]
    assert whole["copies"]["flagged"]["real"]["count"] > disgust["copies"]["flagged"]["real"]["count"]
    mixed = make_manifest("fidelity-mixed", as_rows(["disgust"] * 20 + ["fear"] * 10, "train", 13), size=24)
    counts = group(measure_fidelity(mixed, real, judge, CONFIG))
    assert (counts["real_count"], counts["held_out_count"]) == (60, 45)


def test_real_faces_in_a_mix_of_labels():
    labels = np.asarray(["a"] * 6 + ["b"] * 9 + [None, "c"], dtype=object)
    mix = mix_of(np.asarray(["b", "a", "b", None, "b", "a", "b"], dtype=object))
    assert mix == (("a", 1), ("b", 2))
    rows = in_mix(np.arange(17), labels, mix, 0)
    assert labels[rows].tolist() == ["a"] * 4 + ["b"] * 9 and len(set(rows)) == 13
    assert np.array_equal(in_mix(np.arange(17), labels, (("a", 1),), 0), np.arange(6))
    assert not len(in_mix(np.arange(17), labels, (("a", 1), ("d", 1)), 0))
    assert mix_of(np.asarray([None], dtype=object)) == () and not len(in_mix(np.arange(17), labels, (), 0))


def test_figures_that_depend_on_numbers_rest_on_as_many_real_faces(make_manifest, real, judge):
    """30 held-out faces of a label: no fewer, no more of 40 synthetic ones make their Fréchet distance."""
    many = make_manifest("fidelity-more", as_rows(LABELS * 40, "train", 14), size=24)
    features = group(measure_fidelity(many, real, judge, CONFIG), "fear")["features"]["judge"]
    for name in ("frechet", "frechet_infinity"):
        assert features[name]["count"] == features[name]["real"]["count"] == 30
    assert features["coverage"]["count"] == features["precision"]["count"] == 40
    assert features["precision"]["real"]["count"] == 30
    assert features["coverage"]["real"] is features["recall"]["real"] is None
    fewer = make_manifest("fidelity-fewer", as_rows(LABELS * 12, "train", 15), size=24)
    found = group(measure_fidelity(fewer, real, judge, CONFIG), "fear")["features"]["judge"]
    for name in ("frechet", "recall", "coverage"):
        assert found[name]["count"] == found[name]["real"]["count"] == 12
    assert found["frechet"]["real"]["value"] > 1.5 * features["frechet"]["real"]["value"]  # the bias of few faces


def test_what_was_derived_from_real_faces_is_no_real_face(make_manifest, synthetic, real, judge):
    faces = as_rows(LABELS * 40, "train", 1) + as_rows(LABELS * 30, "val", 2)
    origin = np.asarray(["real"] * len(faces), dtype=object)
    origin[:12] = origin[-9:] = "derived"
    derived = make_manifest("fidelity-derived", faces, size=24, origin=origin)
    found = measure_fidelity(synthetic, derived, judge, CONFIG)
    assert (found["real"]["training"], found["real"]["held_out"]) == (108, 81)


def test_pictures_are_compared_at_the_smaller_of_their_sizes(make_manifest, synthetic, real, judge):
    small = make_manifest("fidelity-small", [{"label": label, "split": "train"} for label in LABELS * 12])
    unset = CONFIG.model_copy(update={"size_px": None})
    for drawn, size_px in ((synthetic, 24), (small, 16)):
        found = measure_fidelity(drawn, real, judge, unset)
        assert found["size_px"] == size_px and found["configuration"]["size_px"] is None
        assert f"pictures were compared at {size_px} px" in describe_fidelity(found)
        reference = read_reference(real, judge, unset, drawn=drawn)
        assert reference.held_out.pictures.shape[2:] == (size_px, size_px)
        assert measure_fidelity(drawn, real, judge, unset, reference=reference)["groups"] == found["groups"]
    with pytest.raises(FerError, match="expected a reference to real faces at 16 px, .* found one at 24 px"):
        measure_fidelity(small, real, judge, unset, reference=read_reference(real, judge, unset))
    assert FidelityConfig().size_px is None


def test_faces_that_the_judge_of_conditions_learnt_from_are_no_measure_of_it(make_manifest, synthetic, real, judge):
    """It learnt half of the validation faces by heart; of the others it is always wrong."""
    names = real.frame["sample_id"][real.frame["split"] == "val"].tolist()
    by_heart = names[:45]

    class Crammer(SeesConditions):
        def __init__(self):
            super().__init__(by_heart)
            own = real.frame["sample_id"].isin(by_heart).to_numpy()
            self.known = {picture.tobytes() for picture in real.pictures(16, 1, own)}

        def probabilities(self, images):
            right = np.asarray([picture.tobytes() in self.known for picture in images], dtype=int)
            return {
                "occlusion": np.eye(2, dtype=np.float32)[1 - right],
                "light": np.eye(2, dtype=np.float32)[1 - right],
            }

    found = measure_fidelity(synthetic, real, judge, CONFIG, condition_judge=Crammer())
    for name in ("occlusion_agreement", "light_agreement"):
        assert (group(found)[name]["real"]["value"], group(found)[name]["real"]["count"]) == (0, 45)
    assert group(found)["agreement"]["real"]["count"] == 90
    assert found["condition_judge"] == {"left_out": 45}
    assert any("45 real validation faces, from which their judge learnt" in line for line in describe_fidelity(found))
    masked = as_rows(LABELS * 8, "train", 16, {"occlusion": "mask", "light": "normal"})
    found = measure_fidelity(
        make_manifest("fidelity-masked", masked, size=24), real, judge, CONFIG, condition_judge=Crammer()
    )
    altered = next(entry for entry in found["groups"] if entry["level"] == "condition")
    assert altered["occlusion_agreement"]["real"]["count"] == 45 and altered["agreement"]["real"]["count"] == 90
    assert measure_fidelity(synthetic, real, judge, CONFIG)["condition_judge"] is None


def test_faces_of_a_person_that_the_judge_of_conditions_knows_do_not_count(make_manifest, synthetic, judge):
    faces = as_rows(LABELS * 12, "train", 1) + as_rows(LABELS * 12, "val", 2)
    for face in faces[36:41]:
        face["group"] = 36
    real = make_manifest("fidelity-people", faces, size=24)
    one = real.frame["sample_id"].iloc[36]
    found = measure_fidelity(synthetic, real, judge, CONFIG, condition_judge=SeesConditions([one]))
    assert found["condition_judge"] == {"left_out": 5}


def test_what_is_wrong_with_faces_shows(make_manifest, real, judge, measured):
    """Of each kind of fault a manifest: another label, copies of training faces, one face again and again."""
    wrong = as_rows(["anger"] * 20, "train", 5)
    for index, face in enumerate(wrong):
        face["image"] = picture("happiness", index)
    copied = as_rows(["disgust"] * 20, "train", 6)
    own = np.flatnonzero((real.frame["split"] == "train") & (real.frame["label"] == "disgust"))
    training = real.pictures(24, 1)[own, 0]
    for index, face in enumerate(copied):
        face["image"] = np.ascontiguousarray(training[index, :, :: -1 if index % 2 else 1])
    repeated = as_rows(["fear"] * 20, "train", 7)
    for index, face in enumerate(repeated):
        face["image"] = picture("fear", 99)
        face["image"][0, :12] = index
    faulty = make_manifest("fidelity-faulty", wrong + copied + repeated, size=24)
    found = measure_fidelity(faulty, real, judge, CONFIG)
    assert group(found, "anger")["agreement"]["high"] < 0.2
    kids = [group(each, "anger")["features"]["judge"]["kid"] for each in (found, measured)]
    assert kids[0]["low"] > kids[1]["high"]
    disgust = group(found, "disgust")
    assert disgust["copies"]["flagged"]["value"] >= 0.9
    assert disgust["copies"]["exact"]["value"] == 1
    assert disgust["memorisation"]["pixels"]["nearer_training"]["value"] > 0.95
    assert disgust["memorisation"]["pixels"]["unusually_near"]["value"] == 1
    assert disgust["memorisation"]["pixels"]["authenticity"]["value"] == 0
    fear, fair = (group(each, "fear")["features"]["judge"] for each in (found, measured))
    assert fear["coverage"]["high"] < fair["coverage"]["low"]
    assert fear["distance"]["high"] < fair["distance"]["low"]
    assert fear["vendi"]["high"] < fair["vendi"]["low"]


def test_small_groups_say_why_there_is_no_figure(make_manifest, real, judge):
    few = make_manifest("fidelity-few", as_rows(["anger"] * 14 + ["disgust"] * 3, "train", 8), size=24)
    found = measure_fidelity(few, real, judge, CONFIG)
    disgust = group(found, "disgust")
    assert disgust["agreement"]["count"] == 3
    kid = disgust["features"]["judge"]["kid"]
    assert kid["value"] is None
    assert kid["reason"] == "3 faces and 40 real training faces, fewer than 10 on a side"
    assert disgust["memorisation"]["pixels"]["authenticity"]["reason"] == "3 faces, fewer than 10"
    assert not [entry for entry in found["groups"] if entry["label"] == "fear"]
    json.dumps(found, allow_nan=False)
    assert "–" in "\n".join(describe_fidelity(found))


def test_conditions_and_cells(make_manifest, real, judge):
    dark = as_rows(LABELS * 8, "train", 9, {"occlusion": "mask", "light": "low"})
    for index, face in enumerate(dark):
        face["image"][-3:] = 255
        face["image"][:, :3] = 0 if index % 4 else 60
    plain = as_rows(LABELS * 8, "train", 10)
    unknown = as_rows(["anger"] * 4, "train", 11, {"occlusion": None, "light": None})
    mixed = make_manifest("fidelity-conditions", dark + plain + unknown, size=24)
    found = measure_fidelity(mixed, real, judge, CONFIG, condition_judge=SeesConditions())
    assert group(found)["occlusion_agreement"]["value"] == 1
    assert group(found)["occlusion_agreement"]["count"] == 48
    assert group(found)["light_agreement"]["value"] == pytest.approx(42 / 48)
    assert group(found)["occlusion_agreement"]["real"]["value"] == 1
    conditions = [entry for entry in found["groups"] if entry["level"] == "condition"]
    assert [(entry["occlusion"], entry["light"]) for entry in conditions] == [("mask", "low"), ("none", "normal")]
    masked, unmasked = conditions
    assert masked["features"]["judge"]["kid"]["reason"].startswith("24 faces and 0 real")
    assert masked["agreement"]["real"]["altered"] is True
    assert masked["agreement"]["real"]["count"] == 90
    assert "altered" not in unmasked["agreement"]["real"]
    assert unmasked["features"]["judge"]["kid"]["value"] is not None
    assert masked["memorisation"] == {}
    cells = [entry for entry in found["groups"] if entry["level"] == "cell"]
    assert len(cells) == 6
    assert cells[0]["features"] == cells[0]["memorisation"] == {}
    assert cells[0]["agreement"]["count"] == 8
    assert cells[0]["agreement"]["real"]["count"] == 30
    bare = measure_fidelity(mixed, real, judge, FidelityConfig(**{**CONFIG.model_dump(), "per_condition": False}))
    assert {entry["level"] for entry in bare["groups"]} == {"all", "label"}
    assert bare["groups"][0]["light_agreement"]["reason"] == "no condition judge was given"


def test_kept_faces_are_compared_at_equal_counts(synthetic, real, judge, make_manifest, measured):
    rows = synthetic.frame.iloc[:45]
    from fer_data import manifest as manifests

    kept = manifests.write(
        rows.reset_index(drop=True),
        synthetic.root / "manifests/fidelity-kept",
        label_set="basic7",
        command="test",
        licence=synthetic.metadata["licence"],
        replace=True,
    )
    found = measure_fidelity(synthetic, real, judge, CONFIG, kept=kept)
    assert group(measured, part="groups")["features"]["judge"]["coverage"]["count"] == 60
    assert measured["kept"] is None
    for part, count in (("groups", 60), ("kept", 45)):
        entry = group(found, part=part)
        assert entry["count"] == count
        assert entry["features"]["judge"]["coverage"]["count"] == 45
        assert entry["features"]["judge"]["coverage"]["expected"] == pytest.approx(0.97, abs=0.02)
    lines = describe_fidelity(found)
    assert lines[0].startswith("drawn faces")
    assert any(line.startswith("kept faces") for line in lines)
    with pytest.raises(FerError, match="expected faces of fidelity-kept.parquet, found"):
        measure_fidelity(kept, real, judge, CONFIG, kept=synthetic)


def test_a_reference_saves_work_and_changes_nothing(synthetic, real, judge, measured):
    reference = read_reference(real, judge, CONFIG)
    for _ in range(2):
        again = measure_fidelity(synthetic, real, judge, CONFIG, reference=reference)
        assert again["groups"] == measured["groups"]
    with pytest.raises(FerError, match="expected a reference to these real faces"):
        measure_fidelity(synthetic, real, judge, FidelityConfig(size_px=16), reference=reference)
    with pytest.raises(FerError, match="in the same feature spaces"):
        measure_fidelity(synthetic, real, judge, CONFIG, reference=reference, embeddings={"coarse": judge.features})
    with pytest.raises(FerError, match="by this judge"):
        measure_fidelity(synthetic, real, type(judge)(), CONFIG, reference=reference)


def test_further_feature_spaces(synthetic, real, judge):
    coarse = {"coarse": lambda images: images[:, 0, ::6, ::6].reshape(len(images), -1).astype(np.float32)}
    found = measure_fidelity(synthetic, real, judge, CONFIG, embeddings=coarse)
    assert found["features"] == {"judge": {"width": 43}, "gradients": {"width": 128}, "coarse": {"width": 9}}
    assert set(group(found)["features"]) == {"judge", "gradients", "coarse"}
    assert set(group(found)["memorisation"]) == {"pixels", "gradients", "judge", "coarse"}


def test_colour_faces_and_another_held_out_split(make_manifest, judge):
    real = make_manifest(
        "fidelity-colour",
        as_rows(LABELS * 12, "train", 1, channels=3) + as_rows(LABELS * 11, "test", 3, channels=3),
        size=24,
    )
    drawn = make_manifest("fidelity-colour-drawn", as_rows(LABELS * 11, "train", 4, channels=3), size=24)
    found = measure_fidelity(drawn, real, judge, FidelityConfig(**{**CONFIG.model_dump(), "held_out": "test"}))
    assert group(found)["agreement"]["value"] == 1
    assert found["real"]["held_out"] == 33
    with pytest.raises(FerError, match="expected real labelled faces in val to compare with, found 0"):
        measure_fidelity(drawn, real, judge, CONFIG)


def test_held_out_faces_that_training_shows_too_are_no_measure_of_chance(make_manifest, synthetic, judge):
    faces = as_rows(LABELS * 14, "train", 1) + as_rows(LABELS * 14, "val", 2)
    for index in range(10):
        leaked = faces[42 + index]
        leaked["image"] = np.clip(faces[index]["image"].astype(int) + 3, 0, 255).astype(np.uint8)
    real = make_manifest("fidelity-leaks", faces, size=24)
    found = measure_fidelity(synthetic, real, judge, CONFIG)
    assert found["copy_detector"]["left_out"] == 10
    assert group(found)["copies"]["near_duplicates"]["real"]["value"] == 0
    same = make_manifest("fidelity-same", as_rows(LABELS * 5, "train", 1) + as_rows(LABELS * 5, "val", 1), size=24)
    assert links.twins_across(same, "val", ("train",)).sum() == 15
    with pytest.raises(FerError, match="expected real labelled faces in val to compare with, found 0"):
        measure_fidelity(synthetic, same, judge, CONFIG)
    near = as_rows(LABELS * 5, "train", 1) + as_rows(LABELS * 5, "val", 1)
    for face in near[15:]:
        face["image"][0, 0] ^= 1
    with pytest.raises(FerError, match="no near duplicates of training faces, found 0 such faces"):
        measure_fidelity(synthetic, make_manifest("fidelity-near", near, size=24), judge, CONFIG)


def test_what_cannot_be_measured_is_refused(make_manifest, synthetic, real, judge):
    with pytest.raises(FerError, match="expected synthetic faces to measure, found no rows"):
        measure_fidelity(make_manifest("fidelity-none", [], size=24), real, judge, CONFIG)
    nameless = make_manifest("fidelity-nameless", [{"label": None, "split": "train"}], size=24)
    with pytest.raises(FerError, match="expected a label for every synthetic face, found 1 faces without one"):
        measure_fidelity(nameless, real, judge, CONFIG)

    class Narrow(type(judge)):
        labels = ("anger", "joy")

    with pytest.raises(FerError, match="expected faces labelled anger, joy, found label 'disgust'"):
        measure_fidelity(synthetic, real, Narrow(), CONFIG)
    other = type(real)(real.path, real.rows, {**real.metadata, "label_set": "basic8"})
    with pytest.raises(FerError, match="expected the label set basic7 of the synthetic faces, found basic8"):
        measure_fidelity(synthetic, other, judge, CONFIG)
    with pytest.raises(FerError, match="k must be less than fewest"):
        resolve(FidelityConfig, None, ["k=12", "fewest=12"])


def test_figures_are_written_once_and_read_back(measured, tmp_path):
    path = fidelity_path(tmp_path / "synthetic")
    assert path.name == "synthetic.fidelity.json"
    write_fidelity(path, measured)
    assert read_fidelity(path) == json.loads(json.dumps(measured))
    with pytest.raises(FerError, match="replace"):
        write_fidelity(path, measured)
    write_fidelity(path, measured, replace=True)
    path.write_text("{}")
    with pytest.raises(FerError, match="expected figures of kind 'fidelity'"):
        read_fidelity(path)


class Judges:
    def __init__(self, measuring):
        self.measuring = measuring
        self.conditions = SeesConditions()


def test_the_verb_prints_a_table_and_writes_the_figures(synthetic, real, judge, monkeypatch):
    import experiments.judges

    monkeypatch.setattr(experiments.judges, "load_judges", lambda folder: Judges(judge))
    path = fidelity_path(synthetic.path)
    path.unlink(missing_ok=True)
    settings = [word for key in ("size_px=16", "fewest=10", "subsets=5") for word in ("--set", key)]
    asked = ["fidelity", str(synthetic.path), "--training", str(real.path), "--judges", "judges", *settings]
    planned = CliRunner().invoke(app, [*asked, "--dry-run"])
    assert "nothing was done" in planned.output
    assert not path.exists()
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    assert "the judge agrees" in done.output
    assert "1.00 [0.94, 1.00] | 1.00" in done.output
    assert "fer merge" in done.output
    assert read_fidelity(path)["groups"][0]["count"] == 60
    again = CliRunner().invoke(app, asked)
    assert isinstance(again.exception, FerError)
    machine = CliRunner().invoke(app, [*asked, "--replace", "--json"])
    assert json.loads(machine.stdout)["outputs"] == [str(path)]
