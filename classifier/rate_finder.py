"""The learning rate that a training can bear, found in a few dozen steps.

The rate grows from step to step until the loss explodes. Smith, "Cyclical Learning Rates for Training Neural
Networks", WACV 2017, section 3.3: the largest rate worth having is where the loss stops falling. The peak that is
suggested keeps a factor of three from there, for the place where it is lowest is a matter of chance in a flat curve.
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from classifier.data import Faces
from classifier.recipe import TrainConfig
from classifier.run import Run
from classifier.trackers import open_accelerator
from classifier.training import cpu_threads, require_trainable
from fer_data.errors import FerError
from fer_data.files import atomic_file
from fer_data.progress import SILENT, Reporter

_LOWEST, _HIGHEST = 1e-5, 10.0
_MEMORY = 0.9  # of the smoothed loss, per step
_EXPLODED = 4.0  # times the lowest smoothed loss: no later rate will be better
_SAFE = 1 / 3  # of the rate with the lowest loss


@dataclass(frozen=True)
class RateCurve:
    """What was seen.

    Attributes:
        rates: learning rate of each step.
        losses: its loss, before the step.
        smoothed: mean of the losses so far, recent ones counting most.
        suggested: the peak learning rate to train with.
    """

    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    suggested: float

    def write(self, file: Path) -> Path:
        """Keep the curve as csv, a line for each step."""
        with atomic_file(file) as partial, partial.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(("learning_rate", "loss", "smoothed"))
            writer.writerows(zip(self.rates, self.losses, self.smoothed, strict=True))
        return file


def find_rate(
    train: Faces, labels: Sequence[str], config: TrainConfig, reporter: Reporter = SILENT, *, steps: int = 120
) -> RateCurve:
    """Try every learning rate between 1e-5 and 10 on the way, with the optimiser and the faces of a configuration.

    Args:
        train: faces to learn from, of the configuration's size and channels.
        labels: K names, the columns of the targets.
        steps: how many rates; the training stops earlier where the loss explodes.

    Raises:
        FerError: what `classifier.training.train` refuses of faces, or a loss that never falls.
    """
    plain = config.model_copy(update={"steps": steps, "ema": 0.0, "dynamics": 0, "start_px": None, "patience": None})
    require_trainable(train, None, labels, plain)
    rates: list[float] = []
    losses: list[float] = []
    smoothed: list[float] = []
    mean = 0.0
    with cpu_threads(config.threads), torch.random.fork_rng(), reporter.stage("find the rate", steps) as stage:
        run = Run(open_accelerator([], Path()), train, None, labels, plain, Path())
        run.model.train()
        for step in range(steps):
            rate = _LOWEST * (_HIGHEST / _LOWEST) ** (step / max(steps - 1, 1))
            loss = float(run.advance(rate))
            mean = _MEMORY * mean + (1 - _MEMORY) * loss
            now = mean / (1 - _MEMORY ** (step + 1))
            if not math.isfinite(loss) or (smoothed and now > _EXPLODED * min(smoothed)):
                break
            rates.append(rate)
            losses.append(loss)
            smoothed.append(now)
            stage.advance(1, f"rate {rate:.2g} loss {now:.3f}")
    best = min(range(len(smoothed)), key=smoothed.__getitem__, default=0)
    if not best:
        raise FerError(
            f"find-rate: expected a loss that falls at first, found none in {len(losses)} steps; take more steps, or "
            "look whether the labels fit the faces"
        )
    return RateCurve(rates, losses, smoothed, float(f"{_SAFE * rates[best]:.1g}"))
