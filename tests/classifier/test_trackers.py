import pytest
from interrupter import Interrupter
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from classifier import trackers
from classifier.training import train
from fer_data.errors import FerError
from fer_data.expressions import BASIC7


def scalars(run_dir) -> dict[str, list[int]]:
    """The steps of every curve that TensorBoard shows."""
    (folder,) = {file.parent for file in (run_dir / "tensorboard").rglob("events.*")}
    events = EventAccumulator(str(folder))
    events.Reload()
    return {name: [event.step for event in events.Scalars(name)] for name in events.Tags()["scalars"]}


def test_tensorboard_shows_every_evaluation(tmp_path, striped_faces, tiny):
    config = tiny.model_copy(update={"trackers": None, "steps": 8})
    train(striped_faces(70), striped_faces(14, 1), BASIC7, config, tmp_path / "run")
    curves = {"train/loss", "learning_rate", *(f"val/{name}" for name in trackers.SCORES)}
    assert scalars(tmp_path / "run") == {name: [2, 4, 6, 8] for name in curves}


def test_a_resumed_run_goes_on_with_the_same_curves(tmp_path, striped_faces, tiny):
    config = tiny.model_copy(update={"trackers": ("tensorboard",), "steps": 8})
    with pytest.raises(KeyboardInterrupt):
        train(striped_faces(70), None, BASIC7, config, tmp_path / "run", Interrupter(at=5))
    train(striped_faces(70), None, BASIC7, config, tmp_path / "run")
    assert scalars(tmp_path / "run")["train/loss"] == [2, 4, 6, 8]


def test_nothing_is_written_where_no_tracker_is_wanted(tmp_path, striped_faces, tiny):
    train(striped_faces(70), None, BASIC7, tiny.model_copy(update={"steps": 4}), tmp_path / "run")
    assert not (tmp_path / "run" / "tensorboard").exists()


def test_a_named_tracker_must_be_there_and_the_default_need_not(monkeypatch):
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    with pytest.raises(FerError, match="trackers: expected mlflow to be installed, found no such package"):
        trackers.installed_trackers(("mlflow",))
    assert trackers.installed_trackers(None) == []


def test_configurations_are_flat_for_trackers(tiny):
    flat = trackers._flat(tiny.model_dump(mode="json"))
    assert flat["augmentation.shift"] == 0.03 and flat["model"] == "thin_resnet10" and flat["weights"] == "None"
    assert all(isinstance(value, (int, float, str)) for value in flat.values())
