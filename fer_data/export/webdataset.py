"""WebDataset shards: tar files in which the members of a face share a name: `<name>.png`, `<name>.cls`, `<name>.json`.

`cls` holds the number of the label in the label set, as text, and is missing where a face has no label; `json` holds
the columns. `samples.csv` and `samples.parquet` hold them too, with the shard of each face. The format:
https://github.com/webdataset/webdataset#the-webdataset-format.
"""

import io
import json
import tarfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from fer_data.export import croissant
from fer_data.export.contract import Layout, ShardedConfig
from fer_data.export.rows import Batch, Rows
from fer_data.export.sample_tables import PARQUET, SampleTables, table_objects
from fer_data.files import sha256_json
from fer_data.progress import Stage

NAME = "webdataset"
TITLE = "WebDataset shards"
Options = ShardedConfig

CLASSES = "classes.txt"

_BLOCK = tarfile.BLOCKSIZE
_TAR = "application/x-tar"


def write(rows: Rows, folder: Path, options: ShardedConfig, stage: Stage) -> Layout:
    """Write `<split>/<split>-<id>-000000.tar`, …, `classes.txt`, the label set in its order, and the tables of faces.

    The id is that of manifest and options: tools keep what they unpacked or downloaded under the name of the shard,
    and would take one data set's `train-000000.tar` for another's.
    """
    identity = sha256_json([rows.manifest.sha256, options.model_dump(mode="json")])[:8]
    labels = rows.manifest.labels
    (folder / CLASSES).write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
    shown = [rows.table.schema.field(name) for name in ("name", *rows.columns)]
    shards: dict[str, list[str]] = {}
    suffixes: set[str] = set()
    with SampleTables(folder, pa.schema([("shard", pa.string()), *shown])) as tables:
        for split in rows.splits:
            (folder / split).mkdir()
            with _ShardWriter(folder, f"{split}/{split}-{identity}", options.shard_mb * 1_000_000) as writer:
                for batch in rows.batches(rows.of_split(split)):
                    places = [writer.add(members) for members in _members(batch, labels)]
                    tables.add(batch.table.add_column(0, "shard", pa.array(places, pa.string())))
                    suffixes.update(picture.suffix for picture in batch.pictures)
                    stage.advance(len(batch.pictures), split)
            shards[split] = writer.shards
    unlabelled = rows.table["label"].null_count
    first, *_ = shards.values()
    files = [shard for held in shards.values() for shard in held]
    objects = [croissant.file_object(folder, shard, _TAR) for shard in files]
    return Layout(
        loading=_loading(first, suffixes),
        distribution=[*objects, *table_objects(folder), croissant.picture_set(suffixes, files)],
        fields=_fields(tables.schema, rows.manifest.votes_labels()),
        notes=[f"{unlabelled:,} faces have no label and so no member .cls"] if unlabelled else [],
    )


def _members(batch: Batch, labels: tuple[str, ...]) -> Iterator[list[tuple[str, bytes]]]:
    """The files of each face: names and bytes."""
    rows = batch.table.drop_columns("name").to_pylist()
    for name, row, picture in zip(batch.table["name"].to_pylist(), rows, batch.pictures, strict=True):
        members = [(f"{name}.{picture.suffix}", picture.data)]
        if row["label"] is not None:
            members.append((f"{name}.cls", str(labels.index(row["label"])).encode()))
        yield [*members, (f"{name}.json", json.dumps(row, ensure_ascii=False).encode())]


class _ShardWriter:
    """Tar files of at most `limit` bytes; a face lies in one of them, and the bytes depend on the faces alone."""

    def __init__(self, folder: Path, prefix: str, limit: int) -> None:
        self._folder, self._prefix, self._limit = folder, prefix, limit
        self.shards: list[str] = []
        self._tar = self._open()

    def __enter__(self) -> Self:
        return self

    def add(self, members: Sequence[tuple[str, bytes]]) -> str:
        """Write one face; returns the shard that holds it."""
        size = sum(_BLOCK + _rounded(len(data), _BLOCK) for _, data in members)
        # A tar ends with two empty blocks and is filled up to whole records.
        if self._filled and _rounded(self._filled + size + 2 * _BLOCK, tarfile.RECORDSIZE) > self._limit:
            self._tar.close()
            self._tar = self._open()
        for name, data in members:
            info = tarfile.TarInfo(name)  # owner 0, mode 0644 and time 0 are its defaults
            info.size = len(data)
            self._tar.addfile(info, io.BytesIO(data))
        self._filled += size
        return self.shards[-1]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tar.close()

    def _open(self) -> tarfile.TarFile:
        name = f"{self._prefix}-{len(self.shards):06d}.tar"
        self.shards.append(name)
        self._filled = 0
        return tarfile.open(self._folder / name, "w", format=tarfile.USTAR_FORMAT)


def _rounded(size: int, unit: int) -> int:
    return -(-size // unit) * unit


def _loading(shards: Sequence[str], suffixes: Collection[str]) -> str:
    """How to open the shards of one split."""
    pattern = shards[0]
    if len(shards) > 1:
        pattern = f"{pattern.removesuffix('000000.tar')}{{000000..{len(shards) - 1:06d}}}.tar"
    return (
        "import webdataset\n\n"
        f'faces = webdataset.WebDataset("FOLDER/{pattern}", shardshuffle=False)\n'
        f'faces = faces.decode("pil").to_tuple("{";".join(sorted(suffixes))}", "cls", "json")'
    )


def _fields(schema: pa.Schema, votes_labels: Sequence[str]) -> list[dict[str, Any]]:
    """Croissant's fields: the table's columns, and the picture whose name is the row's."""
    table = {"fileObject": {"@id": PARQUET}}
    shard, name, *columns = croissant.column_fields(schema, table, votes_labels)
    stem = {"extract": {"fileProperty": "filename"}, "transform": {"regex": "([^.]+)"}}
    joined = {**name, "source": {**croissant.PICTURES, **stem}, "references": name["source"]}
    return [joined, shard, *columns, croissant.picture_field()]
