"""Outputs appear complete or not at all: write aside, fsync, rename. What a killed run left, the next one removes."""

import contextlib
import ctypes
import errno
import glob
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fer_data.errors import FerError
from fer_data.locks import claim, remove_abandoned

_FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the quota is used up", errno.EFBIG: "a file grew too large"}
_EXCHANGE = 2  # RENAME_EXCHANGE of Linux
_AT_CURRENT_FOLDER = -100


def hidden_folders(out: Path, kind: str) -> list[Path]:
    """The folders `.<stem>.<id>.<kind>` beside an output, where runs keep what is unfinished; ids are 16 hex digits."""
    return sorted(out.parent.glob(f".{glob.escape(out.stem)}.{'[0-9a-f]' * 16}.{kind}"))


def refuse_existing(path: Path, *, replace: bool) -> None:
    """Raise FerError where `path` exists and the user did not ask to replace it."""
    if path.exists() and not replace:
        raise FerError(f"{path} exists; choose another --out or add --replace")


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced and renamed onto `path`, else removed.

    Raises:
        FerError: there is no room for it on the disk.
    """
    with _room(path), _partial(path.parent, path.name, folder=False) as partial:
        yield partial
        _sync(partial)
        partial.chmod(0o644)
        partial.replace(path)
        _sync(path.parent)


@contextlib.contextmanager
def staging_folder(parent: Path, name: str) -> Iterator[Path]:
    """Yield a temporary folder in `parent`; whatever is still there at the end is removed.

    Raises:
        FerError: there is no room on the disk for what is written.
    """
    with _room(parent / name), _partial(parent, name, folder=True) as partial:
        yield partial


def publish_folder(partial: Path, path: Path) -> None:
    """Sync a finished staging folder and rename it to `path`, in the place of what was there."""
    for file in partial.rglob("*"):
        if file.is_file():
            _sync(file)
    partial.chmod(0o755)
    if not path.exists():
        partial.rename(path)
    elif not _exchanged(partial, path):  # after an exchange, what was there is in the staging folder's place
        aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
        path.rename(aside / path.name)
        partial.rename(path)
        shutil.rmtree(aside)
    _sync(path.parent)


@contextlib.contextmanager
def atomic_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success it is renamed to `path`, else removed."""
    refuse_existing(path, replace=replace)
    with staging_folder(path.parent, path.name) as partial:
        yield partial
        publish_folder(partial, path)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as readable JSON, atomically, keys in the given order."""
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file; a missing or broken one is a FerError that names it."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise FerError(f"{path} is missing; check the path, or make it again with the command that wrote it") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise FerError(f"{path}: expected JSON, found something else ({error}); make it again") from None


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    """SHA-256 of a value's canonical JSON: the identity of a configuration or of a generation."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@contextlib.contextmanager
def _partial(parent: Path, name: str, *, folder: bool) -> Iterator[Path]:
    """A new, claimed file or folder `.<name>.<random>.partial`; what is still there at the end is removed."""
    parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(parent, name)
    descriptor = None
    while descriptor is None:  # another run may take it for abandoned before it is claimed
        partial = _new_partial(parent, name, folder=folder)
        descriptor = claim(partial)
    try:
        yield partial
    finally:
        if folder:
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)
        os.close(descriptor)


def _new_partial(parent: Path, name: str, *, folder: bool) -> Path:
    prefix, suffix = f".{name}.", ".partial"
    if folder:
        return Path(tempfile.mkdtemp(prefix=prefix, suffix=suffix, dir=parent))
    handle, path = tempfile.mkstemp(prefix=prefix, suffix=suffix, dir=parent)
    os.close(handle)
    return Path(path)


@contextlib.contextmanager
def _room(path: Path) -> Iterator[None]:
    """A full disk, told in one sentence."""
    try:
        yield
    except OSError as error:
        reason = _FULL.get(error.errno or 0)
        if reason is None:
            raise
        raise FerError(f"{path} was not written: {reason}; make room and run the command again") from error


def _exchanged(one: Path, other: Path) -> bool:
    """Whether two paths of one folder could be exchanged in one step, which Linux can and Python does not offer."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    here = _AT_CURRENT_FOLDER
    done: int = rename(here, os.fsencode(one.absolute()), here, os.fsencode(other.absolute()), _EXCHANGE)
    return done == 0


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
