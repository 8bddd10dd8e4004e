"""The files of a download: a folder, or a zip or tar that is read as it is, never unpacked by its own names.

Names are paths relative to the root with forward slashes. What is hostile is told and set aside: paths that climb
out, links that lead out, names twice, names that are not text.
"""

import bz2
import csv
import gzip
import io
import lzma
import os
import stat
import tarfile
import tempfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from fer_data.errors import FerError
from fer_data.samples import Rejection

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
MAX_FILE_BYTES = 1 << 30  # of one file, unpacked
MAX_EXPANSION = 200  # unpacked size of a compressed tar over its own size
SPARE_BYTES = 100 << 20  # small tars may expand more than that
_CHUNK = 1 << 20


# What reading a damaged or vanished file raises.
_UNREADABLE = (
    OSError, EOFError, RuntimeError, NotImplementedError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile,
)  # fmt: skip


class Source(ABC):
    """An opened download.

    Attributes:
        path: the folder or archive that it was opened from.
        names: every readable file, sorted; hidden files are left out.
    """

    path: Path
    names: list[str]

    @property
    @abstractmethod
    def kind(self) -> str:
        """ "in_place" for a folder, "archive" for an archive that can be read at any place, "stream" for another."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """The bytes of one file; may be called from several threads.

        Raises:
            FerError: it is not there, cannot be read, is damaged, or is larger than `MAX_FILE_BYTES`.
        """

    @abstractmethod
    def stream(self, name: str) -> IO[bytes]:
        """A file opened for reading from its beginning on, for files that do not fit into memory.

        Raises:
            FerError: it is not there or cannot be opened.
        """

    def lines(self, name: str, longest: int) -> Iterator[bytes]:
        """The lines of a file with their ends, read as they are asked for.

        Raises:
            FerError: it cannot be read to its end, or a line has `longest` bytes or more.
        """
        try:
            with self.stream(name) as handle:
                for number, line in enumerate(iter(lambda: handle.readline(longest), b""), 1):
                    if len(line) == longest:
                        raise FerError(
                            f"{self.where(name)} line {number}: expected a line of less than {longest:,} bytes, "
                            "found a longer one; download it again"
                        )
                    yield line
        except _UNREADABLE as error:
            raise FerError(f"{self.where(name)} cannot be read to its end ({error}); download it again") from None

    def where(self, name: str) -> str:
        """How messages call a file."""
        return f"{self.path.name}/{name}" if self.path.is_file() else name

    def text(self, name: str) -> str:
        """A small text file, UTF-8 with or without byte order mark.

        Raises:
            FerError: it cannot be read, or is not UTF-8.
        """
        try:
            return self.read(name).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise FerError(
                f"{self.where(name)}: expected text in UTF-8, found the byte {error.object[error.start]:#04x} "
                f"at {error.start}; save it as UTF-8"
            ) from None

    def table(self, name: str) -> list[list[str]]:
        """The fields of a small csv file, without its blank lines.

        Raises:
            FerError: as `text`, or the fields cannot be told apart.
        """
        try:
            return [line for line in csv.reader(io.StringIO(self.text(name), newline="")) if line]
        except csv.Error as error:
            raise FerError(f"{self.where(name)}: expected a csv file, found something else ({error})") from None

    def under(self, folder: str) -> list[str]:
        """The files below a folder, at any depth; all files for "" """
        prefix = folder.strip("/") + "/" if folder else ""
        return [name for name in self.names if name.startswith(prefix)]

    def bases(self, ending: str) -> list[str]:
        """Folders ("" or "a/b/") that have a file `ending` ("EmoLabel/labels.txt") below them, shortest first.

        Downloads are often wrapped in a folder or two; an adapter looks for its marker instead of guessing.
        """
        found = {name[: -len(ending)] for name in self.names if name == ending or name.endswith("/" + ending)}
        return sorted(found, key=lambda base: (len(base), base))

    def shown(self, count: int = 5) -> str:
        """The first names at the top, for messages: "a, b, c"."""
        tops = list(dict.fromkeys(name.split("/")[0] for name in self.names))
        return ", ".join(tops[:count]) + (" …" if len(tops) > count else "") or "no files"


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or a tar, by its content."""
    return path.is_file() and (zipfile.is_zipfile(path) or tarfile.is_tarfile(path))


def open_source(path: Path, rejections: list[Rejection]) -> Source:
    """Open a folder, a zip or a tar. What must not be read is added to `rejections`.

    Raises:
        FerError: nothing is there, or a file that is no archive, is damaged, or expands beyond all bounds.
    """
    if path.is_dir():
        return _Folder(path, rejections)
    if not path.is_file():
        raise FerError(f"{path} is missing; expected a folder or one of {', '.join(ARCHIVES)}, check the path")
    try:
        if zipfile.is_zipfile(path):
            return _Zip(path, rejections)
        if tarfile.is_tarfile(path):
            return _Tar(path, rejections)
    except (*_UNREADABLE, tarfile.TarError) as error:
        raise FerError(f"{path}: expected a whole archive, found one that cannot be read ({error})") from None
    raise FerError(f"{path}: expected a folder or an archive ({', '.join(ARCHIVES)}), found another file")


def single_file(path: Path) -> Source:
    """One file that is no archive, as a source of that name only.

    Raises:
        FerError: it is missing, or a folder.
    """
    if not path.is_file():
        raise FerError(f"{path} is missing; expected a file, check the path")
    return _SingleFile(path)


class _Folder(Source):
    kind = "in_place"

    def __init__(self, path: Path, rejections: list[Rejection]) -> None:
        self.path = path
        self._real = path.resolve()
        self.names = sorted(self._walk("", rejections))

    def read(self, name: str) -> bytes:
        file = self.path / name
        try:
            with file.open("rb") as handle:
                if os.fstat(handle.fileno()).st_size > MAX_FILE_BYTES:
                    raise FerError(f"{file}: expected at most {MAX_FILE_BYTES:,} bytes, found a larger file")
                return handle.read()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise FerError(f"{file} cannot be read ({reason}); restore it or import again") from None

    def stream(self, name: str) -> IO[bytes]:
        file = self.path / name
        try:
            return file.open("rb", buffering=_CHUNK)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise FerError(f"{file} cannot be read ({reason}); restore it or import again") from None

    def _walk(self, folder: str, rejections: list[Rejection]) -> Iterator[str]:
        try:
            entries = sorted(os.scandir(self.path / folder), key=lambda entry: entry.name)
        except OSError as error:
            rejections.append(Rejection(folder or str(self.path), "a readable folder", str(error.strerror), _ASIDE))
            return
        for entry in entries:
            if entry.name.startswith("."):
                continue
            name = f"{folder}{entry.name}"
            fault = _name_fault(name) or self._entry_fault(entry)
            if fault:
                rejections.append(Rejection(_printable(name), *fault, _ASIDE))
            elif entry.is_dir():
                yield from self._walk(name + "/", rejections)
            else:
                yield name

    def _entry_fault(self, entry: "os.DirEntry[str]") -> tuple[str, str] | None:
        if entry.is_symlink():
            target = Path(entry.path).resolve()
            if not target.is_relative_to(self._real):
                return "a file of the download", "a link that leads out of it"
            if entry.is_dir():
                return "a folder", "a link to a folder"
        if not entry.is_dir() and not entry.is_file():
            return "a file", "a broken link or a device"
        return None


class _SingleFile(_Folder):
    def __init__(self, path: Path) -> None:
        self.path = path.parent
        self.names = [path.name]

    def where(self, name: str) -> str:
        return str(self.path / name)


class _Zip(Source):
    kind = "archive"

    def __init__(self, path: Path, rejections: list[Rejection]) -> None:
        self.path = path
        self._zip = zipfile.ZipFile(path)
        self._members: dict[str, zipfile.ZipInfo] = {}
        for info in self._zip.infolist():
            if info.filename.endswith("/") or _hidden(info.filename):
                continue
            linked = stat.S_ISLNK(info.external_attr >> 16)
            fault = _member_fault(info.filename, self._members, "a link" if linked else None)
            if fault:
                rejections.append(Rejection(f"{path.name}/{_printable(info.filename)}", *fault, _ASIDE))
            else:
                self._members[info.filename] = info
        self.names = sorted(self._members)

    def read(self, name: str) -> bytes:
        info = self._member(name, MAX_FILE_BYTES)
        try:
            with self._zip.open(info) as handle:
                return _read_whole(handle)
        except _UNREADABLE as error:
            raise FerError(f"{self.where(name)} cannot be read ({error}); download the archive again") from None

    def stream(self, name: str) -> IO[bytes]:
        info = self._member(name, None)
        try:
            return self._zip.open(info)
        except _UNREADABLE as error:
            raise FerError(f"{self.where(name)} cannot be read ({error}); download the archive again") from None

    def _member(self, name: str, most_bytes: int | None) -> zipfile.ZipInfo:
        info = self._members.get(name)
        if info is None:
            raise FerError(f"{self.where(name)} is not in the archive; restore it or import again")
        bounds = [info.compress_size * MAX_EXPANSION + SPARE_BYTES, *([most_bytes] if most_bytes else [])]
        if info.file_size > min(bounds):
            at_most = f"{most_bytes:,} bytes and " if most_bytes else ""
            raise FerError(
                f"{self.where(name)}: expected at most {at_most}{MAX_EXPANSION} times its packed "
                f"size, found {info.file_size:,} packed into {info.compress_size:,}"
            )
        return info


class _Tar(Source):
    """A tar, read by offsets. A compressed one is expanded first, into a file without a name."""

    def __init__(self, path: Path, rejections: list[Rejection]) -> None:
        self.path = path
        self._compressed = not _is_plain_tar(path)
        self._file: IO[bytes] = _expanded(path) if self._compressed else path.open("rb")
        self._members: dict[str, tuple[int, int]] = {}
        with tarfile.open(fileobj=self._file, mode="r:") as tar:
            for info in tar:
                if info.isdir() or _hidden(info.name):
                    continue
                name = info.name.removeprefix("./")
                fault = _member_fault(name, self._members, None if info.isreg() else "a link or a device")
                if fault:
                    rejections.append(Rejection(f"{path.name}/{_printable(name)}", *fault, _ASIDE))
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
        return io.BufferedReader(_Slice(self._file.fileno(), *self._place(name)), _CHUNK)

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


_ASIDE = "it was set aside"


def _member_fault(
    name: str, known: "dict[str, zipfile.ZipInfo] | dict[str, tuple[int, int]]", special: str | None
) -> tuple[str, str] | None:
    if special:
        return "a file", special
    if name in known:
        return "every name once", "this name again"
    return _name_fault(name)


def _name_fault(name: str) -> tuple[str, str] | None:
    """What is wrong with a path inside a download (expected, found), or None."""
    parts = name.split("/")
    if not name or name.startswith("/") or "\\" in name or ".." in parts or name[1:2] == ":":
        return "a path inside the download", "one that leads out of it"
    if "" in parts or "." in parts:  # another spelling of a path that may be there too
        return "a plain path", "one with empty parts"
    if not name.isprintable():
        return "a file name of printable text", "another"
    return None


def _printable(name: str) -> str:
    return name if name.isprintable() else repr(name)


def _hidden(name: str) -> bool:
    """Whether a member is an operating system's own (`__MACOSX/`, `.DS_Store`)."""
    parts = PurePosixPath(name).parts
    return any(part == "__MACOSX" or (part.startswith(".") and part not in (".", "..")) for part in parts)


def _read_whole(handle: IO[bytes]) -> bytes:
    """The whole content, unpacked piece by piece: at once, `zipfile` unpacks more than a member says it has."""
    data = io.BytesIO()
    while chunk := handle.read(_CHUNK):
        data.write(chunk)
    return data.getvalue()


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
            while chunk := handle.read(_CHUNK):
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
