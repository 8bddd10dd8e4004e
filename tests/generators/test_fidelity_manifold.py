import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

from generators.fidelity.diversity import mean_pairwise_distance, vendi_estimate, vendi_score
from generators.fidelity.manifold import expected_coverage, measure_manifold, squared_distances


def points(count, width=4, shift=0.0, seed=0):
    return np.random.default_rng(seed).normal(shift, 1, size=(count, width)).astype(np.float32)


def brute_force(real, synthetic, k):
    """Word for word from the two papers."""
    own = [np.sort(cdist(side, side), axis=1)[:, k] for side in (real, synthetic)]
    apart = cdist(real, synthetic)
    return {
        "precision": (apart <= own[0][:, None]).any(axis=0).mean(),
        "recall": (apart <= own[1][None]).any(axis=1).mean(),
        "density": (apart <= own[0][:, None]).sum(axis=0).mean() / k,
        "coverage": (apart.min(axis=1) <= own[0]).mean(),
    }


@pytest.mark.parametrize(("real", "synthetic", "k"), [(60, 60, 5), (700, 540, 3), (7, 6, 5)])
def test_precision_recall_density_and_coverage_against_brute_force(real, synthetic, k):
    x, y = points(real), points(synthetic, shift=0.4, seed=1)
    found = measure_manifold(x, y, k)
    for name, expected in brute_force(x, y, k).items():
        estimate = getattr(found, name)
        assert estimate.value == pytest.approx(expected), name
        assert estimate.low <= estimate.value <= estimate.high
    assert (found.coverage.count, found.precision.count) == (real, synthetic)


def test_expected_coverage_is_what_equal_distributions_reach():
    found = [measure_manifold(points(80, seed=2 * i), points(80, seed=2 * i + 1), 3).coverage.value for i in range(40)]
    assert np.mean(found) == pytest.approx(expected_coverage(80, 80, 3), abs=0.02)


def test_expected_coverage_by_hand():
    """Of one real face with one neighbour, k = 1: the nearer of the two others is synthetic half of the time."""
    assert expected_coverage(2, 1, 1) == pytest.approx(1 / 2)


def test_a_collapsed_generator_is_precise_but_covers_little_and_varies_little():
    real, good = points(200), points(200, seed=1)
    collapsed = real[:1] + 0.01 * points(200, seed=2)
    fair, poor = (measure_manifold(real, faces, 5) for faces in (good, collapsed))
    assert poor.precision.value == 1
    assert poor.coverage.value < 0.2 < 0.9 < fair.coverage.value
    assert mean_pairwise_distance(collapsed).high < mean_pairwise_distance(good).low
    assert vendi_estimate(collapsed, 0).high < vendi_estimate(good, 0).low


def test_distances_against_scipy():
    x, y = points(30), points(20, seed=1)
    assert squared_distances(x, y) == pytest.approx(cdist(x, y, "sqeuclidean"), abs=1e-4)
    assert squared_distances(x, x).min() >= 0


def test_mean_pairwise_distance_against_scipy_and_its_interval_against_leaving_one_out():
    x = points(600)
    found = mean_pairwise_distance(x)
    assert found.value == pytest.approx(pdist(x).mean(), rel=1e-5)
    few = points(15)
    left = [pdist(np.delete(few, row, axis=0)).mean() for row in range(15)]
    error = np.sqrt(14 * np.var(left))
    found = mean_pairwise_distance(few)
    assert found.high - found.value == pytest.approx(1.959964 * error, rel=1e-3)


@pytest.mark.parametrize("width", [3, 12])
def test_vendi_score_counts_what_differs(width):
    """Three directions at right angles, each held by as many faces, are three; one direction is one."""
    assert vendi_score(np.repeat(np.eye(3, width, dtype=np.float32), 4, axis=0)) == pytest.approx(3)
    assert vendi_score(np.ones((5, width), dtype=np.float32)) == pytest.approx(1)
    assert vendi_score(np.zeros((5, width), dtype=np.float32)) == pytest.approx(1)  # no direction at all: no variety


def test_vendi_score_against_the_eigenvalues_of_the_cosines():
    x = points(9)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    values = np.linalg.eigvalsh(unit.astype(float) @ unit.T.astype(float) / 9)
    values = values[values > 1e-9]
    assert vendi_score(x) == pytest.approx(np.exp(-(values * np.log(values)).sum()), rel=1e-5)
