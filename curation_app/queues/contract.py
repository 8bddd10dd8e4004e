"""What a queue is: faces to review in an order, and a kind that says why they are in it and what may be decided."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation_app.collection import Collection
from fer_data.decision_log import DecisionLog

JUDGE_LABEL = ("keep", "relabel", "drop", "unsure")
JUDGE_SYNTHETIC = ("accept", "reject", "unsure")

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Order:
    """The rows that a kind of queue holds.

    Attributes:
        rows: int64 [M]; without a key first to review first.
        groups: int64 [M], equal for rows that belong side by side, which follow each other; None where all stand alone.
        key: makes [M] numbers, lowest to review first; called only when the queue is opened.
    """

    rows: Rows
    groups: Rows | None = None
    key: Callable[[], NDArray[Any]] | None = None

    def sorted_rows(self) -> Rows:
        """The rows, int64 [M], first to review first; equal ones in the order in which they are."""
        return self.rows if self.key is None else self.rows[np.argsort(self.key(), kind="stable")]


@dataclass(frozen=True)
class Kind:
    """One kind of queue.

    Attributes:
        title: what the reviewer reads.
        why: one sentence on what is in it and in which order.
        actions: what a reviewer may decide there.
        order: the rows of a collection that are in it; None where the table that tells is missing.
        source: how to get that table, a command without its manifest; empty where none is needed.
        heeds_log: whether it changes with what is decided.
    """

    title: str
    why: str
    actions: tuple[str, ...]
    order: Callable[[Collection, DecisionLog], Order | None]
    source: str = ""
    heeds_log: bool = False


@dataclass(frozen=True)
class Queue:
    """Rows to review in order.

    Attributes:
        name: what a link to the queue calls it.
        kind: what kind of queue it is.
        rows: int64 [N].
        groups: int64 [N], equal for rows that belong side by side; None where all stand alone.
    """

    name: str
    kind: Kind
    rows: Rows
    groups: Rows | None = None

    def __len__(self) -> int:
        return len(self.rows)
