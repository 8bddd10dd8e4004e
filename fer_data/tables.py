"""Tables between rooms: Parquet, keyed by `sample_id`, with their metadata in the footer.

Scores are `<issue>_score` in 0..1, low = bad; flags are `is_<issue>`; probabilities are columns `p_<label>`.
"""

import datetime
import json
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata as distributions
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fer_data.errors import FerError
from fer_data.files import atomic_file, refuse_existing

_KEY = b"fer"


def code_version() -> str:
    """The version of this package, as written into every output."""
    try:
        return distributions.version("fer-data-studio")
    except distributions.PackageNotFoundError:
        return "0+unknown"


def provenance(kind: str, command: str, **facts: Any) -> dict[str, Any]:
    """Metadata that every table carries: what it is, what made it, with which code, when."""
    return {
        "kind": kind,
        "command": command,
        "code_version": code_version(),
        "python": platform.python_version(),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **facts,
    }


def write_table(
    path: Path,
    table: pa.Table,
    metadata: Mapping[str, Any],
    *,
    replace: bool = False,
    row_group_size: int | None = None,
    **layout: Any,
) -> Path:
    """Write a table in one rename, `metadata` (JSON-able) in the Parquet footer.

    Args:
        row_group_size: rows that are read together where single rows are looked up; None for a million.
        layout: how columns lie in the file, as `pyarrow.parquet.write_table` takes it.

    Raises:
        FerError: `path` exists and `replace` is false.
    """
    refuse_existing(path, replace=replace)
    text = json.dumps(dict(metadata), ensure_ascii=False, default=str).encode()
    with atomic_file(path) as partial:
        table = table.replace_schema_metadata(None)
        with pq.ParquetWriter(partial, table.schema, compression="zstd", **layout) as writer:
            writer.write_table(table, row_group_size=row_group_size)
            writer.add_key_value_metadata({_KEY: text})
    return path


def read_table(
    path: Path,
    *,
    kind: str | None = None,
    columns: Sequence[str] | None = None,
    dictionaries: Sequence[str] = (),
) -> tuple[pa.Table, dict[str, Any]]:
    """Read a table and its metadata.

    Args:
        columns: names to read, in this order; None reads all.
        dictionaries: columns of few distinct strings, to come as dictionary arrays.

    Raises:
        FerError: the file is missing, is not Parquet, was not written by this tool, or is of another kind.
    """
    metadata = read_metadata(path, kind=kind)
    try:
        table = pq.read_table(
            path, columns=list(columns) if columns is not None else None, read_dictionary=list(dictionaries)
        )
    except (pa.ArrowException, OSError) as error:
        raise _broken(path, error) from None
    return table, metadata


def read_metadata(path: Path, *, kind: str | None = None) -> dict[str, Any]:
    """Only the metadata of a table: the file's footer, however many rows it has.

    Raises:
        FerError: as `read_table`.
    """
    if not path.is_file():
        raise FerError(f"{path} is missing; expected a Parquet table, check the path")
    try:
        raw = (pq.read_metadata(path).metadata or {}).get(_KEY)
    except (pa.ArrowException, OSError) as error:
        raise _broken(path, error) from None
    if raw is None:
        raise FerError(f"{path}: a Parquet file, but not one that fer-data-studio wrote; import it first")
    metadata: dict[str, Any] = json.loads(raw)
    if kind is not None and metadata.get("kind") != kind:
        raise FerError(f"{path}: expected a table of kind {kind!r}, found {metadata.get('kind')!r}")
    return metadata


def _broken(path: Path, error: Exception) -> FerError:
    return FerError(f"{path}: expected a Parquet table, found {str(error).splitlines()[0]!r}; make it again")
