"""Faces on which reviewers said different things."""

from collections import defaultdict

import numpy as np

from curation_app.collection import Collection
from curation_app.queues.contract import JUDGE_LABEL, Kind, Order
from fer_data.consensus import verdict_of
from fer_data.decision_log import DecisionLog, standing


def order(collection: Collection, log: DecisionLog) -> Order:
    """Faces with more than one standing verdict, most verdicts first, then as they were first decided on."""
    together = defaultdict(list)
    for (sample_id, _), decision in standing(log.events_on_shared()).items():
        together[sample_id].append(decision)
    several = [sample_id for sample_id, group in together.items() if len(group) > 1]
    rows = collection.rows_of(several)
    found = []
    for sample_id, row in zip(several, rows, strict=True):
        label = collection.label(int(row)) if row >= 0 else None
        verdicts = {verdict_of(decision, label) for decision in together[sample_id]}
        if row >= 0 and len(verdicts) > 1:
            found.append((-len(verdicts), int(row)))
    return Order(np.array([row for _, row in sorted(found, key=lambda pair: pair[0])], dtype=np.int64))


KIND = Kind("Disagreements", "Faces on which reviewers said different things.", JUDGE_LABEL, order, heeds_log=True)
