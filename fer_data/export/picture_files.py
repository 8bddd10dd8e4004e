"""Pictures as files of their own, and the tables that lead to them by path."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from fer_data.export import croissant
from fer_data.export.rows import Batch, Rows
from fer_data.export.sample_tables import PARQUET, SampleTables, table_objects


class PictureFiles:
    """Writes pictures under the paths it is given, and a row for each into the tables."""

    def __init__(self, folder: Path, rows: Rows) -> None:
        self._folder, self._votes_labels = folder, rows.manifest.votes_labels()
        self._shown = rows.columns
        shown = [rows.table.schema.field(name) for name in rows.columns]
        self._tables = SampleTables(folder, pa.schema([("path", pa.string()), ("sha256", pa.string()), *shown]))
        self._suffixes: set[str] = set()

    def __enter__(self) -> Self:
        self._tables.__enter__()
        return self

    def add(self, batch: Batch, paths: Sequence[str]) -> None:
        """Write a batch; `paths` are relative to the export's folder and unique."""
        hashes = []
        for path, picture in zip(paths, batch.pictures, strict=True):
            file = self._folder / path
            try:
                file.write_bytes(picture.data)
            except FileNotFoundError:  # the first face of its folder
                file.parent.mkdir(parents=True)
                file.write_bytes(picture.data)
            self._suffixes.add(picture.suffix)
            hashes.append(hashlib.sha256(picture.data).hexdigest())
        columns = [pa.array(paths, pa.string()), pa.array(hashes, pa.string())]
        shown = [batch.table[name] for name in self._shown]
        self._tables.add(pa.table([*columns, *shown], schema=self._tables.schema))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tables.__exit__(kind, error, trace)

    def distribution(self) -> list[dict[str, Any]]:
        """Croissant's files: the tables with their hashes; the tables hold those of the pictures."""
        return [*table_objects(self._folder), croissant.picture_set(self._suffixes)]

    def fields(self) -> list[dict[str, Any]]:
        """Croissant's fields: the table's columns, and the picture that the path leads to."""
        table = {"fileObject": {"@id": PARQUET}}
        path, *columns = croissant.column_fields(self._tables.schema, table, self._votes_labels)
        found = {**croissant.PICTURES, "extract": {"fileProperty": "fullpath"}, "transform": {"regex": "(.*)"}}
        joined = {**path, "source": found, "references": path["source"]}
        return [joined, *columns, croissant.picture_field()]
