"""What the audit as a user gets it does: its cut, its policies, its noise matrix, its order of review."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments import statistics
from experiments.audit_benchmark.paired import Draws, figures, numbers
from experiments.audit_benchmark.truth import Truth

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Labels = NDArray[np.int64]

DROPPED = -1


def share(part: Bools, whole: Bools, truth: Truth, draws: Draws) -> dict[str, Any]:
    """How much of some judged faces is also in a part, with its interval over resampled groups.

    Args:
        part, whole: bool [N]; `part` counts only inside `whole`.
    """
    own, all_ = (part & whole)[truth.judged].astype(np.float64), whole[truth.judged].astype(np.float64)
    starts = range(0, draws.resamples, draws.chunk)
    drawn = [(own @ weights, all_ @ weights) for weights in (draws.weights(start, truth.judged) for start in starts)]
    top, bottom = (np.concatenate(column) for column in zip(*drawn, strict=True))
    resampled = np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0)
    observed = np.array([own.sum() / all_.sum() if all_.sum() else np.nan])
    entry = statistics.level_of(observed, resampled[:, None], np.ones((len(resampled), 1)))
    return numbers({**asdict(entry), "faces": int(all_.sum())})


def judge_marks(marked: Bools, truth: Truth, draws: Draws) -> dict[str, Any]:
    """Precision and recall of a cut without a person, overall and per given label.

    Precision is of the marked faces with a clear majority; what the others are is counted beside it.

    Args:
        marked: bool [N].
    """

    def rates(rows: Bools) -> dict[str, Any]:
        return {
            "precision": share(truth.wrong, marked & truth.clear & rows, truth, draws),
            "recall": share(marked, truth.wrong & rows, truth, draws),
        }

    every = np.ones(len(truth), dtype=bool)
    return {
        "marked": int((marked & truth.judged).sum()),
        "marked_ambiguous": int((marked & truth.ambiguous).sum()),
        "marked_unknown_or_not_a_face": int((marked & (truth.unknown | truth.not_a_face)).sum()),
        **rates(every),
        "per_class": {name: rates(truth.given == code) for code, name in enumerate(truth.names)},
    }


def judge_policy(labels: Labels, truth: Truth, draws: Draws) -> dict[str, Any]:
    """How often an automatic policy is right.

    Args:
        labels: int64 [N], what the policy makes of the given labels: an index, or `DROPPED`.
    """
    dropped = truth.judged & (labels == DROPPED)
    changed = truth.judged & (labels != truth.given) & ~dropped
    right = changed & (labels == truth.index)
    kept = truth.clear & ~dropped
    return {
        "relabelled": int(changed.sum()),
        "dropped": int(dropped.sum()),
        "right_of_relabelled": share(right, changed & truth.clear, truth, draws),
        "right_of_relabelled_if_unclear_is_wrong": share(right, changed, truth, draws),
        "wrong_of_dropped": share(truth.wrong, dropped & truth.clear, truth, draws),
        "error_rate_before": share(truth.wrong, truth.clear, truth, draws),
        "error_rate_after": share(labels != truth.index, kept, truth, draws),
    }


def true_noise(truth: Truth) -> tuple[Array, Array]:
    """Given × true by the voters, over clear faces whose majority is in the label set: joint and conditional, [K, K].

    The row of a label that no such face is given is NaN in the conditional matrix.
    """
    classes = len(truth.names)
    rows = truth.clear & (truth.index >= 0)
    counts = np.bincount(truth.given[rows] * classes + truth.index[rows], minlength=classes**2).astype(np.float64)
    joint = counts.reshape(classes, classes)
    given = joint.sum(axis=1, keepdims=True)
    conditional = np.divide(joint, given, out=np.full(joint.shape, np.nan), where=given > 0)
    return joint / max(joint.sum(), 1), conditional


def judge_noise(estimate: Mapping[str, Mapping[str, Array]], truth: Truth) -> dict[str, Any]:
    """How far an estimated noise matrix is from the voters', and how many of its intervals hold theirs.

    Args:
        estimate: "joint" and "conditional", each with value, low and high, float64 [K, K], row = given label.
    """
    result: dict[str, Any] = {}
    for name, true in zip(("joint", "conditional"), true_noise(truth), strict=True):
        told = {part: np.asarray(matrix, dtype=np.float64) for part, matrix in estimate[name].items()}
        known = np.isfinite(true) & np.isfinite(told["value"])
        inside = (told["low"] - 1e-9 <= true) & (true <= told["high"] + 1e-9)
        result[name] = {
            "mean_absolute_error": float(np.abs(told["value"] - true)[known].mean()),
            "largest_error": float(np.abs(told["value"] - true)[known].max()),
            "coverage": float(inside[known].mean()),
            "cells": int(known.sum()),
            "estimated": _rows(told["value"]),
            "low": _rows(told["low"]),
            "high": _rows(told["high"]),
            "voters": _rows(true),
        }
    return result


def judge_order(rank: NDArray[np.int64], truth: Truth) -> dict[str, float]:
    """What a reviewer finds who looks at the faces in this order: counts by budget.

    Args:
        rank: int64 [N], 1 = looked at first.
    """
    found = figures(rank.astype(np.float64), truth, np.ones((int(truth.judged.sum()), 1)), classes=False)
    return {name: float(value[0]) for name, value in found.items() if "_in_" in name}


def worst_faces(score: Array, sample_ids: NDArray[np.object_], truth: Truth, count: int) -> list[str]:
    """Ids of the judged faces with the lowest scores."""
    rows = np.flatnonzero(truth.judged)
    return [str(sample_ids[row]) for row in rows[np.argsort(score[rows], kind="stable")][:count]]


def _rows(matrix: Array) -> list[list[float | None]]:
    return [[float(cell) if np.isfinite(cell) else None for cell in row] for row in matrix]
