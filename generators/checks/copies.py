"""Tell near-copies: faces that are near in a judge's features and in pixels at once.

A caricature of a smile lies near many smiles in a classifier's features, and a plain head near many heads in
pixels; only a copy is near the same face in both. Distances are scaled by what is usual among real faces, the larger
of the two counts, and the threshold is a quantile of held-out real faces.

Training faces are looked at as they are: a copy of one that is masked or in the dark is hardly ever told.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fer_data import images
from fer_data.errors import FerError

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

    def followed_by(self, others: "Views") -> "Views":
        """These faces and then others, without groups."""
        return Views(
            np.concatenate([self.features, others.features]),
            np.concatenate([self.mirrored_features, others.mirrored_features]),
            np.concatenate([self.pixels, others.pixels]),
            np.concatenate([self.mirrored_pixels, others.mirrored_pixels]),
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
        self, samples: Views, candidates: NDArray[np.bool_], before: Views | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Distance and row of the nearest earlier sample that is kept; infinite where there is none.

        A sample that is itself too near an earlier one is not kept, so the first of a cluster stays.

        Args:
            samples: N faces, in order.
            candidates: bool [N], which of them may be kept.
            before: B faces that were kept before these.

        Returns:
            float64 [N]; int64 [N], rows 0..B-1 of `before`, then B..B+N-1 of `samples`.
        """
        asked = np.flatnonzero(candidates)
        chosen = samples.take(asked)
        known = chosen if before is None else before.followed_by(chosen)
        settled = len(known) - len(chosen)
        places = np.concatenate([np.arange(settled), settled + asked])
        kept = np.arange(len(known)) < settled
        distances, rows = np.full(len(samples), np.inf), np.zeros(len(samples), dtype=np.int64)
        for start in range(0, len(asked), _BLOCK):
            block = _pairwise(chosen.take(slice(start, start + _BLOCK)), known, self.scales)
            for place, line in enumerate(block, start):
                earlier = np.where(kept, line, np.inf)
                nearest = int(earlier.argmin())
                distances[asked[place]], rows[asked[place]] = earlier[nearest], places[nearest]
                kept[settled + place] = not self.is_copy(earlier[nearest : nearest + 1])[0]
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
    seen = unit_rows(features(pictures))
    return Views(
        seen,
        seen if _sees_mirrors_alike(features, pictures.shape[1:]) else unit_rows(features(mirrored)),
        unit_rows(small.reshape(len(small), -1)),
        unit_rows(small[:, :, ::-1].reshape(len(small), -1)),
    )


def fit_detector(faces: Views, held_out: Views, false_copies: float) -> CopyDetector:
    """Calibrate: of real faces that nobody has seen, at most `false_copies` are expected nearer than the threshold.

    A fresh face falls below the k-th of n sorted distances with probability k / (n + 1). Fewer than 1 / `false_copies`
    held-out faces cannot hold that promise: the nearest of them is the threshold then. Where held-out faces carry
    groups, they are compared with training faces of other groups only.

    Raises:
        FerError: no held-out face can be compared with any training face.
    """
    scales = _usual(held_out, faces, (1.0, np.inf)), _usual(held_out, faces, (np.inf, 1.0))
    reference = np.sort(_nearest(held_out, faces, scales)[0])
    reference = reference[np.isfinite(reference)]
    threshold = float(reference[max(int(false_copies * (len(reference) + 1)) - 1, 0)])
    return CopyDetector(faces, scales, threshold, reference)


def _usual(held_out: Views, faces: Views, scales: tuple[float, float]) -> float:
    """The median distance to the nearest face, in the view whose scale is finite."""
    distances = _nearest(held_out, faces, scales)[0]
    if not np.isfinite(distances).any():
        raise FerError(
            "copies: expected real faces of at least two groups to tell what a copy is, found none that can be "
            "compared; add training or validation faces"
        )
    return max(float(np.median(distances[np.isfinite(distances)])), 1e-6)


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
        farther: Floats = np.maximum(
            _distances(features, faces.features) / scales[0], _distances(pixels, faces.pixels) / scales[1]
        )
        return farther

    both: Floats = np.minimum(
        larger(queries.features, queries.pixels), larger(queries.mirrored_features, queries.mirrored_pixels)
    )
    if queries.groups is not None and faces.groups is not None:
        both[queries.groups[:, None] == faces.groups[None]] = np.inf
    return both


def _distances(queries: Floats, faces: Floats) -> Floats:
    """Euclidean distances between unit vectors, which order as cosine distances do; float32 [N, M]."""
    distances: Floats = np.sqrt(np.maximum(2 - 2 * (queries @ faces.T), 0))
    return distances


def unit_rows(rows: Floats) -> Floats:
    """Rows float [N, F] brought to length 1, float32; a row of zeros stays."""
    lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    unit: Floats = (rows / lengths).astype(np.float32)
    return unit


def _sees_mirrors_alike(features: Callable[[NDArray[np.uint8]], Floats], shape: tuple[int, ...]) -> bool:
    """Whether features average over a face and its mirror image, so that the second need not be looked at."""
    noise = np.random.default_rng(0).integers(0, 256, (2, *shape), dtype=np.uint8)
    seen, mirrored = features(noise), features(np.ascontiguousarray(noise[..., ::-1]))
    return bool(np.allclose(seen, mirrored, rtol=1e-3, atol=1e-4))


def _small(picture: NDArray[np.uint8]) -> Floats:
    shaped = picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0)
    small: Floats = images.as_view(np.ascontiguousarray(shaped), _SMALL_PX, 1)[0].astype(np.float32)
    small -= small.mean()
    return small
