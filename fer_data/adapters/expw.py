"""ExpW, Expression in the Wild: web pictures with several faces each, `image/origin/*.jpg` and `label/label.lst`.

A line of the list is `image_name face_id_in_image face_box_top face_box_left face_box_right face_box_bottom
face_box_cofidence expression_label` (sic). Note the order: top, left, right, bottom. Columns, codes and counts are
those of the dataset's own readme, as rhkb.cn/news/38351.html quotes it and public loaders read it
(github.com/HazyResearch/meerkat `meerkat/datasets/expw/__init__.py`).

All faces of a picture carry its name as `sequence_id`: they must not be torn apart by a split.
"""

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fer_data.adapters.shared.counting import note_counts
from fer_data.adapters.shared.downloads import file_name, first_few, is_picture, note_passed_over, open_download
from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.licenses import Licence
from fer_data.samples import Reading, Rejection, Sample
from fer_data.sources import Source

NAME = "expw"
TITLE = "ExpW"
LICENCE = Licence(
    "not looked up",
    "pictures found by an image search; neither their owners nor the dataset's terms are known, so nothing is allowed",
)
CITATION = (
    "Zhang, Luo, Loy & Tang, From Facial Expression Recognition to Interpersonal Relation Prediction, IJCV 2018, "
    "arXiv:1609.06426"
)
HOMEPAGE = "http://mmlab.ie.cuhk.edu.hk/projects/socialrelation/index.html"
ACCESS = "http://mmlab.ie.cuhk.edu.hk/projects/socialrelation/index.html, download"
EXPECTED = MappingProxyType(
    {
        "total": 91_793,
        "anger": 3_671,
        "disgust": 3_995,
        "fear": 1_088,
        "happiness": 30_537,
        "sadness": 10_559,
        "surprise": 7_060,
        "neutral": 34_883,
    }
)
UNVERIFIED = ("The terms of use could not be looked up.",)
KNOWN_DEFECTS = (
    "Lines of label.lst occur twice; the second is dropped and counted.",
    "There is no official split; faces of one picture must stay on one side of a split.",
    "Faces are rotated and small at times, and boxes were found by a detector whose confidence is kept as the rating "
    "`face_box_confidence`.",
)
CODES = MappingProxyType(
    {
        "0": ("anger", "angry"),
        "1": ("disgust", "disgust"),
        "2": ("fear", "fear"),
        "3": ("happiness", "happy"),
        "4": ("sadness", "sad"),
        "5": ("surprise", "surprise"),
        "6": ("neutral", "neutral"),
    }
)
LIST = "label.lst"
_FIELDS = "8 fields: picture, face, top, left, right, bottom, confidence, label"


class Options(Configuration):
    """How to read an ExpW download: there is nothing to choose."""


def read(root: Path | None, options: Options, rejections: list[Rejection]) -> Reading:
    """Open a folder or archive with `label.lst` and the pictures that it names, in whatever folders they lie.

    Raises:
        FerError: no path, nothing there, no list or several.
    """
    source = open_download(root, TITLE, rejections)
    lists = [base + LIST for base in source.bases(LIST)]
    if len(lists) != 1:
        raise FerError(
            f"{root}: expected one {LIST} and the pictures that it names, found "
            f"{' and '.join(lists) or source.shown()}; give the folder or archive of {TITLE}"
        )
    lines = [line.strip() for line in source.text(lists[0]).splitlines()]
    rows: dict[str, int] = {}  # line → its first row
    for row, line in enumerate(lines):
        if line:
            rows.setdefault(line, row)
    notes: list[str] = []
    if repeated := len(lines) - lines.count("") - len(rows):
        notes.append(f"{repeated:,} lines repeat another line word by word and were dropped")
    others = [name for name in source.names if not is_picture(name) and name != lists[0]]
    note_passed_over(others, "files that are no pictures", notes)
    return Reading(
        form="pictures with boxes",
        label_set="basic7",
        total_images=len(rows),
        samples=_samples(source, lists[0], rows, notes, rejections),
        source=source,
        notes=notes,
    )


def _samples(
    source: Source, table: str, rows: dict[str, int], notes: list[str], rejections: list[Rejection]
) -> Iterator[Sample]:
    pictures = _pictures(source, rejections)
    unnamed = set(pictures.values())
    seen: set[str] = set()
    labels: Counter[str | None] = Counter()
    for line, row in rows.items():
        where = f"{source.where(table)} row {row}"
        fields = line.rsplit(maxsplit=7)
        fault, facts = _parse(fields)
        picture = pictures.get(fields[0])
        if fault is None and picture is None:
            fault = (f"the picture {fields[0][:60]!r}", "no such file")
        key = f"{picture}#{fields[1]}" if fault is None else ""
        if key in seen:
            fault = (f"face {fields[1]} of {fields[0]} once", "it again, with another box or label")
        if fault is not None:
            rejections.append(Rejection(where, *fault))
            continue
        seen.add(key)
        unnamed.discard(str(picture))
        label, word = CODES[fields[7]]
        labels[label] += 1
        facts["sequence_id"] = fields[0]
        yield Sample(key, None, label, word, None, f"{where}, {fields[0]}", facts, file=picture)
    for name in sorted(unnamed):
        rejections.append(Rejection(source.where(name), f"a good line in {LIST}", "none", "the picture was set aside"))
    note_counts(labels, EXPECTED, TITLE, notes)


def _pictures(source: Source, rejections: list[Rejection]) -> dict[str, str]:
    """File name → name in the source."""
    found: dict[str, str] = {}
    for name in source.names:
        if is_picture(name) and found.setdefault(file_name(name), name) != name:
            fault = ("every picture once", f"{file_name(name)} again, after {found[file_name(name)]}")
            rejections.append(Rejection(source.where(name), *fault, "the picture was set aside"))
    return found


def _parse(fields: list[str]) -> tuple[tuple[str, str] | None, dict[str, Any]]:
    """What is wrong with a line (expected, found), or None, and the facts that it states."""
    if len(fields) != 8:
        return (_FIELDS, f"{len(fields)}"), {}
    if fields[7] not in CODES:
        return (f"a label among {first_few(CODES, 7)}", repr(fields[7][:20])), {}
    try:
        face = int(fields[1])
        top, left, right, bottom = (float(int(edge)) for edge in fields[2:6])
        confidence = float(fields[6])
    except ValueError:
        return ("numbers for face, box and confidence", repr(" ".join(fields[1:7])[:60])), {}
    if face < 0 or not (left < right and top < bottom) or not math.isfinite(confidence):
        return ("a face number, a box top left right bottom, a confidence", repr(" ".join(fields[1:7])[:60])), {}
    return None, {"face_box": [left, top, right, bottom], "ratings": {"face_box_confidence": confidence}}
