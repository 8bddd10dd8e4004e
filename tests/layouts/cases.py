"""A case of the conformance test: one form of one dataset, as a small faithful copy of what people download."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Case:
    """One form that an adapter reads.

    Attributes:
        adapter: its name in ADAPTERS.
        write: writes the copy under an empty folder and returns what the user would give to `fer import`
            (None where the adapter takes no path).
        rows: how many samples a right reading gives, rejections not counted; no row of a faithful copy is rejected.
        labels: canonical label (or None) → how many samples carry it.
        options: the adapter's options as a user would set them, made from the folder that `write` got.
        archives: whether the same copy must read alike as zip, tar and tar.gz (False where the form is one file).
    """

    adapter: str
    write: Callable[[Path], Path | None]
    rows: int
    labels: Mapping[str | None, int]
    options: Callable[[Path], dict[str, Any]] = field(default=lambda folder: {})
    archives: bool = True
