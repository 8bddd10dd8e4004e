"""Drawn faces for copies of real layouts, as pixels and as files."""

import functools
import io

import numpy as np
from PIL import Image

from fer_data import images
from fer_data.drawn.population import sample_face, sample_identity
from fer_data.drawn.rendering import render


@functools.lru_cache(maxsize=512)
def drawn(label: str | None, number: int = 0, size_px: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """A face that shows `label` (neutral for None): pixels uint8 [size, size] and landmarks float [68, 2].

    `number` chooses person and picture; the same arguments give the same face.
    """
    shown = label if label in ("anger", "disgust", "fear", "happiness", "sadness", "surprise") else "neutral"
    drawing = render(sample_face(1000 + number, shown, sample_identity(number), "none", "normal"), size_px)
    return drawing.image, drawing.landmarks


def face(label: str | None, number: int = 0, size_px: int = 48, *, colour: bool = False) -> np.ndarray:
    """Pixels of a drawn face, uint8 [size, size], or [size, size, 3] tinted like skin."""
    grey, _ = drawn(label, number, size_px)
    return (grey[..., None] * np.array([1.0, 0.85, 0.75])).astype(np.uint8) if colour else grey


def png(pixels: np.ndarray) -> bytes:
    return images.encode_png(pixels)


def jpeg(pixels: np.ndarray, quality: int = 95) -> bytes:
    return encoded(pixels, "JPEG", quality=quality)


def encoded(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    """The pixels as a file of a kind that PIL writes: "JPEG", "TIFF", "BMP"."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()
