"""A camera in less and less light: what a sensor makes of a face when few photons reach it.

A grey level stands for light by the display's power law (2.2). Light is cut by a factor (gain) and deepened in the
shadows (gamma), then counted in electrons: their number is Poisson's, and reading them out adds Gaussian noise. That
is the model of Hasinoff, "Photon, Poisson noise", in: Computer Vision, A Reference Guide, Springer 2014; the five
severities are ours.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

_DISPLAY = 2.2
_READ_NOISE = 2.0  # electrons


@dataclass(frozen=True)
class Exposure:
    """How a picture is taken in the dark.

    Attributes:
        gain: factor of the grey levels, 0..1.
        gamma: power of the grey levels, 1 or more.
        electrons: what white would count.
    """

    gain: float
    gamma: float
    electrons: float


# Each is darker and noisier than the one before.
EXPOSURES = (
    Exposure(0.60, 1.05, 8000),
    Exposure(0.42, 1.10, 4000),
    Exposure(0.30, 1.20, 2500),
    Exposure(0.21, 1.30, 1600),
    Exposure(0.14, 1.40, 1000),
)


def take_in_the_dark(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """A face as a camera sees it in low light.

    Args:
        image: uint8, any shape.
        severity: 1..5, an index of EXPOSURES from 1.
        rng: draws the noise.

    Returns:
        uint8 of the same shape.
    """
    exposure = EXPOSURES[severity - 1]
    seen = _dimmed(exposure)[image]
    electrons = exposure.electrons * seen
    counted = rng.poisson(electrons) + _READ_NOISE * rng.standard_normal(image.shape)
    light = np.clip(counted / exposure.electrons, 0, 1)
    return np.asarray(light ** (1 / _DISPLAY) * 255 + 0.5, dtype=np.uint8)


def _dimmed(exposure: Exposure) -> NDArray[np.float64]:
    """The light that each of the 256 grey levels stands for, of white, after gain and gamma."""
    levels = np.arange(256) / 255
    return np.asarray((exposure.gain * levels**exposure.gamma) ** _DISPLAY)
