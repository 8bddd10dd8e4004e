"""A tar, whose members are read where they lie in it; a compressed one has to be expanded for that."""

import bz2
import gzip
import io
import lzma
import os
import tarfile
import tempfile
from pathlib import Path
from typing import IO, Any

from fer_data.downloads.names import SET_ASIDE, is_hidden, member_fault, printable
from fer_data.errors import FerError
from fer_data.samples import Rejection
from fer_data.sources import CHUNK_BYTES, MAX_EXPANSION, MAX_FILE_BYTES, SPARE_BYTES, Source


class Tar(Source):
    """A tar, read by offsets. A compressed one is expanded first, into a file without a name."""

    def __init__(self, path: Path, rejections: list[Rejection]) -> None:
        self.path = path
        self._compressed = not _is_plain_tar(path)
        self._file: IO[bytes] = _expanded(path) if self._compressed else path.open("rb")
        self._members: dict[str, tuple[int, int]] = {}
        with tarfile.open(fileobj=self._file, mode="r:") as tar:
            for info in tar:
                if info.isdir() or is_hidden(info.name):
                    continue
                name = info.name.removeprefix("./")
                fault = member_fault(name, self._members, None if info.isreg() else "a link or a device")
                if fault:
                    rejections.append(Rejection(f"{path.name}/{printable(name)}", *fault, SET_ASIDE))
                else:
                    self._members[name] = (info.offset_data, info.size)
        self.names = sorted(self._members)

    @property
    def kind(self) -> str:
        return "stream" if self._compressed else "archive"

    def read(self, name: str) -> bytes:
        offset, size = self._place(name)
        if size > MAX_FILE_BYTES:
            raise FerError(f"{self.where(name)}: expected at most {MAX_FILE_BYTES:,} bytes, found {size:,}")
        data = os.pread(self._file.fileno(), size, offset)
        if len(data) != size:
            raise FerError(f"{self.where(name)}: expected {size:,} bytes, found {len(data):,}; download it again")
        return data

    def stream(self, name: str) -> IO[bytes]:
        return io.BufferedReader(_Slice(self._file.fileno(), *self._place(name)), CHUNK_BYTES)

    def _place(self, name: str) -> tuple[int, int]:
        if name not in self._members:
            raise FerError(f"{self.where(name)} is not in the archive; restore it or import again")
        return self._members[name]


class _Slice(io.RawIOBase):
    """A part of an open file, read without moving the file's own position."""

    def __init__(self, descriptor: int, offset: int, size: int) -> None:
        self._descriptor, self._next, self._end = descriptor, offset, offset + size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = os.pread(self._descriptor, min(len(buffer), self._end - self._next), self._next)
        if not data and self._next < self._end:
            raise OSError(f"{self._end - self._next:,} bytes are missing")
        buffer[: len(data)] = data
        self._next += len(data)
        return len(data)


def _is_plain_tar(path: Path) -> bool:
    try:
        with tarfile.open(path, mode="r:"):
            return True
    except tarfile.ReadError:
        return False


def _expanded(path: Path) -> IO[bytes]:
    """A compressed tar's content in an unnamed temporary file, which vanishes with the process."""
    limit = path.stat().st_size * MAX_EXPANSION + SPARE_BYTES
    out = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the archive is open
    try:
        with _decompressor(path) as handle:
            while chunk := handle.read(CHUNK_BYTES):
                out.write(chunk)
                if out.tell() > limit:
                    raise FerError(
                        f"{path}: expected an archive that expands at most {MAX_EXPANSION} times, found more; "
                        "unpack it yourself if you trust it"
                    )
    except BaseException:
        out.close()
        raise
    out.seek(0)
    return out


def _decompressor(path: Path) -> gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile:
    with path.open("rb") as handle:
        magic = handle.read(6)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.open(path)
    if magic.startswith(b"BZh"):
        return bz2.open(path)
    return lzma.open(path)
