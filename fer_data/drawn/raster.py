"""Anti-aliased grey shapes on a small canvas, drawn large by Pillow and averaged down."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Points = NDArray[np.float64]
Plane = NDArray[np.float32]


class Layer:
    """One grey plane. Coordinates and widths are in pixels of the finished picture, tones in 0..1."""

    def __init__(self, width_px: int, height_px: int, tone: float = 0.0, *, soft: bool = False) -> None:
        """A plane of one `tone`; `soft` ones are drawn coarser, for what is blurred or only a mask of texture."""
        self.fine = 2 if soft or max(width_px, height_px) > 112 else 4
        self.image = Image.new("L", (width_px * self.fine, height_px * self.fine), _level(tone))
        self._draw = ImageDraw.Draw(self.image)

    def fill(self, points: Points, tone: float) -> None:
        """Fill a polygon [N, 2]."""
        self._draw.polygon((points * self.fine).ravel().tolist(), fill=_level(tone))

    def line(self, points: Points, tone: float, width_px: float) -> None:
        """Draw an open line through points [N, 2]."""
        self._draw.line((points * self.fine).ravel().tolist(), _level(tone), max(1, round(width_px * self.fine)))

    def disc(self, centre: Sequence[float] | Points, radius_x: float, radius_y: float, tone: float) -> None:
        """Fill an upright ellipse."""
        x, y, rx, ry = (float(value) * self.fine for value in (*centre, radius_x, radius_y))
        self._draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=_level(tone))

    def paste(self, other: "Layer", mask: "Layer") -> None:
        """Put `other` over this layer where `mask` is bright."""
        self.image.paste(other.image, (0, 0), mask.image)

    def plane(self, blur_px: float = 0.0) -> Plane:
        """The layer at the picture's size, float32 [H, W] in 0..1."""
        image = self.image.reduce(self.fine)
        if blur_px > 0:
            image = image.filter(ImageFilter.GaussianBlur(blur_px))
        return np.asarray(image, dtype=np.float32) * np.float32(1 / 255)


def curve(points: Points, *, closed: bool = False, steps: int = 4) -> Points:
    """A smooth (Catmull-Rom) curve through points [N, 2], `steps` points to each."""
    return _catmull_rom(len(points), closed, steps) @ points


def clouds(height: int, width: int, cells: tuple[int, int], rng: np.random.Generator) -> Plane:
    """Smooth noise, float32 [height, width], about standard normal, in so many `cells` (rows, columns)."""
    grid = rng.standard_normal((cells[0] + 1, cells[1] + 1)).astype(np.float32)
    return np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC))


def blur(plane: Plane, radius_px: float) -> Plane:
    """Gaussian blur of a plane in 0..1, float32 [H, W]."""
    image = Image.fromarray((plane * 255 + 0.5).clip(0, 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius_px)), dtype=np.float32) * np.float32(1 / 255)


def _level(tone: float) -> int:
    return min(255, max(0, int(tone * 255 + 0.5)))


@lru_cache(maxsize=64)
def _catmull_rom(count: int, closed: bool, steps: int) -> NDArray[np.float64]:
    t = np.arange(steps) / steps
    weights = 0.5 * np.stack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2])
    spans = count if closed else count - 1
    matrix = np.zeros((spans * steps + (not closed), count))
    for span in range(spans):
        for offset, row in enumerate(weights, start=-1):
            index = (span + offset) % count if closed else min(max(span + offset, 0), count - 1)
            matrix[span * steps : (span + 1) * steps, index] += row
    if not closed:
        matrix[-1, -1] = 1
    return matrix
