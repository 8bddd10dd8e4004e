"""How a stored picture is shown: whole, cut to the face's box, or aligned by five landmarks.

A view is part of a store, applied whenever a picture is read; files and pixels on disk stay as the dataset has them.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.images import Pixels

# Eyes, nose tip and mouth corners in a square of side 1: the template that ArcFace aligns to, at 112 px.
TEMPLATE = (
    np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]) / 112
)
ALIGNED_PX = 112


class View(Configuration):
    """Cut and size of a picture."""

    crop: Literal["box", "align"]  # the dataset's face box, or similarity alignment by landmarks
    size_px: Annotated[int, Field(ge=8, le=2048)] | None = None  # side of the square; null: the box's own size, or 112
    margin: Annotated[float, Field(ge=0, le=2)] = 0.0  # added on each side, as a share of the box's side


def look(
    pixels: Pixels, view: View, box: Sequence[float] | None, landmarks: Sequence[float] | None, where: str
) -> Pixels:
    """A picture through a view, uint8 [H, W] or [H, W, 3] as it came, square where `view.size_px` is set.

    Args:
        box: left, top, right, bottom in pixels of the picture.
        landmarks: x0, y0, x1, y1, … in pixels of the picture, 5 or 68 points.
        where: file and row, for messages.

    Raises:
        FerError: the view needs a box or landmarks and there are none, or none that can be used.
    """
    if view.crop == "box":
        return _cut(pixels, view, box, where)
    return _aligned(pixels, five_points(landmarks, where), view.size_px or ALIGNED_PX, view.margin)


def five_points(landmarks: Sequence[float] | None, where: str) -> NDArray[np.float64]:
    """Centres of the left and right eye as seen in the picture, nose tip, mouth corners: float64 [5, 2].

    68 points are those of iBUG 300-W (Sagonas et al., "300 Faces in-the-Wild Challenge", ICCVW 2013), where points
    36-41 and 42-47 outline the eyes, 30 is the nose tip, 48 and 54 are the mouth's corners.

    Raises:
        FerError: no landmarks, or neither 5 nor 68.
    """
    points = np.asarray(landmarks if landmarks is not None else (), dtype=np.float64).reshape(-1, 2)
    if not np.isfinite(points).all() or len(points) not in (5, 68):
        raise FerError(f"{where}: expected 5 or 68 landmarks to align by, found {len(points) or 'none'}")
    if len(points) == 5:
        return points
    return np.stack([points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]])


def similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rotation, uniform scale and shift, float64 [2, 3], that takes points [N, 2] to others best.

    Least squares in closed form: Umeyama, "Least-squares estimation of transformation parameters between two point
    patterns", IEEE PAMI 13(4), 1991; in the plane, without reflection, one complex number.
    """
    a, b = (points[:, 0] + 1j * points[:, 1] for points in (source, target))
    from_mean = a - a.mean()
    turn = np.vdot(from_mean, b - b.mean()) / max(np.vdot(from_mean, from_mean).real, 1e-12)
    shift = b.mean() - turn * a.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def _cut(pixels: Pixels, view: View, box: Sequence[float] | None, where: str) -> Pixels:
    height, width = pixels.shape[:2]
    if box is None or len(box) != 4 or not np.isfinite(box).all():
        raise FerError(f"{where}: expected a face box to cut by, found none")
    left, top, right, bottom = (float(edge) for edge in box)
    if not (left < right and top < bottom and left < width and top < height and right > 0 and bottom > 0):
        raise FerError(
            f"{where}: expected a face box inside {width}x{height} pixels, found {left:g},{top:g},{right:g},{bottom:g}"
        )
    spare_x, spare_y = view.margin * (right - left), view.margin * (bottom - top)
    edges = (
        max(0, round(left - spare_x)),
        max(0, round(top - spare_y)),
        min(width, max(round(right + spare_x), round(left - spare_x) + 1)),
        min(height, max(round(bottom + spare_y), round(top - spare_y) + 1)),
    )
    image = Image.fromarray(pixels).crop(edges)
    if view.size_px is not None:
        smaller = image.width > view.size_px
        resampling = Image.Resampling.LANCZOS if smaller else Image.Resampling.BICUBIC
        image = image.resize((view.size_px, view.size_px), resampling)
    return np.asarray(image)


def _aligned(pixels: Pixels, points: NDArray[np.float64], size_px: int, margin: float) -> Pixels:
    # Landmarks and template name pixel centres by whole numbers; PIL's coordinates put them at halves.
    target = (TEMPLATE + margin) / (1 + 2 * margin) * size_px + 0.5
    forward = similarity(points + 0.5, target)
    image = Image.fromarray(pixels)
    # Sampling sees 4x4 pixels only: what becomes much smaller is averaged first, or it would alias.
    factor = max(1, int(1 / max(float(np.hypot(*forward[:, 0])), 1e-6)))
    if factor > 1:
        image = image.reduce(factor)
    rotation = np.linalg.inv(forward[:, :2])
    back = np.column_stack([rotation, -rotation @ forward[:, 2]]) / factor
    return np.asarray(
        image.transform((size_px, size_px), Image.Transform.AFFINE, tuple(back.ravel()), Image.Resampling.BICUBIC)
    )
