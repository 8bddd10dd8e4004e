import numpy as np
import pytest
from sklearn.metrics.pairwise import polynomial_kernel

from fer_data.errors import FerError
from generators.fidelity import kid, label_agreement, polynomial_mmd2


class FixedJudge:
    """Answers with the label that a picture's first pixel names."""

    labels = ("anger", "fear", "neutral")

    def probabilities(self, images):
        return np.eye(3, dtype=np.float32)[images[:, 0, 0, 0]]

    def features(self, images):
        return images.reshape(len(images), -1).astype(np.float32)


def answering(*answers):
    return np.asarray(answers, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 4, 4), np.uint8)


def test_agreement_per_label_with_chance_and_interval():
    found = label_agreement(FixedJudge(), answering(0, 0, 1, 1), ["anger", "anger", "anger", "fear"])
    assert found["all"].value == 0.75
    assert found["anger"].value == pytest.approx(2 / 3)
    assert found["fear"].value == 1
    # A blind judge that says anger and fear half of the time agrees half of the time.
    assert found["all"].chance == pytest.approx(0.5)
    assert "neutral" not in found
    assert found["all"].as_dict()["count"] == 4


def test_agreement_refuses_what_it_cannot_judge():
    with pytest.raises(FerError, match="found label 'joy'"):
        label_agreement(FixedJudge(), answering(0), ["joy"])
    with pytest.raises(FerError, match="found no faces"):
        label_agreement(FixedJudge(), np.empty((0, 1, 4, 4), np.uint8), [])


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
