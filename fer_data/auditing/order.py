"""Whether the order of a data set tells something about its faces: sorted, drifting, or cut from films.

Such an order misleads whoever takes the first rows for a sample, or cuts splits by position.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_data.auditing.evidence import Labels
from fer_data.auditing.neighbours import NOBODY

STRETCHES = 20  # of the data set, whose labels are compared
_SHUFFLES = 199
_ROWS = 5000  # faces whose neighbours are looked at
_NEAR = 0.01  # of the data set's length counts as near


@dataclass(frozen=True)
class Order:
    """What the order of N faces tells.

    Attributes:
        runs: how many times as often as in random order a face has the label of the face before it.
        runs_p: two-sided p value that the order of labels is random.
        drift: Cramér's V of label and stretch, 0 (the same labels everywhere) .. 1 (sorted by label).
        drift_p: p value of Pearson's chi-squared test that all stretches have the same labels.
        neighbours: how many times as often as in random order the nearest faces in feature space lie near each other
            in the data set; None without features.
        neighbours_p: one-sided p value of it, at least 1 / 200; None without features.
    """

    runs: float
    runs_p: float
    drift: float
    drift_p: float
    neighbours: float | None
    neighbours_p: float | None


def judge_order(labels: Labels, neighbours: Labels | None = None, seed: int = 0) -> Order:
    """Test whether labels, and where they are known the nearest faces, are in random order.

    Runs are tested by the number of equal neighbours in the sequence, whose mean and variance under random order are
    exact (Barton and David, "Multiple runs", Biometrika 44, 1957) and whose distribution is taken for normal. The test
    of neighbours is in the spirit of cleanlab's non-iid check, which compares the distances in the data set between
    nearest faces with those between all, by 25 shuffles under numpy's global seed; here up to 5,000 faces are
    shuffled 199 times under a seed of its own.

    Args:
        labels: int64 [N], in the order of the data set.
        neighbours: int64 [N, k], positions of the nearest faces in the same order, -1 for none.
        seed: of the shuffles.
    """
    runs, runs_p = _runs(labels)
    drift, drift_p = _drift(labels)
    near, near_p = (None, None) if neighbours is None else _neighbours(neighbours, seed)
    return Order(runs, runs_p, drift, drift_p, near, near_p)


def _runs(labels: Labels) -> tuple[float, float]:
    from scipy.stats import norm

    total = len(labels)
    counts = np.bincount(labels).astype(np.float64)
    if total < 4 or np.count_nonzero(counts) < 2:
        return 1.0, 1.0
    pairs = counts * (counts - 1)
    triples = pairs * (counts - 2)
    quadruples = (triples * (counts - 3)).sum() + pairs.sum() ** 2 - (pairs**2).sum()
    mean = pairs.sum() / total
    # Pairs of places that overlap in one, and those that are apart; E[R²] from falling factorials.
    overlapping = 2 * triples.sum() / (total * (total - 1))
    apart = quadruples / (total * (total - 1))
    variance = mean + overlapping + apart - mean**2
    equal = float((labels[1:] == labels[:-1]).sum())
    if variance <= 0 or mean <= 0:
        return 1.0, 1.0
    deviation = abs(equal - mean) / np.sqrt(variance)
    return float(equal / mean), float(min(1.0, 2 * norm.sf(deviation)))


def _drift(labels: Labels) -> tuple[float, float]:
    from scipy.stats import chi2

    stretches = min(STRETCHES, len(labels) // 20)
    if stretches < 2 or labels.min() == labels.max():
        return 0.0, 1.0
    classes = int(labels.max()) + 1
    stretch = np.arange(len(labels)) * stretches // len(labels)
    table = np.bincount(stretch * classes + labels, minlength=stretches * classes).reshape(stretches, classes)
    observed = table[:, table.any(axis=0)].astype(np.float64)
    expected = observed.sum(axis=1, keepdims=True) * observed.sum(axis=0) / len(labels)
    statistic = float(((observed - expected) ** 2 / expected).sum())
    least = min(observed.shape) - 1
    p_value = float(chi2.sf(statistic, (observed.shape[0] - 1) * (observed.shape[1] - 1)))
    return float(np.sqrt(statistic / (len(labels) * least))), p_value


def _neighbours(neighbours: Labels, seed: int) -> tuple[float | None, float | None]:
    rng = np.random.default_rng(seed)
    total = len(neighbours)
    rows = np.arange(total) if total <= _ROWS else rng.choice(total, _ROWS, replace=False)
    face, column = np.nonzero(neighbours[rows] != NOBODY)
    if not len(face):
        return None, None
    a, b = rows[face], neighbours[rows[face], column]
    window = max(1, round(_NEAR * total))

    def near(place: NDArray[np.int64]) -> float:
        return float((np.abs(place[a] - place[b]) <= window).mean())

    observed = near(np.arange(total))
    shuffled = np.array([near(rng.permutation(total)) for _ in range(_SHUFFLES)])
    p_value = (1 + np.count_nonzero(shuffled >= observed)) / (1 + _SHUFFLES)
    mean = float(shuffled.mean())
    return (observed / mean if mean > 0 else 1.0), float(p_value)
