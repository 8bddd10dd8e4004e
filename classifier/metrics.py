"""How well probabilities fit the truth. Functions on arrays, numpy only.

Means over classes are taken over the classes that the truth holds: a class without a face cannot be scored.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.confidence import (
    area_under_risk,
    brier,
    classwise_calibration_error,
    cross_entropy,
    expected_calibration_error,
    selective_accuracy,
)
from fer_data.errors import FerError
from fer_data.intervals import wilson

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


def evaluate(truth: Integers, probabilities: NDArray[np.floating[Any]], labels: Sequence[str]) -> dict[str, Any]:
    """Every metric of one set of faces, JSON-able.

    Args:
        truth: int [N], index into `labels`; -1 where a face has no truth in this set: it is left out and counted.
        probabilities: float [N, K], rows sum to 1, columns in the order of `labels`.

    Returns:
        count, left_out, accuracy, balanced_accuracy, macro_f1, cross_entropy, brier, ece, classwise_ece, aurc,
        selective_accuracy (coverage → accuracy, see `classifier.confidence`), confusion (int [K][K], row = truth,
        column = prediction), and per_class: label → count, precision, recall, f1, average_precision (null where it
        is not defined).

    Raises:
        FerError: shapes that do not fit, no face with a truth, or rows that are no probabilities.
    """
    truth = np.asarray(truth)
    judged: Floats = np.asarray(probabilities, dtype=np.float64)
    require_judgeable(truth, judged, labels)
    known = truth >= 0
    truth, judged = truth[known].astype(np.int64), judged[known]
    matrix = confusion(truth, judged.argmax(axis=1), len(labels))
    precision, recall, f1 = precision_recall_f1(matrix)
    counts = matrix.sum(axis=1)
    per_class = {
        label: {
            "count": int(counts[index]),
            "precision": _number(precision[index]),
            "recall": _number(recall[index]),
            "f1": _number(f1[index]),
            "average_precision": _number(average_precision(truth == index, judged[:, index])),
        }
        for index, label in enumerate(labels)
    }
    return {
        "count": int(known.sum()),
        "left_out": int((~known).sum()),
        **aggregates(matrix),
        "cross_entropy": cross_entropy(truth, judged),
        "brier": brier(truth, judged),
        "ece": expected_calibration_error(truth, judged),
        "classwise_ece": classwise_calibration_error(truth, judged),
        "aurc": area_under_risk(truth, judged),
        "selective_accuracy": selective_accuracy(truth, judged),
        "per_class": per_class,
        "confusion": matrix.tolist(),
    }


def confusion(truth: Integers, predicted: Integers, classes: int) -> Integers:
    """Counts, int64 [K, K]: row = truth, column = prediction."""
    return np.bincount(truth * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def aggregates(matrix: Integers) -> dict[str, float]:
    """accuracy, balanced_accuracy and macro_f1, 0..1, from a confusion matrix that holds faces."""
    _, recall, f1 = precision_recall_f1(matrix)
    present = matrix.sum(axis=1) > 0
    return {
        "accuracy": float(np.trace(matrix) / matrix.sum()),
        "balanced_accuracy": float(recall[present].mean()),
        "macro_f1": float(f1[present].mean()),
    }


def agreement(matrix: Integers, labels: Sequence[str]) -> dict[str, dict[str, float]]:
    """How often predictions agree with the truth, over "all" faces and by label, with Wilson's intervals, JSON-able.

    Args:
        matrix: counts [K, K] as `confusion` gives them.
        labels: K names.

    Returns:
        count, agreed, agreement (0..1), low and high of each label that the truth holds.
    """
    counts = {"all": (np.trace(matrix), matrix.sum())}
    counts |= {label: (matrix[index, index], matrix[index].sum()) for index, label in enumerate(labels)}
    found = {}
    for label, (agreed, count) in counts.items():
        if count:
            low, high = wilson(agreed, count)
            share = {"agreement": float(agreed / count), "low": float(low), "high": float(high)}
            found[label] = {"count": int(count), "agreed": int(agreed), **share}
    return found


def precision_recall_f1(matrix: Integers | Floats) -> tuple[Floats, Floats, Floats]:
    """Per class, float64 [K] each, from a confusion matrix; NaN where nothing was to be found or was found.

    F1 is 2 TP / (2 TP + FP + FN), and so 0, not NaN, where a class was only missed or only wrongly seen.
    """
    hits = np.diag(matrix).astype(np.float64)
    predicted, actual = matrix.sum(axis=0), matrix.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return hits / predicted, hits / actual, 2 * hits / (predicted + actual)


def average_precision(positive: NDArray[np.bool_], scores: Floats) -> float:
    """Area under the precision-recall steps: the sum of (R_n - R_{n-1}) P_n over the distinct scores.

    Args:
        positive: bool [N].
        scores: float [N], high = positive.

    Returns:
        0..1, NaN where nothing is positive.
    """
    total = int(positive.sum())
    if not total:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(positive[order])
    last = np.append(np.diff(scores[order]) != 0, True)  # equal scores make one step
    precision = hits[last] / (np.flatnonzero(last) + 1)
    gained = np.diff(np.append(0, hits[last])) / total
    return float((gained * precision).sum())


def require_judgeable(truth: Integers, probabilities: Floats, labels: Sequence[str]) -> None:
    """Refuse what cannot be scored.

    Raises:
        FerError: as `evaluate`.
    """
    if truth.ndim != 1 or probabilities.shape != (len(truth), len(labels)):
        raise FerError(
            f"evaluate: expected probabilities [{truth.size}, {len(labels)}] for {truth.size} faces and "
            f"{len(labels)} labels, found {list(probabilities.shape)}; predict with the same labels"
        )
    if not (truth >= 0).any():
        raise FerError("evaluate: expected at least one face whose truth is among the labels, found none")
    if truth.max() >= len(labels):
        raise FerError(f"evaluate: expected truths below {len(labels)}, found {truth.max()}")
    wrong = ~(np.abs(probabilities.sum(axis=1) - 1) < 1e-3) | (probabilities < 0).any(axis=1)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise FerError(
            f"evaluate: expected probabilities that sum to 1, found {int(wrong.sum())} rows that do not "
            f"(first: row {row}, sum {probabilities[row].sum():.4g}); predict again"
        )


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
