"""Queues of a collection: which there are, how large they are, and one of them narrowed to what a reviewer asks for."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from curation_app.collection import Collection
from curation_app.queues import (
    copies,
    disagreements,
    everything,
    outliers,
    pictures,
    sample,
    suspected,
    synthetic,
    valuable,
)
from curation_app.queues.contract import Kind, Order, Queue, Rows
from fer_data.decision_log import DecisionLog
from fer_data.errors import FerError
from fer_data.filtering import matching_rows

# In the order in which a reviewer should meet them.
KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "suspected": suspected.KIND,
        "synthetic": synthetic.KIND,
        "conflicts": copies.CONFLICTS,
        "leaks": copies.LEAKS,
        "disagreements": disagreements.KIND,
        "not_a_face": pictures.FACELESS,
        "poor": pictures.POOR,
        "outliers": outliers.KIND,
        "valuable": valuable.KIND,
        "sample": sample.KIND,
        "all": everything.KIND,
    }
)


def build_queue(
    collection: Collection,
    log: DecisionLog,
    name: str,
    *,
    given: str | None = None,
    suggested: str | None = None,
    source: str | None = None,
    split: str | None = None,
    where: str | None = None,
) -> Queue:
    """One queue of a collection, narrowed. Faces that belong side by side stay together where one of them is asked for.

    Args:
        name: one of KINDS.
        given: only faces with this given label.
        suggested: only faces for which the model suggests this label.
        source: only faces of this dataset, the part of the id before the first "/".
        split: only faces of this split.
        where: only faces that meet this condition, as `fer filter --where` takes it.

    Raises:
        FerError: there is no such queue, its table is missing, or the condition is none.
    """
    if _size(collection, log, name) is None:
        raise FerError(missing_queues(collection, log)[name])
    rows, groups = _ordered(collection, log, name)
    wanted = {"label": given, "suggestion": suggested, "source": source, "split": split}
    mask = _matching(collection, {column: word for column, word in wanted.items() if word is not None}, where)
    return _narrowed(Queue(name, KINDS[name], rows, groups), mask)


def chosen_queue(collection: Collection, sample_ids: Sequence[str], title: str = "Chosen faces") -> Queue:
    """A queue of faces that somebody chose (on a map of them, say), in the order given; unknown ids are skipped."""
    rows = collection.rows_of(sample_ids)
    kind = replace(KINDS["all"], title=title, why="Faces that were chosen by hand.")
    return Queue("chosen", kind, rows[rows >= 0])


def queue_sizes(collection: Collection, log: DecisionLog) -> dict[str, int]:
    """Queues that have faces, and how many, in the order in which a reviewer should meet them."""
    sizes = {name: _size(collection, log, name) for name in KINDS}
    return {name: size for name, size in sizes.items() if size}


def missing_queues(collection: Collection, log: DecisionLog) -> dict[str, str]:
    """Queues that no table tells the faces of, each with the sentence that says which command makes it."""
    manifest = collection.manifest
    path = manifest.path.with_suffix("")
    shown = path.relative_to(manifest.root) if path.is_relative_to(manifest.root) else path
    return {
        name: f"{kind.title}: no table tells them yet; make it with: {kind.source} {shown}"
        for name, kind in KINDS.items()
        if _size(collection, log, name) is None
    }


def _size(collection: Collection, log: DecisionLog, name: str) -> int | None:
    """How many faces a kind of queue holds; None where no table tells."""

    def count() -> int | None:
        order = KINDS[name].order(collection, log)
        return None if order is None else len(order.rows)

    if name not in KINDS:
        raise FerError(f"queue {name!r} is unknown; expected one of {', '.join(KINDS)}")
    if KINDS[name].heeds_log:  # few rows, and the log is read once for both
        return len(_ordered(collection, log, name)[0])
    size: int | None = collection.keep(f"size of {name}", None, count)
    return size


def _ordered(collection: Collection, log: DecisionLog, name: str) -> tuple[Rows, Rows | None]:
    """The rows of a kind of queue in order, and their groups; kept, since they are the same for every reviewer."""

    def make() -> tuple[Rows, Rows | None]:
        order = KINDS[name].order(collection, log) or Order(np.empty(0, dtype=np.int64))
        return order.sorted_rows(), order.groups

    ordered: tuple[Rows, Rows | None] = collection.keep(f"rows of {name}", _version(log, name), make)
    return ordered


def _version(log: DecisionLog, name: str) -> Hashable:
    return (log.name, log.last_position()) if KINDS[name].heeds_log else None


def _matching(collection: Collection, words: Mapping[str, str], where: str | None) -> NDArray[np.bool_] | None:
    """Rows with these words in these columns that meet a condition, bool [N]; None for all."""
    masks = [] if where is None else [matching_rows(collection.manifest, where)]
    for column, word in words.items():
        codes, known = collection.codes(column)
        masks.append(codes == (known.index(word) if word in known else len(known)))
    return np.logical_and.reduce(masks) if masks else None


def _narrowed(queue: Queue, mask: NDArray[np.bool_] | None) -> Queue:
    if mask is None:
        return queue
    kept = mask[queue.rows]
    if queue.groups is not None:
        kept = np.isin(queue.groups, queue.groups[kept])
    groups: Rows | None = None if queue.groups is None else queue.groups[kept]
    return replace(queue, rows=queue.rows[kept], groups=groups)
