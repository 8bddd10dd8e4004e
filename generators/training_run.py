"""The loop of a training: steps until a budget is spent, and all that a killed run needs to go on.

run_dir/state.safetensors   where a killed run goes on
run_dir/history.json        mean losses over the steps since the entry before
run_dir/sheet.png           every class under some conditions, as the generator stands
run_dir/sheets/<step>.png   the same, as it stood at intervals
run_dir/snapshot-<percent>/ the generator when that share of the budget was spent
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fer_data.errors import FerError
from fer_data.files import write_json
from fer_data.progress import Stage
from generators.contract import GeneratorConfig, Learner
from generators.devices import Devices
from generators.pixels import to_float
from generators.seeds import derived_seed
from generators.sheet import write_sheet
from generators.training_faces import TrainingFaces
from generators.weights import read_tensors, write_tensors

_RECORD_EVERY = 50  # steps between entries of the history


class TrainingRun:
    """A learner, its faces, and how far it has come; continues from the state that `run_dir` holds, if any.

    Args:
        publish: writes a checkpoint of the learner, as it stands after so many steps, into a folder.

    Attributes:
        steps: taken so far.
        seconds: that they took, over all runs: steps alone count, not sheets, snapshots or what a kill undid.
        history: mean losses by name over every 50 steps, with the last of them.
    """

    def __init__(
        self,
        learner: Learner,
        faces: TrainingFaces,
        config: GeneratorConfig,
        run_dir: Path,
        devices: Devices,
        publish: Callable[[Path, int], None],
    ) -> None:
        self._learner, self._faces, self._config = learner, faces, config
        self._run_dir, self._devices, self._publish = run_dir, devices, publish
        self.steps, self.seconds = 0, 0.0
        self.history: list[dict[str, float]] = []
        self._since_record: list[dict[str, float]] = []
        state = run_dir / "state.safetensors"
        if state.is_file():
            tensors, note = read_tensors(state)
            learner.load_state(tensors)
            self.steps, self.seconds = note["steps"], note["seconds"]
            self.history, self._since_record = note["history"], note["since_record"]

    def progress(self) -> float:
        """Share of the budget that is spent, 0..1."""
        if self._config.steps is not None:
            return min(1.0, self.steps / self._config.steps)
        return min(1.0, self.seconds / (60 * (self._config.minutes or 0)))

    def finish(self, stage: Stage) -> None:
        """Train until the budget is spent; the stage counts steps, or seconds where the budget is in minutes.

        Raises:
            FerError: the loss diverged, or the disk is full.
        """
        by_steps = self._config.steps is not None
        stage.advance(self.steps if by_steps else self.seconds, "resumed" if self.steps else "")
        while (before := self.progress()) < 1:
            started = time.monotonic()
            losses = self._step()
            took = self._devices.average({"seconds": time.monotonic() - started})["seconds"]
            self.seconds += took
            if self._devices.is_main:
                self._write(before)
            told = "  ".join(f"{name} {value:.3f}" for name, value in losses.items())
            stage.advance(1 if by_steps else took, told)
        if self._devices.is_main:
            rest = [self._entry()] if self._since_record else []  # fewer steps than other entries stand for
            write_json(self._run_dir / "history.json", [*self.history, *rest])
            write_sheet(self._run_dir / "sheet.png", self._learner.generator())

    def _step(self) -> dict[str, float]:
        pictures, conditions = self._faces.batch(self.steps, self._config)
        random = torch.Generator().manual_seed(derived_seed(self._config.seed, self.steps))
        losses = self._learner.step(to_float(pictures), conditions, self.progress(), random)
        if not all(math.isfinite(value) for value in losses.values()):
            raise FerError(
                f"training diverged at step {self.steps + 1}: expected finite losses, found {losses}; "
                "start again in another folder with a lower learning_rate"
            )
        self.steps += 1
        self._since_record.append(losses)
        if len(self._since_record) == _RECORD_EVERY:
            self.history.append(self._entry())
            self._since_record.clear()
        return losses

    def _entry(self) -> dict[str, float]:
        """The mean of every loss since the last entry of the history."""
        names = self._since_record[0]
        means = {name: float(np.mean([losses[name] for losses in self._since_record])) for name in names}
        return {"step": self.steps, **means}

    def _write(self, before: float) -> None:
        """What is due after this step. The state comes last: a run that resumes from it has written the rest."""
        if self.steps % self._config.sheet_every == 0:
            for path in (self._run_dir / "sheets" / f"{self.steps:08d}.png", self._run_dir / "sheet.png"):
                write_sheet(path, self._learner.generator())
        for share in self._config.snapshots:
            folder = self._run_dir / f"snapshot-{100 * share:g}"
            if before < share <= self.progress() and not folder.exists():
                self._publish(folder, self.steps)
        if self.steps % self._config.keep_every == 0:
            write_json(self._run_dir / "history.json", self.history)
            note: dict[str, Any] = {"steps": self.steps, "seconds": self.seconds}
            note |= {"history": self.history, "since_record": self._since_record}
            write_tensors(self._run_dir / "state.safetensors", self._learner.state(), note)
