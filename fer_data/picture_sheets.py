"""Many pictures of a page in one PNG, each shown by its place in it."""

import base64
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_data.images import encode_png

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class PictureSheet:
    """A sheet as styles of a page.

    Attributes:
        variable: declares the sheet, for an element that holds all who show a part of it.
        places: N styles; an element under that one, with `background-image: var(--sheet)`, shows one picture.
    """

    variable: str
    places: tuple[str, ...]


def picture_sheet(images: Pixels, columns: int) -> PictureSheet:
    """Put pictures on one sheet.

    Args:
        images: uint8 [N, C, S, S], N >= 1, C 1 or 3.
        columns: pictures in a row of the sheet.
    """
    size = images.shape[-1]
    sheet = _side_by_side(images, columns)
    height, width = sheet.shape[:2]
    scale = f"background-size:{100 * width / size:.4f}% {100 * height / size:.4f}%"
    places = []
    for index in range(len(images)):
        left = 100 * (index % columns * (size + 2) + 1) / (width - size)
        top = 100 * (index // columns * (size + 2) + 1) / (height - size)
        places.append(f"{scale};background-position:{left:.4f}% {top:.4f}%")
    data = base64.b64encode(encode_png(sheet)).decode()
    return PictureSheet(f"--sheet:url(data:image/png;base64,{data})", tuple(places))


def _side_by_side(images: Pixels, columns: int) -> Pixels:
    """Pictures in rows, uint8 [H, W] or [H, W, 3].

    Each carries a border of its own edge pixels, so that scaling in the browser mixes in no neighbour.
    """
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    channels, cell = padded.shape[1:3]
    rows = -(-len(images) // columns)
    cells = np.zeros((rows * columns, channels, cell, cell), dtype=np.uint8)
    cells[: len(images)] = padded
    sheet = cells.reshape(rows, columns, channels, cell, cell).transpose(0, 3, 1, 4, 2)
    sheet = sheet.reshape(rows * cell, columns * cell, channels)
    return sheet[:, :, 0] if channels == 1 else sheet
