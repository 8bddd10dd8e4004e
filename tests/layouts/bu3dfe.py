"""BU-3DFE: two people, three scans of some expressions, with textures, surfaces and landmarks of the scans."""

from pathlib import Path

from layouts.cases import Case
from layouts.faces import encoded, face

# Written out here again, so that a table mixed up in the adapter is seen.
EXPRESSIONS = {
    "AN": "anger",
    "DI": "disgust",
    "FE": "fear",
    "HA": "happiness",
    "NE": "neutral",
    "SA": "sadness",
    "SU": "surprise",
}
PERSONS = {"F0001": "WH", "M0044": "AE"}


def write(folder: Path) -> Path:
    """One scan of each expression; intensity 1 to 4 in turn, 0 for neutral."""
    for person, ancestry in PERSONS.items():
        place = folder / "BU_3DFE" / person
        place.mkdir(parents=True)
        for row, (code, label) in enumerate(EXPRESSIONS.items()):
            intensity = 0 if code == "NE" else 1 + row % 4
            stem = f"{person}_{code}{intensity:02d}{ancestry}"
            pixels = face(label, row + (person == "M0044") * 20, 24, colour=True)
            (place / f"{stem}_F2D.bmp").write_bytes(encoded(pixels, "BMP"))
            (place / f"{stem}_F3D.bmp").write_bytes(encoded(pixels[:, ::-1].copy(), "BMP"))
            (place / f"{stem}_F3D.wrl").write_text("#VRML V2.0 utf8\n")
            (place / f"{stem}_RAW.wrl").write_text("#VRML V2.0 utf8\n")
            (place / f"{stem}_RAW_84_LMS.txt").write_text("1.0 -2.5 80.25\n" * 84)
    return folder


CASES = {
    "frontal": Case("bu3dfe", write, 14, dict.fromkeys(EXPRESSIONS.values(), 2)),
    "textures": Case(
        "bu3dfe", write, 14, dict.fromkeys(EXPRESSIONS.values(), 2), lambda folder: {"pictures": "texture"}
    ),
    "both": Case("bu3dfe", write, 28, dict.fromkeys(EXPRESSIONS.values(), 4), lambda folder: {"pictures": "both"}),
}
