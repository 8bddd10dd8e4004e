"""Two CPU processes, as `accelerate launch` starts them, learn what one does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from classifier.prediction import load_classifier
from classifier.training import train
from fer_data.errors import FerError
from fer_data.expressions import BASIC7

ROOT = Path(__file__).resolve().parents[2]
LAUNCH = "--multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no --dynamo_backend no"


def launch(folder: Path, train_faces, val_faces, config) -> subprocess.CompletedProcess[str]:
    arrays = {}
    for name, faces in (("train", train_faces), ("val", val_faces)):
        arrays |= {f"{name}_{part}": getattr(faces, part).numpy() for part in ("images", "targets", "weights")}
        arrays[f"{name}_ids"] = np.array(faces.sample_ids)
    np.savez(folder / "faces.npz", **arrays)
    (folder / "config.json").write_text(config.model_dump_json())
    inputs = [folder / "faces.npz", folder / "run", folder / "config.json"]
    command = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        *LAUNCH.split(),
        ROOT / "tests" / "two_processes.py",
        *inputs,
    ]
    env = {**os.environ, "ACCELERATE_USE_CPU": "true"}  # the launcher itself counts on MPI where it is told --cpu
    return subprocess.run(list(map(str, command)), cwd=ROOT, env=env, capture_output=True, text=True, timeout=240)


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path, striped_faces, tiny):
    train_faces, val_faces = striped_faces(140), striped_faces(69, 1)  # 69: the processes' shares are not equal
    config = tiny.model_copy(update={"patience": 3})
    done = launch(tmp_path, train_faces, val_faces, config)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == ["0/2", "1/2"]
    alone = train(train_faces, val_faces, BASIC7, config, tmp_path / "alone")
    histories = [json.loads((tmp_path / name / "history.json").read_text()) for name in ("run", "alone")]
    test = striped_faces(280, 2)
    accuracies = [
        float((load_classifier(folder).probabilities(test.images.numpy()).argmax(axis=1) == test.classes).mean())
        for folder in (tmp_path / "run", alone)
    ]
    assert min(accuracies) > 0.85 and abs(accuracies[0] - accuracies[1]) < 0.1  # chance is 0.14
    losses = [[entry["train_loss"] for entry in history] for history in histories]
    np.testing.assert_allclose(losses[0], losses[1], rtol=0.25)
    margins = (tmp_path / "run" / "checkpoint" / "dynamics.safetensors").read_bytes()
    assert len(margins) == len((alone / "dynamics.safetensors").read_bytes())  # every face of both processes is there


@pytest.mark.slow
def test_a_batch_that_cannot_be_shared_is_refused(tmp_path, striped_faces, tiny):
    done = launch(tmp_path, striped_faces(70), striped_faces(14, 1), tiny.model_copy(update={"batch_size": 33}))
    assert done.returncode != 0 and FerError.__name__ in done.stderr
    assert "batch_size 33: expected a multiple of 2 processes" in done.stderr
    assert not (tmp_path / "run").exists()
