"""How well a score ranks wrong labels first, for many weightings of the faces at once.

A resample of a bootstrap is a weight per face, so every figure here takes weights float64 [N, B], B weightings at
once: one sort serves all of them. Faces with equal scores are one step of the curve, as scikit-learn has it, and a
list of the first k that ends inside such a step takes its share of it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Steps:
    """The faces from the lowest score up, added together where scores are equal.

    Attributes:
        hits: float64 [T, B], weight of the wrong labels among the first t steps.
        faces: float64 [T, B], weight of all faces among them.
    """

    hits: Array
    faces: Array


def steps(score: Array, hit: Bools, weights: Array) -> Steps:
    """Walk down a ranking.

    Args:
        score: float64 [N], low = bad, ranked first.
        hit: bool [N], what is looked for.
        weights: float64 [N, B], at least 0.
    """
    order = np.argsort(score, kind="stable")
    ordered, drawn = score[order], weights[order]
    faces, hits = np.cumsum(drawn, axis=0), np.cumsum(drawn * hit[order, None], axis=0)
    ends = np.append(ordered[1:] != ordered[:-1], True)
    return Steps(hits, faces) if ends.all() else Steps(hits[ends], faces[ends])


def average_precision(curve: Steps) -> Array:
    """Area under precision and recall, step by step, [B]; NaN without anything to find.

    The sum of precision times the recall gained, as scikit-learn's `average_precision_score`.
    """
    gained = np.diff(curve.hits, axis=0, prepend=0)
    precision = np.divide(curve.hits, curve.faces, out=np.zeros_like(curve.hits), where=curve.faces > 0)
    return _share((gained * precision).sum(axis=0), curve.hits[-1])


def roc_area(curve: Steps) -> Array:
    """Chance that a wrong label ranks before a right one, ties counting half, [B]; NaN without one of either."""
    misses = curve.faces - curve.hits
    before = curve.hits - np.diff(curve.hits, axis=0, prepend=0) / 2
    pairs = (np.diff(misses, axis=0, prepend=0) * before).sum(axis=0)
    return _share(pairs, curve.hits[-1] * misses[-1])


def found(curve: Steps, first: Array) -> Array:
    """How much of what is looked for the first faces hold, float64 [M, B].

    Args:
        first: float64 [M, B], how many faces are looked at; more than there are hold all.
    """
    columns = range(curve.faces.shape[1])
    none = np.zeros((1, curve.faces.shape[1]))
    faces, hits = np.concatenate([none, curve.faces]), np.concatenate([none, curve.hits])
    return np.stack([np.interp(first[:, column], faces[:, column], hits[:, column]) for column in columns], axis=1)


def precision_at(curve: Steps, first: NDArray[np.int64]) -> Array:
    """Share of wrong labels among the first faces, float64 [M, B]; NaN where a weighting has fewer faces."""
    wanted = np.broadcast_to(first.astype(np.float64)[:, None], (len(first), curve.faces.shape[1]))
    return np.where(wanted <= curve.faces[-1], found(curve, wanted) / wanted, np.nan)


def precision_at_errors(curve: Steps) -> Array:
    """Share of wrong labels among as many faces as there are wrong labels, [B]; NaN without any."""
    found_then: Array = found(curve, curve.hits[-1:])[0]
    return _share(found_then, curve.hits[-1])


def _share(part: Array, whole: Array) -> Array:
    return np.asarray(np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0))
