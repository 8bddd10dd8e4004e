"""Pictures that are bad, or show no face."""

from functools import reduce

import numpy as np
from numpy.typing import NDArray

from curation_app.collection import Collection
from curation_app.knowledge.side_tables import SideTable
from curation_app.queues.contract import JUDGE_LABEL, Kind, Order
from fer_data.decision_log import DecisionLog
from fer_data.quality import ISSUES, QualityConfig

_NOT_A_FACE = "not_a_face"


def poor(collection: Collection, log: DecisionLog) -> Order | None:
    """Pictures with an issue, by the quality table or else the audit, the farthest below its threshold first."""
    audit = None if collection.opinions is None else collection.opinions.table
    table = audit if collection.quality is None else collection.quality
    issues = [] if table is None else [name for name in ISSUES if f"is_{name}" in table.columns and name != _NOT_A_FACE]
    if table is None or not issues:
        return None
    return _worst_first(reduce(np.minimum, (_flagged_scores(table, name) / _threshold(table, name) for name in issues)))


def faceless(collection: Collection, log: DecisionLog) -> Order | None:
    """Pictures in which voters saw no face (quality table) or a model recognises none (audit), lowest score first."""
    scores = []
    if collection.quality is not None and f"is_{_NOT_A_FACE}" in collection.quality.columns:
        scores.append(_flagged_scores(collection.quality, _NOT_A_FACE))
    if collection.opinions is not None:
        none = collection.opinions.kind_is(_NOT_A_FACE)
        scores.append(np.where(none, collection.opinions.score_of("face_score"), np.inf).astype(np.float32))
    return _worst_first(reduce(np.minimum, scores)) if scores else None


def _flagged_scores(table: SideTable, issue: str) -> NDArray[np.float32]:
    """The scores of an issue where it is flagged, float32 [N], infinite elsewhere."""
    scores = table.numbers(ISSUES[issue], 1.0).astype(np.float32)
    scores[~table.numbers(f"is_{issue}", False)] = np.inf
    return scores


def _threshold(table: SideTable, issue: str) -> np.float32:
    """Below which score the issue was flagged: what the table says, else what is usual."""
    usual: float = getattr(QualityConfig(), issue)
    return np.float32(table.metadata.get("configuration", {}).get(issue) or usual)


def _worst_first(scores: NDArray[np.float32]) -> Order:
    rows = np.flatnonzero(np.isfinite(scores))
    found = scores[rows]
    return Order(rows, key=lambda: found)


POOR = Kind(
    "Poor pictures",
    "Pictures that are dark, washed out, blurred, blank or the like, the worst first.",
    JUDGE_LABEL,
    poor,
    source="fer quality",
)
FACELESS = Kind(
    "Not a face",
    "Pictures in which voters or a model saw no face, the surest first.",
    JUDGE_LABEL,
    faceless,
    source="fer audit",
)
