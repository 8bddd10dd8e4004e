"""RAF-DB as its authors give it: a list of labels, pictures, and text files of attributes beside them.

    EmoLabel/list_patition_label.txt                a line each: train_00001.jpg 5
    Image/aligned/train_00001_aligned.jpg           100 px faces
    Image/original/train_00001.jpg                  the web pictures
    Annotation/manual/train_00001_manu_attri.txt    five lines x y, then gender, race and age
    Annotation/boundingbox/train_00001_boundingbox.txt    left top right bottom

Landmarks and boxes are in pixels of the original picture: aligned faces are read without them. What is read beside
the list is found by its names, since copies nest or flatten the folders.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from fer_data.adapters.rafdb_labels import BASIC, COMPOUND, EXPECTED, EXPECTED_COMPOUND, FILE
from fer_data.adapters.shared.counting import compared
from fer_data.adapters.shared.downloads import file_name, first_few, is_picture
from fer_data.errors import FerError
from fer_data.samples import Reading, Rejection, Sample
from fer_data.sources import Source

LIST = "EmoLabel/list_patition_label.txt"
GENDERS = ("male", "female", "unsure")
RACES = ("Caucasian", "African-American", "Asian")
AGES = ("0-3", "4-19", "20-39", "40-69", "70+")
LANDMARKS = 5  # eyes from left to right in the picture, nose tip, mouth corners from left to right
LARGEST = 1_000_000  # no picture has so many pixels on a side
_MANUAL, _BOX = "_manu_attri.txt", "_boundingbox.txt"
_CODES: Mapping[str, Mapping[int, str]] = MappingProxyType({"basic": BASIC, "compound": COMPOUND})


@dataclass(frozen=True)
class _Line:
    """One good line of the list."""

    stem: str
    code: int
    split: str
    where: str


@dataclass(frozen=True)
class _Files:
    """Stem ("train_00001") → name within the source."""

    pictures: dict[str, str]
    manual: dict[str, str]
    boxes: dict[str, str]


def read(source: Source, subset: str, image: str, rejections: list[Rejection]) -> Reading:
    """Open the official layout.

    Args:
        subset: "basic" or "compound".
        image: "aligned" or "original".

    Raises:
        FerError: no list or several of this subset, the other subset, or no picture of the kind asked for.
    """
    base = _base(source, subset)
    notes: list[str] = []
    lines = _lines(source, base + LIST, _CODES[subset], rejections)
    _refuse_other_subset(source.where(base + LIST), subset, lines)
    files = _files(source, base, image == "aligned", rejections, notes)
    if not files.pictures:
        raise FerError(
            f"{source.path}: expected pictures train_00001{'_aligned' if image == 'aligned' else ''}.jpg under "
            f"{base}Image, found none; unpack Image/{image} or choose with --set image=…"
        )
    joined = _joined(lines, files, source, rejections)
    if image == "aligned" and (files.manual or files.boxes):
        notes.append("landmarks and boxes are about the original pictures; aligned faces are read without them")
    for kind, found in (("manual attributes", files.manual), ("face boxes", files.boxes)):
        without = [line.stem for line in joined if line.stem not in found]
        if without and (found or kind == "manual attributes"):
            notes.append(f"{len(without):,} pictures have no {kind} ({first_few(without)})")
    samples = (_sample(line, files, image == "original", _CODES[subset], source, rejections) for line in joined)
    expected = EXPECTED if subset == "basic" else EXPECTED_COMPOUND
    return Reading(
        form=f"official, {subset}, {image}",
        label_set="basic7" if subset == "basic" else "compound11",
        total_images=len(joined),
        samples=compared(samples, expected, f"RAF-DB {subset}", notes),
        source=source,
        notes=notes,
    )


def _base(source: Source, subset: str) -> str:
    """The folder that holds EmoLabel: the only one, or the one that is called as the subset is."""
    bases = source.bases(LIST)
    named = [base for base in bases if base.rstrip("/").rpartition("/")[2].lower() == subset]
    found = named or [base for base in bases if base.rstrip("/").rpartition("/")[2].lower() not in _CODES]
    if len(found) != 1:
        raise FerError(
            f"{source.path}: expected one {LIST} of the {subset} subset, found "
            f"{', '.join(base + LIST for base in bases)}; choose with --set subset=…, or give the folder of one"
        )
    return found[0]


def _refuse_other_subset(where: str, subset: str, lines: list[_Line]) -> None:
    """Compound lists go up to 11; one that ends at 7 is the basic list.

    Raises:
        FerError: the numbers are those of the other subset.
    """
    if subset == "compound" and lines and max(line.code for line in lines) <= len(BASIC):
        raise FerError(
            f"{where}: expected labels 1 to {len(COMPOUND)}, found none above {len(BASIC)}, which is the basic subset; "
            "leave out --set subset=compound, or give the folder of the compound subset"
        )


def _lines(source: Source, name: str, codes: Mapping[int, str], rejections: list[Rejection]) -> list[_Line]:
    lines: list[_Line] = []
    seen: dict[str, int] = {}
    texts = {str(code): code for code in codes}
    above = 0
    for number, text in enumerate(source.text(name).splitlines(), start=1):
        fields = text.split()
        if not fields:
            continue
        match = FILE.fullmatch(fields[0])
        if len(fields) != 2 or match is None or match["aligned"]:
            fault = ("a name as train_00001.jpg and a label", repr(text.strip()[:60]))
        elif fields[0] in seen:
            fault = (f"{fields[0]} once", f"it again, after line {seen[fields[0]]}")
        elif fields[1] not in texts:
            above += fields[1] in map(str, COMPOUND)
            fault = (f"a label 1 to {len(codes)}", repr(fields[1][:20]))
        else:
            seen[fields[0]] = number
            where = f"{source.where(name)} line {number}"
            lines.append(_Line(match["stem"], texts[fields[1]], match["split"].lower(), where))
            continue
        rejections.append(Rejection(f"{source.where(name)} line {number}", *fault, "the line was set aside"))
    if above * 10 > len(lines) + above:  # one stray number is a fault, a tenth of them is another list
        raise FerError(
            f"{source.where(name)}: expected labels 1 to {len(codes)}, found {above} lines with labels up to "
            f"{len(COMPOUND)}; this is the compound subset, import it with --set subset=compound"
        )
    return lines


def _files(source: Source, base: str, aligned: bool, rejections: list[Rejection], notes: list[str]) -> _Files:
    files = _Files({}, {}, {})
    others: list[str] = []
    for name in source.under(base):
        last = file_name(name)
        match = FILE.fullmatch(last)
        if last.endswith(_MANUAL):
            files.manual[last.removesuffix(_MANUAL)] = name
        elif last.endswith(_BOX):
            files.boxes[last.removesuffix(_BOX)] = name
        elif match is None or not is_picture(name) or bool(match["aligned"]) != aligned:
            others += [name] if name != base + LIST else []
        elif files.pictures.setdefault(match["stem"], name) != name:
            fault = (f"{last} once", f"it again, after {files.pictures[match['stem']]}")
            rejections.append(Rejection(source.where(name), *fault, "the picture was set aside"))
    if others:
        notes.append(f"{len(others):,} other files passed over (first: {others[0]})")
    return files


def _joined(lines: list[_Line], files: _Files, source: Source, rejections: list[Rejection]) -> list[_Line]:
    """The lines whose picture is there; lines without a picture and pictures without a line are rejected."""
    joined = []
    for line in lines:
        if line.stem in files.pictures:
            joined.append(line)
        else:
            rejections.append(Rejection(line.where, f"the picture of {line.stem}", "none", "the line was set aside"))
    listed = {line.stem for line in lines}
    rejections.extend(
        Rejection(source.where(name), "a line with its label", "none", "the picture was set aside")
        for stem, name in files.pictures.items()
        if stem not in listed
    )
    return joined


def _sample(
    line: _Line,
    files: _Files,
    original: bool,
    codes: Mapping[int, str],
    source: Source,
    rejections: list[Rejection],
) -> Sample:
    facts: dict[str, Any] = {}
    if line.stem in files.manual:
        attributes = _manual(source, files.manual[line.stem], rejections)
        if not original:
            attributes.pop("landmarks", None)
        facts.update(attributes)
    if original and line.stem in files.boxes:
        facts.update(_box(source, files.boxes[line.stem], rejections))
    name, label = files.pictures[line.stem], codes[line.code]
    return Sample(name, None, label, label, line.split, f"{line.where}, {source.where(name)}", facts)


def _manual(source: Source, name: str, rejections: list[Rejection]) -> dict[str, Any]:
    """Landmarks, gender, race and age; nothing where the file is faulty, which is rejected."""
    rows = _numbers(source, name, rejections)
    if rows is None:
        return {}
    points, attributes = rows[:LANDMARKS], rows[LANDMARKS:]
    tables = (GENDERS, RACES, AGES)
    if (
        len(attributes) == len(tables)
        and all(len(point) == 2 for point in points)
        and all(len(row) == 1 and row[0] in range(len(table)) for row, table in zip(attributes, tables, strict=True))
    ):
        words = [table[int(row[0])] for row, table in zip(attributes, tables, strict=True)]
        flat = [value for point in points for value in point]
        return {"landmarks": flat, **dict(zip(("gender", "race", "age"), words, strict=True))}
    expected = f"{LANDMARKS} lines x y, gender 0 to 2, race 0 to 2, age 0 to 4"
    rejections.append(Rejection(source.where(name), expected, _shown(rows), "its attributes were left out"))
    return {}


def _box(source: Source, name: str, rejections: list[Rejection]) -> dict[str, Any]:
    rows = _numbers(source, name, rejections)
    if rows is None:
        return {}
    edges = [value for row in rows for value in row]
    if len(edges) == 4 and edges[0] < edges[2] and edges[1] < edges[3]:
        return {"face_box": edges}
    rejections.append(Rejection(source.where(name), "left top right bottom", _shown(rows), "the box was left out"))
    return {}


def _numbers(source: Source, name: str, rejections: list[Rejection]) -> list[list[float]] | None:
    """The numbers of a text file, line by line without the blank ones; None where it has been rejected."""
    try:
        rows = [[float(field) for field in line.split()] for line in source.text(name).splitlines() if line.strip()]
    except (FerError, ValueError) as error:
        rejections.append(Rejection(source.where(name), "lines of numbers", str(error), "the file was set aside"))
        return None
    if all(abs(value) < LARGEST for row in rows for value in row):  # False for NaN
        return rows
    expected = f"numbers below {LARGEST:,}"
    rejections.append(Rejection(source.where(name), expected, _shown(rows), "the file was set aside"))
    return None


def _shown(rows: list[list[float]]) -> str:
    return "; ".join(" ".join(f"{value:g}" for value in row) for row in rows)[:80] or "an empty file"
