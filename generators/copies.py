"""Tell near-copies: faces that are near in a judge's features and in pixels at once.

A caricature of a smile lies near many smiles in a classifier's features, and a plain head near many heads in
pixels; only a copy is near the same face in both. Distances are scaled by what is usual among real faces, the larger
of the two counts, and the threshold is a quantile of held-out real faces.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fer_data import images

Floats = NDArray[np.float32]

_SMALL_PX = 16
_BLOCK = 256  # rows compared at once
_SAME = 0.01  # scaled distance below which only rounding differs


@dataclass(frozen=True)
class Views:
    """N faces as unit vectors in two views, as they are and mirrored.

    Attributes:
        features, mirrored_features: float32 [N, F].
        pixels, mirrored_pixels: float32 [N, 256].
        groups: int64 [N], who may be compared with whom; None compares all.
    """

    features: Floats
    mirrored_features: Floats
    pixels: Floats
    mirrored_pixels: Floats
    groups: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.features)

    def with_groups(self, groups: NDArray[np.int64]) -> "Views":
        return replace(self, groups=groups)

    def take(self, rows: NDArray[np.int64] | slice) -> "Views":
        """Some of the faces."""
        return Views(
            self.features[rows],
            self.mirrored_features[rows],
            self.pixels[rows],
            self.mirrored_pixels[rows],
            None if self.groups is None else self.groups[rows],
        )


@dataclass(frozen=True)
class CopyDetector:
    """Distances to known faces, and what is too near.

    Attributes:
        faces: M training faces.
        scales: usual distance to the nearest training face, in features and in pixels.
        threshold: a face nearer than this is a copy.
        reference: float64 [R], sorted distances of held-out real faces to their nearest training face.
    """

    faces: Views
    scales: tuple[float, float]
    threshold: float
    reference: NDArray[np.float64]

    @property
    def false_rate(self) -> float:
        """Share of held-out real faces that would be called copies."""
        return float(self.is_copy(self.reference).mean())

    def nearest_face(self, samples: Views) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Distance, float64 [N], and row, int64 [N], of each sample's nearest training face."""
        return _nearest(samples, self.faces, self.scales)

    def earlier_sibling(
        self, samples: Views, candidates: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Distance and row of the nearest earlier sample that is kept; infinite where there is none.

        A sample that is itself too near an earlier one is not kept, so the first of a cluster stays.
        """
        distances, rows = np.full(len(samples), np.inf), np.zeros(len(samples), dtype=np.int64)
        asked = np.flatnonzero(candidates)
        chosen = samples.take(asked)
        kept = np.zeros(len(asked), dtype=bool)
        for start in range(0, len(asked), _BLOCK):
            block = _pairwise(chosen.take(slice(start, start + _BLOCK)), chosen, self.scales)
            for place, line in enumerate(block, start):
                earlier = np.where(kept, line, np.inf)
                nearest = int(earlier.argmin())
                distances[asked[place]], rows[asked[place]] = earlier[nearest], asked[nearest]
                kept[place] = not self.is_copy(earlier[nearest : nearest + 1])[0]
        return distances, rows

    def is_copy(self, distances: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Nearer than the threshold, or the same picture."""
        return (distances < self.threshold) | (distances < _SAME)

    def score(self, distances: NDArray[np.float64]) -> NDArray[np.float64]:
        """Share of held-out real faces that are nearer to a training face, 0..1; 0 is nearest."""
        return np.searchsorted(self.reference, distances, side="left") / len(self.reference)


def look(pictures: NDArray[np.uint8], features: Callable[[NDArray[np.uint8]], Floats]) -> Views:
    """The two views of pictures uint8 [N, C, S, S]: unit features, and 16x16 grey pixels of mean 0 and length 1."""
    mirrored = np.ascontiguousarray(pictures[..., ::-1])
    small = np.stack([_small(picture) for picture in pictures])
    return Views(
        _unit(features(pictures)),
        _unit(features(mirrored)),
        _unit(small.reshape(len(small), -1)),
        _unit(small[:, :, ::-1].reshape(len(small), -1)),
    )


def fit_detector(faces: Views, held_out: Views, false_copies: float) -> CopyDetector:
    """Calibrate: at most `false_copies` of the held-out faces are nearer to a training face than the threshold.

    Where held-out faces carry groups, they are compared with training faces of other groups only.
    """
    scales = tuple(
        max(float(np.median(_nearest(held_out, faces, scales)[0])), 1e-6) for scales in ((1.0, np.inf), (np.inf, 1.0))
    )
    reference = np.sort(_nearest(held_out, faces, (scales[0], scales[1]))[0])
    threshold = float(reference[int(false_copies * len(reference))])
    return CopyDetector(faces, (scales[0], scales[1]), threshold, reference)


def _nearest(
    queries: Views, faces: Views, scales: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The face with the least distance: the larger of the scaled feature and pixel distances, mirrored or not."""
    distances, rows = np.empty(len(queries)), np.empty(len(queries), dtype=np.int64)
    for start in range(0, len(queries), _BLOCK):
        both = _pairwise(queries.take(slice(start, start + _BLOCK)), faces, scales)
        nearest = both.argmin(axis=1)
        rows[start : start + _BLOCK] = nearest
        distances[start : start + _BLOCK] = both[np.arange(len(nearest)), nearest]
    return distances, rows


def _pairwise(queries: Views, faces: Views, scales: tuple[float, float]) -> Floats:
    """Scaled distances float32 [N, M]; infinite between faces of one group."""

    def larger(features: Floats, pixels: Floats) -> Floats:
        return np.maximum(
            _distances(features, faces.features) / scales[0], _distances(pixels, faces.pixels) / scales[1]
        )

    both = np.minimum(
        larger(queries.features, queries.pixels), larger(queries.mirrored_features, queries.mirrored_pixels)
    )
    if queries.groups is not None and faces.groups is not None:
        both[queries.groups[:, None] == faces.groups[None]] = np.inf
    return both


def _distances(queries: Floats, faces: Floats) -> Floats:
    """Euclidean distances between unit vectors, which order as cosine distances do; float32 [N, M]."""
    return np.sqrt(np.maximum(2 - 2 * (queries @ faces.T), 0))


def _unit(rows: Floats) -> Floats:
    rows = rows.astype(np.float32)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


def _small(picture: NDArray[np.uint8]) -> Floats:
    shaped = picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0)
    small = images.as_view(np.ascontiguousarray(shaped), _SMALL_PX, 1)[0].astype(np.float32)
    return small - small.mean()
