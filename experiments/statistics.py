"""Is a difference between two arms more than chance? Functions on arrays, for any metric of a confusion matrix.

The uncertainty has two sources, the test faces and the training seeds, and they are crossed: every seed's model
answers every test face. Both are resampled at once (Owen, "The pigeonhole bootstrap", Annals of Applied Statistics
1(2), 2007), faces by their groups where groups are given. Arms share the draws and the seeds, so that differences
are paired. What faces and seeds vary together is counted twice, so intervals err on the wide side. Of S seeds S - 1
are drawn, which makes the variance that a few seeds contribute unbiased (McCarthy & Snowden, "The bootstrap and
finite population sampling", 1985; Rao & Wu, JASA 83, 1988).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from fer_data.errors import FerError

Array = NDArray[np.float64]
Metric = Callable[[Array], Array]

_CHUNK = 256  # resamples held as a weight matrix at a time
_FEW = 10  # resamples beyond zero, with the data themselves, that are too few to be a share


def confusion_counts(truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> Array:
    """Confusion matrices, float64 [..., K, K], rows truth, columns predicted.

    Args:
        truth: class indices [N] in 0..K-1.
        predicted: class indices [..., N] in 0..K-1, any number of runs.
    """
    runs = predicted.reshape(-1, len(truth))
    cells = truth * classes + runs
    counts = [np.bincount(cell, minlength=classes * classes) for cell in cells]
    return np.asarray(counts, dtype=np.float64).reshape(*predicted.shape[:-1], classes, classes)


def accuracy(confusion: Array) -> Array:
    """Share of faces on the diagonal, [...] from [..., K, K]."""
    return np.trace(confusion, axis1=-2, axis2=-1) / confusion.sum(axis=(-2, -1))


def recalls(confusion: Array) -> Array:
    """Recall of each class, [..., K]; NaN where a class has no faces."""
    faces = confusion.sum(axis=-1)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    return np.divide(hits, faces, out=np.full(hits.shape, np.nan), where=faces > 0)


def balanced_accuracy(confusion: Array) -> Array:
    """Mean recall over the classes that have faces, [...]."""
    return np.nanmean(recalls(confusion), axis=-1)


def macro_f1(confusion: Array) -> Array:
    """Mean F1 over the classes that have faces, [...]; F1 is 0 where a class was never found."""
    faces = confusion.sum(axis=-1)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    f1 = np.divide(2 * hits, faces + confusion.sum(axis=-2), out=np.full(hits.shape, np.nan), where=faces > 0)
    return np.nanmean(f1, axis=-1)


METRICS: Mapping[str, Metric] = MappingProxyType(
    {"balanced_accuracy": balanced_accuracy, "accuracy": accuracy, "macro_f1": macro_f1}
)


def recall_of(index: int) -> Metric:
    """The metric "recall of class `index`"."""
    return lambda confusion: recalls(confusion)[..., index]


@dataclass(frozen=True)
class Interval:
    """A figure with its uncertainty, in the unit of the metric (shares, 0..1; differences, -1..1).

    Attributes:
        value: of the data as they are, the mean over seeds; NaN where a class that it needs has no faces.
        low, high: 95 % percentile interval of the resamples.
        standard_error: standard deviation of the resamples.
    """

    value: float
    low: float
    high: float
    standard_error: float


@dataclass(frozen=True)
class Difference(Interval):
    """A difference between two arms.

    Attributes:
        p_value: two-sided, that there is none: twice the smaller share of resamples on either side of zero, the
            data themselves counted as one resample (Davison & Hinkley, "Bootstrap Methods", 1997, section 4.2). Where
            fewer than ten lie there, the normal tail at their standard error says more than a count: among hundreds
            of comparisons a p that cannot fall below 1 in B would hide what is there.
        smallest_effect: what this design would have found with 80 % power.
    """

    p_value: float
    smallest_effect: float


@dataclass(frozen=True)
class Measured:
    """A metric of every arm and seed, as it is and resampled; levels and differences are told without computing again.

    Attributes:
        observed: float64 [A, S].
        resampled: float64 [B, A, S]; NaN where a resample has no face that the metric needs.
        seed_weights: float64 [B, S], rows sum to 1.

    Both may have one more axis, of classes; `of` takes one of them.
    """

    observed: Array
    resampled: Array
    seed_weights: Array

    def of(self, index: int) -> "Measured":
        """One class."""
        return Measured(self.observed[..., index], self.resampled[..., index], self.seed_weights)

    def level(self, arm: int) -> Interval:
        """One arm, averaged over seeds."""
        return level_of(self.observed[arm], self.resampled[:, arm], self.seed_weights)

    def difference(self, before: int, after: int) -> Difference:
        """Arm `after` less arm `before`, paired by seed and by face."""
        observed = self.observed[after] - self.observed[before]
        return difference_of(observed, self.resampled[:, after] - self.resampled[:, before], self.seed_weights)


@dataclass(frozen=True)
class Bootstrap:
    """Confusion matrices of all arms and seeds, as they are and resampled.

    Attributes:
        observed: float64 [A, S, K, K].
        resampled: float32 [B, A, S, K, K]; whole counts, so exact.
        seed_weights: float64 [B, S], rows sum to 1.
    """

    observed: Array
    resampled: NDArray[np.float32]
    seed_weights: Array

    def measure(self, metric: Metric) -> Measured:
        """A metric of every arm."""
        arms = range(len(self.observed))
        resampled = np.stack([metric(self.resampled[:, arm].astype(np.float64)) for arm in arms], axis=1)
        return Measured(metric(self.observed), resampled, self.seed_weights)

    def level(self, metric: Metric, arm: int) -> Interval:
        """A metric of one arm, averaged over seeds."""
        return self._of([arm]).measure(metric).level(0)

    def difference(self, metric: Metric, before: int, after: int) -> Difference:
        """A metric of arm `after` less that of arm `before`, paired by seed and by face."""
        return self._of([before, after]).measure(metric).difference(0, 1)

    def _of(self, arms: list[int]) -> "Bootstrap":
        return Bootstrap(self.observed[arms], self.resampled[:, arms], self.seed_weights)


def level_of(observed: Array, resampled: Array, seed_weights: Array) -> Interval:
    """A figure with its uncertainty, from its values as they are and resampled.

    Args:
        observed: float64 [S], one value per seed.
        resampled: float64 [B, S]; NaN where a resample has no face that the figure needs: left out.
        seed_weights: float64 [B, S], rows sum to 1, see `draw_seed_weights`.
    """
    return Interval(*_summary(observed, _means(resampled, seed_weights)))


def difference_of(observed: Array, resampled: Array, seed_weights: Array) -> Difference:
    """The same for a figure that is a difference of two arms; arguments as for `level_of`."""
    means = _means(resampled, seed_weights)
    summary = _summary(observed, means)
    return Difference(*summary, p_value=_two_sided(means), smallest_effect=smallest_effect(summary[-1]))


def bootstrap(
    truth: NDArray[np.int64],
    predicted: NDArray[np.int64],
    classes: int,
    *,
    resamples: int,
    generator: np.random.Generator,
    groups: NDArray[np.int64] | None = None,
) -> Bootstrap:
    """Resample test faces and seeds together, once for all arms and metrics.

    Args:
        truth: class indices [N] in 0..K-1.
        predicted: class indices [A, S, N]: arms, seeds (paired across arms), faces.
        classes: K.
        resamples: B; 2,000 settles the ends of an interval to about a tenth of a standard error.
        generator: draws everything; the same state gives the same result to the last bit.
        groups: ids [N] of faces that are not independent (one subject, one picture twice): drawn together.

    Raises:
        FerError: there are no faces, or fewer than 100 resamples.
    """
    arms, seeds, faces = predicted.shape
    if faces == 0:
        raise FerError("statistics: expected test faces to resample, found none; check the test split's labels")
    if resamples < 100:
        raise FerError(f"bootstrap: expected at least 100 resamples for a 95 % interval, found {resamples}")
    unit, units = (np.arange(faces), faces) if groups is None else group_index(groups)
    runs = truth * classes + predicted.reshape(arms * seeds, faces)
    cells = np.zeros((arms * seeds, classes * classes, units), dtype=np.float32)
    for run, cell in enumerate(runs):
        np.add.at(cells[run], (cell, unit), 1)
    flat = cells.reshape(-1, units).T
    resampled = np.empty((resamples, arms, seeds, classes, classes), dtype=np.float32)
    for start in range(0, resamples, _CHUNK):
        size = min(_CHUNK, resamples - start)
        weights = np.stack([np.bincount(generator.integers(units, size=units), minlength=units) for _ in range(size)])
        # Whole numbers below 2^24: the product is exact in float32 whatever the order of summation.
        resampled[start : start + size] = (weights.astype(np.float32) @ flat).reshape(size, *resampled.shape[1:])
    return Bootstrap(
        confusion_counts(truth, predicted, classes), resampled, draw_seed_weights(seeds, resamples, generator)
    )


def mcnemar(right_before: NDArray[np.bool_], right_after: NDArray[np.bool_]) -> tuple[int, int, float]:
    """Exact McNemar test that two models are right equally often on the same faces (McNemar 1947).

    Args:
        right_before, right_after: [N], whether each model was right.

    Returns:
        Faces only `before` got right, faces only `after` got right, two-sided p of the binomial with 1/2.
    """
    lost = int(np.sum(right_before & ~right_after))
    won = int(np.sum(~right_before & right_after))
    p_value = min(1.0, 2 * float(stats.binom.cdf(min(lost, won), lost + won, 0.5))) if lost + won else 1.0
    return lost, won, p_value


def smallest_effect(standard_error: float, power: float = 0.8, level: float = 0.05) -> float:
    """The smallest true difference that a two-sided test at `level` finds with probability `power`."""
    return float(stats.norm.ppf(1 - level / 2) + stats.norm.ppf(power)) * standard_error


def group_index(groups: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Groups counted from 0, int64 [N], and how many there are."""
    names, index = np.unique(groups, return_inverse=True)
    return index, len(names)


def draw_seed_weights(seeds: int, resamples: int, generator: np.random.Generator) -> Array:
    """How much each seed counts in each resample, float64 [B, S], rows sum to 1: of S seeds S - 1 are drawn."""
    if seeds == 1:
        return np.ones((resamples, 1))
    drawn = generator.multinomial(seeds - 1, np.full(seeds, 1 / seeds), size=resamples)
    return drawn / (seeds - 1)


def _means(resampled: Array, seed_weights: Array) -> Array:
    """Weighted means over seeds, from [B, S]. A resample without any face of a class has no recall of it."""
    means = np.sum(seed_weights * resampled, axis=1)
    return means[np.isfinite(means)]


def _summary(observed: Array, means: Array) -> tuple[float, float, float, float]:
    if len(means) == 0 or not np.isfinite(observed).all():
        return (float("nan"),) * 4
    low, high = np.quantile(means, [0.025, 0.975])
    return float(np.mean(observed)), float(low), float(high), float(np.std(means))


def _two_sided(means: Array) -> float:
    if len(means) == 0:
        return float("nan")
    beyond = min(np.sum(means <= 0), np.sum(means >= 0)) + 1
    share = float(min(1.0, 2 * beyond / (len(means) + 1)))
    spread = float(np.std(means))
    if beyond > _FEW or spread == 0:
        return share
    return min(share, 2 * float(stats.norm.sf(abs(float(np.mean(means))) / spread)))
