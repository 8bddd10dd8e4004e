"""Trees of class folders as people make them."""

from layouts.cases import Case
from layouts.faces import face, jpeg, png

WORDS = {"Angry": "anger", "happy": "happiness", "Neutral": "neutral"}
NUMBERS = {"1": "surprise", "2": "fear", "9": None}


def write_splits(folder):
    for split in ("Train", "validation"):
        for number, (name, label) in enumerate(WORDS.items()):
            place = folder / "faces" / split / name
            place.mkdir(parents=True)
            (place / "a b.jpg").write_bytes(jpeg(face(label, number, 32, colour=True)))
    (folder / "faces" / "readme.md").write_text("# Faces\n")
    return folder


def write_numbers(folder):
    for number, (name, label) in enumerate(NUMBERS.items()):
        (folder / name).mkdir(parents=True)
        (folder / name / f"{number}.png").write_bytes(png(face(label, number, 32)))
    return folder


def write_compound(folder):
    place = folder / "Happily Surprised"
    place.mkdir()
    (place / "1.png").write_bytes(png(face("surprise", 1, 32)))
    return folder


CASES = {
    "with splits": Case("folders", write_splits, 6, dict.fromkeys(WORDS.values(), 2)),
    "numbers that the user explains": Case(
        "folders", write_numbers, 3, dict.fromkeys(NUMBERS.values(), 1), lambda folder: {"labels": NUMBERS}
    ),
    "compound expressions": Case("folders", write_compound, 1, {"happily surprised": 1}),
}
