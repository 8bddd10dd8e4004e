"""Light on a drawn face: a head of normals with bumps, a lamp, a background and a camera."""

from dataclasses import dataclass

import numpy as np

from fer_data.drawn.geometry import Points, View
from fer_data.drawn.raster import Plane, blur, clouds

# Bumps on the head: x, y (face units, mirrored where x > 0), half-widths x and y, height.
_BUMPS = (
    (0.0, 0.22, 0.11, 0.30, 0.24),  # ridge of the nose
    (0.0, 0.50, 0.15, 0.13, 0.16),  # its tip
    (0.16, 0.53, 0.08, 0.09, 0.05),  # its wings
    (0.42, 0.0, 0.24, 0.13, -0.09),  # eye sockets
    (0.40, -0.26, 0.30, 0.09, 0.06),  # brow ridges
    (0.62, 0.36, 0.26, 0.20, 0.09),  # cheekbones
    (0.0, 1.30, 0.20, 0.13, 0.08),  # chin
    (0.0, 0.87, 0.30, 0.07, 0.03),  # upper lip
    (0.0, 1.07, 0.22, 0.07, 0.045),  # lower lip
    (0.0, 1.19, 0.22, 0.06, -0.05),  # below it
    (0.0, -0.75, 0.55, 0.30, 0.05),  # forehead
)
# Places that little light reaches: x, y, half-widths, depth.
_HOLLOWS = (
    (0.33, -0.06, 0.17, 0.11, 0.16),
    (0.0, 0.68, 0.20, 0.06, 0.20),
    (0.0, 1.18, 0.20, 0.05, 0.14),
    (0.0, 1.72, 0.75, 0.16, 0.35),
    (0.80, 0.75, 0.14, 0.35, 0.10),
)


@dataclass(frozen=True, slots=True)
class Lamp:
    """Where light comes from and how the picture is taken.

    Attributes:
        direction: unit vector to the lamp (right, down, to the viewer).
        ambient, diffuse: share of light from everywhere and from the lamp.
        background: brightness behind the head, 0..1.
        gain: exposure. noise: standard deviation of the sensor's noise, 0..1. rim: light around the outline.
        metered: whether the camera exposes for the person.
    """

    direction: tuple[float, float, float]
    ambient: float
    diffuse: float
    background: float
    gain: float
    noise: float
    rim: float = 0.0
    metered: bool = True


def choose_lamp(light: str, rng: np.random.Generator) -> Lamp:
    """A lamp for one of `fer_data.expressions.LIGHTS`."""
    around = rng.uniform(-0.45, 0.45)
    if light == "side":
        around = rng.choice([-1.0, 1.0]) * rng.uniform(1.0, 1.4)
    above = rng.uniform(-0.7, -0.15)
    direction = np.array([np.sin(around), above, np.cos(around)])
    x, y, z = (direction / np.linalg.norm(direction)).tolist()
    background, noise = rng.uniform(0.08, 0.85), rng.uniform(0.004, 0.02)
    if light == "low":
        return Lamp((x, y, z), 0.45, 0.6, background * 0.5, rng.uniform(0.17, 0.38), rng.uniform(0.02, 0.04))
    if light == "side":
        return Lamp((x, y, z), rng.uniform(0.08, 0.22), 1.0, background * 0.5, 1.0, noise)
    if light == "back":
        return Lamp((x, y, z), 0.26, 0.13, rng.uniform(0.9, 1.1), 1.0, noise, rim=0.55, metered=False)
    ambient = rng.uniform(0.35, 0.6)
    return Lamp((x, y, z), ambient, 1.12 - ambient, background, rng.uniform(0.85, 1.15), noise)


def shade(view: View, size_px: int, lamp: Lamp, relief: Plane, smile: float, chin: float) -> Plane:
    """How bright a white head would be, float32 [size, size], about 0..1.2.

    Args:
        relief: weight of the face's bumps, 0 where something smooth covers it, float32 [size, size].
        smile, chin: 0..1, how far cheeks and chin are raised (AU6 and AU12, AU17).
    """
    raised = [0.0] * len(_BUMPS)
    raised[5], raised[6] = 0.09 * smile, 0.06 * chin
    x, y, wide, tall, height = _spread(view, _BUMPS, raised)
    grid = np.arange(size_px, dtype=np.float32) + 0.5
    across, down = (grid - x[:, None]) / wide[:, None], (grid - y[:, None]) / tall[:, None]
    bell_x, bell_y = np.exp(-0.5 * across**2), np.exp(-0.5 * down**2)
    slope_x = (bell_y * height[:, None]).T @ (bell_x * across / wide[:, None])
    slope_y = (bell_y * down * (height / tall)[:, None]).T @ bell_x
    ball_x, ball_y, ball_z = _head_normals(view, grid)
    nx, ny = ball_x + 1.1 * relief * slope_x, ball_y + 1.1 * relief * slope_y
    length = np.sqrt(nx**2 + ny**2 + ball_z**2)
    facing = (nx * lamp.direction[0] + ny * lamp.direction[1] + ball_z * lamp.direction[2]) / length
    x, y, wide, tall, depth = _spread(view, _HOLLOWS, [0.0] * len(_HOLLOWS), unit=1.0)
    bell_x = np.exp(-0.5 * ((grid - x[:, None]) / wide[:, None]) ** 2)
    bell_y = np.exp(-0.5 * ((grid - y[:, None]) / tall[:, None]) ** 2)
    hollow = 1 - relief * ((bell_y * depth[:, None]).T @ bell_x)
    edge = 0.72 + 0.28 * np.sqrt(ball_z)
    gloss = 0.12 * lamp.diffuse * np.maximum(facing, 0) ** 14
    bright = (lamp.ambient * edge + lamp.diffuse * np.maximum(facing, 0)) * hollow + gloss
    return np.asarray(bright, dtype=np.float32)


def background(size_px: int, lamp: Lamp, rng: np.random.Generator) -> Plane:
    """What lies behind the head, float32 [size, size]: a wall with a gradient, blurred things now and then."""
    grid = np.linspace(-0.5, 0.5, size_px, dtype=np.float32)
    slope_x, slope_y = rng.uniform(-0.3, 0.3, size=2)
    plane = lamp.background * (1 + slope_x * grid[None, :] + slope_y * grid[:, None])
    if rng.random() < 0.6:
        rows, columns = rng.integers(2, 6, size=2)
        plane = plane + rng.uniform(0.03, 0.16) * clouds(size_px, size_px, (int(rows), int(columns)), rng)
    return np.asarray(plane, dtype=np.float32)


def expose(
    picture: Plane, person: Plane, lamp: Lamp, rng: np.random.Generator
) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """What a camera that meters on the `person` makes of it: exposure, blur, noise; uint8 [size, size]."""
    size_px = picture.shape[0]
    radius = size_px / 48 * rng.uniform(0.05, 0.6)
    if lamp.metered:  # the camera opens up for dark skin and closes for bright, not all the way
        picture = picture * np.float32((0.52 / max(float(picture[person > 0.5].mean()), 0.05)) ** 0.6)
    picture = blur(np.clip(picture, 0, 1), radius)
    gamma, contrast, level = rng.uniform(0.85, 1.2), rng.uniform(0.75, 1.15), rng.uniform(-0.06, 0.06)
    picture = lamp.gain * ((picture**gamma - 0.5) * contrast + 0.5 + level)
    grain = rng.standard_normal(picture.shape, dtype=np.float32) * np.float32(lamp.noise)
    return np.asarray(np.clip((picture + grain) * 255 + 0.5, 0, 255), dtype=np.uint8)


def _spread(
    view: View,
    table: tuple[tuple[float, float, float, float, float], ...],
    extra: list[float],
    unit: float | None = None,
) -> tuple[Plane, Plane, Plane, Plane, Plane]:
    rows = [
        (side * x, y, wide, tall, height + more)
        for (x, y, wide, tall, height), more in zip(table, extra, strict=True)
        for side in ((1, -1) if x > 0 else (1,))
    ]
    array = np.array(rows)
    centres: Points = view(array[:, :2], 0.1)
    sizes = array[:, 2:] * np.array([view.unit_px, view.unit_px, view.unit_px if unit is None else unit])
    columns = np.hstack([centres, sizes]).astype(np.float32).T
    return columns[0], columns[1], columns[2], columns[3], columns[4]


def _head_normals(view: View, grid: Plane) -> tuple[Plane, Plane, Plane]:
    right, down = (grid - view.head[0]) / view.unit_px, (grid - view.head[1]) / view.unit_px
    cosine, sine = view.tilt[0, 0], view.tilt[1, 0]
    u = np.asarray((right[None, :] * cosine + down[:, None] * sine) / 1.25, dtype=np.float32)
    v = np.asarray((down[:, None] * cosine - right[None, :] * sine) / 1.9, dtype=np.float32)
    z = np.sqrt(np.maximum(1 - u**2 - v**2, 0.04))
    nx, ny = u * cosine - v * sine, u * sine + v * cosine
    return nx, ny, z
