"""Whether probabilities hold what they promise. Functions on arrays, numpy only.

Every function takes faces whose truth is known, int [N] in 0..K-1, and probabilities, float [N, K], rows sum to 1.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_data.errors import FerError
from fer_data.intervals import wilson

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

BINS = 15  # equally wide, open to the left
COVERAGES = (0.5, 0.8, 0.9)
_LEAST = 1e-12  # smaller probabilities count as this, so that one face cannot make a mean infinite


def cross_entropy(truth: Integers, probabilities: Floats) -> float:
    """Mean negative logarithm of the truth's probability, in nats; probabilities below 1e-12 count as that."""
    return float(-np.log(probabilities[np.arange(len(truth)), truth].clip(min=_LEAST)).mean())


def brier(truth: Integers, probabilities: Floats) -> float:
    """Mean squared distance to the one-hot truth, summed over classes, 0..2: Brier, Monthly Weather Review 1950."""
    distance = probabilities.copy()
    distance[np.arange(len(truth)), truth] -= 1
    return float((distance**2).sum(axis=1).mean())


def expected_calibration_error(truth: Integers, probabilities: Floats, bins: int = BINS) -> float:
    """How far the top label's probability is from its accuracy, 0..1, in equally wide bins.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3.
    """
    return _calibration_gap(*_top_label(truth, probabilities), bins)


def classwise_calibration_error(truth: Integers, probabilities: Floats, bins: int = BINS) -> float:
    """The same for the probability of each label, whether it is the top one or not, mean over the labels, 0..1.

    Kull et al., "Beyond temperature scaling", NeurIPS 2019, section 2 ("classwise-ECE").
    """
    classes = probabilities.shape[1]
    return float(np.mean([_calibration_gap(probabilities[:, k], truth == k, bins) for k in range(classes)]))


def reliability(truth: Integers, probabilities: Floats, bins: int = BINS) -> list[dict[str, Any]]:
    """What a reliability diagram shows, a row per bin of the top label's probability that holds faces.

    Returns:
        From 0 up: from, to (the bin), faces, confidence (mean probability), accuracy, and its interval low, high
        (Wilson).
    """
    confidence, right = _top_label(truth, probabilities)
    place = bin_of(confidence, bins)
    rows: list[dict[str, Any]] = []
    for number in np.unique(place).tolist():
        inside = place == number
        hits, faces = int(right[inside].sum()), int(inside.sum())
        low, high = wilson(hits, faces)
        rows.append(
            {
                "from": number / bins,
                "to": (number + 1) / bins,
                "faces": faces,
                "confidence": float(confidence[inside].mean()),
                "accuracy": hits / faces,
                "low": float(low),
                "high": float(high),
            }
        )
    return rows


def risk_coverage(truth: Integers, probabilities: Floats) -> tuple[Floats, Floats]:
    """The error rate among the most confident faces, for every share of faces that is answered.

    El-Yaniv & Wiener, "On the Foundations of Noise-free Selective Classification", JMLR 11, 2010; for networks
    Geifman & El-Yaniv, "Selective Classification for Deep Neural Networks", NIPS 2017. Faces of equal confidence are
    in no order: each stands for the mean of them.

    Returns:
        Coverage, 1/N .. 1, and the error rate at it, 0..1, float64 [N] each.
    """
    confidence, right = _top_label(truth, probabilities)
    values, level = np.unique(-confidence, return_inverse=True)
    wrong = np.bincount(level, ~right, len(values)) / np.bincount(level, minlength=len(values))
    errors = np.cumsum(wrong[np.sort(level)])
    answered = np.arange(1, len(truth) + 1)
    return answered / len(truth), errors / answered


def area_under_risk(truth: Integers, probabilities: Floats) -> float:
    """The mean of `risk_coverage` over all coverages, 0..1, low = good: AURC of Geifman et al., ICLR 2019, eq. 3."""
    return float(risk_coverage(truth, probabilities)[1].mean())


def selective_accuracy(
    truth: Integers, probabilities: Floats, coverages: Sequence[float] = COVERAGES
) -> dict[str, float]:
    """Accuracy of the most confident faces, by the share of faces that is answered ("0.8": four of five)."""
    risk = risk_coverage(truth, probabilities)[1]
    return {f"{share:g}": float(1 - risk[max(1, int(np.ceil(share * len(truth) - 1e-9))) - 1]) for share in coverages}


def distribution_scores(shares: NDArray[np.floating[Any]], probabilities: Floats) -> dict[str, Any]:
    """How far probabilities are from what several people said, in nats.

    Args:
        shares: float [N, K], what share of the people chose a label, rows sum to 1; a row with a NaN is left out.
        probabilities: float [N, K].

    Returns:
        count, left_out, cross_entropy (of the people's shares with the probabilities), entropy (of the shares: no
        model can be below it) and kl, their difference (Kullback & Leibler 1951); null where no face is left.

    Raises:
        FerError: shapes differ, or a row neither sums to 1 nor holds a NaN.
    """
    if shares.shape != probabilities.shape:
        raise FerError(
            f"distribution: expected shares {list(probabilities.shape)}, as the probabilities, found "
            f"{list(shares.shape)}; give those of the same labels"
        )
    known = ~np.isnan(shares).any(axis=1)
    told, judged = shares[known].astype(np.float64), probabilities[known].clip(min=_LEAST)
    if (np.abs(told.sum(axis=1) - 1) > 1e-3).any() or (told < 0).any():
        raise FerError("distribution: expected rows of shares that sum to 1, found others; divide votes by their sum")
    counts = {"count": int(known.sum()), "left_out": int((~known).sum())}
    if not known.any():
        return {**counts, "cross_entropy": None, "entropy": None, "kl": None}
    crossed = float(-(told * np.log(judged)).sum(axis=1).mean())
    own = float(-(told * np.log(told.clip(min=_LEAST))).sum(axis=1).mean())
    return {**counts, "cross_entropy": crossed, "entropy": own, "kl": crossed - own}


def _top_label(truth: Integers, probabilities: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == truth


def bin_of(confidence: Floats, bins: int = BINS) -> Integers:
    """Which of the equally wide bins each probability lies in, int64 [N], 0..bins-1."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def _calibration_gap(confidence: Floats, right: NDArray[np.bool_], bins: int) -> float:
    gaps = np.bincount(bin_of(confidence, bins), weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))
