"""From a face to pixels and exact landmarks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_data.drawn import lighting
from fer_data.drawn.face import Face
from fer_data.drawn.features import Scene, paint
from fer_data.drawn.geometry import View, intensities, place_landmarks
from fer_data.drawn.occluders import draw_occluder
from fer_data.drawn.raster import Layer, Plane, blur, clouds
from fer_data.errors import FerError
from fer_data.expressions import LIGHTS, OCCLUSIONS

SMALLEST_PX = 16


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawn face.

    Attributes:
        image: uint8 [size, size].
        landmarks: float32 [68, 2], x and y in pixels of `image`, iBUG order, also where something covers them.
    """

    image: NDArray[np.uint8]
    landmarks: NDArray[np.float32]


def render(face: Face, size_px: int) -> Drawing:
    """Draw a face. The same face gives the same picture, alone or among others.

    Args:
        size_px: side of the picture, at least 16.

    Raises:
        FerError: a picture too small to hold a face, or a light or occlusion that is unknown.
    """
    if size_px < SMALLEST_PX:
        raise FerError(f"size_px: expected at least {SMALLEST_PX}, found {size_px}; choose a larger picture")
    if face.light not in LIGHTS:
        raise FerError(f"light {face.light!r} is unknown; expected one of {', '.join(LIGHTS)}")
    if face.occlusion not in OCCLUSIONS:
        raise FerError(f"occlusion {face.occlusion!r} is unknown; expected one of {', '.join(OCCLUSIONS)}")
    rng = np.random.default_rng([face.seed, 1])
    scene = _scene(face, size_px, rng)
    paint(scene)
    albedo, creases = _skin_and_hair(scene, rng)
    lamp = lighting.choose_lamp(face.light, rng)
    person = scene.person.plane()
    relief = np.ones_like(person) - scene.hair.plane()
    if face.occlusion != "none":
        who = face.identity
        alpha, tone = draw_occluder(face.occlusion, scene.pixels, (size_px, size_px), who.skin, who.hair, rng)
        shadow = blur(alpha, 0.05 * scene.px)
        albedo = albedo * (1 - 0.25 * shadow) * (1 - alpha) + tone * alpha
        creases, relief, person = creases * (1 - alpha), relief * (1 - alpha), np.maximum(person, alpha)
    bright = lighting.shade(
        scene.view, size_px, lamp, relief, max(scene.unit("AU6"), 0.7 * scene.unit("AU12")), scene.unit("AU17")
    )
    lit = albedo * bright * (1 - 0.6 * creases)
    behind = lighting.background(size_px, lamp, rng)
    if lamp.rim:
        glow = blur(1 - person, 0.09 * scene.px + 0.5)
        lit = lit + lamp.rim * np.clip(glow, 0, 1) ** 1.5
    picture = np.asarray(behind * (1 - person) + lit * person, dtype=np.float32)
    return Drawing(lighting.expose(picture, person, lamp, rng), scene.pixels.astype(np.float32))


def _scene(face: Face, size_px: int, rng: np.random.Generator) -> Scene:
    units = intensities(face.action_units, face.identity.resting)
    view = View(face.pose, size_px)
    shape = place_landmarks(face.identity, units)
    return Scene(
        identity=face.identity,
        view=view,
        shape=shape,
        pixels=view.landmarks(shape),
        units=units,
        gaze=rng.normal(0, [0.035, 0.012]),
        cloth=rng.uniform(0.15, 0.85),
        size_px=size_px,
        albedo=Layer(size_px, size_px),
        person=Layer(size_px, size_px),
        hair=Layer(size_px, size_px, soft=True),
        creases=Layer(size_px, size_px, soft=True),
        beard=Layer(size_px, size_px, soft=True),
    )


def _skin_and_hair(scene: Scene, rng: np.random.Generator) -> tuple[Plane, Plane]:
    """Reflectance with the texture of skin and hair, and the depth of lines, float32 [size, size] each."""
    size, px, who = scene.size_px, scene.px, scene.identity
    albedo, hair = scene.albedo.plane(), scene.hair.plane()
    skin_texture = 0.022 * clouds(size, size, (18, 18), rng)
    cells = (22, 22) if who.hair_style == "curly" else (5, 26)
    hair_texture = (0.28 if who.hair_style == "curly" else 0.11) * clouds(size, size, cells, rng)
    albedo = albedo * (1 + skin_texture * (1 - hair) + hair_texture * hair)
    if who.beard > 0:
        stubble = scene.beard.plane(0.05 * px) * who.beard * (0.85 + 0.15 * clouds(size, size, (16, 16), rng))
        albedo = albedo * (1 - stubble) + who.hair * 0.9 * stubble
    return np.asarray(albedo, dtype=np.float32), scene.creases.plane(0.022 * px)
