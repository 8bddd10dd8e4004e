"""A download is opened by what it is, not by what it is called."""

import tarfile
import zipfile
from pathlib import Path

from fer_data.downloads.folders import Folder, SingleFile
from fer_data.downloads.tars import Tar
from fer_data.downloads.zips import Zip
from fer_data.errors import FerError
from fer_data.samples import Rejection
from fer_data.sources import UNREADABLE, Source

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or a tar, by its content."""
    return path.is_file() and (zipfile.is_zipfile(path) or tarfile.is_tarfile(path))


def open_source(path: Path, rejections: list[Rejection]) -> Source:
    """Open a folder, a zip or a tar. What must not be read is added to `rejections`.

    Raises:
        FerError: nothing is there, or a file that is no archive, is damaged, or expands beyond all bounds.
    """
    if path.is_dir():
        return Folder(path, rejections)
    if not path.is_file():
        raise FerError(f"{path} is missing; expected a folder or one of {', '.join(ARCHIVES)}, check the path")
    try:
        if zipfile.is_zipfile(path):
            return Zip(path, rejections)
        if tarfile.is_tarfile(path):
            return Tar(path, rejections)
    except (*UNREADABLE, tarfile.TarError) as error:
        raise FerError(f"{path}: expected a whole archive, found one that cannot be read ({error})") from None
    raise FerError(f"{path}: expected a folder or an archive ({', '.join(ARCHIVES)}), found another file")


def single_file(path: Path) -> Source:
    """One file that is no archive, as a source of that name only.

    Raises:
        FerError: it is missing, or a folder.
    """
    if not path.is_file():
        raise FerError(f"{path} is missing; expected a file, check the path")
    return SingleFile(path)
