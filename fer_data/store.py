"""Pixels and facts, immutable: `stores/<name>-<id8>/`.

    store.json       kind, rows, content hash, licence, label set of the source, votes' names, generation
    facts.parquet    what is true of each picture whoever labels it (`fer_data.facts`)
    images/          kind `embedded`: an Arrow image dataset that `datasets.load_from_disk` opens

Kinds `in_place` and `archive` have no `images/`: files are read from a folder, or members from a zip or tar, that
`fer.local.toml` names. A store may have a view (`fer_data.views`): how its pictures are cut whenever they are read.
Stores are written by `fer_data.store_writer`.
"""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fer_data import images
from fer_data.downloads.opening import open_source
from fer_data.errors import FerError
from fer_data.facts import FACTS
from fer_data.files import read_json, sha256_file
from fer_data.parallel import batched, ordered_map
from fer_data.project import dataset_root
from fer_data.sources import Source
from fer_data.views import View, look

__all__ = ["ARROW", "FACTS", "Store", "stored_pictures"]

ARROW = "images/data-00000-of-00001.arrow"
_TOGETHER = 64  # pictures that one thread reads at a time


class Store:
    """An opened store. Images are read by row; nothing is loaded before it is asked for."""

    def __init__(self, path: Path, root: Path) -> None:
        if not path.is_dir():
            raise FerError(
                f"store {path} is gone; expected the folder that the import wrote, restore it or import again"
            )
        self.path = path
        self.info: dict[str, Any] = read_json(path / "store.json")
        self.view = View(**self.info["view"]) if self.info.get("view") else None
        # The folder or archive with the pictures; None where the store has them.
        self.files_root = dataset_root(self.info["root_key"], root) if self.info["kind"] != "embedded" else None

    def __len__(self) -> int:
        return int(self.info["rows"])

    def facts(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The facts, in row order, all of them or some columns; null where an older version knew no such fact."""
        path = self.path / "facts.parquet"
        wanted = list(columns) if columns is not None else FACTS.names
        if not path.is_file():
            raise FerError(f"{path} is gone; restore it or import again")
        try:
            known = pq.read_schema(path).names
            table = pq.read_table(path, columns=[name for name in wanted if name in known])
        except (pa.ArrowException, OSError) as error:
            raise FerError(f"{path} cannot be read ({error}); restore it or import again") from None
        if len(table) != len(self):
            raise FerError(
                f"{path}: expected {len(self)} rows, found {len(table)}; the store was altered, import again"
            )
        for name in wanted:
            if name not in known:
                table = table.append_column(FACTS.field(name), pa.nulls(len(table), FACTS.field(name).type))
        return table.select(wanted)

    def encoded(self, row: int) -> bytes:
        """The bytes of one picture's file. May be called from several threads."""
        if self.files_root is None:
            chunks, starts = self._embedded
            chunk = int(np.searchsorted(starts, row, side="right")) - 1
            return bytes(chunks[chunk][row - int(starts[chunk])].as_py())
        name = self.file_name(row)
        if self._archive is not None:
            return self._archive.read(name)
        file = self.files_root / name
        try:
            return file.read_bytes()
        except OSError as error:
            raise FerError(f"{file} cannot be read ({error.strerror}); restore it or import again") from None

    def file_name(self, row: int) -> str:
        """Name of a picture's file within the folder or archive that holds it."""
        return str(self._file_names[row].as_py())

    def file_names(self) -> list[str]:
        """Those names in row order; not of an embedded store, which has none."""
        names: list[str] = self._file_names.to_pylist()
        return names

    def image(self, row: int) -> images.Pixels:
        """One picture, uint8 [H, W] or [H, W, 3], as stored, or as the store's view shows it."""
        where = f"{self.path.name} row {row}"
        pixels = images.decode(self.encoded(row), where)
        if self.view is None:
            return pixels
        box, landmarks = (self._cuts[name][row].as_py() for name in ("face_box", "landmarks"))
        return look(pixels, self.view, box, landmarks, where)

    def require_rows(self, rows: NDArray[np.int64]) -> None:
        """Raise FerError where a row number points outside the store."""
        outside = rows[(rows < 0) | (rows >= len(self))]
        if len(outside):
            raise FerError(f"{self.path}: expected rows 0 to {len(self) - 1}, found row {outside[0]}; see fer validate")

    def pictures(self, rows: NDArray[np.int64], size_px: int, channels: int) -> NDArray[np.uint8]:
        """Pictures as a model sees them, uint8 [N, channels, size_px, size_px], read on all cores.

        Raises:
            FerError: a picture cannot be read, or a row is outside the store.
        """
        self.require_rows(rows)
        out = np.empty((len(rows), channels, size_px, size_px), dtype=np.uint8)

        def fill(start: int) -> None:
            for place in range(start, min(start + _TOGETHER, len(rows))):
                out[place] = images.as_view(self.image(int(rows[place])), size_px, channels)

        fill(0)  # opens what is opened once
        for _ in ordered_map(fill, range(_TOGETHER, len(rows), _TOGETHER)) if len(rows) > _TOGETHER else ():
            pass
        return out

    def check(self, *, full: bool) -> list[str]:
        """What is wrong with the store, one sentence each: sizes, and with `full` every hash."""
        if not full:
            self.facts([])
            return []
        faults = []
        for name, expected in self.info["files"].items():
            found = sha256_file(self.path / name) if (self.path / name).is_file() else "nothing"
            if found != expected:
                faults.append(
                    f"{self.path / name}: expected SHA-256 {expected[:12]}…, found {found[:12]}…; "
                    "restore it or import again"
                )
        facts = self.facts(["key", "file_sha256"])
        if self.files_root is not None and len(self):
            keys, hashes = facts["key"].to_pylist(), facts["file_sha256"].to_pylist()

            def compare(rows: list[int]) -> list[str]:
                return [fault for row in rows if (fault := self._changed(row, keys[row], hashes[row]))]

            for found_faults in ordered_map(compare, batched(range(len(self)), _TOGETHER)):
                faults += found_faults
        return faults

    def _changed(self, row: int, key: str, expected: str) -> str | None:
        try:
            found = hashlib.sha256(self.encoded(row)).hexdigest()
        except FerError as error:
            return str(error)
        return None if found == expected else f"{key}: its bytes changed since the import; restore it or import again"

    @cached_property
    def _embedded(self) -> tuple[list[pa.BinaryArray], NDArray[np.int64]]:
        """The bytes of all pictures in batches, and the first row of each; the file is mapped, not read."""
        file = self.path / ARROW
        try:
            with pa.memory_map(str(file)) as source:
                table = pa.ipc.open_stream(source).read_all()
        except (OSError, pa.ArrowInvalid) as error:
            raise FerError(f"{file} cannot be read ({error}); restore it or import again") from None
        chunks = [chunk.field("bytes") for chunk in table["image"].chunks]
        return chunks, np.cumsum([0, *map(len, chunks)])[:-1]

    @cached_property
    def _file_names(self) -> pa.Array:
        names = self.facts(["file", "key"])
        return pc.coalesce(names["file"], names["key"]).combine_chunks()

    @cached_property
    def _archive(self) -> Source | None:
        if self.info["kind"] != "archive" or self.files_root is None:
            return None
        return open_source(self.files_root, [])

    @cached_property
    def _cuts(self) -> dict[str, pa.Array]:
        table = self.facts(["face_box", "landmarks"])
        return {name: table[name].combine_chunks() for name in table.schema.names}


def stored_pictures(
    stores: Sequence[str], rows: NDArray[np.int64], root: Path, size_px: int, channels: int
) -> NDArray[np.uint8]:
    """Pictures as a model sees them, uint8 [N, channels, size_px, size_px], in the given order.

    Args:
        stores: N store paths relative to the project `root`, as in a manifest's `store` column.
        rows: N row numbers, as in `store_row`.
    """
    names = np.asarray(stores, dtype=object)
    out = np.empty((len(rows), channels, size_px, size_px), dtype=np.uint8)
    for name in dict.fromkeys(stores):
        own = names == name
        out[own] = Store(root / name, root).pictures(rows[own], size_px, channels)
    return out
