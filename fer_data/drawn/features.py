"""Paints the parts of a drawn face: head, hair, eyes, brows, nose, mouth, lines."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_data.drawn.action_units import UNITS
from fer_data.drawn.face import Identity
from fer_data.drawn.geometry import BROWS, EYES, INNER_LIPS, LIPS, Points, View
from fer_data.drawn.raster import Layer, curve

_INDEX = {unit: index for index, unit in enumerate(UNITS)}


@dataclass(slots=True)
class Scene:
    """What is painted, and the layers it is painted on.

    Attributes:
        shape: landmarks in face units; pixels: the same in the picture.
        units: intensity of every unit of `action_units.UNITS`.
        gaze: offset of the irises in face units; cloth: reflectance of what is worn.
        albedo: reflectance; person: where the person is; hair: where hair is; creases: lines in the skin, bright is
            deep; beard: where a beard would grow.
    """

    identity: Identity
    view: View
    shape: Points
    pixels: Points
    units: NDArray[np.float64]
    gaze: NDArray[np.float64]
    cloth: float
    size_px: int
    albedo: Layer
    person: Layer
    hair: Layer
    creases: Layer
    beard: Layer

    def unit(self, *names: str) -> float:
        """The strongest of some action units, 0..1."""
        return max(float(self.units[_INDEX[name]]) for name in names)

    def at(self, *points: tuple[float, float]) -> Points:
        """Face units to pixels, on the head's surface."""
        return self.view(np.array(points))

    @property
    def px(self) -> float:
        """Pixels of one face unit."""
        return self.view.unit_px


def paint(scene: Scene) -> None:
    """Paint a whole face, back to front."""
    _behind(scene)
    _head(scene)
    _beard(scene)
    _mouth(scene)
    _nose(scene)
    _eyeballs(scene)
    for side, eye in zip((-1, 1), EYES, strict=True):
        _lids(scene, scene.pixels[eye], side)
    _brows(scene)
    _creases(scene)
    _front_hair(scene)
    if scene.identity.glasses:
        _glasses(scene)


def _solid(scene: Scene, points: Points, tone: float, hair: float) -> None:
    scene.albedo.fill(points, tone)
    scene.person.fill(points, 1.0)
    scene.hair.fill(points, hair)


def _behind(scene: Scene) -> None:
    who = scene.identity
    width = who.head_width
    if who.hair_style == "long":
        back = scene.at((-0.7, -1.2), (-1.18, -0.5), (-1.3, 0.4), (-1.28, 1.3), (-1.2, 2.2), (1.2, 2.2), (1.28, 1.3),
                        (1.3, 0.4), (1.18, -0.5), (0.7, -1.2))  # fmt: skip
        _solid(scene, curve(back, closed=True), who.hair * 0.8, 1.0)
    elif who.hair_style != "bald":
        fluff = 1.22 if who.hair_style == "curly" else 1.07
        back = scene.at((-0.6, -1.35), (-fluff, -0.6), (-fluff, 0.05), (fluff, 0.05), (fluff, -0.6), (0.6, -1.35))
        _solid(scene, curve(back, closed=True), who.hair * 0.85, 1.0)
    _solid(
        scene, scene.at((-2.6, 3.0), (-2.4, 1.95), (-0.8, 1.62), (0.8, 1.62), (2.4, 1.95), (2.6, 3.0)), scene.cloth, 0.0
    )
    neck = 0.62 * width
    _solid(scene, scene.at((-neck, 0.9), (-neck, 1.7), (0, 2.0), (neck, 1.7), (neck, 0.9)), who.skin * 0.72, 0.0)
    if who.hair_style not in ("long", "curly"):
        for side in (-1, 1):
            ear = scene.at((side * 1.03 * width, 0.1))[0]
            for layer, tone in ((scene.albedo, who.skin * 0.9), (scene.person, 1.0), (scene.hair, 0.0)):
                layer.disc(ear, 0.1 * scene.px, 0.24 * scene.px, tone)


def _head(scene: Scene) -> None:
    width = scene.identity.head_width
    jaw = scene.pixels[0:17]
    top = scene.at((0.97 * width, -0.6), (0.82 * width, -0.98), (0.5 * width, -1.24), (0, -1.33),
                   (-0.5 * width, -1.24), (-0.82 * width, -0.98), (-0.97 * width, -0.6))  # fmt: skip
    _solid(scene, curve(np.vstack([jaw, top]), closed=True, steps=3), scene.identity.skin, 0.0)


def _beard(scene: Scene) -> None:
    who = scene.identity
    if who.beard <= 0:
        return
    jaw, upper = scene.pixels[2:15], scene.at((0.72, 0.62), (0.3, 0.72), (0, 0.70), (-0.3, 0.72), (-0.72, 0.62))
    scene.beard.fill(np.vstack([jaw, upper]), 1.0)
    scene.beard.fill(curve(scene.pixels[LIPS], closed=True), 0.0)


def _mouth(scene: Scene) -> None:
    who, outer, inner = scene.identity, scene.pixels[LIPS], scene.pixels[INNER_LIPS]
    lip = who.skin * who.lip
    scene.albedo.fill(curve(outer, closed=True), lip)
    upper = np.vstack([curve(outer[:7]), curve(inner[4::-1])])
    scene.albedo.fill(upper, lip * 0.86)
    gap = scene.shape[66, 1] - scene.shape[62, 1]
    if gap > 0.035:
        scene.albedo.fill(curve(inner, closed=True), 0.09)
        _teeth(scene, inner, gap)
        if gap > 0.3:
            tongue = inner[[5, 6, 7]].mean(axis=0) - (inner[6] - inner[2]) * 0.16
            scene.albedo.disc(tongue, 0.13 * scene.px, 0.06 * scene.px, 0.3)
    else:
        seam = curve(np.vstack([inner[0], inner[[1, 2, 3]] * 0.5 + inner[[7, 6, 5]] * 0.5, inner[4]]))
        scene.albedo.line(seam, who.skin * 0.33, 0.035 * scene.px)
    corner = 0.03 + 0.05 * scene.unit("AU12", "AU15", "AU20", "AU24")
    for point in (outer[0], outer[6]):
        scene.creases.disc(point, 0.04 * scene.px, 0.04 * scene.px, 6 * corner)


def _teeth(scene: Scene, inner: Points, gap: float) -> None:
    shown = min(1.0, 0.35 + 1.2 * scene.unit("AU12", "AU10") + 0.8 * scene.unit("AU20", "AU9"))
    reach = min(0.8, 0.17 * shown / gap)
    top = inner[[0, 1, 2, 3, 4]]
    low = np.vstack([inner[0], inner[[7, 6, 5]], inner[4]])
    inset = top * 0.94 + top.mean(axis=0) * 0.06
    edge = inset + (low - top) * reach
    scene.albedo.fill(np.vstack([curve(inset), curve(edge)[::-1]]), 0.86)
    if scene.unit("AU20") > 0.3 and gap > 0.1:  # stretched lips bare the lower teeth too
        scene.albedo.fill(np.vstack([low + (top - low) * 0.05, (low + (top - low) * 0.25)[::-1]]), 0.62)


def _nose(scene: Scene) -> None:
    skin, px = scene.identity.skin, scene.px
    for point, outward in ((scene.pixels[32], -1), (scene.pixels[34], 1)):
        nostril = point + px * np.array([outward * 0.01, -0.005])
        scene.albedo.disc(nostril, 0.055 * px, 0.032 * px, skin * 0.38)
    for wing, below in ((31, 32), (35, 34)):
        point, inside = scene.pixels[wing], scene.pixels[below]
        up = point + (scene.pixels[28] - scene.pixels[33]) * 0.22
        scene.creases.line(curve(np.vstack([up, point + (point - inside) * 0.25, inside])), 0.55, 0.035 * px)


def _eyeballs(scene: Scene) -> None:
    """Both eyeballs, seen where the lids are open."""
    who, radius = scene.identity, 0.105 * scene.identity.eye_size * scene.px
    balls = Layer(scene.size_px, scene.size_px, 0.30 + 0.5 * min(1.0, 0.6 + who.skin * 0.5))
    opening = Layer(scene.size_px, scene.size_px)
    for eye in EYES:
        points = scene.pixels[eye]
        centre = (points[0] + points[3]) / 2 + scene.gaze * scene.px
        balls.disc(centre, radius, radius, who.iris)
        balls.disc(centre, radius * 0.5, radius * 0.5, 0.03)
        balls.disc(centre + radius * np.array([0.35, -0.4]), radius * 0.24, radius * 0.24, 0.95)
        opening.fill(curve(points, closed=True), 1.0)
    scene.albedo.paste(balls, opening)


def _lids(scene: Scene, eye: Points, side: int) -> None:
    who, px = scene.identity, scene.px
    inner, outer = (3, 0) if side < 0 else (0, 3)
    upper = curve(eye[[0, 1, 2, 3]])
    scene.albedo.line(upper, who.skin * 0.22, (0.032 + 0.02 * (who.lip < 0.75)) * px)
    scene.albedo.line(curve(eye[[3, 4, 5, 0]]), who.skin * 0.58, 0.02 * px)
    lift = (scene.pixels[27] - scene.pixels[28]) * (0.30 + 0.25 * scene.unit("AU43") - 0.1 * scene.unit("AU5"))
    scene.creases.line(upper + lift, 0.4, 0.03 * px)
    bag = 0.12 + 0.5 * max(scene.unit("AU6", "AU7") * 0.8, (who.age - 0.5) * 0.9)
    drop = (scene.pixels[28] - scene.pixels[27]) * 0.45
    scene.creases.line(curve(eye[[inner, 5 if inner == 0 else 4, outer]] + drop * 0.7), bag, 0.035 * px)
    scene.creases.disc(eye[inner], 0.035 * px, 0.03 * px, 0.5)


def _brows(scene: Scene) -> None:
    who, px = scene.identity, scene.px
    tone = min(who.hair, who.skin * 0.75) * 0.75 + who.skin * 0.08
    for brow, order in zip(BROWS, (slice(None, None, -1), slice(None)), strict=True):
        middle = curve(scene.pixels[brow][order])
        along = np.linspace(0, 1, len(middle))
        half = 0.062 * who.brow_thickness * px * (0.75 + 0.5 * along - 1.1 * along**2)
        lift = np.column_stack([np.zeros_like(half), np.maximum(half, 0.012 * px)])
        scene.albedo.fill(np.vstack([middle - lift, (middle + lift)[::-1]]), tone)


def _creases(scene: Scene) -> None:
    who, px, old = scene.identity, scene.px, max(0.0, scene.identity.age - 0.35)
    line, unit = scene.creases.line, scene.unit
    frown, raised = unit("AU4"), unit("AU1", "AU2")
    inner = scene.shape[22, 1] - 0.06
    if frown > 0.1:
        for side in (-1, 1):
            line(scene.at((side * 0.055, inner - 0.12), (side * 0.045, inner + 0.16)), 0.9 * frown, 0.04 * px)
    forehead = max(0.85 * raised - 0.1, 0.7 * old) * (0.4 if who.age < 0.25 else 1)
    if forehead > 0.1:
        reach = 0.30 + 0.3 * unit("AU2")
        for height in (-0.56, -0.70):
            sag = 0.05 * (unit("AU4") - unit("AU2"))
            line(curve(scene.at((-reach, height), (0, height - sag), (reach, height))), forehead * 0.7, 0.032 * px)
    wrinkle = unit("AU9")
    if wrinkle > 0.1:
        for height in (0.0, 0.1):
            line(curve(scene.at((-0.13, height + 0.06), (0, height), (0.13, height + 0.06))), 0.9 * wrinkle, 0.035 * px)
        for side in (-1, 1):
            line(scene.at((side * 0.07, 0.06), (side * 0.2, 0.28)), 0.7 * wrinkle, 0.04 * px)
    fold = max(0.85 * unit("AU12", "AU10"), 0.75 * unit("AU9", "AU11"), 0.35 * unit("AU20", "AU15"), 0.8 * old, 0.12)
    for wing, corner, side in ((31, 48, -1), (35, 54, 1)):
        start, end = scene.pixels[wing], scene.pixels[corner]
        out = np.array([side * (0.13 + 0.06 * unit("AU12")) * px, 0.0])
        path = np.vstack([start + out * 0.3 + [0, -0.05 * px], (start + end) / 2 + out, end + out * 0.95])
        line(curve(path), fold, (0.035 + 0.025 * fold) * px)
        feet = max(0.9 * unit("AU6"), 0.6 * old)
        if feet > 0.15:
            eye = scene.pixels[36 if side < 0 else 45]
            for rise in (-0.07, 0.0, 0.07):
                line(
                    eye + np.array([[side * 0.05, rise * 0.5], [side * 0.18, rise * 1.6]]) * px, 0.6 * feet, 0.025 * px
                )
    chin = unit("AU17")
    if chin > 0.1:
        centre = (scene.pixels[57] + scene.pixels[8]) / 2
        arc = centre + np.array([[-0.2, 0.03], [0, -0.06], [0.2, 0.03]]) * px
        line(curve(arc), 0.85 * chin, 0.045 * px)


def _front_hair(scene: Scene) -> None:
    who, style = scene.identity, scene.identity.hair_style
    if style == "bald":
        return
    puff = {"curly": 1.2, "long": 1.12}.get(style, 1.06)
    outer = [(1.02 * puff, -0.35), (0.98 * puff, -0.85), (0.6 * puff, -1.35 * puff), (0.0, -1.5 * puff),
             (-0.6 * puff, -1.35 * puff), (-0.98 * puff, -0.85), (-1.02 * puff, -0.35)]  # fmt: skip
    top = who.hairline
    if style == "fringe":
        inner = [
            (x, -0.5 - 0.12 * (index % 2) + 0.2 * (top + 0.9)) for index, x in enumerate(np.linspace(-0.8, 0.8, 9))
        ]
        inner = [(-0.96, -0.3), *inner, (0.96, -0.3)]
    elif style == "parted":
        inner = [
            (-0.95, -0.35),
            (-0.86, -0.6),
            (-0.45, top),
            (0.1, top - 0.05),
            (0.55, top + 0.18),
            (0.88, -0.55),
            (0.95, -0.3),
        ]
    else:
        inner = [
            (-0.96, -0.35),
            (-0.86, -0.72),
            (-0.55, top - 0.03),
            (0, top),
            (0.55, top - 0.03),
            (0.86, -0.72),
            (0.96, -0.35),
        ]
    points = np.vstack([curve(scene.at(*outer)), curve(scene.at(*inner))])
    _solid(scene, points, who.hair, 1.0)
    if style == "long":
        for side in (-1, 1):
            lock = scene.at(
                (side * 0.9, -0.8), (side * 0.9, 0.1), (side * 0.98, 0.9), (side * 1.25, 0.9), (side * 1.2, -0.6)
            )
            _solid(scene, curve(lock, closed=True), who.hair, 1.0)


def _glasses(scene: Scene) -> None:
    px, rim = scene.px, 0.12 + 0.3 * (scene.identity.age > 0.7)
    middles = [scene.pixels[eye].mean(axis=0) for eye in EYES]
    for middle, ear in zip(middles, (scene.pixels[0], scene.pixels[16]), strict=True):
        lens = middle + np.array([[-0.27, -0.16], [0.27, -0.16], [0.26, 0.14], [0.0, 0.23], [-0.26, 0.14]]) * px
        closed = curve(lens, closed=True)
        scene.albedo.line(np.vstack([closed, closed[:2]]), rim, 0.045 * px)
        side = np.sign(ear[0] - middle[0])
        scene.albedo.line(np.vstack([middle + px * np.array([side * 0.27, -0.08]), ear]), rim, 0.035 * px)
    scene.albedo.line(np.array([[0.25, -0.05], [-0.25, -0.05]]) * px + middles, rim, 0.045 * px)
