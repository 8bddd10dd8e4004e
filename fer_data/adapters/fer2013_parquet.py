"""FER-2013 as parquet mirrors on the Hugging Face hub have it: an Image column and a ClassLabel column.

Mirrors number the labels differently. The names stand in the metadata that `datasets` writes into every shard,
and a shard without them is refused.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fer_data.errors import FerError
from fer_data.expressions import canonical
from fer_data.samples import Reading, Rejection, Sample

# `datasets` names shards "<split>-00000-of-00003.parquet", or puts them into a folder named after the split.
SHARD = re.compile(r"(?P<split>[A-Za-z_]+)(-\d+-of-\d+)?\.parquet")
SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "validation": "val",
    "valid": "val",
    "publictest": "val",
    "test": "test",
    "privatetest": "test",
}
_BATCH = 512


def shards(root: Path) -> list[Path]:
    """The parquet files in a folder and in the folders directly inside it."""
    return sorted(root.glob("*.parquet")) + sorted(root.glob("*/*.parquet"))


def read(path: Path, rejections: list[Rejection]) -> Reading:
    """Open one parquet file, or all shards of a folder.

    Raises:
        FerError: not Parquet, no picture column, no names of the labels, or a name that is no expression.
    """
    root = path.parent if path.is_file() else path
    files = [path] if path.is_file() else shards(path)
    opened = [_Shard(file, file.relative_to(root).as_posix()) for file in files]
    notes = []
    unknown = [shard.key for shard in opened if shard.split is None]
    if unknown:
        notes.append(f"files whose name tells no split, left without one: {', '.join(unknown)}")
    return Reading(
        form="parquet mirror",
        label_set="basic7",
        total_images=sum(shard.rows for shard in opened),
        samples=(sample for shard in opened for sample in shard.samples(rejections)),
        notes=notes,
    )


class _Shard:
    """One parquet file, its columns and label names checked; rows are read when asked for."""

    def __init__(self, path: Path, key: str) -> None:
        self.key = key
        self._path = path
        try:
            with pq.ParquetFile(path) as file:
                schema, self.rows = file.schema_arrow, file.metadata.num_rows
        except (pa.ArrowInvalid, OSError) as error:
            reason = str(error).splitlines()[0]
            raise FerError(f"{path}: expected a parquet file, found {reason!r}; download it again") from None
        features = _features(schema, path)
        self._image = _column_of(features, "Image", path)
        self._label = _column_of(features, "ClassLabel", path)
        self._names: list[str] = features[self._label].get("names") or []
        unknown = [name for name in self._names if canonical(str(name), "basic7") is None]
        if unknown or not self._names:
            raise FerError(
                f"{path}: expected labels named after the expressions of basic7, "
                f"found {', '.join(map(repr, unknown)) or 'no names'}; this is no mirror of FER-2013"
            )
        kind = schema.field(self._image).type
        if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
            raise FerError(
                f"{path}: expected pictures inside the file (column {self._image} with bytes), found {kind}; "
                "download the copy that embeds them"
            )
        self.split = _split(path)

    def samples(self, rejections: list[Rejection]) -> Iterator[Sample]:
        row = 0
        with pq.ParquetFile(self._path) as file:
            for batch in file.iter_batches(_BATCH, columns=[self._image, self._label]):
                pictures = batch.column(self._image).field("bytes").to_pylist()
                for data, code in zip(pictures, batch.column(self._label).to_pylist(), strict=True):
                    where = f"{self.key} row {row}"
                    if data is None:
                        rejections.append(Rejection(where, "the bytes of a picture", "null"))
                    elif code is None or not 0 <= code < len(self._names):
                        rejections.append(Rejection(where, f"a label 0 to {len(self._names) - 1}", repr(code)))
                    else:
                        name = str(self._names[code])
                        yield Sample(f"{self.key}/{row:05d}", data, canonical(name, "basic7"), name, self.split, where)
                    row += 1


def _features(schema: pa.Schema, path: Path) -> dict[str, dict[str, Any]]:
    """The columns as `datasets` describes them in the file's own metadata."""
    raw = (schema.metadata or {}).get(b"huggingface", b"null")
    try:
        features = json.loads(raw)["info"]["features"]
        return {name: features[name] for name in schema.names if isinstance(features.get(name), dict)}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise FerError(
            f"{path}: expected the metadata that `datasets` writes, with the names of the labels, found none; "
            "mirrors number the labels differently and they are never guessed, use another copy"
        ) from None


def _column_of(features: dict[str, dict[str, Any]], kind: str, path: Path) -> str:
    columns = [name for name, feature in features.items() if feature.get("_type") == kind]
    if len(columns) != 1:
        raise FerError(
            f"{path}: expected one {kind} column, found {', '.join(columns) or 'none'} "
            f"among {', '.join(features) or 'no described columns'}; this is no mirror of FER-2013"
        )
    return columns[0]


def _split(path: Path) -> str | None:
    """The split that a shard's name, or else its folder, states."""
    match = SHARD.fullmatch(path.name)
    stated = [match["split"] if match else "", path.parent.name]
    return next((SPLITS[name.lower()] for name in stated if name.lower() in SPLITS), None)
