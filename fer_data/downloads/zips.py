"""A zip, whose members are unpacked one at a time, when they are asked for."""

import io
import stat
import zipfile
from pathlib import Path
from typing import IO

from fer_data.downloads.names import SET_ASIDE, is_hidden, member_fault, printable
from fer_data.errors import FerError
from fer_data.samples import Rejection
from fer_data.sources import CHUNK_BYTES, MAX_EXPANSION, MAX_FILE_BYTES, SPARE_BYTES, UNREADABLE, Source


class Zip(Source):
    """A zip; members that state more than they may expand to are refused before they are unpacked."""

    kind = "archive"

    def __init__(self, path: Path, rejections: list[Rejection]) -> None:
        self.path = path
        self._zip = zipfile.ZipFile(path)
        self._members: dict[str, zipfile.ZipInfo] = {}
        for info in self._zip.infolist():
            if info.filename.endswith("/") or is_hidden(info.filename):
                continue
            linked = stat.S_ISLNK(info.external_attr >> 16)
            fault = member_fault(info.filename, self._members, "a link" if linked else None)
            if fault:
                rejections.append(Rejection(f"{path.name}/{printable(info.filename)}", *fault, SET_ASIDE))
            else:
                self._members[info.filename] = info
        self.names = sorted(self._members)

    def read(self, name: str) -> bytes:
        info = self._member(name, MAX_FILE_BYTES)
        try:
            with self._zip.open(info) as handle:
                return _read_whole(handle)
        except UNREADABLE as error:
            raise FerError(f"{self.where(name)} cannot be read ({error}); download the archive again") from None

    def stream(self, name: str) -> IO[bytes]:
        info = self._member(name, None)
        try:
            return self._zip.open(info)
        except UNREADABLE as error:
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


def _read_whole(handle: IO[bytes]) -> bytes:
    """The whole content, unpacked piece by piece: at once, `zipfile` unpacks more than a member says it has."""
    data = io.BytesIO()
    while chunk := handle.read(CHUNK_BYTES):
        data.write(chunk)
    return data.getvalue()
