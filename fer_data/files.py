"""Outputs appear complete or not at all: write aside, fsync, rename."""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fer_data.errors import FerError


def refuse_existing(path: Path, *, replace: bool) -> None:
    """Raise FerError where `path` exists and the user did not ask to replace it."""
    if path.exists() and not replace:
        raise FerError(f"{path} exists; choose another --out or add --replace")


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced and renamed onto `path`, else removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        _sync(partial)
        partial.chmod(0o644)
        partial.replace(path)
        _sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def staging_folder(parent: Path, name: str) -> Iterator[Path]:
    """Yield a temporary folder in `parent`; whatever is still there at the end is removed."""
    parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{name}.", suffix=".partial", dir=parent))
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def publish_folder(partial: Path, path: Path) -> None:
    """Sync a finished staging folder and rename it to `path`, in the place of what was there."""
    for file in partial.rglob("*"):
        if file.is_file():
            _sync(file)
    partial.chmod(0o755)
    if path.exists():
        aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
        path.rename(aside / path.name)
        partial.rename(path)
        shutil.rmtree(aside)
    else:
        partial.rename(path)
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


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
