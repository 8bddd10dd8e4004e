"""Faces that are drawn: nothing is written, nothing is read."""

from layouts.cases import Case

CASES = {
    "drawn": Case(
        "procedural",
        lambda folder: None,
        80,
        {"happiness": 21, "neutral": 16, "sadness": 13, "fear": 11, "anger": 10, "surprise": 8, "disgust": 1},
        lambda folder: {"count": 80, "seed": 3},
        archives=False,
    ),
}
