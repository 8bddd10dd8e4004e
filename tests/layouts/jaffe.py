"""JAFFE: a few of its pictures under their own names, with a README that has both tables of ratings."""

from pathlib import Path

from layouts.cases import Case
from layouts.faces import encoded, face

# Written out here again, so that a table mixed up in the adapter is seen.
CODES = {
    "AN": "anger",
    "DI": "disgust",
    "FE": "fear",
    "HA": "happiness",
    "NE": "neutral",
    "SA": "sadness",
    "SU": "surprise",
}
# File names as public readers quote them.
FILES = (
    "KA.AN1.39", "KA.DI1.42", "KA.FE4.48", "KA.HA2.30", "KA.NE1.26", "KA.SA1.33", "KA.SU3.38",
    "KL.AN1.167", "KL.HA3.160", "KM.NE1.1", "KM.SA5.13", "KR.DI2.87",
)  # fmt: skip


def code(name: str) -> str:
    """ "KA.AN1.39" as the README calls it: "KA-AN1"."""
    person, shown, _ = name.split(".")
    return f"{person}-{shown}"


def scores(name: str) -> list[float]:
    """HAP SAD SUR ANG DIS FEA of a picture, 1 to 5, invented."""
    return [1 + (sum(map(ord, name)) * (column + 3) % 401) / 100 for column in range(6)]


def readme() -> str:
    """The README's shape: prose, a table of all pictures and one that is not in the download, the second table."""
    rows = [
        f"{row} {' '.join(f'{score:.2f}' for score in scores(name))} {code(name)}" for row, name in enumerate(FILES, 1)
    ]
    rule = "-" * 48
    return "\r\n".join(
        [
            "The Japanese Female Facial Expression (JAFFE) Database",
            "60 subjects rated the pictures on a 5 level scale (5-high, 1-low).",
            "Semantic Ratings Data",
            rule,
            "#  HAP  SAD  SUR  ANG  DIS  FEA  PIC",
            rule,
            *rows,
            "99 1.00 4.00 1.00 1.00 1.00 1.00 KM-SA4",
            "",
            "Semantic Ratings Data (Fear Excluded)",
            rule,
            "#  HAP  SAD  SUR  ANG  DIS  PIC",
            rule,
            "1 5.00 5.00 5.00 5.00 5.00 KA-AN1",
        ]
    )


def write(folder: Path, ending: str = ".tiff", spelling: str = ".") -> Path:
    """`jaffedbase/KA.AN1.39.tiff` …, grey, uncompressed."""
    base = folder / "jaffedbase"
    base.mkdir()
    for row, name in enumerate(FILES):
        kind = "TIFF" if ending in (".tiff", ".tif") else "BMP"
        picture = encoded(face(CODES[name[3:5]], row, 32), kind)
        (base / (name.replace(".", spelling, 1) + ending)).write_bytes(picture)
    (base / "README_FIRST.txt").write_bytes(readme().encode("latin-1"))
    return folder


LABELS = {label: sum(CODES[name[3:5]] == label for name in FILES) for label in CODES.values()}
CASES = {
    "tiff": Case("jaffe", write, 12, LABELS),
    "with a dash": Case("jaffe", lambda folder: write(folder, spelling="-"), 12, LABELS),
    "converted": Case("jaffe", lambda folder: write(folder, ".tiff.bmp"), 12, LABELS),
}
