"""Pixels and facts, immutable: `stores/<name>-<id8>/`.

    store.json       kind, rows, content hash, licence, label set of the source, votes' names, generation
    facts.parquet    what is true of each picture whoever labels it (FACTS below)
    images/          kind `embedded`: an Arrow image dataset that `datasets.load_from_disk` opens

Kind `in_place` has no `images/`: the keys are paths under a root that `fer.local.toml` names.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fer_data import images
from fer_data.errors import FerError
from fer_data.files import publish_folder, read_json, sha256_file, staging_folder
from fer_data.project import dataset_root, remember_dataset_root
from fer_data.samples import Sample

FACTS = pa.schema(
    [
        ("store_row", pa.int64()),
        ("key", pa.string()),
        ("source_label", pa.string()),
        ("file_sha256", pa.string()),  # of the encoded bytes: integrity
        ("pixel_sha256", pa.string()),  # of mode, shape and pixels: duplicates
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
        ("condition_source", pa.string()),  # dataset, measured, applied, generated
        ("true_label", pa.string()),  # planted truth of drawn faces
        ("planted", pa.string()),  # the defect planted in a drawn face
        ("parents", pa.list_(pa.string())),  # sample_ids that a derived picture was made from
        ("generation_id", pa.string()),
        ("seed", pa.int64()),
    ]
)

_MEASURED = {
    "store_row",
    "key",
    "source_label",
    "file_sha256",
    "pixel_sha256",
    "width_px",
    "height_px",
    "mode",
}
_IMAGE = pa.schema(
    [("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))],
    metadata={"huggingface": json.dumps({"info": {"features": {"image": {"_type": "Image"}}}})},
)
_BATCH = 1000
_ARROW = "images/data-00000-of-00001.arrow"


class Store:
    """An opened store. Images are read by row; nothing is loaded before it is asked for."""

    def __init__(self, path: Path, root: Path) -> None:
        if not path.is_dir():
            raise FerError(
                f"store {path} is gone; expected the folder that the import wrote, restore it or import again"
            )
        self.path = path
        self.info: dict[str, Any] = read_json(path / "store.json")
        self._root = dataset_root(self.info["root_key"], root) if self.info["kind"] == "in_place" else None
        self._bytes: pa.ChunkedArray | None = None
        self._keys: list[str] | None = None

    def __len__(self) -> int:
        return int(self.info["rows"])

    def facts(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The facts, in row order, all of them or some columns."""
        path = self.path / "facts.parquet"
        if not path.is_file():
            raise FerError(f"{path} is gone; restore it or import again")
        table = pq.read_table(path, columns=list(columns) if columns is not None else None)
        if len(table) != len(self):
            raise FerError(
                f"{path}: expected {len(self)} rows, found {len(table)}; the store was altered, import again"
            )
        return table

    def encoded(self, row: int) -> bytes:
        """The bytes of one picture's file."""
        if self._root is not None:
            if self._keys is None:
                self._keys = self.facts(["key"])["key"].to_pylist()
            file = self._root / self._keys[row]
            try:
                return file.read_bytes()
            except OSError as error:
                raise FerError(f"{file} cannot be read ({error.strerror}); restore it or import again") from None
        if self._bytes is None:
            file = self.path / _ARROW
            try:
                with pa.memory_map(str(file)) as source:
                    table = pa.ipc.open_stream(source).read_all()
            except (OSError, pa.ArrowInvalid) as error:
                raise FerError(f"{file} cannot be read ({error}); restore it or import again") from None
            self._bytes = pa.chunked_array([chunk.field("bytes") for chunk in table["image"].chunks])
        return bytes(self._bytes[row].as_py())

    def image(self, row: int) -> images.Pixels:
        """One picture, uint8 [H, W] or [H, W, 3], as stored."""
        return images.decode(self.encoded(row), f"{self.path.name} row {row}")

    def check(self, *, full: bool) -> list[str]:
        """What is wrong with the store, one sentence each: sizes, and with `full` every hash."""
        facts = self.facts()
        if not full:
            return []
        faults = []
        for name, expected in self.info["files"].items():
            found = sha256_file(self.path / name) if (self.path / name).is_file() else "nothing"
            if found != expected:
                faults.append(
                    f"{self.path / name}: expected SHA-256 {expected[:12]}…, found {found[:12]}…; "
                    "restore it or import again"
                )
        if self._root is not None:
            hashes = facts["file_sha256"].to_pylist()
            for row, expected in enumerate(hashes):
                try:
                    found = hashlib.sha256(self.encoded(row)).hexdigest()
                except FerError as error:
                    faults.append(str(error))
                    continue
                if found != expected:
                    faults.append(
                        f"{facts['key'][row]}: its bytes changed since the import; restore it or import again"
                    )
        return faults


class StoreWriter:
    """Writes a store; it appears under its name when `close` returns, or not at all.

    Use as a context manager. `add` returns the row, `close` the finished store.
    """

    def __init__(
        self,
        name: str,
        root: Path,
        *,
        licence: Mapping[str, Any],
        source: str,
        in_place_root: Path | None = None,
        votes_labels: Sequence[str] = (),
        generation: Mapping[str, Any] | None = None,
    ) -> None:
        self._name, self._project, self._in_place_root = name, root, in_place_root
        self._info = {
            "kind": "in_place" if in_place_root else "embedded",
            "name": name,
            "source": source,
            "root_key": name if in_place_root else None,
            "licence": dict(licence),
            "votes_labels": list(votes_labels),
            "generation": dict(generation) if generation else None,
        }
        self._facts: list[dict[str, Any]] = []
        self._batch: list[dict[str, Any]] = []
        self._content = hashlib.sha256()
        self._staging = staging_folder(root / "stores", name)

    def __enter__(self) -> Self:
        self._path = self._staging.__enter__()
        if self._in_place_root is None:
            (self._path / "images").mkdir()
            self._sink = pa.OSFile(str(self._path / _ARROW), "wb")
            self._writer = pa.ipc.new_stream(self._sink, _IMAGE)
        return self

    def add(self, sample: Sample) -> int:
        """Store one sample's picture and facts.

        Raises:
            FerError: the picture does not decode, or a fact has no column in FACTS.
        """
        if isinstance(sample.image, np.ndarray):
            pixels, data = sample.image, images.encode_png(sample.image)
        else:
            data = sample.image if sample.image is not None else self._read_in_place(sample)
            pixels = images.decode(data, sample.where)
        unknown = set(sample.facts) - set(FACTS.names)
        if unknown or _MEASURED & set(sample.facts):
            raise ValueError(f"facts that a sample cannot state: {sorted(unknown | _MEASURED & set(sample.facts))}")
        row = len(self._facts)
        facts = {
            "store_row": row,
            "key": sample.key,
            "source_label": sample.source_label,
            "file_sha256": hashlib.sha256(data).hexdigest(),
            "pixel_sha256": images.pixel_sha256(pixels),
            "width_px": pixels.shape[1],
            "height_px": pixels.shape[0],
            "mode": "L" if pixels.ndim == 2 else "RGB",
            **sample.facts,
        }
        self._content.update(f"{sample.key}\0{facts['file_sha256']}\0{sample.source_label}\0".encode())
        self._facts.append(facts)
        if self._in_place_root is None:
            self._batch.append({"bytes": data, "path": None})
            if len(self._batch) == _BATCH:
                self._flush()
        return row

    def close(self) -> Store:
        """Finish the store and open it."""
        table = pa.Table.from_pylist(self._facts, schema=FACTS)
        # The name is an id of the content: pictures, source labels, and every fact that came with them.
        self._content.update(
            pd.util.hash_pandas_object(table.to_pandas().astype(str), index=False).to_numpy().tobytes()
        )
        pq.write_table(table, self._path / "facts.parquet", compression="zstd")
        files = {"facts.parquet": sha256_file(self._path / "facts.parquet")}
        if self._in_place_root is None:
            self._flush()
            self._writer.close()
            self._sink.close()
            self._describe_for_datasets()
            files[_ARROW] = sha256_file(self._path / _ARROW)
        digest = self._content.hexdigest()
        info = {**self._info, "rows": len(table), "content_sha256": digest, "files": files}
        (self._path / "store.json").write_text(json.dumps(info, indent=2) + "\n")
        final = self._project / "stores" / f"{self._name}-{digest[:8]}"
        if not final.exists():  # the same content imported before is the same store
            publish_folder(self._path, final)
        if self._in_place_root is not None:
            remember_dataset_root(self._name, self._in_place_root, self._project)
        return Store(final, self._project)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._staging.__exit__(kind, error, trace)

    def _read_in_place(self, sample: Sample) -> bytes:
        assert self._in_place_root is not None
        file = self._in_place_root / sample.key
        try:
            return file.read_bytes()
        except OSError as error:
            raise FerError(f"{file}: expected a readable image, found {error.strerror}") from None

    def _flush(self) -> None:
        if self._batch:
            self._writer.write_batch(
                pa.record_batch([pa.array(self._batch, _IMAGE.field("image").type)], schema=_IMAGE)
            )
            self._batch.clear()

    def _describe_for_datasets(self) -> None:
        """The two side files that let `datasets.load_from_disk` open `images/`."""
        state: dict[str, Any] = {
            "_data_files": [{"filename": Path(_ARROW).name}],
            "_fingerprint": self._content.hexdigest()[:16],
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": None,
        }
        info = {
            "citation": "",
            "description": "",
            "features": {"image": {"_type": "Image"}},
            "homepage": "",
            "license": "",
        }
        (self._path / "images" / "state.json").write_text(json.dumps(state, indent=2))
        (self._path / "images" / "dataset_info.json").write_text(json.dumps(info, indent=2))


def stored_pictures(
    stores: Sequence[str], rows: NDArray[np.int64], root: Path, size_px: int, channels: int
) -> NDArray[np.uint8]:
    """Pictures as a model sees them, uint8 [N, channels, size_px, size_px], in the given order.

    Args:
        stores: N store paths relative to the project `root`, as in a manifest's `store` column.
        rows: N row numbers, as in `store_row`.
    """
    opened: dict[str, Store] = {}
    out = np.empty((len(rows), channels, size_px, size_px), dtype=np.uint8)
    for index, (name, row) in enumerate(zip(stores, rows, strict=True)):
        if name not in opened:
            opened[name] = Store(root / name, root)
        out[index] = images.as_view(opened[name].image(int(row)), size_px, channels)
    return out
