"""Train for so many minutes: time a few steps, then plan as many as fit, so that the schedule ends where time does."""

import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from classifier.data import Faces
from classifier.inference import probabilities
from classifier.models import FaceClassifier, build_model
from classifier.training import TrainConfig, train, training_faces
from fer_data.errors import FerError
from fer_data.files import read_json
from fer_data.manifest import Manifest
from fer_data.progress import SILENT, Reporter

RESERVE = 0.03  # of the minutes: for steps that turn out slower than those that were timed

_FIRST_STEPS = 4  # the very first are slow and only tell how many steps are worth timing
_TIMED_SHARE = 0.015  # of the minutes
_MOST_TIMED_SECONDS = 20.0
_JUDGED_FACES = 256  # of validation, when evaluations are timed


@dataclass(frozen=True)
class Pace:
    """How fast a configuration trains here.

    Attributes:
        step_seconds: one optimiser step, batch and augmentation included.
        evaluation_seconds: judging the validation faces once.
        fixed_seconds: what a run takes besides: hashing the faces, building the network, writing the checkpoint.
    """

    step_seconds: float
    evaluation_seconds: float
    fixed_seconds: float

    def steps_within(self, seconds: float, evaluations: int) -> int:
        """Optimiser steps that fit into so many seconds beside everything else; 0 or less where none does."""
        return int((seconds - self.fixed_seconds - evaluations * self.evaluation_seconds) / self.step_seconds)


@dataclass(frozen=True)
class TimedRun:
    """A training that was planned to fill its minutes.

    Attributes:
        checkpoint: for `classifier.prediction.load_classifier`.
        config: with the number of steps.
        pace: as it was measured beforehand.
        parameters: of the network.
        epochs: passes over the training faces.
        train_faces, val_faces: how many learnt from and chosen by.
        chosen: the evaluation whose weights were kept, as in `history.json`.
        training_seconds: the steps, and all evaluations but the last.
        seconds: everything, from the first look at the faces to the checkpoint, the timing of steps included.
    """

    checkpoint: Path
    config: TrainConfig
    pace: Pace
    parameters: int
    epochs: float
    train_faces: int
    val_faces: int
    chosen: dict[str, Any]
    training_seconds: float
    seconds: float


def train_for(
    manifest: Manifest,
    config: TrainConfig,
    run_dir: Path,
    minutes: float,
    reporter: Reporter = SILENT,
    *,
    most_epochs: float | None = None,
) -> TimedRun:
    """Train on a manifest's training split for so many minutes, all included; validation without twins chooses.

    A run that lies in `run_dir` is thrown away: what an interrupted one took cannot be told.

    Args:
        config: its `steps` and `epochs` are replaced.
        most_epochs: passes over the faces after which no more are planned, whatever time is left.

    Raises:
        FerError: too few steps fit into the minutes, no validation faces, or what
            `classifier.training.train_manifest` refuses.
    """
    started = time.perf_counter()
    faces, val, trained_on = training_faces(manifest, config)
    if val is None:
        raise FerError(
            f"{manifest.path}: expected validation faces without twins in training, found none; they choose the epoch"
        )
    pace = measure_pace(faces, val, manifest.labels, config, _TIMED_SHARE * 60 * minutes)
    left = (1 - RESERVE) * 60 * minutes - (time.perf_counter() - started)
    steps = pace.steps_within(left, config.evaluations)
    if steps < config.evaluations:
        raise FerError(
            f"{run_dir}: expected time for at least {config.evaluations} steps in {minutes:g} minutes, found time for "
            f"{max(steps, 0)} at {pace.step_seconds:.2f} s each; allow more minutes or fewer evaluations"
        )
    if most_epochs is not None:
        steps = min(steps, max(config.evaluations, int(most_epochs * len(faces) / config.batch_size)))
    if (run_dir / "run.json").is_file():
        shutil.rmtree(run_dir)
    planned = config.model_copy(update={"steps": steps})
    checkpoint = train(
        faces, val, manifest.labels, planned, run_dir, reporter, title=run_dir.name, trained_on=trained_on
    )
    seconds = time.perf_counter() - started
    model = build_model(config.model, len(manifest.labels), config.channels, config.size_px)
    return TimedRun(
        checkpoint,
        planned,
        pace,
        sum(value.numel() for value in model.parameters()),
        steps * config.batch_size / len(faces),
        len(faces),
        len(val),
        read_json(checkpoint / "classifier.json")["chosen"],
        read_json(run_dir / "history.json")[-1]["seconds"],
        seconds,
    )


def measure_pace(faces: Faces, val: Faces, labels: Sequence[str], config: TrainConfig, seconds: float) -> Pace:
    """Time a few steps of the very training, for about `seconds` and never much longer than 20.

    Args:
        faces: to train on.
        val: validation faces, of which a few are judged.
        labels: K names.
    """
    few = val.select(np.arange(len(val)) < _JUDGED_FACES)
    first, _ = _time_steps(faces, few, labels, config, _FIRST_STEPS)
    timed = max(_FIRST_STEPS, int(min(seconds, _MOST_TIMED_SECONDS) / first))
    step, around = _time_steps(faces, few, labels, config, timed)
    model = build_model(config.model, len(labels), config.channels, config.size_px)
    model = model.to(memory_format=torch.channels_last)
    evaluation = min(_seconds_to_judge(model, few, config) for _ in range(2))  # the first is slower
    return Pace(step, evaluation * len(val) / len(few), max(around - evaluation, 0.0))


def _seconds_to_judge(model: FaceClassifier, faces: Faces, config: TrainConfig) -> float:
    started = time.perf_counter()
    probabilities(model, faces.images, mirror=config.mirror_average)
    return time.perf_counter() - started


def _time_steps(
    faces: Faces, val: Faces, labels: Sequence[str], config: TrainConfig, steps: int
) -> tuple[float, float]:
    """Seconds of one step, and of everything around the steps, one evaluation included."""
    few = config.model_copy(update={"steps": steps, "evaluations": 1})
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        train(faces, val, labels, few, Path(folder) / "run")
        whole = time.perf_counter() - started
        trained = float(read_json(Path(folder) / "run" / "history.json")[0]["seconds"])
    return trained / steps, whole - trained
