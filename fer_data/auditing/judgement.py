"""Everything that an audit says of its faces, from the evidence alone: the parts put in order."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_data.auditing.combining import CombineConfig, Combined, combine
from fer_data.auditing.crowd import Votes, consensus, vote_scores
from fer_data.auditing.evidence import Evidence, Labels, Probabilities
from fer_data.auditing.guard import GuardConfig, guarded, mark, needs_person, rank_within_class
from fer_data.auditing.neighbours import NOBODY, familiarity, find_nearest, nearest_disagreeing
from fer_data.auditing.noise import NoiseEstimate, estimate_noise
from fer_data.auditing.policies import Judged
from fer_data.auditing.reasons import ReasonConfig, Reasons, is_isolated, outliers_by_probabilities, tell_reasons
from fer_data.auditing.review_order import ReviewConfig, order_reviews
from fer_data.auditing.scores import neighbour_shares, score_labels
from fer_data.configuration import Configuration

Scores = NDArray[np.float64]
Truths = NDArray[np.bool_]

ScoreName = Literal[
    "combined",
    "consensus",
    "self_confidence",
    "normalized_margin",
    "confidence_weighted_entropy",
    "confident_learning",
    "neighbours",
    "neighbour_margin",
    "seen_confidence",
    "seen_margin",
    "area_under_margin",
    "late_margin",
    "forgetting",
]

_NEAREST = 20  # faces that tell whether a face is like any other


class JudgeConfig(Configuration):
    """How labels are judged."""

    # Which score ranks. "combined" learns on planted labels how much each part of the evidence is worth.
    score: ScoreName = "combined"
    combining: CombineConfig = CombineConfig()
    reasons: ReasonConfig = ReasonConfig()
    guard: GuardConfig = GuardConfig()
    review: ReviewConfig = ReviewConfig()
    # Of whatever is drawn: folds of groups, resamples, planted labels.
    seed: int = 0


@dataclass(frozen=True)
class Judgement:
    """What is said of N faces.

    Attributes:
        scores: name → float64 [N], 0..1, low = bad, NaN where unknown; the combined one, and with votes the
            consensus, among them.
        score: float64 [N], the one that ranks; unknown ones count as the middle of the others.
        posterior: float64 [N, K], probability of every label to be the true one, rows sum to 1.
        combined: how the combined score came about.
        noise: how given and true labels go together.
        guarded: classes of which nothing is decided without a person.
        settled: bool [N], decided by people already.
        marked: bool [N]; `rank`, `class_rank`, `review_rank`: int64 [N], 1 = worst, or next.
        reasons: why each label is suspect.
        outlier_score: float64 [N], 0..1; `is_outlier`: bool [N].
        nearest: int64 [N, 20], the faces nearest to each; None without features.
        disagreeing: int64 [N, 3], the nearest that carry another label; NOBODY where there is none.
        person: bool [N], faces that only a person may change.
    """

    scores: dict[str, Scores]
    score: Scores
    posterior: Probabilities
    combined: Combined
    noise: NoiseEstimate
    guarded: tuple[int, ...]
    settled: Truths
    marked: Truths
    rank: Labels
    class_rank: Labels
    review_rank: Labels
    reasons: Reasons
    outlier_score: Scores
    is_outlier: Truths
    nearest: Labels | None
    disagreeing: Labels
    person: Truths

    def judged(self, labels: Labels) -> Judged:
        """The faces as policies look at them."""
        return Judged(
            labels, self.reasons.suggested, self.score, self.reasons.suggestion_score, self.reasons.kind == "not_a_face"
        )


def judge(
    evidence: Evidence,
    config: JudgeConfig,
    *,
    pictures: NDArray[np.int64] | None = None,
    quality: pd.DataFrame | None = None,
    votes: Votes | None = None,
    settled: Truths | None = None,
    contradicted: Truths | None = None,
    sharpen: Callable[[NoiseEstimate, Combined], NoiseEstimate] | None = None,
) -> Judgement:
    """Judge every given label by all that is known.

    Args:
        pictures: int64 [N], faces with the same number show the same picture; None where all differ.
        quality: one row per face, `blank_score` among the columns; None where not measured.
        votes: what raters said, where they may speak.
        settled: bool [N], faces that people decided already: never marked, ranked last.
        contradicted: bool [N], faces whose very picture people gave another label, under another id: worst of all.
        sharpen: makes a better noise estimate of the model's, by what people found.
    """
    labels, seed = evidence.labels, config.seed
    done = np.zeros(len(evidence), dtype=np.bool_) if settled is None else settled
    shares = [None if repeat.features is None else neighbour_shares(evidence, repeat) for repeat in evidence.repeats]
    noise = estimate_noise(labels, evidence.probabilities, evidence.groups, repeats=evidence.repeats, seed=seed)
    combined = combine(evidence, config.combining, seed, noise=noise, shares=shares)
    noise = noise if sharpen is None else sharpen(noise, combined)
    scores = {"combined": combined.score, **score_labels(evidence, shares)}
    posterior = combined.posterior
    if votes is not None:
        agreed = consensus(evidence, votes, posterior, seed=seed)
        posterior = agreed.posterior[:, : len(evidence.names)] + 1e-12
        posterior = posterior / posterior.sum(axis=1, keepdims=True)
        scores = {**scores, **vote_scores(evidence, votes, agreed, seed=seed)}
    ranking = config.score if votes is None or config.score != "combined" else "consensus"
    score = _filled(scores[ranking])
    score = score if contradicted is None else np.where(contradicted, 0.0, score)
    nearest, outlier_score = _outliers(evidence)
    reasons = tell_reasons(evidence, posterior, outlier_score, quality, config.reasons)
    marked = mark(labels, score, evidence.probabilities, noise, config.guard) & ~done
    classes = guarded(noise, config.guard)
    rank = np.empty(len(labels), dtype=np.int64)
    rank[np.lexsort((score, done))] = np.arange(1, len(labels) + 1)
    suspects = np.flatnonzero(marked | (reasons.kind != "fine"))
    disagreeing: Labels = np.full((len(labels), 3), NOBODY, dtype=np.int64)
    disagreeing[suspects] = nearest_disagreeing(evidence, suspects, reasons.suggested[suspects])
    return Judgement(
        scores=scores,
        score=score,
        posterior=posterior,
        combined=combined,
        noise=noise,
        guarded=classes,
        settled=done,
        marked=marked,
        rank=rank,
        class_rank=rank_within_class(labels, rank.astype(np.float64)),
        review_rank=order_reviews(
            score,
            reasons.suggestion_score,
            labels,
            reasons.suggested,
            np.arange(len(labels)) if pictures is None else pictures,
            kind=reasons.kind,
            reviewed=done,
            config=config.review,
        ),
        reasons=reasons,
        outlier_score=outlier_score,
        is_outlier=is_isolated(outlier_score, config.reasons.isolated),
        nearest=nearest,
        disagreeing=disagreeing,
        person=needs_person(labels, reasons.suggested, classes),
    )


def _filled(score: Scores) -> Scores:
    """Faces of which a score knows nothing rank in the middle."""
    known = np.isfinite(score)
    middle = float(np.median(score[known])) if known.any() else 0.5
    return np.clip(np.where(known, score, middle), 0, 1)


def _outliers(evidence: Evidence) -> tuple[Labels | None, Scores]:
    """The nearest faces, and how much each face is like any other; by its probabilities where there are no features."""
    repeat = next((repeat for repeat in evidence.repeats if repeat.features is not None), None)
    if repeat is None or repeat.features is None:
        return None, outliers_by_probabilities(evidence.labels, evidence.probabilities)
    nearest, cosines = find_nearest(repeat.features, repeat.fold, evidence.groups, _NEAREST)
    return nearest, familiarity(cosines, repeat.fold)
