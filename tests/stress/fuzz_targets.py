"""What is given damaged input: `target(folder, rng)` for each reader of the dataset layer.

A target returns where a result came out that is right as far as can be told, raises FerError where the input was
refused, and anything else is a bug. `WrongError` says that a result is not right.
"""

import bz2
import functools
import gzip
import importlib
import io
import lzma
import os
import shutil
import signal
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from layouts import huggingface as huggingface_layout
from layouts.cases import Case
from layouts.faces import face
from PIL import Image
from stress.mutations import mutate

from fer_data import images, png
from fer_data.adapters.registry import ADAPTERS, find_adapter
from fer_data.downloads.opening import open_source
from fer_data.errors import FerError
from fer_data.expressions import label_names
from fer_data.facts import FACTS
from fer_data.samples import Reading
from fer_data.sources import Source

Target = Callable[[Path, np.random.Generator], None]
UNHARMED = 0.03  # share of the cases that stay whole, and must come out as they went in
_PNG = b"\x89PNG\r\n\x1a\n"
_COMPRESSORS = {"w:gz": gzip.compress, "w:bz2": bz2.compress, "w:xz": lzma.compress}
_MEMBERS = {f"faces/{split}/{label}/{number}.png": number for number, (split, label) in enumerate(
    (("train", "happy"), ("train", "sad"), ("test", "happy"), ("test", "fear"))
)}  # fmt: skip


class WrongError(Exception):
    """A result came out and is not right."""


def require(right: object, what: str) -> None:
    if not right:
        raise WrongError(what)


def image(folder: Path, rng: np.random.Generator) -> None:
    """A picture of any format: refused, or uint8 grey or colour; what our own PNG reader takes, Pillow reads alike."""
    data, truth = _pictures()[int(rng.integers(len(_pictures())))]
    whole = rng.random() < UNHARMED
    data = data if whole else mutate(data, rng)
    if data.startswith(_PNG) and rng.random() < 0.5:
        data = _resealed_png(data)
    pixels = images.decode(data, "picture")
    require(pixels.dtype == np.uint8 and pixels.ndim in (2, 3) and pixels.size, f"{pixels.dtype} {pixels.shape}")
    require(not whole or truth is None or np.array_equal(pixels, truth), "other pixels than were written")
    ours = png.decode(data, images.MAX_PIXELS)
    if ours is not None:
        with Image.open(io.BytesIO(data)) as theirs:
            require(np.array_equal(np.asarray(theirs), ours), "Pillow reads other pixels from the same PNG")


def archive(kind: str, folder: Path, rng: np.random.Generator) -> None:
    """A zip or tar: every name stays inside, no name twice, members refused or whole as far as a checksum tells."""
    path = folder / "a"
    whole = rng.random() < UNHARMED
    data = _archive(kind)
    if not whole and kind in _COMPRESSORS and rng.random() < 0.7:  # damage below the compression's own checksum
        data = _COMPRESSORS[kind](mutate(_archive("w"), rng))
    elif not whole:
        data = mutate(data, rng)
    path.write_bytes(data)
    rejections: list = []
    source = open_source(path, rejections)
    require(len(set(source.names)) == len(source.names), "a name twice")
    refused = _read_members(source)
    if whole:
        require(not refused and not rejections and source.names == sorted(_MEMBERS), "a whole archive was refused")
        for name, number in _MEMBERS.items():
            require(source.read(name) == images.encode_png(face("happiness", number, 32)), "other bytes")


def table(ending: str, folder: Path, rng: np.random.Generator) -> None:
    """A csv or Parquet table of pixels, paths or bytes."""
    data, options = _table(ending)
    path = folder / f"t.{ending}"
    _read_adapter("table", path, data, options, rng)


def shards(ending: str, folder: Path, rng: np.random.Generator) -> None:
    """A parquet shard or arrow file with the features of `datasets`."""
    data = _shard(ending)
    if ending == "arrow":
        (folder / "state.json").write_text('{"_data_files": [{"filename": "train.arrow"}]}')
        (folder / "train.arrow").write_bytes(data if rng.random() < UNHARMED else mutate(data, rng))
        _check(_opened("huggingface", folder, {}))
    else:
        _read_adapter("huggingface", folder / f"train.{ending}", data, {}, rng)


def fer2013_csv(folder: Path, rng: np.random.Generator) -> None:
    """FER-2013's own csv, whose blocks are parsed by whole-array operations."""
    _read_adapter("fer2013", folder / "fer2013.csv", _fer2013_csv(), {}, rng)


def layout(folder: Path, rng: np.random.Generator) -> None:
    """A download of any dataset, with files damaged, gone, renamed, exchanged or twice."""
    cases = write_layouts()
    case, pristine, root = cases[sorted(cases)[int(rng.integers(len(cases)))]]
    copy = folder / "download"
    shutil.copytree(pristine, copy)
    for _ in range(int(rng.integers(1, 4))):
        _harm(copy, rng)
    _check(_opened(case.adapter, copy / root, case.options(copy)))


def planted(folder: Path, rng: np.random.Generator) -> None:
    """Bugs on purpose, by turns, that the runner must notice."""
    kind = int(rng.integers(3))
    if kind == 0:
        raise KeyError("planted")
    if kind == 1:
        os.kill(os.getpid(), signal.SIGSEGV)
    raise FerError("planted: expected this, found it")


def _read_adapter(name: str, path: Path, data: bytes, options: dict, rng: np.random.Generator) -> None:
    whole = rng.random() < UNHARMED
    path.write_bytes(data if whole else mutate(data, rng))
    rejections: list = []
    count = _check(_opened(name, path, options, rejections))
    require(not whole or (count and not rejections), f"a whole file gave {count} samples, {len(rejections)} rejections")


def _opened(name: str, root: Path, options: dict, rejections: list | None = None) -> Reading:
    adapter = find_adapter(name)
    return adapter.read(root, adapter.Options(**options), rejections if rejections is not None else [])


def _check(reading: Reading) -> int:
    """Read all samples and their pictures; what an adapter promises must hold whatever it was given."""
    labels = (*label_names(reading.label_set), None)
    keys = set()
    for sample in reading.samples:
        require(sample.key not in keys, f"key {sample.key!r} twice")
        keys.add(sample.key)
        require(sample.label in labels, f"label {sample.label!r}")
        require(sample.split in ("train", "val", "test", None), f"split {sample.split!r}")
        require(set(sample.facts) <= set(FACTS.names), f"facts {set(sample.facts)}")
        require(sample.key.isprintable() or sample.image is not None, f"key {sample.key!r}")
        pa.Table.from_pylist([sample.facts], schema=pa.schema([FACTS.field(name) for name in sample.facts]))
        try:
            if sample.image is None:
                require(reading.source is not None, "neither a picture nor a source")
                images.decode(reading.source.read(sample.file or sample.key), sample.where)
            elif isinstance(sample.image, bytes):
                images.decode(sample.image, sample.where)
            else:
                require(sample.image.dtype == np.uint8 and sample.image.size, "pixels of another kind")
        except FerError:
            pass  # the import sets it aside
    for note in reading.notes:
        require(isinstance(note, str) and note, "an empty note")
    return len(keys)


def _read_members(source: Source) -> int:
    """Read every file; how many were refused."""
    refused = 0
    for name in source.names:
        parts = PurePosixPath(name).parts
        require(parts and ".." not in parts and not name.startswith("/") and name.isprintable(), f"name {name!r}")
        try:
            source.read(name)
        except FerError:
            refused += 1
    return refused


def _harm(root: Path, rng: np.random.Generator) -> None:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    small = [path for path in files if path.suffix.lower() not in (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")]
    pool = small if small and rng.random() < 0.7 else files  # side files are what adapters parse
    if not pool:
        return
    one, other = (pool[int(rng.integers(len(pool)))] for _ in range(2))
    kind = int(rng.integers(8))
    if kind < 4:
        one.write_bytes(mutate(one.read_bytes(), rng))
    elif kind == 4:
        one.unlink()
    elif kind == 5:
        one.rename(one.with_name(("İ" if rng.integers(2) else "x ") + one.name))
    elif kind == 6:
        shutil.copy(one, other) if one != other else one.write_bytes(b"")
    else:
        shutil.copy(one, one.with_name(f"copy of {one.name}"))


@functools.cache
def _pictures() -> list[tuple[bytes, np.ndarray | None]]:
    """Encoded pictures of every format and mode, with their pixels where the format keeps them exactly."""
    grey, colour = face("fear", 1, 40), face("happiness", 2, 40, colour=True)
    found: list[tuple[bytes, np.ndarray | None]] = [(images.encode_png(one), one) for one in (grey, colour)] * 2

    def add(
        pixels: np.ndarray, truth: np.ndarray | None, kind: str, mode: str | None = None, **options: object
    ) -> None:
        buffer = io.BytesIO()
        picture = Image.fromarray(pixels)
        (picture.convert(mode) if mode else picture).save(buffer, kind, **options)
        found.append((buffer.getvalue(), truth))

    for pixels in (grey, colour):
        for kind in ("PNG", "BMP", "TIFF", "PPM"):
            add(pixels, pixels, kind)
        for compression in ("tiff_lzw", "tiff_deflate", "packbits"):
            add(pixels, pixels, "TIFF", compression=compression)
        add(pixels, None, "JPEG")
        add(pixels, None, "JPEG", progressive=True)
        add(pixels, None, "WEBP")
    for mode, kind in (("P", "PNG"), ("1", "PNG"), ("LA", "PNG"), ("RGBA", "PNG"), ("I;16", "PNG"), ("CMYK", "JPEG"),
                       ("P", "BMP"), ("1", "TIFF"), ("CMYK", "TIFF"), ("F", "TIFF"), ("1", "PPM")):  # fmt: skip
        add(grey if mode == "I;16" else colour, None, kind, mode)
    return found


def _resealed_png(data: bytes) -> bytes:
    """A damaged PNG whose chunks have right checksums again, so that the damage gets further in."""
    out, at = bytearray(_PNG), len(_PNG)
    while at + 8 <= len(data):
        size = min(int.from_bytes(data[at : at + 4], "big"), len(data) - at - 8)
        chunk = data[at + 4 : at + 8 + size]
        out += struct.pack(">I", size) + chunk + struct.pack(">I", zlib.crc32(chunk))
        at += 12 + size
    return bytes(out)


@functools.cache
def _archive(kind: str) -> bytes:
    buffer = io.BytesIO()
    files = {name: images.encode_png(face("happiness", number, 32)) for name, number in _MEMBERS.items()}
    if kind.startswith("zip"):
        stored = zipfile.ZIP_STORED if kind == "zip stored" else zipfile.ZIP_DEFLATED
        with zipfile.ZipFile(buffer, "w", stored) as out:
            for name, data in files.items():
                out.writestr(name, data)
        return buffer.getvalue()
    with tarfile.open(fileobj=buffer, mode=kind) as out:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@functools.cache
def _table(ending: str) -> tuple[bytes, dict]:
    rows = {
        "mood": ["happy", "sad", None, "fear"],
        "set": ["train", "test", "train", "val"],
        "x": [1.0, 2.5, 3.0, None],
        "picture": [images.encode_png(face("fear", number, 24)) for number in range(4)],
        "pixels": [" ".join(map(str, face("fear", number, 24).ravel())) for number in range(4)],
    }
    options = {"label": "mood", "split": "set", "subject": "x"}
    if ending == "csv":
        fields = ["mood", "set", "x", "pixels"]
        lines = [",".join(str(rows[name][row] or "") for name in fields) for row in range(4)]
        return "\n".join([",".join(fields), *lines]).encode() + b"\n", {**options, "pixels": "pixels"}
    buffer = io.BytesIO()
    pq.write_table(pa.table(rows), buffer, compression="zstd" if ending == "parquet" else "none")
    return buffer.getvalue(), {**options, "bytes": "picture"}


@functools.cache
def _shard(ending: str) -> bytes:
    rows = huggingface_layout.tables()["train"]
    buffer = io.BytesIO()
    if ending == "parquet":
        rows.to_parquet(buffer)
    else:
        whole = rows.with_format("arrow")[:].cast(rows.features.arrow_schema)
        with pa.ipc.new_stream(buffer, rows.features.arrow_schema) as stream:
            stream.write_table(whole)
    return buffer.getvalue()


@functools.cache
def _fer2013_csv() -> bytes:
    from fer2013_forms import csv_lines

    return ("\n".join(csv_lines(12)) + "\n").encode()


@functools.cache
def _layouts() -> dict[str, Case]:
    """Every case of every module of tests/layouts, by name."""
    found = {}
    for file in sorted((Path(__file__).parent.parent / "layouts").glob("*.py")):
        module = importlib.import_module(f"layouts.{file.stem}")
        found |= {
            f"{file.stem}: {name}": case
            for name, case in getattr(module, "CASES", {}).items()
            if case.adapter in ADAPTERS
        }
    return found


@functools.cache
def write_layouts() -> dict[str, tuple[Case, Path, Path]]:
    """A whole copy of every case that has files: the case, its folder, and what a user would give relative to it."""
    top = Path(tempfile.mkdtemp(prefix="layouts"))
    found = {}
    for number, (name, case) in enumerate(_layouts().items()):
        folder = top / str(number)
        folder.mkdir()
        root = case.write(folder)
        if root is not None:
            found[name] = (case, folder, root.relative_to(folder))
    return found


TARGETS: dict[str, Target] = {
    "image": image,
    "zip": functools.partial(archive, "zip"),
    "zip stored": functools.partial(archive, "zip stored"),
    "tar": functools.partial(archive, "w"),
    "tar.gz": functools.partial(archive, "w:gz"),
    "tar.bz2": functools.partial(archive, "w:bz2"),
    "tar.xz": functools.partial(archive, "w:xz"),
    "table csv": functools.partial(table, "csv"),
    "table parquet": functools.partial(table, "parquet"),
    "shard parquet": functools.partial(shards, "parquet"),
    "shard arrow": functools.partial(shards, "arrow"),
    "fer2013 csv": fer2013_csv,
    "layout": layout,
    "planted": planted,
}
