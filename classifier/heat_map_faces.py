"""Faces read right and wrong, with what the classifier looked at: Grad-CAM heat maps laid over them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Integers = NDArray[np.int64]

_COLOUR = (213, 94, 0)  # vermilion of Okabe & Ito, "Color universal design", 2008
_STRENGTH = 0.75  # of the colour where a map is 1


class Explainer(Protocol):
    """What is asked of a classifier."""

    def heat_maps(self, images: Pixels, classes: Integers) -> NDArray[np.float32]: ...


@dataclass(frozen=True)
class ExplainedFaces:
    """Some faces of one class.

    Attributes:
        label: their truth, index of the class.
        right: whether they were read so.
        rows: int64 [n], which faces.
        predicted: int64 [n], the label that each was read as and is explained for.
        images: uint8 [n, 3, S, S], the faces.
        overlaid: uint8 [n, 3, S, S], the same under their heat maps.
    """

    label: int
    right: bool
    rows: Integers
    predicted: Integers
    images: Pixels
    overlaid: Pixels


def explain_faces(
    classifier: Explainer, images: Pixels, truth: Integers, predicted: Integers, *, count: int, seed: int = 0
) -> list[ExplainedFaces]:
    """Faces of every class, drawn at random, so that they are typical and not the best or the worst.

    Args:
        classifier: a `classifier.prediction.Classifier`.
        images: uint8 [N, C, S, S] of the classifier's size and channels.
        truth: int [N]; a negative one is never drawn.
        predicted: int [N].
        count: how many of each class right, and as many wrong.
        seed: of the draw.

    Returns:
        Per class that has a face: those read right, then those read wrong, where there are any.
    """
    found = []
    for label in np.unique(truth[truth >= 0]).tolist():
        for right in (True, False):
            rows = _choose((truth == label) & ((predicted == label) == right), count, seed)
            if len(rows):
                maps = classifier.heat_maps(images[rows], predicted[rows])
                shown = np.repeat(images[rows], 3, axis=1) if images.shape[1] == 1 else images[rows]
                found.append(ExplainedFaces(label, right, rows, predicted[rows], shown, overlay(shown, maps)))
    return found


def overlay(images: Pixels, maps: NDArray[np.float32], colour: Sequence[int] = _COLOUR) -> Pixels:
    """Faces coloured where a map is high.

    Args:
        images: uint8 [N, 3, S, S].
        maps: float32 [N, S, S], 0..1.
        colour: red, green, blue, 0..255.

    Returns:
        uint8 [N, 3, S, S].
    """
    share = _STRENGTH * maps[:, None]
    paint = np.asarray(colour, dtype=np.float32)[:, None, None]
    brightness = images.mean(axis=1, keepdims=True) / 255  # the face stays visible under the paint
    return np.asarray(np.rint(images * (1 - share) + paint * (0.3 + 0.7 * brightness) * share), dtype=np.uint8)


def _choose(mask: NDArray[np.bool_], count: int, seed: int) -> Integers:
    rows = np.flatnonzero(mask)
    return np.sort(np.random.default_rng(seed).permutation(rows)[:count])
