"""A figure with its interval, and the ways to get one: Wilson for shares, the jackknife for everything else."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_data.intervals import wilson

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Rows = NDArray[np.int64]

_NORMAL_95 = 1.959964


@dataclass(frozen=True)
class Estimate:
    """A measured figure.

    Attributes:
        value: the figure.
        low, high: its 95 % interval; None where one has no meaning.
        count: the faces that it rests on.
    """

    value: float
    low: float | None
    high: float | None
    count: int

    @property
    def standard_error(self) -> float | None:
        """Of a figure whose interval is the normal one."""
        return None if self.low is None or self.high is None else (self.high - self.low) / (2 * _NORMAL_95)

    def as_dict(self) -> dict[str, Any]:
        return {"value": self.value, "low": self.low, "high": self.high, "count": self.count}


def share(hits: NDArray[np.bool_]) -> Estimate:
    """The share of hits among bool [N], N at least 1, with Wilson's interval."""
    low, high = wilson(int(hits.sum()), len(hits))
    return Estimate(float(hits.mean()), float(low), float(high), len(hits))


def mean(values: Doubles) -> Estimate:
    """The mean of float64 [N], N at least 2, with the normal interval."""
    error = float(values.std(ddof=1) / np.sqrt(len(values)))
    return around(float(values.mean()), error, len(values))


def around(value: float, standard_error: float, count: int) -> Estimate:
    """The normal interval around a value."""
    half = _NORMAL_95 * standard_error
    return Estimate(value, value - half, value + half, count)


def median(values: Doubles) -> Estimate:
    """The median of float64 [N], N at least 1, with the order statistics that enclose it in 95 % of samples."""
    ordered = np.sort(values)
    reach = _NORMAL_95 * np.sqrt(len(values)) / 2
    low, high = np.clip([len(values) / 2 - reach, len(values) / 2 + reach], 0, len(values) - 1)
    return Estimate(
        float(np.median(ordered)), float(ordered[int(low)]), float(ordered[int(np.ceil(high))]), len(values)
    )


def jackknife_error(statistic: Callable[[Rows], float], count: int, groups: int, random: np.random.Generator) -> float:
    """Standard error of a statistic of `count` rows by leaving out one of `groups` random parts at a time.

    The delete-a-group jackknife (Quenouille, Biometrika 43, 1956; Kott, Journal of Official Statistics 17, 2001):
    unlike the bootstrap it repeats no row, which distances between sets would take for likeness.

    Args:
        statistic: takes the rows that stay, int64 [M], ascending.
    """
    parts = np.array_split(random.permutation(count), min(groups, count))
    without = [statistic(np.setdiff1d(np.arange(count), part, assume_unique=True)) for part in parts]
    return float(np.sqrt((len(parts) - 1) * np.var(without)))


def some(count: int, limit: int, random: np.random.Generator) -> Rows:
    """All rows 0..count-1, or `limit` of them at random, ascending."""
    if count <= limit:
        return np.arange(count)
    return np.sort(random.choice(count, limit, replace=False))
