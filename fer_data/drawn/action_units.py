"""Which action units the basic expressions show.

Du, Tao & Martinez, "Compound facial expressions of emotion", PNAS 2014, Table 1: per expression the action units
that more than 70 % of the people used, and those that some used, with the share of people who did. They agree with
the prototypes of EMFACS (Ekman & Friesen, 1983).
"""

from types import MappingProxyType

import numpy as np

from fer_data.errors import FerError

UNITS = (
    "AU1", "AU2", "AU4", "AU5", "AU6", "AU7", "AU9", "AU10", "AU11", "AU12", "AU15", "AU17", "AU20", "AU23",
    "AU24", "AU25", "AU26", "AU27", "AU43",
)  # fmt: skip

# expression -> action unit -> share of people who show it
PROTOTYPES = MappingProxyType(
    {
        "anger": MappingProxyType({"AU4": 1, "AU7": 1, "AU24": 1, "AU10": 0.26, "AU17": 0.52, "AU23": 0.29}),
        "disgust": MappingProxyType({"AU9": 1, "AU10": 1, "AU17": 1, "AU4": 0.31, "AU24": 0.26}),
        "fear": MappingProxyType({"AU1": 1, "AU4": 1, "AU20": 1, "AU25": 1, "AU2": 0.57, "AU5": 0.63, "AU26": 0.33}),
        "happiness": MappingProxyType({"AU12": 1, "AU25": 1, "AU6": 0.51}),
        "sadness": MappingProxyType({"AU4": 1, "AU15": 1, "AU1": 0.6, "AU6": 0.5, "AU11": 0.26, "AU17": 0.67}),
        "surprise": MappingProxyType({"AU1": 1, "AU2": 1, "AU25": 1, "AU26": 1, "AU5": 0.66}),
        "neutral": MappingProxyType({}),
    }
)

# People do not show prototypes: expressions come weak, and blended with the one they are taken for.
_LOOK_ALIKE = MappingProxyType(
    {
        "anger": "disgust",
        "disgust": "anger",
        "fear": "surprise",
        "happiness": "surprise",
        "sadness": "neutral",
        "surprise": "fear",
        "neutral": "sadness",
    }
)
# Intensity (lowest, highest) of an expression as a whole: a smile is seldom faint, sadness often is.
_STRENGTH = MappingProxyType(
    {
        "anger": (0.2, 1.0),
        "disgust": (0.25, 1.0),
        "fear": (0.15, 0.95),
        "happiness": (0.2, 1.0),
        "sadness": (0.15, 0.95),
        "surprise": (0.2, 1.0),
        "neutral": (0.0, 0.0),
    }
)
_BLEND_SHARE = 0.45  # of the faces blend, up to _BLEND_MOST of the intensity of what dominates
_BLEND_MOST = 0.85
_HINT = 0.35  # the most that a neutral face shows of its look-alike


def sample_action_units(label: str, rng: np.random.Generator, strength: float | None = None) -> dict[str, float]:
    """Action units of one face that shows `label`, name -> intensity 0..1, only those above 0.

    Args:
        strength: intensity of the whole expression 0..1; None draws it, and blends in the look-alike now and then.

    Raises:
        FerError: `label` has no prototype.
    """
    if label not in PROTOTYPES:
        raise FerError(f"label {label!r} has no action-unit prototype; expected one of {', '.join(PROTOTYPES)}")
    units = dict.fromkeys(UNITS, 0.0)
    if strength is not None:
        _show(units, label, strength, rng)
    else:
        low, high = _STRENGTH[label]
        whole = low + (high - low) * rng.beta(1.5, 1.5)
        _show(units, label, whole, rng)
        if rng.random() < _BLEND_SHARE:
            _show(units, _LOOK_ALIKE[label], max(_BLEND_MOST * whole, _HINT) * rng.random(), rng)
        for unit in ("AU25", "AU26", "AU1", "AU4", "AU7", "AU17"):  # speech, squinting, habit
            if rng.random() < 0.12:
                units[unit] += rng.uniform(0.1, 0.4)
    if units["AU26"] > 0.75 and rng.random() < 0.4:
        units["AU27"] = units["AU26"] * 0.6
    return {unit: round(float(min(value, 1.0)), 3) for unit, value in units.items() if value > 0.01}


def _show(units: dict[str, float], label: str, strength: float, rng: np.random.Generator) -> None:
    for unit, share in PROTOTYPES[label].items():
        if rng.random() < share:
            units[unit] = max(units[unit], strength * rng.uniform(0.65, 1.15))
