"""Who is drawn and what they show: identities, expressions and conditions from one seed each."""

import numpy as np

from fer_data.drawn.action_units import sample_action_units
from fer_data.drawn.face import HAIR_STYLES, Face, Identity, Pose


def sample_identity(seed: int) -> Identity:
    """One person, the same for the same seed."""
    rng = np.random.default_rng([seed, 2])
    age = float(rng.beta(1.8, 2.2))
    child = max(0.0, 0.3 - age) / 0.3
    skin = float(rng.uniform(0.38, 0.9))
    dark = float(rng.uniform(0.04, 0.35) if skin < 0.55 or rng.random() < 0.7 else rng.uniform(0.35, 0.75))
    hair = dark + max(0.0, age - 0.65) * 1.5 * (0.85 - dark)
    style = str(rng.choice(HAIR_STYLES, p=[0.08, 0.3, 0.14, 0.24, 0.1, 0.14]))
    bearded = age > 0.25 and style != "long" and rng.random() < 0.35
    resting = {"AU4": 0.16, "AU15": 0.16, "AU12": 0.13, "AU1": 0.12, "AU7": 0.2, "AU24": 0.18, "AU10": 0.1}
    return Identity(
        age=age,
        skin=skin,
        hair=float(hair),
        iris=float(rng.uniform(0.06, 0.4)),
        lip=float(rng.uniform(0.62, 0.9)),
        head_width=_normal(rng, 1.0, 0.045, 0.88, 1.12),
        jaw=float(rng.beta(2, 2)),
        chin=_normal(rng, 1.0 - 0.08 * child, 0.05),
        eye_size=_normal(rng, 1.0 + 0.14 * child, 0.08, 0.8, 1.3),
        eye_spacing=_normal(rng, 1.0, 0.06),
        eye_tilt=_normal(rng, 0.02, 0.06),
        brow_height=_normal(rng, 0.02 * child, 0.035),
        brow_tilt=_normal(rng, 0, 0.08),
        brow_thickness=float(rng.lognormal(-0.25 * child, 0.25)),
        nose_length=_normal(rng, 1.0 - 0.1 * child, 0.05),
        nose_width=_normal(rng, 1.0, 0.13, 0.7, 1.4),
        mouth_width=_normal(rng, 1.0, 0.09),
        mouth_height=_normal(rng, -0.03 * child, 0.03),
        lip_fullness=float(rng.lognormal(0, 0.25)),
        hair_style=style,
        hairline=float(rng.uniform(-1.05, -0.8) - 0.15 * (age > 0.6) * rng.random()),
        beard=float(rng.uniform(0.12, 0.85)) if bearded else 0.0,
        glasses=bool(rng.random() < 0.12 + 0.2 * age),
        resting={unit: round(float(most * rng.random()), 3) for unit, most in resting.items() if rng.random() < 0.45},
    )


def sample_face(
    seed: int,
    label: str,
    identity: Identity,
    occlusion: str = "none",
    light: str = "normal",
    strength: float | None = None,
) -> Face:
    """One face, the same for the same arguments.

    Args:
        label: the expression it shows, a label of `basic7`.
        strength: intensity of the expression 0..1; None draws it.

    Raises:
        FerError: the label has no prototype.
    """
    rng = np.random.default_rng([seed, 0])
    pose = Pose(
        yaw_deg=_normal(rng, 0, 12, -30, 30),
        pitch_deg=_normal(rng, 0, 6, -14, 14),
        roll_deg=_normal(rng, 0, 6, -15, 15),
        scale=float(rng.uniform(0.38, 0.45)),
        centre_x=float(0.5 + rng.normal(0, 0.02)),
        centre_y=float(0.38 + rng.normal(0, 0.02)),
    )
    return Face(identity, sample_action_units(label, rng, strength), pose, light, occlusion, seed)


def _normal(
    rng: np.random.Generator, mean: float, deviation: float, low: float = -np.inf, high: float = np.inf
) -> float:
    return float(np.clip(rng.normal(mean, deviation), low, high))
