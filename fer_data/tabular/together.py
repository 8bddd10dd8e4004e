"""What rows may have in common: one picture, one person, one sequence, or a link that somebody found."""

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fer_data import tables
from fer_data.errors import FerError
from fer_data.manifest import Manifest
from fer_data.tabular.columns import repeated, several, sources_of, value_codes


class Together(NamedTuple):
    """Rows that have something in common.

    Attributes:
        rows: int64 [M], row positions.
        codes: int64 [M], 0..K-1, equal for rows that belong together.
    """

    rows: NDArray[np.int64]
    codes: NDArray[np.int64]

    def within(self, mask: NDArray[np.bool_]) -> "Together":
        """Only the rows of a mask, bool [N]."""
        kept = mask[self.rows]
        return Together(self.rows[kept], self.codes[kept])


def same_pictures(manifest: Manifest) -> Together:
    """The rows whose picture occurs more than once, by mode, size and every pixel.

    Pictures are the same where the first 64 bits of their SHA-256 agree; that two among ten million different ones
    do has a chance of three in a million.
    """
    keys = np.zeros(len(manifest), dtype=np.int64)
    known = np.ones(len(manifest), dtype=bool)
    for own, facts in manifest.facts_by_store(["pixel_key"]):
        column = facts["pixel_key"]
        if column.null_count:  # stores of an older version have the hash only
            known[own], keys[own] = _keys_of_hashes(manifest, own)
        else:
            keys[own] = column.to_numpy()
    return same_keys(keys, known)


def same_keys(keys: NDArray[np.int64], known: NDArray[np.bool_]) -> Together:
    """Rows whose `pixel_key`, int64 [N], is known and occurs more than once."""
    rows = repeated(keys.view(np.uint64))
    codes = np.where(known[rows], np.unique(keys[rows], return_inverse=True)[1], -1)
    return Together(*several(rows, codes.astype(np.int64)))


def _keys_of_hashes(manifest: Manifest, rows: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Whether the pictures of some rows have a hash, and its first 64 bits."""
    mask = np.zeros(len(manifest), dtype=bool)
    mask[rows] = True
    hashes = manifest.facts_table(["pixel_sha256"], mask)["pixel_sha256"].to_pylist()
    leading = b"".join(bytes(8) if digest is None else bytes.fromhex(digest[:16]) for digest in hashes)
    return np.array([digest is not None for digest in hashes]), np.frombuffer(leading, dtype=">i8").astype(np.int64)


def same_persons(sample_ids: pa.ChunkedArray, subject_id: pa.ChunkedArray) -> Together:
    """The rows whose person is known.

    A subject is known by its id within its source (the part of the sample_id before the first "/"): two
    datasets may both call a person "S005". Nulls link nothing.
    """
    subjects, names = value_codes(subject_id)
    rows = np.flatnonzero(subjects >= 0)
    if not len(rows):
        return Together(rows, rows)
    ids = sample_ids.take(pa.array(rows)) if len(rows) < len(sample_ids) else sample_ids
    sources, _ = value_codes(sources_of(ids))
    codes, _ = pd.factorize(sources.astype(np.int64) * len(names) + subjects[rows])
    return Together(rows, codes.astype(np.int64, copy=False))


def linked_rows(sample_ids: pa.ChunkedArray, links: Path, kinds: Collection[str] | None = None) -> Together:
    """Rows that a table of links joins, through samples too that are not among the rows (any more).

    Args:
        sample_ids: N ids.
        links: a table with columns a and b (sample_ids) and, where `kinds` is given, kind.
        kinds: the kinds of links that count; None for all.

    Raises:
        FerError: the table is missing or has no such columns.
    """
    table, _ = tables.read_table(links)
    wanted = ["a", "b"] if kinds is None else ["a", "b", "kind"]
    missing = [name for name in wanted if name not in table.schema.names]
    if missing:
        raise FerError(f"{links}: expected a table of links with columns {', '.join(wanted)}, found no {missing[0]}")
    if kinds is not None:
        table = table.filter(pc.is_in(table["kind"], value_set=pa.array(sorted(kinds), pa.string())))
    ends = [chunk for name in ("a", "b") for chunk in table[name].cast(pa.string()).chunks]
    linked = pa.chunked_array(ends, pa.string()).combine_chunks().dictionary_encode()
    pairs = linked.indices.to_numpy().astype(np.int64).reshape(2, -1).T
    component = components(len(linked.dictionary), pairs)
    place = pc.fill_null(pc.index_in(sample_ids, value_set=linked.dictionary), -1).to_numpy()
    rows = np.flatnonzero(place >= 0)
    return Together(*several(rows, component[place[rows]]))


def components(count: int, edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """The smallest row of each row's component, int64 [count].

    Hooking and pointer jumping on whole arrays, after Shiloach and Vishkin, "An O(log n) parallel
    connectivity algorithm", Journal of Algorithms 3, 1982: every root hooks onto its smallest neighbouring
    root, then every row jumps to its root, until no edge joins two roots.
    """
    roots = np.arange(count, dtype=np.int64)
    ends = edges.T
    while ends.shape[1]:
        low, high = np.minimum(*ends), np.maximum(*ends)
        np.minimum.at(roots, high, low)
        while True:
            jumped = roots[roots]
            if np.array_equal(jumped, roots):
                break
            roots = jumped
        ends = roots[ends]
        ends = ends[:, ends[0] != ends[1]]
    return roots
