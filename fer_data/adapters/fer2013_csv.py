"""FER-2013's csv forms, `fer2013.csv` and `icml_face_data.csv`, and the FER+ votes that join them by row.

The file has 300 MB of decimal numbers. Lines are parsed in blocks by whole-array operations that accept only
what is certainly right; a block with a fault in it is read again row by row, to say what the fault is.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_data.errors import FerError
from fer_data.expressions import canonical
from fer_data.samples import Reading, Rejection, Sample
from fer_data.votes import FERPLUS_COLUMNS

FILE_NAMES = ("fer2013.csv", "icml_face_data.csv")
VOTES_NAME = "fer2013new.csv"
SIDE_PX = 48
PIXELS = SIDE_PX * SIDE_PX
# The csv's own codes 0..6. Class folders and mirrors number the same names alphabetically.
CODES = {str(code).encode(): name for code, name in enumerate(
    ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
)}  # fmt: skip
USAGES = {b"Training": "train", b"PublicTest": "val", b"PrivateTest": "test"}
VOTES_SOURCE = f"FER+ {VOTES_NAME}"
_COLUMNS = (b"emotion", b"pixels", b"Usage")
_BLOCK = 64  # rows parsed at once: their bytes stay in the cache


def read(path: Path, votes_path: Path | None, rejections: list[Rejection]) -> Reading:
    """Open a csv.

    Keys are row numbers that count data rows from 0, the same in both files of the dataset.

    Raises:
        FerError: empty file, wrong header, votes that do not fit.
    """
    header = _read_header(path)
    usages, ends_with_newline = _survey(path, header)
    notes = []
    votes = None
    if votes_path is not None:
        votes = read_votes(votes_path, usages, path.name)
        odd = np.flatnonzero(votes.sum(axis=1) != 10)
        if len(odd):
            notes.append(f"{len(odd)} rows of {votes_path.name} have other than 10 votes (first: row {odd[0]})")
    elif path.with_name(VOTES_NAME).is_file():
        notes.append(f"FER+ votes lie beside the csv; add --votes {path.with_name(VOTES_NAME)} to use them")
    if header[-1] == b"pixels" and not ends_with_newline:
        notes.append(f"{path.name} ends without a line end: its last pixel may be cut short")
    return Reading(
        form="icml csv" if header[-1] == b"pixels" else "csv",
        label_set="basic7",
        total_images=len(usages),
        samples=_samples(path, header, votes, rejections),
        votes_labels=FERPLUS_COLUMNS if votes is not None else (),
        notes=notes,
    )


def parse_pixels(fields: list[bytes]) -> NDArray[np.uint8] | None:
    """Parse rows of decimal pixels, strictly: single spaces, one to three digits, at most 255.

    Args:
        fields: N rows of `PIXELS` numbers.

    Returns:
        uint8 [N, PIXELS], or None where any of the rows is anything else.
    """
    text = np.frombuffer(b"   " + b" ".join(fields) + b" ", dtype=np.uint8)
    ends = np.flatnonzero(text == ord(" "))[3:]  # the end of every number; the padding gives all three digits
    width = np.diff(ends, prepend=2) - 1
    row_ends = np.cumsum([len(field) + 1 for field in fields]) + 2
    if len(ends) != PIXELS * len(fields) or not np.array_equal(ends[PIXELS - 1 :: PIXELS], row_ends):
        return None
    if width.min() < 1 or width.max() > 3:
        return None
    digits = text - ord("0")  # what is no digit wraps round to 10 or more
    ones, tens, hundreds = digits[ends - 1], digits[ends - 2], digits[ends - 3]
    tens *= width > 1
    hundreds *= width > 2
    if max(ones.max(), tens.max(), hundreds.max()) > 9:
        return None
    values = ones + tens * np.uint16(10) + hundreds * np.uint16(100)
    return values.astype(np.uint8).reshape(-1, PIXELS) if values.max() <= 255 else None


def read_votes(path: Path, usages: list[bytes | None], csv_name: str) -> NDArray[np.int32]:
    """Read FER+'s `fer2013new.csv` and hold it against the rows of the csv that it belongs to.

    Args:
        usages: the csv's Usage per row; None where the row is faulty and cannot be compared.
        csv_name: name of that csv, for messages.

    Returns:
        int32 [N, 10], counts in the order of `FERPLUS_COLUMNS`.

    Raises:
        FerError: missing, wrong header, a row that is not ten counts, another number of rows, or another Usage.
    """
    expected = ["Usage", "Image name", *FERPLUS_COLUMNS]
    rows = read_lines(path)
    header = [name.strip() for name in rows[0]] if rows else []
    if header != expected:
        raise FerError(
            f"{path}: expected the header {','.join(expected)}, found {','.join(header)[:80] or 'an empty file'}; "
            f"give FER+'s {VOTES_NAME}"
        )
    if len(rows) - 1 != len(usages):
        raise FerError(
            f"{path}: expected {len(usages):,} rows, as many as {csv_name} has, found {len(rows) - 1:,}; "
            "FER+ joins by row position, give the file that belongs to this csv"
        )
    votes = np.empty((len(usages), len(FERPLUS_COLUMNS)), dtype=np.int32)
    for row, (line, usage) in enumerate(zip(rows[1:], usages, strict=True)):
        if usage is not None and line[0].strip().encode() != usage:
            raise FerError(
                f"{path} row {row}: expected Usage {usage.decode()} as in {csv_name}, found {line[0][:40]!r}; "
                "FER+ joins by row position, give the file that belongs to this csv"
            )
        counts = parse_counts(line[2:])
        if counts is None:
            raise FerError(
                f"{path} row {row}: expected {len(FERPLUS_COLUMNS)} vote counts, "
                f"found {','.join(line[2:])[:60]!r}; download the file again"
            )
        votes[row] = counts
    return votes


def parse_counts(fields: list[str]) -> list[int] | None:
    """Ten vote counts of at most three digits, or None where the fields are anything else."""
    whole = len(fields) == len(FERPLUS_COLUMNS) and all(
        field.isascii() and field.isdigit() and len(field) <= 3 for field in map(str.strip, fields)
    )
    return [int(field) for field in fields] if whole else None


def read_lines(path: Path) -> list[list[str]]:
    """A small csv file as fields, without its blank lines; a missing or unreadable one is a FerError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            return [line for line in csv.reader(handle) if line]
    except OSError as error:
        raise FerError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise FerError(f"{path}: expected a csv file, found something else ({error}); check the path") from None


def _read_header(path: Path) -> list[bytes]:
    with path.open("rb") as handle:
        first = handle.readline(200)
    header = [name.strip(b'" \r\n') for name in first.removeprefix(b"\xef\xbb\xbf").split(b",")]
    if sorted(header) != sorted(_COLUMNS):
        raise FerError(
            f"{path}: expected the header emotion,pixels,Usage (in any order), "
            f"found {_shown(first.rstrip()) if first else 'an empty file'}; give fer2013.csv or icml_face_data.csv"
        )
    return header


def _rows(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Row number from 0, line number from 1, and text of every row that is not blank."""
    row = 0
    with path.open("rb", buffering=1 << 20) as handle:
        next(handle, None)
        for number, line in enumerate(handle, 2):
            if not line.isspace():
                yield row, number, line
                row += 1


def _survey(path: Path, header: list[bytes]) -> tuple[list[bytes | None], bool]:
    """The Usage of every row (None where it is none), and whether the file ends with a line end."""
    usages: list[bytes | None] = []
    line = b"\n"
    for _, _, line in _rows(path):
        fields = _fields(line)
        usage = fields[header.index(b"Usage")] if len(fields) == len(header) else None
        usages.append(usage if usage in USAGES else None)
    return usages, line.endswith(b"\n")


def _fields(line: bytes) -> list[bytes]:
    return [field.strip(b'" \r\n') for field in line.split(b",")]


def _samples(
    path: Path, header: list[bytes], votes: NDArray[np.int32] | None, rejections: list[Rejection]
) -> Iterator[Sample]:
    block: list[tuple[int, str, list[bytes]]] = []
    for row, number, line in _rows(path):
        where = f"{path.name} row {row} (line {number})"
        fields = _fields(line)
        if len(fields) != len(header):
            rejections.append(
                Rejection(where, "3 fields, emotion,pixels,Usage", f"{len(fields)}: {_shown(line.strip())}")
            )
            continue
        block.append((row, where, [fields[header.index(name)] for name in _COLUMNS]))
        if len(block) == _BLOCK:
            yield from _block_samples(block, votes, rejections)
            block = []
    if block:
        yield from _block_samples(block, votes, rejections)


def _block_samples(
    block: list[tuple[int, str, list[bytes]]], votes: NDArray[np.int32] | None, rejections: list[Rejection]
) -> Iterator[Sample]:
    together = parse_pixels([text for _, _, (_, text, _) in block])
    for index, (row, where, (code, text, usage)) in enumerate(block):
        fault = _label_fault(code, usage) or (_pixel_fault(text) if together is None else None)
        if fault is not None:
            rejections.append(Rejection(where, *fault))
            continue
        pixels = together[index] if together is not None else np.array(text.split()).astype(np.uint8)
        yield Sample(
            key=f"{row:05d}",
            image=pixels.reshape(SIDE_PX, SIDE_PX),
            label=canonical(CODES[code], "basic7"),
            source_label=CODES[code],
            split=USAGES[usage],
            where=where,
            facts={"votes": votes[row].tolist(), "votes_source": VOTES_SOURCE} if votes is not None else {},
        )


def _label_fault(code: bytes, usage: bytes) -> tuple[str, str] | None:
    """What was expected and what was found instead, or None where both are right."""
    if code not in CODES:
        return f"an emotion 0 to {len(CODES) - 1}", _shown(code)
    if usage not in USAGES:
        return f"a Usage {', '.join(map(bytes.decode, USAGES))}", _shown(usage)
    return None


def _pixel_fault(text: bytes) -> tuple[str, str] | None:
    numbers = text.split()
    if len(numbers) != PIXELS:
        return f"{PIXELS} pixels", f"{len(numbers)}"
    for position, number in enumerate(numbers):
        if not (number.isdigit() and len(number) <= 3 and int(number) <= 255):
            return "pixels 0 to 255", f"{_shown(number)} at pixel {position}"
    return None


def _shown(text: bytes) -> str:
    """Foreign text as a message may show it: short, on one line."""
    shown = repr(text[:40].decode("utf-8", "replace"))
    return shown if len(text) <= 40 else shown + "…"
