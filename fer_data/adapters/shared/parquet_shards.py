"""Tables as Hugging Face `datasets` writes them: Parquet shards from the hub, Arrow files from `save_to_disk`.

Both carry the features (which column is a picture, what the labels are called) in the metadata of their schema; the
numbers in a ClassLabel column mean nothing without it. Shards are read from a folder, or from an archive as it is.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fer_data.adapters.shared.wording import SPLITS
from fer_data.errors import FerError
from fer_data.sources import MAX_EXPANSION, SPARE_BYTES, Source

# `datasets` names shards "<split>-00000-of-00003.parquet", or puts them into a folder named after the split.
SHARD = re.compile(r"(?P<split>[^/]*?)(-\d+-of-\d+)?\.(parquet|arrow)", re.IGNORECASE)
Features = dict[str, dict[str, Any]]
BATCH = 512
_BATCH_BYTES = 32 << 20  # of one batch, where rows are large
# What pyarrow raises on damaged files; it is not all derived from ArrowException.
_DAMAGE = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError, EOFError)


class Shard:
    """One table, of which only the schema has been read so far.

    Attributes:
        key: its path within the download.
        where: the file with its folder, for messages.
        schema: of its columns.
        rows: how many it has, or None where only reading it tells.
        features: the columns as `datasets` describes them; empty where the file does not say.
        stated: the split that its name, or else its folder, states; None where neither is a known split's.
    """

    def __init__(
        self,
        key: str,
        where: str,
        schema: pa.Schema,
        rows: int | None,
        read: Callable[[Sequence[str]], Iterator[pa.RecordBatch]],
    ) -> None:
        """Args:
        read: gives some columns of all rows.
        """
        self.key, self.where, self.schema, self.rows, self._read = key, where, schema, rows, read
        self.features = _features(schema)
        self.stated = _stated_split(where)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Some columns of its rows, some hundreds at a time.

        Raises:
            FerError: the file is damaged.
        """
        try:
            for batch in self._read(columns):
                for start in range(0, len(batch), BATCH):
                    yield batch.slice(start, BATCH)
        except _DAMAGE as error:
            raise FerError(
                f"{self.where}: cannot be read to its end ({_first_line(error)}); download it again"
            ) from None

    def values(self, batch: pa.RecordBatch, column: str) -> list[Any]:
        """A column of a batch as Python values.

        Raises:
            FerError: the column's bytes are damaged.
        """
        try:
            return list(batch.column(column).to_pylist())
        except _DAMAGE as error:
            raise FerError(f"{self.where}: column {column} cannot be read ({_first_line(error)})") from None

    def pictures(self, batch: pa.RecordBatch, column: str) -> list[bytes | None]:
        """The bytes of a batch's pictures; None where a row has none."""
        kind = batch.column(column).type
        if pa.types.is_struct(kind):
            return [None if value is None else value.get("bytes") for value in self.values(batch, column)]
        return self.values(batch, column)

    def columns_of(self, kind: str) -> list[str]:
        """The columns of a feature type, "Image" or "ClassLabel"."""
        return [name for name, feature in self.features.items() if feature.get("_type") == kind]

    def names(self, column: str) -> list[str]:
        """The names of a ClassLabel column's classes, by their number."""
        names = self.features[column].get("names")
        return [str(name) for name in names] if isinstance(names, list) else []

    def embeds(self, column: str) -> bool:
        """Whether a column holds the bytes of pictures, and not only their paths."""
        kind = self.schema.field(column).type
        if pa.types.is_struct(kind):
            index = kind.get_field_index("bytes")
            kind = kind.field(index).type if index >= 0 else kind
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

    def described(self, column: str) -> str:
        """A column's type in words, for messages."""
        return str(self.schema.field(column).type)


def shard_at(path: Path, key: str) -> Shard:
    """A shard that is a file of its own.

    Raises:
        FerError: it is no Parquet or Arrow file.
    """
    return _opened(key, path.as_posix(), lambda: pa.memory_map(str(path)))


def shard_in(source: Source, name: str) -> Shard:
    """A shard in a folder or archive.

    Raises:
        FerError: it cannot be read, or is no Parquet or Arrow file.
    """
    if source.path.is_dir():
        return shard_at(source.path / name, name)
    return _opened(name, source.where(name), lambda: pa.BufferReader(source.read(name)))


def _opened(key: str, where: str, open_file: Callable[[], pa.NativeFile]) -> Shard:
    is_arrow = key.lower().endswith(".arrow")
    read = _arrow_batches if is_arrow else _parquet_batches
    try:
        with open_file() as file:
            if is_arrow:
                schema, rows = pa.ipc.open_stream(file).schema, None
            else:
                with pq.ParquetFile(file) as table:
                    schema, rows = table.schema_arrow, table.metadata.num_rows
                    _refuse_bomb(table.metadata, where)
    except _DAMAGE as error:
        kind = "an arrow" if is_arrow else "a parquet"
        raise FerError(f"{where}: expected {kind} file, found {_first_line(error)!r}; download it again") from None
    return Shard(key, where, schema, rows, lambda columns: read(open_file, columns))


def _refuse_bomb(metadata: pq.FileMetaData, where: str) -> None:
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        for place in range(metadata.num_columns):
            column = group.column(place)
            if column.total_uncompressed_size > column.total_compressed_size * MAX_EXPANSION + SPARE_BYTES:
                raise FerError(
                    f"{where}: expected columns of at most {MAX_EXPANSION} times their packed size, found "
                    f"{column.path_in_schema} with {column.total_uncompressed_size:,} bytes packed into "
                    f"{column.total_compressed_size:,}"
                )


def _parquet_batches(open_file: Callable[[], pa.NativeFile], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    with open_file() as file, pq.ParquetFile(file) as table:
        groups = [table.metadata.row_group(index) for index in range(table.metadata.num_row_groups)]
        row_bytes = max((group.total_byte_size // max(group.num_rows, 1) for group in groups), default=1)
        size = min(BATCH, max(1, _BATCH_BYTES // max(row_bytes, 1)))
        yield from table.iter_batches(size, columns=list(columns))


def _arrow_batches(open_file: Callable[[], pa.NativeFile], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    with open_file() as file, pa.ipc.open_stream(file) as stream:
        for batch in stream:
            chosen = batch.select(list(columns))
            chosen.validate(full=True)  # reading what points outside its buffers would end the process
            yield chosen


def _features(schema: pa.Schema) -> Features:
    raw = (schema.metadata or {}).get(b"huggingface", b"null")
    try:
        features = json.loads(raw)["info"]["features"]
        return {name: features[name] for name in schema.names if isinstance(features.get(name), dict)}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _stated_split(where: str) -> str | None:
    folder, _, name = where.rpartition("/")
    match = SHARD.fullmatch(name)
    stated = [match["split"] if match else "", folder.rpartition("/")[2]]
    return next((word for word in stated if word.lower() in SPLITS), None)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
