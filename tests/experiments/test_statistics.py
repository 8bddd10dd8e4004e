"""Every test and interval against scipy, scikit-learn or a closed form, and the bootstrap against its promise."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from experiments import statistics as st
from fer_data.errors import FerError


def answers(seed: int, faces: int = 300, classes: int = 4, runs: int = 3):
    generator = np.random.default_rng(seed)
    truth = generator.integers(classes, size=faces)
    right = generator.random((runs, faces)) < 0.6
    return truth, np.where(right, truth, generator.integers(classes, size=(runs, faces)))


def test_metrics_equal_scikit_learn() -> None:
    truth, predicted = answers(0)
    confusion = st.confusion_counts(truth, predicted, 4)
    for run in range(3):
        np.testing.assert_array_equal(confusion[run], reference.confusion_matrix(truth, predicted[run]))
        assert st.accuracy(confusion)[run] == pytest.approx(reference.accuracy_score(truth, predicted[run]))
        expected = reference.balanced_accuracy_score(truth, predicted[run])
        assert st.balanced_accuracy(confusion)[run] == pytest.approx(expected)
        expected = reference.f1_score(truth, predicted[run], average="macro")
        assert st.macro_f1(confusion)[run] == pytest.approx(expected)
        expected = reference.recall_score(truth, predicted[run], average=None)
        np.testing.assert_allclose(st.recalls(confusion)[run], expected)


def test_a_class_without_faces_has_no_recall_and_no_share_in_means() -> None:
    truth, predicted = np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1])
    confusion = st.confusion_counts(truth, predicted, 3)
    assert np.isnan(st.recalls(confusion)[2])
    assert st.balanced_accuracy(confusion) == pytest.approx(0.75)
    assert st.macro_f1(confusion) == pytest.approx((2 / 3 + 1) / 2)


def test_mcnemar_equals_the_binomial_test() -> None:
    generator = np.random.default_rng(3)
    before, after = generator.random((2, 200)) < [[0.6], [0.7]]
    lost, won, p_value = st.mcnemar(before, after)
    assert (lost, won) == (np.sum(before & ~after), np.sum(after & ~before))
    assert p_value == pytest.approx(stats.binomtest(lost, lost + won, 0.5).pvalue)
    assert st.mcnemar(before, before)[2] == 1.0


def test_resampled_faces_have_the_standard_error_of_the_closed_form() -> None:
    truth, predicted = answers(1, faces=500, runs=1)
    sample = st.bootstrap(truth, predicted[None], 4, resamples=4000, generator=np.random.default_rng(0))
    level = sample.level(st.accuracy, 0)
    right = (truth == predicted[0]).mean()
    assert level.value == pytest.approx(right)
    assert level.standard_error == pytest.approx(np.sqrt(right * (1 - right) / 500), rel=0.05)
    assert level.low < right < level.high


def test_the_variance_that_few_seeds_contribute_is_unbiased() -> None:
    """Faces of one class answered all alike leave nothing but the seeds: s / sqrt(S) is the known error."""
    rates = np.array([0.5, 0.55, 0.7, 0.4])
    truth = np.zeros(2000, dtype=np.int64)
    predicted = np.ones((2, 4, 2000), dtype=np.int64)
    for seed, rate in enumerate(rates):
        predicted[1, seed, : int(rate * 2000)] = 0
    one_group = np.zeros(2000, dtype=np.int64)
    sample = st.bootstrap(truth, predicted, 2, resamples=8000, generator=np.random.default_rng(0), groups=one_group)
    found = sample.difference(st.accuracy, 0, 1)
    assert found.value == pytest.approx(rates.mean())
    assert found.standard_error == pytest.approx(rates.std(ddof=1) / 2, rel=0.05)


def test_groups_are_drawn_together() -> None:
    truth, predicted = answers(5, faces=100, runs=1)
    twice = np.repeat(np.arange(100), 2)
    doubled = st.bootstrap(
        truth[twice], predicted[None][..., twice], 4,
        resamples=500, generator=np.random.default_rng(1), groups=twice,
    )  # fmt: skip
    single = st.bootstrap(truth, predicted[None], 4, resamples=500, generator=np.random.default_rng(1))
    np.testing.assert_array_equal(doubled.resampled, 2 * single.resampled)


def test_no_difference_between_an_arm_and_itself_and_the_same_draws_again() -> None:
    truth, predicted = answers(2)
    arms = np.stack([predicted, predicted, predicted[:, ::-1]])
    one, two = (st.bootstrap(truth, arms, 4, resamples=200, generator=np.random.default_rng(9)) for _ in range(2))
    np.testing.assert_array_equal(one.resampled, two.resampled)
    same = one.difference(st.macro_f1, 0, 1)
    assert (same.value, same.low, same.high, same.p_value) == (0, 0, 0, 1)
    assert one.difference(st.accuracy, 0, 2) == two.difference(st.accuracy, 0, 2)
    assert one.difference(st.accuracy, 0, 2).value < 0


def test_rare_class_recall_leaves_out_resamples_without_it() -> None:
    truth = np.array([0] * 60 + [1] * 2)
    predicted = np.zeros((1, 1, 62), dtype=np.int64)
    predicted[..., 60] = 1
    sample = st.bootstrap(truth, predicted, 3, resamples=400, generator=np.random.default_rng(0))
    assert sample.level(st.recall_of(1), 0).value == 0.5
    assert np.isnan(sample.difference(st.recall_of(2), 0, 0).value)
    assert np.isnan(sample.difference(st.recall_of(2), 0, 0).p_value)


@pytest.mark.parametrize("distance", [1.0, 2.0, 3.0, 6.0])
def test_p_values_follow_the_normal_also_where_no_resample_lies_beyond_zero(distance: float) -> None:
    draws = np.random.default_rng(5).normal(distance, 1, (2000, 1))
    found = st.difference_of(np.array([distance]), draws, np.ones((2000, 1)))
    assert stats.norm.isf(found.p_value / 2) == pytest.approx(distance, abs=0.2)


def test_p_value_of_a_difference_that_never_varies_is_the_smallest_share() -> None:
    found = st.difference_of(np.array([0.1]), np.full((999, 1), 0.1), np.ones((999, 1)))
    assert found.p_value == pytest.approx(2 / 1000)


def test_smallest_effect_has_its_power() -> None:
    effect = st.smallest_effect(0.02)
    assert stats.norm.sf(stats.norm.ppf(0.975) - effect / 0.02) == pytest.approx(0.8, abs=1e-6)


def test_intervals_cover_the_truth() -> None:
    """200 simulated experiments, faces and seeds both random: 95 % intervals hold the true difference."""
    classes, seeds, faces, true_gain = 3, 5, 300, 0.06
    covered = 0
    for trial in range(200):
        generator = np.random.default_rng([7, trial])
        truth = generator.integers(classes, size=faces)
        hardness = generator.random(faces)  # shared by all models: pairs the arms
        skill = 0.6 + np.array([[0.0], [true_gain]]) + generator.normal(0, 0.02, (2, seeds))
        noise = generator.normal(0, 0.1, (2, seeds, faces))
        right = hardness + noise < skill[..., None]
        predicted = np.where(right, truth, (truth + 1) % classes)
        sample = st.bootstrap(truth, predicted, classes, resamples=300, generator=generator)
        found = sample.difference(st.accuracy, 0, 1)
        covered += found.low <= true_gain <= found.high
    assert 0.90 <= covered / 200 <= 0.995


def test_refusals() -> None:
    nothing = np.empty((1, 1, 0), dtype=np.int64)
    with pytest.raises(FerError, match="found none"):
        st.bootstrap(nothing[0, 0], nothing, 2, resamples=100, generator=np.random.default_rng(0))
    with pytest.raises(FerError, match="at least 100 resamples"):
        st.bootstrap(np.zeros(1, int), np.zeros((1, 1, 1), int), 2, resamples=9, generator=np.random.default_rng(0))
