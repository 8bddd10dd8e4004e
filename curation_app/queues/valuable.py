"""Faces from whose look the labels gain most."""

import numpy as np
from numpy.typing import NDArray

from curation_app.collection import Collection
from curation_app.queues.contract import JUDGE_LABEL, Kind, Order
from fer_data.decision_log import DecisionLog

RARITY = 0.5  # a label of n faces weighs (median n / n) ** RARITY: four times rarer weighs twice


def order(collection: Collection, log: DecisionLog) -> Order | None:
    """Audited faces that nobody reviewed, by how bad the label's score is, weighted by how rare the label is."""
    opinions = collection.opinions
    if opinions is None:
        return None
    labels, words = collection.codes("label")
    rows = np.flatnonzero(opinions.known & ~opinions.flag("is_reviewed") & (labels >= 0))

    def fit() -> NDArray[np.float32]:
        counts = np.bincount(labels[labels >= 0], minlength=len(words)).astype(np.float32)
        middle = np.median(counts[counts > 0])
        weight = (middle / np.maximum(counts, 1)) ** RARITY
        return (opinions.scores[rows] - 1) * weight[labels[rows]].astype(np.float32)

    return Order(rows, key=fit)


KIND = Kind(
    "Most valuable next",
    "Every audited face: those with a bad score and a rare label first.",
    JUDGE_LABEL,
    order,
    source="fer audit",
)
