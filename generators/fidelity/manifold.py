"""Do synthetic faces lie where real ones lie (precision, density), and do they reach everywhere (recall, coverage)?"""

from dataclasses import dataclass
from math import comb

import numpy as np

from generators.fidelity.estimates import Doubles, Estimate, Floats, mean, share

_BLOCK = 512


@dataclass(frozen=True)
class Manifold:
    """How two sets of N faces each overlap.

    Attributes:
        precision: share of synthetic faces inside the ball of a real one, whose radius is the distance to its k-th
            nearest real neighbour. recall: the other way round (Kynkäänniemi et al., "Improved Precision and Recall
            Metric for Assessing Generative Models", NeurIPS 2019, section 2).
        density: real balls around a synthetic face, divided by k; 1 for equal distributions, and above where samples
            crowd. coverage: share of real faces with a synthetic one in their ball (Naeem et al., "Reliable Fidelity
            and Diversity Metrics for Generative Models", ICML 2020, equations 2 and 3).
        expected_coverage: of samples from the same distribution at these counts, whatever it is.

    Intervals are those of the mean over the faces that are counted; the other side is taken as it is.
    """

    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate
    expected_coverage: float


def measure_manifold(real: Floats, synthetic: Floats, k: int) -> Manifold:
    """Precision, recall, density and coverage.

    Args:
        real, synthetic: float32 [M, F] and [N, F]; equally many where figures shall compare.
        k: neighbours that make a ball's radius; fewer than M and N.
    """
    real_radii, synthetic_radii = _radii(real, k), _radii(synthetic, k)
    balls = np.zeros(len(synthetic))
    recalled, covered = np.zeros(len(real), dtype=bool), np.zeros(len(real), dtype=bool)
    for start in range(0, len(real), _BLOCK):
        rows = slice(start, start + _BLOCK)
        distances = squared_distances(real[rows], synthetic)
        inside = distances <= real_radii[rows, None]
        balls += inside.sum(axis=0)
        covered[rows] = inside.any(axis=1)
        recalled[rows] = (distances <= synthetic_radii).any(axis=1)
    return Manifold(
        precision=share(balls > 0),
        recall=share(recalled),
        density=mean(balls / k),
        coverage=share(covered),
        expected_coverage=expected_coverage(len(real), len(synthetic), k),
    )


def expected_coverage(real: int, synthetic: int, k: int) -> float:
    """Coverage of M real faces by N from the same distribution (Naeem et al. 2020, lemma 2).

    A ball stays empty where, of all other faces around its real one in random order, the k nearest are real.
    """
    return 1 - comb(real - 1, k) / comb(real + synthetic - 1, k)


def squared_distances(queries: Floats, others: Floats) -> Floats:
    """Squared Euclidean distances, float32 [N, M], not negative, from one product of matrices."""
    lengths = (queries**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)
    return np.asarray(np.maximum(lengths - 2 * (queries @ others.T), 0), dtype=np.float32)


def _radii(points: Floats, k: int) -> Doubles:
    """Squared distance of each point to its k-th nearest other, float64 [N]."""
    radii = np.empty(len(points))
    for start in range(0, len(points), _BLOCK):
        distances = squared_distances(points[start : start + _BLOCK], points)
        own = np.arange(start, min(start + _BLOCK, len(points)))
        distances[own - start, own] = np.inf
        radii[start : start + _BLOCK] = np.partition(distances, k - 1, axis=1)[:, k - 1]
    return radii
