"""SFEW: labelled folders of two splits, and a test split without labels."""

from pathlib import Path

from layouts.cases import Case
from layouts.faces import face, png

# Written out here again, so that a table mixed up in the adapter is seen.
CLASSES = {
    "Angry": "anger",
    "Disgust": "disgust",
    "Fear": "fear",
    "Happy": "happiness",
    "Neutral": "neutral",
    "Sad": "sadness",
    "Surprise": "surprise",
}


def write(folder: Path) -> Path:
    """Train has two pictures a class, Val one, Test three without a class."""
    root = folder / "SFEW2.0"
    for number, word in enumerate(CLASSES):
        for split, takes in (("Train", 2), ("Val", 1)):
            place = root / split / word
            place.mkdir(parents=True)
            for take in range(takes):
                file = place / f"Movie{number}_00{take}24{take}_0000000{take + len(split)}.png"
                file.write_bytes(png(face(CLASSES[word], 10 * len(split) + take, 24 + number, colour=True)))
    (root / "Test").mkdir()
    for number in range(3):
        (root / "Test" / f"{number:05d}.png").write_bytes(png(face(None, 60 + number, 24, colour=True)))
    (root / "Readme.txt").write_text("SFEW\n")
    return folder


CASES = {"pictures": Case("sfew", write, 24, {**dict.fromkeys(CLASSES.values(), 3), None: 3})}
