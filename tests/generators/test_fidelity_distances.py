import numpy as np
import pytest
from scipy.linalg import sqrtm
from sklearn.metrics.pairwise import polynomial_kernel

from fer_data.errors import FerError
from generators.fidelity import kid, polynomial_mmd2
from generators.fidelity.distances import frechet_distance, frechet_estimates, kernel_distance


def normal(count, width=6, shift=0.0, seed=0):
    return np.random.default_rng(seed).normal(shift, 1, size=(count, width)).astype(np.float32)


def test_mmd_against_the_kernel_of_scikit_learn():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(7, 5)), random.normal(0.4, 1, size=(9, 5))
    kernels = [polynomial_kernel(a, b, degree=3, gamma=1 / 5, coef0=1) for a, b in ((x, x), (y, y), (x, y))]
    np.fill_diagonal(kernels[0], 0)
    np.fill_diagonal(kernels[1], 0)
    expected = kernels[0].sum() / 42 + kernels[1].sum() / 72 - 2 * kernels[2].mean()
    assert polynomial_mmd2(x, y) == pytest.approx(expected)


def test_mmd_of_two_points_by_hand():
    """Kernel (xy + 1)^3: both at 1 gives 8 within; 0 against anything gives 1."""
    ones, zeros = np.ones((2, 1)), np.zeros((2, 1))
    assert polynomial_mmd2(ones, zeros) == pytest.approx(8 + 1 - 2)
    assert polynomial_mmd2(ones, ones) == pytest.approx(0)


def test_kid_is_unbiased_around_zero_and_sees_a_shift():
    random = np.random.default_rng(1)
    same = [random.normal(size=(400, 8)).astype(np.float32) for _ in range(2)]
    near = kid(*same, subset_size=100, subsets=50)
    far = kid(same[0], same[1] + 0.5, subset_size=100, subsets=50)
    assert near.low < 0 < near.high
    assert far.low > near.high
    assert kid(*same) == kid(*same)
    assert kid(*same, seed=1) != kid(*same)


def test_kid_uses_no_more_faces_than_there_are_and_at_least_two():
    random = np.random.default_rng(1)
    few, many = random.normal(size=(6, 3)), random.normal(size=(50, 3))
    found = kid(many, few, subset_size=40, subsets=5)
    assert (found.subset_size, found.subsets) == (6, 5)
    assert found.as_dict()["value"] == found.value
    with pytest.raises(FerError, match="at least 2 faces on each side, found 50 real and 1 synthetic"):
        kid(many, few[:1])


def test_kernel_distance_is_the_mmd_of_all_faces():
    x, y = normal(40), normal(30, shift=0.3, seed=1)
    found = kernel_distance(x, y)
    assert found.value == pytest.approx(polynomial_mmd2(x.astype(float), y.astype(float)))
    assert found.count == 30


def test_the_jackknife_leaves_out_every_face_in_turn():
    x, y = normal(12), normal(9, shift=0.5, seed=1)
    variance = 0.0
    for index, own in enumerate((x, y)):
        sides = [[x, y] for _ in own]
        for row, pair in enumerate(sides):
            pair[index] = np.delete(own, row, axis=0)
        left = [polynomial_mmd2(*(side.astype(float) for side in pair)) for pair in sides]
        variance += (len(own) - 1) * np.var(left)
    found = kernel_distance(x, y)
    assert found.high - found.value == pytest.approx(1.959964 * variance**0.5)


def test_the_interval_of_kid_holds_what_it_says():
    """Of 60 pairs of samples, about 95 % of the intervals hold the distance that a large sample has."""
    truth = kernel_distance(normal(4000, shift=0.4, seed=1), normal(4000, seed=2)).value
    found = [kernel_distance(normal(60, shift=0.4, seed=3 + 2 * i), normal(80, seed=4 + 2 * i)) for i in range(60)]
    held = np.mean([estimate.low <= truth <= estimate.high for estimate in found])
    assert 0.85 <= held <= 1


def test_frechet_distance_against_the_matrix_root_of_scipy():
    x, y = normal(50), normal(40, shift=0.5, seed=1) * 1.5
    roots = sqrtm(np.cov(x.T) @ np.cov(y.T))
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(np.cov(x.T) + np.cov(y.T) - 2 * roots.real)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-4)


def test_frechet_distance_with_fewer_faces_than_features():
    x, y = normal(6, width=10), normal(5, width=10, seed=1)
    roots = sqrtm(np.cov(x.T) @ np.cov(y.T))
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(np.cov(x.T) + np.cov(y.T) - 2 * roots.real)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-3)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)


def test_the_extrapolated_frechet_distance_comes_near_the_closed_form_where_the_plain_one_does_not():
    """N(0, I) and N(0, 4 I) in 16 dimensions: the distance is 16."""
    found = [
        frechet_estimates(normal(300, 16, seed=2 * i), 2 * normal(300, 16, seed=2 * i + 1), 300, i) for i in range(5)
    ]
    plain, limit = (np.mean([pair[which].value for pair in found]) for which in (0, 1))
    assert plain > 16.5
    assert abs(limit - 16) < abs(plain - 16) / 2
    held = [pair[1].low <= 16 <= pair[1].high for pair in found]
    assert sum(held) >= 4


def test_the_extrapolated_frechet_distance_of_one_distribution_is_about_zero():
    plain, limit = frechet_estimates(normal(200, 16), normal(200, 16, seed=1), 200, 0)
    assert plain.low > 0
    assert limit.low < 0 < limit.high


def test_frechet_distances_rest_on_the_count_that_is_asked_for():
    """Two samples of one distribution: 60 of many faces exceed zero by as much as 60 of 60 do."""
    few = [frechet_estimates(normal(60, 8, seed=2 * i), normal(60, 8, seed=2 * i + 1), 60, i)[0] for i in range(8)]
    many = [frechet_estimates(normal(900, 8, seed=2 * i), normal(60, 8, seed=99 + i), 60, i)[0] for i in range(8)]
    assert {estimate.count for estimate in [*few, *many]} == {60}
    assert np.mean([each.value for each in many]) == pytest.approx(np.mean([each.value for each in few]), rel=0.25)
    full = frechet_estimates(normal(900, 8), normal(900, 8, seed=1), 900, 0)[0]
    assert full.value < np.mean([each.value for each in few]) / 4


def test_frechet_distances_are_means_over_several_choices_of_faces():
    x, y = normal(400, 8), normal(400, 8, seed=1, shift=0.3)
    several = [frechet_estimates(x, y, 50, seed)[0].value for seed in range(12)]
    random = np.random.default_rng(0)
    single = [frechet_distance(x[random.permutation(400)[:50]], y[random.permutation(400)[:50]]) for _ in range(12)]
    assert np.std(several) < 0.8 * np.std(single)
    assert frechet_estimates(x, y, 50, 3) == frechet_estimates(x, y, 50, 3)
