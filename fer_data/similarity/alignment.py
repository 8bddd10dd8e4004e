"""Is it the same photograph? Two thumbnails are laid upon each other and their details compared.

The second picture is moved and zoomed until it fits the first (whole pixels by correlation, then Gauss-Newton on
shift and zoom of both axes with gain and offset: Lucas and Kanade 1981; Baker and Matthews, "Lucas-Kanade 20 years
on", IJCV 56, 2004). What counts is then the correlation of what a band-pass leaves over, divided by its local energy
(local contrast normalisation: Jarrett et al., ICCV 2009): shading, pose and a strong outline, in which many faces
agree, are gone, and so is the noise of compression; every part of the picture has to agree.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_data.parallel import ordered_map
from fer_data.similarity.fingerprints import PICTURE_PX, THUMBNAIL_PX, UNIT, Thumbnails

_COARSE_SHIFT_PX = 2  # of a coarse picture, half a thumbnail
_COARSE_WIDE_PX = 2.5
_BAND_PX = (0.7, 2.0)  # the band-pass is the difference of these two blurs, in thumbnail pixels
_LOCAL_PX = 3.0  # over which the energy of details is brought to one level
_NOISE = 1.4  # detail of this strength, in brightness 0..255, counts half
_FIRST_STEPS, _LAST_STEPS = 2, 3
_HOPELESS = (0.5, 0.65)  # correlation, coarse and after the first steps, below which no more are made
_ZOOM, _SHIFT = (0.82, 1.22), 0.17  # what a fit may reach; shift in parts of the side
_STEP = np.array([0.06, 1, 0.06, 1], dtype=np.float32)
_GAIN_UNIT = 64.0  # brings the columns of the fit to one size
_CUT_PX, _BLEEDING_PX = 0.25, 2.0
_BLOCK = 512

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Fit:
    """How pairs of pictures lie on each other.

    Attributes:
        similarity: float32 [P], correlation of details over the common area, at most 1; 1 for identical pictures.
        zoom: float32 [P, 2], how much larger the second picture shows things, across and down.
        shift_px: float32 [P, 2], by how much its content lies right of and below the first's, in pixels of 48.
    """

    similarity: Floats
    zoom: Floats
    shift_px: Floats


def align(small: Thumbnails, i: NDArray[np.int64], j: NDArray[np.int64], is_mirrored: NDArray[np.bool_]) -> Fit:
    """Lay pictures j, some of them mirrored first, upon pictures i.

    Args:
        small: uint16 [N, 24, 24]. i, j: int64 [P]. is_mirrored: bool [P].
    """

    def block(start: int) -> tuple[Floats, Floats]:
        rows = slice(start, start + _BLOCK)
        first, second = (_brightness(small[ends[rows]]) for ends in (i, j))
        flipped = is_mirrored[rows]
        second[flipped] = second[flipped, :, ::-1]
        return _fit(first, second)

    parts = [(np.empty(0, np.float32), np.empty((0, 4), np.float32)), *ordered_map(block, range(0, len(i), _BLOCK))]
    similarity, parameters = (np.concatenate(column) for column in zip(*parts, strict=True))
    scale = np.float32(PICTURE_PX / THUMBNAIL_PX)
    return Fit(similarity, parameters[:, [0, 2]], parameters[:, [1, 3]] * scale)


def _brightness(small: Thumbnails) -> Floats:
    return small.astype(np.float32) / np.float32(UNIT)


def _fit(first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """Similarity [P] and zoom, shift across, zoom, shift down [P, 4] in thumbnail pixels."""
    parameters, similarity = _coarse_shift(first, second)
    likely = np.flatnonzero(similarity >= _HOPELESS[0])
    parameters[likely] = _refined(first[likely], second[likely], parameters[likely], _FIRST_STEPS)
    similarity[likely] = _similarity(first[likely], second[likely], parameters[likely])
    left = likely[similarity[likely] >= _HOPELESS[1]]
    better = _refined(first[left], second[left], parameters[left], _LAST_STEPS)
    refined = _similarity(first[left], second[left], better)
    keep = refined > similarity[left]
    similarity[left[keep]], parameters[left[keep]] = refined[keep], better[keep]
    return similarity, parameters


def _coarse_shift(first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """Parameters [P, 4] of the best whole-pixel shift at half the thumbnail's side, and the correlation there [P]."""
    first, second = (_halved(picture) for picture in (first, second))
    size = first.shape[-1]
    reach, inner = _COARSE_SHIFT_PX, size - 2 * _COARSE_SHIFT_PX
    wide = _gaussian(size, _COARSE_WIDE_PX)
    first, second = first - _blurred(first, wide), second - _blurred(second, wide)
    middle = first[:, reach:-reach, reach:-reach]
    middle = middle - middle.mean(axis=(1, 2), keepdims=True)
    windows = np.lib.stride_tricks.sliding_window_view(second, (inner, inner), axis=(1, 2))
    products = np.einsum("pij,pxyij->pxy", middle, windows)
    variances = _window_sums(second**2, inner) - _window_sums(second, inner) ** 2 / inner**2
    scores = products / np.sqrt(np.maximum(variances, 1e-3))
    scores = scores.reshape(len(scores), (2 * reach + 1) ** 2)
    best = scores.argmax(axis=1)
    down, across = np.divmod(best, 2 * reach + 1)
    parameters = np.ones((len(first), 4), dtype=np.float32)
    parameters[:, 1], parameters[:, 3] = 2 * (across - reach), 2 * (down - reach)
    energy = (middle**2).sum(axis=(1, 2)) + np.float32(1e-3)
    return parameters, np.asarray(scores.max(axis=1) / np.sqrt(energy), dtype=np.float32)


def _refined(first: Floats, second: Floats, parameters: Floats, steps: int) -> Floats:
    """Gauss-Newton steps that bring `second` nearer to `first`."""
    size = first.shape[-1]
    place = ((np.arange(size) - (size - 1) / 2) / size).astype(np.float32)
    for _ in range(steps):
        moved, common = _moved(second, parameters)
        across, down = np.zeros_like(moved), np.zeros_like(moved)
        across[:, :, 1:-1] = (moved[:, :, 2:] - moved[:, :, :-2]) / 2
        down[:, 1:-1] = (moved[:, 2:] - moved[:, :-2]) / 2
        columns = np.empty((len(first), 6, size, size), dtype=np.float32)
        columns[:, 0], columns[:, 1] = across * place, across
        columns[:, 2], columns[:, 3] = down * place[:, None], down
        columns[:, 4], columns[:, 5] = moved / _GAIN_UNIT, 1
        columns *= common[:, None]
        flat = columns.reshape(len(first), 6, size * size)
        normal = flat @ flat.transpose(0, 2, 1)
        ridge = 1e-3 * np.trace(normal, axis1=1, axis2=2) / 6 + 1e-6
        normal += np.eye(6, dtype=np.float32) * ridge[:, None, None].astype(np.float32)
        solved = np.linalg.solve(normal, flat @ (first * common).reshape(len(first), size * size, 1))[..., 0]
        step = solved[:, :4] / np.maximum(solved[:, 4:5] / _GAIN_UNIT, 0.2)
        step[:, [0, 2]] /= size
        parameters = parameters + np.clip(step, -_STEP, _STEP)
        parameters[:, [0, 2]] = np.clip(parameters[:, [0, 2]], *_ZOOM)
        parameters[:, [1, 3]] = np.clip(parameters[:, [1, 3]], -_SHIFT * size, _SHIFT * size)
    return parameters


def _similarity(first: Floats, second: Floats, parameters: Floats) -> Floats:
    """Correlation, float32 [P], of the band-passed pictures, each divided by its local energy, where both are seen."""
    moved, common = _moved(second, parameters)
    size = first.shape[-1]
    narrow, wide, local = (_gaussian(size, sigma) for sigma in (*_BAND_PX, _LOCAL_PX))
    area = common.sum(axis=(1, 2), keepdims=True) + np.float32(1e-6)
    details = []
    for picture in (first, moved):
        band = _blurred(picture, narrow) - _blurred(picture, wide)
        band /= np.sqrt(_blurred(band**2, local) + np.float32(_NOISE**2))
        details.append((band - (band * common).sum(axis=(1, 2), keepdims=True) / area) * common)
    product, left, right = (
        np.einsum("pij,pij->p", one, other)
        for one, other in ((details[0], details[1]), (details[0], details[0]), (details[1], details[1]))
    )
    return np.asarray(product / np.sqrt(left * right + np.float32(1e-6)), dtype=np.float32)


def _moved(pictures: Floats, parameters: Floats) -> tuple[Floats, Floats]:
    """Pictures resampled under zoom and shift, and which of their pixels lay inside (1) or outside (0)."""
    size = pictures.shape[-1]
    columns, inside_across = _resampling(parameters[:, 0], parameters[:, 1], size)
    rows, inside_down = _resampling(parameters[:, 2], parameters[:, 3], size)
    moved = np.matmul(np.matmul(rows, pictures), columns.transpose(0, 2, 1))
    return moved, inside_down[:, :, None] * inside_across[:, None, :]


def _resampling(zoom: Floats, shift: Floats, size: int) -> tuple[Floats, Floats]:
    """Linear interpolation along one axis as matrices [P, size, size], and which positions lay inside [P, size]."""
    middle = np.float32((size - 1) / 2)
    steps = np.arange(size, dtype=np.float32)
    position = (steps - middle) * zoom[:, None] + middle + shift[:, None]
    # Where one picture ends inside the other, its edge bleeds into what is compared: keep away from it.
    before, after = np.abs(position[:, :1]) > _CUT_PX, np.abs(position[:, -1:] - (size - 1)) > _CUT_PX
    low = np.maximum(position[:, :1], 0) + before * _BLEEDING_PX
    high = np.minimum(position[:, -1:], size - 1) - after * _BLEEDING_PX
    inside = ((position >= low - 0.01) & (position <= high + 0.01)).astype(np.float32)
    position = np.clip(position, 0, size - 1)
    weights = np.abs(position[:, :, None] - steps)
    return np.maximum(1 - weights, 0, out=weights), inside


def _gaussian(size: int, sigma_px: float) -> Floats:
    steps = np.arange(size)
    weights = np.exp(-0.5 * ((steps[:, None] - steps) / sigma_px) ** 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def _blurred(pictures: Floats, kernel: Floats) -> Floats:
    return np.asarray(np.matmul(np.matmul(kernel, pictures), kernel.T))


def _halved(pictures: Floats) -> Floats:
    count, size = pictures.shape[:2]
    return np.asarray(pictures.reshape(count, size // 2, 2, size // 2, 2).mean(axis=(2, 4)))


def _window_sums(pictures: Floats, inner: int) -> NDArray[np.float64]:
    """Sums over all windows of `inner` pixels a side, float64 [P, K, K], from an integral image."""
    sums = np.pad(pictures.astype(np.float64), ((0, 0), (1, 0), (1, 0))).cumsum(axis=1).cumsum(axis=2)
    left, right = sums[:, :, :-inner], sums[:, :, inner:]
    return np.asarray((right - left)[:, inner:] - (right - left)[:, :-inner])
