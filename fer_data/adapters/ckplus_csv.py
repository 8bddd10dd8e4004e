"""`ckextended.csv`: CK+ in the columns of fer2013.csv, with an eighth code and its own split."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

from fer_data.adapters.fer2013_csv import PIXELS, SIDE_PX, USAGES, parse_pixels
from fer_data.adapters.shared.counting import compared
from fer_data.adapters.shared.downloads import file_name
from fer_data.errors import FerError
from fer_data.expressions import canonical
from fer_data.samples import Reading, Rejection, Sample
from fer_data.sources import Source

FILE_NAME = "ckextended.csv"
EXPECTED = MappingProxyType({"total": 920})
LABEL_SET = "basic8"
# The file's own description on Kaggle ("CK+ Dataset"), which lists code, expression and count.
CODES = MappingProxyType(
    {str(code): name for code, name in enumerate(
        ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral", "contempt")
    )}
)  # fmt: skip
_COLUMNS = ("emotion", "pixels", "Usage")


def read(path: Path, rejections: list[Rejection]) -> Reading:
    """Open the file itself.

    Raises:
        FerError: it cannot be read, or has another header.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FerError(f"{path}: expected a csv file, found one that cannot be read ({error}); check it") from None
    return _reading(text, path.name, rejections)


def read_from(source: Source, rejections: list[Rejection]) -> Reading:
    """Open the file in a folder or an archive.

    Raises:
        FerError: several of that name, one that cannot be read, or another header.
    """
    files = [name for name in source.names if file_name(name) == FILE_NAME]
    if len(files) != 1:
        raise FerError(f"{source.path}: expected one {FILE_NAME}, found {', '.join(files)}; give the path of one")
    return _reading(source.text(files[0]), source.where(files[0]), rejections)


def _reading(text: str, where: str, rejections: list[Rejection]) -> Reading:
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    except csv.Error as error:
        raise FerError(f"{where}: expected a csv file, found something else ({error}); download it again") from None
    header = [name.strip() for name in rows[0]] if rows else []
    if sorted(header) != sorted(_COLUMNS):
        raise FerError(
            f"{where}: expected the header {','.join(_COLUMNS)} (in any order), "
            f"found {','.join(header)[:80] or 'an empty file'}; give {FILE_NAME}"
        )
    notes = [
        f"{FILE_NAME} does not tell who is who: its split may put one person on both sides, and nothing can show it"
    ]
    samples = _samples(rows[1:], [header.index(name) for name in _COLUMNS], where, rejections)
    return Reading(
        form=FILE_NAME,
        label_set=LABEL_SET,
        total_images=len(rows) - 1,
        samples=compared(samples, EXPECTED, FILE_NAME, notes),
        notes=notes,
    )


def _samples(rows: list[list[str]], order: list[int], where: str, rejections: list[Rejection]) -> Iterator[Sample]:
    usages = {usage.decode(): split for usage, split in USAGES.items()}
    for number, row in enumerate(rows):
        place = f"{where} row {number}"
        if len(row) != len(_COLUMNS):
            rejections.append(Rejection(place, f"{len(_COLUMNS)} fields, {','.join(_COLUMNS)}", f"{len(row)}"))
            continue
        code, text, usage = (row[index].strip() for index in order)
        pixels = parse_pixels([text.encode()])
        if code not in CODES:
            fault = (f"an emotion 0 to {len(CODES) - 1}", repr(code[:40]))
        elif usage not in usages:
            fault = (f"a Usage {', '.join(usages)}", repr(usage[:40]))
        elif pixels is None:
            fault = (f"{PIXELS} pixels 0 to 255", f"{len(text.split())}: {text[:40]!r}")
        else:
            label = canonical(CODES[code], LABEL_SET)
            yield Sample(f"{number:05d}", pixels.reshape(SIDE_PX, SIDE_PX), label, CODES[code], usages[usage], place)
            continue
        rejections.append(Rejection(place, *fault))
