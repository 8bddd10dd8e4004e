"""Things that cover a face: placed by 68 landmarks, on drawn faces and on real ones alike."""

from collections.abc import Callable
from types import MappingProxyType

import numpy as np

from fer_data.drawn.raster import Layer, Plane, Points, clouds, curve
from fer_data.errors import FerError


class _Cover:
    """Tone and coverage of what is put over a face, and the face's own axes in the picture."""

    def __init__(self, landmarks: Points, width_px: int, height_px: int) -> None:
        self.points = landmarks
        self.tone = Layer(width_px, height_px)
        self.alpha = Layer(width_px, height_px)
        self.eyes = (landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0))
        self.mouth = landmarks[48:60].mean(axis=0)
        across = self.eyes[1] - self.eyes[0]
        self.unit = float(np.hypot(*across)) / 0.84  # face units in pixels
        self.right = across / np.hypot(*across)
        self.down = np.array([-self.right[1], self.right[0]])

    def place(self, centre: Points, offsets: list[tuple[float, float]]) -> Points:
        """Points at offsets (right, down) in face units from `centre`."""
        steps = np.array(offsets) * self.unit
        placed: Points = centre + steps[:, :1] * self.right + steps[:, 1:] * self.down
        return placed

    def fill(self, points: Points, tone: float) -> None:
        self.tone.fill(points, tone)
        self.alpha.fill(points, 1.0)


def draw_occluder(
    kind: str,
    landmarks: Points,
    shape: tuple[int, int],
    skin: float,
    hair: float,
    rng: np.random.Generator,
    extent: float | None = None,
) -> tuple[Plane, Plane]:
    """Draw something that covers a face.

    Args:
        kind: one of `fer_data.expressions.OCCLUSIONS` but "none".
        landmarks: float [68, 2], x and y in pixels.
        shape: height and width of the picture in pixels.
        skin, hair: reflectance 0..1 of hands and of strands.
        extent: how much of the face is covered, from 0, little, to 1, most of it; everything else is drawn as the
            generator has it, so that a larger extent covers more with the same thing. None draws a usual one.

    Returns:
        Coverage (0 open, 1 covered) and reflectance, float32 [H, W] each.

    Raises:
        FerError: nothing of that kind can be drawn.
    """
    if kind not in _PAINTERS:
        raise FerError(f"occlusion {kind!r} cannot be drawn; expected one of {', '.join(_PAINTERS)}")
    cover = _Cover(np.asarray(landmarks, dtype=np.float64), shape[1], shape[0])
    _PAINTERS[kind](cover, skin, hair, rng, extent)
    tone = cover.tone.plane()
    if kind in ("patch", "hair"):
        cells = (3, 3) if kind == "patch" else (2, 14)
        tone = tone * (1 + 0.15 * clouds(*shape, cells, rng))
    return cover.alpha.plane(), np.asarray(tone, dtype=np.float32)


def _at(extent: float, low: float, high: float) -> float:
    return low + extent * (high - low)


def _mask(cover: _Cover, skin: float, hair: float, rng: np.random.Generator, extent: float | None) -> None:
    """From below the chin to the nose; by extent from the lower lip to between the eyes."""
    tone = rng.choice([rng.uniform(0.7, 0.95), rng.uniform(0.05, 0.2)], p=[0.75, 0.25])
    points = cover.points
    jaw, height = points[3:14], rng.uniform(0.1, 0.6)
    bridge = points[28] * (1 - height) + points[30] * height
    left, right = points[2] * 0.85 + points[31] * 0.15, points[14] * 0.85 + points[35] * 0.15
    if extent is not None:
        corner = _at(extent, 5, 1)  # along the jaw, whose points are counted from the left ear
        first, share = int(np.floor(corner)), corner % 1
        jaw = points[first + 1 : 16 - first]
        left = points[first] * (1 - share) + points[first + 1] * share
        right = points[16 - first] * (1 - share) + points[15 - first] * share
        bridge = points[57] * (1 - extent) + points[27] * extent
    below = jaw + cover.down * cover.unit * 0.06
    middle = len(below) // 2
    outline = np.vstack([left, below, right, (right + bridge) / 2 - cover.down * cover.unit * 0.05, bridge,
                         (left + bridge) / 2 - cover.down * cover.unit * 0.05])  # fmt: skip
    for ear, edge in ((points[0], left), (points[16], right)):
        for layer, value in ((cover.tone, tone * 0.9), (cover.alpha, 1.0)):
            layer.line(np.vstack([ear, edge]), value, 0.05 * cover.unit)
    cover.fill(curve(outline, closed=True), tone)
    ends = below[max(0, middle - 3)], below[middle], below[min(len(below) - 1, middle + 3)]
    for share in (0.3, 0.5, 0.7):
        line = np.vstack([left + (ends[0] - left) * share, bridge + (ends[1] - bridge) * share,
                          right + (ends[2] - right) * share])  # fmt: skip
        cover.tone.line(curve(line), tone * 0.82, 0.03 * cover.unit)


def _sunglasses(cover: _Cover, skin: float, hair: float, rng: np.random.Generator, extent: float | None) -> None:
    """Two dark lenses; by extent from lightly tinted ones to black ones that hide the brows."""
    tone, size, opacity = rng.uniform(0.02, 0.16), rng.uniform(0.92, 1.15), 1.0
    if extent is not None:
        size, opacity = _at(extent, 1.0, 2.0), _at(extent, 0.4, 1.0)
    lens = [(-0.32, -0.2), (0.0, -0.23), (0.32, -0.2), (0.31, 0.12), (0.0, 0.29), (-0.31, 0.12)]
    for eye, ear, side in ((cover.eyes[0], cover.points[0], -1), (cover.eyes[1], cover.points[16], 1)):
        outline = curve(cover.place(eye, [(x * size, y * size) for x, y in lens]), closed=True)
        cover.tone.fill(outline, tone)
        cover.alpha.fill(outline, opacity)
        shine = cover.place(eye, [(-0.18, -0.12), (-0.05, -0.12), (-0.14, 0.1), (-0.22, 0.1)])
        cover.tone.fill(shine, tone + 0.16)
        hinge = cover.place(eye, [(side * 0.3 * size, -0.1)])
        for layer, value in ((cover.tone, tone), (cover.alpha, 1.0)):
            layer.line(np.vstack([hinge, ear]), value, 0.07 * cover.unit)
    bridge = np.vstack([cover.place(cover.eyes[0], [(0.28, -0.08)]), cover.place(cover.eyes[1], [(-0.28, -0.08)])])
    cover.tone.line(bridge, tone, 0.08 * cover.unit)
    cover.alpha.line(bridge, 1.0, 0.08 * cover.unit)


def _hand(cover: _Cover, centre: Points, skin: float, rng: np.random.Generator, extent: float | None) -> None:
    """A hand laid across the face: palm to one side, four fingers over `centre`; by extent a small or a large one."""
    if extent is not None:
        cover.unit *= _at(extent, 0.45, 1.5)
    side, slope = rng.choice([-1.0, 1.0]), rng.uniform(-0.1, 0.35)
    tone, width = skin * rng.uniform(0.85, 1.1), rng.uniform(0.17, 0.2)
    start, reach = rng.uniform(0.62, 0.8), rng.uniform(1.25, 1.5)
    palm = [
        (side * start * 0.8, -0.42),
        (side * 1.5, -0.5),
        (side * 1.8, 0.9),
        (side * 0.9, 0.85),
        (side * start * 0.75, 0.42),
    ]
    cover.fill(curve(cover.place(centre, palm), closed=True), tone * 0.88)
    for index, length in enumerate((0.88, 1.0, 0.97, 0.8)):
        height = (index - 1.5) * width * 1.04
        run = -side * reach * length
        root, tip = (side * start, height + 0.05), (side * start + run, height - slope * length * 0.5)
        for layer, value, share in (
            (cover.alpha, 1.0, 1.04), (cover.tone, tone * 0.66, 1.04), (cover.tone, tone * 0.88, 0.84),
            (cover.tone, tone, 0.55),
        ):  # fmt: skip
            ends = cover.place(centre, [root, tip])
            layer.line(ends, value, width * share * cover.unit)
            radius = width * share * cover.unit / 2
            layer.disc(ends[1], radius, radius, value)
        nail = cover.place(centre, [(tip[0] + side * 0.01, tip[1])])[0]
        cover.tone.disc(nail, 0.05 * cover.unit, 0.045 * cover.unit, min(1.0, tone * 1.12))


def _hand_mouth(cover: _Cover, skin: float, hair: float, rng: np.random.Generator, extent: float | None) -> None:
    _hand(cover, cover.mouth + cover.down * cover.unit * rng.uniform(-0.05, 0.1), skin, rng, extent)


def _hand_eyes(cover: _Cover, skin: float, hair: float, rng: np.random.Generator, extent: float | None) -> None:
    middle = (cover.eyes[0] + cover.eyes[1]) / 2
    _hand(cover, middle + cover.down * cover.unit * rng.uniform(-0.1, 0.05), skin, rng, extent)


def _hair(cover: _Cover, skin: float, hair: float, rng: np.random.Generator, extent: float | None) -> None:
    """Strands that fall over one half of the face; by extent over its edge, or over most of it."""
    side, middle = rng.choice([-1.0, 1.0]), (cover.eyes[0] + cover.eyes[1]) / 2
    inner, low = rng.uniform(-0.1, 0.2), rng.uniform(0.35, 1.1)
    if extent is not None:
        inner, low = _at(extent, 0.45, -0.65), _at(extent, 0.2, 1.3)
    lock = [(-side * 0.35, -1.25), (side * inner * 0.5, -0.6), (side * (inner + 0.05), 0.05),
            (side * (inner + 0.3), low), (side * 0.95, low + 0.35), (side * 1.25, 0.2), (side * 1.0, -1.2)]  # fmt: skip
    cover.fill(curve(cover.place(middle, lock), closed=True), hair)
    for start in np.linspace(-0.25, 0.8, 8):
        wave, tone = rng.uniform(-0.06, 0.06), hair * rng.uniform(0.6, 1.5) + 0.02
        bend = max(start, inner + 0.12) + wave
        strand = [(side * start, -1.2), (side * bend, -0.3), (side * (bend + 0.12), low * 0.8)]
        cover.tone.line(curve(cover.place(middle, strand)), tone, 0.05 * cover.unit)


def _patch(cover: _Cover, skin: float, hair: float, rng: np.random.Generator, extent: float | None) -> None:
    """Something flat in front of the face: a rectangle over about a sixth of it; by extent half or twice as wide."""
    middle = cover.points[30] + rng.uniform(-0.55, 0.55, size=2) * cover.unit
    half_x, half_y = rng.uniform(0.3, 0.6), rng.uniform(0.3, 0.6)
    if extent is not None:
        half_x, half_y = half_x * _at(extent, 0.5, 2.0), half_y * _at(extent, 0.5, 2.0)
    corners = [(-half_x, -half_y), (half_x, -half_y), (half_x, half_y), (-half_x, half_y)]
    cover.fill(cover.place(middle, corners), rng.uniform(0.05, 0.9))


_Painter = Callable[[_Cover, float, float, np.random.Generator, float | None], None]

_PAINTERS: MappingProxyType[str, _Painter] = MappingProxyType(
    {
        "mask": _mask,
        "sunglasses": _sunglasses,
        "hand_mouth": _hand_mouth,
        "hand_eyes": _hand_eyes,
        "hair": _hair,
        "patch": _patch,
    }
)
