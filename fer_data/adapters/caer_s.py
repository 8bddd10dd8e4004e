"""CAER-S: whole frames of TV shows, `train|test/<class>/0001.png`.

The layout and the list of face boxes are those of github.com/larrylu0426/CAERS-Annotation, whose lines are
`test/Happy/0001.png,3,278,110,363,195`: picture, class number, left, top, right, bottom.
"""

from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

from fer_data.adapters.shared.downloads import is_picture, note_passed_over, open_download
from fer_data.adapters.shared.split_folders import Filed, filed, require
from fer_data.configuration import Configuration
from fer_data.downloads.opening import open_source
from fer_data.errors import FerError
from fer_data.licenses import Licence
from fer_data.samples import Reading, Rejection, Sample
from fer_data.sources import Source

NAME = "caer_s"
TITLE = "CAER-S"
LICENCE = Licence("not looked up", "frames of TV shows; no terms could be looked up, so nothing is allowed")
CITATION = "Lee, Kim, Kim, Park & Sohn, Context-Aware Emotion Recognition Networks, ICCV 2019"
HOMEPAGE = "https://caer-dataset.github.io/"
ACCESS = "https://caer-dataset.github.io/, download"
EXPECTED = None
UNVERIFIED = ("The exact counts of the official download could not be looked up: about 70,000 pictures.",)
KNOWN_DEFECTS = (
    "Whole frames: the face is a small part; face boxes come from the list that the option `boxes` names.",
    "Neighbouring frames of one shot are nearly the same picture, and the names do not tell the shots apart.",
    "That list, checked by hand, has 47,966 of the train and 20,868 of the test pictures: the others show no face, "
    "or none that could be told to be meant.",
    "There is no validation split.",
)
SPLITS = MappingProxyType({"train": "train", "test": "test"})
CLASSES = MappingProxyType(
    {
        "Anger": "anger",
        "Disgust": "disgust",
        "Fear": "fear",
        "Happy": "happiness",
        "Neutral": "neutral",
        "Sad": "sadness",
        "Surprise": "surprise",
    }
)
LISTS = ("train.txt", "test.txt")
_Boxes = dict[str, list[float]]


class Options(Configuration):
    """How to read a CAER-S download."""

    boxes: Path | None = None  # folder or archive with train.txt and test.txt of CAERS-Annotation: face boxes


def read(root: Path | None, options: Options, rejections: list[Rejection]) -> Reading:
    """Open a folder or archive of CAER-S.

    Raises:
        FerError: no path, nothing there, no pictures under train and test, or `boxes` without its lists.
    """
    source = open_download(root, TITLE, rejections)
    found = filed(source, is_picture, SPLITS, CLASSES, None, rejections)
    require(found, source, root, "train/Anger/0001.png", TITLE)
    notes: list[str] = []
    note_passed_over([name for name in source.names if not is_picture(name)], "files that are no pictures", notes)
    boxes = _read_boxes(options.boxes, rejections) if options.boxes else {}
    return Reading(
        form="pictures",
        label_set="basic7",
        total_images=len(found),
        samples=_samples(source, found, boxes, notes),
        source=source,
        notes=notes,
    )


def _samples(source: Source, found: list[Filed], boxes: _Boxes, notes: list[str]) -> Iterator[Sample]:
    used = 0
    for file in found:
        box = boxes.get("/".join(file.name.split("/")[-3:]))
        used += box is not None
        facts = {"face_box": box} if box else {}
        yield Sample(file.name, None, file.label, file.source_label, file.split, source.where(file.name), facts)
    if boxes and used < len(found):
        notes.append(f"{len(found) - used:,} pictures have no face box in the list")
    if used < len(boxes):
        notes.append(f"{len(boxes) - used:,} face boxes are of pictures that are not there")
    if not boxes:
        notes.append("whole frames without face boxes; give the lists of CAERS-Annotation with --set boxes=FOLDER")


def _read_boxes(path: Path, rejections: list[Rejection]) -> _Boxes:
    """`<split>/<class>/<file>` → left, top, right, bottom."""
    lists = open_source(path, rejections)
    tables = [base + name for name in LISTS for base in lists.bases(name)]
    if not tables:
        raise FerError(f"{path}: expected {' and '.join(LISTS)} with face boxes, found {lists.shown()}; check boxes")
    boxes: _Boxes = {}
    for table in tables:
        for row, line in enumerate(lists.table(table)):
            fault, box = _parse_box(line)
            if fault is None and line[0] in boxes:
                fault = ("a picture once", f"{line[0]} again")
            if fault is None:
                boxes[line[0]] = box
            else:
                rejections.append(Rejection(f"{lists.where(table)} row {row}", *fault, "the face box was left out"))
    return boxes


def _parse_box(line: list[str]) -> tuple[tuple[str, str] | None, list[float]]:
    """What is wrong with a line of the list (expected, found), or None, and its box."""
    shown = repr(",".join(line)[:60])
    if len(line) != 6:
        return ("6 fields: picture, class, left, top, right, bottom", shown), []
    try:
        left, top, right, bottom = (float(int(edge)) for edge in line[2:])
    except ValueError:
        return ("a box of whole pixels", shown), []
    if not (left < right and top < bottom):
        return ("a box left, top, right, bottom", shown), []
    return None, [left, top, right, bottom]
