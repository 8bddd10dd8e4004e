"""Pictures and words as the page takes them: data URIs, several faces in one picture, durations, outcomes."""

import base64
from collections.abc import Sequence

import numpy as np
from PIL import Image

from fer_data.images import Pixels, encode_png

_SPECIAL = {"keep": "kept", "drop": "dropped", "unsure": "unsure", "accept": "accepted", "reject": "rejected"}


def data_uri(pixels: Pixels) -> str:
    """A picture inside the page: no further request, and nothing for the browser's disk cache to keep."""
    return png_uri(encode_png(pixels))


def png_uri(png: bytes) -> str:
    """The bytes of a PNG file as an address that holds them."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def outcome_text(action: str, label: str | None) -> str:
    """A decision in one word or two: "→ surprise", "dropped"."""
    return f"→ {label}" if action == "relabel" else _SPECIAL[action]


def sheet(pictures: Sequence[Pixels], columns: int, face_px: int) -> Pixels:
    """Faces side by side as one picture, row by row, the rest black.

    Returns:
        uint8 [rows * face_px, columns * face_px], with a last axis of 3 if any picture has colours.
    """
    rows = -(-len(pictures) // columns)
    colours = any(pixels.ndim == 3 for pixels in pictures)
    whole = np.zeros((rows * face_px, columns * face_px, *((3,) if colours else ())), dtype=np.uint8)
    for index, pixels in enumerate(pictures):
        if (colours and pixels.ndim == 2) or pixels.shape[:2] != (face_px, face_px):
            image = Image.fromarray(pixels).convert("RGB" if colours else "L")
            pixels = np.asarray(image.resize((face_px, face_px), Image.Resampling.BILINEAR))
        top, left = face_px * (index // columns), face_px * (index % columns)
        whole[top : top + face_px, left : left + face_px] = pixels
    return whole
