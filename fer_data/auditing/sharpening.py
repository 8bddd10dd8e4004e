"""A better estimate of how many labels are wrong, from those that people have looked at."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fer_data.auditing.evidence import Labels
from fer_data.auditing.noise import Bounded, NoiseEstimate
from fer_data.auditing.reviewed import Reviewed

STRATA = 10
PRIOR_FACES = 1.0  # how many looks the model's word counts for in a stratum that people looked at

_Z = 1.959963984540054  # 97.5 % of a standard normal

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Share:
    """What a class adds to the wrong labels, in faces.

    Attributes:
        wrong: how many; `variance` of that, as far as reviews leave it open.
        unseen: for how many of them only the model speaks.
    """

    wrong: float = 0.0
    variance: float = 0.0
    unseen: float = 0.0


def sharpen_estimate(
    noise: NoiseEstimate, score: Floats, labels: Labels, reviewed: Reviewed, score_before: Floats
) -> NoiseEstimate:
    """How many labels are wrong as they stand, by the model and by the people who looked at some of them.

    Reviewed faces are no random sample: the worst come first. So each class is cut into `STRATA` strata of equally many
    wrong labels, as the score expects them. In a stratum, people found a certain share of wrong labels where the
    score expected another; the ratio of the two corrects what the score expects of the faces nobody looked at there
    (a ratio estimate within strata: Cochran, "Sampling Techniques", 3rd ed., 1977, ch. 6). The share found is a Beta
    posterior whose prior is the model's word, worth `PRIOR_FACES` looks. A stratum that nobody looked at keeps the
    model's estimate and its share of the model's interval. In one that people looked at, so much of that interval stays
    as the other faces' expected share of wrong labels differs from that of the faces looked at: after looks at the
    worst faces only, the interval is as good as the model is on the others. Looked-at faces count as what they were
    found to be.
    A face that was dropped by a decision is gone and cannot tell: after `fer apply` the estimate leans low by those.

    Args:
        noise: the model's estimate for the same faces.
        score: float64 [N], 0..1, estimated probability that the given label is right.
        labels: int64 [N], labels as they stand.
        reviewed: decided faces, M of the N.
        score_before: float64 [M], what the score said of the label that was looked at (`reviewed.scores_before`); NaN
            where that is unknown: such a face says nothing of others.

    Returns:
        The same estimate with other `error_rate` and `error_rates`; its matrices stay the model's.
    """
    told = reviewed.sure & (reviewed.before >= 0) & np.isfinite(score_before)
    was_wrong = reviewed.verdict != reviewed.before
    undecided = np.ones(len(labels), dtype=np.bool_)
    undecided[reviewed.rows[reviewed.sure]] = False
    still_wrong = np.bincount(labels[reviewed.rows], weights=reviewed.is_wrong(labels), minlength=len(noise.given))
    shares = []
    for index, rate in enumerate(noise.error_rates.value.tolist()):
        own, seen = labels == index, told & (reviewed.before == index)
        scale = _scale(1 - score[own], rate)
        share = _corrected(
            np.clip(scale * (1 - score[own & undecided]), 0.0, 1.0),
            np.clip(scale * (1 - score_before[seen]), 0.0, 1.0),
            was_wrong[seen],
        )
        shares.append(replace(share, wrong=share.wrong + float(still_wrong[index])))
    whole = _interval(shares, len(labels), noise.error_rate, ())
    rates = [
        _interval([share], int(faces), noise.error_rates, index)
        for index, (share, faces) in enumerate(zip(shares, noise.given, strict=True))
    ]
    return replace(noise, error_rate=Bounded(*map(np.asarray, whole)), error_rates=Bounded(*np.array(rates).T))


def _scale(wrong: Floats, rate: float) -> float:
    """By what the expected share of wrong labels in a class is to be multiplied to become the model's rate."""
    expected = float(wrong.mean()) if len(wrong) else 0.0
    return rate / expected if expected > 0 else 1.0


def _corrected(open_wrong: Floats, seen_wrong: Floats, found: NDArray[np.bool_]) -> _Share:
    """The wrong labels among the faces of a class that nobody decided.

    Args:
        open_wrong: their P(wrong); `seen_wrong`: that of the faces that were looked at, when they were.
        found: whether these were wrong.
    """
    if not len(open_wrong):
        return _Share()
    edges = _edges(np.concatenate([open_wrong, seen_wrong]))
    stratum, seen_stratum = (np.searchsorted(edges, part, side="right") for part in (open_wrong, seen_wrong))
    mass = np.bincount(stratum, weights=open_wrong, minlength=STRATA)
    size = np.bincount(stratum, minlength=STRATA)
    looks = np.bincount(seen_stratum, minlength=STRATA)
    believed = np.bincount(seen_stratum, weights=seen_wrong, minlength=STRATA) / np.maximum(looks, 1)
    believed = np.clip(believed, 1e-3, 1.0)
    total = looks + PRIOR_FACES
    share = (np.bincount(seen_stratum, weights=found, minlength=STRATA) + PRIOR_FACES * believed) / total
    reach = np.minimum(mass / believed, size)  # faces that a share of 1 would make wrong
    seen = looks > 0
    wrong = np.where(seen, reach * share, mass)
    variance = np.where(seen, reach**2 * share * (1 - share) / (total + 1), 0.0)
    carried = np.where(seen, np.minimum(np.abs(1 - mass / np.maximum(size, 1) / believed), 1.0), 1.0)
    return _Share(float(wrong.sum()), float(variance.sum()), float((wrong * carried).sum()))


def _edges(wrong: Floats) -> Floats:
    """Inner edges of strata that hold equally much expected error each, float64 [STRATA - 1], ascending."""
    ordered = np.sort(wrong)
    mass = np.cumsum(ordered)
    places = np.searchsorted(mass, mass[-1] * np.arange(1, STRATA) / STRATA)
    edges: Floats = ordered[np.minimum(places, len(ordered) - 1)]
    return edges


def _interval(shares: Sequence[_Share], faces: int, model: Bounded, place: int | tuple[()]) -> Floats:
    """Value, low and high of an error rate, float64 [3]; the model's own where there are no faces.

    What reviews leave open and the model's interval, for the part that only the model speaks of, add as independent
    errors do.
    """
    middle, low, high = (float(part[place]) for part in (model.value, model.low, model.high))
    if not faces:
        return np.array([middle, low, high])
    value = sum(share.wrong for share in shares) / faces
    spread = _Z * np.sqrt(sum(share.variance for share in shares)) / faces
    part = sum(share.unseen for share in shares) / faces / middle if middle > 0 else 1.0
    below, above = np.hypot(spread, part * (middle - low)), np.hypot(spread, part * (high - middle))
    rate: Floats = np.clip(np.array([value, value - below, value + above]), 0.0, 1.0)
    return rate
