"""Draws docs/drawn/faces.png, the README's picture: `python docs/drawn/sheet.py`."""

from pathlib import Path

import numpy as np
from PIL import Image

from fer_data.drawn.population import sample_face, sample_identity
from fer_data.drawn.rendering import render
from fer_data.expressions import BASIC7

BARE = ("none", "normal")
CONDITIONS = [BARE] * 4 + [("mask", "normal"), ("sunglasses", "normal"), ("none", "low"), ("none", "side")]
SIZE_PX = 96


def draw(row: int, column: int) -> np.ndarray:
    """One face: a row per expression, a column per person, the last four occluded or badly lit."""
    occlusion, light = CONDITIONS[column]
    face = sample_face(100 * row + column, BASIC7[row], sample_identity(column), occlusion, light, strength=0.9)
    return render(face, SIZE_PX).image


if __name__ == "__main__":
    rows = [np.hstack([draw(row, column) for column in range(len(CONDITIONS))]) for row in range(len(BASIC7))]
    Image.fromarray(np.vstack(rows)).save(Path(__file__).with_name("faces.png"), optimize=True)
