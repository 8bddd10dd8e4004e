"""A generator as it stood at several moments of its training, and how long it had been trained by then."""

from dataclasses import dataclass
from pathlib import Path

from fer_data.errors import FerError
from fer_data.files import read_json
from generators.models import DESCRIPTION, describe_checkpoint
from generators.weights import read_tensors


@dataclass(frozen=True)
class Stage:
    """A checkpoint of a run.

    Attributes:
        steps: taken by then.
        minutes: that they took, at the mean pace of the whole run.
        training_faces: pictures that the generator was shown, repetitions included.
        losses: as the run's history has them at this step or before; empty where it has none.
    """

    checkpoint: Path
    steps: int
    minutes: float
    training_faces: int
    losses: dict[str, float]

    def as_dict(self) -> dict[str, float]:
        """What figures tell of it."""
        return {"steps": self.steps, "minutes": round(self.minutes, 1), "training_faces": self.training_faces}


def stages(run: Path) -> list[Stage]:
    """The snapshots and the checkpoint in a run folder, the earliest first; one of each number of steps.

    Raises:
        FerError: there is none, or the state of the training, which tells how long it took, is missing.
    """
    folders = [*run.glob("snapshot-*"), run / "checkpoint"]
    described = {describe_checkpoint(path)["steps"]: path for path in folders if (path / DESCRIPTION).is_file()}
    state = run / "state.safetensors"
    if not described or not state.is_file():
        found = "no checkpoint" if state.is_file() else "no state.safetensors"
        raise FerError(
            f"{run}: expected a run of fer train-generator with a snapshot or its checkpoint, found {found}; "
            "name the run folder"
        )
    note = read_tensors(state)[1]
    history = read_json(run / "history.json")
    return [
        Stage(
            checkpoint,
            steps,
            note["seconds"] / 60 * steps / note["steps"],
            steps * describe_checkpoint(checkpoint)["config"]["batch_size"],
            next((entry for entry in reversed(history) if entry["step"] <= steps), {}),
        )
        for steps, checkpoint in sorted(described.items())
    ]


def by_minute(found: list[Stage], minutes: float) -> Stage:
    """The last stage that was trained for no longer than so many minutes and a twentieth; else the first."""
    return next((stage for stage in reversed(found) if stage.minutes <= 1.05 * minutes), found[0])
