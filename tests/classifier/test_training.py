import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from interrupter import Interrupter
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from classifier.prediction import load_classifier
from classifier.training import TrainConfig, train, train_manifest
from fer_data.configuration import resolve
from fer_data.errors import FerError
from fer_data.expressions import BASIC7

ROOT = Path(__file__).resolve().parents[2]

# Trains on the faces of an .npz in a fresh process; at a given step it kills itself as `kill -9` would.
PROGRAM = """
import os, signal, sys
from contextlib import contextmanager
from pathlib import Path
import numpy as np, torch
from classifier.data import Faces
from classifier.training import TrainConfig, train
from fer_data.expressions import BASIC7

class Killer:
    def __init__(self, at): self.at, self.done = at, 0
    @contextmanager
    def stage(self, name, total): yield self
    def advance(self, amount=1, note=""):
        self.done += amount
        if self.done == self.at: os.kill(os.getpid(), signal.SIGKILL)

def faces(name):
    return Faces(*(torch.from_numpy(data[f"{name}_{part}"]) for part in ("images", "targets", "weights")),
                 data[f"{name}_ids"].tolist())

data = np.load(sys.argv[1])
config = TrainConfig.model_validate_json(sys.argv[3])
train(faces("train"), faces("val"), BASIC7, config, Path(sys.argv[2]), Killer(int(sys.argv[4])))
"""


@pytest.fixture
def in_fresh_process(tmp_path, striped_faces) -> Callable[..., Path]:
    arrays = {}
    for name, seed in (("train", 0), ("val", 1)):
        faces = striped_faces(70, seed)
        for part in ("images", "targets", "weights"):
            arrays[f"{name}_{part}"] = getattr(faces, part).numpy()
        arrays[f"{name}_ids"] = np.array(faces.sample_ids)
    np.savez(tmp_path / "faces.npz", **arrays)

    def run(name: str, config: TrainConfig, kill_at: int = -1) -> Path:
        command = [sys.executable, "-c", PROGRAM, str(tmp_path / "faces.npz"), str(tmp_path / name)]
        done = subprocess.run(
            [*command, config.model_dump_json(), str(kill_at)], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == (-9 if kill_at >= 0 else 0), done.stderr
        return tmp_path / name

    return run


def without_seconds(history: list[dict]) -> list[dict]:
    return [{key: value for key, value in entry.items() if key != "seconds"} for entry in history]


def weights(folder: Path) -> bytes:
    return (folder / "checkpoint" / "model.safetensors").read_bytes()


def history(folder: Path) -> list[dict]:
    return without_seconds(json.loads((folder / "history.json").read_text()))


def test_learns_far_above_chance(tmp_path, striped_faces, tiny):
    checkpoint = train(striped_faces(140), striped_faces(70, 1), BASIC7, tiny, tmp_path / "run")
    test = striped_faces(140, 2)
    judged = load_classifier(checkpoint).probabilities(test.images.numpy())
    assert (judged.argmax(axis=1) == test.classes).mean() > 0.9  # chance is 0.14
    described = json.loads((checkpoint / "classifier.json").read_text())
    assert described["labels"] == list(BASIC7) and described["steps"] == 40
    assert described["configuration"] == tiny.model_dump(mode="json")
    entries = json.loads((tmp_path / "run" / "history.json").read_text())
    assert [entry["step"] for entry in entries] == [10, 20, 30, 40]
    best = max(entry["val"]["accuracy"] for entry in entries)
    assert described["chosen"]["val"]["accuracy"] == best and described["chosen_by"] == "accuracy"
    assert entries[-1]["train_loss"] < entries[0]["train_loss"]


def test_same_bits_in_fresh_processes_and_after_a_kill(in_fresh_process, tiny):
    config = tiny.model_copy(update={"steps": 24})
    undisturbed = in_fresh_process("a", config)
    killed = in_fresh_process("b", config, kill_at=15)  # saved at 6 and 12
    assert not (killed / "checkpoint").exists() and (killed / "state.safetensors").is_file()
    in_fresh_process("b", config)
    assert weights(killed) == weights(undisturbed) and history(killed) == history(undisturbed)
    assert not (killed / "state.safetensors").exists()
    assert not list(killed.rglob("*.partial"))


@pytest.mark.parametrize(
    "changes",
    [
        {"balanced_sampling": True},
        {"optimizer": "sgd", "learning_rate": 0.1, "logit_adjustment": 1.0, "ema": 0.0},
        {"model": "timm:lcnet_035"},  # has dropout, whose draws must be the same as well
        {"optimizer": "muon", "schedule": "cosine", "focal": 2.0, "mixed_precision": "bf16"},
        {"mixup": 0.4, "cutmix": 1.0, "effective_number": 0.99, "start_px": 8, "grown_by": 0.8},
        {"patience": 2, "choose_by": "macro_f1", "dynamics": 0},
    ],
)
def test_an_interrupted_run_ends_as_an_undisturbed_one(tmp_path, striped_faces, tiny, changes):
    faces, val = striped_faces(70), striped_faces(35, 1)
    config = tiny.model_copy(update={"steps": 16, "evaluations": 4, **changes})
    whole = tmp_path / "whole"
    train(faces, val, BASIC7, config, whole)
    broken = tmp_path / "broken"
    for at in (10, 11, 15):  # saved at 4, 8, 12
        with pytest.raises(KeyboardInterrupt):
            train(faces, val, BASIC7, config, broken, Interrupter(at=at))
    torch.manual_seed(99)  # the state of the world outside does not matter
    counter = Interrupter()
    train(faces, val, BASIC7, config, broken, counter)
    assert counter.done == json.loads((whole / "checkpoint" / "classifier.json").read_text())["stopped_at"]
    assert weights(broken) == weights(whole) and history(broken) == history(whole)


def test_a_finished_run_returns_at_once_and_another_is_refused(tmp_path, striped_faces, tiny):
    faces, run_dir = striped_faces(70), tmp_path / "run"
    short = tiny.model_copy(update={"steps": 4})
    checkpoint = train(faces, None, BASIC7, short, run_dir)
    before, reporter = weights(run_dir), Interrupter()
    assert train(faces, None, BASIC7, short, run_dir, reporter) == checkpoint
    assert reporter.names == [] and weights(run_dir) == before
    other = short.model_copy(update={"weight_decay": 0.5})
    with pytest.raises(FerError, match=r"another configuration \(weight_decay: 0.05 there, 0.5 here\); choose"):
        train(faces, None, BASIC7, other, run_dir)
    with pytest.raises(FerError, match="another set of training or validation faces"):
        train(striped_faces(70, 9), None, BASIC7, short, run_dir)
    with pytest.raises(FerError, match="another set of labels"):
        train(faces, None, BASIC7[::-1], short, run_dir)
    assert weights(run_dir) == before
    train(faces, None, BASIC7, other, run_dir, replace=True)
    assert weights(run_dir) != before


def test_a_run_from_before_a_setting_was_there_goes_on(tmp_path, striped_faces, tiny):
    faces, config = striped_faces(70), tiny.model_copy(update={"steps": 16, "evaluations": 4})
    train(faces, None, BASIC7, config, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(faces, None, BASIC7, config, tmp_path / "old", Interrupter(at=10))
    file = tmp_path / "old/run.json"
    kept = json.loads(file.read_text())
    del kept["configuration"]["lift_rare"]
    file.write_text(json.dumps(kept))
    with pytest.raises(FerError, match=r"another configuration \(lift_rare: False there, True here\)"):
        train(faces, None, BASIC7, config.model_copy(update={"lift_rare": True}), tmp_path / "old")
    counter = Interrupter()
    train(faces, None, BASIC7, config, tmp_path / "old", counter)
    assert counter.done == 16 and weights(tmp_path / "old") == weights(tmp_path / "whole")


def test_a_folder_with_other_things_and_a_damaged_state_are_refused(tmp_path, striped_faces, tiny):
    (tmp_path / "holiday.txt").write_text("do not touch")
    with pytest.raises(FerError, match="expected a training run or an empty folder"):
        train(striped_faces(70), None, BASIC7, tiny, tmp_path, replace=True)
    run_dir = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(striped_faces(70), None, BASIC7, tiny, run_dir, Interrupter(at=12))
    (run_dir / "state.safetensors").write_bytes(b"broken")
    with pytest.raises(FerError, match="found a damaged file .*; delete it to begin anew"):
        train(striped_faces(70), None, BASIC7, tiny, run_dir)


def test_a_state_of_another_optimiser_is_refused(tmp_path, striped_faces, tiny):
    with pytest.raises(KeyboardInterrupt):
        train(striped_faces(70), None, BASIC7, tiny, tmp_path / "run", Interrupter(at=12))
    file = tmp_path / "run/state.safetensors"
    with safe_open(file, "pt") as stored:
        progress, tensors = stored.metadata(), {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
    kernel = next(key for key, value in tensors.items() if key.startswith("optimiser") and value.ndim == 4)
    tensors[kernel] = tensors[kernel].flatten(1)  # as PyTorch's Muon would keep it
    save_file(tensors, file, metadata=progress)
    with pytest.raises(FerError, match=r"expected the state of AdamW, found exp_avg.* delete it to begin anew"):
        train(striped_faces(70), None, BASIC7, tiny, tmp_path / "run")
    file.unlink()
    train(striped_faces(70), None, BASIC7, tiny, tmp_path / "run")


def test_nothing_to_learn_from_is_refused_before_any_file_is_written(tmp_path, striped_faces, tiny):
    faces, run_dir = striped_faces(70), tmp_path / "run"
    with pytest.raises(FerError, match="expected labelled faces, found none"):
        train(faces.select(np.zeros(70, dtype=bool)), None, BASIC7, tiny, run_dir)
    with pytest.raises(FerError, match="found none of disgust, fear"):
        train(faces.select(~np.isin(faces.classes, [1, 2])), None, BASIC7, tiny, run_dir)
    with pytest.raises(FerError, match=r"training faces: expected pictures \[1, 48, 48\]"):
        train(faces, None, BASIC7, tiny.model_copy(update={"size_px": 48}), run_dir)
    with pytest.raises(FerError, match=r"validation faces: expected pictures \[1, 16, 16\]"):
        train(faces, striped_faces(7, size_px=18), BASIC7, tiny, run_dir)
    with pytest.raises(FerError, match="no such file"):
        train(faces, None, BASIC7, tiny.model_copy(update={"weights": "gone.safetensors"}), run_dir)
    save_file({"stem.0.weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(FerError, match="expected the tensors of this model, found 0 of"):
        train(faces, None, BASIC7, tiny.model_copy(update={"weights": str(tmp_path / "other.safetensors")}), run_dir)
    assert not run_dir.exists()


def test_an_empty_class_can_be_allowed(tmp_path, striped_faces, tiny):
    faces = striped_faces(70)
    config = tiny.model_copy(update={"allow_empty_classes": True, "steps": 4, "logit_adjustment": 1.0})
    checkpoint = train(faces.select(faces.classes != 1), None, BASIC7, config, tmp_path / "run")
    classifier = load_classifier(checkpoint)
    judged = classifier.probabilities(faces.images.numpy())
    assert judged.shape == (70, 7) and np.isfinite(judged).all()
    assert classifier.description["unseen"] == ["disgust"]  # whoever scores it may say so


def test_a_loss_that_is_not_a_number_stops_the_run(tmp_path, striped_faces, tiny):
    with pytest.raises(FerError, match="expected a finite loss, found nan at step .* lower learning_rate"):
        train(striped_faces(70), None, BASIC7, tiny.model_copy(update={"learning_rate": 1e30}), tmp_path / "run")


def test_weights_of_faces_scale_their_pull(tmp_path, striped_faces, tiny):
    faces = striped_faces(140)
    faces.weights[faces.classes == 3] = 0
    config = tiny.model_copy(update={"allow_empty_classes": True, "label_smoothing": 0.0})
    judged = load_classifier(train(faces, None, BASIC7, config, tmp_path / "run")).probabilities(
        striped_faces(140, 5).images.numpy()
    )
    assert (judged.argmax(axis=1) != 3).all()


def test_pretrained_weights_are_part_of_the_runs_identity(tmp_path, striped_faces, tiny):
    first = train(striped_faces(70), None, BASIC7, tiny.model_copy(update={"steps": 4}), tmp_path / "first")
    file = tmp_path / "body.safetensors"
    file.write_bytes((first / "model.safetensors").read_bytes())
    config = tiny.model_copy(update={"steps": 1, "weights": str(file), "learning_rate": 1e-9, "ema": 0.0})
    second = train(striped_faces(70), None, BASIC7, config, tmp_path / "second")
    tensors = [load_file(folder / "model.safetensors")["body.stem.0.weight"] for folder in (first, second)]
    torch.testing.assert_close(*tensors)
    save_file({key: value + 1 for key, value in load_file(file).items()}, file)
    with pytest.raises(FerError, match="holds a run with another"):
        train(striped_faces(70), None, BASIC7, config, tmp_path / "second")


def test_bf16_learns_as_float32_does(tmp_path, striped_faces, tiny):
    short = tiny.model_copy(update={"steps": 8})
    for name, precision in (("bf16", "bf16"), ("plain", "no")):
        config = short.model_copy(update={"mixed_precision": precision})
        train(striped_faces(70), striped_faces(14, 1), BASIC7, config, tmp_path / name)
    losses = [history(tmp_path / name)[-1]["train_loss"] for name in ("bf16", "plain")]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_keys_that_contradict_each_other_are_refused():
    with pytest.raises(FerError, match="balanced_sampling and logit_adjustment both even out the classes; choose one"):
        resolve(TrainConfig, settings=["balanced_sampling=true", "logit_adjustment=1"])
    with pytest.raises(FerError, match="logit_adjustment and effective_number both"):
        resolve(TrainConfig, settings=["effective_number=0.9", "logit_adjustment=1"])
    with pytest.raises(FerError, match="start_px 64 is larger than size_px 48; pictures only grow"):
        resolve(TrainConfig, settings=["start_px=64"])
    with pytest.raises(FerError, match="targets likelihood does not go with focal and mixup; leave one out"):
        resolve(TrainConfig, settings=["targets=likelihood", "focal=2", "mixup=0.2"])


def test_a_run_stops_when_validation_stops_getting_better(tmp_path, striped_faces, tiny):
    wrong = striped_faces(35, 1)
    wrong = wrong.relabelled({name: 0 for name in wrong.sample_ids})  # learning the others can only make it worse
    config = tiny.model_copy(update={"steps": 60, "evaluations": 15, "patience": 3})
    checkpoint = train(striped_faces(140), wrong, BASIC7, config, tmp_path / "run")
    described = json.loads((checkpoint / "classifier.json").read_text())
    scores = [entry["val"]["accuracy"] for entry in history(tmp_path / "run")]
    best = len(scores) - 1 - scores[::-1].index(max(scores))  # the later of equals
    assert len(scores) < 15 and len(scores) == best + 1 + 3
    assert described["stopped_at"] == 4 * len(scores) and described["steps"] == 60
    assert described["chosen"]["val"]["accuracy"] == max(scores)
    with pytest.raises(FerError, match="patience: expected validation faces"):
        train(striped_faces(140), None, BASIC7, config, tmp_path / "blind")


def test_growing_pictures_need_a_network_that_takes_them(tmp_path, striped_faces, tiny):
    config = tiny.model_copy(update={"model": "baseline_mlp", "start_px": 8})
    with pytest.raises(FerError, match="start_px 8: expected a network that takes pictures of any size"):
        train(striped_faces(70), None, BASIC7, config, tmp_path / "run")


def test_soft_labels_from_votes_are_learnt_end_to_end(striped_manifest, tiny, tmp_path):
    """Faces of class 0 whose votes are split 7 to 3 with class 1 come out as about that, smoothing on top."""
    soft = [0.7, 0.3, 0, 0, 0, 0, 0]
    classes = [0] * 20 + [*range(2, 7)] * 8
    manifest = striped_manifest(classes, ["train"] * 60, target=[soft] * 20 + [None] * 40)
    config = tiny.model_copy(update={"steps": 60, "label_smoothing": 0.14})
    checkpoint = train_manifest(manifest, config, tmp_path / "run")
    seen = load_classifier(checkpoint).probabilities(manifest.pictures(16, 1)[:20]).mean(axis=0)
    smoothed = np.array(soft) * 0.86 + 0.02
    np.testing.assert_allclose(seen[:2], smoothed[:2], atol=0.12)


def test_presets_resolve():
    assert resolve(TrainConfig, "train") == TrainConfig()


def leaky(striped_manifest):
    classes = [*range(7)] * 8
    splits = ["train"] * 42 + ["val"] * 7 + ["test"] * 7
    groups = np.arange(56)
    groups[50] = 8  # a test row in a training row's group
    return striped_manifest(classes, splits, copies={42: 0, 49: 14}, groups=groups)  # a val and a test twin


def test_a_twin_of_a_twin_leaks(striped_manifest, tiny, tmp_path):
    """Row 0 looks like row 7, which shares its group with the test row 14: row 0 was never compared with it."""
    groups = np.arange(21)
    groups[14] = groups[7]
    manifest = striped_manifest([*range(7)] * 3, ["train"] * 14 + ["test"] * 7, copies={7: 0}, groups=groups)
    with pytest.raises(FerError, match=r"found 2 \(first: stripes/0000, stripes/0007\)"):
        train_manifest(manifest, tiny, tmp_path / "run", leaks="refuse")


def test_leaks_are_refused_dropped_or_kept_out_of_validation(striped_manifest, tiny, tmp_path):
    manifest = leaky(striped_manifest)
    config = tiny.model_copy(update={"steps": 4})
    with pytest.raises(FerError, match=r"found 3 \(first: stripes/0000, stripes/0008, stripes/0014\)"):
        train_manifest(manifest, config, tmp_path / "refused", leaks="refuse")
    with pytest.raises(FerError, match="leaks 'ignore' is no policy; expected one of refuse, drop_from_train"):
        train_manifest(manifest, config, tmp_path / "refused", leaks="ignore")
    facts = {}
    for leaks in ("drop_from_train", "score_apart"):
        checkpoint = train_manifest(manifest, config, tmp_path / leaks, leaks=leaks)
        facts[leaks] = json.loads((checkpoint / "classifier.json").read_text())["trained_on"]
        assert facts[leaks]["manifest_sha256"] == manifest.sha256 and facts[leaks]["leaking_faces"] == 3
    assert (facts["drop_from_train"]["train_faces"], facts["drop_from_train"]["val_faces"]) == (39, 7)
    assert (facts["score_apart"]["train_faces"], facts["score_apart"]["val_faces"]) == (42, 6)


def test_without_leaks_every_policy_trains_the_same(striped_manifest, tiny, tmp_path):
    manifest = striped_manifest([*range(7)] * 4, ["train"] * 21 + ["val"] * 7)
    config = tiny.model_copy(update={"steps": 4})
    for leaks in ("refuse", "drop_from_train", "score_apart"):
        train_manifest(manifest, config, tmp_path / leaks, leaks=leaks)
    assert weights(tmp_path / "refuse") == weights(tmp_path / "drop_from_train") == weights(tmp_path / "score_apart")


def test_faces_of_a_generator_that_saw_a_held_out_group_are_refused(striped_manifest, tiny, tmp_path, project):
    import pyarrow as pa

    from fer_data import tables

    seen = pa.table({"sample_id": ["stripes/0007"], "group_id": [7]})
    tables.write_table(project / "seen.parquet", seen, {"kind": "seen"})
    manifest = striped_manifest(
        [*range(7)] * 2,
        ["train"] * 7 + ["test"] * 7,
        generation={"seen": "seen.parquet"},
        origin=["synthetic"] * 7 + ["real"] * 7,
    )
    with pytest.raises(FerError, match="saw no group of val or test"):
        train_manifest(manifest, tiny, tmp_path / "run")
    assert not (tmp_path / "run").exists()
