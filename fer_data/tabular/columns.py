"""Columns of ten million rows as small integers: codes of words, keys of strings, which values repeat.

Strings are hashed by DuckDB, in threads and without a Python object per row. A hash only finds candidates; what is
equal is decided by the values themselves.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Keys = NDArray[np.uint64]

_TABLE_BITS = 24
_BLOCK = 1 << 15


def word_codes(column: pa.ChunkedArray, words: Sequence[Any]) -> NDArray[np.int32]:
    """Where each value stands in `words`, int32 [N]; -1 for null, `len(words)` for a value that is not in it."""
    parts = [np.empty(0, np.int32)]
    dictionary: pa.Array | None = None
    for chunk in _dictionaries(column).chunks:
        if dictionary is None or not chunk.dictionary.equals(dictionary):
            dictionary = chunk.dictionary
            known = pc.index_in(dictionary, value_set=pa.array(list(words), dictionary.type))
            place = pc.if_else(pc.is_null(dictionary), -1, pc.fill_null(known, len(words))).to_numpy()
            lookup = np.append(place, -1).astype(np.int32)
        indices = chunk.indices if not chunk.indices.null_count else pc.fill_null(chunk.indices, len(lookup) - 1)
        parts.append(np.take(lookup, indices.to_numpy()))
    return np.concatenate(parts)


def value_codes(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], tuple[Any, ...]]:
    """The distinct values of a column, sorted, and each row's place among them.

    Returns:
        codes: int32 [N], -1 for null.
        values: the distinct values without null.
    """
    values = tuple(sorted(value for value in pc.unique(_dictionaries(column)).to_pylist() if value is not None))
    return word_codes(column, values), values


@contextlib.contextmanager
def hashing() -> Iterator[Callable[..., list[Keys]]]:
    """Yield a function of a column and DuckDB expressions in `value` that hashes them: uint64 [N] for each.

    Equal values have equal keys, within this process only.
    """
    import duckdb

    with duckdb.connect() as connection:

        def keys(column: pa.ChunkedArray, *expressions: str) -> list[Keys]:
            wanted = ", ".join(f"hash({expression}) AS key{place}" for place, expression in enumerate(expressions))
            found = connection.from_arrow(pa.table({"value": column})).project(wanted).fetchnumpy()
            return list(found.values())

        yield keys


def string_keys(column: pa.ChunkedArray) -> Keys:
    """A 64-bit hash of every value, uint64 [N]: equal values have equal keys, within this process only."""
    with hashing() as keys:
        return keys(column, "value")[0]


def repeated(keys: Keys) -> NDArray[np.int64]:
    """The rows whose key may occur more than once, int64 [M], ascending: none is missed, a few too many are found.

    Half of each key is sorted, and the other rows are told from the repeated ones by a table of bits, which is
    several times faster than sorting whole keys with their places.
    """
    halves = (keys >> np.uint64(32)).astype(np.uint32)
    ordered = np.sort(halves)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(twice):
        return np.empty(0, dtype=np.int64)
    marked = np.zeros(1 << _TABLE_BITS, dtype=bool)
    shift = np.uint32(32 - _TABLE_BITS)
    marked[twice >> shift] = True
    return np.flatnonzero(np.take(marked, halves >> shift))


def equal_rows(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows whose value occurs more than once.

    Returns:
        rows: int64 [M], ascending; null is equal to nothing.
        codes: int64 [M], equal for rows with equal values, 0..K-1.
    """
    rows = repeated(string_keys(column))
    encoded = column.take(pa.array(rows)).combine_chunks().dictionary_encode()
    return several(rows, pc.fill_null(encoded.indices, -1).to_numpy().astype(np.int64))


def several(rows: NDArray[np.int64], codes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of rows and their codes, 0..K-1 or -1 for none, those whose code occurs more than once, numbered anew."""
    counts = np.bincount(codes[codes >= 0], minlength=1)
    twice = (codes >= 0) & (counts[codes] > 1)
    number = np.cumsum(counts > 1) - 1
    return rows[twice], number[codes[twice]]


def shared_values(values: NDArray[np.int64], keys: Keys) -> NDArray[np.int64]:
    """The rows whose integer occurs more than once, int64 [M], ascending.

    Args:
        keys: `mixed(values)`, with any seed.
    """
    rows = repeated(keys)
    _, places, counts = np.unique(values[rows], return_inverse=True, return_counts=True)
    return rows[counts[places] > 1]


def rows_among(values: NDArray[np.int64], few: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows whose integer is one of a few distinct, sorted ones, int64 [M], ascending."""
    shift = np.uint64(64 - _TABLE_BITS)
    marked = np.zeros(1 << _TABLE_BITS, dtype=bool)
    marked[mixed(few) >> shift] = True
    rows = np.flatnonzero(np.take(marked, mixed(values) >> shift))
    place = np.minimum(np.searchsorted(few, values[rows]), max(len(few) - 1, 0))
    return rows[few[place] == values[rows]] if len(few) else rows


def repeated_values(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Rows, bool [N], whose value occurs more than once; null repeats nothing."""
    mask = np.zeros(len(column), dtype=bool)
    mask[equal_rows(column)[0]] = True
    return mask


def matching_rows(column: pa.ChunkedArray, others: pa.ChunkedArray) -> NDArray[np.int64]:
    """For each value of a column, the row of the same value in another one, int64 [N], -1 where there is none.

    Both hold strings of which each occurs once.
    """
    if column.equals(others):
        return np.arange(len(column))
    keys = pd.Index(string_keys(others))
    if keys.is_unique:
        found = keys.get_indexer(pd.Index(string_keys(column)))
        rows = np.flatnonzero(found >= 0)
        if pc.all(pc.equal(column.take(pa.array(rows)), others.take(pa.array(found[rows]))), min_count=0).as_py():
            return found.astype(np.int64, copy=False)
    exact = pc.fill_null(pc.index_in(column, value_set=others), -1)  # two keys collided
    return np.asarray(exact.to_numpy(), dtype=np.int64)


def sources_of(sample_ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """The part of every sample_id before the first "/"."""
    firsts = [pc.list_element(pc.split_pattern(ids, "/", max_splits=1), 0) for ids in sample_ids.chunks]
    return pa.chunked_array(firsts, sample_ids.type)


def mixed(values: NDArray[Any], seed: int = 0) -> Keys:
    """A pseudo-random key of every integer, uint64 [N], a bijection: distinct integers have distinct keys.

    SplitMix64's output function (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA
    2014, Figure 17) of the integer plus an odd multiple of the seed.
    """
    keys = values.astype(np.uint64)
    odd = np.uint64((seed + 1) * 0x9E3779B97F4A7C15 % 2**64)
    for begin in range(0, len(keys), _BLOCK):  # a block stays in the processor's cache from step to step
        block = keys[begin : begin + _BLOCK]
        block += odd
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            block ^= block >> np.uint64(shift)
            block *= np.uint64(factor)
        block ^= block >> np.uint64(31)
    return keys


def _dictionaries(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
