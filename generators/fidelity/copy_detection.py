"""A copy detector that screening does not use: the fingerprints and the alignment that find duplicate photographs.

What screening drops is found by a judge's features and small pixels (`generators.checks.copies`); measured by the same
means, the faces that it keeps would be free of copies by construction. Here a face's fingerprint (pooled gradients)
points at the likeliest training faces, each is laid upon it, and their details are compared.
"""

from dataclasses import dataclass

import numpy as np
import torch

from fer_data.near_duplicates import is_flat
from fer_data.similarity.alignment import align
from fer_data.similarity.fingerprints import Projection, Thumbnails, fit_projection, mirrored
from generators.fidelity.estimates import Doubles, Floats, Rows

_FLAT_BELOW = 4.0  # standard deviation of brightness (0..255) that shows nothing
_BLOCK = 512


@dataclass(frozen=True)
class CopySearch:
    """Training faces, ready to be compared with.

    Attributes:
        faces: uint16 [M, 24, 24].
        projection: what makes fingerprints of gradient histograms.
        fingerprints: float32 [M, D].
        candidates: how many of them are laid upon a face, plain and mirrored each.
    """

    faces: Thumbnails
    projection: Projection
    fingerprints: Floats
    candidates: int

    def similarity(self, faces: Thumbnails, histograms: Floats) -> Doubles:
        """How like each face's likest training face is in its details, float64 [N], at most 1; -1 for flat ones.

        Args:
            faces: uint16 [N, 24, 24], as `fer_data.similarity.fingerprints.thumbnails` makes them.
            histograms: float32 [N, 128], their gradients.
        """
        found = np.full(len(faces), -1.0)
        shown = np.flatnonzero(~is_flat(faces, _FLAT_BELOW))
        for start in range(0, len(shown), _BLOCK):
            rows = shown[start : start + _BLOCK]
            found[rows] = self._similarity(faces[rows], histograms[rows])
        return found

    def _similarity(self, faces: Thumbnails, histograms: Floats) -> Doubles:
        partners = np.concatenate(
            [
                self._candidates(self.projection(queries))
                for queries in (histograms, np.ascontiguousarray(mirrored(histograms)))
            ],
            axis=1,
        )
        asked = np.repeat(np.arange(len(faces)), partners.shape[1])
        is_mirrored = np.tile(np.arange(partners.shape[1]) >= partners.shape[1] // 2, len(faces))
        known, place = np.unique(partners.ravel(), return_inverse=True)
        fit = align(np.concatenate([faces, self.faces[known]]), asked, len(faces) + place, is_mirrored)
        return np.asarray(fit.similarity.reshape(len(faces), -1).max(axis=1), dtype=np.float64)

    def _candidates(self, fingerprints: Floats) -> Rows:
        cosines = torch.from_numpy(fingerprints @ self.fingerprints.T)
        count = min(self.candidates, cosines.shape[1])
        return np.asarray(cosines.topk(count, dim=1).indices.numpy())  # much faster than NumPy's partition


def fit_search(faces: Thumbnails, histograms: Floats, candidates: int, seed: int) -> CopySearch:
    """Make training faces, uint16 [M, 24, 24], and their histograms, float32 [M, 128], ready to be compared with."""
    projection = fit_projection(faces, seed)
    return CopySearch(faces, projection, projection(histograms), candidates)


def copy_threshold(similarity: Doubles, false_copies: float) -> float:
    """The similarity from which a face counts as a copy: at most this share of real faces reach it.

    Args:
        similarity: float64 [H], of real faces that are no copies, H at least 1.
        false_copies: 0..1.
    """
    ordered = np.sort(similarity)[::-1]
    return float(np.nextafter(ordered[int(false_copies * len(ordered))], np.inf))
