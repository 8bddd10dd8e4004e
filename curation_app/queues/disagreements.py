"""Faces on which reviewers said different things."""

import numpy as np

from curation_app.collection import Collection
from curation_app.queues.contract import JUDGE_LABEL, Kind, Order
from fer_data.agreement import disagreements, verdicts
from fer_data.decision_log import DecisionLog, standing


def order(collection: Collection, log: DecisionLog) -> Order:
    """Faces with more than one standing verdict, the most divided first (`fer_data.agreement.disagreements`)."""
    current = standing(log.events_on_shared())
    decided = list(dict.fromkeys(sample_id for sample_id, _ in current))
    rows = dict(zip(decided, collection.rows_of(decided).tolist(), strict=True))
    labels = {sample_id: collection.label(row) for sample_id, row in rows.items() if row >= 0}
    here = {sample_id: said for sample_id, said in verdicts(current, labels).items() if rows[sample_id] >= 0}
    return Order(np.array([rows[sample_id] for sample_id in disagreements(here)], dtype=np.int64))


KIND = Kind("Disagreements", "Faces on which reviewers said different things.", JUDGE_LABEL, order, heeds_log=True)
