"""Automatic policies, for those who have no reviewer: what is relabelled, dropped or softened, and how often rightly.

A policy is a handful of thresholds on two columns of the audit table, `label_score` (the estimated probability that
the given label is right) and `suggestion_score` (that the suggested one is). By the first rule that holds:

    person    the face or the suggestion is of a guarded class, and one of the rules below holds
    drop      no face is seen, or the given label is unlikely and no other is likely
    relabel   the given label is unlikely and the suggested one sure enough
    soften    the given label is doubtful: every label gets its probability as a soft target
    keep      otherwise
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fer_data.auditing.combining import Trial
from fer_data.auditing.evidence import Labels, Rows
from fer_data.auditing.guard import bounded_share, needs_person
from fer_data.auditing.noise import Bounded, NoiseEstimate
from fer_data.configuration import Configuration

Scores = NDArray[np.float64]
Actions = NDArray[np.object_]
Share = tuple[float, float, float]  # estimate, low and high end of its 95 % interval

KEEP, RELABEL, DROP, SOFTEN, PERSON = ACTIONS = ("keep", "relabel", "drop", "soften", "person")

_STRATA = 5  # of equally many changed faces, by how sure the suggestion is


class PolicyConfig(Configuration):
    """The rules of a policy."""

    # Relabel where the given label is at most this probable
    relabel_score: float = Field(ge=0, le=1)
    # and the suggested one at least this.
    relabel_suggestion: float = Field(ge=0, le=1)
    # Drop where the given label is at most this probable
    drop_score: float = Field(ge=0, le=1)
    # and the suggested one less than this.
    drop_suggestion: float = Field(ge=0, le=1)
    # Soften where the given label is at most this probable and nothing else is done.
    soften_score: float = Field(ge=0, le=1)


POLICIES: Mapping[str, PolicyConfig] = MappingProxyType(
    {
        "careful": PolicyConfig(
            relabel_score=0.3,
            relabel_suggestion=0.7,
            drop_score=0.15,
            drop_suggestion=0.3,
            soften_score=0.2,
        ),
        "balanced": PolicyConfig(
            relabel_score=0.4,
            relabel_suggestion=0.6,
            drop_score=0.2,
            drop_suggestion=0.35,
            soften_score=0.3,
        ),
        "thorough": PolicyConfig(
            relabel_score=0.5,
            relabel_suggestion=0.5,
            drop_score=0.25,
            drop_suggestion=0.4,
            soften_score=0.4,
        ),
    }
)


@dataclass(frozen=True)
class Judged:
    """What a policy looks at, for N faces.

    Attributes:
        labels, suggested: int64 [N], given labels, and those that would take their place.
        score, suggestion_score: float64 [N], estimated probabilities of the two.
        no_face: bool [N], faces of the kind "not_a_face".
    """

    labels: Labels
    suggested: Labels
    score: Scores
    suggestion_score: Scores
    no_face: NDArray[np.bool_]

    def take(self, rows: Rows) -> "Judged":
        """These faces only."""
        return Judged(
            self.labels[rows], self.suggested[rows], self.score[rows], self.suggestion_score[rows], self.no_face[rows]
        )


def under_planted(trial: Trial) -> Judged:
    """The planted faces of a trial as a policy sees them."""
    rows = np.arange(len(trial.planted))
    others = trial.posterior.copy()
    others[rows, trial.planted] = -1
    suggested = others.argmax(axis=1)
    sure = trial.posterior[rows, suggested]
    return Judged(trial.planted, suggested, trial.score, sure, np.zeros(len(rows), dtype=bool))


def decide(policy: PolicyConfig, faces: Judged, guarded: Sequence[int]) -> Actions:
    """What the policy does with each face, object [N] of `ACTIONS`.

    Args:
        guarded: the classes of which nothing is dropped, relabelled or softened without a person.
    """
    other = faces.suggested != faces.labels
    relabel = other & (faces.score <= policy.relabel_score) & (faces.suggestion_score >= policy.relabel_suggestion)
    unlikely = (faces.score <= policy.drop_score) & (faces.suggestion_score < policy.drop_suggestion)
    drop = faces.no_face | (unlikely & ~relabel)
    soften = faces.score <= policy.soften_score
    actions = np.select([drop, relabel, soften], [DROP, RELABEL, SOFTEN], KEEP).astype(object)
    actions[(actions != KEEP) & needs_person(faces.labels, faces.suggested, guarded)] = PERSON
    return actions


@dataclass(frozen=True)
class Expected:
    """What a policy is expected to do.

    Attributes:
        counts: faces per action of `ACTIONS`.
        new_labels: share of the relabelled faces whose new label is right, 0..1; None where nothing is relabelled, or
            nothing planted is.
        drops: share of the faces dropped for their probabilities whose label is wrong, likewise.
    """

    counts: dict[str, int]
    new_labels: Share | None
    drops: Share | None

    def as_dict(self) -> dict[str, Any]:
        """What a table's metadata holds."""

        def told(share: Share | None) -> dict[str, float] | None:
            return None if share is None else dict(zip(("value", "low", "high"), share, strict=True))

        return {"counts": self.counts, "new_labels": told(self.new_labels), "drops": told(self.drops)}


def expected(
    policy: PolicyConfig, faces: Judged, trial: Trial, noise: NoiseEstimate, guarded: Sequence[int]
) -> Expected:
    """How often a policy is right, from planted noise.

    The faces are a mixture: a share e (the error rate) has a wrong label. If a policy changes the share g of
    all faces and the share w of the wrong ones, e·w/g of what it changes was wrong. w is read off the planted faces
    by their weight, e and its interval off the noise estimate, g is counted. Planted labels that are harder to see
    through than others make w small: where the scores, learnt on the same, say that more of the changed is wrong, the
    estimate (not the lower end of the interval) follows them. Of changed faces that were wrong, the share h gets the
    right label: the share of the changed planted faces that get their original label back, counted apart where
    the suggestion is more and less sure, as planted faces may be easier than others. The new labels are right in
    e·w·h/g. The interval puts each part at the end of its own, e·w/g at no more than 1; as originals are themselves
    wrong at the rate e, and then not to be got back, the upper end of h is divided by 1 - e.

    Args:
        faces: all faces, under their given labels.
        trial: planted faces; those planted in a guarded class, or whose original is of one, are left out, as the
            policy does not change such faces.
    """
    actions, planted = decide(policy, faces, guarded), under_planted(trial)
    counts = {action: int((actions == action).sum()) for action in ACTIONS}
    tried = ~needs_person(trial.planted, trial.original, guarded)
    done = np.where(tried, decide(policy, planted, guarded), KEEP)
    open_ = int((~np.isin(faces.labels, guarded)).sum())
    dropped = (actions == DROP) & ~faces.no_face
    relabelled = faces.take(actions == RELABEL)
    wrong = _wrong_share(relabelled, open_, done == RELABEL, tried, trial, noise)
    return Expected(
        counts,
        None if wrong is None else _rightly(wrong, relabelled, planted, done, trial, noise),
        _wrong_share(faces.take(dropped), open_, done == DROP, tried, trial, noise),
    )


def _wrong_share(
    changed: Judged,
    faces: int,
    found: NDArray[np.bool_],
    tried: NDArray[np.bool_],
    trial: Trial,
    noise: NoiseEstimate,
) -> Share | None:
    """e·w/g with its interval; None where nothing is changed or was tried."""
    if not len(changed.labels) or not tried.any():
        return None
    hits, rate = _weighted(found[tried], trial.weight[tried]), noise.error_rate
    ends = [(rate.value, hits.value), (rate.low, hits.low), (rate.high, hits.high)]
    value, low, high = (min(1.0, float(error * hit) * faces / len(changed.labels)) for error, hit in ends)
    value = max(value, float(1 - changed.score.mean()))
    return value, low, max(value, high)


def _rightly(
    wrong: Share, changed: Judged, planted: Judged, done: Actions, trial: Trial, noise: NoiseEstimate
) -> Share | None:
    """e·w·h/g with its interval; None where no planted face is relabelled."""
    rows = np.flatnonzero(done == RELABEL)
    if not len(rows):
        return None
    edges = np.quantile(changed.suggestion_score, np.arange(1, _STRATA) / _STRATA)
    stratum = np.digitize(planted.suggestion_score[rows], edges)
    present = np.bincount(np.digitize(changed.suggestion_score, edges), minlength=_STRATA)
    tried = np.bincount(stratum, minlength=_STRATA)
    weight = (present / np.maximum(tried, 1))[stratum]
    if not weight.any():  # no planted face is about as sure as those that are changed
        return None
    hits = _weighted(planted.suggested[rows] == trial.original[rows], weight)
    most = min(1.0, float(hits.high) / max(1 - float(noise.error_rate.high), 1e-9))
    return wrong[0] * float(hits.value), wrong[1] * float(hits.low), wrong[2] * most


def _weighted(hits: NDArray[np.bool_], weight: Scores) -> Bounded:
    """A weighted share with Wilson's interval for as many faces as the weights are worth (Kish, 1965)."""
    number = weight.sum() ** 2 / (weight**2).sum()
    return bounded_share(np.asarray((weight * hits).sum() / weight.sum() * number), np.asarray(number))


def try_policies(
    faces: Judged, trial: Trial, noise: NoiseEstimate, guarded: Sequence[int], names: Sequence[str]
) -> dict[str, Any]:
    """What an audit's metadata holds of every policy: its rules, and what is expected of them on these faces.

    Args:
        faces, trial, noise, guarded: as `expected` takes them.
        names: K label names.

    Returns:
        `guarded`: names; `rules`: policy → {rule: threshold}; `expected`: policy → `Expected.as_dict`.
    """
    told = {name: expected(policy, faces, trial, noise, guarded) for name, policy in POLICIES.items()}
    return {
        "guarded": [names[index] for index in guarded],
        "rules": {name: policy.model_dump() for name, policy in POLICIES.items()},
        "expected": {name: one.as_dict() for name, one in told.items()},
    }
