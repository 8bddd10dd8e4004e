"""FERG-DB: six drawn characters, each rendered with seven expressions.

    FERG_DB_256/<character>/<character>_<expression>/<character>_<expression>_<number>.png

Layout as public loaders walk it (`data/FERG_DB_256/{name}/{name}_{emotion}/{name}_{emotion}_{number}.png`, an
auto-label-emotions project; `malcolm/malcolm_anger/malcolm_anger_1.png` in others); counts from the README that comes
with the data, quoted in BanuSelinTosun/TakeAPic, FERG_DB_256_binary/README.txt.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

from fer_data.adapters.shared.counting import compared
from fer_data.adapters.shared.downloads import note_passed_over, open_download
from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.expressions import canonical
from fer_data.licenses import Licence
from fer_data.samples import Reading, Rejection, Sample
from fer_data.sources import Source

NAME = "ferg"
TITLE = "FERG-DB"
LICENCE = Licence(
    "FERG-DB, by request",
    "given out by the authors through a form; what else may be done with it is not stated on the page",
    url="https://grail.cs.washington.edu/projects/deepexpr/ferg-2d-db.html",
)
CITATION = "Aneja et al., Modeling Stylized Character Expressions via Deep Learning, ACCV 2016"
HOMEPAGE = "https://grail.cs.washington.edu/projects/deepexpr/ferg-2d-db.html"
ACCESS = "fill out the form on the homepage"
EXPECTED = MappingProxyType({"total": 55_767})
UNVERIFIED = ("The terms that the form asks for are said to be non-commercial research only.",)
KNOWN_DEFECTS = (
    "Six drawn characters, not people: what is measured on them says little about people.",
    "Renderings of a few animations: neighbours are near duplicates, and only a split by character keeps them apart.",
    "The pictures are transparent around the head; what lies under the transparency is shown as it is stored.",
    "55,767 pictures by the README, 55,769 by later papers.",
)

CHARACTERS = ("aia", "bonnie", "jules", "malcolm", "mery", "ray")
EXPRESSIONS = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
_PICTURE = re.compile(
    rf"(?:.*/)?(?P<folder>{'|'.join(CHARACTERS)})/(?P<sub>[a-z]+_[a-z]+)/"
    rf"(?P<character>{'|'.join(CHARACTERS)})_(?P<expression>{'|'.join(EXPRESSIONS)})_\d+\.png",
    re.IGNORECASE,
)


class Options(Configuration):
    """FERG-DB has one form, and nothing to choose."""


def read(root: Path | None, options: Options, rejections: list[Rejection]) -> Reading:
    """Open a download.

    Raises:
        FerError: nothing there, or no character's folders.
    """
    source = open_download(root, TITLE, rejections)
    pictures = [name for name in source.names if name.lower().endswith(".png")]
    if not any(_PICTURE.fullmatch(name) for name in pictures):
        raise FerError(
            f"{root}: expected <character>/<character>_<expression>/*.png for {', '.join(CHARACTERS)}, "
            f"found {source.shown()}; give the folder FERG_DB_256 or its zip"
        )
    notes: list[str] = []
    note_passed_over(set(source.names) - set(pictures), "files that are no png pictures", notes)
    return Reading(
        form="FERG_DB_256",
        label_set="basic7",
        total_images=len(pictures),
        samples=compared(_samples(source, pictures, rejections, notes), EXPECTED, TITLE, notes),
        source=source,
        notes=notes,
    )


def _samples(source: Source, pictures: list[str], rejections: list[Rejection], notes: list[str]) -> Iterator[Sample]:
    characters: Counter[str] = Counter()
    for name in pictures:
        match = _PICTURE.fullmatch(name)
        found = (match["folder"], match["sub"]) if match else None
        if match is None or found != (match["character"], f"{match['character']}_{match['expression']}"):
            rejections.append(
                Rejection(
                    source.where(name),
                    "<character>/<character>_<expression>/<character>_<expression>_<number>.png",
                    "another path",
                    "the picture was set aside",
                )
            )
            continue
        character, expression = match["character"].lower(), match["expression"].lower()
        characters[character] += 1
        label = canonical(expression, "basic7")
        yield Sample(name, None, label, expression, None, source.where(name), {"subject_id": character})
    absent = [character for character in CHARACTERS if not characters[character]]
    if absent:
        notes.append(f"no pictures of {', '.join(absent)}")
