"""Numbers that tell a broken picture from a face: too little contrast, clipped tones, a checkerboard or noise."""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

_CLIPPED = 1  # grey levels from either end of 0..255
_LEAST_CONTRAST = 1.0  # grey levels, so that a flat picture has no detail instead of infinitely much


def contrast(pictures: NDArray[np.uint8]) -> Numbers:
    """Standard deviation of the tones of pictures uint8 [N, C, S, S], float64 [N] in grey levels 0..127.5."""
    spread: Numbers = pictures.std(axis=(1, 2, 3), dtype=np.float64)
    return spread


def clipping(pictures: NDArray[np.uint8]) -> Numbers:
    """Share of black and white pixels, float64 [N] in 0..1."""
    clipped = (pictures <= _CLIPPED) | (pictures >= 255 - _CLIPPED)
    share: Numbers = clipped.mean(axis=(1, 2, 3), dtype=np.float64)
    return share


def detail(pictures: NDArray[np.uint8]) -> Numbers:
    """How much of the contrast changes from pixel to pixel along both axes, float64 [N], not negative.

    Root mean square of (a - b - c + d) / 2 over every 2x2 pixels (a b above c d), which is the diagonal band of
    Haar's wavelet without subsampling, over the contrast. A face has little of it, a smear less, noise and the
    checkerboards of upsampling networks (Odena et al., "Deconvolution and Checkerboard Artifacts", Distill 2016) much.
    """
    grey = pictures.mean(axis=1, dtype=np.float32)
    diagonal = (grey[:, 1:, 1:] - grey[:, 1:, :-1] - grey[:, :-1, 1:] + grey[:, :-1, :-1]) / 2
    strength: Numbers = np.sqrt(np.square(diagonal).mean(axis=(1, 2), dtype=np.float64))
    strength /= np.maximum(contrast(pictures), _LEAST_CONTRAST)
    return strength
