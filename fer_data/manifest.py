"""Which samples, labelled how. The contract that every room meets: read this file first.

A manifest is one narrow, immutable Parquet file `manifests/<name>.parquet`. Its metadata (schema version, label
set, parents by hash, command, configuration, code version, counts, licence) lies in the Parquet footer, which is
authoritative; `<name>.json` beside it is a rendering for people.
"""

from collections.abc import Mapping, Sequence
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
from fer_data.files import sha256_file, write_json
from fer_data.project import project_root

SCHEMA_VERSION = 1
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


@dataclass(frozen=True)
class Manifest:
    """An opened manifest.

    Attributes:
        path: its Parquet file.
        frame: its rows, one pandas column per field of SCHEMA.
        metadata: the footer.
    """

    path: Path
    frame: pd.DataFrame
    metadata: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.frame)

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
        return {name: stores.Store(self.root / name, self.root) for name in sorted(self.frame["store"].unique())}

    def facts(self, columns: Sequence[str], rows: NDArray[np.bool_] | None = None) -> pd.DataFrame:
        """Facts of the rows (all, or those of a boolean mask), aligned with them: same order, index 0..N-1."""
        frame = self.frame if rows is None else self.frame[rows]
        frame = frame.reset_index(drop=True)
        parts = []
        for name, part in frame.groupby("store", sort=False):
            table: pd.DataFrame = self.stores[str(name)].facts(columns).to_pandas(maps_as_pydicts="strict")
            found = table.iloc[part["store_row"].to_numpy()]
            parts.append(found.set_index(part.index))
        if not parts:
            return pd.DataFrame({column: [] for column in columns})
        facts: pd.DataFrame = pd.concat(parts).sort_index()
        return facts

    def pictures(self, size_px: int, channels: int, rows: NDArray[np.bool_] | None = None) -> NDArray[np.uint8]:
        """Pictures of the rows, uint8 [N, channels, size_px, size_px]."""
        frame = self.frame if rows is None else self.frame[rows]
        return stores.stored_pictures(
            frame["store"].tolist(), frame["store_row"].to_numpy(), self.root, size_px, channels
        )

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
    table, metadata = tables.read_table(path, kind="manifest")
    if metadata["schema_version"] != SCHEMA_VERSION:
        raise FerError(
            f"{path}: expected schema version {SCHEMA_VERSION}, found {metadata['schema_version']}; "
            "open it with the version of fer-data-studio that wrote it"
        )
    if table.schema.names != SCHEMA.names:
        raise FerError(f"{path}: expected the columns {SCHEMA.names}, found {table.schema.names}; make it again")
    return Manifest(path.resolve(), table.to_pandas(), metadata)


def write(
    frame: pd.DataFrame,
    out: str | Path,
    *,
    label_set: str,
    command: str,
    licence: Mapping[str, Any],
    parents: Mapping[str, str] | None = None,
    configuration: Mapping[str, Any] | None = None,
    replace: bool = False,
    **metadata: Any,
) -> Manifest:
    """Validate rows (structure only) and write them as a manifest, in one rename, with its rendering beside it.

    Args:
        parents: path as written in messages → SHA-256 of the manifests and tables this one was made from.
        metadata: further entries of the footer.

    Raises:
        FerError: `out` exists and `replace` is false, or a row breaks a rule of `faults`.
    """
    out = manifest_path(out)
    label_names(label_set)
    found = structural_faults(frame, label_set)
    if found:
        raise FerError(
            f"{out} was not written: {found[0]}" + (f" (and {len(found) - 1} more faults)" if found[1:] else "")
        )
    facts = tables.provenance(
        "manifest",
        command,
        schema_version=SCHEMA_VERSION,
        label_set=label_set,
        parents=dict(parents or {}),
        configuration=dict(configuration or {}),
        counts=counts(frame, label_set),
        licence=dict(licence),
        **metadata,
    )
    tables.write_table(out, pa.Table.from_pandas(frame, SCHEMA, preserve_index=False), facts, replace=replace)
    write_json(out.with_suffix(".json"), facts)
    return read(out)


def counts(frame: pd.DataFrame, label_set: str) -> dict[str, Any]:
    """Rows per split and label, as nested dicts; unlabelled rows under "unlabelled", no split under "none"."""
    split = frame["split"].fillna("none")
    label = frame["label"].fillna("unlabelled")
    order = [name for name in (*label_names(label_set), "unlabelled") if (label == name).any()]
    return {
        "rows": len(frame),
        "synthetic": int((frame["origin"] == "synthetic").sum()),
        "splits": {
            name: {key: int(((split == name) & (label == key)).sum()) for key in order}
            for name in (*SPLITS, "none")
            if (split == name).any()
        },
    }


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


def structural_faults(frame: pd.DataFrame, label_set: str) -> list[str]:
    """Every rule of a manifest's own columns that its rows break, each with its count and first ids."""
    labels = label_names(label_set)
    faults = []

    def fault(broken: "pd.Series[bool]", rule: str) -> None:
        if broken.any():
            ids = ", ".join(map(str, frame.loc[broken, "sample_id"].head(3)))
            faults.append(f"{int(broken.sum())} rows: {rule} (first: {ids})")

    missing = [name for name in SCHEMA.names if name not in frame.columns]
    if missing:
        return [f"columns are missing: {', '.join(missing)}"]
    for field in SCHEMA:
        if not field.nullable:
            fault(frame[field.name].isna(), f"{field.name} is null")
    fault(frame["sample_id"].duplicated(keep=False), "sample_id is not unique")
    fault(frame["label"].notna() & ~frame["label"].isin(labels), f"label is not in {label_set}")
    fault(frame["split"].notna() & ~frame["split"].isin(SPLITS), f"split is not one of {', '.join(SPLITS)}")
    fault(~frame["origin"].isin(ORIGINS), f"origin is not one of {', '.join(ORIGINS)}")
    fault((frame["origin"] == "synthetic") & (frame["split"] != "train"), "synthetic rows must be in train")
    fault(~(frame["weight"] >= 0), "weight is negative or not a number")
    fault(frame["repeat"] < 0, "repeat is negative")
    soft = frame["target"].notna()
    if soft.any():
        sums = frame.loc[soft, "target"].map(
            lambda target: len(target) == len(labels) and abs(float(np.sum(target)) - 1) < 1e-3 and min(target) >= 0
        )
        bad = pd.Series(False, index=frame.index)
        bad[soft] = ~sums.astype(bool)
        fault(bad, f"target is not {len(labels)} probabilities that sum to 1")
    return faults


def validate(manifest: Manifest, *, full: bool = False) -> list[str]:
    """Every fault of a manifest: its rows, what they point to, and with `full` every hash.

    Returns:
        One sentence per kind of fault, with counts and the first ids; empty where all is well.
    """
    faults = structural_faults(manifest.frame, manifest.label_set)
    for name, rows in manifest.frame.groupby("store"):
        try:
            store = stores.Store(manifest.root / str(name), manifest.root)
            faults += store.check(full=full)
        except FerError as error:
            faults.append(f"{len(rows)} rows: {error}")
            continue
        outside = (rows["store_row"] < 0) | (rows["store_row"] >= len(store))
        if outside.any():
            faults.append(
                f"{int(outside.sum())} rows point outside {name} (first: {rows.loc[outside, 'sample_id'].iloc[0]})"
            )
        if (rows["origin"] == "synthetic").any() and not store.info["generation"]:
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
