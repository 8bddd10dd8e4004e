"""Calibrate out-of-fold probabilities, each fold's by what was fitted on the others.

A classifier that is right in seven of ten cases where it says .9 misleads every score made from its probabilities.
Two corrections of log-probabilities (Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks",
ICML 2017, section 4.2; on log-probabilities as in Kull et al., "Beyond temperature scaling", NeurIPS 2019):

    temperature   one slope for all labels: log p_k is multiplied by a (their 1/T)
    vector        a slope and an offset for every label: a_k log p_k + b_k

The labels that they are fitted to are the given ones, and these may be wrong: what comes out is calibrated to what a
face would be *labelled*. Where a fifth of the labels is wrong, a probability of .8 is as sure as one can be.
"""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fer_data.errors import FerError

Method = Literal["none", "temperature", "vector"]

_PENALTY = 4.0  # holds slopes and offsets that few faces would leave undecided: as if known to about 0.5
_FLOOR = 1e-7  # the resolution of float32; log 0 would let one face decide all
_STEPS = 50
_SETTLED = 1e-8  # of the log-loss per face


def calibrate(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer], fold: NDArray[np.integer], method: Method
) -> NDArray[np.float64]:
    """Probabilities that hold what they promise, fitted without the faces that they are applied to.

    Args:
        probabilities: [N, K], out of fold, rows sum to 1.
        labels: integer [N], given labels 0..K-1; negative where a face has none: it is calibrated, never fitted on.
        fold: integer [N], which classifier judged a face. Each fold is calibrated by what is fitted on the labelled
            faces of all others, and stays as it is where they have none.
        method: "none" returns the probabilities as they are.

    Returns:
        float64 [N, K], rows sum to 1.

    Raises:
        FerError: an unknown method, or arrays that do not fit together.
    """
    _require(probabilities, labels, fold, method)
    calibrated = np.asarray(probabilities, dtype=np.float64)
    if method == "none":
        return calibrated
    calibrated = calibrated.copy()
    logs = np.log(np.maximum(calibrated, _FLOOR))
    for held in np.unique(fold):
        others = (fold != held) & (labels >= 0)
        if others.any():
            slopes, offsets = fit(logs[others], labels[others], per_label=method == "vector")
            own = fold == held
            calibrated[own] = _softmax(slopes * logs[own] + offsets)
    return calibrated


def fit(
    logs: NDArray[np.float64], labels: NDArray[np.integer], *, per_label: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Slopes and offsets that make the given labels most likely, by Newton's method.

    The log-loss is convex in both. A small penalty draws them to slope 1 and offset 0.

    Args:
        logs: float64 [N, K], log-probabilities.
        labels: integer [N], 0..K-1.
        per_label: false fits one common slope, and no offsets.

    Returns:
        Slopes and offsets, float64 [K] each.
    """
    count, classes = logs.shape
    # Slopes and offsets are those that change nothing, plus this [2 K, parameters] times the parameters.
    design = np.eye(2 * classes) if per_label else np.repeat([1.0, 0.0], classes)[:, None]
    identity = np.repeat([1.0, 0.0], classes)
    moved = np.zeros(design.shape[1])
    loss, gradient, curvature = _log_loss(logs, labels, design, identity, moved)
    for _ in range(_STEPS):
        step = np.linalg.solve(curvature, gradient)
        share = 1.0
        while True:  # a full step may overshoot where probabilities are extreme
            candidate = moved - share * step
            found = _log_loss(logs, labels, design, identity, candidate)
            if found[0] <= loss or share < 1e-3:
                break
            share /= 2
        gained = loss - found[0]
        if gained <= 0:
            break
        moved, (loss, gradient, curvature) = candidate, found
        if gained < _SETTLED * count:
            break
    scaled = identity + design @ moved
    return scaled[:classes], scaled[classes:]


def _log_loss(
    logs: NDArray[np.float64],
    labels: NDArray[np.integer],
    design: NDArray[np.float64],
    identity: NDArray[np.float64],
    moved: NDArray[np.float64],
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Penalised log-loss summed over faces, its gradient and its matrix of second derivatives, by the parameters."""
    classes = logs.shape[1]
    scaled = identity + design @ moved
    predicted = _softmax(scaled[:classes] * logs + scaled[classes:])
    rows = np.arange(len(labels))
    loss = -np.log(np.maximum(predicted[rows, labels], np.finfo(np.float64).tiny)).sum() + _PENALTY / 2 * moved @ moved
    excess = predicted.copy()
    excess[rows, labels] -= 1
    gradient = np.concatenate([(excess * logs).sum(axis=0), excess.sum(axis=0)])
    weighted = predicted * logs
    both = np.concatenate([weighted, predicted], axis=1)
    diagonal = np.diag((weighted * logs).sum(axis=0)), np.diag(weighted.sum(axis=0)), np.diag(predicted.sum(axis=0))
    curvature = np.block([[diagonal[0], diagonal[1]], [diagonal[1], diagonal[2]]]) - both.T @ both
    return (
        float(loss),
        design.T @ gradient + _PENALTY * moved,
        design.T @ curvature @ design + _PENALTY * np.eye(len(moved)),
    )


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    normalized: NDArray[np.float64] = odds / odds.sum(axis=1, keepdims=True)
    return normalized


def _require(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer], fold: NDArray[np.integer], method: str
) -> None:
    if method not in get_args(Method):
        raise FerError(f"calibration: expected one of {', '.join(get_args(Method))}, found {method!r}")
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or fold.shape != labels.shape:
        raise FerError(
            f"calibration: expected probabilities [N, K], labels [N] and folds [N], found "
            f"{list(probabilities.shape)}, {list(labels.shape)} and {list(fold.shape)}"
        )
    if labels.max(initial=-1) >= probabilities.shape[1]:
        raise FerError(
            f"calibration: expected labels below {probabilities.shape[1]}, found {int(labels.max())}; "
            "give the probabilities of all labels"
        )
