"""Rows of a csv or Parquet table, one after the other, whatever its size."""

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from fer_data.adapters.shared.parquet_shards import Shard, shard_at, shard_in
from fer_data.errors import FerError
from fer_data.samples import Rejection
from fer_data.sources import Source

ENDINGS = (".csv", ".tsv", ".txt", ".parquet")
MAX_ROW_CHARACTERS = 16 << 20

Row = tuple[int, list[Any]]


class ParquetTable:
    """A Parquet table."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self.where, self.columns = shard.where, list(shard.schema.names)
        twice = _twice(self.columns)
        if twice:
            raise FerError(f"{self.where}: expected every column once, found {twice[0]!r} twice")

    def rows(self, columns: Sequence[str], rejections: list[Rejection]) -> Iterator[Row]:
        """Row number from 0 and the values of some columns; pictures as their bytes.

        Raises:
            FerError: the file is damaged.
        """
        row = 0
        for batch in self._shard.batches(list(dict.fromkeys(columns)) or self.columns[:1]):
            values = [self._values(batch, column) for column in columns]
            for index in range(len(batch)):
                yield row, [column[index] for column in values]
                row += 1

    def _values(self, batch: pa.RecordBatch, column: str) -> list[Any]:
        return self._shard.pictures(batch, column) if self._shard.embeds(column) else self._shard.values(batch, column)


class CsvTable:
    """A csv table with a header, read line by line in one encoding."""

    def __init__(self, where: str, open_file: Callable[[], IO[bytes]], delimiter: str, encoding: str) -> None:
        """Args:
            open_file: opens its bytes.
            delimiter: one character.
            encoding: as Python names it; a byte order mark is skipped in UTF-8.

        Raises:
            FerError: it cannot be read, is empty, or has a column twice.
        """
        self.where, self._open, self._delimiter = where, open_file, delimiter
        self._encoding = "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
        self.columns = next(self._lines(), ([], 0))[0]
        twice = _twice(self.columns)
        if not self.columns or twice:
            raise FerError(
                f"{where}: expected a header that names every column once, "
                f"found {f'{twice[0]!r} twice' if twice else 'an empty file'}"
            )

    def rows(self, columns: Sequence[str], rejections: list[Rejection]) -> Iterator[Row]:
        """Row number from 0 (blank lines do not count) and the fields of some columns.

        A row with too many or too few fields is added to `rejections`.

        Raises:
            FerError: a line that is not in the encoding, cannot be told apart, or has no end.
        """
        at = [self.columns.index(column) for column in columns]
        lines = self._lines()
        next(lines, None)
        for row, (fields, line) in enumerate(lines):
            if len(fields) != len(self.columns):
                rejections.append(
                    Rejection(f"{self.where} row {row} (line {line})", f"{len(self.columns)} fields", f"{len(fields)}")
                )
                continue
            yield row, [fields[index] for index in at]

    def _lines(self) -> Iterator[tuple[list[str], int]]:
        number = 0
        try:
            with self._open() as raw, io.TextIOWrapper(raw, encoding=self._encoding, newline="") as text:
                lines = _Lines(text, self.where)
                reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
                for fields in reader:
                    lines.since_row = 0
                    number = reader.line_num
                    if fields:
                        yield [field.strip() for field in fields], number
        except (UnicodeError, LookupError) as error:
            raise FerError(
                f"{self.where} after line {number}: expected text in {self._encoding.removesuffix('-sig')}, "
                f"found other bytes ({error}); give its encoding: --set encoding=latin-1, or save it as UTF-8"
            ) from None
        except csv.Error as error:
            raise FerError(
                f"{self.where} after line {number}: expected fields between {self._delimiter!r}, found a line that "
                f"cannot be told apart ({error}); correct it"
            ) from None
        except OSError as error:
            raise FerError(f"{self.where} cannot be read ({error.strerror or error})") from None


def table_at(path: Path, delimiter: str | None, encoding: str) -> ParquetTable | CsvTable:
    """A table that is a file of its own.

    Raises:
        FerError: as `CsvTable` and `shard_at`.
    """
    if path.suffix.lower() == ".parquet":
        return ParquetTable(shard_at(path, path.name))
    return CsvTable(str(path), lambda: path.open("rb"), delimiter or _delimiter(path.name), encoding)


def table_in(source: Source, name: str, delimiter: str | None, encoding: str) -> ParquetTable | CsvTable:
    """A table in a folder or archive.

    Raises:
        FerError: as `CsvTable` and `shard_in`, or it cannot be read from the archive.
    """
    if source.path.is_dir():
        return table_at(source.path / name, delimiter, encoding)
    if name.lower().endswith(".parquet"):
        return ParquetTable(shard_in(source, name))
    where = source.where(name)
    return CsvTable(where, lambda: io.BytesIO(source.read(name)), delimiter or _delimiter(name), encoding)


def _twice(columns: list[str]) -> list[str]:
    return [name for name, count in Counter(columns).items() if count > 1]


def _delimiter(name: str) -> str:
    return "\t" if name.lower().endswith(".tsv") else ","


class _Lines:
    """The lines of a text, refusing a row that would fill the memory before it ends."""

    def __init__(self, text: io.TextIOWrapper, where: str) -> None:
        self._text, self._where = text, where
        self.since_row = 0  # characters read; a quoted field may go over many lines

    def __iter__(self) -> Iterator[str]:
        while line := self._text.readline(MAX_ROW_CHARACTERS):
            self.since_row += len(line)
            if self.since_row >= MAX_ROW_CHARACTERS:
                raise FerError(
                    f"{self._where}: expected rows of at most {MAX_ROW_CHARACTERS:,} characters, found a longer one"
                )
            yield line
