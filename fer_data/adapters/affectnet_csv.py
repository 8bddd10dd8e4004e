"""AffectNet's csv edition: two lists, with or without a header, and pictures named as the lists name them.

Columns, folders, the separator of the landmarks and the missing header are those of public loaders; a box with a
negative width stands for no face.
"""

import io
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

from fer_data.adapters import affectnet_codes as codes
from fer_data.adapters.shared.downloads import note_passed_over
from fer_data.errors import FerError
from fer_data.samples import Reading, Rejection, Sample
from fer_data.sources import Source

LISTS = MappingProxyType({"training.csv": "train", "validation.csv": "val"})
IMAGES = "Manually_Annotated_Images"
COLUMNS = (
    "subDirectory_filePath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
)
_NULL = ("", "NULL", "null")


def lists(source: Source) -> list[str]:
    """The lists of the edition, training first; empty where there is none.

    Raises:
        FerError: the same list twice.
    """
    found = []
    for name in LISTS:
        places = [base + name for base in source.bases(name)]
        if len(places) > 1:
            raise FerError(f"{source.path}: expected one {name}, found {' and '.join(places)}; give the folder of one")
        found += places
    return found


def read(source: Source, found: list[str], rejections: list[Rejection]) -> Reading:
    """Open the edition whose lists are `found`.

    Raises:
        FerError: a list with a header that is not AffectNet's.
    """
    pictures = _pictures(source, rejections)
    for name in found:
        _require_header(source, name)
    notes = []
    missing = [name for name in LISTS if not any(place.endswith(name) for place in found)]
    if missing:
        notes.append(f"{' and '.join(missing)} is not there: its faces are not read")
    others = set(source.names) - set(found) - set(pictures.values())
    note_passed_over(others, "files that are neither list nor picture", notes)
    return Reading(
        form="csv edition",
        label_set=codes.LABEL_SET,
        total_images=len(pictures),
        samples=_samples(source, found, pictures, notes, rejections),
        source=source,
        notes=notes,
    )


def _pictures(source: Source, rejections: list[Rejection]) -> dict[str, str]:
    """Path below `Manually_Annotated_Images/` → name in the source."""
    found: dict[str, str] = {}
    for name in source.names:
        _, marker, below = f"/{name}".partition(f"/{IMAGES}/")
        if marker and found.setdefault(below, name) != name:
            fault = ("every picture once", f"{below} again, after {found[below]}")
            rejections.append(Rejection(source.where(name), *fault, "the picture was set aside"))
    return found


def _require_header(source: Source, name: str) -> None:
    """A first line that is no row must be AffectNet's header."""
    first = source.read(name).split(b"\n", 1)[0].decode("utf-8-sig", "replace").strip()
    if first and not first.split(",")[-1].strip().lstrip("-")[:1].isdecimal() and tuple(_fields(first)) != COLUMNS:
        raise FerError(
            f"{source.where(name)}: expected the columns {','.join(COLUMNS)}, or no header, found {first[:80]!r}"
        )


def _samples(
    source: Source, found: list[str], pictures: dict[str, str], notes: list[str], rejections: list[Rejection]
) -> Iterator[Sample]:
    seen: set[str] = set()
    boxless = 0
    for table in found:
        split = LISTS[table.rpartition("/")[2]]
        # Row by row: a list has 400 MB, nearly all of it landmarks.
        for row, data in enumerate(io.BytesIO(source.read(table))):
            where = f"{source.where(table)} row {row}"
            try:
                fields = _fields(data.decode("utf-8-sig"))
                if fields == [""] or (row == 0 and fields == list(COLUMNS)):
                    continue
                sample = _sample(fields, pictures, seen, split, where)
            except UnicodeDecodeError:
                rejections.append(Rejection(where, "text in UTF-8", repr(data[:40])))
            except FerError as error:
                expected, _, given = str(error).removeprefix(f"{where}: expected ").partition(", found ")
                rejections.append(Rejection(where, expected, given))
            else:
                boxless += "face_box" not in sample.facts
                seen.add(sample.key)
                yield sample
    if boxless:
        notes.append(f"{boxless:,} faces have no box")
    unnamed = set(pictures.values()) - seen
    if len(found) == len(LISTS):
        for name in sorted(unnamed):
            rejections.append(
                Rejection(source.where(name), "a good row of a list", "none", "the picture was set aside")
            )
    else:
        note_passed_over(unnamed, "pictures that the list does not name", notes)


def _fields(line: str) -> list[str]:
    return [field.strip() for field in line.strip().split(",")]


def _sample(fields: list[str], pictures: dict[str, str], seen: set[str], split: str, where: str) -> Sample:
    """One row.

    Raises:
        FerError: the row is not what the columns say, or its picture is not there or was there before.
    """
    if len(fields) != len(COLUMNS):
        raise FerError(f"{where}: expected {len(COLUMNS)} fields, found {len(fields)}")
    file, *box, points, code, valence, arousal = fields
    numbers = _numbers([code, valence, arousal], where)
    label, word = codes.expression(numbers[0], where)
    facts: dict[str, Any] = codes.ratings(numbers[1], numbers[2], where)
    if not all(edge in _NULL for edge in box):
        left, top, width, height = _numbers(box, where)
        if width > 0 and height > 0:
            facts["face_box"] = [left, top, left + width, top + height]
    if points not in _NULL:
        facts |= codes.landmarks(_numbers(points.split(";"), where), where)
    name = pictures.get(file)
    if name is None:
        raise FerError(f"{where}: expected the picture {file[:80]!r}, found no such file")
    if name in seen:
        raise FerError(f"{where}: expected every picture once, found {file} again")
    return Sample(name, None, label, word, split, f"{where}, {file}", facts)


def _numbers(fields: list[str], where: str) -> list[float]:
    try:
        return [float(field) for field in fields]
    except ValueError:
        raise FerError(f"{where}: expected numbers, found {';'.join(fields)[:60]!r}") from None
