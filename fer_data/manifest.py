"""Which samples, labelled how. The contract that every room meets: read this file first, then `rows.py`.

A manifest is one narrow, immutable Parquet file `manifests/<name>.parquet`. Its metadata (schema version, label
set, parents by hash, command, configuration, code version, counts, licence) lies in the Parquet footer, which is
authoritative; `<name>.json` beside it is a rendering for people. Its rows are an Arrow table (`table`), which
carries ten million of them, and the same as a pandas frame (`frame`) for what looks at few.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from fer_data import store as stores
from fer_data import tables
from fer_data.errors import FerError
from fer_data.expressions import label_names
from fer_data.files import refuse_existing, sha256_file, write_json
from fer_data.project import project_root, relative
from fer_data.tabular.columns import value_codes, word_codes
from fer_data.tabular.gathering import facts_by_store, gathered
from fer_data.tabular.rows import (
    ORIGINS,
    SCHEMA,
    SPLITS,
    WORDS,
    as_frame,
    as_table,
    counts,
    new_rows,
    structural_faults,
)
from fer_data.tensor_cache import cached_pictures

__all__ = [
    "ORIGINS",
    "SCHEMA",
    "SCHEMA_VERSION",
    "SPLITS",
    "Manifest",
    "counts",
    "derive",
    "describe_counts",
    "lineage",
    "manifest_path",
    "new_rows",
    "read",
    "require_valid",
    "structural_faults",
    "validate",
    "write",
]

SCHEMA_VERSION = 1
# Words are dictionaries in the file anyway; ids and hashes gain nothing from one, rows in order become differences.
_LAYOUT: dict[str, Any] = {
    "use_dictionary": [*WORDS, "weight", "repeat"],
    "column_encoding": {"store_row": "DELTA_BINARY_PACKED"},
    "store_schema": False,
}


@dataclass(frozen=True)
class Manifest:
    """An opened manifest.

    Attributes:
        path: its Parquet file.
        rows: its rows as they were given; `table` and `frame` are the same in the two forms.
        metadata: the footer.
    """

    path: Path
    rows: pd.DataFrame | pa.Table
    metadata: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def table(self) -> pa.Table:
        """The rows in Arrow, the columns of SCHEMA, words as dictionary arrays."""
        return as_table(self.rows)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The rows in pandas, one column per field of SCHEMA."""
        return self.rows if isinstance(self.rows, pd.DataFrame) else as_frame(self.table)

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def label_set(self) -> str:
        return str(self.metadata["label_set"])

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the label set, in order."""
        return label_names(self.label_set)

    @cached_property
    def root(self) -> Path:
        """The project that store paths are relative to."""
        return project_root(self.path.parent)

    @cached_property
    def sha256(self) -> str:
        """Hash of the file: how other files name this manifest as a parent."""
        return sha256_file(self.path)

    @cached_property
    def stores(self) -> dict[str, stores.Store]:
        """The stores that rows point to, opened."""
        return {name: stores.Store(self.root / name, self.root) for name in value_codes(self.table["store"])[1]}

    def facts(self, columns: Sequence[str], rows: NDArray[np.bool_] | None = None) -> pd.DataFrame:
        """Facts of the rows (all, or those of a boolean mask), aligned with them: same order, index 0..N-1."""
        frame: pd.DataFrame = self.facts_table(columns, rows).to_pandas(maps_as_pydicts="strict")
        return frame

    def facts_table(self, columns: Sequence[str], rows: NDArray[np.bool_] | None = None) -> pa.Table:
        """Facts of the rows in Arrow, aligned with them.

        Raises:
            FerError: a row points outside its store.
        """
        return gathered(self.facts_by_store(columns, rows), columns)

    def facts_by_store(
        self, columns: Sequence[str], rows: NDArray[np.bool_] | None = None
    ) -> Iterator[tuple[NDArray[np.int64], pa.Table]]:
        """Facts of one store after the other, so that no more than one need lie in memory.

        Yields:
            Positions among the rows asked for, int64 [M], ascending, and the facts of these, M rows.

        Raises:
            FerError: a row points outside its store.
        """
        table = self.table.select(["store", "store_row"])
        return facts_by_store(table if rows is None else table.filter(pa.array(rows)), self.stores, columns, self.path)

    def pictures(self, size_px: int, channels: int, rows: NDArray[np.bool_] | None = None) -> NDArray[np.uint8]:
        """Pictures of the rows, uint8 [N, channels, size_px, size_px]."""
        table = self.table.select(["store", "store_row"])
        if rows is not None:
            table = table.filter(pa.array(rows))
        store_rows = table["store_row"].to_numpy()
        return cached_pictures(self.stores, table["store"], store_rows, self.root, size_px, channels)

    def votes_labels(self) -> tuple[str, ...]:
        """Names of the counts in the `votes` fact; empty where no store has votes."""
        names = {tuple(store.info["votes_labels"]) for store in self.stores.values() if store.info["votes_labels"]}
        if len(names) > 1:
            raise FerError(f"{self.path}: its stores name their votes differently; audit the sources one by one")
        return next(iter(names), ())


def manifest_path(path: str | Path) -> Path:
    """The Parquet file of a manifest given with or without its ending."""
    path = Path(path)
    return path if path.suffix == ".parquet" else path.with_name(path.name + ".parquet")


def read(path: str | Path) -> Manifest:
    """Open a manifest.

    Raises:
        FerError: missing, not a manifest, of a newer schema, or with other columns than SCHEMA.
    """
    path = manifest_path(path)
    metadata = tables.read_metadata(path, kind="manifest")
    if metadata["schema_version"] != SCHEMA_VERSION:
        raise FerError(
            f"{path}: expected schema version {SCHEMA_VERSION}, found {metadata['schema_version']}; "
            "open it with the version of fer-data-studio that wrote it"
        )
    table, _ = tables.read_table(path, kind="manifest", dictionaries=WORDS)
    if table.schema.names != SCHEMA.names:
        raise FerError(f"{path}: expected the columns {SCHEMA.names}, found {table.schema.names}; make it again")
    return Manifest(path.resolve(), as_table(table), metadata)


def write(
    rows: pd.DataFrame | pa.Table,
    out: str | Path,
    *,
    label_set: str,
    command: str,
    licence: Mapping[str, Any],
    parents: Mapping[str, str] | None = None,
    configuration: Mapping[str, Any] | None = None,
    changed: Collection[str] = tuple(SCHEMA.names),
    replace: bool = False,
    **metadata: Any,
) -> Manifest:
    """Validate rows (structure only) and write them as a manifest, in one rename, with its rendering beside it.

    Args:
        parents: path as written in messages → SHA-256 of the manifests and tables this one was made from.
        changed: the columns to validate; name fewer only where the others were read from a manifest.
        metadata: further entries of the footer.

    Raises:
        FerError: `out` exists and `replace` is false, or a row breaks a rule of `structural_faults`.
    """
    out = manifest_path(out)
    refuse_existing(out, replace=replace)
    label_names(label_set)
    found = structural_faults(rows, label_set, changed)
    if found:
        raise FerError(
            f"{out} was not written: {found[0]}" + (f" (and {len(found) - 1} more faults)" if found[1:] else "")
        )
    table = as_table(rows)
    facts = tables.provenance(
        "manifest",
        command,
        schema_version=SCHEMA_VERSION,
        label_set=label_set,
        parents=dict(parents or {}),
        configuration=dict(configuration or {}),
        counts=counts(table, label_set),
        licence=dict(licence),
        **metadata,
    )
    tables.write_table(out, table, facts, replace=replace, **_LAYOUT)
    write_json(out.with_suffix(".json"), facts)
    return Manifest(out.resolve(), table, json.loads(json.dumps(facts, default=str)))


def derive(
    source: Manifest,
    table: pa.Table,
    out: str | Path,
    *,
    command: str,
    configuration: Mapping[str, Any],
    changed: Collection[str] = (),
    parents: Mapping[str, str] | None = None,
    replace: bool = False,
    **metadata: Any,
) -> Manifest:
    """Write rows of one manifest, each at most once, as another: its label set and licence, itself as the parent.

    Args:
        table: the rows, columns of SCHEMA as in `source.table`.
        changed: the columns whose values differ; the others were validated when `source` was written.
        parents: further parents, as `write` takes them.

    Raises:
        FerError: as `write`.
    """
    return write(
        table,
        out,
        label_set=source.label_set,
        command=command,
        licence=source.metadata["licence"],
        parents={relative(source.path, source.root): source.sha256, **(parents or {})},
        configuration=configuration,
        changed=changed,
        replace=replace,
        **metadata,
    )


def validate(manifest: Manifest, *, full: bool = False) -> list[str]:
    """Every fault of a manifest: its rows, what they point to, and with `full` every hash.

    Returns:
        One sentence per kind of fault, with counts and the first ids; empty where all is well.
    """
    faults = structural_faults(manifest.table, manifest.label_set)
    codes, names = value_codes(manifest.table["store"])
    store_rows = manifest.table["store_row"].to_numpy()
    synthetic = word_codes(manifest.table["origin"], ("synthetic",)) == 0
    for code, name in enumerate(names):
        own = codes == code
        try:
            store = stores.Store(manifest.root / name, manifest.root)
            faults += store.check(full=full)
        except FerError as error:
            faults.append(f"{np.count_nonzero(own)} rows: {error}")
            continue
        outside = np.flatnonzero(own & ((store_rows < 0) | (store_rows >= len(store))))
        if len(outside):
            first = manifest.table["sample_id"][int(outside[0])]
            faults.append(f"{len(outside)} rows point outside {name} (first: {first})")
        if (own & synthetic).any() and not store.info["generation"]:
            faults.append(f"{name}: synthetic rows, but the store tells no generation; generate them again")
    return faults


def require_valid(manifest: Manifest, *, full: bool = False) -> None:
    """Raise FerError with all faults of `validate`."""
    faults = validate(manifest, full=full)
    if faults:
        raise FerError(f"{manifest.path}: " + "; ".join(faults))


def lineage(manifest: Manifest) -> list[dict[str, Any]]:
    """This manifest and its ancestors, nearest first: path, command, when, counts, and whether it is still there."""
    entries: list[dict[str, Any]] = []
    waiting: list[tuple[str, str | None]] = [(str(manifest.path), None)]
    seen: set[str] = set()
    while waiting:
        name, expected = waiting.pop(0)
        path = Path(name) if Path(name).is_absolute() else manifest.root / name
        if str(path) in seen:
            continue
        seen.add(str(path))
        if not path.is_file():
            entries.append({"path": name, "state": "gone"})
            continue
        altered = expected is not None and sha256_file(path) != expected
        facts = tables.read_metadata(path) if path.suffix == ".parquet" else {}
        entries.append({"path": name, "state": "altered since" if altered else "as it was", **facts})
        waiting += list(facts.get("parents", {}).items())
    return entries


def describe_counts(metadata: Mapping[str, Any]) -> str:
    """The counts of a footer as two lines for the terminal."""
    splits = metadata["counts"]["splits"]
    rows = metadata["counts"]["rows"]
    totals: dict[str, int] = {}
    for per_label in splits.values():
        for label, count in per_label.items():
            totals[label] = totals.get(label, 0) + count
    first = " · ".join(f"{name} {sum(per_label.values()):,}" for name, per_label in splits.items())
    second = "  ".join(f"{label} {count:,} ({100 * count / max(rows, 1):.1f} %)" for label, count in totals.items())
    return f"{first}\n{second}"
