"""The rows of an export: a manifest's columns and facts as one Arrow table, and their pictures batch by batch.

The table holds no pictures; those are read when a batch is asked for, so that a million rows need no memory for them.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fer_data.errors import FerError
from fer_data.export.pictures import Picture, read_picture
from fer_data.facts import FACTS
from fer_data.manifest import SCHEMA, SPLITS, Manifest
from fer_data.tabular.columns import value_codes

UNASSIGNED = "unassigned"  # the split of rows that the manifest gives none
BATCH = 500
BATCH_BYTES = 32_000_000

_CUT_BY_VIEWS = ("face_box", "landmarks")  # in stored-image pixels, which a viewed picture no longer has
# Ids that make a file name as they are: lower case (some file systems fold it), "/" becomes "__" and nothing else does.
_WORD = "[a-z0-9]+(?:[_-][a-z0-9]+)*"
_SAFE_ID = re.compile(f"{_WORD}(?:/{_WORD})*")
_LONGEST_NAME = 100


class Batch(NamedTuple):
    """Some rows and their pictures, in the same order."""

    table: pa.Table
    pictures: list[Picture]


@dataclass(frozen=True)
class Rows:
    """What is exported.

    Attributes:
        manifest: where the rows come from.
        table: N rows, in the order of the export: `name` (unique, safe as a file name), the manifest's columns but
            for `store` and `store_row`, and the facts asked for. `split` is never null.
        place: the store of each row and its row there: the manifest's `store`, `store_row`, and the `file_sha256`.
        left_out: rows of the manifest with `repeat` 0 that are not among the N.
    """

    manifest: Manifest
    table: pa.Table
    place: pa.Table
    left_out: int

    def __len__(self) -> int:
        return len(self.table)

    @property
    def columns(self) -> list[str]:
        """The columns that an export shows, which are all but `name`."""
        return [column for column in self.table.column_names if column != "name"]

    @property
    def splits(self) -> list[str]:
        """The splits that have rows, in their usual order."""
        present = set(pc.unique(self.table["split"]).to_pylist())
        return [split for split in (*SPLITS, UNASSIGNED) if split in present]

    def of_split(self, split: str) -> NDArray[np.int64]:
        """Positions of a split's rows, int64 [M]."""
        return np.flatnonzero(pc.equal(self.table["split"], split).to_numpy())

    def batches(self, positions: NDArray[np.int64], most_bytes: int = BATCH_BYTES) -> Iterator[Batch]:
        """The rows at `positions`, int64 [M], in that order, with their pictures.

        A batch has at most `BATCH` rows, and ends with the picture that fills `most_bytes`.
        """
        stores = self.manifest.stores
        for start in range(0, len(positions), BATCH):
            chosen = pa.array(positions[start : start + BATCH])
            table, place = self.table.take(chosen), self.place.take(chosen).to_pydict()
            pictures: list[Picture] = []
            first, filled = 0, 0
            for row, (store, store_row, file_sha256) in enumerate(zip(*place.values(), strict=True), start=1):
                pictures.append(read_picture(stores[store], store_row, file_sha256))
                filled += len(pictures[-1].data)
                if filled >= most_bytes or row == len(table):
                    yield Batch(table.slice(first, row - first), pictures)
                    pictures, first, filled = [], row, 0


def select_rows(
    manifest: Manifest, facts: Sequence[str], repeats: Literal["keep", "apply"], shuffle_seed: int | None
) -> Rows:
    """The rows of a manifest as an export writes them.

    Args:
        facts: columns of `fer_data.store.FACTS`; a map becomes JSON text.
        repeats: "apply" writes a row `repeat` times (the copies' names end in "--r2", "--r3", …) and sets it to 1.
        shuffle_seed: of a numpy Generator that permutes the rows; None keeps their order.

    Raises:
        FerError: no rows are left, a fact is unknown, or was measured before the store's pictures were cut.
    """
    _require_facts(manifest, facts)
    plain = [manifest.table[field.name].cast(field.type) for field in SCHEMA]
    frame = pa.table(plain, names=SCHEMA.names)
    measured = _facts(manifest, [*facts, "file_sha256"])
    table = frame.drop_columns(["store", "store_row"])
    table = table.set_column(table.column_names.index("split"), "split", pc.fill_null(table["split"], UNASSIGNED))
    for name in facts:
        table = table.append_column(name, measured[name])
    place = frame.select(["store", "store_row"]).append_column("file_sha256", measured["file_sha256"])
    table = table.add_column(0, "name", pa.array(map(file_name, frame["sample_id"].to_pylist()), pa.string()))
    order, copies = _order(manifest, repeats, shuffle_seed)
    if not len(order):
        raise FerError(f"{manifest.path}: expected faces to export, found none; check its rows and their `repeat`")
    table, place = table.take(pa.array(order)), place.take(pa.array(order))
    if repeats == "apply":
        table = _with_copies(table, copies)
    return Rows(manifest, table.combine_chunks(), place.combine_chunks(), len(manifest) - len(np.unique(order)))


def file_name(sample_id: str) -> str:
    """A name for a face's file, without ending: unique, and the same wherever the face is exported.

    An id of plain lower-case words keeps them ("fer2013/00001" is `fer2013__00001`); any other becomes a readable
    part and the first 16 hex digits of the id's SHA-256, so that no character of it reaches a file system.
    """
    if len(sample_id) <= _LONGEST_NAME and _SAFE_ID.fullmatch(sample_id):
        return sample_id.replace("/", "__")
    readable = re.sub("[^a-z0-9]+", "-", sample_id.lower()).strip("-")[-60:].strip("-")
    return f"{readable}--{hashlib.sha256(sample_id.encode()).hexdigest()[:16]}"


def _require_facts(manifest: Manifest, facts: Sequence[str]) -> None:
    for name in facts:
        if name not in FACTS.names or name in ("store_row", "file"):
            known = ", ".join(column for column in FACTS.names if column not in ("store_row", "file"))
            raise FerError(f"facts: expected columns among {known}; found {name!r}")
    viewed = [name for name, store in manifest.stores.items() if store.view is not None]
    for name in set(facts) & set(_CUT_BY_VIEWS):
        if viewed:
            raise FerError(
                f"facts: {name} is in pixels of the picture before {viewed[0]} cuts it, and the export holds the cut "
                "picture; leave it out"
            )


def _facts(manifest: Manifest, columns: Sequence[str]) -> pa.Table:
    """Facts of all rows, in the manifest's order; maps as JSON text, a column that an old store lacks as nulls."""
    codes, names = value_codes(manifest.table["store"])
    store_rows = manifest.table["store_row"].to_numpy()
    parts, positions = [], []
    for code, name in enumerate(names):
        store, here = manifest.stores[name], np.flatnonzero(codes == code)
        there = set(pq.read_schema(store.path / "facts.parquet").names)
        read = store.facts([column for column in columns if column in there])
        arrays = [_column(read, column) for column in columns]
        parts.append(pa.table(arrays, names=list(columns)).take(pa.array(store_rows[here])))
        positions.append(here)
    return pa.concat_tables(parts).take(pa.array(np.argsort(np.concatenate(positions), kind="stable")))


def _column(read: pa.Table, name: str) -> pa.ChunkedArray:
    kind = FACTS.field(name).type
    if name not in read.column_names:
        return pa.chunked_array([pa.nulls(len(read), pa.string() if pa.types.is_map(kind) else kind)])
    if pa.types.is_map(kind):
        texts = [None if value is None else json.dumps(dict(value)) for value in read[name].to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.string())])
    return read[name].cast(kind)


def _order(manifest: Manifest, repeats: str, shuffle_seed: int | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which manifest rows are written, in order, and which copy of its row each is, counted from 1; both int64 [N]."""
    times = manifest.table["repeat"].to_numpy() if repeats == "apply" else np.ones(len(manifest), dtype=np.int64)
    order = np.repeat(np.arange(len(manifest)), times)
    copies = np.arange(len(order)) - np.repeat(np.cumsum(times) - times, times) + 1
    if shuffle_seed is not None:
        shuffled = np.random.default_rng(shuffle_seed).permutation(len(order))
        order, copies = order[shuffled], copies[shuffled]
    return order, copies


def _with_copies(table: pa.Table, copies: NDArray[np.int64]) -> pa.Table:
    """The rows with a name for each copy, and `repeat` 1 because the copies are there."""
    names = [
        f"{name}--r{copy}" if copy > 1 else name
        for name, copy in zip(table["name"].to_pylist(), copies.tolist(), strict=True)
    ]
    table = table.set_column(0, "name", pa.array(names, pa.string()))
    ones = pa.array(np.ones(len(table), dtype=np.int32))
    return table.set_column(table.column_names.index("repeat"), table.schema.field("repeat"), ones)
