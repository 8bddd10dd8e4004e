"""One number per face and way of judging its label: 0..1, low = bad.

Every score looks at the labels and at one matrix of the evidence, the one that it `needs`:

    probabilities   [N, K] out of fold
    neighbours      [N, K] shares of the labels around the face in feature space
    seen            [N, K] probabilities by the classifiers that trained on the face
    margins         [N, E] margins of the trained label while they did

The last two tell how hard the label was to learn: networks learn what is right before what is wrong (Arpit et al.,
"A Closer Look at Memorization in Deep Networks", ICML 2017). They speak of the label that was trained: NaN for a face
that was trained under another label than the one to judge, or never. On real faces, where one network judges each
face, they rank wrong labels better than all that is out of fold.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fer_data.auditing.evidence import UNTRAINED, Evidence, Labels, Repeat
from fer_data.auditing.neighbours import vote
from fer_data.errors import FerError

Scores = NDArray[np.float64]
Matrix = NDArray[np.float64]
Part = Literal["probabilities", "neighbours", "seen", "margins"]

_NEVER = 2.0  # the threshold of a label that no face carries, as cleanlab has it
_LOWEST_THRESHOLD = 2e-6


@dataclass(frozen=True)
class Score:
    """One way of judging labels; called with evidence, it judges the given ones.

    Attributes:
        needs: the part of the evidence that it looks at.
        judge: (int64 [N] labels, float64 [N, …] that part) -> float64 [N]; rows of NaN give NaN.
    """

    needs: Part
    judge: Callable[[Labels, Matrix], Scores]

    def __call__(self, evidence: Evidence) -> Scores:
        """The score of every given label, float64 [N]; the mean over the repeats where it looks at repeats.

        Raises:
            FerError: no repeat kept what the score needs.
        """
        if self.needs == "probabilities":
            return self.judge(evidence.labels, evidence.probabilities)
        repeats = [repeat for repeat in evidence.repeats if self.needs in _parts(repeat)]
        if not repeats:
            raise FerError(f"scores: expected a repeat with {self.needs}, found none; predict again, keeping them")
        matrices = (_matrix(evidence, repeat, evidence.labels, self.needs) for repeat in repeats)
        return _mean([self.judge(evidence.labels, matrix) for matrix in matrices])


def self_confidence(labels: Labels, probabilities: Matrix) -> Scores:
    """The probability of the label (Northcutt et al., JAIR 70, 2021, section 3)."""
    own: Scores = np.take_along_axis(probabilities, labels[:, None], axis=1)[:, 0]
    return own


def normalized_margin(labels: Labels, probabilities: Matrix) -> Scores:
    """The probability of the label minus the largest other, brought to 0..1 (ibid.)."""
    margin: Scores = self_confidence(labels, probabilities) - _largest_other(labels, probabilities)
    return (margin + 1) / 2


def confidence_weighted_entropy(labels: Labels, probabilities: Matrix) -> Scores:
    """log(1 + r) / r, r = normalized entropy / probability of the label (Kuan and Mueller, DataPerf at ICML 2022).

    Equal to cleanlab's score but where that breaks down: it calls a label of probability 1 as bad as one of
    probability 0, and one of 1e-9 good. Here they are 1, 0 and low.
    """
    confidence = self_confidence(labels, probabilities)
    with np.errstate(all="ignore"):
        logs = np.where(probabilities > 0, np.log(probabilities), 0)
        entropy = -(probabilities * logs).sum(axis=1) / np.log(probabilities.shape[1])
        ratio = np.where(confidence > 0, entropy / confidence, np.inf)
        score = np.where(ratio > 0, np.log1p(ratio) / ratio, 1)
    return np.where(np.isinf(ratio), 0, score)


def confident_learning(labels: Labels, probabilities: Matrix) -> Scores:
    """The label against the best other one, each as a multiple of its class threshold: x / (x + other).

    Graded from confident learning's count (Northcutt et al., JAIR 70, 2021, equation 2): below 0.5 where only
    another label passes its threshold, above where only the face's own does.
    """
    return odds_margin(labels, probabilities / class_thresholds(labels, probabilities))


def class_thresholds(labels: Labels, probabilities: Matrix) -> Matrix:
    """The mean probability of each label among the faces that carry it, float64 [K]; 2 for a label that none has."""
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    sums = np.bincount(labels, self_confidence(labels, probabilities), minlength=probabilities.shape[1])
    means = np.divide(sums, counts, out=np.full(len(counts), _NEVER), where=counts > 0)
    thresholds: Matrix = np.maximum(means, _LOWEST_THRESHOLD)
    return thresholds


def odds_margin(labels: Labels, probabilities: Matrix) -> Scores:
    """The label against the most probable other one alone: the logistic function of the margin of the logits."""
    own, other = self_confidence(labels, probabilities), _largest_other(labels, probabilities)
    neither = np.where(np.isnan(own), np.nan, 0.5)
    return np.divide(own, own + other, out=neither, where=own + other > 0)


def area_under_margin(_: Labels, margins: Matrix) -> Scores:
    """The margin averaged over the training (Pleiss et al., NeurIPS 2020), through the logistic function."""
    return _logistic(margins.mean(axis=1))


def late_margin(_: Labels, margins: Matrix) -> Scores:
    """The margin averaged over the later half of the training, through the logistic function."""
    return _logistic(margins[:, margins.shape[1] // 2 :].mean(axis=1))


def forgetting(_: Labels, margins: Matrix) -> Scores:
    """1 minus the share of the training in which a label once learnt was forgotten; 0 where it was never learnt.

    Learnt is a margin above 0, forgotten one below 0 after that (Toneva et al., ICLR 2019, definitions 3.1 and 3.2).
    """
    learnt = np.maximum.accumulate(margins > 0, axis=1)
    kept = 1 - (learnt & (margins < 0)).mean(axis=1)
    return np.where(np.isnan(margins).any(axis=1), np.nan, np.where(learnt[:, -1], kept, 0))


SCORES: Mapping[str, Score] = {
    "self_confidence": Score("probabilities", self_confidence),
    "normalized_margin": Score("probabilities", normalized_margin),
    "confidence_weighted_entropy": Score("probabilities", confidence_weighted_entropy),
    "confident_learning": Score("probabilities", confident_learning),
    "neighbours": Score("neighbours", self_confidence),
    "neighbour_margin": Score("neighbours", odds_margin),
    "seen_confidence": Score("seen", self_confidence),
    "seen_margin": Score("seen", odds_margin),
    "area_under_margin": Score("margins", area_under_margin),
    "late_margin": Score("margins", late_margin),
    "forgetting": Score("margins", forgetting),
}


def available(evidence: Evidence) -> tuple[str, ...]:
    """The names of the scores that can be computed from what is there, in the order of `SCORES`."""
    there: set[Part] = {"probabilities"}
    there = there.union(*map(_parts, evidence.repeats))
    return tuple(name for name, score in SCORES.items() if score.needs in there)


def score_labels(evidence: Evidence, shares: Sequence[Matrix | None] | None = None) -> dict[str, Scores]:
    """Every available score of the given labels, by name: float64 [N], 0..1, low = bad.

    Scores of probabilities are those of the averaged ones; the others are means over the repeats. NaN only where a
    score cannot be known: no repeat trained on the face under its given label, or nobody is around it.

    Args:
        shares: `neighbour_shares` of each repeat, for whoever has them already; None computes them.
    """
    known = shares or [None] * len(evidence.repeats)
    repeats = [
        score_repeat(evidence, repeat, evidence.labels, around)
        for repeat, around in zip(evidence.repeats, known, strict=True)
    ]
    return {
        name: SCORES[name](evidence)
        if SCORES[name].needs == "probabilities"
        else _mean([scores[name] for scores in repeats if name in scores])
        for name in available(evidence)
    }


def score_repeat(evidence: Evidence, repeat: Repeat, labels: Labels, shares: Matrix | None = None) -> dict[str, Scores]:
    """Every score that one repeat gives to `labels`, by name: float64 [N], 0..1, low = bad.

    Args:
        labels: int64 [N], the labels to judge: the given ones, or the trained ones where noise was planted; NaN
            comes for `UNTRAINED`. The faces around a face vote by their given labels in either case.
        shares: `neighbour_shares` of this repeat, for whoever has them already; None computes them.
    """
    judged = labels != UNTRAINED
    matrices = {part: _matrix(evidence, repeat, labels, part, shares)[judged] for part in _parts(repeat)}
    scores = {}
    for name, score in SCORES.items():
        if score.needs in matrices:
            scores[name] = np.full(len(labels), np.nan)
            scores[name][judged] = score.judge(labels[judged], matrices[score.needs])
    return scores


def neighbour_shares(evidence: Evidence, repeat: Repeat) -> Matrix:
    """How the faces around each face are labelled in one repeat that kept features, float64 [N, K]; costs seconds.

    Raises:
        FerError: the repeat has no features, or they are not finite.
    """
    if repeat.features is None:
        raise FerError("neighbours: expected a repeat with features, found one without; predict again, keeping them")
    return vote(repeat.features, evidence.labels, repeat.fold, evidence.groups, len(evidence.names))


def _parts(repeat: Repeat) -> set[Part]:
    """Which parts of the evidence a repeat has."""
    parts: dict[Part, object] = {
        "probabilities": repeat.probabilities,
        "neighbours": repeat.features,
        "seen": repeat.seen,
        "margins": repeat.margins,
    }
    return {part for part, matrix in parts.items() if matrix is not None}


def _matrix(evidence: Evidence, repeat: Repeat, labels: Labels, part: Part, shares: Matrix | None = None) -> Matrix:
    """The matrix of one repeat that a score looks at, NaN where it says nothing of `labels`."""
    if part == "neighbours":
        return neighbour_shares(evidence, repeat) if shares is None else shares
    dynamics = {"seen": repeat.seen, "margins": repeat.margins}.get(part)
    if dynamics is None:
        return repeat.probabilities.astype(np.float64)
    spoken_of = (repeat.trained_label == labels)[:, None]
    return np.where(spoken_of, dynamics.astype(np.float64), np.nan)


def _mean(scores: Sequence[Scores]) -> Scores:
    """The mean over the repeats that know a score."""
    stacked = np.stack(scores)
    known = ~np.isnan(stacked)
    means: Scores = np.full(stacked.shape[1], np.nan)
    np.divide(np.where(known, stacked, 0).sum(axis=0), known.sum(axis=0), out=means, where=known.any(axis=0))
    return means


def _largest_other(labels: Labels, probabilities: Matrix) -> Scores:
    others = probabilities.copy()
    np.put_along_axis(others, labels[:, None], -1, axis=1)
    largest: Scores = others.max(axis=1)
    return np.where(np.isnan(probabilities).any(axis=1), np.nan, largest)


def _logistic(margin: Scores) -> Scores:
    score: Scores = 1 / (1 + np.exp(-np.clip(margin, -500, 500)))
    return score
