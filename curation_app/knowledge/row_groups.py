"""Single values of a Parquet file, read a row group at a time: a face's facts cost no more than the rows beside it."""

from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fer_data.errors import FerError


class _Hashes:
    """SHA-256 sums, 32 bytes each, which is half of what their digits take."""

    def __init__(self, digits: pa.ChunkedArray) -> None:
        self._bytes = bytes.fromhex("".join(digits.to_pylist()))

    def __getitem__(self, row: int) -> bytes:
        return self._bytes[32 * row : 32 * row + 32]


_Part: TypeAlias = pa.ChunkedArray | _Hashes


class RowGroups:
    """Columns of a file, of which the parts that were asked for are in memory."""

    def __init__(self, path: Path, *, most: int = 1 << 12) -> None:
        """Args:
        path: a Parquet file; it is opened at the first question.
        most: parts of columns that are kept at a time; the one read first goes first.
        """
        self._path, self._most = path, most
        self._parts: dict[tuple[str, int], _Part] = {}

    def value(self, name: str, row: int) -> Any:
        """One value as a Python object; None where the file has no such column.

        Raises:
            FerError: the file is gone or damaged.
        """
        starts, names, _ = self._footer
        if name not in names:
            return None
        number = int(np.searchsorted(starts, row, side="right")) - 1
        part = self._parts.get((name, number))
        if part is None:
            part = self._parts[name, number] = self._read(name, number)
            if len(self._parts) > self._most:
                self._parts.pop(next(iter(self._parts)), None)
        found = part[row - int(starts[number])]
        return found.hex() if isinstance(found, bytes) else found.as_py()

    @cached_property
    def _footer(self) -> tuple[NDArray[np.int64], frozenset[str], pq.FileMetaData]:
        """The first row of each group, int64 [G], the names of the columns, and all of it."""
        try:
            metadata = pq.read_metadata(self._path)
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(error) from None
        sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
        return np.cumsum([0, *sizes])[:-1], frozenset(metadata.schema.to_arrow_schema().names), metadata

    def _read(self, name: str, number: int) -> _Part:
        try:
            with pq.ParquetFile(self._path, metadata=self._footer[2]) as file:
                part = file.read_row_group(number, columns=[name], use_threads=False)[name]
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(error) from None
        return _Hashes(part) if name.endswith("_sha256") and not part.null_count else part

    def _unreadable(self, error: Exception) -> FerError:
        return FerError(f"{self._path} cannot be read ({str(error).splitlines()[0]}); restore it or make it again")
