"""KDEF, the Karolinska Directed Emotional Faces: `AF01/AF01ANS.JPG`, everything told by the name.

    A|B session · F|M sex · 01-35 person · expression · FL|HL|S|HR|FR angle

The codes are those of "About KDEF" on kdef.se. Both sessions of a person carry one subject id.
"""

import re
from pathlib import Path
from types import MappingProxyType

from fer_data.adapters.shared.counting import compared
from fer_data.adapters.shared.downloads import file_name, is_picture, note_passed_over, open_download
from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.licenses import Licence
from fer_data.samples import Reading, Rejection, Sample
from fer_data.sources import Source

NAME = "kdef"
TITLE = "KDEF"
LICENCE = Licence(
    "KDEF terms of use",
    "for researchers and non-commercial purposes only; never redistributed in any form without written consent",
    url="https://kdef.se/",
)
CITATION = (
    "Lundqvist, Flykt & Öhman, The Karolinska Directed Emotional Faces - KDEF, CD ROM from Department of Clinical "
    "Neuroscience, Psychology section, Karolinska Institutet, 1998, ISBN 91-630-7164-9"
)
HOMEPAGE = "https://kdef.se/"
ACCESS = "https://kdef.se/, for researchers"
EXPECTED = MappingProxyType({"total": 4_900})
UNVERIFIED = ()
KNOWN_DEFECTS = (
    "Two pictures of the download carry names that tell neither expression nor angle, AF31V.JPG and AM31H.JPG; they "
    "are set aside. Public readers take them for AF31SAHL and AM31SUHR, the names that are missing: rename them if "
    "your copy misses those too.",
    "Every person was photographed twice (sessions A and B): a split by picture or by session leaks persons.",
    "Expressions are posed by amateur actors of 20 to 30 years, without glasses, beards or earrings.",
)
LABEL_SET = "basic7"
# https://www.kdef.se/home/aboutKDEF.html, "Codes".
EXPRESSIONS = MappingProxyType(
    {
        "AF": ("fear", "afraid"),
        "AN": ("anger", "angry"),
        "DI": ("disgust", "disgusted"),
        "HA": ("happiness", "happy"),
        "NE": ("neutral", "neutral"),
        "SA": ("sadness", "sad"),
        "SU": ("surprise", "surprised"),
    }
)
ANGLES = MappingProxyType(
    {
        "FL": "full left profile",
        "HL": "half left profile",
        "S": "straight",
        "HR": "half right profile",
        "FR": "full right profile",
    }
)
GENDERS = MappingProxyType({"F": "female", "M": "male"})
AGE = "20-30"  # of all persons, by selection
_SHOWN = f"(?P<expression>{'|'.join(EXPRESSIONS)})(?P<angle>{'|'.join(ANGLES)})"
_FILE = re.compile(rf"(?P<session>[AB])(?P<person>[FM](0[1-9]|[12]\d|3[0-5])){_SHOWN}\.[a-z]+", re.IGNORECASE)
_AVERAGED = re.compile(rf"[FM]{_SHOWN}\.[a-z]+", re.IGNORECASE)  # AKDEF: the mean of many persons


class Options(Configuration):
    """How to read a KDEF download: there is nothing to choose."""


def read(root: Path | None, options: Options, rejections: list[Rejection]) -> Reading:
    """Open a folder or archive of KDEF's pictures, in whatever folders they lie.

    Raises:
        FerError: no path, nothing there, or no picture with a name of KDEF's.
    """
    source = open_download(root, TITLE, rejections)
    pictures = [name for name in source.names if is_picture(name)]
    averaged = {name for name in pictures if _AVERAGED.fullmatch(file_name(name))}
    found = {name: match for name in pictures if (match := _FILE.fullmatch(file_name(name)))}
    if not found:
        raise FerError(
            f"{root}: expected pictures named as AF01ANS.JPG, found {source.shown()}; "
            f"give the folder or archive of {TITLE}"
        )
    strange = [name for name in pictures if name not in found and name not in averaged]
    rejections.extend(
        Rejection(source.where(name), "a name as AF01ANS.JPG", "one that tells no person, expression and angle", _ASIDE)
        for name in strange
    )
    once = _once(found, source, rejections)
    notes: list[str] = []
    note_passed_over(averaged, "averaged faces (AKDEF)", notes)
    note_passed_over(set(source.names) - set(pictures), "files that are no pictures", notes)
    samples = (_sample(name, match, source) for name, match in once.items())
    return Reading(
        form="pictures",
        label_set=LABEL_SET,
        total_images=len(once),
        samples=compared(samples, EXPECTED, TITLE, notes),
        source=source,
        notes=notes,
    )


_ASIDE = "the picture was set aside"


def _once(found: dict[str, "re.Match[str]"], source: Source, rejections: list[Rejection]) -> dict[str, "re.Match[str]"]:
    """The first picture of each code; a second one is another copy in the same download."""
    first: dict[str, str] = {}
    for name in found:
        code = file_name(name).rpartition(".")[0].upper()
        if first.setdefault(code, name) != name:
            rejections.append(Rejection(source.where(name), f"{code} once", f"it again, after {first[code]}", _ASIDE))
    return {name: found[name] for name in first.values()}


def _sample(name: str, match: "re.Match[str]", source: Source) -> Sample:
    label, word = EXPRESSIONS[match["expression"].upper()]
    person = match["person"].upper()
    facts = {
        "subject_id": person,
        "gender": GENDERS[person[0]],
        "age": AGE,
        "pose": ANGLES[match["angle"].upper()],
        "condition_source": "dataset",
    }
    return Sample(name, None, label, word, None, source.where(name), facts)
