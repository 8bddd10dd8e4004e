"""Fingerprints of pictures: short vectors that stay close when a picture is moved, cropped, blurred or relit.

A picture is reduced to a thumbnail of 24 px, its gradients are pooled per orientation over 4 x 4 overlapping cells
(a small histogram of oriented gradients: Dalal and Triggs, CVPR 2005; square-rooted as in Arandjelović and Zisserman,
"Three things everyone should know to improve object retrieval", CVPR 2012), and a linear discriminant turns these 128
numbers into directions in which pictures differ much and altered copies of one picture differ little (Fisher 1936;
for descriptors: Mikolajczyk and Matas, "Improving descriptors for fast tree matching", ICCV 2007). The discriminant is
fitted on the pictures that are searched, with copies altered on purpose, so nothing learnt elsewhere is shipped.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_data.parallel import ordered_map

PICTURE_PX = 48  # side of the pictures that thumbnails are made from
THUMBNAIL_PX = 24
UNIT = 64  # a thumbnail's values are brightness 0..255 times this
DIMENSIONS = 48

_CELLS = 4  # per side
_ORIENTATIONS = 8
_BLOCK = 512
_TILE = 16  # pictures pooled at once: so few that BLAS starts no threads of its own beside ours
_FIT_GROUPS, _FIT_GROUP = 48, 64  # alterations, and pictures altered by each
_SHRINKAGE = 0.05

Floats = NDArray[np.float32]
Thumbnails = NDArray[np.uint16]


@dataclass(frozen=True)
class Projection:
    """A fitted discriminant: `centre` float32 [128], `axes` float32 [128, D]."""

    centre: Floats
    axes: Floats

    def __call__(self, histograms: Floats) -> Floats:
        """Fingerprints, float32 [N, D] of unit length, of histograms [N, 128]; cosines compare them."""
        points = (histograms - self.centre) @ self.axes
        points /= np.linalg.norm(points, axis=1, keepdims=True) + np.float32(1e-9)
        return np.asarray(points, dtype=np.float32)


def thumbnails(pictures: NDArray[np.uint8]) -> Thumbnails:
    """Half the side, low-passed with the binomial (1, 3, 3, 1) so that nothing folds back; exact in integers.

    Args:
        pictures: uint8 [N, 48, 48].

    Returns:
        uint16 [N, 24, 24], brightness times `UNIT`.
    """
    result = np.empty((len(pictures), THUMBNAIL_PX, THUMBNAIL_PX), dtype=np.uint16)
    for start in range(0, len(pictures), _BLOCK):
        padded = np.pad(pictures[start : start + _BLOCK], ((0, 0), (1, 1), (1, 1)), mode="edge").astype(np.uint16)
        rows = padded[:, 0:-2:2] + padded[:, 3::2] + 3 * (padded[:, 1:-2:2] + padded[:, 2:-1:2])
        result[start : start + _BLOCK] = (
            rows[:, :, 0:-2:2] + rows[:, :, 3::2] + 3 * (rows[:, :, 1:-2:2] + rows[:, :, 2:-1:2])
        )
    return result


def gradient_histograms(small: Thumbnails) -> Floats:
    """Gradients pooled over 4 x 4 cells and 8 orientations: float32 [N, 128] of unit length.

    Each is divided by its picture's sum before the square root: brightness and contrast cancel.
    """
    pooling = _pooling()

    def block(start: int) -> Floats:
        return _block_histograms(small[start : start + _BLOCK], pooling)

    empty = np.empty((0, _ORIENTATIONS * _CELLS**2), dtype=np.float32)
    return np.concatenate([empty, *ordered_map(block, range(0, len(small), _BLOCK))])


def _block_histograms(small: Thumbnails, pooling: Floats) -> Floats:
    picture = np.zeros((-(-len(small) // _TILE) * _TILE, THUMBNAIL_PX, THUMBNAIL_PX), dtype=np.float32)
    picture[: len(small)] = small
    across, down = np.zeros_like(picture), np.zeros_like(picture)
    across[:, :, 1:-1] = picture[:, :, 2:] - picture[:, :, :-2]
    down[:, 1:-1] = picture[:, 2:] - picture[:, :-2]
    pooled = np.empty((_ORIENTATIONS, len(picture), _CELLS**2), dtype=np.float32)
    for orientation in range(_ORIENTATIONS):
        angle = 2 * np.pi * orientation / _ORIENTATIONS
        along = across * np.float32(np.cos(angle))
        along += down * np.float32(np.sin(angle))
        tiles = np.maximum(along, 0, out=along).reshape(-1, _TILE, THUMBNAIL_PX**2)
        pooled[orientation] = np.matmul(tiles, pooling).reshape(len(picture), -1)
    flat = pooled.transpose(1, 0, 2).reshape(len(picture), -1)[: len(small)]
    return np.asarray(np.sqrt(flat / (flat.sum(axis=1, keepdims=True) + np.float32(1e-9))))


def mirrored(histograms: Floats) -> Floats:
    """Histograms of the mirrored pictures: cells and orientations change places, no picture is read."""
    shaped = histograms.reshape(-1, _ORIENTATIONS, _CELLS, _CELLS)
    opposite = (_ORIENTATIONS // 2 - np.arange(_ORIENTATIONS)) % _ORIENTATIONS
    return np.ascontiguousarray(shaped[:, opposite, :, ::-1]).reshape(len(histograms), -1)


def fit_projection(small: Thumbnails, seed: int) -> Projection:
    """Fit the discriminant on a sample of the pictures and on altered copies of them.

    Args:
        small: uint16 [N, 24, 24], N >= 1.
        seed: draws the sample and the alterations.
    """
    rng = np.random.default_rng(seed)
    count = min(len(small), _FIT_GROUPS * _FIT_GROUP)
    sample = small[np.sort(rng.choice(len(small), count, replace=False))]
    plain = gradient_histograms(sample)
    plain = np.concatenate([plain, mirrored(plain)])
    drawn = sample[rng.integers(0, count, _FIT_GROUPS * _FIT_GROUP)]
    copies = np.concatenate(
        [_altered(drawn[start : start + _FIT_GROUP], rng) for start in range(0, len(drawn), _FIT_GROUP)]
    )
    moved = gradient_histograms(copies) - gradient_histograms(drawn)
    moved = np.concatenate([moved, mirrored(moved)])
    centre = plain.mean(axis=0)
    within = _shrunk(moved.T @ moved / len(moved))
    between = _shrunk((plain - centre).T @ (plain - centre) / len(plain))
    whiten = np.linalg.inv(np.linalg.cholesky(within))
    _, axes = np.linalg.eigh(whiten @ between @ whiten.T)
    chosen = whiten.T @ axes[:, ::-1][:, :DIMENSIONS]
    return Projection(np.asarray(centre, np.float32), np.ascontiguousarray(chosen, np.float32))


def _altered(small: Thumbnails, rng: np.random.Generator) -> Thumbnails:
    """Copies under two kinds of alteration, as copies on the web are: moved, zoomed, blurred, relit, compressed."""
    kinds = rng.choice(["shift", "zoom", "blur", "tone", "noise"], 2, replace=False, p=[0.3, 0.2, 0.15, 0.2, 0.15])
    shift_px = rng.integers(-4, 5, 2) / 2 if "shift" in kinds else np.zeros(2)
    zoom, slack = (rng.uniform(0.9, 0.98), THUMBNAIL_PX / 2) if "zoom" in kinds else (1.0, 0.0)
    blur_px = rng.uniform(0.3, 0.8) if "blur" in kinds else 0.0
    beyond = str(rng.choice(["edge", "mirror", "black"]))
    rows, columns = (
        _resampling(zoom, shift + rng.uniform(-1, 1) * (1 - zoom) * slack, blur_px, beyond) for shift in shift_px
    )
    moved = np.matmul(np.matmul(rows, small.astype(np.float32) / UNIT), columns.T)
    shape = (len(small), 1, 1)
    if "tone" in kinds:
        mean = moved.mean(axis=(1, 2), keepdims=True)
        moved = (moved - mean) * np.exp(rng.uniform(-0.6, 0.4, shape)) + mean + rng.uniform(-45, 45, shape)
    if "noise" in kinds:
        moved = moved + rng.normal(size=moved.shape) * rng.uniform(1, 4, shape)
    return np.asarray(np.clip(moved, 0, 255) * UNIT, dtype=np.uint16)


def _resampling(zoom: float, shift_px: float, blur_px: float, beyond: str) -> Floats:
    """One axis: float32 [24, 24] that zooms about the centre, shifts and blurs.

    What lies `beyond` the picture repeats its edge, mirrors it or is black.
    """
    middle = (THUMBNAIL_PX - 1) / 2
    position = (np.arange(THUMBNAIL_PX) - middle) * zoom + middle + shift_px
    if beyond == "mirror":
        position = np.abs(position)
        position = THUMBNAIL_PX - 1 - np.abs(THUMBNAIL_PX - 1 - position)
    elif beyond == "edge":
        position = np.clip(position, 0, THUMBNAIL_PX - 1)
    distance = np.abs(position[:, None] - np.arange(THUMBNAIL_PX))
    weights = np.maximum(0, 1 - distance) if blur_px == 0 else np.exp(-0.5 * (distance / blur_px) ** 2)
    return np.asarray(weights / np.maximum(weights.sum(axis=1, keepdims=True), 0.1), dtype=np.float32)


def _pooling() -> Floats:
    """Triangular cells, each reaching to its neighbours' centres: float32 [576, 16]."""
    centres = (np.arange(_CELLS) + 0.5) * THUMBNAIL_PX / _CELLS
    reach = THUMBNAIL_PX / _CELLS
    weights = np.maximum(0, 1 - np.abs(np.arange(THUMBNAIL_PX)[:, None] + 0.5 - centres) / reach)
    return np.kron(weights, weights).astype(np.float32)


def _shrunk(covariance: NDArray[Any]) -> NDArray[np.float64]:
    """Towards a sphere, so that few pictures, or directions in which none of them differ, divide by no zero."""
    size = len(covariance)
    return np.asarray(covariance + np.eye(size) * (_SHRINKAGE * np.trace(covariance) / size + 1e-9), dtype=np.float64)
