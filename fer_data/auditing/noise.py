"""How given and true labels go together: a matrix with intervals, from out-of-fold probabilities.

Two estimates bracket the truth, because what a classifier cannot tell may be noise or may be difficulty:

- the *confident joint* (Northcutt, Jiang and Chuang, JAIR 70, 2021, equations 1 to 3; cleanlab's `estimate_joint`)
  counts every face that is confidently taken for another label. A weak classifier's own mistakes count as noise.
- the *anchored joint* looks only at the faces that are most clearly of a class, and takes the labels given to
  them for what such faces are given everywhere (anchor points: Patrini et al., CVPR 2017, section 4.1, here a set of
  them instead of one); how frequent the true labels are then follows from the given ones by EM (Saerens, Latinne
  and Decaestecker, Neural Computation 14, 2002). Noise that is rarer on clear faces is missed.

Both say little of which of two labels is the wrong one where the two are taken for each other. So half of the estimate
is their mean, half is it *redistributed*: the joint that its posterior implies, twice (`mixing.reestimate_joint`),
with as many errors in all as before.

Intervals span the three, each with its sampling error, and one thing more. Where the line between two expressions
lies is for those to say whose labels count as true; given labels alone hardly tell. So the intervals of cells and
classes also let the mass between two labels lie with either.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_data.auditing.evidence import Labels, Probabilities, Repeat
from fer_data.auditing.joints import TINY, Array, cells_of, deal_blocks, draw_weights, joints_of, tally_faces
from fer_data.auditing.mixing import reestimate_joint
from fer_data.errors import FerError

# How one-sided confusions between two labels may be, see `_redirected`; the least whole number at which planted noise
# that runs in one direction only is covered.
DIRECTION_SCALE = 2.0

_LEVEL = 0.95
_ROUNDS = 2
_SAMPLE = 100_000  # faces that confusions are redistributed by


@dataclass(frozen=True)
class Bounded:
    """Estimates with 95 % intervals, float64 arrays of one shape; low <= value <= high.

    What the intervals carry and what they cannot is said in `estimate_noise`.
    """

    value: Array
    low: Array
    high: Array


@dataclass(frozen=True)
class NoiseEstimate:
    """How given and true labels go together; shares are 0..1.

    Attributes:
        given: int64 [K], faces per given label.
        joint: [K, K], share of all faces that are given the row's label and truly show the column's; sums to 1.
        conditional: [K, K], P(true label | given label), rows sum to 1. The row of a label that no face is given is
            the label itself, with intervals from 0 to 1.
        error_rates: [K], share of the faces of a given label that show another.
        sampled_rates: [K], the same with intervals for folds, repeats, samples and ways to estimate only: how well the
            rates are known if the given labels draw the lines where they belong.
        error_rate: [], the same of all faces.
    """

    given: Labels
    joint: Bounded
    conditional: Bounded
    error_rates: Bounded
    sampled_rates: Bounded
    error_rate: Bounded

    @property
    def true_shares(self) -> Array:
        """Estimated share of each true label, float64 [K]."""
        return np.asarray(self.joint.value.sum(axis=0))

    @property
    def transition(self) -> Array:
        """P(given label | true label), float64 [K, K], row = true label; where nothing shows it, as it is."""
        columns = self.joint.value.T
        total = columns.sum(axis=1, keepdims=True)
        return np.where(total > 0, columns / np.maximum(total, TINY), np.eye(len(columns)))

    def as_dict(self, names: Sequence[str]) -> dict[str, Any]:
        """What a table's metadata holds: rates by name, matrices as lists; None for a label that no face is given."""
        present = self.given > 0

        def rate(bounded: Bounded, place: int | tuple[()]) -> dict[str, float]:
            return {part: float(getattr(bounded, part)[place]) for part in ("value", "low", "high")}

        def matrix(bounded: Bounded) -> dict[str, list[list[float] | None]]:
            return {
                part: [
                    row.tolist() if kept else None for row, kept in zip(getattr(bounded, part), present, strict=True)
                ]
                for part in ("value", "low", "high")
            }

        return {
            "labels": list(names),
            "given": dict(zip(names, self.given.tolist(), strict=True)),
            "error_rate": rate(self.error_rate, ()),
            "error_rates": {
                name: rate(self.error_rates, index) if present[index] else None for index, name in enumerate(names)
            },
            "sampled_rates": {
                name: rate(self.sampled_rates, index) if present[index] else None for index, name in enumerate(names)
            },
            "joint": matrix(self.joint),
            "conditional": matrix(self.conditional),
        }


def estimate_noise(
    labels: Labels,
    probabilities: Probabilities,
    groups: NDArray[np.int64],
    *,
    fold: NDArray[np.integer] | None = None,
    repeats: Sequence[Repeat] = (),
    resamples: int = 200,
    seed: int = 0,
) -> NoiseEstimate:
    """Estimate the joint distribution of given and true labels.

    The intervals resample folds and, within them, groups; the spread between repeats, between the estimates of this
    module, and the direction of confusions come on top. The total error rate does not depend on the direction.

    Args:
        labels: int64 [N], given labels, 0..K-1.
        probabilities: float64 [N, K], out of fold; rows sum to 1.
        groups: int64 [N]; faces of one group are resampled together.
        fold: integer [N], which classifier judged a face; None where that is not known. Not used where there are
            repeats, which know their own.
        repeats: what the single repeats saw.
        resamples: how many draws the intervals come from.
        seed: of the draws.

    Raises:
        FerError: no faces, arrays that do not fit each other, a label outside 0..K-1, or fewer than 2 resamples.
    """
    _check(labels, probabilities, groups, resamples)
    classes = probabilities.shape[1]
    rng = np.random.default_rng(seed)
    block = deal_blocks(groups, rng)
    sources: list[tuple[Probabilities, NDArray[np.integer] | None]]
    sources = [(repeat.probabilities.astype(np.float64), repeat.fold) for repeat in repeats] or [(probabilities, fold)]
    draws: list[list[Array]] = [[], []]
    for number, (judged, judge) in enumerate(sources):
        amount = len(range(number, max(resamples, len(sources)), len(sources)))
        cell, cells_fold = cells_of(block, judge)
        tally = tally_faces(labels, judged, cell, len(cells_fold))
        weights = draw_weights(cells_fold, amount, rng)
        for kept, joint in zip(draws, joints_of(tally, weights), strict=True):
            kept.append(joint)
    if repeats:
        tally = tally_faces(labels, probabilities, np.zeros(len(labels), np.int64), 1)
    point = [joint[0] for joint in joints_of(tally)]
    mean = np.mean(point, axis=0)
    some = np.sort(rng.permutation(len(labels))[:_SAMPLE])
    redistributed = _redistributed(mean, labels[some], probabilities[some])
    # A single repeat doubts more than the mean of all: only how the draws vary is taken from them.
    samples = [np.concatenate(kept) for kept in draws]
    samples.append(np.mean(samples, axis=0))
    centred = [
        np.maximum(joint + drawn - drawn.mean(axis=0), 0)
        for joint, drawn in zip([*point, redistributed], samples, strict=True)
    ]
    given = np.bincount(labels, minlength=classes).astype(np.int64)
    return _summed_up(given, (mean + redistributed) / 2, centred, rng)


def _check(labels: Labels, probabilities: Probabilities, groups: NDArray[np.int64], resamples: int) -> None:
    if probabilities.ndim != 2 or not len(labels) == len(probabilities) == len(groups) > 0:
        raise FerError(
            "noise estimate: expected labels [N], probabilities [N, K] and groups [N] of one or more faces, found "
            f"{list(labels.shape)}, {list(probabilities.shape)} and {list(groups.shape)}"
        )
    if labels.min() < 0 or labels.max() >= probabilities.shape[1]:
        raise FerError(
            f"noise estimate: expected labels 0 to {probabilities.shape[1] - 1}, found {labels.min()} to "
            f"{labels.max()}; leave faces without a label out"
        )
    if resamples < 2:
        raise FerError(f"noise estimate: expected 2 or more resamples, found {resamples}; intervals come from them")


def _redistributed(joint: Array, labels: Labels, probabilities: Probabilities) -> Array:
    """The joint [K, K] that the posterior implies, its errors scaled to as many as they were."""
    implied = joint
    for _ in range(_ROUNDS):
        implied = reestimate_joint(labels, probabilities, implied)
    wrong = ~np.eye(len(joint), dtype=bool)
    given, off = joint.sum(axis=1), implied * wrong
    off *= joint[wrong].sum() / max(float(off.sum()), TINY)
    off *= np.minimum(1, given / np.maximum(off.sum(axis=1), TINY))[:, None]
    return np.asarray(off + np.diag(given - off.sum(axis=1)))


def _redirected(joints: Array, rng: np.random.Generator) -> Array:
    """Draws [R, K, K] whose confusions may run the other way; the faces per given label stay.

    Labels are used too freely or too sparingly: each gets a Gumbel distributed strength per draw, and what lies
    between two labels is divided by the logistic of their difference (Bradley and Terry, Biometrika 39, 1952).
    At a scale of 1 every division is as likely; above, confusions that run one way are likelier.
    """
    given = joints.sum(axis=2)
    strength = DIRECTION_SCALE * rng.gumbel(size=given.shape)
    share = np.exp(-np.logaddexp(0, strength[:, None, :] - strength[:, :, None]))
    off = (joints + joints.transpose(0, 2, 1)) * share * ~np.eye(given.shape[1], dtype=bool)
    off *= np.minimum(1, given / np.maximum(off.sum(axis=2), TINY))[:, :, None]
    return np.asarray(off + np.eye(given.shape[1]) * np.maximum(given - off.sum(axis=2), 0)[:, :, None])


def _conditional(joints: Array, present: NDArray[np.bool_]) -> Array:
    """Rows of joints [.., K, K] as shares; the label itself where no face is given it."""
    shares = joints / np.maximum(joints.sum(axis=-1, keepdims=True), TINY)
    return np.where(present[:, None], shares, np.eye(len(present)))


def _summed_up(given: Labels, joint: Array, samples: Sequence[Array], rng: np.random.Generator) -> NoiseEstimate:
    """The estimate of a joint [K, K], with intervals from the draws [R, K, K] of each way to estimate it."""
    present, total = given > 0, given.sum()
    faces = np.where(present, given, 1)
    redirected = [_redirected(drawn, rng) for drawn in samples]
    shares = [_conditional(drawn, present) for drawn in redirected]
    value = _conditional(joint, present)
    return NoiseEstimate(
        given=given,
        joint=_bounded(joint, redirected, total),
        conditional=_opened(_bounded(value, shares, faces[:, None]), present[:, None]),
        error_rates=_opened(_bounded(_wrong(value), [_wrong(drawn) for drawn in shares], faces), present),
        sampled_rates=_opened(
            _bounded(_wrong(value), [_wrong(_conditional(drawn, present)) for drawn in samples], faces), present
        ),
        error_rate=_bounded(
            np.asarray(1 - np.trace(joint)),
            [np.asarray(1 - np.trace(drawn, axis1=1, axis2=2)) for drawn in samples],
            total,
        ),
    )


def _wrong(shares: Array) -> Array:
    return np.asarray(1 - np.diagonal(shares, axis1=-2, axis2=-1))


def _bounded(value: Array, draws: Sequence[Array], faces: Labels | np.int64) -> Bounded:
    """An estimate with the interval that spans what the draws [R, ..] of each way to estimate it span.

    No interval ends below what a share of `faces` may still be of which not one was seen, and less than half a face
    is none.
    """
    ends = [np.quantile(drawn, ((1 - _LEVEL) / 2, (1 + _LEVEL) / 2), axis=0) for drawn in draws]
    unseen = -np.expm1(np.log((1 - _LEVEL) / 2) / faces)
    value = np.clip(value, 0, 1)
    low = np.minimum(np.min([end[0] for end in ends], axis=0), value)
    high = np.maximum(np.max([end[1] for end in ends], axis=0), np.maximum(value, unseen))
    return Bounded(value, np.where(low * faces < 0.5, 0.0, low), np.asarray(np.minimum(high, 1.0)))


def _opened(bounded: Bounded, known: NDArray[np.bool_]) -> Bounded:
    """Intervals from 0 to 1 where nothing is known."""
    return Bounded(bounded.value, np.where(known, bounded.low, 0.0), np.where(known, bounded.high, 1.0))
