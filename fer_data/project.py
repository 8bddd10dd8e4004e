"""A project is a folder with `fer.toml`; every path inside a file is relative to it, so it can be moved."""

import tomllib
from pathlib import Path

from fer_data.errors import FerError
from fer_data.files import atomic_file
from fer_data.locks import name_lock

MARKER = "fer.toml"
LOCAL = "fer.local.toml"


def project_root(near: Path) -> Path:
    """The nearest folder at or above `near` that holds `fer.toml`, else the current folder."""
    start = near.resolve()
    for folder in (start, *start.parents):
        if (folder / MARKER).is_file():
            return folder
    return Path.cwd()


def create_project(folder: Path) -> Path:
    """Make `folder` a project if it is none yet, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    marker = folder / MARKER
    if not marker.exists():
        marker.write_text("# A fer-data-studio project: paths in its files are relative to this folder.\n")
    return folder.resolve()


def relative(path: Path, root: Path) -> str:
    """`path` as it is written into files: relative to the project where it lies inside, else absolute."""
    path = path.resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def dataset_root(root_key: str, root: Path) -> Path:
    """Where a file-based dataset lies on this machine, as `[roots]` in `fer.local.toml` says.

    Raises:
        FerError: the key is not there, or the folder is gone.
    """
    local = root / LOCAL
    roots = tomllib.loads(local.read_text()).get("roots", {}) if local.is_file() else {}
    if root_key not in roots:
        raise FerError(f'{local}: [roots] does not say where {root_key!r} lies; add a line {root_key} = "/folder"')
    folder = Path(roots[root_key])
    if not folder.exists():
        raise FerError(f"{local}: {root_key} lies at {folder}, which is gone; correct the line")
    return folder


def remember_dataset_root(root_key: str, folder: Path, root: Path) -> None:
    """Write where a dataset lies into `fer.local.toml`, keeping the other lines."""
    local = root / LOCAL
    with name_lock(local, wait=True), atomic_file(local) as partial:
        roots = tomllib.loads(local.read_text()).get("roots", {}) if local.is_file() else {}
        roots[root_key] = str(folder.resolve())
        lines = "".join(f"{_quoted(key)} = {_quoted(value)}\n" for key, value in sorted(roots.items()))
        partial.write_text("# Where datasets lie on this machine. Not for git.\n[roots]\n" + lines)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
