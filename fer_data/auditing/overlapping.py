"""Which pairs of labels are mixed up most: what a labelling guide should tell apart first."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fer_data.auditing.noise import NoiseEstimate


@dataclass(frozen=True)
class Overlap:
    """Two labels that are given for one another.

    Attributes:
        labels: their names; faces that are given the first and show the second are the more frequent mistake.
        share: estimated share of all faces that are given one of them and truly show the other, 0..1.
        low, high: 95 % interval of `share`.
        faces: the share as a number of faces.
        of_rarer: as many as this share of the faces that carry the rarer of the two labels, 0 or more.
    """

    labels: tuple[str, str]
    share: float
    low: float
    high: float
    faces: float
    of_rarer: float

    def as_dict(self) -> dict[str, Any]:
        """What a table's metadata holds."""
        return {**asdict(self), "labels": list(self.labels)}


def overlapping_classes(names: Sequence[str], noise: NoiseEstimate, most: int = 10) -> list[Overlap]:
    """The pairs of labels that are mixed up most, worst first.

    The shares are those of cleanlab's `find_overlapping_classes` (Northcutt, Jiang and Chuang, JAIR 70, 2021) on the
    estimated joint, with intervals: both cells' ends are added, which is no narrower than the sum's own interval.

    Args:
        names: K labels.
        noise: the estimate for them.
        most: how many pairs.
    """
    first, second = np.triu_indices(len(names), k=1)
    joint = noise.joint
    share, low, high = (bound[first, second] + bound[second, first] for bound in (joint.value, joint.low, joint.high))
    rarer = np.minimum(noise.given[first], noise.given[second])
    total = noise.given.sum()
    found = []
    for pair in np.argsort(-share, kind="stable")[:most].tolist():
        a, b = int(first[pair]), int(second[pair])
        if share[pair] <= 0:
            break
        a, b = (a, b) if joint.value[a, b] >= joint.value[b, a] else (b, a)
        found.append(
            Overlap(
                labels=(names[a], names[b]),
                share=float(share[pair]),
                low=float(low[pair]),
                high=float(min(high[pair], 1)),
                faces=float(share[pair] * total),
                of_rarer=float(share[pair] * total / max(rarer[pair], 1)),
            )
        )
    return found
