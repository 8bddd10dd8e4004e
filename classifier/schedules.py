"""Learning rates over a training: every schedule a function of the step alone, so that a resumed run needs no state."""

import math
from typing import Literal

Schedule = Literal["one_cycle", "cosine"]


def learning_rate_at(step: int, steps: int, peak: float, warmup: float, schedule: Schedule = "one_cycle") -> float:
    """The learning rate of one step.

    `one_cycle`: from a 25th of the peak up to it, then down to almost nothing, along half cosines. Smith & Topin,
    "Super-Convergence", 2018, in the two-phase form of fast.ai.
    `cosine`: a straight line up to the peak, then half a cosine to nothing. Loshchilov & Hutter, "SGDR", ICLR 2017,
    without restarts.

    Args:
        step: 0..steps - 1.
        steps: of the whole training.
        peak: the highest rate.
        warmup: share of the steps before the peak, 0..1.
    """
    rising = warmup * steps
    if step < rising:
        if schedule == "cosine":
            return peak * (step + 1) / (rising + 1)
        return _half_cosine(peak / 25, peak, step / rising)
    low = 0.0 if schedule == "cosine" else peak / 1e4
    return _half_cosine(peak, low, (step - rising) / max(steps - rising, 1))


def _half_cosine(start: float, end: float, share: float) -> float:
    return start + (end - start) * (1 - math.cos(math.pi * share)) / 2
