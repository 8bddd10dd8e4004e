"""What a drawn face is made of: who it is, what it shows, how it is turned, lit and covered."""

from collections.abc import Mapping
from dataclasses import dataclass

HAIR_STYLES = ("bald", "short", "fringe", "long", "curly", "parted")


@dataclass(frozen=True, slots=True)
class Identity:
    """One drawn person. Lengths are factors around 1 or offsets in face units (half the width of the face = 1).

    Attributes:
        age: 0 (child) .. 1 (old); lines, grey hair and proportions follow it.
        skin, hair, iris: reflectance 0..1.
        lip: reflectance of the lips as a factor of the skin's.
        beard: 0 (shaven) .. 1 (full).
        resting: action units that this person's neutral face seems to show, intensity 0..1.
    """

    age: float
    skin: float
    hair: float
    iris: float
    lip: float
    head_width: float
    jaw: float
    chin: float
    eye_size: float
    eye_spacing: float
    eye_tilt: float
    brow_height: float
    brow_tilt: float
    brow_thickness: float
    nose_length: float
    nose_width: float
    mouth_width: float
    mouth_height: float
    lip_fullness: float
    hair_style: str
    hairline: float
    beard: float
    glasses: bool
    resting: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Pose:
    """How the head is turned and framed.

    Attributes:
        yaw_deg: positive turns the face to the right of the picture.
        pitch_deg: positive looks down.
        roll_deg: positive tilts clockwise in the picture.
        scale: half the width of the face as a share of the picture's width.
        centre_x, centre_y: where the middle between the eyes lies, as a share of the picture.
    """

    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    scale: float = 0.41
    centre_x: float = 0.5
    centre_y: float = 0.38


@dataclass(frozen=True, slots=True)
class Face:
    """Everything a picture follows from; `seed` decides what is left to chance (background, camera, folds).

    Attributes:
        action_units: "AU12" -> intensity 0..1, the expression shown; `identity.resting` comes on top.
        light: one of `fer_data.expressions.LIGHTS`.
        occlusion: one of `fer_data.expressions.OCCLUSIONS`.
    """

    identity: Identity
    action_units: Mapping[str, float]
    pose: Pose
    light: str
    occlusion: str
    seed: int
