"""What an export says of each face besides its picture, in two tables with the same rows.

samples.csv      lists are written with ";" between, null is nothing
samples.parquet  with types
"""

import csv
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from fer_data.export import croissant

CSV, PARQUET = "samples.csv", "samples.parquet"

_ROW_GROUP = 50_000


class SampleTables:
    """Writes both tables, a batch of rows at a time."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self._folder, self.schema = folder, schema
        self._waiting: list[pa.Table] = []

    def __enter__(self) -> Self:
        self._parquet = pq.ParquetWriter(self._folder / PARQUET, self.schema, compression="zstd")
        self._file = (self._folder / CSV).open("w", newline="", encoding="utf-8")
        self._csv = csv.writer(self._file, lineterminator="\n")
        self._csv.writerow(self.schema.names)
        return self

    def add(self, table: pa.Table) -> None:
        """Write rows, the columns of the schema in its order."""
        self._waiting.append(table)
        if sum(map(len, self._waiting)) >= _ROW_GROUP:
            self._flush()
        self._csv.writerows(zip(*map(_cells, table.columns), strict=True))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()
        self._parquet.close()
        self._file.close()

    def _flush(self) -> None:
        if self._waiting:
            self._parquet.write_table(pa.concat_tables(self._waiting))
            self._waiting.clear()


def table_objects(folder: Path) -> list[dict[str, Any]]:
    """Croissant's files of the two tables."""
    return [
        croissant.file_object(folder, PARQUET, croissant.PARQUET),
        croissant.file_object(folder, CSV, "text/csv"),
    ]


def _cells(column: pa.ChunkedArray) -> list[Any]:
    values: list[Any] = column.to_pylist()
    if pa.types.is_list(column.type):
        return [None if value is None else ";".join(map(str, value)) for value in values]
    return values
