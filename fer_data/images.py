"""Pixels in and out. Image files are hostile: few formats, a pixel cap, one sentence when something is wrong."""

import hashlib
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from fer_data import png
from fer_data.errors import FerError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM")
MAX_PIXELS = 40_000_000

Pixels = NDArray[np.uint8]


def decode(data: bytes, where: str) -> Pixels:
    """Decode an image to uint8 [H, W] (grey) or [H, W, 3] (everything else).

    Raises:
        FerError: not an image of `FORMATS`, truncated, or more than `MAX_PIXELS` pixels.
    """
    pixels = png.decode(data, MAX_PIXELS)
    if pixels is not None:
        return pixels
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        if image.width * image.height <= MAX_PIXELS:
            return _pixels(image)
    except UnidentifiedImageError:
        raise FerError(f"{where}: expected an image ({', '.join(FORMATS)}), found {data[:8]!r}…") from None
    except Exception as error:  # decoders raise whatever hostile bytes lead them to
        raise FerError(f"{where}: expected a whole image, found one that does not decode ({error})") from None
    raise FerError(f"{where}: expected at most {MAX_PIXELS} pixels, found {image.width}x{image.height}")


def _pixels(image: Image.Image) -> Pixels:
    if image.mode.startswith("I"):  # 16-bit grey: PIL's own conversion clips instead of scaling
        return (np.asarray(image).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8)
    mode = "L" if image.mode in ("L", "1", "LA") else "RGB"
    return np.asarray(image if image.mode == mode else image.convert(mode))


def encode_png(pixels: Pixels) -> bytes:
    """Lossless PNG bytes of uint8 [H, W] or [H, W, 3]."""
    return png.encode(pixels)


def pixel_sha256(pixels: Pixels) -> str:
    """Identity of a picture whatever file it lies in: SHA-256 over mode, shape and pixels, 64 hex digits."""
    digest = hashlib.sha256(f"{mode(pixels)}:{pixels.shape[0]}x{pixels.shape[1]}:".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def mode(pixels: Pixels) -> str:
    """What Pillow calls the form of an array: "L" (grey) or "RGB"."""
    return "L" if pixels.ndim == 2 else "RGB"


def as_view(pixels: Pixels, size_px: int, channels: int) -> Pixels:
    """The picture as a model sees it: uint8 [channels, size_px, size_px], channels 1 (grey) or 3.

    A picture that is not square is resized, not cropped; crops are made at import.
    """
    if pixels.ndim == (2 if channels == 1 else 3) and pixels.shape[:2] == (size_px, size_px):
        array = pixels
    else:
        image = Image.fromarray(pixels).convert("L" if channels == 1 else "RGB")
        if image.size != (size_px, size_px):
            image = image.resize(
                (size_px, size_px),
                Image.Resampling.LANCZOS if image.width > size_px else Image.Resampling.BICUBIC,
            )
        array = np.asarray(image)
    return array[None] if channels == 1 else array.transpose(2, 0, 1)
