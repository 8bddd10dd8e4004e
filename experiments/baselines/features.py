"""What classifiers looked at before networks learnt it: histograms of gradients (HOG) and of binary patterns (LBP)."""

import numpy as np
from numpy.typing import NDArray

from fer_data.errors import FerError

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

CELL_PX = 8
ORIENTATIONS = 9
PATTERNS = 59  # 58 uniform patterns of eight neighbours, and one for all others

_CHUNK = 512  # faces at a time: their gradients fit in the processor's cache
_CLIP = 0.2  # of a block's entries, after its first normalisation
_SMALL = 1e-6
_NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))  # clockwise: neighbours adjoin


def hog(images: Pixels) -> Floats:
    """Histograms of oriented gradients, float32 [N, F]; 900 numbers for a face of 48 px.

    Dalal & Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005: square-root grey levels, centred
    differences, cells of 8x8 px with 9 orientations without sign, blocks of 2x2 cells that overlap by a cell, L2-Hys.
    A gradient votes for the two nearest orientations, but for one cell only.

    Args:
        images: grey faces, uint8 [N, S, S]; S a multiple of 8, at least 16.

    Raises:
        FerError: pictures of another shape.
    """
    _require_cells(images, fewest=2)
    return np.concatenate([_hog(images[start : start + _CHUNK]) for start in range(0, len(images), _CHUNK)])


def lbp(images: Pixels) -> Floats:
    """Histograms of uniform local binary patterns, float32 [N, F]; 2,124 numbers for a face of 48 px.

    Ahonen, Hadid & Pietikäinen, "Face Description with Local Binary Patterns", PAMI 2006: the eight adjoining pixels,
    59 patterns, one histogram for each cell of 8x8 px. Square roots of shares: the Euclidean distance of two faces is,
    but for a factor, the mean Hellinger distance of their cells. The border repeats.

    Args:
        images: grey faces, uint8 [N, S, S]; S a multiple of 8.

    Raises:
        FerError: pictures of another shape.
    """
    _require_cells(images, fewest=1)
    return np.concatenate([_lbp(images[start : start + _CHUNK]) for start in range(0, len(images), _CHUNK)])


def pixels(images: Pixels) -> Floats:
    """The grey levels themselves, 0..1, float32 [N, S * S]."""
    return images.reshape(len(images), -1).astype(np.float32) / 255


def uniform_codes() -> NDArray[np.int64]:
    """The number of each pattern of eight bits, int64 [256]: 0..57 if it is uniform, else 58.

    A pattern is uniform if its bits, taken round, change at most twice.
    """
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    uniform = (bits != np.roll(bits, 1, axis=1)).sum(axis=1) <= 2
    return np.where(uniform, np.cumsum(uniform) - 1, PATTERNS - 1)


def _hog(images: Pixels) -> Floats:
    grey = np.sqrt(images.astype(np.float32))
    down, right = np.zeros_like(grey), np.zeros_like(grey)
    down[:, 1:-1] = grey[:, 2:] - grey[:, :-2]
    right[:, :, 1:-1] = grey[:, :, 2:] - grey[:, :, :-2]
    strength = np.hypot(down, right)
    place = np.arctan2(down, right) * (ORIENTATIONS / np.pi) % ORIENTATIONS
    low = np.floor(place)
    share = place - low
    low = low.astype(np.int64) % ORIENTATIONS
    cells = np.stack(
        [
            _sum_cells(strength * ((low == index) * (1 - share) + ((low + 1) % ORIENTATIONS == index) * share))
            for index in range(ORIENTATIONS)
        ],
        axis=3,
    )
    blocks = np.concatenate([cells[:, :-1, :-1], cells[:, :-1, 1:], cells[:, 1:, :-1], cells[:, 1:, 1:]], axis=3)
    blocks = np.minimum(_unit(blocks), _CLIP)
    return _unit(blocks).reshape(len(images), -1).astype(np.float32)


def _lbp(images: Pixels) -> Floats:
    side = images.shape[1]
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)), mode="edge")
    pattern = np.zeros(images.shape, dtype=np.uint8)
    for bit, (down, right) in enumerate(_NEIGHBOURS):
        neighbour = padded[:, 1 + down : 1 + down + side, 1 + right : 1 + right + side]
        pattern |= (neighbour >= images).astype(np.uint8) << np.uint8(bit)
    codes = uniform_codes()[pattern]
    cells = side // CELL_PX
    row, column = np.divmod(np.arange(side * side), side)
    cell = (row // CELL_PX * cells + column // CELL_PX).reshape(side, side)
    place = (np.arange(len(images))[:, None, None] * cells**2 + cell) * PATTERNS + codes
    counts = np.bincount(place.ravel(), minlength=len(images) * cells**2 * PATTERNS)
    return np.sqrt(counts.reshape(len(images), -1) / CELL_PX**2).astype(np.float32)


def _sum_cells(values: Floats) -> Floats:
    """Sums over cells, [N, S, S] → [N, S / 8, S / 8]."""
    count, side, _ = values.shape
    return values.reshape(count, side // CELL_PX, CELL_PX, side // CELL_PX, CELL_PX).sum(axis=(2, 4))


def _unit(blocks: Floats) -> Floats:
    return blocks / np.sqrt((blocks**2).sum(axis=3, keepdims=True) + _SMALL)


def _require_cells(images: Pixels, fewest: int) -> None:
    if images.ndim != 3 or images.shape[1] != images.shape[2] or images.shape[1] % CELL_PX:
        raise FerError(
            f"features: expected grey faces [N, S, S] with S a multiple of {CELL_PX}, found {list(images.shape)}; "
            "resize them"
        )
    if images.shape[1] < fewest * CELL_PX:
        raise FerError(f"features: expected faces of at least {fewest * CELL_PX} px, found {images.shape[1]}; enlarge")
