"""Faces that are like no other."""

import numpy as np

from curation_app.collection import Collection
from curation_app.queues.contract import JUDGE_LABEL, Kind, Order
from fer_data.decision_log import DecisionLog


def order(collection: Collection, log: DecisionLog) -> Order | None:
    """What the audit calls an outlier, the farthest first."""
    opinions = collection.opinions
    if opinions is None:
        return None
    rows = np.flatnonzero(opinions.flag("is_outlier"))
    return Order(rows, key=lambda: opinions.score_of("outlier_score")[rows])


KIND = Kind(
    "Outliers", "Faces that lie far from every other, the farthest first.", JUDGE_LABEL, order, source="fer audit"
)
