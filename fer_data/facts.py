"""Facts: what is true of a picture whoever labels it, one row per picture of a store, in `facts.parquet`."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

FACTS = pa.schema(
    [
        ("store_row", pa.int64()),
        ("key", pa.string()),
        ("file", pa.string()),  # name within the folder or archive, where it is not the key
        ("source_label", pa.string()),
        ("file_sha256", pa.string()),  # of the encoded bytes: integrity
        ("pixel_sha256", pa.string()),  # of mode, shape and pixels as viewed: duplicates
        ("pixel_key", pa.int64()),  # the first 64 bits of pixel_sha256: finds duplicates among millions
        ("width_px", pa.int32()),
        ("height_px", pa.int32()),
        ("mode", pa.string()),  # "L" or "RGB"
        ("face_box", pa.list_(pa.float32())),  # left, top, right, bottom in stored-image pixels
        ("landmarks", pa.list_(pa.float32())),  # x0, y0, x1, y1, … in stored-image pixels
        ("subject_id", pa.string()),
        ("sequence_id", pa.string()),
        ("frame", pa.int32()),
        ("timestamp_s", pa.float64()),
        ("votes", pa.list_(pa.int32())),  # counts, named by `votes_labels` in store.json
        ("votes_source", pa.string()),
        ("ratings", pa.map_(pa.string(), pa.float32())),
        ("action_units", pa.map_(pa.string(), pa.float32())),  # "AU12" -> intensity 0..1
        ("valence", pa.float32()),
        ("arousal", pa.float32()),
        ("age", pa.string()),
        ("gender", pa.string()),
        ("race", pa.string()),
        ("occlusion", pa.string()),
        ("light", pa.string()),
        ("pose", pa.string()),
        ("slices", pa.list_(pa.string())),  # published test slices that list this picture: "ran_occlusion"
        ("condition_source", pa.string()),  # dataset, measured, applied, generated
        ("true_label", pa.string()),  # planted truth of drawn faces
        ("planted", pa.string()),  # the defect planted in a drawn face
        ("parents", pa.list_(pa.string())),  # sample_ids that a derived picture was made from
        ("generation_id", pa.string()),
        ("seed", pa.int64()),
    ]
)
MEASURED = (
    "store_row", "key", "file", "source_label", "file_sha256", "pixel_sha256", "pixel_key", "width_px", "height_px",
    "mode",
)  # fmt: skip
STATED = frozenset(FACTS.names) - frozenset(MEASURED)  # what a sample may bring along

UNIQUE = (
    "key",
    "file",
    "file_sha256",
    "pixel_sha256",
    "pixel_key",
)  # nearly every value differs: a dictionary gains nothing
_ROWS_IN_MEMORY = 1 << 16  # one row group: what is read, written and hashed at a time


class FactsWriter:
    """Writes facts as they come, so that a million rows need no more memory than a row group."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer = pq.ParquetWriter(
            path, FACTS, compression="zstd", use_dictionary=[name for name in FACTS.names if name not in UNIQUE]
        )
        self._waiting: list[Mapping[str, Any]] = []
        self._content = hashlib.sha256()
        self._written = 0

    def __len__(self) -> int:
        return self._written + len(self._waiting)

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row: values by column of FACTS, those left out are null."""
        self._waiting.append(row)
        if len(self._waiting) == _ROWS_IN_MEMORY:
            self._flush()

    def close(self) -> str:
        """Finish the file; returns the SHA-256 of all facts, which depends on nothing but their values and order."""
        self._flush()
        self._writer.close()
        return self._content.hexdigest()

    def abandon(self) -> None:
        """Close an unfinished file without reading or writing anything more."""
        self._waiting.clear()
        self._writer.close()

    def _flush(self) -> None:
        if not self._waiting:
            return
        named = set().union(*self._waiting)
        columns = [
            pa.array([row.get(field.name) for row in self._waiting], field.type)
            if field.name in named
            else pa.nulls(len(self._waiting), field.type)
            for field in FACTS
        ]
        batch = pa.record_batch(columns, schema=FACTS)
        for column in columns:
            _hash_values(self._content, column)
        self._writer.write_batch(batch, row_group_size=_ROWS_IN_MEMORY)
        self._written += len(batch)
        self._waiting.clear()


def _hash_values(digest: "hashlib._Hash", column: pa.Array) -> None:
    """Feed a freshly made array to a digest: which values are null, then the values without them."""
    digest.update(f"{column.type}:{len(column)}:{column.null_count}:".encode())
    if column.null_count:
        digest.update(np.packbits(column.is_null().to_numpy(zero_copy_only=False)).data)
        column = column.drop_null()
    if not len(column):
        return
    if pa.types.is_map(column.type):
        entries = (
            pa.ListArray.from_arrays(column.offsets, column.keys),
            pa.ListArray.from_arrays(column.offsets, column.items),
        )
        for part in entries:
            _hash_values(digest, part)
    elif pa.types.is_list(column.type):
        digest.update(pc.list_value_length(column).to_numpy().data)
        _hash_values(digest, column.flatten())
    elif pa.types.is_string(column.type):
        digest.update(pc.binary_length(column).to_numpy().data)
        digest.update("".join(column.to_pylist()).encode())
    else:
        digest.update(column.to_numpy().data)
