"""Any csv or Parquet table with a row for every face, and columns that the user names.

The picture is a path, encoded bytes, or pixels as numbers; the rest (split, subject, box) is optional. Labels are
words that name expressions, or the user says what each one means; what nobody explained is refused with its list.
"""

import math
import posixpath
from collections import Counter
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from fer_data import licenses
from fer_data.adapters.shared.downloads import is_picture, required
from fer_data.adapters.shared.table_rows import ENDINGS, CsvTable, ParquetTable, table_at, table_in
from fer_data.adapters.shared.wording import (
    Labels,
    LabelSet,
    Splits,
    StatedLicence,
    as_text,
    resolve_labels,
    resolve_splits,
)
from fer_data.configuration import Configuration
from fer_data.downloads.opening import is_archive, open_source
from fer_data.errors import FerError
from fer_data.images import MAX_PIXELS
from fer_data.samples import Reading, Rejection, Sample
from fer_data.sources import Source

NAME = "table"
TITLE = "table of faces"
LICENCE = licenses.UNKNOWN
CITATION = None
HOMEPAGE = None
ACCESS = None
EXPECTED = None
UNVERIFIED = ()
KNOWN_DEFECTS = ("Nothing is known of these pictures but what the table says, and what you say its words mean.",)

Fault = tuple[str, str] | None  # what was expected, what was found
Picture = NDArray[np.uint8] | bytes | None


class Options(Configuration):
    """Which columns say what. One of `path`, `bytes` and `pixels` is needed."""

    path: str | None = None  # column with the picture's path, relative to the table or to `root`
    bytes: str | None = None  # column of a Parquet table with the picture's encoded bytes
    pixels: str | None = None  # column with grey values 0-255, row by row, in one text or list
    width_px: int | None = Field(None, ge=1)  # of `pixels`; none given: square
    label: str | None = None  # column of the labels; none given: faces without labels
    labels: Labels = {}  # label as the table has it → expression, or null for no label
    label_set: LabelSet = "auto"
    licence: StatedLicence | None = None  # without it nothing made from this may be passed on
    split: str | None = None  # column of the splits
    splits: Splits = {}  # split as the table calls it → train, val, test or null; train, val, test … are known
    subject: str | None = None  # column that says who is shown
    box: tuple[str, str, str, str] | None = None  # columns of the face box, in pixels
    box_form: Literal["corners", "size"] = "corners"  # left, top, right, bottom, or left, top, width, height
    file: str | None = None  # which table, where a folder or archive holds several
    root: Path | None = None  # folder or archive of the pictures, where paths do not start at the table
    delimiter: str | None = Field(None, min_length=1, max_length=1)  # none given: a comma, in .tsv a tab
    encoding: str = "utf-8"

    @model_validator(mode="after")
    def _one_picture_column(self) -> Self:
        given = [name for name in ("path", "bytes", "pixels") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"expected one of path, bytes and pixels, found {' and '.join(given) or 'none'}")
        return self

    def columns(self) -> dict[str, str]:
        """Option → column, for every column that is asked for."""
        named = {name: getattr(self, name) for name in ("path", "bytes", "pixels", "label", "split", "subject")}
        named |= {f"box {index}": column for index, column in enumerate(self.box or ())}
        return {name: column for name, column in named.items() if column is not None}


@dataclass(frozen=True)
class _Place:
    """A table, and where its paths start."""

    table: ParquetTable | CsvTable
    key: str
    source: Source | None
    base: str  # folder inside the source, "" or "a/b/"


@dataclass(frozen=True)
class _Words:
    """What the table's words mean, and how many rows it has."""

    label_set: str
    labels: Mapping[str, str | None]
    splits: Mapping[str, str | None]
    rows: int


def read(root: Path | None, options: Options, rejections: list[Rejection]) -> Reading:
    """Open a table, or the folder or archive that holds it.

    Raises:
        FerError: nothing there, no table or several, a column that is missing, a damaged table, or labels or splits
            that nobody explained.
    """
    place = _find(required(root, TITLE), options, rejections)
    missing = [column for column in options.columns().values() if column not in place.table.columns]
    if missing:
        raise FerError(
            f"{place.table.where}: expected the column {missing[0]!r}, found {', '.join(place.table.columns)[:200]}"
        )
    words = _survey(place.table, options)
    notes: list[str] = []
    return Reading(
        licence=options.licence.licence() if options.licence else None,
        form=f"{'Parquet' if isinstance(place.table, ParquetTable) else 'csv'} table",
        label_set=words.label_set,
        total_images=words.rows,
        samples=_samples(place, options, words, notes, rejections),
        source=place.source,
        notes=notes,
    )


def _find(root: Path, options: Options, rejections: list[Rejection]) -> _Place:
    """The table at a path, or the only one in a folder or archive."""
    if not root.exists():
        raise FerError(f"{root} is missing; expected a csv or Parquet table, check the path")
    if root.is_file() and not is_archive(root):
        table = table_at(root, options.delimiter, options.encoding)
        pictures = open_source(options.root or root.parent, rejections) if options.path is not None else None
        return _Place(table, root.name, pictures, "")
    source = open_source(root, rejections)
    tables = [name for name in source.names if name.lower().endswith(ENDINGS)]
    if options.file is not None:
        tables = [name for name in tables if name == options.file.strip("/")]
    if len(tables) != 1:
        raise FerError(
            f"{root}: expected one table ({', '.join(ENDINGS)}){f' {options.file}' if options.file else ''}, found "
            f"{', '.join(tables[:5]) or source.shown()}; give the table itself, or name it with --set file=…"
        )
    table = table_in(source, tables[0], options.delimiter, options.encoding)
    if options.path is None:
        return _Place(table, tables[0], None, "")
    if options.root is not None:
        return _Place(table, tables[0], open_source(options.root, rejections), "")
    return _Place(table, tables[0], source, tables[0][: tables[0].rfind("/") + 1])


def _survey(table: ParquetTable | CsvTable, options: Options) -> _Words:
    """Read the columns of words once, before any picture."""
    asked = {"label": options.label, "split": options.split}
    columns = {name: column for name, column in asked.items() if column is not None}
    counts: dict[str, Counter[str]] = {"label": Counter(), "split": Counter()}
    rows = 0
    for _, fields in table.rows(list(columns.values()), []):
        rows += 1
        for name, value in zip(columns, fields, strict=True):
            if (word := as_text(value)) is not None:
                counts[name][word] += 1
    label_set, labels = resolve_labels(counts["label"], options.labels, options.label_set, table.where)
    return _Words(label_set, labels, resolve_splits(counts["split"], options.splits, table.where), rows)


def _samples(
    place: _Place, options: Options, words: _Words, notes: list[str], rejections: list[Rejection]
) -> Iterator[Sample]:
    columns = options.columns()
    files = set(place.source.names) if place.source is not None else set()
    seen: Counter[str] = Counter()
    unlabelled = 0
    for row, fields in place.table.rows(list(columns.values()), rejections):
        values = dict(zip(columns, fields, strict=True))
        where = f"{place.key} row {row}"
        box, fault = _box(values, options)
        picture: Picture = None
        if fault is None and options.path is None:
            picture, fault = _brought(values, options)
        name = f"{row:07d}"
        if fault is None and options.path is not None:
            name, fault = _named(as_text(values["path"]), place.base, files)
            if fault is None and seen[name] and box is None:
                fault = ("a picture once, or boxes that tell its faces apart", f"{name} again")
        if fault is not None:
            rejections.append(Rejection(where, *fault))
            continue
        seen[name] += 1
        word, split = as_text(values.get("label")), as_text(values.get("split"))
        facts: dict[str, Any] = {"subject_id": as_text(values.get("subject"))} if options.subject else {}
        facts |= {"face_box": box} if box is not None else {}
        label = words.labels[word] if word is not None else None
        unlabelled += label is None
        yield Sample(
            key=f"{name}#{seen[name]}" if options.path is not None and box is not None else name,
            image=picture,
            label=label,
            source_label=word,
            split=words.splits[split] if split is not None else None,
            where=where,
            facts=facts,
            file=name if options.path is not None and box is not None else None,
        )
    if unlabelled:
        notes.append(f"{unlabelled:,} faces have no label")
    absent = sum(is_picture(name) and name not in seen for name in files)
    if absent:
        notes.append(f"{absent:,} pictures beside the table are in no row of it and were passed over")


def _named(path: str | None, base: str, files: AbstractSet[str]) -> tuple[str, Fault]:
    """The file of the source that a path of the table names."""
    if path is None:
        return "", ("the path of a picture", "none")
    plain = path.replace("\\", "/")
    name = posixpath.normpath(base + plain)
    if plain.startswith("/") or ":" in plain[:2] or name == ".." or name.startswith("../"):
        return "", ("a path inside the download", repr(path[:80]))
    if name not in files:
        return "", ("a picture of the download", f"{path[:80]!r}, which is no file of it")
    return name, None


def _brought(values: Mapping[str, Any], options: Options) -> tuple[Picture, Fault]:
    """The picture that a row itself holds."""
    if options.bytes is not None:
        data = values["bytes"]
        return (data, None) if isinstance(data, bytes) else (None, ("the bytes of a picture", type(data).__name__))
    return parse_pixels(values["pixels"], options.width_px)


def parse_pixels(value: object, width_px: int | None) -> tuple[NDArray[np.uint8] | None, Fault]:
    """Grey values of one row as a picture.

    Args:
        value: whole numbers 0 to 255, row by row: in a text between blanks or commas, or in a list, flat or of rows.
        width_px: None for a square.

    Returns:
        uint8 [H, W] and None, or None and what was expected and found.
    """
    try:
        if isinstance(value, str):
            tokens = value.strip("[]() ").replace(",", " ").split()
            if not all(token.isascii() and token.isdecimal() and len(token) <= 3 for token in tokens):
                return None, ("whole numbers 0 to 255", repr(value[:40]))
            numbers = np.array(tokens, dtype=np.int64)
        else:
            numbers = np.asarray(value)
    except (ValueError, OverflowError):  # rows of different lengths
        return None, ("rows of one length", "others")
    if numbers.dtype.kind not in "iu" or numbers.ndim not in (1, 2):
        return None, ("whole numbers 0 to 255", repr(value)[:40])
    if numbers.size and (numbers.min() < 0 or numbers.max() > 255):
        return None, ("whole numbers 0 to 255", f"{numbers.min()} to {numbers.max()}")
    if numbers.ndim == 1:
        width = width_px or math.isqrt(numbers.size)
        if not numbers.size or numbers.size % width or (width_px is None and numbers.size != width**2):
            wanted = f"a multiple of {width_px}" if width_px else "a square number of"
            return None, (f"{wanted} pixels", f"{numbers.size}")
        numbers = numbers.reshape(-1, width)
    if not 0 < numbers.size <= MAX_PIXELS:
        return None, (f"1 to {MAX_PIXELS} pixels", f"{numbers.size}")
    return numbers.astype(np.uint8), None


def _box(values: Mapping[str, Any], options: Options) -> tuple[list[float] | None, Fault]:
    """The face box as left, top, right, bottom; None where no columns were named or all four fields are empty."""
    fields = [values[f"box {index}"] for index in range(4)] if options.box is not None else []
    if all(as_text(field) is None for field in fields):
        return None, None
    try:
        left, top, right, bottom = (float(field) for field in fields)
    except (TypeError, ValueError):
        return None, ("four numbers for the face box", ", ".join(str(field)[:20] for field in fields))
    if options.box_form == "size":
        right, bottom = left + right, top + bottom
    if not all(map(math.isfinite, (left, top, right, bottom))) or left >= right or top >= bottom:
        return None, ("a face box with an area", f"{left:g}, {top:g}, {right:g}, {bottom:g}")
    return [left, top, right, bottom], None
