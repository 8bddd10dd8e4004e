"""AffectNet's numbers: expressions, valence and arousal, landmarks."""

import math
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from fer_data.errors import FerError

LABEL_SET = "basic8"
# The README of the download, as github.com/nikhil-salodkar/facial_expression quotes it.
CODES = MappingProxyType(
    {
        0: ("neutral", "Neutral"),
        1: ("happiness", "Happiness"),
        2: ("sadness", "Sadness"),
        3: ("surprise", "Surprise"),
        4: ("fear", "Fear"),
        5: ("disgust", "Disgust"),
        6: ("anger", "Anger"),
        7: ("contempt", "Contempt"),
        8: (None, "None"),
        9: (None, "Uncertain"),
        10: (None, "No-Face"),
    }
)
UNKNOWN = -2.0  # valence and arousal of faces that nobody rated
LANDMARKS = 68


def expression(code: float, where: str) -> tuple[str | None, str]:
    """The label and the dataset's word for a code.

    Raises:
        FerError: the code is none of `CODES`.
    """
    if code not in CODES:
        raise FerError(f"{where}: expected an expression 0 to 10, found {code:g}")
    return CODES[int(code)]


def ratings(valence: float, arousal: float, where: str) -> dict[str, float]:
    """The facts valence and arousal, each in -1..1; what nobody rated is left out.

    Raises:
        FerError: a number out of range.
    """
    facts = {}
    for name, value in (("valence", valence), ("arousal", arousal)):
        if value == UNKNOWN:
            continue
        if not -1 <= value <= 1:
            raise FerError(f"{where}: expected {name} -1 to 1, or -2 for unknown, found {value:g}")
        facts[name] = value
    return facts


def landmarks(values: Sequence[float], where: str) -> dict[str, Any]:
    """The fact landmarks: x0, y0, x1, y1, …

    Raises:
        FerError: not the coordinates of 68 points.
    """
    if len(values) != 2 * LANDMARKS or not all(math.isfinite(value) for value in values):
        raise FerError(f"{where}: expected {LANDMARKS} landmarks x;y;…, found {len(values)} numbers")
    return {"landmarks": list(values)}
