"""CMU Multi-PIE: `session01/multiview/001/01/05_1/001_01_01_051_07.png`, everything told by the name.

    001 person · 01 session · 01 recording · 051 camera · 07 flash

The names, the table of expressions by session and recording, the frontal and side cameras, and the columns of
`meta/subject_list.txt` are those of github.com/bioidiap/bob.db.multipie `bob/db/multipie/create.py`; the angles of the
cameras are those that public loaders of pose-invariant recognition agree on.
"""

import re
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fer_data.adapters.shared.counting import compared
from fer_data.adapters.shared.downloads import file_name, is_picture, note_passed_over, open_download
from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.licenses import Licence
from fer_data.samples import Reading, Rejection, Sample
from fer_data.sources import Source

NAME = "multi_pie"
TITLE = "CMU Multi-PIE"
LICENCE = Licence(
    "Multi-PIE licence", "licensed by Carnegie Mellon University; terms not looked up, so nothing is allowed"
)
CITATION = "Gross, Matthews, Cohn, Kanade & Baker, Multi-PIE, Image and Vision Computing 28(5), 2010"
HOMEPAGE = "http://www.multipie.org/"
ACCESS = "Carnegie Mellon University, Center for Technology Transfer and Enterprise Creation"
EXPECTED = MappingProxyType({"total": 755_370})
UNVERIFIED = (
    "The exact number of pictures is from memory; published is more than 750,000 of 337 people.",
    "Where each flash stands, but for the frontal one (07), could not be looked up: those pictures have no light.",
    "That flash 19 is a second picture without flash is from memory.",
)
KNOWN_DEFECTS = (
    "Squint and scream are no expression of the label set; such pictures have no label and keep the word.",
    "Twenty flashes and fifteen cameras show one instant: a split by picture leaks; split by person.",
    "High-resolution pictures (folder highres) are passed over.",
)
# (session, recording) → the dataset's word. Session 4 has two neutral recordings.
EXPRESSIONS = MappingProxyType(
    {
        ("01", "01"): "neutral",
        ("01", "02"): "smile",
        ("02", "01"): "neutral",
        ("02", "02"): "surprise",
        ("02", "03"): "squint",
        ("03", "01"): "neutral",
        ("03", "02"): "smile",
        ("03", "03"): "disgust",
        ("04", "01"): "neutral",
        ("04", "02"): "neutral",
        ("04", "03"): "scream",
    }
)
LABELS = MappingProxyType({"neutral": "neutral", "smile": "happiness", "surprise": "surprise", "disgust": "disgust"})
# Camera → how the face is seen, in degrees of yaw; 240 is the right profile.
CAMERAS = MappingProxyType(
    {
        "110": "yaw -90",
        "120": "yaw -75",
        "090": "yaw -60",
        "080": "yaw -45",
        "130": "yaw -30",
        "140": "yaw -15",
        "051": "frontal",
        "050": "yaw +15",
        "041": "yaw +30",
        "190": "yaw +45",
        "200": "yaw +60",
        "010": "yaw +75",
        "240": "yaw +90",
        "081": "from above, left",
        "191": "from above, right",
    }
)
LIGHTS = MappingProxyType({"00": "normal", "19": "normal", "07": "normal"})  # no flash, no flash, frontal flash
_FILE = re.compile(r"(?P<person>\d{3})_(?P<session>\d\d)_(?P<recording>\d\d)_(?P<camera>\d{3})_(?P<flash>\d\d)\.\w+")
_SUBJECTS = "subject_list.txt"
_ASIDE = "the picture was set aside"


class Options(Configuration):
    """How to read a Multi-PIE download: there is nothing to choose."""


def read(root: Path | None, options: Options, rejections: list[Rejection]) -> Reading:
    """Open a folder or archive of Multi-PIE.

    Raises:
        FerError: no path, nothing there, or no picture with a name of Multi-PIE's.
    """
    source = open_download(root, TITLE, rejections)
    pictures = [name for name in source.names if is_picture(name)]
    named = {name: match for name in pictures if (match := _FILE.fullmatch(file_name(name)))}
    if not named:
        raise FerError(
            f"{root}: expected pictures named as 001_01_01_051_07.png, found {source.shown()}; give the folder or "
            f"archive of {TITLE}"
        )
    high = {name for name in pictures if name not in named and "highres" in name.split("/")[:-1]}
    for name in pictures:
        if name not in named and name not in high:
            fault = ("a name as 001_01_01_051_07.png", "another")
            rejections.append(Rejection(source.where(name), *fault, _ASIDE))
    notes: list[str] = []
    note_passed_over(high, "pictures of high resolution", notes)
    good = _good(source, named, rejections)
    genders = _genders(source, rejections)
    note_passed_over(_others(source, pictures), "files that are no pictures", notes)
    return Reading(
        form="pictures",
        label_set="basic7",
        total_images=len(good),
        samples=compared((_sample(source, *item, genders) for item in good.items()), EXPECTED, TITLE, notes),
        source=source,
        notes=notes,
    )


def _others(source: Source, pictures: list[str]) -> set[str]:
    return {name for name in source.names if file_name(name) != _SUBJECTS} - set(pictures)


def _good(source: Source, named: dict[str, "re.Match[str]"], rejections: list[Rejection]) -> dict[str, "re.Match[str]"]:
    """The pictures whose codes are known, each once."""
    first: dict[str, str] = {}
    good = {}
    for name, match in named.items():
        fault = _fault(name, match)
        code = match[0].rpartition(".")[0]
        if fault is None and first.setdefault(code, name) != name:
            fault = (f"{code} once", f"it again, after {first[code]}")
        if fault is None:
            good[name] = match
        else:
            rejections.append(Rejection(source.where(name), *fault, _ASIDE))
    return good


def _fault(name: str, match: "re.Match[str]") -> tuple[str, str] | None:
    """What is wrong with a name (expected, found), or None."""
    if (match["session"], match["recording"]) not in EXPRESSIONS:
        return "a recording that its session has", f"session {match['session']}, recording {match['recording']}"
    if match["camera"] not in CAMERAS:
        return f"a camera among {', '.join(CAMERAS)}", match["camera"]
    if int(match["flash"]) > 19:
        return "a flash 00 to 19", match["flash"]
    folder = next((part for part in name.split("/")[:-1] if re.fullmatch(r"session\d\d", part)), None)
    if folder is not None and folder != f"session{match['session']}":
        return f"the folder session{match['session']} above it", folder
    return None


def _sample(source: Source, name: str, match: "re.Match[str]", genders: dict[str, str]) -> Sample:
    word = EXPRESSIONS[match["session"], match["recording"]]
    facts: dict[str, Any] = {
        "subject_id": match["person"],
        "sequence_id": f"{match['person']}_{match['session']}_{match['recording']}",
        "pose": CAMERAS[match["camera"]],
        "condition_source": "dataset",
    }
    if match["flash"] in LIGHTS:
        facts["light"] = LIGHTS[match["flash"]]
    if match["person"] in genders:
        facts["gender"] = genders[match["person"]]
    return Sample(name, None, LABELS.get(word), word, None, source.where(name), facts)


def _genders(source: Source, rejections: list[Rejection]) -> dict[str, str]:
    """Person → gender, of `subject_list.txt`: number, year of birth, Male or Female, and 1 for each session seen."""
    genders: dict[str, str] = {}
    for base in source.bases(_SUBJECTS):
        for row, line in enumerate(source.text(base + _SUBJECTS).splitlines()):
            fields = line.split()
            if not fields:
                continue
            if len(fields) == 7 and fields[0].isdecimal() and fields[2].lower() in ("male", "female"):
                genders[f"{int(fields[0]):03d}"] = fields[2].lower()
                continue
            fault = ("number, birth year, Male or Female, four sessions", repr(line[:60]))
            rejections.append(Rejection(f"{source.where(base + _SUBJECTS)} row {row}", *fault))
    return genders
