"""The metrics of `classifier.metrics` for many weightings of the same faces at once, as a bootstrap needs them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from classifier.confidence import BINS, bin_of

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Measures = dict[str, Floats]


def measure(truth: Integers, probabilities: Floats, labels: Sequence[str], weights: Floats) -> Measures:
    """Every metric under every weighting; with weights of 1, what `classifier.metrics.evaluate` tells.

    Args:
        truth: int [N] in 0..K-1.
        probabilities: float64 [N, K], rows sum to 1.
        labels: K names.
        weights: float64 [B, N], how often each face counts; every row has a face that counts.

    Returns:
        accuracy, balanced_accuracy, macro_f1, cross_entropy, brier, ece, and precision:, recall:, f1: and
        average_precision: of every label; each float64 [B], NaN where it is not defined.
    """
    classes, total = len(labels), weights.sum(axis=1)
    predicted = probabilities.argmax(axis=1)
    cells = np.zeros((len(truth), classes * classes))
    cells[np.arange(len(truth)), truth * classes + predicted] = 1
    matrix = (weights @ cells).reshape(-1, classes, classes)
    hits, actual, found = np.diagonal(matrix, axis1=1, axis2=2), matrix.sum(axis=2), matrix.sum(axis=1)
    with np.errstate(invalid="ignore"):
        recall, precision, f1 = hits / actual, hits / found, 2 * hits / (actual + found)
    own = probabilities[np.arange(len(truth)), truth]
    squared = (probabilities**2).sum(axis=1) - 2 * own + 1
    measures = {
        "accuracy": hits.sum(axis=1) / total,
        "balanced_accuracy": _mean_where(recall, actual > 0),
        "macro_f1": _mean_where(f1, actual > 0),
        "cross_entropy": weights @ -np.log(own.clip(min=1e-12)) / total,
        "brier": weights @ squared / total,
        "ece": _calibration_gap(probabilities.max(axis=1), predicted == truth, weights) / total,
    }
    for index, label in enumerate(labels):
        measures[f"precision:{label}"] = precision[:, index]
        measures[f"recall:{label}"] = recall[:, index]
        measures[f"f1:{label}"] = f1[:, index]
        measures[f"average_precision:{label}"] = _average_precision(truth == index, probabilities[:, index], weights)
    return measures


def _mean_where(values: Floats, known: NDArray[np.bool_]) -> Floats:
    mean: Floats = np.where(known, values, 0).sum(axis=1) / known.sum(axis=1)
    return mean


def _calibration_gap(confidence: Floats, right: NDArray[np.bool_], weights: Floats) -> Floats:
    gaps = np.zeros((len(confidence), BINS))
    gaps[np.arange(len(confidence)), bin_of(confidence)] = right - confidence
    summed: Floats = np.abs(weights @ gaps).sum(axis=1)
    return summed


def _average_precision(positive: NDArray[np.bool_], scores: Floats, weights: Floats) -> Floats:
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))  # equal scores make one step
    held = np.add.reduceat(positive[order], np.append(0, last[:-1] + 1)) if len(order) else last
    ends = last[held > 0]  # steps at which nothing is gained do not count
    if not len(ends):
        return np.full(len(weights), np.nan)
    starts = np.append(0, ends[:-1] + 1)
    counted = weights[:, order[: ends[-1] + 1]]
    seen = np.cumsum(np.add.reduceat(counted, starts, axis=1), axis=1)
    gained = np.add.reduceat(counted * positive[order[: ends[-1] + 1]], starts, axis=1)
    hits = np.cumsum(gained, axis=1)
    precision = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
    with np.errstate(invalid="ignore"):
        area: Floats = (gained * precision).sum(axis=1) / hits[:, -1]
    return area
