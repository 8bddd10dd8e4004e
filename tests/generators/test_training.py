import numpy as np
import pytest
import torch

from fer_data import tables
from fer_data.errors import FerError
from fer_data.expressions import BASIC7
from fer_data.files import sha256_file
from fer_data.images import pixel_sha256
from generators import training as training_module
from generators.models import describe_checkpoint
from generators.training import train_generator
from generators.training_faces import load_faces, select_faces
from generators.weights import read_tensors


def weights_of(checkpoint):
    return {path.name: sha256_file(path) for path in sorted(checkpoint.rglob("*.safetensors"))}


def test_a_checkpoint_tells_what_it_is_and_what_it_saw(checkpoint, kind, training):
    description = describe_checkpoint(checkpoint)
    assert description["kind"] == kind
    assert (description["size_px"], description["channels"], description["label_set"]) == (16, 1, "basic7")
    assert description["manifest_sha256"] == training.sha256
    assert description["licence"]["name"] == "Apache-2.0"
    assert description["faces"] == dict.fromkeys(BASIC7, 6)
    assert "mask" in description["vocabulary"]["occlusion"]
    table, metadata = tables.read_table(checkpoint / "seen.parquet", kind="seen")
    train = training.frame[training.frame["split"] == "train"]
    assert table["sample_id"].to_pylist() == train["sample_id"].tolist()
    assert table["group_id"].to_pylist() == train["group_id"].tolist()
    assert metadata["manifest_sha256"] == training.sha256
    assert (checkpoint.parent / "sheet.png").is_file()


def test_a_second_call_returns_at_once(checkpoint, kind, training, make_config, monkeypatch):
    monkeypatch.setattr(training_module, "load_faces", lambda *_: pytest.fail("trained again"))
    assert train_generator(kind, training, make_config(kind), checkpoint.parent) == checkpoint


def test_a_killed_run_goes_on_to_the_same_last_bit(checkpoint, kind, training, make_config, tmp_path, monkeypatch):
    """Killed at step 5 where the state of step 4 is the last that was kept."""
    step = training_module._Run._step

    def killed(run):
        if run.steps == 5:
            raise KeyboardInterrupt
        return step(run)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training_module._Run, "_step", killed)
        train_generator(kind, training, make_config(kind), tmp_path)
    assert not (tmp_path / "checkpoint").exists()
    assert read_tensors(tmp_path / "state.safetensors")[1]["steps"] == 4
    resumed = train_generator(kind, training, make_config(kind), tmp_path)
    assert weights_of(resumed) == weights_of(checkpoint)
    assert (resumed / "generator.json").read_bytes() == (checkpoint / "generator.json").read_bytes()
    assert (tmp_path / "history.json").read_bytes() == (checkpoint.parent / "history.json").read_bytes()
    assert (tmp_path / "sheet.png").read_bytes() == (checkpoint.parent / "sheet.png").read_bytes()


def test_another_configuration_or_data_in_the_same_folder_is_refused(
    checkpoint, kind, training, make_config, make_manifest
):
    with pytest.raises(FerError, match=r"holds another run: seed = 0 \(now 3\)"):
        train_generator(kind, training, make_config(kind, seed=3), checkpoint.parent)
    others = [{"label": label, "split": "train"} for label in BASIC7 for _ in range(4)]
    with pytest.raises(FerError, match=f"{kind} on other training faces"):
        train_generator(kind, make_manifest("others", others), make_config(kind), checkpoint.parent)


def test_a_budget_in_minutes_ends(kind, training, make_config, tmp_path):
    done = train_generator(kind, training, make_config(kind, steps=None, minutes=0.001), tmp_path)
    assert describe_checkpoint(done)["steps"] >= 1


def test_a_diverging_loss_is_told(kind, training, make_config, tmp_path):
    with pytest.raises(FerError, match="training diverged at step .*lower learning_rate"):
        train_generator(kind, training, make_config(kind, learning_rate=1e30, steps=40), tmp_path)
    assert not (tmp_path / "checkpoint").exists()


def test_a_damaged_state_is_told(kind, training, make_config, tmp_path):
    (tmp_path / "state.safetensors").write_bytes(b"half a file")
    with pytest.raises(FerError, match=r"state\.safetensors: expected tensors"):
        train_generator(kind, training, make_config(kind), tmp_path)


def test_a_class_with_too_few_training_faces_is_named(training):
    with pytest.raises(FerError, match="expected at least 7 training faces of anger, found 6"):
        select_faces(training, 7)


def test_an_unknown_fact_is_refused(make_manifest):
    faces = [{"label": label, "split": "train"} for label in BASIC7]
    faces[0]["facts"] = {"occlusion": "beard"}
    with pytest.raises(FerError, match="occlusion 'beard' is unknown"):
        select_faces(make_manifest("bearded", faces), 1)


def test_test_and_validation_faces_never_reach_a_generator(make_manifest, make_config):
    """Marked faces lie in test, in val, as a test picture's copy in train, and in a group that reaches into test."""
    plain = [{"label": label, "split": "train"} for label in BASIC7 for _ in range(4)]
    marked = np.full((16, 16), 250, np.uint8)
    hostile = [
        {"label": "fear", "split": "test", "image": marked - 1, "group": 900},
        {"label": "fear", "split": "train", "image": marked - 1, "group": 901},
        {"label": "fear", "split": "val", "image": marked - 2, "group": 902},
        {"label": "fear", "split": "train", "image": marked - 3, "group": 902},
        {"label": "fear", "split": "train", "image": marked - 4, "group": 900},
        {"label": None, "split": "train", "image": marked - 5, "group": 905},
    ]
    manifest = make_manifest("hostile", plain + hostile)
    config = make_config("dcgan", derived_faces=0)
    selection = select_faces(manifest, 1)
    assert selection.left_out["group or picture is also in val or test"] == 3
    assert selection.left_out["without label"] == 1
    faces = load_faces(selection, config)
    assert len(faces.pictures) == len(plain)
    assert faces.pictures.float().mean(dim=(1, 2, 3)).max() < 240
    held_out = ~(manifest.frame["split"] == "train").to_numpy()
    forbidden = {pixel_sha256(picture[0]) for picture in manifest.pictures(16, 1, held_out)}
    drawn = torch.cat([faces.batch(step, config)[0] for step in range(40)])
    assert not forbidden & {pixel_sha256(picture[0].numpy()) for picture in drawn}


def test_synthetic_and_weightless_rows_are_left_out(make_manifest):
    faces = [{"label": label, "split": "train"} for label in BASIC7 for _ in range(2)]
    weight = np.ones(len(faces), np.float32)
    weight[1] = 0
    origin = np.array(["real"] * len(faces), dtype=object)
    origin[3] = "synthetic"
    selection = select_faces(make_manifest("mixed", faces, weight=weight, origin=origin), 1)
    assert len(selection.frame) == len(faces) - 2
    assert selection.left_out["synthetic"] == 1
    assert selection.left_out["weight or repeat is zero"] == 1


def test_rare_classes_are_drawn_by_the_stated_power(make_manifest, make_config):
    faces = [{"label": label, "split": "train"} for label in BASIC7 for _ in range(16 if label == "happiness" else 4)]
    selection = select_faces(make_manifest("skewed", faces), 1)
    for balance, ratio in ((0.0, 4.0), (0.5, 2.0), (1.0, 1.0)):
        loaded = load_faces(selection, make_config("dcgan", balance=balance, derived_faces=0))
        share = {label: loaded.chances[(selection.frame["label"] == label).to_numpy()].sum() for label in BASIC7}
        assert share["happiness"] / share["fear"] == pytest.approx(ratio)
        assert loaded.chances.sum() == pytest.approx(1)


def test_derived_copies_carry_their_conditions_and_are_drawn_at_the_stated_rate(training, make_config):
    config = make_config("dcgan", derived_faces=40, derive=0.3, batch_size=4000)
    faces = load_faces(select_faces(training, 1), config)
    real = len(faces.chances)
    assert len(faces.pictures) == real + 40
    none, normal = faces.vocabulary.occlusion.index("none"), faces.vocabulary.light.index("normal")
    changed = (faces.conditions[:, 1] != none) | (faces.conditions[:, 2] != normal)
    assert not changed[:real].any()
    assert changed[real:].all()
    _, conditions = faces.batch(0, config)
    share = ((conditions[:, 1] != none) | (conditions[:, 2] != normal)).float().mean().item()
    assert share == pytest.approx(0.3, abs=0.03)


def test_light_is_measured_where_no_fact_states_it(make_manifest, make_config):
    dark = np.kron(np.random.default_rng(0).integers(0, 50, size=(8, 8), dtype=np.uint8), np.ones((6, 6), np.uint8))
    faces = [{"label": label, "split": "train", "facts": {}} for label in BASIC7]
    faces += [{"label": "fear", "split": "train", "facts": {}, "image": dark}]
    loaded = load_faces(select_faces(make_manifest("unlit", faces), 1), make_config("dcgan", derived_faces=0))
    assert "low" in loaded.vocabulary.light
    assert loaded.conditions[-1, 2] == loaded.vocabulary.light.index("low")
    assert (loaded.conditions[:, 1] == loaded.vocabulary.unknown[1]).all()


def test_a_batch_depends_on_seed_and_step_alone(training, make_config):
    config = make_config("dcgan")
    first, again = (load_faces(select_faces(training, 1), config) for _ in range(2))
    for step in (0, 7):
        for left, right in zip(first.batch(step, config), again.batch(step, config), strict=True):
            assert torch.equal(left, right)
    assert not torch.equal(first.batch(0, config)[0], first.batch(1, config)[0])


def test_pictures_are_mirrored_half_of_the_time(training, make_config):
    config = make_config("dcgan", batch_size=2000, derived_faces=0)
    faces = load_faces(select_faces(training, 1), config)
    known = {picture.numpy().tobytes() for picture in faces.pictures}
    drawn = faces.batch(0, config)[0]
    share = np.mean([picture.numpy().tobytes() in known for picture in drawn])
    assert share == pytest.approx(0.5, abs=0.05)
