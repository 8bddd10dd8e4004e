import os
import resource
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fer_data import tables
from fer_data.errors import FerError
from fer_data.expressions import BASIC7
from fer_data.files import read_json, sha256_file, write_json
from fer_data.images import pixel_sha256
from fer_data.locks import name_lock
from generators import training as training_module
from generators import training_run
from generators.condition import Vocabulary
from generators.models import GENERATORS, describe_checkpoint, load_generator
from generators.training import train_generator
from generators.training_faces import load_faces, select_faces
from generators.training_run import TrainingRun
from generators.weights import read_tensors

REPOSITORY = Path(__file__).parents[2]
KINDS = ("dcgan", "diffusion")


def weights_of(checkpoint):
    return {path.name: sha256_file(path) for path in sorted(checkpoint.rglob("*.safetensors"))}


def distance(one, other):
    """Between the weights of two checkpoints, all of them one vector."""
    files = sorted(path.relative_to(one) for path in one.rglob("*.safetensors"))
    pairs = [(load_file(one / file), load_file(other / file)) for file in files]
    return sum((left[name] - right[name]).square().sum().item() for left, right in pairs for name in left) ** 0.5


def fresh_weights(kind, make_config, checkpoint, folder):
    """A checkpoint of the weights that training starts from."""
    vocabulary = Vocabulary.from_dict(describe_checkpoint(checkpoint)["vocabulary"])
    started = folder / "started"
    started.mkdir()
    GENERATORS[kind].learner(make_config(kind), vocabulary).save(started)
    return started


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


_TRAIN_AND_KILL = """
import os, signal, sys
from pathlib import Path
import torch
from fer_data import manifest
from fer_data.configuration import build
from fer_data.files import read_json
from generators.models import GENERATORS
from generators.training import train_generator
from generators.training_run import TrainingRun

torch.set_num_threads(1)
step = TrainingRun._step
def killed(run):
    if run.steps == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(run)
TrainingRun._step = killed
opened = manifest.read(sys.argv[1])
for kind, config in read_json(Path(sys.argv[2])).items():
    child = os.fork()
    if not child:
        train_generator(kind, opened, build(GENERATORS[kind].config, config, "test"), Path(sys.argv[3]) / kind)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
"""


@pytest.fixture(scope="session")
def killed_runs(training, make_config, tmp_path_factory):
    """Runs of each kind that SIGKILL ended in their sixth step, where the state of step 4 was the last kept."""
    folder = tmp_path_factory.mktemp("killed")
    write_json(folder / "configs.json", {kind: make_config(kind).model_dump(mode="json") for kind in KINDS})
    command = [sys.executable, "-c", _TRAIN_AND_KILL, str(training.path), str(folder / "configs.json"), str(folder)]
    subprocess.run(command, check=True, cwd=REPOSITORY)
    return folder


def test_a_killed_run_goes_on_to_the_same_last_bit(checkpoint, kind, training, make_config, killed_runs):
    run_dir = killed_runs / kind
    assert not (run_dir / "checkpoint").exists()
    assert read_tensors(run_dir / "state.safetensors")[1]["steps"] == 4
    resumed = train_generator(kind, training, make_config(kind), run_dir)
    assert weights_of(resumed) == weights_of(checkpoint)
    assert (resumed / "generator.json").read_bytes() == (checkpoint / "generator.json").read_bytes()
    assert (run_dir / "history.json").read_bytes() == (checkpoint.parent / "history.json").read_bytes()
    assert (run_dir / "sheet.png").read_bytes() == (checkpoint.parent / "sheet.png").read_bytes()


def test_the_history_of_a_run_that_was_interrupted_is_that_of_one_that_was_not(
    training, make_config, tmp_path, monkeypatch
):
    monkeypatch.setattr(training_run, "_RECORD_EVERY", 3)  # entries span the state of step 4, which a run resumes from
    step = TrainingRun._step

    def interrupted(run):
        if run.steps == 5:
            raise KeyboardInterrupt
        return step(run)

    train_generator("dcgan", training, make_config("dcgan"), tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(TrainingRun, "_step", interrupted)
        train_generator("dcgan", training, make_config("dcgan"), tmp_path / "parts")
    train_generator("dcgan", training, make_config("dcgan"), tmp_path / "parts")
    whole, parts = (read_json(tmp_path / name / "history.json") for name in ("whole", "parts"))
    assert [entry["step"] for entry in whole] == [3, 6]
    assert {"critic", "drawer"} <= set(whole[0])
    assert parts == whole


def test_the_history_ends_with_the_last_steps(training, make_config, tmp_path, monkeypatch):
    """A run of 6 steps with an entry every 4; one that was killed after its last state tells the same."""
    monkeypatch.setattr(training_run, "_RECORD_EVERY", 1)
    train_generator("dcgan", training, make_config("dcgan"), tmp_path / "each")
    monkeypatch.setattr(training_run, "_RECORD_EVERY", 4)
    done = train_generator("dcgan", training, make_config("dcgan"), tmp_path / "run")
    each, entries = (read_json(tmp_path / name / "history.json") for name in ("each", "run"))
    assert [entry["step"] for entry in entries] == [4, 6]
    for entry, steps in zip(entries, (each[:4], each[4:]), strict=True):
        for name in ("critic", "drawer", "certainty"):
            assert entry[name] == pytest.approx(np.mean([step[name] for step in steps]), rel=1e-12)
    assert [entry["step"] for entry in read_tensors(tmp_path / "run/state.safetensors")[1]["history"]] == [4]
    shutil.rmtree(done)
    (tmp_path / "run/history.json").unlink()
    train_generator("dcgan", training, make_config("dcgan"), tmp_path / "run")
    assert read_json(tmp_path / "run/history.json") == entries


def test_sheets_and_snapshots_are_kept_on_the_way(kind, training, make_config, tmp_path):
    config = make_config(kind, snapshots=[0.5], sheet_every=3)
    done = train_generator(kind, training, config, tmp_path)
    assert [path.name for path in sorted((tmp_path / "sheets").iterdir())] == ["00000003.png", "00000006.png"]
    snapshot = tmp_path / "snapshot-50"
    assert describe_checkpoint(snapshot)["steps"] == 3
    early, late = load_generator(snapshot), load_generator(done)
    conditions, seeds = np.zeros((1, 3), np.int64), np.zeros(1, np.int64)
    assert not np.array_equal(early.sample(conditions, seeds), late.sample(conditions, seeds))
    assert (tmp_path / "sheet.png").read_bytes() == (tmp_path / "sheets" / "00000006.png").read_bytes()


def test_only_steps_count_as_training_time(training, make_config, tmp_path, monkeypatch):
    monkeypatch.setattr(training_run, "write_sheet", lambda *_: time.sleep(0.5))
    config = make_config("dcgan", steps=None, minutes=0.2 / 60, sheet_every=1, keep_every=1)
    started = time.monotonic()
    done = train_generator("dcgan", training, config, tmp_path)
    steps = describe_checkpoint(done)["steps"]
    assert time.monotonic() - started > 0.5 * steps
    seconds = read_tensors(tmp_path / "state.safetensors")[1]["seconds"]
    assert 0.2 <= seconds < 0.2 + 0.5


@pytest.mark.parametrize("write", ["state", "checkpoint"])
def test_a_full_disk_is_told_and_what_was_kept_stays_whole(kind, training, make_config, tmp_path, write, monkeypatch):
    """The system refuses files above a limit that weights pass."""
    monkeypatch.setattr(training_run, "write_sheet", lambda *_: None)
    config = make_config(kind, steps=4, keep_every=2 if write == "state" else 100)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limit[1]))
        with pytest.raises(FerError, match=rf"{write}.* was not written: a file grew too large; make room"):
            train_generator(kind, training, config, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert not (tmp_path / "state.safetensors").exists()
    assert not (tmp_path / "checkpoint").exists()
    assert describe_checkpoint(train_generator(kind, training, config, tmp_path))["steps"] == 4


def test_fp16_without_a_gpu_is_refused(training, make_config, tmp_path):
    with pytest.raises(FerError, match="mixed_precision fp16: expected a GPU"):
        train_generator("dcgan", training, make_config("dcgan", mixed_precision="fp16"), tmp_path)


def test_bf16_learns_about_the_same(checkpoint, kind, training, make_config, tmp_path):
    done = train_generator(kind, training, make_config(kind, mixed_precision="bf16"), tmp_path)
    assert weights_of(done) != weights_of(checkpoint)
    assert distance(done, checkpoint) < 0.5 * distance(done, fresh_weights(kind, make_config, checkpoint, tmp_path))


_TRAIN_TOGETHER = """
import sys
from pathlib import Path
from fer_data import manifest
from fer_data.configuration import build
from fer_data.files import read_json
from generators.models import GENERATORS
from generators.training import train_generator

opened = manifest.read(sys.argv[1])
for kind, config in read_json(Path(sys.argv[2])).items():
    train_generator(kind, opened, build(GENERATORS[kind].config, config, "test"), Path(sys.argv[3]) / kind)
"""


@pytest.fixture(scope="session")
def shared_runs(training, make_config, tmp_path_factory):
    """Runs of each kind on two processes, started as `torchrun --nproc_per_node 2` starts them."""
    folder = tmp_path_factory.mktemp("shared")
    write_json(folder / "configs.json", {kind: make_config(kind).model_dump(mode="json") for kind in KINDS})
    command = [sys.executable, "-c", _TRAIN_TOGETHER, str(training.path), str(folder / "configs.json"), str(folder)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "WORLD_SIZE": "2"}
    common |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "LOCAL_WORLD_SIZE": "2"}
    runs = [
        subprocess.Popen(command, cwd=REPOSITORY, env=common | {"RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(2)
    ]
    assert [run.wait(timeout=280) for run in runs] == [0, 0]
    return folder


@pytest.mark.slow  # two processes that import torch
def test_two_processes_learn_what_one_does_but_for_rounding(checkpoint, kind, make_config, shared_runs, tmp_path):
    shared = shared_runs / kind / "checkpoint"
    moved = distance(checkpoint, fresh_weights(kind, make_config, checkpoint, tmp_path))
    assert distance(shared, checkpoint) < 1e-2 * moved


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
    with pytest.raises(FerError, match=r"training diverged at step .*lower learning_rate"):
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


def test_a_face_that_others_join_to_a_held_out_one_is_left_out(make_manifest):
    """Through pictures and groups in turn, however many of them, whatever else the rows between are."""
    shared = [np.full((16, 16), 200 + shade, np.uint8) for shade in range(4)]
    joined = [
        {"label": "fear", "split": "train", "image": shared[0], "group": 900},  # the picture of the next,
        {"label": "fear", "split": "train", "image": shared[0], "group": 901},  # whose group reaches into test
        {"label": "fear", "split": "test", "group": 901},
        {"label": "fear", "split": "train", "group": 902},  # the group of the next, whose picture lies in val
        {"label": "fear", "split": "train", "image": shared[1], "group": 902},
        {"label": "fear", "split": "val", "image": shared[1], "group": 903},
        {"label": "fear", "split": "train", "group": 904},  # the group of a row without a split and label,
        {"label": None, "split": None, "image": shared[2], "group": 904},  # whose picture is the next one's,
        {"label": "fear", "split": "train", "image": shared[2], "group": 905},  # whose group reaches into test
        {"label": "fear", "split": "test", "group": 905},
    ]
    apart = [{"label": "fear", "split": "train", "image": shared[3], "group": group} for group in (906, 907)]
    plain = [{"label": label, "split": "train"} for label in BASIC7]
    manifest = make_manifest("joined", joined + apart + plain)
    selection = select_faces(manifest, 1)
    assert np.flatnonzero(selection.rows).tolist() == list(range(len(joined), len(manifest)))
    assert selection.left_out["group or picture is also in val or test"] == 6


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


def test_two_runs_do_not_share_a_folder(training, make_config, tmp_path):
    folder = tmp_path / "run"
    with name_lock(folder), pytest.raises(FerError, match="is being written by another run"):
        train_generator("dcgan", training, make_config("dcgan"), folder)
    assert not folder.exists()
