"""Training for so many minutes: as many steps as fit, the schedule over all of them."""

import time

import pytest

from classifier.models import build_model
from classifier.prediction import load_classifier
from classifier.training import TrainConfig, training_faces
from experiments import timed_training
from experiments.timed_training import Pace, measure_pace, train_for
from fer_data import manifest as manifests
from fer_data.errors import FerError
from fer_data.files import read_json


@pytest.fixture
def config() -> TrainConfig:
    return TrainConfig(
        model="thin_resnet10", size_px=16, batch_size=16, evaluations=2, dynamics=0, trackers=[], threads=1
    )


def test_steps_within_leave_room_for_everything_else():
    pace = Pace(step_seconds=0.5, evaluation_seconds=2.0, fixed_seconds=3.0)
    assert pace.steps_within(17.0, 2) == 20  # 17 - 3 - 2 * 2 = 10 seconds
    assert pace.steps_within(6.9, 2) <= 0


def test_the_pace_is_that_of_the_training(project, config):
    faces = manifests.read(project / "manifests/faces")
    train, val, _ = training_faces(faces, config)
    started = time.perf_counter()
    pace = measure_pace(train, val, faces.labels, config, 1.0)
    took = time.perf_counter() - started
    assert 0 < pace.step_seconds < took / 8 and 0 < pace.evaluation_seconds < took
    assert 0 <= pace.fixed_seconds < took


def test_a_run_fills_its_minutes_and_no_more(project, config):
    faces = manifests.read(project / "manifests/faces")
    minutes = 0.15
    done = train_for(faces, config, project / "runs/timed", minutes)
    assert done.seconds < 2 * 60 * minutes  # a loaded machine may be late, not by as much again
    assert done.config.steps >= 2 and done.config.model_copy(update={"steps": None}) == config
    assert done.train_faces == 210 and done.epochs == pytest.approx(done.config.steps * 16 / 210)
    assert done.val_faces == 70
    trained = load_classifier(done.checkpoint)
    assert trained.description["configuration"]["steps"] == done.config.steps
    assert done.chosen in read_json(project / "runs/timed/history.json")
    assert done.parameters == sum(value.numel() for value in build_model("thin_resnet10", 7, 1, 16).parameters())


def test_what_another_run_left_is_thrown_away(project, config, monkeypatch):
    monkeypatch.setattr(timed_training, "measure_pace", lambda *_: Pace(10.0, 1.0, 0.5))  # few steps on any machine
    faces = manifests.read(project / "manifests/faces")
    first = train_for(faces, config, project / "runs/timed", 1.0)
    assert first.config.steps == 5  # 58.2 s are left for 10 s each
    again = train_for(faces, config.model_copy(update={"seed": 1}), project / "runs/timed", 1.0)
    assert again.checkpoint == first.checkpoint
    assert load_classifier(again.checkpoint).description["configuration"]["seed"] == 1


def test_no_more_passes_than_asked_for_are_planned(project, config, monkeypatch):
    monkeypatch.setattr(timed_training, "measure_pace", lambda *_: Pace(0.1, 0.0, 0.0))
    faces = manifests.read(project / "manifests/faces")
    done = train_for(faces, config, project / "runs/timed", 1.0, most_epochs=1)
    assert done.config.steps == 210 // 16  # 581 would fit
    fewest = train_for(faces, config, project / "runs/timed", 1.0, most_epochs=0.01)
    assert fewest.config.steps == config.evaluations


def test_too_few_minutes_are_refused(project, config):
    faces = manifests.read(project / "manifests/faces")
    with pytest.raises(FerError, match="expected time for at least 2 steps in 0.0001 minutes, found time for 0"):
        train_for(faces, config, project / "runs/timed", 1e-4)


def test_without_validation_faces_nothing_is_trained(noise_manifest, config):
    alone = noise_manifest(["anger", "fear"], ["train", "test"])
    with pytest.raises(FerError, match="expected validation faces without twins in training, found none"):
        train_for(alone, config, alone.root / "runs/timed", 1.0)
    assert not (alone.root / "runs").exists()
