"""BU-3DFE: `F0001/F0001_AN01WH_F2D.bmp`, the frontal pictures of its 3D scans, everything told by the name.

    F0001 person, F or M · AN expression · 01 intensity 1-4, 00 for neutral · WH ancestry

Names as public readers have them. Of the other files of a scan, `_F3D.bmp` is the texture of its surface, two side
views of the face in one picture; `_RAW_84_LMS.txt` has 84 landmarks in the scan's three dimensions, which are no pixels
(github.com/RasmusRPaulsen/Deep-MVLM `test.py`, `read_3d_landmarks`); `.wrl` files are surfaces.
"""

import re
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from fer_data.adapters.shared.counting import compared
from fer_data.adapters.shared.downloads import file_name, is_picture, note_passed_over, open_download
from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.licenses import Licence
from fer_data.samples import Reading, Rejection, Sample
from fer_data.sources import Source

NAME = "bu3dfe"
TITLE = "BU-3DFE"
LICENCE = Licence(
    "BU-3DFE agreement", "for research, after signing an agreement; terms not looked up, so nothing is allowed"
)
CITATION = "Yin, Wei, Sun, Wang & Rosato, A 3D Facial Expression Database for Facial Behavior Research, FG 2006"
HOMEPAGE = "https://www.cs.binghamton.edu/~lijun/Research/3DFE/3DFE_Analysis.html"
ACCESS = "https://www.cs.binghamton.edu/~lijun/Research/3DFE/3DFE_Analysis.html, after signing an agreement"
EXPECTED = MappingProxyType({"total": 2_500})  # of each kind: 100 people, 25 scans
UNVERIFIED = (
    "What the two letters of ancestry stand for is from memory; letters that are not in the table are kept as such.",
)
KNOWN_DEFECTS = (
    "Expressions are posed, at four intensities.",
    "Only neutral has one scan a person, every other expression four.",
    "Landmarks are of the scans, in three dimensions, and are not imported.",
)
EXPRESSIONS = MappingProxyType(
    {
        "AN": "anger",
        "DI": "disgust",
        "FE": "fear",
        "HA": "happiness",
        "NE": "neutral",
        "SA": "sadness",
        "SU": "surprise",
    }
)
ANCESTRY = MappingProxyType(
    {
        "WH": "White",
        "BL": "Black",
        "AE": "East Asian",
        "AM": "Middle East Asian",
        "LA": "Latino",
        "IN": "Indian",
    }
)
GENDERS = MappingProxyType({"F": "female", "M": "male"})
KINDS = MappingProxyType({"F2D": "frontal", "F3D": "texture"})
_FILE = re.compile(
    r"(?P<person>[FM]\d{4})_(?P<expression>[A-Z]{2})(?P<intensity>\d\d)(?P<ancestry>[A-Z]{2})_(?P<kind>F2D|F3D)\.bmp",
    re.IGNORECASE,
)
_SCAN = re.compile(r"[FM]\d{4}_[A-Z]{2}\d\d[A-Z]{2}_\w+\.(wrl|txt|pse|bnd|bndplus)", re.IGNORECASE)
_ASIDE = "the picture was set aside"


class Options(Configuration):
    """How to read a BU-3DFE download."""

    pictures: Literal["frontal", "texture", "both"] = "frontal"  # F2D, or the two side views of F3D


def read(root: Path | None, options: Options, rejections: list[Rejection]) -> Reading:
    """Open a folder or archive of BU-3DFE.

    Raises:
        FerError: no path, nothing there, or no pictures of the kind that was chosen.
    """
    source = open_download(root, TITLE, rejections)
    pictures = [name for name in source.names if is_picture(name)]
    named = {name: match for name in pictures if (match := _FILE.fullmatch(file_name(name)))}
    chosen = {
        name: match for name, match in named.items() if options.pictures in ("both", KINDS[match["kind"].upper()])
    }
    if not chosen:
        kinds = ", ".join(sorted({KINDS[match["kind"].upper()] for match in named.values()})) or source.shown()
        raise FerError(
            f"{root}: expected {options.pictures} pictures named as F0001_AN01WH_F2D.bmp (frontal) or …_F3D.bmp "
            f"(texture), found {kinds}; choose with pictures=…, or give the folder or archive of {TITLE}"
        )
    for name in pictures:
        if name not in named:
            rejections.append(Rejection(source.where(name), "a name as F0001_AN01WH_F2D.bmp", "another", _ASIDE))
    good = _good(source, chosen, rejections)
    notes: list[str] = []
    note_passed_over(named.keys() - chosen.keys(), "pictures of the kind that was not chosen", notes)
    others = {name for name in source.names if name not in named} - set(pictures)
    scans = {name for name in others if _SCAN.fullmatch(file_name(name))}
    note_passed_over(scans, "files of 3D scans (surfaces, landmarks in three dimensions)", notes)
    note_passed_over(others - scans, "files that are no pictures", notes)
    expected = {"total": EXPECTED["total"] * (2 if options.pictures == "both" else 1)}
    return Reading(
        form=f"{options.pictures} pictures",
        label_set="basic7",
        total_images=len(good),
        samples=compared((_sample(source, *item) for item in good.items()), expected, TITLE, notes),
        source=source,
        notes=notes,
    )


def _good(
    source: Source, chosen: dict[str, "re.Match[str]"], rejections: list[Rejection]
) -> dict[str, "re.Match[str]"]:
    """The pictures whose codes are known, each once."""
    first: dict[str, str] = {}
    good = {}
    for name, match in chosen.items():
        code = file_name(name).upper()
        fault = _fault(match)
        if fault is None and first.setdefault(code, name) != name:
            fault = (f"{code} once", f"it again, after {first[code]}")
        if fault is None:
            good[name] = match
        else:
            rejections.append(Rejection(source.where(name), *fault, _ASIDE))
    return good


def _fault(match: "re.Match[str]") -> tuple[str, str] | None:
    expression, intensity = match["expression"].upper(), match["intensity"]
    if expression not in EXPRESSIONS:
        return f"an expression among {', '.join(EXPRESSIONS)}", expression
    if intensity not in (("00",) if expression == "NE" else ("01", "02", "03", "04")):
        return "intensity 01 to 04, or 00 for neutral", f"{expression}{intensity}"
    return None


def _sample(source: Source, name: str, match: "re.Match[str]") -> Sample:
    person, ancestry = match["person"].upper(), match["ancestry"].upper()
    facts = {
        "subject_id": person,
        "gender": GENDERS[person[0]],
        "race": ANCESTRY.get(ancestry, ancestry),
        "ratings": {"intensity": float(match["intensity"])},
    }
    if match["kind"].upper() == "F2D":
        facts |= {"pose": "frontal", "condition_source": "dataset"}
    word = match["expression"].upper()
    return Sample(name, None, EXPRESSIONS[word], word, None, source.where(name), facts)
