"""The rows of a manifest: their columns, the rules they keep, and how many there are of what.

In memory the columns of few distinct words (WORDS) are dictionary arrays, so that a question about labels or splits
touches small integers: ten million rows are checked and counted in a moment.
"""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fer_data.expressions import label_names
from fer_data.tabular.columns import repeated_values, word_codes

SCHEMA = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),  # "<source>/<key>", unique, stable
        pa.field("store", pa.string(), nullable=False),  # path of the store, relative to the project
        pa.field("store_row", pa.int64(), nullable=False),
        pa.field("label", pa.string()),  # a name of the manifest's label set, or null
        pa.field("target", pa.list_(pa.float32())),  # soft label over the set; null means one-hot
        # source · votes:<rule> · decision:<consensus> · policy:<name> · generated
        pa.field("label_origin", pa.string(), nullable=False),
        pa.field("split", pa.string()),  # train, val, test or null
        pa.field("fold", pa.int16()),
        pa.field("group_id", pa.int64(), nullable=False),  # samples that must share a split
        pa.field("origin", pa.string(), nullable=False),  # real, derived, synthetic
        pa.field("weight", pa.float32(), nullable=False),
        pa.field("repeat", pa.int32(), nullable=False),
    ]
)
SPLITS = ("train", "val", "test")
ORIGINS = ("real", "derived", "synthetic")
WORDS = ("store", "label", "label_origin", "split", "origin")  # few distinct strings: dictionary arrays in memory

# A row that breaks a rule must still fit into a table, to be counted and named: nothing is non-nullable here.
_TABLE = pa.schema(
    [pa.field(f.name, pa.dictionary(pa.int32(), pa.string()) if f.name in WORDS else f.type) for f in SCHEMA]
)


def as_table(rows: pd.DataFrame | pa.Table) -> pa.Table:
    """Rows as an Arrow table with the columns of SCHEMA, those of WORDS as dictionary arrays.

    Raises:
        pyarrow.ArrowInvalid: a value does not fit its column.
    """
    if isinstance(rows, pd.DataFrame):
        plain = pa.schema([pa.field(field.name, field.type) for field in SCHEMA])
        rows = pa.Table.from_pandas(rows, plain, preserve_index=False)
    if not rows.schema.equals(_TABLE):
        rows = rows.select(SCHEMA.names).replace_schema_metadata(None)
        rows = pa.table({name: _fitted(rows[name], _TABLE.field(name).type) for name in SCHEMA.names}, schema=_TABLE)
    return rows


def as_frame(table: pa.Table) -> pd.DataFrame:
    """Rows as pandas columns; words are strings there, not categories."""
    plain = [column.cast(pa.string()) if name in WORDS else column for name, column in zip(
        table.schema.names, table.columns, strict=True
    )]  # fmt: skip
    frame: pd.DataFrame = pa.table(plain, names=table.schema.names).to_pandas()
    return frame


def _fitted(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_dictionary(kind) and not pa.types.is_dictionary(column.type):
        return column.cast(pa.string()).dictionary_encode()
    return column.cast(kind)


def new_rows(count: int, **columns: Any) -> pd.DataFrame:
    """Rows with every column of SCHEMA: those given, the rest at their defaults (real, weight 1, repeat 1)."""
    defaults: dict[str, Any] = {
        "label": None,
        "target": None,
        "label_origin": "source",
        "split": None,
        "fold": None,
        "origin": "real",
        "weight": np.float32(1),
        "repeat": np.int32(1),
    }
    values = {**defaults, **columns}
    index = pd.RangeIndex(count)

    def column(value: Any) -> "pd.Series[Any]":
        if value is None or isinstance(value, str | int | float | np.generic):
            return pd.Series([value] * count, index=index)
        return pd.Series(value).set_axis(index)

    return pd.DataFrame({name: column(values[name]) for name in SCHEMA.names})


def counts(rows: pd.DataFrame | pa.Table, label_set: str) -> dict[str, Any]:
    """Rows per split and label, as nested dicts; unlabelled rows under "unlabelled", no split under "none"."""
    table = as_table(rows)
    labels, splits = (*label_names(label_set), "unlabelled"), (*SPLITS, "none")
    label = np.where((found := word_codes(table["label"], labels[:-1])) < 0, len(labels) - 1, found)
    split = np.where((found := word_codes(table["split"], SPLITS)) < 0, len(SPLITS), found)
    cells = np.bincount(split * len(labels) + label, minlength=len(splits) * len(labels)).reshape(len(splits), -1)
    order = np.flatnonzero(cells.any(axis=0))
    return {
        "rows": len(table),
        "synthetic": int((word_codes(table["origin"], ("synthetic",)) == 0).sum()),
        "splits": {
            name: {labels[label]: int(cells[split, label]) for label in order}
            for split, name in enumerate(splits)
            if cells[split].any()
        },
    }


def structural_faults(
    rows: pd.DataFrame | pa.Table, label_set: str, columns: Collection[str] = tuple(SCHEMA.names)
) -> list[str]:
    """Every rule of a manifest's own columns that its rows break, each with its count and first ids.

    Args:
        columns: those to look at; the others were looked at before.
    """
    labels = label_names(label_set)
    names = rows.columns if isinstance(rows, pd.DataFrame) else rows.schema.names
    missing = [name for name in SCHEMA.names if name not in names]
    if missing:
        return [f"columns are missing: {', '.join(missing)}"]
    table = as_table(rows)
    faults = []

    def fault(broken: NDArray[np.bool_], rule: str) -> None:
        total = int(np.count_nonzero(broken))
        if total:
            ids = ", ".join(map(str, table["sample_id"].take(np.flatnonzero(broken)[:3]).to_pylist()))
            faults.append(f"{total} rows: {rule} (first: {ids})")

    for field in SCHEMA:
        if not field.nullable and field.name in columns and table[field.name].null_count:
            fault(_true(pc.is_null(table[field.name])), f"{field.name} is null")
    for name, words, where in (
        ("label", labels, f"in {label_set}"),
        ("split", SPLITS, f"one of {', '.join(SPLITS)}"),
        ("origin", ORIGINS, f"one of {', '.join(ORIGINS)}"),
    ):
        if name in columns:
            fault(word_codes(table[name], words) == len(words), f"{name} is not {where}")
    if "sample_id" in columns:
        fault(repeated_values(table["sample_id"]), "sample_id is not unique")
    if "origin" in columns or "split" in columns:
        synthetic = word_codes(table["origin"], ORIGINS) == ORIGINS.index("synthetic")
        fault(synthetic & (word_codes(table["split"], SPLITS) != 0), "synthetic rows must be in train")
    if "weight" in columns:
        fault(~_true(pc.greater_equal(table["weight"], 0)), "weight is negative or not a number")
    if "repeat" in columns:
        fault(_true(pc.less(table["repeat"], 0)), "repeat is negative")
    if "target" in columns:
        fault(_bad_targets(table["target"], len(labels)), f"target is not {len(labels)} probabilities that sum to 1")
    return faults


def target_matrix(column: pa.ChunkedArray, size: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The soft labels of a `target` column.

    Args:
        size: length of the lists that are taken; others are left out.

    Returns:
        rows: int64 [M], the rows that have a target of this length.
        targets: float32 [M, size]; a null within a list is NaN.
    """
    lengths = pc.fill_null(pc.list_value_length(column), -1).to_numpy()
    rows = np.flatnonzero(lengths == size)
    values = pc.list_flatten(column.take(pa.array(rows)) if len(rows) < len(column) else column)
    return rows, values.to_numpy().astype(np.float32, copy=False).reshape(len(rows), size)


def target_column(count: int, rows: NDArray[np.int64], targets: NDArray[np.float32]) -> pa.Array:
    """A `target` column of `count` rows: `targets` [M, K] at `rows` [M] (ascending), null elsewhere."""
    size = targets.shape[1]
    lengths = np.zeros(count, dtype=np.int32)
    lengths[rows] = size
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(offsets, pa.array(targets.ravel()), mask=pa.array(lengths == 0))


def with_columns(table: pa.Table, **columns: Any) -> pa.Table:
    """A table with some columns replaced by arrays of their length; words may be given as plain strings."""
    for name, values in columns.items():
        column = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([_array(values, name)])
        table = table.set_column(
            table.schema.get_field_index(name), _TABLE.field(name), _fitted(column, _TABLE.field(name).type)
        )
    return table


def coded(codes: NDArray[np.integer[Any]], words: Sequence[str]) -> pa.DictionaryArray:
    """A dictionary array from codes into `words`; a negative code is null."""
    indices = pa.array(codes.astype(np.int32, copy=False), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(list(words), pa.string()))


def _array(values: Any, name: str) -> pa.Array:
    return values if isinstance(values, pa.Array) else pa.array(values, SCHEMA.field(name).type, from_pandas=True)


def _bad_targets(column: pa.ChunkedArray, size: int) -> NDArray[np.bool_]:
    """Rows, bool [N], with a target that is not `size` probabilities."""
    bad = np.zeros(len(column), dtype=bool)
    if column.null_count < len(column):
        rows, targets = target_matrix(column, size)
        bad[:] = _true(pc.is_valid(column))
        good = (np.abs(targets.sum(axis=1, dtype=np.float64) - 1) < 1e-3) & (targets.min(axis=1, initial=0) >= 0)
        bad[rows[good]] = False
    return bad


def _true(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """A boolean column as bool [N], null as False."""
    values: NDArray[np.bool_] = pc.fill_null(column, False).to_numpy()
    return values
