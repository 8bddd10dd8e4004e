"""How much faces of one set differ among themselves: a generator that repeats itself scores below real faces."""

import numpy as np

from generators.fidelity.estimates import Estimate, Floats, around, jackknife_error
from generators.fidelity.manifold import squared_distances

_BLOCK = 512
_PARTS = 10  # that the jackknife leaves out in turn


def mean_pairwise_distance(points: Floats) -> Estimate:
    """Mean Euclidean distance between two different faces of float32 [N, F], N at least 3.

    The interval is that of the jackknife over faces.
    """
    sums = np.zeros(len(points))
    for start in range(0, len(points), _BLOCK):
        distances = np.sqrt(squared_distances(points[start : start + _BLOCK], points))
        own = np.arange(start, min(start + _BLOCK, len(points)))
        distances[own - start, own] = 0  # rounding leaves a little
        sums[start : start + _BLOCK] = distances.sum(axis=1, dtype=np.float64)
    n = len(points)
    without = (sums.sum() - 2 * sums) / ((n - 1) * (n - 2))
    return around(float(sums.sum() / (n * (n - 1))), float(np.sqrt((n - 1) * np.var(without))), n)


def vendi_score(points: Floats) -> float:
    """How many entirely different faces would vary as much: 1 where all are the same, N where none are alike.

    Friedman & Dieng, "The Vendi Score", TMLR 2023, definition 3.1: the exponential of the entropy of the eigenvalues
    of the similarity matrix divided by N; similar is the cosine, whose matrix shares them with X'X / N.

    Args:
        points: float32 [N, F].
    """
    rows = points.astype(np.float64)
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    small = rows.T @ rows if rows.shape[1] < len(rows) else rows @ rows.T
    values = np.linalg.eigvalsh(small / len(rows))
    positive = values[values > 1e-12]
    return float(np.exp(-(positive * np.log(positive)).sum()))


def vendi_estimate(points: Floats, seed: int) -> Estimate:
    """The Vendi score of float32 [N, F], N at least 3; it grows with N, so compare equal counts."""
    random = np.random.default_rng(seed)
    error = jackknife_error(lambda rows: vendi_score(points[rows]), len(points), _PARTS, random)
    return around(vendi_score(points), error, len(points))
