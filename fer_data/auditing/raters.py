"""Raters who are known by name: how good each is, and what they say together.

Counts of votes (FER+) have no such raters, see `fer_data.auditing.crowd`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_data.auditing.evidence import Evidence
from fer_data.errors import FerError

Ratings = NDArray[np.int64]

UNRATED = -1

_COMMON = 10.0  # ratings of each true label that a rater's own must outweigh to make him differ from the others
_STEPS = 100
_SETTLED = 1e-6  # of the mean log-likelihood of a face
_FLOOR = 1e-5  # of probabilities: a certain model would never be outvoted


@dataclass(frozen=True)
class Raters:
    """What is known of R raters, and of the faces that they rated.

    Attributes:
        confusion: float64 [R, V, V], how often each says the column where the row is true; rows sum to 1.
        quality: float64 [R], how often each says what is true, 0..1, over the faces of the audit.
        posterior: float64 [N, V], the probability that this is true; rows sum to 1.
    """

    confusion: NDArray[np.float64]
    quality: NDArray[np.float64]
    posterior: NDArray[np.float64]


def judge_raters(prior: NDArray[np.float64], ratings: Ratings) -> Raters:
    """The quality of each rater and the truth of each face, each found from the other.

    Expectation maximisation of Dawid and Skene, "Maximum likelihood estimation of observer error-rates using the EM
    algorithm" (JRSS C 28, 1979). The truth starts, and is held, by a prior of its own for every face, which a model
    gives; a rater who rated little is taken to err as raters in common do.

    Args:
        prior: float64 [N, V], what each face shows as far as is known without its ratings
            (`crowd.expected_votes`); rows sum to 1.
        ratings: int64 [N, R], what each rater said, 0..V-1; `UNRATED` where not asked.

    Raises:
        FerError: the ratings do not fit the prior, or there are none.
    """
    names = prior.shape[1]
    if ratings.ndim != 2 or len(ratings) != len(prior):
        raise FerError(f"ratings: expected an array [{len(prior)}, raters], found {list(ratings.shape)}")
    if not (ratings != UNRATED).any() or ratings.min() < UNRATED or ratings.max() >= names:
        raise FerError(
            f"ratings: expected numbers 0 to {names - 1}, and {UNRATED} where a rater was not asked, found "
            f"{int(ratings.min(initial=UNRATED))} to {int(ratings.max(initial=UNRATED))}"
        )
    said = [np.eye(names + 1)[rating][:, :names] for rating in ratings.T]  # UNRATED picks the last row: all zero
    log_prior = np.log(np.maximum(prior, _FLOOR))
    posterior, before = prior, -np.inf
    for _ in range(_STEPS):
        confusion = _confusion(posterior, said)
        logs = log_prior + sum(
            (one @ np.log(own).T for one, own in zip(said, confusion, strict=True)), np.zeros_like(prior)
        )
        top = logs.max(axis=1, keepdims=True)
        odds = np.exp(logs - top)
        posterior = odds / odds.sum(axis=1, keepdims=True)
        likelihood = float((top[:, 0] + np.log(odds.sum(axis=1))).mean())
        if likelihood - before < _SETTLED:
            break
        before = likelihood
    quality = np.asarray(confusion.diagonal(axis1=1, axis2=2) @ posterior.mean(axis=0))
    return Raters(confusion, quality, posterior)


def _confusion(posterior: NDArray[np.float64], said: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Confusion of every rater, float64 [R, V, V], drawn to what is common to all."""
    own = np.stack([posterior.T @ one for one in said])
    common = own.sum(axis=0) + 0.5 + _COMMON / 2 * np.eye(own.shape[1])  # who rates at all is rather right than wrong
    common /= common.sum(axis=1, keepdims=True)
    counted = own + _COMMON * common
    confusion: NDArray[np.float64] = counted / counted.sum(axis=2, keepdims=True)
    return confusion


def dealt(counts: NDArray[np.int64], random: np.random.Generator) -> Ratings:
    """Counts dealt to raters in random order: int64 [N, R], `UNRATED` where there are fewer than R votes.

    Args:
        counts: int64 [N, V], R is the largest sum of a row.
    """
    totals = counts.sum(axis=1)
    faces = np.repeat(np.arange(len(counts)), totals)
    said = np.repeat(np.tile(np.arange(counts.shape[1]), len(counts)), counts.ravel())
    order = np.lexsort((random.random(len(said)), faces))
    place = np.arange(len(said)) - np.repeat(totals.cumsum() - totals, totals)
    ratings = np.full((len(counts), int(totals.max(initial=0))), UNRATED, dtype=np.int64)
    ratings[faces, place] = said[order]
    return ratings


def counted(ratings: Ratings, names: int) -> NDArray[np.int64]:
    """How many raters said each of so many things, int64 [N, names]."""
    rows, columns = np.nonzero(ratings != UNRATED)
    cells = rows * names + ratings[rows, columns]
    return np.bincount(cells, minlength=len(ratings) * names).reshape(len(ratings), names)


def crowdlab(evidence: Evidence, ratings: Ratings) -> NDArray[np.float64]:
    """The quality of the given label, as one rater's among the others, float64 [N], 0..1, low = bad.

    CROWDLAB (Goh, Tkachenko and Mueller, "CROWDLAB: Supervised learning to infer consensus labels and quality scores
    for data with multiple annotators", 2022, arXiv 2210.06812), by cleanlab.

    Args:
        ratings: int64 [N, R], what each rater said, 0..K-1; `UNRATED` where not asked. Where nobody was, at all,
            the quality is the model's self-confidence.

    Raises:
        FerError: the ratings do not fit the evidence.
    """
    from cleanlab.multiannotator import get_label_quality_multiannotator

    names = len(evidence.names)
    if ratings.ndim != 2 or len(ratings) != len(evidence) or ratings.max(initial=UNRATED) >= names:
        raise FerError(f"ratings: expected numbers below {names} [{len(evidence)}, raters], found {ratings.shape}")
    asked = (ratings != UNRATED).any(axis=0)
    if not asked.any():  # cleanlab wants two raters or more, the given label's among them
        return np.asarray(evidence.probabilities[np.arange(len(evidence)), evidence.labels])
    said = np.column_stack([evidence.labels, ratings[:, asked]]).astype(np.float64)
    said[said == UNRATED] = np.nan
    judged = get_label_quality_multiannotator(
        said,
        np.maximum(evidence.probabilities, _FLOOR),
        consensus_method="best_quality",
        return_detailed_quality=True,
        return_annotator_stats=False,
        verbose=False,
    )
    quality: NDArray[np.float64] = judged["detailed_label_quality"].iloc[:, 0].to_numpy(dtype=np.float64)
    return np.asarray(np.clip(quality, 0, 1))
