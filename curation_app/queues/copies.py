"""Groups of faces that show one picture and contradict each other, or lie in two splits; side by side."""

from curation_app.collection import Collection
from curation_app.queues.contract import JUDGE_LABEL, Kind, Order
from fer_data.decision_log import DecisionLog


def conflicting(collection: Collection, log: DecisionLog) -> Order:
    """Groups whose labelled faces do not all carry one label."""
    return _disagreeing(collection, "label")


def leaking(collection: Collection, log: DecisionLog) -> Order:
    """Groups that lie in two splits or more."""
    return _disagreeing(collection, "split")


def _disagreeing(collection: Collection, name: str) -> Order:
    copies = collection.copies
    places = copies.disagreeing(collection.codes(name)[0])
    return Order(copies.rows[places], copies.groups[places])


CONFLICTS = Kind(
    "Conflicting duplicates",
    "Pictures that occur more than once, under different labels, side by side.",
    JUDGE_LABEL,
    conflicting,
)
LEAKS = Kind(
    "Leaks across splits",
    "Pictures that occur in two splits, side by side: drop the copies that a test must not share.",
    JUDGE_LABEL,
    leaking,
)
