"""Where the parts of a drawn face lie: 68 landmarks moved by identity and action units, then projected.

Face units: half the width of the face is 1, x to the right of the picture, y down, z to the viewer; the origin lies
between the eyes. Landmarks follow the iBUG 68-point scheme (Sagonas et al., "300 Faces in-the-Wild Challenge", 2013).
"""

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from fer_data.drawn.action_units import UNITS
from fer_data.drawn.face import Identity, Pose

Points = NDArray[np.float64]

JAW, BROWS, NOSE = slice(0, 17), (slice(17, 22), slice(22, 27)), slice(27, 36)
EYES = (slice(36, 42), slice(42, 48))
LIPS, INNER_LIPS = slice(48, 60), slice(60, 68)

# For each landmark the one on the other side of the face.
MIRROR = np.array(
    [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31, 45, 44, 43, 42, 47, 46, 39, 38, 37, 36,
     41, 40, 54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
)  # fmt: skip

# The picture's right half at rest, and the middle.
_HALF = MappingProxyType(
    {
        8: (0, 1.45), 9: (0.27, 1.40), 10: (0.51, 1.25), 11: (0.70, 1.02), 12: (0.83, 0.76), 13: (0.91, 0.48),
        14: (0.96, 0.20), 15: (0.985, -0.06), 16: (0.99, -0.32),
        22: (0.16, -0.30), 23: (0.30, -0.37), 24: (0.46, -0.385), 25: (0.62, -0.345), 26: (0.76, -0.24),
        27: (0, -0.05), 28: (0, 0.13), 29: (0, 0.31), 30: (0, 0.48), 33: (0, 0.62), 34: (0.10, 0.60), 35: (0.20, 0.55),
        42: (0.22, 0.025), 43: (0.335, -0.09), 44: (0.49, -0.105), 45: (0.63, -0.005), 46: (0.50, 0.08),
        47: (0.345, 0.085),
        51: (0, 0.885), 52: (0.10, 0.865), 53: (0.25, 0.905), 54: (0.39, 0.97), 55: (0.27, 1.045), 56: (0.13, 1.095),
        57: (0, 1.105), 62: (0, 0.965), 63: (0.12, 0.96), 64: (0.34, 0.97), 65: (0.12, 0.975), 66: (0, 0.98),
    }
)  # fmt: skip

# How full intensity moves landmarks of the right half, in face units; the left half mirrors it.
_MOVES: Mapping[str, Mapping[int, tuple[float, float]]] = MappingProxyType(
    {
        "AU1": {22: (0, -0.15), 23: (0, -0.11), 24: (0, -0.05)},
        "AU2": {24: (0, -0.08), 25: (0, -0.14), 26: (0.01, -0.12), 23: (0, -0.04), 43: (0, -0.01), 44: (0, -0.015)},
        "AU4": {22: (-0.06, 0.13), 23: (-0.05, 0.11), 24: (-0.03, 0.07), 25: (-0.01, 0.04), 43: (0, 0.015)},
        "AU5": {43: (0, -0.07), 44: (0, -0.075), 42: (0, -0.005), 46: (0, 0.012), 47: (0, 0.012)},
        "AU6": {46: (0, -0.04), 47: (0, -0.03), 45: (-0.01, 0.005), 26: (0, 0.03), 44: (0, 0.012)},
        "AU7": {43: (0, 0.03), 44: (0, 0.035), 46: (0, -0.035), 47: (0, -0.035)},
        "AU9": {
            35: (0.03, -0.07), 34: (0.01, -0.05), 33: (0, -0.04), 30: (0, -0.04), 22: (-0.03, 0.08), 23: (-0.02, 0.06),
            24: (0, 0.03), 52: (0, -0.06), 51: (0, -0.05), 53: (0, -0.05), 47: (0, -0.02), 46: (0, -0.025),
            43: (0, 0.025), 44: (0, 0.02),
        },
        "AU10": {
            51: (0, -0.075), 52: (0, -0.10), 53: (0.01, -0.085), 62: (0, -0.055), 63: (0, -0.07), 35: (0.02, -0.035),
            54: (0.01, -0.01), 64: (0.01, -0.01),
        },
        "AU11": {53: (0.01, -0.02), 35: (0.01, -0.01)},
        "AU12": {
            54: (0.13, -0.14), 64: (0.13, -0.14), 53: (0.09, -0.06), 55: (0.09, -0.05), 52: (0.03, -0.005),
            56: (0.04, 0.0), 63: (0.03, -0.015), 65: (0.03, -0.01), 51: (0, 0.015), 47: (0, -0.01), 46: (0, -0.012),
            12: (0.02, -0.01), 35: (0.03, -0.005),
        },
        "AU15": {54: (0.01, 0.14), 64: (0.01, 0.13), 53: (0, 0.05), 55: (0, 0.07), 63: (0, 0.015), 65: (0, 0.015)},
        "AU17": {
            57: (0, -0.07), 56: (0, -0.06), 55: (0, -0.01), 66: (0, -0.035), 65: (0, -0.03), 62: (0, -0.03),
            63: (0, -0.025), 51: (0, -0.025), 52: (0, -0.02), 54: (0, 0.03), 64: (0, 0.03), 8: (0, -0.04),
            9: (0, -0.03),
        },
        "AU20": {
            54: (0.17, 0.05), 64: (0.17, 0.05), 53: (0.12, 0.02), 55: (0.12, 0.02), 52: (0.04, 0.01), 56: (0.05, -0.01),
            63: (0.05, 0), 65: (0.05, 0), 57: (0, -0.015),
        },
        "AU23": {54: (-0.04, 0), 64: (-0.03, 0), 53: (-0.02, 0.02), 52: (0, 0.025), 51: (0, 0.02), 56: (0, -0.03),
                 57: (0, -0.03), 55: (-0.02, -0.02)},
        "AU24": {54: (-0.06, 0), 64: (-0.05, 0), 53: (-0.03, 0.035), 52: (0, 0.055), 51: (0, 0.045), 56: (0, -0.06),
                 57: (0, -0.06), 55: (-0.03, -0.035)},
        "AU25": {
            66: (0, 0.075), 65: (0, 0.065), 57: (0, 0.05), 56: (0, 0.05), 55: (0, 0.02), 62: (0, -0.02), 63: (0, -0.02),
            51: (0, -0.01), 52: (0, -0.01),
        },
        "AU26": {
            66: (0, 0.20), 65: (-0.01, 0.18), 57: (0, 0.19), 56: (-0.01, 0.18), 55: (-0.03, 0.12), 54: (-0.05, 0.05),
            64: (-0.05, 0.05), 53: (-0.03, 0.0), 8: (0, 0.17), 9: (0, 0.16), 10: (0, 0.12), 11: (0, 0.06),
            63: (0, -0.01), 62: (0, -0.01),
        },
        "AU27": {
            66: (0, 0.20), 65: (0, 0.19), 57: (0, 0.19), 56: (0, 0.18), 55: (-0.02, 0.13), 54: (-0.04, 0.07),
            64: (-0.04, 0.07), 8: (0, 0.17), 9: (0, 0.16), 10: (0, 0.12), 11: (0, 0.05), 62: (0, -0.02),
        },
        "AU43": {43: (0, 0.10), 44: (0, 0.11), 46: (0, -0.01), 47: (0, -0.01)},
    }
)  # fmt: skip


def _both_halves(half: Mapping[int, tuple[float, float]]) -> Points:
    points = np.zeros((68, 2))
    for index, (x, y) in half.items():
        points[index] = x, y
        points[MIRROR[index]] = -x if MIRROR[index] != index else x, y
    return points


_REST = _both_halves(_HALF)
_BASIS = np.stack([_both_halves(_MOVES.get(unit, {})) for unit in UNITS])
_MIDDLE, _CURVE = np.array([0.0, 0.1]), 1 / np.array([1.12, 1.75])  # the head's ellipsoid
_NOSE_DEPTH = np.array([0.06, 0.14, 0.23, 0.33, 0.14, 0.18, 0.22, 0.18, 0.14])


def intensities(action_units: Mapping[str, float], resting: Mapping[str, float]) -> NDArray[np.float64]:
    """Intensity of every unit of UNITS, 0..1: the expression and the resting face together, float64 [19]."""
    return np.array([min(1.0, action_units.get(unit, 0.0) + resting.get(unit, 0.0)) for unit in UNITS])


def place_landmarks(identity: Identity, units: NDArray[np.float64]) -> Points:
    """The 68 landmarks of a face in face units, before it is turned, float64 [68, 2]."""
    points = _REST.copy()
    _shape(points, identity)
    points += np.tensordot(units, _BASIS, axes=1)
    for eye in EYES:  # lids meet, they do not cross
        for upper, lower in ((1, 5), (2, 4)):
            top, bottom = points[eye][upper, 1], points[eye][lower, 1]
            points[eye][upper, 1] = min(top, bottom - 0.01)
    for upper, lower in ((61, 67), (62, 66), (63, 65)):  # and so do lips
        points[lower, 1] = max(points[lower, 1], points[upper, 1] + 0.008)
    for outer, inner in ((49, 61), (50, 61), (51, 62), (52, 63), (53, 63)):
        points[outer, 1] = min(points[outer, 1], points[inner, 1] - 0.02)
    for outer, inner in ((55, 65), (56, 65), (57, 66), (58, 67), (59, 67)):
        points[outer, 1] = max(points[outer, 1], points[inner, 1] + 0.025)
    return points


def rest_landmarks(view: "View") -> Points:
    """The 68 landmarks of an average face that shows nothing, as `view` projects them, float64 [68, 2]."""
    return view.landmarks(_REST)


def _shape(points: Points, identity: Identity) -> None:
    """Turn the face at rest into this person's, in place."""
    side = np.sign(points[:, :1])
    points[JAW, 0] *= 1 + 0.16 * (identity.jaw - 0.5) * np.clip(points[JAW, 1] / 1.2, 0, 1)
    low = points[JAW, 1] > 0.5
    points[JAW][low, 1] += (identity.chin - 1) * (points[JAW][low, 1] - 0.5) / 0.95
    for eye in EYES:
        middle = points[eye].mean(axis=0)
        points[eye] = middle + (points[eye] - middle) * identity.eye_size
        points[eye, 0] += side[eye][0] * (identity.eye_spacing - 1) * 0.4
        points[eye, 1] -= identity.eye_tilt * (np.abs(points[eye, 0]) - 0.42)
    for brow in BROWS:
        points[brow, 1] -= identity.brow_height + identity.brow_tilt * (np.abs(points[brow, 0]) - 0.45)
        points[brow, 0] += side[brow, 0] * (identity.eye_spacing - 1) * 0.3
    points[NOSE, 1] = points[NOSE, 1] * identity.nose_length
    points[31:36, 0] *= identity.nose_width
    mouth = slice(48, 68)
    points[mouth, 0] *= identity.mouth_width
    points[mouth, 1] += identity.mouth_height
    points[LIPS, 1] += (points[LIPS, 1] - 0.97 - identity.mouth_height) * (identity.lip_fullness - 1)
    points[:, 0] *= identity.head_width


class View:
    """Projects face units onto a picture: rotation about the head's middle, no perspective."""

    def __init__(self, pose: Pose, size_px: int) -> None:
        yaw, pitch, roll = (math.radians(angle) for angle in (pose.yaw_deg, pose.pitch_deg, pose.roll_deg))
        turn = np.array([[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]])
        nod = np.array([[1, 0, 0], [0, math.cos(pitch), math.sin(pitch)], [0, -math.sin(pitch), math.cos(pitch)]])
        tilt = np.array([[math.cos(roll), -math.sin(roll)], [math.sin(roll), math.cos(roll)]])
        self.unit_px = pose.scale * size_px
        self.matrix = tilt @ (nod @ turn)[:2] * self.unit_px
        # A crop follows the face: most of what turning moves is taken back.
        self._flat = np.ascontiguousarray(self.matrix[:, :2].T)
        self.origin = np.array([pose.centre_x, pose.centre_y]) * size_px - self.matrix @ np.array([0, 0, 0.65])
        self.head = self.matrix @ np.array([0, 0.1, 0]) + self.origin
        self.tilt = tilt

    def __call__(self, xy: Points, depth: NDArray[np.float64] | float = 0.0) -> Points:
        """Picture coordinates in pixels, float64 [N, 2], of points on the face `depth` above the head's surface."""
        ball = (xy - _MIDDLE) * _CURVE
        z = 0.95 * np.sqrt(np.maximum(1 - (ball * ball).sum(axis=1), 0.02)) + depth
        projected: Points = xy @ self._flat
        projected += np.multiply.outer(z, self.matrix[:, 2])
        projected += self.origin
        return projected

    def landmarks(self, points: Points) -> Points:
        """Picture coordinates of 68 landmarks in pixels, float64 [68, 2]; column i of the picture covers i..i+1."""
        depth = np.zeros(68)
        depth[NOSE] = _NOSE_DEPTH
        depth[36:48] = -0.05
        depth[48:68] = 0.06
        return self(points, depth)
