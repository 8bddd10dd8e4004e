"""Cover and relight real small faces, and tell how a face is lit.

Made for tight face crops such as FER-2013's (48x48, grey). Where landmarks are known things are put by them; else
by where an average crop has its eyes and mouth, moved to the face's own axis of symmetry.
"""

import os
from collections.abc import Callable, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from fer_data.drawn.face import Pose
from fer_data.drawn.geometry import View, rest_landmarks
from fer_data.drawn.occluders import draw_occluder
from fer_data.drawn.raster import Plane, blur
from fer_data.errors import FerError
from fer_data.expressions import LIGHTS, OCCLUSIONS
from fer_data.low_light import take_in_the_dark

SEVERITIES = (1, 2, 3, 4, 5)  # how much of a face is covered, how dark it is

Pixels = NDArray[np.uint8]

# The eyes and the mouth of FER-2013's average face lie where this pose puts them (420 faces, 60 of each class).
_AVERAGE_CROP = Pose(scale=0.444, centre_x=0.503, centre_y=0.37)
_AXIS_REACH = 0.08  # how far from the middle an axis is looked for, as a share of the width

# `measure_light`: brightness in 0..1, chosen on drawn faces, whose light is known.
_FLAT = 0.012  # standard deviation below which nothing is seen
_DARK = 0.30  # 90th percentile of the face
_ONE_SIDED = 0.23  # difference of the halves over their sum
_BRIGHT_BEHIND, _BACK_RATIO = 0.66, 2.1  # surroundings, and how much brighter than the face they are


def occlude(
    image: Pixels, kind: str, seed: int, landmarks: ArrayLike | None = None, severity: int | None = None
) -> Pixels:
    """Cover part of a face. The same arguments give the same picture.

    Args:
        image: uint8 [H, W] or [H, W, 3], an upright face crop.
        kind: one of `fer_data.expressions.OCCLUSIONS`; "none" gives the picture back.
        landmarks: 68 points of `image` in the iBUG order, x and y in pixels, as [68, 2] or flat; None estimates them.
        severity: 1..5, how much is covered: the same thing, larger; None takes a usual size at random.

    Returns:
        A picture of the same shape.

    Raises:
        FerError: an unknown kind or severity, pixels of another shape or type, landmarks that are not 68 points.
    """
    return CoverableFace(image, landmarks).cover(kind, seed, severity)


class CoverableFace:
    """A face crop with all that `occlude` measures of it, for a face that is covered more than once.

    Args:
        image, landmarks: as for `occlude`.
    """

    def __init__(self, image: Pixels, landmarks: ArrayLike | None = None) -> None:
        _require_pixels(image)
        self._image, self._grey = image, _grey(image)
        self._points = _points(estimate_landmarks(image) if landmarks is None else landmarks)

    def cover(self, kind: str, seed: int, severity: int | None = None) -> Pixels:
        """What `occlude` gives of this face."""
        if kind not in OCCLUSIONS:
            raise FerError(f"occlusion {kind!r} is unknown; expected one of {', '.join(OCCLUSIONS)}")
        _require_severity(severity)
        image, grey = self._image, self._grey
        if kind == "none":
            return image.copy()
        rng = np.random.default_rng([seed, OCCLUSIONS.index(kind)])
        exposure, skin, hair, light = self._tones
        extent = None if severity is None else (severity - 1) / (SEVERITIES[-1] - 1)
        alpha, tone = draw_occluder(kind, self._points, (grey.shape[0], grey.shape[1]), skin, hair, rng, extent)
        lit = tone * exposure * light
        shadow = 1 - 0.22 * blur(alpha, 0.03 * grey.shape[1]) * (1 - alpha)
        base = image.astype(np.float32) / 255
        if image.ndim == 3:
            alpha, lit, shadow = alpha[..., None], lit[..., None], shadow[..., None]
        return _to_bytes(base * shadow * (1 - alpha) + lit * alpha)

    @cached_property
    def _tones(self) -> tuple[float, float, float, Plane]:
        """Exposure, skin, hair, and slow changes of the light over the picture.

        What is put there is lit like the face: skin and cloth follow the brightness that the picture has.
        """
        grey = self._grey
        face = _face_weight(*grey.shape) > 0.5
        exposure = float(np.clip(np.percentile(grey[face], 80) / 0.66, 0.12, 1.25))
        skin = float(np.clip(np.median(grey[face]) / exposure, 0.15, 0.9))
        hair = float(np.clip(np.percentile(grey, 8) / exposure, 0.03, 0.5))
        return exposure, skin, hair, _local_light(grey)


def relight(image: Pixels, kind: str, seed: int, severity: int | None = None) -> Pixels:
    """Change the light on a face. The same arguments give the same picture.

    "low" darkens and adds the sensor's shot noise; "side" lights a head-shaped surface from the left or right;
    "back" brightens the surroundings, lets them flare and darkens the face.

    Args:
        image: uint8 [H, W] or [H, W, 3], an upright face crop.
        kind: one of `fer_data.expressions.LIGHTS`; "normal" gives the picture back.
        severity: of "low" only, 1..5 as in `fer_data.low_light`; None takes a usual one at random.

    Raises:
        FerError: an unknown kind or severity, or pixels of another shape or type.
    """
    _require_pixels(image)
    if kind not in LIGHTS:
        raise FerError(f"light {kind!r} is unknown; expected one of {', '.join(LIGHTS)}")
    _require_severity(severity)
    if kind == "normal":
        return image.copy()
    rng = np.random.default_rng([seed, LIGHTS.index(kind)])
    if severity is None:
        return _RELIGHT[kind](image, rng)
    if kind != "low":
        raise FerError(f"light {kind!r} has no severities; expected 'low', or no severity")
    return take_in_the_dark(image, severity, rng)


def measure_light(images: Sequence[Pixels] | Pixels) -> list[str | None]:
    """How each face is lit, measured on the picture alone: a rough guess for plans and balance tables.

    Args:
        images: N pictures, each uint8 [H, W] or [H, W, 3], upright face crops.

    Returns:
        A name of `fer_data.expressions.LIGHTS` for each, None where nothing can be seen.

    Raises:
        FerError: pixels of another shape or type.
    """
    return [_light_of(image) for image in images]


def estimate_landmarks(image: Pixels) -> NDArray[np.float32]:
    """68 landmarks of an average neutral face put on a crop, float32 [68, 2], x and y in pixels.

    The eyes and mouth of an average FER-2013 crop, moved sideways to the axis about which this picture is most
    symmetric. Good enough to put a mask on, not to measure a face.
    """
    _require_pixels(image)
    height, width = image.shape[:2]
    points = rest_landmarks(View(_AVERAGE_CROP, 1)) * [width, height]
    points[:, 0] += symmetry_axis(image) - _AVERAGE_CROP.centre_x * width
    return points.astype(np.float32)


def symmetry_axis(image: Pixels) -> float:
    """Column, in pixels, of the upright axis near the middle about which the picture is most like its mirror image."""
    _require_pixels(image)
    small = np.asarray(Image.fromarray((_grey(image) * 255).astype(np.uint8)).resize((48, 48)), dtype=np.float64)
    slopes = np.diff(small, axis=1)[8:44]  # edges, so that light from one side does not move the axis
    best, best_score = 24.0, -2.0
    reach = round(48 * _AXIS_REACH * 2)
    for twice in range(48 - reach, 48 + reach + 1):  # the axis lies at twice / 2
        half = min(twice, 96 - twice) // 2 - 3
        left = slopes[:, (twice - 1) // 2 - half : (twice - 1) // 2]
        right = slopes[:, twice // 2 : twice // 2 + half]
        a, b = left.ravel(), -right[:, ::-1].ravel()
        alike = float(a @ b) / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-9)
        score = alike - 0.004 * abs(twice - 48)
        if score > best_score:
            best, best_score = twice / 2, score
    return best / 48 * int(image.shape[1])


def _low(image: Pixels, rng: np.random.Generator) -> Pixels:
    transforms = _albumentations()
    gamma, gain = rng.uniform(100, 140), rng.uniform(0.22, 0.42)
    darken = transforms.RandomGamma(gamma_limit=(gamma, gamma), p=1.0)
    # Fewer photons: the noise is that of the exposure, stronger the darker the picture.
    photons = float(np.interp(gain, (0.22, 0.42), (0.0012, 0.0004)))
    noise = transforms.ShotNoise(scale_range=(photons, photons), p=1.0)
    stack = image if image.ndim == 3 else np.expand_dims(image, 2)
    dark = transforms.Compose([darken], seed=int(rng.integers(2**31)))(image=stack)["image"]
    dim = np.asarray(dark * np.float32(gain) + 0.5, dtype=np.uint8)
    noisy = transforms.Compose([noise], seed=int(rng.integers(2**31)))(image=dim)["image"]
    return np.asarray(noisy, dtype=np.uint8).reshape(image.shape)


def _side(image: Pixels, rng: np.random.Generator) -> Pixels:
    u, v, z = _head_surface(image)
    around = rng.choice([-1.0, 1.0]) * rng.uniform(1.0, 1.35)
    above, ambient = -0.25, rng.uniform(0.1, 0.22)
    length = np.hypot(1.0, above)
    facing = (u * np.sin(around) + v * above + z * np.cos(around)) / length
    frontal = 0.45 + 0.55 * z  # the light that the picture has, about: from the front
    ratio = (ambient + 1.15 * np.maximum(facing, 0)) / frontal
    ratio = blur(np.clip(ratio / 2, 0, 1).astype(np.float32), 0.03 * image.shape[1]) * 2
    return _to_bytes(image.astype(np.float32) / 255 * _as_planes(ratio, image))


def _back(image: Pixels, rng: np.random.Generator) -> Pixels:
    height, width = image.shape[:2]
    weight = _face_weight(height, width, symmetry_axis(image) / width, size=1.05, edge=0.55)
    weight = weight**2 * (3 - 2 * weight)
    bright, dim = rng.uniform(0.85, 1.0), rng.uniform(0.24, 0.4)
    base, face = image.astype(np.float32) / 255, _as_planes(weight, image)
    behind = bright * (0.7 + 0.3 * base)
    flare = _as_planes(blur(1 - weight, 0.1 * width), image)
    veil = rng.uniform(0.04, 0.1) + rng.uniform(0.05, 0.15) * flare
    return _to_bytes(behind * (1 - face) + (base * dim + veil) * face)


_RELIGHT: MappingProxyType[str, Callable[[Pixels, np.random.Generator], Pixels]] = MappingProxyType(
    {"low": _low, "side": _side, "back": _back}
)


def _light_of(image: Pixels) -> str | None:
    _require_pixels(image)
    grey = _grey(image)
    if grey.std() < _FLAT:
        return None
    height, width = grey.shape
    inside, outside = _face_weight(height, width, size=0.78) > 0.5, _face_weight(height, width) < 0.05
    middle = width // 2
    halves = (np.s_[:, :middle], np.s_[:, middle:])
    # Hair above a face is dark whatever the light, so the brighter quarter counts; and on both sides.
    behind = min(float(np.percentile(grey[half][outside[half]], 75)) for half in halves)
    if behind > _BRIGHT_BEHIND and behind > _BACK_RATIO * float(np.median(grey[inside])):
        return "back"
    if np.percentile(grey[inside], 90) < _DARK:
        return "low"
    left, right = (float(np.median(grey[half][inside[half]])) for half in halves)
    if abs(left - right) / max(left + right, 1e-6) > _ONE_SIDED:
        return "side"
    return "normal"


def _albumentations() -> Any:
    """albumentations, told not to ask the network for a newer version when it is imported."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations

    return albumentations


def _require_pixels(image: Pixels) -> None:
    shape: tuple[int, ...] = getattr(image, "shape", ())
    if getattr(image, "dtype", None) != np.uint8 or len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] != 3):
        found = f"{getattr(image, 'dtype', type(image).__name__)} {list(shape)}"
        raise FerError(f"image: expected uint8 [H, W] or [H, W, 3], found {found}; convert it first")
    if min(shape[:2]) < 16:
        raise FerError(f"image: expected at least 16x16 pixels, found {shape[1]}x{shape[0]}; use a larger crop")


def _require_severity(severity: int | None) -> None:
    if severity is not None and severity not in SEVERITIES:
        raise FerError(f"severity: expected one of {', '.join(map(str, SEVERITIES))}, found {severity!r}")


def _points(landmarks: ArrayLike) -> NDArray[np.float64]:
    points = np.asarray(landmarks, dtype=np.float64)
    if points.size != 136 or not np.isfinite(points).all():
        raise FerError(f"landmarks: expected 68 finite points (x, y), found {points.size} numbers; leave them out")
    return points.reshape(68, 2)


def _grey(image: Pixels) -> Plane:
    grey = image if image.ndim == 2 else np.asarray(Image.fromarray(image).convert("L"))
    return np.asarray(grey, dtype=np.float32) * np.float32(1 / 255)


def _face_weight(height: int, width: int, axis: float = 0.5, size: float = 1.0, edge: float = 0.2) -> Plane:
    """Where an average crop has its face: 1 inside, 0 outside, falling over `edge`; float32 [H, W]."""
    x = ((np.arange(width) + 0.5) / width - axis) / (0.40 * size)
    y = ((np.arange(height) + 0.5) / height - 0.53) / (0.50 * size)
    radius = np.sqrt(x[None, :] ** 2 + y[:, None] ** 2)
    return np.asarray(np.clip((0.98 + edge / 2 - radius) / edge, 0, 1), dtype=np.float32)


def _head_surface(image: Pixels) -> tuple[Plane, Plane, Plane]:
    """Normals (right, down, to the viewer) of an average head on the crop, with a nose; float32 [H, W] each."""
    height, width = image.shape[:2]
    axis = symmetry_axis(image) / width
    x = (np.arange(width, dtype=np.float32)[None, :] + 0.5) / width - axis
    y = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / height - 0.5
    u, v = np.broadcast_to(x / 0.52, (height, width)), np.broadcast_to(y / 0.75, (height, width))
    z = np.sqrt(np.maximum(1 - u**2 - v**2, 0.05))
    nose = np.exp(-0.5 * ((x / 0.05) ** 2 + ((y - 0.02) / 0.12) ** 2))
    u = u + 0.9 * (x / 0.05) * nose
    length = np.sqrt(u**2 + v**2 + z**2)
    nx, ny, nz = (np.asarray(part / length, dtype=np.float32) for part in (u, v, z))
    return nx, ny, nz


def _local_light(grey: Plane) -> Plane:
    """Slow changes of brightness over the picture, about 1, float32 [H, W]."""
    slow = blur(grey, 0.22 * grey.shape[1])
    return np.asarray(np.clip(slow / max(float(slow.mean()), 0.02), 0.6, 1.4) ** 0.5, dtype=np.float32)


def _as_planes(plane: Plane, image: Pixels) -> NDArray[np.float32]:
    return plane if image.ndim == 2 else np.expand_dims(plane, 2)


def _to_bytes(picture: NDArray[np.floating[Any]]) -> Pixels:
    return np.asarray(np.clip(picture * 255 + 0.5, 0, 255), dtype=np.uint8)
