"""What decisions would change in each class, and how many wrong labels would then be expected."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from curation_app.collection import Collection
from fer_data.decision_log import Decision
from fer_data.decisions import Outcome, preview


@dataclass(frozen=True)
class Consensus:
    """How reviewers who differ are brought together; the arguments of `fer_data.decisions.apply` for it.

    Attributes:
        rule: a name of `fer_data.consensus.CONSENSUS`.
        seniority: reviewers, the most senior first; of "seniority" only.
        audit: a table with a model's probabilities; of "crowdlab" only.
    """

    rule: str = "majority"
    seniority: tuple[str, ...] = ()
    audit: Path | None = None

    def arguments(self) -> dict[str, Any]:
        """As `apply` and `preview` take it."""
        return {"consensus": self.rule, "seniority": self.seniority, "audit": self.audit}


MAJORITY = Consensus()


@dataclass(frozen=True)
class ClassChange:
    """One label before and after.

    Attributes:
        before, after: how many faces carry it.
        gone, come: how many are relabelled from it and to it.
        dropped: how many of it are left out.
        unsure: how many get a soft label or less weight.
    """

    label: str
    before: int
    gone: int
    come: int
    dropped: int
    unsure: int

    @property
    def after(self) -> int:
        return self.before - self.gone - self.dropped + self.come


@dataclass(frozen=True)
class Noise:
    """An expected share of wrong labels, 0..1, with the interval of the audit's estimate."""

    label: str
    before: tuple[float, float, float]
    after: tuple[float, float, float]


@dataclass(frozen=True)
class Changes:
    """What decisions would change.

    Attributes:
        outcomes: kept, relabelled, dropped, unsure → faces.
        classes: in the order of the label set.
        moves: (label before, label after) → faces, most frequent first.
        noise: per class, the whole last; empty without an audit that tells.
    """

    outcomes: Mapping[str, int]
    classes: Sequence[ClassChange]
    moves: Mapping[tuple[str, str], int]
    noise: Sequence[Noise]


def foresee(collection: Collection, events: Sequence[Decision], consensus: Consensus = MAJORITY) -> Changes:
    """What applying these events would change.

    Raises:
        FerError: what `fer_data.decisions.preview` refuses.
    """
    outcomes = preview(collection.manifest, events, **consensus.arguments())
    moves = Counter(
        (entry.before or "no label", entry.after or "no label") for entry in outcomes if entry.before != entry.after
    )
    return Changes(
        dict(Counter(entry.outcome for entry in outcomes)),
        _classes(collection, outcomes),
        dict(moves.most_common()),
        _noise(collection, outcomes),
    )


def _classes(collection: Collection, outcomes: Sequence[Outcome]) -> list[ClassChange]:
    codes, labels = collection.codes("label")
    before = np.bincount(codes[codes >= 0], minlength=len(labels)).tolist()
    gone = Counter(entry.before for entry in outcomes if entry.before != entry.after)
    come = Counter(entry.after for entry in outcomes if entry.before != entry.after)
    dropped = Counter(entry.before for entry in outcomes if entry.outcome == "dropped")
    unsure = Counter(entry.before for entry in outcomes if entry.outcome == "unsure")
    return [
        ClassChange(label, count, gone[label], come[label], dropped[label], unsure[label])
        for label, count in zip(labels, before, strict=True)
    ]


def _noise(collection: Collection, outcomes: Sequence[Outcome]) -> list[Noise]:
    """The audit's estimate, less the wrong labels that reviewers found among the faces that were audited.

    What a reviewer says is taken for the truth, and so is the label that a face gets.
    """
    estimate = _estimate(collection)
    if collection.opinions is None or estimate is None:
        return []
    rows = collection.rows_of([entry.sample_id for entry in outcomes])
    audited = [entry for entry, row in zip(outcomes, rows, strict=True) if collection.opinions.known[row]]
    wrong = Counter(entry.before for entry in audited if entry.outcome == "dropped" or entry.before != entry.after)
    right = Counter(entry.after for entry in audited if entry.outcome != "dropped" and entry.before != entry.after)
    told = [
        _less(label, estimate["error_rates"][label], estimate["given"][label], wrong[label], right[label])
        for label in estimate["labels"]
    ]
    total = sum(estimate["given"].values())
    return [*told, _less("all", estimate["error_rate"], total, wrong.total(), right.total())]


def _estimate(collection: Collection) -> Mapping[str, Any] | None:
    if collection.opinions is None:
        return None
    estimate: Mapping[str, Any] | None = collection.opinions.table.metadata.get("summary", {}).get("noise")
    return estimate


def _less(label: str, rate: Mapping[str, float], faces: int, wrong: int, right: int) -> Noise:
    """The rate among `faces`, of which `wrong` were found and taken out while `right` came in."""
    before = (rate["value"], rate["low"], rate["high"])
    after = max(faces - wrong + right, 1)
    low, value, high = (max(share * faces - wrong, 0) / after for share in (before[1], before[0], before[2]))
    return Noise(label, before, (value, low, high))
