"""Pictures of a store as a model sees them, kept as one array on disk: read once, mapped into memory ever after.

`.cache/tensors/<key>.npy` in the project holds every picture of a store at one size, uint8 [N, C, S, S], for every
manifest that is built on it. The key names what the pixels follow from: the store's content (which includes its view
and all hashes), the files behind it as they lie on disk, the size and the channels. The folder can be deleted at any
time; the arrays used longest ago are removed where all of them would take more than `MAX_TOTAL_BYTES`.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fer_data.errors import FerError
from fer_data.files import atomic_file, sha256_json
from fer_data.store import ARROW, Store
from fer_data.tabular.columns import value_codes

MAX_TOTAL_BYTES = 8 << 30
MAX_ARRAY_BYTES = MAX_TOTAL_BYTES // 4  # larger ones are read from their store each time
MIN_ARRAY_BYTES = 4 << 20  # smaller ones are read from their store in no time
_VERSION = 1  # raise it where the same pictures come out as other pixels
_SPARSE = 4  # a new array is made where at least every fourth picture of the store is asked for


def cached_pictures(
    stores: Mapping[str, Store],
    names: pa.ChunkedArray,
    rows: NDArray[np.int64],
    root: Path,
    size_px: int,
    channels: int,
) -> NDArray[np.uint8]:
    """Pictures as a model sees them, uint8 [N, channels, size_px, size_px], in the given order.

    All pictures of one store in its own order are a view of the file, copied where they are written to.

    Args:
        stores: the opened stores by name.
        names: N names of stores.
        rows: N row numbers within their stores.
        root: the project.

    Raises:
        FerError: a picture cannot be read.
    """
    codes, found = value_codes(names)
    if len(found) == 1:
        return _from_store(stores[found[0]], rows, root, size_px, channels)
    out = np.empty((len(rows), channels, size_px, size_px), dtype=np.uint8)
    for code, name in enumerate(found):
        own = np.flatnonzero(codes == code)
        out[own] = _from_store(stores[name], rows[own], root, size_px, channels)
    return out


def _from_store(store: Store, rows: NDArray[np.int64], root: Path, size_px: int, channels: int) -> NDArray[np.uint8]:
    shape = (len(store), channels, size_px, size_px)
    if not MIN_ARRAY_BYTES <= int(np.prod(shape)) <= MAX_ARRAY_BYTES:
        return store.pictures(rows, size_px, channels)
    path = root / ".cache" / "tensors" / f"{_key(store, size_px, channels)}.npy"
    kept = _open(path, shape)
    if kept is None and _SPARSE * len(rows) >= len(store):
        kept = _make(path, store, size_px, channels)
    if kept is None:
        return store.pictures(rows, size_px, channels)
    store.require_rows(rows)
    whole = len(rows) == len(store) and np.array_equal(rows, np.arange(len(store)))
    return kept if whole else kept[rows]


def _key(store: Store, size_px: int, channels: int) -> str:
    states = [_state(path) for path in _behind(store)]
    return sha256_json([_VERSION, store.info["content_sha256"], states, size_px, channels])[:32]


def _behind(store: Store) -> Iterator[Path]:
    """Every file that the pictures are read from."""
    if store.files_root is None:
        yield store.path / ARROW
    elif store.info["kind"] == "archive":
        yield store.files_root
    else:
        for name in store.file_names():
            yield store.files_root / name


def _state(path: Path) -> tuple[int, int] | None:
    """What changes when a file does, or None where it is gone."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns


def _open(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """An array that was kept, or None where it is not there or not whole."""
    try:
        kept = np.load(path, mmap_mode="c", allow_pickle=False).view(np.ndarray)
        os.utime(path)  # used last now
    except (OSError, ValueError, EOFError):
        return None
    return kept if kept.shape == shape and kept.dtype == np.uint8 else None


def _make(path: Path, store: Store, size_px: int, channels: int) -> NDArray[np.uint8] | None:
    """Read a whole store and keep it; None where one of its pictures cannot be read."""
    try:
        pictures = store.pictures(np.arange(len(store)), size_px, channels)
    except FerError:  # perhaps not one that is asked for
        return None
    with contextlib.suppress(FerError, OSError):  # what cannot be kept is used all the same
        with atomic_file(path) as partial, partial.open("wb") as handle:
            np.save(handle, pictures, allow_pickle=False)
        _remove_oldest(path.parent, keep=path)
    return pictures


def _remove_oldest(folder: Path, keep: Path, limit: int = MAX_TOTAL_BYTES) -> None:
    """Remove arrays, those used longest ago first, until they take at most `limit` bytes together."""
    found = []
    for path in folder.glob("*.npy"):
        with contextlib.suppress(FileNotFoundError):  # another process removed it
            stat = path.stat()
            found.append((stat.st_mtime_ns, stat.st_size, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total > limit and path != keep:
            path.unlink(missing_ok=True)
            total -= size
