"""A gap in recall between two groups of drawn people, planted: how large it is, is known.

No real data set tells how large a classifier's true gap is. Here a reader of known skill stands for a classifier: it
reads the faces of people with lighter and darker skin right with the recall that it is given for them.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from classifier.fairness import fairness
from fer_data.drawn.population import sample_identity
from fer_data.expressions import BASIC7

ATTRIBUTE = "skin"
_PEOPLE = 300
_DARKER = 0.55  # reflectance below which skin counts as darker
_SHARES = (0.1, 0.1, 0.4, 0.1, 0.1, 0.1, 0.1)  # of the labels; fear is the third


class Reading(NamedTuple):
    """Faces as the reader read them.

    Attributes:
        truth: int64 [N], index into BASIC7.
        probabilities: float64 [N, 7].
        attributes: what `fairness` takes: skin, "lighter" or "darker".
        groups: int64 [N], equal for copies of one face.
    """

    truth: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    attributes: dict[str, NDArray[np.object_]]
    groups: NDArray[np.int64]


def read_faces(seed: int, count: int, recall: Mapping[str, float], *, copies: int = 1) -> Reading:
    """Faces of drawn people, read right with their group's recall.

    Args:
        count: faces.
        recall: of "lighter" and of "darker", for every label.
        copies: how often each face comes; it is read alike each time.
    """
    rng = np.random.default_rng(seed)
    skin = np.where(_skin()[rng.integers(_PEOPLE, size=count)] < _DARKER, "darker", "lighter").astype(object)
    truth = rng.choice(len(BASIC7), count, p=_SHARES)
    right = rng.random(count) < np.array([recall[name] for name in skin])
    seen = np.where(right, truth, (truth + rng.integers(1, len(BASIC7), count)) % len(BASIC7))
    sure = rng.uniform(0.3, 0.9, count)[:, None]
    probabilities = sure * np.eye(len(BASIC7))[seen] + (1 - sure) / len(BASIC7)
    rows = np.repeat(np.arange(count), copies)
    return Reading(truth[rows], probabilities[rows], {ATTRIBUTE: skin[rows]}, rows)


def found_gaps(
    draws: int, count: int, recall: Mapping[str, float], *, copies: int = 1, resamples: int = 100
) -> list[dict[str, Any]]:
    """What `classifier.fairness` tells of so many draws: metric → gap."""
    gaps = []
    for seed in range(draws):
        read = read_faces(seed, count, recall, copies=copies)
        told = fairness(
            read.truth, read.probabilities, BASIC7, read.attributes, read.groups, resamples=resamples, seed=seed
        )
        gaps.append(told["attributes"][ATTRIBUTE]["gaps"])
    return gaps


def covered(gaps: list[dict[str, Any]], true: float) -> float:
    """The share of gaps whose interval holds the true one."""
    return float(np.mean([gap["low"] <= true <= gap["high"] for gap in gaps]))


@lru_cache(maxsize=1)
def _skin() -> NDArray[np.float64]:
    """Reflectance of the drawn people's skin, 0..1."""
    return np.array([sample_identity(number).skin for number in range(_PEOPLE)])
