"""What an opened download is, whatever it lies in; `fer_data.downloads` opens them.

Names are paths relative to the root with forward slashes.
"""

import csv
import io
import lzma
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from fer_data.errors import FerError

MAX_FILE_BYTES = 1 << 30  # of one file, unpacked
MAX_EXPANSION = 200  # unpacked size over packed size, of whatever is compressed
SPARE_BYTES = 100 << 20  # what is small may expand more than that
CHUNK_BYTES = 1 << 20  # read at a time

# What reading a damaged or vanished file raises.
UNREADABLE = (
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
        except UNREADABLE as error:
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
