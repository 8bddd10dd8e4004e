"""Why a label is suspect: another label is right, two are plausible, there is no face, or it is like no other face.

`kind` says it in one word, by the first of these rules that holds:

    not_a_face            the picture is blank, or nothing is recognised in it and it is like no other
    out_of_distribution   no other face lies near it in feature space
    ambiguous             two labels or more are plausible, the given one among them or not
    wrong                 one label is plausible, and it is another than the given one
    fine                  one label is plausible, the given one

Votes are never read here: they say who saw no face, which is what an audit without them has to find out.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from fer_data.auditing.evidence import Evidence, Labels, Probabilities
from fer_data.configuration import Configuration
from fer_data.errors import FerError

Kind = Literal["fine", "wrong", "ambiguous", "not_a_face", "out_of_distribution"]
KINDS: tuple[Kind, ...] = ("fine", "wrong", "ambiguous", "not_a_face", "out_of_distribution")

Scores = NDArray[np.float64]
_LEAST = 1e-12  # scores and probabilities below it are as bad as can be


class ReasonConfig(Configuration):
    """Where the kinds part."""

    # A label is plausible where it has at least this share of the most probable label's probability.
    plausible: float = Field(default=0.5, gt=0, le=1)
    # A face is like no other where its distance (minus the logarithm of its outlier score) lies this many
    # interquartile ranges above the third quartile; 1.7 is cleanlab's.
    isolated: float = Field(default=1.7, ge=0)
    # Nothing is recognised where the classifiers' certainty (1 minus the normalised entropy) is below this. Profiles
    # and covered faces are rarely below 0.06.
    certain: float = Field(default=0.05, ge=0, le=1)
    # A picture is blank where its `blank_score` is below this.
    blank: float = Field(default=0.10, ge=0, le=1)


@dataclass(frozen=True)
class Reasons:
    """Why each of N labels is suspect, and what it should be.

    Attributes:
        kind: object [N], a word of `KINDS`.
        suggested: int64 [N], the most probable label; the given one where the kind is fine.
        second: int64 [N], the most probable label but for the suggested one.
        suggestion_score: float64 [N], 0..1, estimated probability that the suggested label is the true one.
        ambiguity_score: float64 [N], 0..1, low = bad: the chance that two people who answer by the estimated
            probabilities say the same.
        face_score: float64 [N], 0..1, low = bad: how surely there is a face.
    """

    kind: NDArray[np.object_]
    suggested: Labels
    second: Labels
    suggestion_score: Scores
    ambiguity_score: Scores
    face_score: Scores

    def columns(self, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        """The columns of an audit's table, N rows each; labels by `names`."""
        named = np.asarray(names, dtype=object)
        return {
            "suggested_label": named[self.suggested],
            "second_label": named[self.second],
            "kind": self.kind,
            "suggestion_score": self.suggestion_score,
            "ambiguity_score": self.ambiguity_score,
            "face_score": self.face_score,
        }

    def counts(self) -> dict[str, int]:
        """Faces of each kind, in the order of `KINDS`."""
        found = Counter(self.kind.tolist())
        return {kind: found[kind] for kind in KINDS}


def tell_reasons(
    evidence: Evidence,
    posterior: Probabilities,
    outlier_score: Scores,
    quality: pd.DataFrame | None,
    config: ReasonConfig,
) -> Reasons:
    """Say of every label why it is suspect, or that it is not.

    Args:
        posterior: float64 [N, K], estimated probability of each label to be the true one; rows sum to 1.
        outlier_score: float64 [N], 0..1, low = far from all other faces; NaN where unknown.
        quality: one row per face of the evidence, of which `blank_score` is read; None where not measured.

    Raises:
        FerError: arrays of other sizes than the evidence, or a quality table without `blank_score`.
    """
    _refuse_unfit(evidence, posterior, outlier_score, quality)
    likeliest = posterior.argmax(axis=1)
    plausible = posterior >= config.plausible * _of(posterior, likeliest)[:, None]
    given_plausible = _of(plausible, evidence.labels)
    several = plausible.sum(axis=1) > 1
    certainty = certainty_of(evidence.probabilities)
    isolated = is_isolated(outlier_score, config.isolated)
    blank_score = np.ones(len(evidence)) if quality is None else _known(quality["blank_score"].to_numpy(np.float64))
    faceless = (blank_score < config.blank) | ((certainty < config.certain) & isolated)
    fine = given_plausible & ~several
    # np.select takes the first that holds
    kind = np.select(
        [faceless, isolated, several, fine],
        ["not_a_face", "out_of_distribution", "ambiguous", "fine"],
        "wrong",
    ).astype(object)
    suggested = np.where(kind == "fine", evidence.labels, likeliest)
    others = np.where(np.arange(posterior.shape[1]) == suggested[:, None], -1, posterior)
    return Reasons(
        kind=kind,
        suggested=suggested,
        second=others.argmax(axis=1),
        suggestion_score=_of(posterior, suggested),
        ambiguity_score=(posterior**2).sum(axis=1),
        face_score=np.minimum(blank_score, np.maximum(certainty, _known(outlier_score))),
    )


def is_isolated(outlier_score: Scores, ranges: float) -> NDArray[np.bool_]:
    """Which faces lie far from all others, bool [N]; False where unknown.

    The rule of cleanlab's Datalab, Tukey's fence on the mean distance to the nearest faces, which is what Kuan and
    Mueller recommend ("Back to the Basics: Revisiting Out-of-Distribution Detection Baselines", ICML 2022 workshop,
    arXiv 2207.03061). Scores are taken for exp(-distance), as cleanlab makes them.

    Args:
        outlier_score: float64 [N], 0..1, low = far; NaN where unknown.
        ranges: how many interquartile ranges above the third quartile of the distances far is.
    """
    known = np.isfinite(outlier_score)
    if not known.any():
        return np.zeros(len(outlier_score), dtype=bool)
    distance = -np.log(np.maximum(np.where(known, outlier_score, 1), _LEAST))
    first, third = np.quantile(distance[known], [0.25, 0.75])
    return np.asarray(known & (distance > third + ranges * (third - first) + _LEAST))


def outliers_by_probabilities(labels: Labels, probabilities: Probabilities) -> Scores:
    """How typical the probabilities of each face are, for evidence without features; float64 [N], 0..1, low = bad.

    The formula of cleanlab's `OutOfDistribution` (Kuan and Mueller 2022) over the labels that are given:
    one minus the normalised entropy of the probabilities, after what is usual for each label was subtracted. It cannot
    tell a face like no other from an ambiguous one.
    """
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    present = counts > 0
    if np.count_nonzero(present) < 2:
        return np.ones(len(labels))
    usual = np.bincount(labels, _of(probabilities, labels), len(counts))[present] / counts[present]
    kept = probabilities[:, present]
    adjusted = kept + (usual.max() - usual)
    totals = adjusted.sum(axis=1, keepdims=True)
    certainty = certainty_of(np.divide(adjusted, totals, out=np.full(kept.shape, 1 / len(usual)), where=totals > 0))
    # What is probable of labels that nobody was given is not typical.
    return np.asarray(np.clip(certainty * kept.sum(axis=1), 0, 1))


def certainty_of(probabilities: Probabilities) -> Scores:
    """1 minus the entropy as a share of the largest possible, float64 [N]: 0 where all labels are equally likely."""
    entropy = -(probabilities * np.log(np.maximum(probabilities, _LEAST))).sum(axis=1)
    return np.asarray(np.clip(1 - entropy / np.log(max(probabilities.shape[1], 2)), 0, 1))


def _of(values: NDArray[Any], labels: Labels) -> NDArray[Any]:
    """Each row's value of one label, [N] from [N, K]."""
    return np.asarray(np.take_along_axis(values, labels[:, None], axis=1)[:, 0])


def _known(scores: Scores) -> Scores:
    """Unknown counts as good."""
    return np.where(np.isfinite(scores), scores, 1.0)


def _refuse_unfit(
    evidence: Evidence, posterior: Probabilities, outlier_score: Scores, quality: pd.DataFrame | None
) -> None:
    expected = (len(evidence), len(evidence.names))
    if posterior.shape != expected or outlier_score.shape != expected[:1]:
        raise FerError(
            f"reasons: expected probabilities {list(expected)} and as many outlier scores, found "
            f"{list(posterior.shape)} and {list(outlier_score.shape)}; score the same faces"
        )
    if quality is not None and (len(quality) != len(evidence) or "blank_score" not in quality):
        raise FerError(
            f"reasons: expected a blank_score for each of {len(evidence)} faces, found {len(quality)} rows with "
            f"{', '.join(map(str, quality.columns)) or 'no columns'}; measure the quality of the audited faces"
        )
