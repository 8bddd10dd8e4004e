"""Which face to look at next: the one from whose look the labels gain most."""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fer_data.auditing.evidence import Labels
from fer_data.configuration import Configuration
from fer_data.errors import FerError

Floats = NDArray[np.float64]
Truths = NDArray[np.bool_]


class ReviewConfig(Configuration):
    """What a look at a face is worth."""

    # How much rarity counts: a label that n faces carry weighs (median n / n) ** rarity. 0: all labels weigh the same.
    rarity: float = Field(default=0.1, ge=0, le=1)
    # What the look at an ambiguous face is worth, that at a wrong one being 1: it may end in a soft label.
    ambiguous: float = Field(default=0.75, ge=0, le=1)
    # What a further face with the same picture adds to a look, a face of its own being 1. The look tells its label too,
    # but a copy teaches a model little that is new, and `fer apply` changes only the faces that were decided.
    copies: float = Field(default=0.25, ge=0, le=1)
    # What the look is worth at a face unlike all others: people rarely agree on what it shows.
    out_of_distribution: float = Field(default=0.5, ge=0, le=1)


def order_reviews(
    score: Floats,
    suggestion_score: Floats,
    labels: Labels,
    suggested: Labels,
    pictures: NDArray[np.int64],
    *,
    kind: NDArray[np.object_] | None = None,
    reviewed: Truths | None = None,
    config: ReviewConfig | None = None,
) -> NDArray[np.int64]:
    """The order in which faces are worth a look, 1 = next.

    A picture that several faces share is looked at once: its best face ranks by its own gain and a share of theirs, the
    others come after every picture's first, and reviewed faces come last. Equal gains rank in the order of the faces.

    Args:
        score: float64 [N], 0..1, estimated probability that the given label is right.
        suggestion_score: float64 [N], 0..1, estimated probability that the suggested label is right.
        labels: int64 [N], given labels, >= 0; `suggested`: likewise, the given one where nothing else is suggested.
        pictures: int64 [N], faces with the same number show the same picture.
        kind: object [N], why a label is suspect ("ambiguous", "out_of_distribution", any other word weighs 1).
        reviewed: bool [N], faces that were looked at already.

    Returns:
        int64 [N], a permutation of 1..N.

    Raises:
        FerError: the arrays do not belong to the same faces.
    """
    shapes = {array.shape for array in (score, suggestion_score, labels, suggested, pictures)}
    shapes |= {array.shape for array in (kind, reviewed) if array is not None}
    if shapes != {(len(score),)}:
        raise FerError(f"review order: expected arrays of one length [N], found {sorted(shapes)}; give one per face")
    config = config or ReviewConfig()
    done = np.zeros(len(score), dtype=np.bool_) if reviewed is None else reviewed
    gain = gain_of_looks(score, suggestion_score, labels, suggested, kind=kind, config=config)
    gain = np.where(done, 0.0, gain)
    _, picture = np.unique(pictures, return_inverse=True)
    others = np.bincount(picture, weights=gain, minlength=1)[picture] - gain
    best_first = np.lexsort((-gain, done, picture))
    first = np.zeros(len(score), dtype=np.bool_)
    first[best_first[np.diff(picture[best_first], prepend=-1) > 0]] = True
    worth = np.where(first, gain + config.copies * others, gain)
    order = np.lexsort((-worth, ~first, done))
    rank = np.empty(len(score), dtype=np.int64)
    rank[order] = np.arange(1, len(score) + 1)
    return rank


def gain_of_looks(
    score: Floats,
    suggestion_score: Floats,
    labels: Labels,
    suggested: Labels,
    *,
    kind: NDArray[np.object_] | None = None,
    config: ReviewConfig | None = None,
) -> Floats:
    """What one look at each face is expected to gain, float64 [N], >= 0; arguments as for `order_reviews`.

    A correction takes a wrong face out of the class it was given to, and brings a right one into the class it belongs
    to. Half the gain is the first, with the probability that the given label is wrong; half is the second, with the
    probability that the suggestion is right where it differs. Each counts by how rare its class is.
    """
    config = config or ReviewConfig()
    weight = _rarity(labels, max(int(suggested.max(initial=0)), int(labels.max(initial=0))) + 1, config.rarity)
    moved = np.where(suggested != labels, suggestion_score, 0.0)
    gain = 0.5 * ((1 - score) * weight[labels] + moved * weight[suggested])
    if kind is not None:
        gain = np.where(kind == "ambiguous", config.ambiguous * gain, gain)
        gain = np.where(kind == "out_of_distribution", config.out_of_distribution * gain, gain)
    return np.maximum(gain, 0.0)


def _rarity(labels: Labels, classes: int, power: float) -> Floats:
    """What a face of each label weighs, float64 [K]; a label that no face has weighs as one that one face has."""
    counts = np.maximum(np.bincount(labels, minlength=classes), 1).astype(np.float64)
    present = np.unique(labels)
    middle = np.median(counts[present]) if len(present) else 1.0
    weight: Floats = (middle / counts) ** power
    return weight
