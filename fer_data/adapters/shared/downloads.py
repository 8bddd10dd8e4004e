"""What adapters of single files share: opening a download, telling pictures from the rest, saying what was not read."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from fer_data.downloads.opening import open_source
from fer_data.errors import FerError
from fer_data.samples import Rejection
from fer_data.sources import Source

PICTURES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


def required(root: Path | None, title: str) -> Path:
    """The path of a download, which a dataset that is not drawn cannot do without.

    Raises:
        FerError: there is none.
    """
    if root is None:
        raise FerError(f"{title}: expected the path of a download, found none; give the folder or archive")
    return root


def open_download(root: Path | None, title: str, rejections: list[Rejection]) -> Source:
    """Open the folder or archive of a dataset.

    Raises:
        FerError: no path was given, or `open_source` refuses what lies there.
    """
    return open_source(required(root, title), rejections)


def only_form(found: Mapping[str, bool], wanted: str, names: Mapping[str, str], root: Path, title: str) -> str | None:
    """The one form that a download has; None where it has none.

    Args:
        found: form → whether its marks are there.
        wanted: the form that the user chose, or "auto".
        names: form → what it is called in messages.

    Raises:
        FerError: it has several.
    """
    forms = [form for form, there in found.items() if there and wanted in ("auto", form)]
    if len(forms) > 1:
        named = ", ".join(f"{names[form]} ({form})" for form in forms)
        raise FerError(f"{root}: expected one form of {title}, found several: {named}; choose with --set form=…")
    return forms[0] if forms else None


def is_picture(name: str) -> bool:
    """Whether a name ends as pictures do; whether the file is one is seen when it is decoded."""
    return name.lower().endswith(PICTURES)


def file_name(name: str) -> str:
    """The last part of a name within a source."""
    return name.rpartition("/")[2]


def note_passed_over(names: Collection[str], what: str, notes: list[str]) -> None:
    """Say how many files were passed over on purpose, and which was the first."""
    if names:
        notes.append(f"{len(names):,} {what} passed over (first: {min(names)})")


def first_few(names: Iterable[str], count: int = 3) -> str:
    """ "a, b, c …" for messages."""
    listed = sorted(names)
    return ", ".join(listed[:count]) + (" …" if len(listed) > count else "")
