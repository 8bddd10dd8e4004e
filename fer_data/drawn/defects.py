"""Pictures that spoil a data set: near copies, blanks, and things that are no face."""

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fer_data.drawn.geometry import MIRROR
from fer_data.drawn.raster import Layer, clouds, curve

Pixels = NDArray[np.uint8]
Landmarks = NDArray[np.float32]

NEAR_COPIES = ("mirror", "shift", "brightness", "jpeg")


def near_duplicate(image: Pixels, landmarks: Landmarks, rng: np.random.Generator) -> tuple[Pixels, Landmarks]:
    """A picture that a person takes for the same one: mirrored, moved, brighter or darker, or compressed again.

    Args:
        image: uint8 [H, W]. landmarks: float32 [68, 2] in its pixels.

    Returns:
        Another uint8 [H, W], never identical to `image` unless that is constant, and its landmarks.
    """
    kind = str(rng.choice(NEAR_COPIES))
    copy, moved = _alter(kind, image, landmarks, rng)
    if np.array_equal(copy, image):
        return _alter("brightness", image, landmarks, rng)
    return copy, moved


def blank(size_px: int, rng: np.random.Generator) -> Pixels:
    """A picture with nothing on it, uint8 [size, size]: a constant, as often as not with a little noise."""
    tone = int(rng.choice([0, 24, 128, 255]))
    image = np.full((size_px, size_px), tone, dtype=np.float32)
    if rng.random() < 0.5:
        image += rng.normal(0, 2.0, image.shape).astype(np.float32)
    return np.asarray(np.clip(image + 0.5, 0, 255), dtype=np.uint8)


def not_a_face(size_px: int, rng: np.random.Generator) -> Pixels:
    """A picture of something else, uint8 [size, size]: texture, stripes, blocks, a landscape, lines of writing."""
    painters: tuple[Callable[[int, np.random.Generator], NDArray[np.float32]], ...] = (
        _texture, _stripes, _blocks, _landscape, _writing,
    )  # fmt: skip
    plane = painters[int(rng.integers(len(painters)))](size_px, rng)
    grain = rng.normal(0, 0.015, plane.shape)
    return np.asarray(np.clip((plane + grain) * 255 + 0.5, 0, 255), dtype=np.uint8)


def _alter(kind: str, image: Pixels, landmarks: Landmarks, rng: np.random.Generator) -> tuple[Pixels, Landmarks]:
    height, width = image.shape
    if kind == "mirror":
        moved = landmarks[MIRROR].copy()
        moved[:, 0] = width - moved[:, 0]
        return np.ascontiguousarray(image[:, ::-1]), moved
    if kind == "shift":
        most = max(1, round(width / 24))
        right, down = (int(rng.choice([-1, 1])) * int(rng.integers(1, most + 1)) for _ in range(2))
        padded = np.pad(image, most, mode="edge")
        copy = padded[most - down : most - down + height, most - right : most - right + width]
        return np.ascontiguousarray(copy), landmarks + np.array([right, down], dtype=np.float32)
    if kind == "jpeg":
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=int(rng.integers(45, 80)))
        return np.asarray(Image.open(buffer)), landmarks
    gain, offset = rng.uniform(0.85, 1.15), int(rng.choice([-1, 1])) * rng.uniform(6, 16)
    centred = (image.astype(np.float32) - 128) * gain + 128 + offset
    return np.asarray(np.clip(centred + 0.5, 0, 255), dtype=np.uint8), landmarks


def _texture(size_px: int, rng: np.random.Generator) -> NDArray[np.float32]:
    fine, coarse = (int(cells) for cells in rng.integers((8, 2), (24, 6)))
    noise = clouds(size_px, size_px, (fine, fine), rng) + clouds(size_px, size_px, (coarse, coarse), rng)
    return np.asarray(rng.uniform(0.3, 0.7) + 0.15 * noise, dtype=np.float32)


def _stripes(size_px: int, rng: np.random.Generator) -> NDArray[np.float32]:
    grid = np.linspace(0, 1, size_px)
    angle, waves = rng.uniform(0, np.pi), rng.uniform(3, 9)
    along = np.cos(angle) * grid[None, :] + np.sin(angle) * grid[:, None]
    return np.asarray(0.5 + 0.35 * np.sin(2 * np.pi * waves * along), dtype=np.float32)


def _blocks(size_px: int, rng: np.random.Generator) -> NDArray[np.float32]:
    layer = Layer(size_px, size_px, rng.uniform(0.1, 0.9))
    for _ in range(int(rng.integers(3, 9))):
        centre, half = rng.uniform(0, size_px, 2), rng.uniform(0.08, 0.3, 2) * size_px
        if rng.random() < 0.5:
            layer.disc(centre, half[0], half[0], rng.uniform(0.05, 0.95))
        else:
            layer.fill(centre + half * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]), rng.uniform(0.05, 0.95))
    return layer.plane()


def _landscape(size_px: int, rng: np.random.Generator) -> NDArray[np.float32]:
    layer = Layer(size_px, size_px, rng.uniform(0.6, 0.95))
    layer.disc(rng.uniform(0.1, 0.5, 2) * size_px, 0.08 * size_px, 0.08 * size_px, 1.0)
    for level, tone in ((0.45, 0.5), (0.62, 0.35), (0.8, 0.2)):
        heights = (level + rng.normal(0, 0.09, 6)) * size_px
        ridge = curve(np.column_stack([np.linspace(-0.1, 1.1, 6) * size_px, heights]))
        corners = np.array([[1.1, 1.1], [-0.1, 1.1]]) * size_px
        layer.fill(np.vstack([ridge, corners]), tone * rng.uniform(0.8, 1.2))
    return layer.plane()


def _writing(size_px: int, rng: np.random.Generator) -> NDArray[np.float32]:
    layer = Layer(size_px, size_px, 0.92)
    for line in np.arange(0.12, 0.95, rng.uniform(0.12, 0.2)):
        left = 0.08
        while left < 0.9:
            word = rng.uniform(0.03, 0.16)
            ends = np.array([[left, line], [min(left + word, 0.94), line]]) * size_px
            layer.line(ends, 0.12, 0.05 * size_px)
            left += word + 0.04
    return layer.plane()
