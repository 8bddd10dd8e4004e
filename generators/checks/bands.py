"""What is usual among real faces: of any number that tells something of a face, the band that real faces lie in.

The distance of a face to its class is one such number. Both ends of its band mean something: too far is unlike any
real face of the class, too near is a caricature, more like the class than the class itself is. Near alone is no
fault, since real faces lie near too; only what almost no real face does is outside.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_BLOCK = 256  # rows compared at once


@dataclass(frozen=True)
class Band:
    """The values of R real faces, and where what is unusual begins.

    Attributes:
        reference: float64 [R], sorted.
        low, high: a value below or above these is outside; infinite where R is less than 2, so that nothing is.
    """

    reference: NDArray[np.float64]
    low: float
    high: float

    def score(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """How usual each value is, 0..1: twice the share of real faces beyond it, on the side where that is less."""
        count = len(self.reference)
        if not count:
            return np.ones(len(values))
        up_to = np.searchsorted(self.reference, values, side="right") / count
        from_here = 1 - np.searchsorted(self.reference, values, side="left") / count
        scores: NDArray[np.float64] = np.minimum(1.0, 2 * np.minimum(up_to, from_here))
        return scores


def fit_band(values: NDArray[np.floating], below: float, above: float) -> Band:
    """The band that at most the share `below` of the values lies under, and at most the share `above` over.

    Where that share is less than one of the values, their extremes say too little: fresh real faces would lie beyond
    them more often than that. The end is then where a normal distribution has it, if that is farther out.

    Args:
        values: float [R]; infinite ones tell nothing and are left out.
        below, above: 0..1, less than 1; 0 leaves that end open.
    """
    reference = np.sort(values[np.isfinite(values)].astype(np.float64))
    return Band(reference, -_upper_end(-reference[::-1], below), _upper_end(reference, above))


def _upper_end(reference: NDArray[np.float64], share: float) -> float:
    """Where values, sorted float64 [R], begin to be unusually large."""
    count = len(reference)
    if count < 2 or not share:
        return np.inf
    beyond = int(share * (count + 1))  # a fresh value exceeds the k-th largest of n with probability k / (n + 1)
    if beyond:
        return float(reference[count - beyond])
    spread = float(reference.std(ddof=1)) * math.sqrt(1 + 1 / count)
    return max(float(reference[-1]), float(reference.mean()) + student_quantile(1 - share, count - 1) * spread)


def student_quantile(share: float, freedom: int) -> float:
    """The quantile of Student's t, from the normal one (Abramowitz & Stegun, 1964, 26.7.5); too small below 3."""
    z = NormalDist().inv_cdf(share)
    corrections = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + sum(term / freedom**order for order, term in enumerate(corrections, 1))


def class_distances(
    features: Floats,
    faces: Floats,
    neighbours: int,
    groups: NDArray[np.int64] | None = None,
    face_groups: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """Mean Euclidean distance to the nearest faces of a class, float64 [N]; infinite where there are none.

    Args:
        features: float32 [N, F], unit vectors.
        faces: float32 [M, F], unit vectors of the class's training faces.
        neighbours: how many of them; at most a quarter of M, so that leaving a face itself out changes little.
        groups, face_groups: int64 [N] and [M]; a face is not compared with faces of its own group.
    """
    distances = np.full(len(features), np.inf)
    if not len(faces):
        return distances
    nearest = min(neighbours, max(1, len(faces) // 4))
    for start in range(0, len(features), _BLOCK):
        rows = slice(start, start + _BLOCK)
        block = np.sqrt(np.maximum(2 - 2 * (features[rows] @ faces.T), 0))
        if groups is not None and face_groups is not None:
            block[groups[rows, None] == face_groups[None]] = np.inf
        distances[rows] = np.partition(block, nearest - 1, axis=1)[:, :nearest].mean(axis=1)
    return distances
