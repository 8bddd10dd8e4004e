"""A folder that `datasets.load_dataset(folder)` opens and `huggingface-cli upload` takes: Parquet shards and a card.

Parquet is written with pyarrow; the features stand in the schema metadata, where `datasets` looks for them, and in
the card's YAML header, where the hub looks for them.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fer_data.export import croissant
from fer_data.export.columns import card_feature, feature
from fer_data.export.contract import Layout, ShardedConfig
from fer_data.export.rows import BATCH_BYTES, UNASSIGNED, Batch, Rows
from fer_data.progress import Stage

NAME = "hf"
TITLE = "Hugging Face data set"
Options = ShardedConfig

# The hub's names of the splits.
SPLIT_NAMES = MappingProxyType({"train": "train", "val": "validation", "test": "test", UNASSIGNED: UNASSIGNED})

_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_NOT_COLUMNS = ("name", "split")  # the split is the name of the shard


def write(rows: Rows, folder: Path, options: ShardedConfig, stage: Stage) -> Layout:
    """Write `data/<split>-00000-of-00001.parquet`, …; null labels stay null, as `datasets` keeps them."""
    schema = _schema(rows)
    (folder / "data").mkdir()
    shards, sizes = [], []
    for split in rows.splits:
        limit = options.shard_mb * 1_000_000
        writer = _ShardWriter(folder, SPLIT_NAMES[split], schema, limit)
        positions = rows.of_split(split)
        for batch in rows.batches(positions, min(BATCH_BYTES, limit // 2)):
            writer.add(_as_table(batch, schema, rows.manifest.labels))
            stage.advance(len(batch.pictures), split)
        shards += writer.close()
        sizes.append({"name": SPLIT_NAMES[split], "num_bytes": writer.total_bytes, "num_examples": len(positions)})
    unlabelled = rows.table["label"].null_count
    return Layout(
        loading=f'from datasets import load_dataset\n\nfaces = load_dataset("FOLDER")["{SPLIT_NAMES[rows.splits[0]]}"]',
        distribution=_distribution(folder, shards),
        fields=list(_fields(rows, schema)),
        notes=[
            *(["the split val is called validation, as the hub calls it"] if "val" in rows.splits else []),
            *([f"{unlabelled:,} faces have no label; `datasets` shows None"] if unlabelled else []),
        ],
        card=_card(rows, schema, sizes, sum((folder / shard).stat().st_size for shard in shards)),
    )


class _ShardWriter:
    """Parquet files of at most `limit` bytes of pictures and facts; they get their final names when all are there."""

    def __init__(self, folder: Path, split: str, schema: pa.Schema, limit: int) -> None:
        self._folder, self._split, self._schema, self._limit = folder, split, schema, limit
        self._paths: list[Path] = []
        self.total_bytes = 0
        self._writer = self._open()

    def add(self, table: pa.Table) -> None:
        if self._filled and self._filled + table.nbytes > self._limit:
            self._writer.close()
            self._writer = self._open()
        self._writer.write_table(table)
        self._filled += table.nbytes
        self.total_bytes += table.nbytes

    def close(self) -> list[str]:
        """The shards' paths relative to the folder."""
        self._writer.close()
        names = []
        for number, path in enumerate(self._paths):
            name = f"data/{self._split}-{number:05d}-of-{len(self._paths):05d}.parquet"
            path.rename(self._folder / name)
            names.append(name)
        return names

    def _open(self) -> pq.ParquetWriter:
        path = self._folder / "data" / f"{self._split}-{len(self._paths):05d}.partial"
        columns = [name for name in self._schema.names if name != "image"]
        self._paths.append(path)
        self._filled = 0
        return pq.ParquetWriter(
            path,
            self._schema,
            # Pictures are compressed already, and no two have the same bytes to share in a dictionary.
            compression={"image.bytes": "none", "image.path": "zstd", **dict.fromkeys(columns, "zstd")},
            use_dictionary=["label", "origin", "label_origin"],
        )


def _schema(rows: Rows) -> pa.Schema:
    fields: list[tuple[str, pa.DataType]] = [("image", _IMAGE), ("label", pa.int64())]
    features: dict[str, Any] = {
        "image": {"_type": "Image"},
        "label": {"names": list(rows.manifest.labels), "_type": "ClassLabel"},
    }
    for column in rows.table.schema:
        if column.name not in (*_NOT_COLUMNS, "label"):
            fields.append((column.name, column.type))
            features[column.name] = feature(column.type)
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": features}})})


def _as_table(batch: Batch, schema: pa.Schema, labels: tuple[str, ...]) -> pa.Table:
    names = batch.table["name"].to_pylist()
    paths = [f"{name}.{picture.suffix}" for name, picture in zip(names, batch.pictures, strict=True)]
    data = pa.array([picture.data for picture in batch.pictures], pa.binary())
    arrays = {
        **{name: batch.table[name] for name in schema.names if name not in ("image", "label")},
        "image": pa.StructArray.from_arrays([data, pa.array(paths, pa.string())], fields=list(_IMAGE)),
        "label": pc.index_in(batch.table["label"], pa.array(labels)).cast(pa.int64()),
    }
    return pa.table([arrays[name] for name in schema.names], schema=schema)


def _card(rows: Rows, schema: pa.Schema, splits: list[dict[str, Any]], download_bytes: int) -> dict[str, Any]:
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    files = [{"split": split["name"], "path": f"data/{split['name']}-*"} for split in splits]
    return {
        "configs": [{"config_name": "default", "data_files": files}],
        "dataset_info": {
            "features": [card_feature(name, features[name]) for name in schema.names],
            "splits": splits,
            "download_size": download_bytes,
            "dataset_size": sum(split["num_bytes"] for split in splits),
        },
    }


def _distribution(folder: Path, shards: list[str]) -> list[dict[str, Any]]:
    files = [croissant.file_object(folder, shard, croissant.PARQUET) for shard in shards]
    return [*files, croissant.file_set("shards", ["data/*.parquet"], croissant.PARQUET)]


def _fields(rows: Rows, schema: pa.Schema) -> Iterator[dict[str, Any]]:
    source = {"fileSet": {"@id": "shards"}}
    image = {**source, "extract": {"column": "image"}, "transform": {"jsonPath": "bytes"}}
    yield croissant.field("image", "sc:ImageObject", image, "the face")
    split = {**source, "extract": {"fileProperty": "fullpath"}, "transform": {"regex": "(?:.*/)?([a-z]+)-[^/]*$"}}
    yield croissant.field("split", "sc:Text", split, "the split, from the name of the shard")
    others = pa.schema([column for column in schema if column.name != "image"])
    yield from croissant.column_fields(others, source, rows.manifest.votes_labels())
