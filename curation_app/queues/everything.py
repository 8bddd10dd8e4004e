"""All faces, to be narrowed by a condition."""

import numpy as np

from curation_app.collection import Collection
from curation_app.queues.contract import JUDGE_LABEL, Kind, Order
from fer_data.decision_log import DecisionLog


def order(collection: Collection, log: DecisionLog) -> Order:
    """Every row, in the manifest's order."""
    return Order(np.arange(len(collection)))


KIND = Kind("All faces", "Every face in the manifest's order; narrow it as you like.", JUDGE_LABEL, order)
