"""Locks that die with their process: `flock` on a file or folder, so that a `kill -9` leaves none behind.

On file systems without `flock` there is no lock: work goes on, and what looks abandoned is left alone.
"""

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from fer_data.errors import FerError


class NameInUseError(FerError):
    """Another run holds a name."""


@contextlib.contextmanager
def name_lock(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold the name of an output while it is made, so that no other run makes it at the same time.

    Raises:
        NameInUseError: another run holds it, and `wait` is false.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        if not _try(descriptor, wait=wait):
            os.close(descriptor)
            raise NameInUseError(f"{path} is being written by another run; wait for it, or choose another --out")
        if _same(descriptor, lock):
            break
        os.close(descriptor)  # the run before removed the file between our opening and our lock
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def claim(path: Path) -> int | None:
    """Mark a new file or folder as in use: the descriptor that holds it, or None where it is gone already."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    _try(descriptor)
    if _same(descriptor, path):
        return descriptor
    os.close(descriptor)
    return None


def remove_abandoned(parent: Path, name: str | None = None) -> None:
    """Remove the staging files and folders in `parent`, of one output or of all, whose process is gone."""
    ours = re.compile(rf"\.{re.escape(name) if name else '.+'}\.[^.]+\.partial")
    for entry in [entry for entry in os.scandir(parent) if ours.fullmatch(entry.name)]:
        with contextlib.suppress(OSError):
            descriptor = os.open(entry.path, os.O_RDONLY)
            try:
                if not _try(descriptor, missing=False):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    Path(entry.path).unlink()
            finally:
                os.close(descriptor)


def _try(descriptor: int, *, wait: bool = False, missing: bool = True) -> bool:
    """Lock if nobody else has, or once nobody has; `missing` is the answer where the file system knows no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return missing
    return True


def _same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
