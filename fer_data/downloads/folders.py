"""A folder, read where it lies; links are followed only where they stay inside."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from fer_data.downloads.names import SET_ASIDE, name_fault, printable
from fer_data.errors import FerError
from fer_data.samples import Rejection
from fer_data.sources import CHUNK_BYTES, MAX_FILE_BYTES, Source


class Folder(Source):
    """All files below a folder."""

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
            return file.open("rb", buffering=CHUNK_BYTES)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise FerError(f"{file} cannot be read ({reason}); restore it or import again") from None

    def _walk(self, folder: str, rejections: list[Rejection]) -> Iterator[str]:
        try:
            entries = sorted(os.scandir(self.path / folder), key=lambda entry: entry.name)
        except OSError as error:
            rejections.append(Rejection(folder or str(self.path), "a readable folder", str(error.strerror), SET_ASIDE))
            return
        for entry in entries:
            if entry.name.startswith("."):
                continue
            name = f"{folder}{entry.name}"
            fault = name_fault(name) or self._entry_fault(entry)
            if fault:
                rejections.append(Rejection(printable(name), *fault, SET_ASIDE))
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


class SingleFile(Folder):
    """One file, its folder's only one as far as this source tells."""

    def __init__(self, path: Path) -> None:
        self.path = path.parent
        self.names = [path.name]

    def where(self, name: str) -> str:
        return str(self.path / name)
