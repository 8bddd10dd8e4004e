"""Facts of rows, gathered from the stores that the rows point to."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fer_data.errors import FerError
from fer_data.store import FACTS, Store
from fer_data.tabular.columns import value_codes

Part = tuple[NDArray[np.int64], pa.Table]


def facts_by_store(
    pointers: pa.Table, stores: Mapping[str, Store], columns: Sequence[str], where: Path
) -> Iterator[Part]:
    """Facts of some rows, one store after the other.

    Args:
        pointers: columns store and store_row.
        stores: the opened stores, by the names in column store.
        where: the manifest, for messages.

    Yields:
        Positions within `pointers`, int64 [M], ascending, and the facts of these rows, M rows.

    Raises:
        FerError: a row points outside its store.
    """
    codes, names = value_codes(pointers["store"])
    store_rows = pointers["store_row"].to_numpy()
    for code, name in enumerate(names):
        own = np.flatnonzero(codes == code)
        wanted = store_rows[own]
        facts = stores[name].facts(columns)
        if not 0 <= wanted.min() <= wanted.max() < len(facts):
            raise FerError(
                f"{where}: expected rows 0 to {len(facts) - 1} of {name}, found row "
                f"{wanted.max() if wanted.min() >= 0 else wanted.min()}; see fer validate"
            )
        in_order = len(wanted) == len(facts) and _ascending(wanted)
        yield own, facts if in_order else facts.combine_chunks().take(pa.array(wanted))


def gathered(parts: Iterable[Part], columns: Sequence[str]) -> pa.Table:
    """The parts of `facts_by_store` as one table in the order of the rows."""
    found = list(parts)
    if not found:
        return pa.schema([FACTS.field(column) for column in columns]).empty_table()
    facts = pa.concat_tables([table for _, table in found])
    place = np.concatenate([own for own, _ in found])
    if _ascending(place):
        return facts
    where = np.empty_like(place)
    where[place] = np.arange(len(place))
    return facts.combine_chunks().take(pa.array(where))


def _ascending(rows: NDArray[np.int64]) -> bool:
    """Whether different rows 0..N-1 are in order: then there is nothing to gather."""
    return bool((rows[1:] > rows[:-1]).all())
