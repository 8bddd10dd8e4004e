"""Faces whose label the audit doubts."""

import numpy as np

from curation_app.collection import Collection
from curation_app.queues.contract import JUDGE_LABEL, Kind, Order
from fer_data.decision_log import DecisionLog


def order(collection: Collection, log: DecisionLog) -> Order | None:
    """Marked faces, the audit's next to look at first."""
    opinions = collection.opinions
    if opinions is None:
        return None
    rows = np.flatnonzero(opinions.is_issue)
    return Order(rows, key=lambda: opinions.review_order[rows])


KIND = Kind(
    "Suspected labels", "Faces whose label the audit doubts, worst first.", JUDGE_LABEL, order, source="fer audit"
)
