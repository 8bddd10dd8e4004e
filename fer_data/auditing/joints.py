"""Two estimates of the joint distribution of given and true labels, from counts that can be drawn again.

Faces are counted once, per block of groups; what is then drawn again are blocks, so that neither the number of
faces nor that of draws costs much.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_data.auditing.evidence import Labels, Probabilities

ANCHOR_SHARE = 0.3  # of the faces taken for a class; chosen on planted noise, where .15 to .5 do about as well
ANCHOR_LEAST = 10
BLOCKS = 1000  # per fold: that many sets of groups serve as well as the groups themselves

TINY = 1e-12

_STEPS = 200

Array = NDArray[np.float64]


def deal_blocks(groups: NDArray[np.int64], rng: np.random.Generator) -> Labels:
    """The block of each face, int64 [N], 0..BLOCKS-1: groups are dealt to blocks, none is split."""
    number, names = pd.factorize(groups)
    return np.asarray(rng.permutation(len(names))[number] % BLOCKS, dtype=np.int64)


def cells_of(block: Labels, fold: NDArray[np.integer] | None) -> tuple[Labels, Labels]:
    """The cell (fold, block) of each face, int64 [N], 0..C-1, and the fold of each cell, int64 [C]; none is empty."""
    number = np.zeros(len(block), np.int64) if fold is None else pd.factorize(fold)[0].astype(np.int64)
    place = number * BLOCKS + block
    filled = np.bincount(place) > 0
    return (filled.cumsum() - 1)[place], np.flatnonzero(filled) // BLOCKS


@dataclass(frozen=True)
class Tally:
    """Counts per cell: what both estimates need, whatever the weights of the cells; float64.

    Attributes:
        given: [C, K] faces by given label.
        confident, anchors: [C, K, K] faces by given label and the label they are taken for.
    """

    given: Array
    confident: Array
    anchors: Array


def tally_faces(labels: Labels, probabilities: Probabilities, cell: Labels, cells: int) -> Tally:
    """Count faces per cell.

    Args:
        labels: int64 [N].
        probabilities: float64 [N, K].
        cell: int64 [N], 0..cells-1.
    """
    classes = probabilities.shape[1]
    number = np.bincount(labels, minlength=classes)
    own = np.bincount(labels, probabilities[np.arange(len(labels)), labels], classes)
    # A label that no face is given has no threshold that a face could pass.
    thresholds = np.where(number > 0, own / np.maximum(number, 1), 2.0)
    confident = _confidently(probabilities, thresholds)
    anchors = _anchors(probabilities, thresholds)

    def counts(taken: Labels) -> Array:
        kept = np.flatnonzero(taken >= 0)
        place = (cell[kept] * classes + labels[kept]) * classes + taken[kept]
        return np.bincount(place, minlength=cells * classes**2).reshape(cells, classes, classes).astype(np.float64)

    given = np.bincount(cell * classes + labels, minlength=cells * classes).reshape(cells, classes)
    return Tally(given.astype(np.float64), counts(confident), counts(anchors))


def _confidently(probabilities: Probabilities, thresholds: Array) -> Labels:
    """The label that each face is confidently taken for, int64 [N]; -1 for none. As cleanlab decides it."""
    passed = probabilities >= thresholds - 1e-6
    number = passed.sum(axis=1)
    return np.where(number > 1, probabilities.argmax(axis=1), np.where(number == 1, passed.argmax(axis=1), -1))


def _anchors(probabilities: Probabilities, thresholds: Array) -> Labels:
    """The label that a face is among the clearest of, int64 [N]; -1 for the other faces."""
    taken = (probabilities * (1 / np.maximum(thresholds, TINY))).argmax(axis=1)
    anchors = np.full(len(probabilities), -1, dtype=np.int64)
    for label in range(len(thresholds)):
        own = np.flatnonzero(taken == label)
        kept = min(len(own), max(ANCHOR_LEAST, round(ANCHOR_SHARE * len(own))))
        if kept:
            clearest = np.argpartition(-probabilities[own, label], kept - 1)[:kept]
            anchors[own[clearest]] = label
    return anchors


def draw_weights(folds: Labels, resamples: int, rng: np.random.Generator) -> Array:
    """How often each cell is drawn, float64 [R, C]: folds with replacement, within each its blocks.

    Args:
        folds: int64 [C], the fold of each cell, 0..F-1, ascending.
    """
    cells = np.bincount(folds)
    drawn = rng.multinomial(len(cells), np.full(len(cells), 1 / len(cells)), size=resamples)
    within = [rng.multinomial(number, np.full(number, 1 / number), size=resamples) for number in cells]
    return np.concatenate(within, axis=1).astype(np.float64) * drawn[:, folds]


def joints_of(tally: Tally, weights: Array | None = None) -> tuple[Array, Array]:
    """The confident and the anchored joint, float64 [R, K, K] each; without weights, R = 1 of all cells."""
    weights = np.ones((1, len(tally.given))) if weights is None else weights
    cells, classes = tally.given.shape
    given = weights @ tally.given

    def drawn(counts: Array) -> Array:
        return np.asarray((weights @ counts.reshape(cells, -1)).reshape(-1, classes, classes))

    shares = given / given.sum(axis=1, keepdims=True)
    return _confident_joint(drawn(tally.confident), shares), _anchored_joint(drawn(tally.anchors), shares)


def _confident_joint(counts: Array, given: Array) -> Array:
    """Counts [R, K, K] of given × taken, rows brought to the shares of given labels [R, K]."""
    diagonal = np.eye(counts.shape[-1], dtype=bool)
    counts = np.where(diagonal, np.maximum(counts, 1), counts)  # one face per class is right, as cleanlab has it
    return np.asarray(counts / counts.sum(axis=2, keepdims=True) * given[:, :, None])


def _anchored_joint(counts: Array, given: Array) -> Array:
    """The joint from the labels that clear faces [R, given, true] are given, and the shares of given labels [R, K]."""
    counts = counts + np.eye(counts.shape[-1])
    transition = counts / counts.sum(axis=1, keepdims=True)  # [R, given, true]: P(given | true)
    true = given.copy()
    for _ in range(_STEPS):
        joint = transition * true[:, None, :]
        joint *= (given / np.maximum(joint.sum(axis=2), TINY))[:, :, None]
        true = joint.sum(axis=1)
    return np.asarray(joint)
