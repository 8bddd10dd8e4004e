"""Where the losses and scores of a run are shown while it goes on: TensorBoard, W&B, MLflow or trackio."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from accelerate import Accelerator
from accelerate.utils import ProjectConfiguration

from fer_data.errors import FerError

Tracker = Literal["tensorboard", "wandb", "mlflow", "trackio"]

PROJECT = "fer-data-studio"
SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "cross_entropy")


def installed_trackers(named: Sequence[Tracker] | None) -> list[Tracker]:
    """The trackers that were named; where none were, TensorBoard if it is installed.

    Raises:
        FerError: one that was named is not installed.
    """
    if named is None:
        return ["tensorboard"] if find_spec("tensorboard") else []
    missing = [name for name in named if not find_spec(name)]
    if missing:
        raise FerError(f"trackers: expected {missing[0]} to be installed, found no such package; pip install it")
    return list(dict.fromkeys(named))


def open_accelerator(trackers: Sequence[Tracker], run_dir: Path) -> Accelerator:
    """What `accelerate launch` gave this process, or else this machine's GPU, or else its CPU."""
    folders = ProjectConfiguration(project_dir=str(run_dir), logging_dir=str(run_dir / "tensorboard"))
    return Accelerator(log_with=list(trackers) or None, project_config=folders)


@contextlib.contextmanager
def tracking(
    accelerator: Accelerator, trackers: Sequence[Tracker], run_dir: Path, step: int, configuration: Mapping[str, Any]
) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Inside, a function that takes an entry of a run's history to every tracker.

    Only the main process tells anything; W&B and trackio ask for an account or not as their own settings say.

    Args:
        step: from which the run goes on; what TensorBoard has of later steps is taken back.
        configuration: JSON-able, shown beside the run.
    """
    options: dict[str, dict[str, Any]] = {
        "tensorboard": {"purge_step": step + 1},
        "wandb": {"name": run_dir.name, "dir": str(run_dir)},
        "mlflow": {"run_name": run_dir.name},
        "trackio": {"name": run_dir.name},
    }
    accelerator.init_trackers(PROJECT, init_kwargs={name: options[name] for name in trackers})
    try:
        for tracker in accelerator.trackers:
            if tracker.name != "tensorboard":  # it would open a folder for every start of the run
                tracker.store_init_configuration(_flat(configuration))
        yield lambda entry: accelerator.log(_scalars(entry), step=entry["step"])
    finally:
        for tracker in accelerator.trackers:
            tracker.finish()  # `end_training` would also part the processes, which have more to do


def _scalars(entry: Mapping[str, Any]) -> dict[str, float]:
    shown = {"train/loss": entry["train_loss"], "learning_rate": entry["learning_rate"]}
    return shown | {f"val/{name}": entry["val"][name] for name in SCORES if "val" in entry}


def _flat(configuration: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested keys as one, with dots; what is no number, word or truth value as words."""
    flat: dict[str, Any] = {}
    for key, value in configuration.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{before}{key}.")
        else:
            flat[before + key] = value if isinstance(value, (int, float, str)) else str(value)
    return flat
