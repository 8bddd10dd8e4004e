"""FER-2013's csv forms, `fer2013.csv` and `icml_face_data.csv`, and the FER+ votes that join them by row.

The file has 300 MB of decimal numbers. Lines are parsed in blocks by whole-array operations that accept only
what is certainly right; a block with a fault in it is read again row by row, to say what the fault is.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_data.downloads.opening import single_file
from fer_data.errors import FerError
from fer_data.expressions import canonical
from fer_data.parallel import batched, ordered_map
from fer_data.samples import Reading, Rejection, Sample
from fer_data.sources import Source
from fer_data.votes import FERPLUS_COLUMNS

FILE_NAMES = ("fer2013.csv", "icml_face_data.csv")
VOTES_NAME = "fer2013new.csv"
SIDE_PX = 48
PIXELS = SIDE_PX * SIDE_PX
# The csv's own codes 0..6. Class folders and mirrors number the same names alphabetically.
CODES = {str(code).encode(): name for code, name in enumerate(
    ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
)}  # fmt: skip
_LABELS = {code: canonical(name, "basic7") for code, name in CODES.items()}
USAGES = {b"Training": "train", b"PublicTest": "val", b"PrivateTest": "test"}
VOTES_SOURCE = f"FER+ {VOTES_NAME}"
_COLUMNS = (b"emotion", b"pixels", b"Usage")
_LONGEST_LINE = 1 << 20
_BLOCK = 64  # rows that one thread parses at a time: their bytes stay in the cache


def read(source: Source, name: str, votes_path: Path | None, rejections: list[Rejection]) -> Reading:
    """Open a csv.

    Keys are row numbers that count data rows from 0, the same in both files of the dataset.

    Args:
        name: of the csv within the source.
        votes_path: FER+'s file of votes; None for none.

    Raises:
        FerError: empty file, wrong header, votes that do not fit.
    """
    if votes_path is None:
        return _read(source, name, None, rejections)
    return _read(source, name, (single_file(votes_path), votes_path.name), rejections)


def read_joined(source: Source, name: str, rejections: list[Rejection]) -> Reading:
    """Open a csv with the file of votes beside it, if there is one."""
    return _read(source, name, _votes_beside(source, name), rejections)


def _read(source: Source, name: str, voted: tuple[Source, str] | None, rejections: list[Rejection]) -> Reading:
    header = _read_header(source, name)
    usages, ends_with_newline = _survey(source, name, header)
    notes = []
    votes = None
    if voted is not None:
        votes = read_votes(*voted, usages, name.rpartition("/")[2])
        odd = np.flatnonzero(votes.sum(axis=1) != 10)
        if len(odd):
            notes.append(f"{len(odd)} rows of {voted[1]} have other than 10 votes (first: row {odd[0]})")
    elif beside := _votes_beside(source, name):
        path = beside[0].path / beside[1] if beside[0].path.is_dir() else beside[1]
        notes.append(f"FER+ votes lie beside the csv; add --votes {path} to use them")
    if header[-1] == b"pixels" and not ends_with_newline:
        notes.append(f"{source.where(name)} ends without a line end: its last pixel may be cut short")
    return Reading(
        form="icml csv" if header[-1] == b"pixels" else "csv",
        label_set="basic7",
        total_images=len(usages),
        samples=_samples(source, name, header, votes, rejections),
        votes_labels=FERPLUS_COLUMNS if votes is not None else (),
        notes=notes,
    )


def _votes_beside(source: Source, name: str) -> tuple[Source, str] | None:
    folder = name.rpartition("/")[0]
    beside = f"{folder}/{VOTES_NAME}" if folder else VOTES_NAME
    if beside in source.names:
        return source, beside
    if source.path.is_dir() and (source.path / beside).is_file():  # the csv itself was given
        return single_file(source.path / beside), VOTES_NAME
    return None


def parse_pixels(fields: list[bytes]) -> NDArray[np.uint8] | None:
    """Parse rows of decimal pixels, strictly: single spaces, one to three digits, at most 255.

    Args:
        fields: N rows of `PIXELS` numbers.

    Returns:
        uint8 [N, PIXELS], or None where any of the rows is anything else.
    """
    text = np.frombuffer(b"  " + b" ".join(fields) + b" ", dtype=np.uint8)  # padded: numbers look back two places
    space = text == ord(" ")
    digits = text - np.uint8(ord("0"))  # what is no digit wraps round to 10 or more
    if np.count_nonzero(digits > 9) != np.count_nonzero(space):
        return None
    filled = ~space
    digits *= filled
    four = filled[1:] & filled[:-1]
    if (space[2:] & space[1:-1]).any() or (four[2:] & four[:-2]).any():
        return None
    start = 2
    for field in fields:
        if np.count_nonzero(space[start : start + len(field) + 1]) != PIXELS:
            return None
        start += len(field) + 1
    # At every place the number that ends there; it is taken where a space follows.
    numbers = (digits[:-3] * filled[1:-2]).astype(np.uint16)
    numbers *= 100
    numbers += digits[1:-2] * np.uint8(10) + digits[2:-1]
    values = numbers[space[3:]]
    return values.astype(np.uint8).reshape(-1, PIXELS) if values.max() <= 255 else None


def read_votes(source: Source, name: str, usages: list[bytes | None], csv_name: str) -> NDArray[np.int32]:
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
    path = source.where(name)
    rows = source.table(name)
    header = [column.strip() for column in rows[0]] if rows else []
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
    votes = []
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
        votes.append(counts)
    return np.array(votes, dtype=np.int32).reshape(-1, len(FERPLUS_COLUMNS))


def parse_counts(fields: list[str]) -> list[int] | None:
    """Ten vote counts of at most three digits, or None where the fields are anything else."""
    counts = [field.strip() for field in fields]
    digits = "".join(counts)
    lengths = set(map(len, counts))
    whole = len(counts) == len(FERPLUS_COLUMNS) and lengths <= {1, 2, 3} and digits.isascii() and digits.isdigit()
    return [int(count) for count in counts] if whole else None


def _read_header(source: Source, name: str) -> list[bytes]:
    with source.stream(name) as handle:
        first = handle.readline(200)
    header = [column.strip(b'" \r\n') for column in first.removeprefix(b"\xef\xbb\xbf").split(b",")]
    if sorted(header) != sorted(_COLUMNS):
        raise FerError(
            f"{source.where(name)}: expected the header emotion,pixels,Usage (in any order), "
            f"found {_shown(first.rstrip()) if first else 'an empty file'}; give fer2013.csv or icml_face_data.csv"
        )
    return header


def _rows(source: Source, name: str) -> Iterator[tuple[int, int, bytes]]:
    """Row number from 0, line number from 1, and text of every row that is not blank."""
    row = 0
    for number, line in enumerate(source.lines(name, _LONGEST_LINE), 1):
        if number > 1 and not line.isspace():
            yield row, number, line
            row += 1


def _survey(source: Source, name: str, header: list[bytes]) -> tuple[list[bytes | None], bool]:
    """The Usage of every row (None where it is none), and whether the file ends with a line end."""
    usages: list[bytes | None] = []
    place = header.index(b"Usage")
    line = b"\n"
    last = place == len(header) - 1
    for _, _, line in _rows(source, name):
        fields = line.rsplit(b",", 1) if last else line.split(b",", place + 1)
        usage = _bare(fields[-1] if last else fields[min(place, len(fields) - 1)])
        usages.append(usage if usage in USAGES else None)
    return usages, line.endswith(b"\n")


def _bare(field: bytes) -> bytes:
    return field.strip(b'" \r\n')


def _samples(
    source: Source, name: str, header: list[bytes], votes: NDArray[np.int32] | None, rejections: list[Rejection]
) -> Iterator[Sample]:
    file = name.rpartition("/")[2]

    def parse(block: list[tuple[int, int, bytes]]) -> tuple[list[Sample], list[Rejection]]:
        return _parse_block(block, file, header, votes)

    for samples, faulty in ordered_map(parse, batched(_rows(source, name), _BLOCK)):
        rejections += faulty
        yield from samples


def _parse_block(
    block: list[tuple[int, int, bytes]], name: str, header: list[bytes], votes: NDArray[np.int32] | None
) -> tuple[list[Sample], list[Rejection]]:
    """The samples of some rows, and what is wrong with the others."""
    samples, rejections = [], []
    places = [header.index(column) for column in _COLUMNS]
    rows: list[tuple[int, str]] = []
    fields: list[list[bytes]] = []  # emotion, pixels, Usage
    for row, number, line in block:
        where = f"{name} row {row} (line {number})"
        found = line.split(b",")
        if len(found) == len(header):
            rows.append((row, where))
            fields.append([_bare(found[place]) for place in places])
        else:
            told = f"{len(found)}: {_shown(line.strip())}"
            rejections.append(Rejection(where, "3 fields, emotion,pixels,Usage", told))
    together = parse_pixels([text for _, text, _ in fields]) if fields else None
    for index, ((row, where), (code, text, usage)) in enumerate(zip(rows, fields, strict=True)):
        fault = _label_fault(code, usage) or (_pixel_fault(text) if together is None else None)
        if fault is not None:
            rejections.append(Rejection(where, *fault))
            continue
        pixels = together[index] if together is not None else np.array(text.split()).astype(np.uint8)
        samples.append(
            Sample(
                key=f"{row:05d}",
                image=pixels.reshape(SIDE_PX, SIDE_PX),
                label=_LABELS[code],
                source_label=CODES[code],
                split=USAGES[usage],
                where=where,
                facts={"votes": votes[row].tolist(), "votes_source": VOTES_SOURCE} if votes is not None else {},
            )
        )
    return samples, rejections


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
