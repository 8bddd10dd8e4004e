"""What there is to review, in which order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from curation_app.collection import Collection
from fer_data.errors import FerError

SAMPLE_FACES = 200

JUDGE_LABEL = ("keep", "relabel", "drop", "unsure")
JUDGE_SYNTHETIC = ("accept", "reject", "unsure")


@dataclass(frozen=True)
class Kind:
    """One kind of queue.

    Attributes:
        title: what the reviewer reads.
        why: one sentence on what is in it and in which order.
        actions: what a reviewer may decide there.
        rows: the rows of a collection that are in it, int64, first to review first.
    """

    title: str
    why: str
    actions: tuple[str, ...]
    rows: Callable[[Collection], NDArray[np.int64]]


@dataclass(frozen=True)
class Queue:
    """Rows to review, int64 [N], in order, and what kind of queue they are in."""

    name: str
    kind: Kind
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)


def _suspected(collection: Collection) -> NDArray[np.int64]:
    rows = np.flatnonzero(collection.is_issue)
    return rows[np.argsort(collection.rank[rows], kind="stable")]


def _synthetic(collection: Collection) -> NDArray[np.int64]:
    return np.flatnonzero(collection.column("origin") == "synthetic")


def _sample(collection: Collection) -> NDArray[np.int64]:
    # Seeded by the manifest: the same sample for every reviewer and after every restart.
    generator = np.random.default_rng(int(collection.manifest.sha256[:16], 16))
    return generator.permutation(len(collection))[:SAMPLE_FACES].astype(np.int64)


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "suspected": Kind(
            "Suspected labels", "Faces whose label the model doubts, worst first.", JUDGE_LABEL, _suspected
        ),
        "synthetic": Kind("Synthetic faces", "Generated faces to accept or reject.", JUDGE_SYNTHETIC, _synthetic),
        "sample": Kind(
            "Random sample", "The same random faces for everybody: how good are the labels?", JUDGE_LABEL, _sample
        ),
    }
)


def build_queue(collection: Collection, name: str, *, given: str | None = None, suggested: str | None = None) -> Queue:
    """One queue of a collection.

    Args:
        name: one of KINDS.
        given: only faces with this given label.
        suggested: only faces for which the model suggests this label.

    Raises:
        FerError: there is no such queue.
    """
    if name not in KINDS:
        raise FerError(f"queue {name!r} is unknown; expected one of {', '.join(KINDS)}")
    rows = KINDS[name].rows(collection)
    if given is not None:
        rows = rows[collection.column("label")[rows] == given]
    if suggested is not None:
        rows = rows[collection.suggestions()[rows] == suggested]
    return Queue(name, KINDS[name], rows)


def waiting(collection: Collection) -> dict[str, int]:
    """Queues that have faces, and how many, in the order in which a reviewer should meet them."""
    sizes = {name: len(kind.rows(collection)) for name, kind in KINDS.items()}
    return {name: size for name, size in sizes.items() if size}
