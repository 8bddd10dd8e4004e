"""The rare-class guard: which labels are marked, and what of a rare class needs a person.

In a class with few faces a good face ranks among the bad ones of all, and the noise estimate is coarse. So
labels are ranked within their class too, no class has more or fewer marked than its own error rate supports, and
nothing of a guarded class is dropped or relabelled without a person.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fer_data.auditing.evidence import Labels, Probabilities
from fer_data.auditing.noise import Bounded, NoiseEstimate
from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.intervals import wilson

Scores = NDArray[np.float64]


class GuardConfig(Configuration):
    """Which labels are marked without a person, and which classes are left to one."""

    # "noise_estimate" marks the worst faces, as many as are estimated wrong in all, but of each class no fewer and no
    # more than the interval of its error rate allows; the others are cleanlab's `filter_by`.
    cut: Literal[
        "noise_estimate",
        "prune_by_noise_rate",
        "prune_by_class",
        "both",
        "confident_learning",
        "predicted_neq_given",
    ] = "noise_estimate"
    # How many "noise_estimate" marks: 1 as many as are estimated wrong, 0 as many as surely are (the lower end of the
    # interval), in between in between.
    amount: float = Field(default=1.0, ge=0, le=1)
    # A class with fewer faces than this is guarded,
    few: int = Field(default=100, ge=0)
    # one with a smaller share of an average class,
    rare: float = Field(default=0.25, ge=0, le=1)
    # and one whose error rate is not known better than to this (width of its interval for sampling).
    wide: float = Field(default=0.4, ge=0, le=1)


def rank_within_class(labels: Labels, score: Scores) -> Labels:
    """Rank of each face among those of its given label, int64 [N], 1 = lowest score; equal scores in their order.

    Args:
        labels: int64 [N].
        score: float64 [N], low = bad.
    """
    return _ranked(labels, np.argsort(score, kind="stable"))


def _ranked(labels: Labels, order: NDArray[np.intp]) -> Labels:
    """The place of each face among those of its label, int64 [N] from 1, where `order` lists all faces."""
    order = order[np.argsort(labels[order].astype(np.int16), kind="stable")]  # short integers are sorted by radix
    starts = np.concatenate([[0], np.bincount(labels, minlength=1).cumsum()[:-1]])
    rank = np.empty(len(labels), dtype=np.int64)
    rank[order] = np.arange(1, len(labels) + 1) - starts[labels[order]]
    return rank


def mark(
    labels: Labels, score: Scores, probabilities: Probabilities, noise: NoiseEstimate, config: GuardConfig
) -> NDArray[np.bool_]:
    """Which labels are marked as issues, bool [N].

    Args:
        labels: int64 [N], given labels.
        score: float64 [N], low = bad; what "noise_estimate" ranks by.
        probabilities: float64 [N, K], out of fold; what cleanlab's cuts go by.
        noise: the estimate for these faces.

    Raises:
        FerError: the estimate is of other faces.
    """
    if not np.array_equal(np.bincount(labels, minlength=len(noise.given)), noise.given):
        raise FerError(
            f"marks: expected the faces of the noise estimate ({int(noise.given.sum()):,}), found {len(labels):,} or "
            "others per label; estimate the noise of these faces"
        )
    if config.cut != "noise_estimate":
        return _marked_by_cleanlab(labels, probabilities, config.cut)
    rate, rates = noise.error_rate, noise.error_rates
    supported = float(rate.low + config.amount * (rate.value - rate.low))
    order = np.argsort(score, kind="stable")
    counts = np.bincount(labels[order[: round(supported * len(labels))]], minlength=len(noise.given))
    counts = np.clip(counts, np.ceil(rates.low * noise.given), np.floor(rates.high * noise.given))
    return np.asarray(_ranked(labels, order) <= counts[labels])


def _marked_by_cleanlab(labels: Labels, probabilities: Probabilities, cut: str) -> NDArray[np.bool_]:
    from cleanlab.filter import find_label_issues

    with warnings.catch_warnings():
        # Said of every label that few or no faces have; that is what the guard is for.
        warnings.filterwarnings("ignore", message="May not flag all label issues", category=UserWarning)
        return np.asarray(find_label_issues(labels, probabilities, filter_by=cut, n_jobs=1), dtype=bool)


def guarded(noise: NoiseEstimate, config: GuardConfig) -> tuple[int, ...]:
    """The classes of which nothing is dropped or relabelled without a person, ascending; empty classes are not among
    them."""
    given, rates = noise.given, noise.sampled_rates
    small = (given < config.few) | (given < config.rare * given[given > 0].mean())
    coarse = rates.high - rates.low > config.wide
    return tuple(np.flatnonzero((small | coarse) & (given > 0)).tolist())


def needs_person(labels: Labels, suggested: Labels, classes: Sequence[int]) -> NDArray[np.bool_]:
    """Which faces only a person may drop or relabel, bool [N]: those of guarded classes.

    A face that a guarded class would win counts too: it would be judged by as few faces as one that is given it.

    Args:
        labels, suggested: int64 [N], given labels and those that would take their place.
        classes: the guarded ones.
    """
    return np.asarray(np.isin(labels, classes) | ((suggested != labels) & np.isin(suggested, classes)))


@dataclass(frozen=True)
class ExpectedMarks:
    """How well marks are expected to find wrong labels, per given label.

    Attributes:
        marked, planted: int64 [K], marked faces; planted wrong labels that this was tried on.
        recall: [K], share of the wrong labels that are marked; 0 to 1 where none was planted.
        precision: [K], share of the marked labels that are wrong; 0 to 1 where nothing is known.
        rarest_first: the K classes by number of faces.
    """

    marked: Labels
    planted: Labels
    recall: Bounded
    precision: Bounded
    rarest_first: tuple[int, ...]

    def as_dict(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Per label, the rarest first; None where it was not tried."""

        def told(bounded: Bounded, index: int, known: bool) -> dict[str, float] | None:
            return {part: float(getattr(bounded, part)[index]) for part in ("value", "low", "high")} if known else None

        return {
            names[index]: {
                "marked": int(self.marked[index]),
                "planted": int(self.planted[index]),
                "recall": told(self.recall, index, bool(self.planted[index])),
                "precision": told(self.precision, index, bool(self.planted[index] and self.marked[index])),
            }
            for index in self.rarest_first
        }


def expected_marks(
    labels: Labels,
    score: Scores,
    marked: NDArray[np.bool_],
    planted_labels: Labels,
    planted_score: Scores,
    noise: NoiseEstimate,
) -> ExpectedMarks:
    """What marks are expected to find, from planted wrong labels scored in the same way.

    A class's recall is the share of the labels planted in it that score no better than the best marked face of the
    class. Its precision follows: of what is marked, the wrong labels are error rate × recall of the class. Intervals:
    Wilson's for the recall (JASA 22, 1927), and for the precision the least and most that recall and error rate
    allow.

    Args:
        labels: int64 [N]; score: float64 [N]; marked: bool [N].
        planted_labels: int64 [M], the wrong labels; planted_score: float64 [M], their scores under these.
    """
    classes = len(noise.given)
    best = np.full(classes, -np.inf)
    np.maximum.at(best, labels[marked], score[marked])
    planted = np.bincount(planted_labels, minlength=classes)
    found = np.bincount(planted_labels[planted_score <= best[planted_labels]], minlength=classes)
    recall = bounded_share(found, planted)
    count = np.bincount(labels[marked], minlength=classes)
    known = (count > 0) & (planted > 0)
    wrong = noise.given / np.maximum(count, 1)
    rates = noise.sampled_rates
    precision = Bounded(
        np.where(known, np.minimum(rates.value * recall.value * wrong, 1), 0.0),
        np.where(known, np.minimum(rates.low * recall.low * wrong, 1), 0.0),
        np.where(known, np.minimum(rates.high * recall.high * wrong, 1), 1.0),
    )
    order = tuple(np.argsort(noise.given, kind="stable").tolist())
    return ExpectedMarks(count.astype(np.int64), planted.astype(np.int64), recall, precision, order)


def bounded_share(hits: NDArray[Any], total: NDArray[Any]) -> Bounded:
    """Shares with Wilson's 95 % intervals; 0 with the interval 0 to 1 where nothing was tried."""
    low, high = wilson(hits, total)
    return Bounded(np.asarray(hits / np.where(np.asarray(total) > 0, total, 1), dtype=np.float64), low, high)
