"""Does a generator remember? Synthetic faces compared with the faces it learnt from and with others like them.

A generator that learnt what faces look like lies as near to held-out faces as to its training faces; one that
remembers lies nearer to these. Both are compared at equal counts, since the nearest of many is nearer.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_data import images
from generators.fidelity.estimates import Doubles, Estimate, Floats, Rows, mean, median, share
from generators.fidelity.manifold import squared_distances

_BLOCK = 256
_TAIL = 0.01  # share of real faces that is unusually near to training
_TINY = 1e-6  # below this, squared distances of unit vectors are rounding


@dataclass(frozen=True)
class View:
    """Faces as points of one space.

    Attributes:
        points: float32 [N, F].
        mirrored: the mirrored faces, float32 [N, F]; None where the space sees no difference or none is asked for.
    """

    points: Floats
    mirrored: Floats | None = None

    def take(self, rows: Rows) -> "View":
        """Some of the faces."""
        return View(self.points[rows], None if self.mirrored is None else self.mirrored[rows])


@dataclass(frozen=True)
class Memory:
    """What nearest neighbours tell about each of N faces.

    Attributes:
        nearness: float64 [N], distance to the nearest of all training faces over that to the nearest held-out face.
            There are more training faces, so it is below 1 for any face; what is usual, real faces tell.
        usual: float64 [R], ascending: the nearness of real faces that were held out.
        distance_ratio: float64 [N], the same at equal counts: the median over parts of the training faces, each as
            large as the held-out faces; about 1 without memory.
        is_authentic: bool [N], farther from the nearest training face than that one is from its own nearest neighbour
            (Alaa et al., "How Faithful is your Synthetic Data?", ICML 2022, equation 9).
        nearest: int64 [N], row of the nearest training face.
    """

    nearness: Doubles
    usual: Doubles
    distance_ratio: Doubles
    is_authentic: NDArray[np.bool_]
    nearest: Rows

    def summary(self, rows: Rows) -> dict[str, Estimate]:
        """Figures over some of the faces, at least two, the real faces' nearness taken as it is.

        `nearer_training`: the chance that such a face lies nearer to training than a real one does (the area under the
        curve that tells them apart); one half without memory, 1 where all are copies. `unusually_near`: the share that
        lies nearer than all but 1 % of real faces do, which sees a few copies among many faces.
        """
        own = self.nearness[rows]
        farther, not_nearer = (
            1 - np.searchsorted(self.usual, own, side=side) / len(self.usual) for side in ("right", "left")
        )
        return {
            "nearer_training": mean((farther + not_nearer) / 2),
            "unusually_near": share(own < np.quantile(self.usual, _TAIL)),
            "distance_ratio": median(self.distance_ratio[rows]),
            "authenticity": share(self.is_authentic[rows]),
        }


def measure_memory(faces: View, training: Floats, held_out: Floats, seed: int, usual: Doubles | None = None) -> Memory:
    """Compare faces with training faces and with held-out faces in one space.

    Args:
        faces: N faces; where they carry a mirrored view, the nearer of both counts.
        training, held_out: float32 [M, F] and [H, F], M at least 2, H at least 1; parts of min(M, H) faces compare.
        seed: deals the training faces into parts.
        usual: `Memory.usual`; None where the faces are the real ones themselves.
    """
    size = min(len(training), len(held_out))
    order = np.random.default_rng(seed).permutation(len(training))
    elsewhere, _ = nearest(faces, held_out)
    within = []
    best, best_row = np.full(len(faces.points), np.inf), np.zeros(len(faces.points), dtype=np.int64)
    for start in range(0, len(training), size):
        part = order[start : start + size]
        distance, row = nearest(faces, training[part])
        better = distance < best
        best[better], best_row[better] = distance[better], part[row[better]]
        if len(part) == size:  # what is left over at the end is too few to compare
            within.append(distance)
    nearness = _ratio(best, elsewhere)
    return Memory(
        nearness=nearness,
        usual=np.sort(nearness) if usual is None else usual,
        distance_ratio=_ratio(np.median(np.stack(within), axis=0), elsewhere),
        is_authentic=np.asarray(best > _to_neighbour(training, best_row)),
        nearest=best_row,
    )


def nearest(faces: View, others: Floats) -> tuple[Doubles, Rows]:
    """Squared distance, float64 [N], and row, int64 [N], of each face's nearest among float32 [M, F]."""
    distances, rows = np.empty(len(faces.points)), np.empty(len(faces.points), dtype=np.int64)
    for start in range(0, len(distances), _BLOCK):
        found = None
        for points in (faces.points, faces.mirrored):
            if points is not None:
                block = squared_distances(points[start : start + _BLOCK], others)
                found = block if found is None else np.minimum(found, block, out=found)
        if found is not None:
            rows[start : start + _BLOCK] = found.argmin(axis=1)
            distances[start : start + _BLOCK] = found.min(axis=1)
    return distances, rows


def is_exact_copy(pictures: NDArray[np.uint8], training: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of pictures uint8 [N, C, S, S] equal a training picture, as they are or mirrored; bool [N].

    Grey pictures are compared with coloured ones as grey.
    """
    if pictures.shape[1] != training.shape[1]:
        pictures, training = _as_grey(pictures), _as_grey(training)
    known = set(_bytes(training))
    both = zip(_bytes(pictures), _bytes(pictures[..., ::-1]), strict=True)
    return np.fromiter((plain in known or mirrored in known for plain, mirrored in both), dtype=bool)


def _ratio(squared: Doubles, others: Doubles) -> Doubles:
    return np.asarray(np.sqrt(np.maximum(squared, _TINY) / np.maximum(others, _TINY)))


def _to_neighbour(training: Floats, rows: Rows) -> Doubles:
    """Squared distance of training faces, given by row, to their nearest other training face, float64 [N]."""
    asked, place = np.unique(rows, return_inverse=True)
    found = np.empty(len(asked))
    for start in range(0, len(asked), _BLOCK):
        own = asked[start : start + _BLOCK]
        distances = squared_distances(training[own], training)
        distances[np.arange(len(own)), own] = np.inf
        found[start : start + _BLOCK] = distances.min(axis=1)
    return found[place]


def _as_grey(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 [N, 1, S, S]."""
    if pictures.shape[1] == 1 or not len(pictures):
        return pictures[:, :1]
    shaped = np.ascontiguousarray(pictures.transpose(0, 2, 3, 1))
    return np.stack([images.as_view(picture, picture.shape[0], 1) for picture in shaped])


def _bytes(pictures: NDArray[np.uint8]) -> Iterator[bytes]:
    return (np.ascontiguousarray(picture).tobytes() for picture in pictures)
