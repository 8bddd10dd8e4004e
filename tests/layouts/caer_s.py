"""CAER-S: frames of TV shows, and the list of face boxes that others made of them."""

from pathlib import Path

import numpy as np
from layouts.cases import Case
from layouts.faces import face, png

# Written out here again, so that a table mixed up in the adapter is seen.
CLASSES = {
    "Anger": "anger",
    "Disgust": "disgust",
    "Fear": "fear",
    "Happy": "happiness",
    "Neutral": "neutral",
    "Sad": "sadness",
    "Surprise": "surprise",
}


def box(number: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the face in the number-th frame of a class."""
    return 20 + number, 3, 44 + number, 27


def write(folder: Path) -> Path:
    """Two train frames and one test frame of each class."""
    for split, takes in (("train", 2), ("test", 1)):
        for row, (word, label) in enumerate(CLASSES.items()):
            place = folder / "CAER-S" / split / word
            place.mkdir(parents=True)
            for number in range(1, takes + 1):
                frame = np.full((36, 64, 3), 40 + row, dtype=np.uint8)
                left, top, right, bottom = box(number)
                frame[top:bottom, left:right] = face(label, 5 * len(split) + number, 24, colour=True)
                (place / f"{number:04d}.png").write_bytes(png(frame))
    return folder


def write_boxes(folder: Path) -> Path:
    """`train.txt` and `test.txt`, without the last picture: the people who made them left out what shows no face."""
    place = folder.parent / f"{folder.name}-annotation"
    place.mkdir(exist_ok=True)
    for split, takes in (("train", 2), ("test", 1)):
        lines = [
            f"{split}/{word}/{number:04d}.png,{code},{','.join(map(str, box(number)))}"
            for code, word in enumerate(CLASSES)
            for number in range(1, takes + 1)
        ]
        (place / f"{split}.txt").write_text("\n".join(lines[:-1]) + "\n")
    return place


CASES = {
    "frames": Case("caer_s", write, 21, dict.fromkeys(CLASSES.values(), 3)),
    "frames with boxes": Case(
        "caer_s", write, 21, dict.fromkeys(CLASSES.values(), 3), lambda folder: {"boxes": write_boxes(folder)}
    ),
}
