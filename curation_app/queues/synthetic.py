"""Generated faces to accept or reject."""

import numpy as np

from curation_app.collection import Collection
from curation_app.queues.contract import JUDGE_SYNTHETIC, Kind, Order
from fer_data.decision_log import DecisionLog


def order(collection: Collection, log: DecisionLog) -> Order:
    """Synthetic faces, those first in which the judge sees least of what was asked for; unscreened ones last."""
    origins, words = collection.codes("origin")
    rows = np.flatnonzero(origins == words.index("synthetic"))
    screening = collection.screening if len(rows) else None
    if screening is None:
        return Order(rows)
    return Order(rows, key=lambda: screening.table.numbers("label_score", np.inf)[rows])


KIND = Kind("Synthetic faces", "Generated faces, the judge's least sure first.", JUDGE_SYNTHETIC, order)
