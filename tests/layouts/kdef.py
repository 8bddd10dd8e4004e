"""KDEF: two persons in both sessions, and what else lies in the download."""

from itertools import product
from pathlib import Path

from layouts.cases import Case
from layouts.faces import face, jpeg

# Written out here again, so that a table mixed up in the adapter is seen.
CODES = {
    "AF": "fear",
    "AN": "anger",
    "DI": "disgust",
    "HA": "happiness",
    "NE": "neutral",
    "SA": "sadness",
    "SU": "surprise",
}
PERSONS = ("F01", "M35")


def write(folder: Path) -> Path:
    """`KDEF/AF01/AF01ANS.JPG` and so on: 2 persons × 2 sessions × 7 expressions, seen from one angle each."""
    angles = ("FL", "HL", "S", "HR", "FR")
    root = folder / "KDEF_and_AKDEF"
    for row, (session, person, code) in enumerate(product("AB", PERSONS, CODES)):
        place = root / "KDEF" / f"{session}{person}"
        place.mkdir(parents=True, exist_ok=True)
        picture = jpeg(face(CODES[code], PERSONS.index(person), 24 + row, colour=True))
        (place / f"{session}{person}{code}{angles[row % 5]}.JPG").write_bytes(picture)
    (root / "AKDEF").mkdir()
    (root / "AKDEF" / "FAFS.JPG").write_bytes(jpeg(face("fear", 0, 24)))
    (root / "ReadMe.txt").write_text("The Karolinska Directed Emotional Faces\n")
    return folder


CASES = {"pictures": Case("kdef", write, 28, dict.fromkeys(CODES.values(), 4))}
