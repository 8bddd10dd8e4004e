import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from classifier.calibration import calibrate, fit
from classifier.confidence import cross_entropy, expected_calibration_error
from fer_data.errors import FerError

K = 7


def drawn(count: int, sharpness: float, seed: int = 0, classes: int = K, offsets=0.0):
    """True probabilities, labels drawn from them, the same probabilities too sharp by `sharpness`, four folds."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (count, classes))
    labels = (softmax(logits, axis=1).cumsum(axis=1) < rng.random((count, 1))).sum(axis=1).clip(max=classes - 1)
    told = softmax(sharpness * (logits - offsets), axis=1)
    return labels, told, np.arange(count) % 4


@pytest.mark.parametrize("sharpness", [0.4, 1.0, 3.0])
def test_a_known_temperature_is_found(sharpness):
    labels, told, _ = drawn(20_000, sharpness)
    slopes, offsets = fit(np.log(told), labels, per_label=False)
    assert np.allclose(slopes, 1 / sharpness, rtol=0.03)
    assert np.ptp(slopes) == 0
    assert (offsets == 0).all()


def test_known_offsets_are_found():
    shift = np.array([0.8, -0.5, 0.3, -0.6, 0.0, 0.0, 0.0])
    labels, told, _ = drawn(40_000, 2.0, offsets=shift)
    slopes, offsets = fit(np.log(told), labels, per_label=True)
    assert np.allclose(slopes, 0.5, atol=0.05)
    assert np.allclose(offsets - offsets.mean(), shift - shift.mean(), atol=0.1)


@pytest.mark.parametrize("per_label", [False, True])
def test_the_fit_is_what_a_general_optimiser_finds(per_label):
    labels, told, _ = drawn(600, 2.5)
    logs = np.log(told)
    found = np.concatenate(fit(logs, labels, per_label=per_label))

    def loss(parameters):
        slopes, offsets = (parameters[:K], parameters[K:]) if per_label else (parameters, np.zeros(K))
        likelihood = log_softmax(slopes * logs + offsets, axis=1)[np.arange(len(labels)), labels].sum()
        free = [parameters[:K] - 1, parameters[K:]] if per_label else [parameters - 1]
        return -likelihood + 2 * sum((part**2).sum() for part in free)

    start = np.concatenate([np.ones(K), np.zeros(K)]) if per_label else np.ones(1)
    reference = minimize(loss, start, tol=1e-9).x
    expected = reference if per_label else np.concatenate([np.repeat(reference, K), np.zeros(K)])
    assert np.allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize("method", ["temperature", "vector"])
def test_overconfidence_is_taken_back(method):
    labels, told, fold = drawn(8_000, 3.0)
    calibrated = calibrate(told.astype(np.float32), labels, fold, method)
    assert calibrated.dtype == np.float64
    assert np.allclose(calibrated.sum(axis=1), 1)
    assert expected_calibration_error(labels, told) > 0.1
    assert expected_calibration_error(labels, calibrated) < 0.03
    assert cross_entropy(labels, calibrated) < cross_entropy(labels, told) - 0.2


@pytest.mark.parametrize("method", ["temperature", "vector"])
@pytest.mark.parametrize("count", [60, 600, 6_000])
def test_calibrated_probabilities_lose_next_to_nothing(method, count):
    for seed in range(5):
        labels, told, fold = drawn(count, 1.0, seed)
        worse = cross_entropy(labels, calibrate(told, labels, fold, method)) - cross_entropy(labels, told)
        assert worse < 20 / count  # each of 14 parameters costs about half a unit of log-loss


def test_a_fold_is_calibrated_without_its_own_labels():
    labels, told, fold = drawn(2_000, 1.2)
    calibrated = calibrate(told, labels, fold, "vector")
    other = np.where(fold == 1, (labels + 1) % K, labels)
    again = calibrate(told, other, fold, "vector")
    assert np.array_equal(calibrated[fold == 1], again[fold == 1])
    assert not np.allclose(calibrated[fold == 2], again[fold == 2])
    slopes, offsets = fit(np.log(told[fold != 1]), labels[fold != 1], per_label=True)
    assert np.allclose(calibrated[fold == 1], softmax(slopes * np.log(told[fold == 1]) + offsets, axis=1))


@pytest.mark.parametrize("method", ["temperature", "vector"])
def test_faces_without_labels_are_calibrated_and_not_fitted_on(method):
    labels, told, fold = drawn(4_000, 3.0)
    unknown = np.arange(4_000) >= 3_000
    strange = np.where(unknown[:, None], np.roll(told, 1, axis=1), told)
    calibrated = calibrate(strange, np.where(unknown, -1, labels), fold, method)
    assert np.array_equal(calibrated[~unknown], calibrate(told[~unknown], labels[~unknown], fold[~unknown], method))
    assert (calibrated[unknown].max(axis=1) < strange[unknown].max(axis=1)).mean() > 0.95


@pytest.mark.parametrize("method", ["temperature", "vector"])
def test_tiny_and_absent_classes_and_certain_probabilities_stay_finite(method):
    rng = np.random.default_rng(0)
    labels = np.array([0, 1] * 19 + [2, 2])  # class 3 is never given, class 2 lies in one fold only
    fold = np.array([0, 0, 1, 1] * 9 + [0, 1, 2, 2])
    told = softmax(rng.normal(0, 1, (40, 4)) + 2 * np.eye(4)[labels], axis=1)
    told[:6] = np.eye(4)[(labels[:6] + np.arange(6) % 2) % 4]  # certain, and every other time wrong
    calibrated = calibrate(told, labels, fold, method)
    assert np.isfinite(calibrated).all()
    assert np.allclose(calibrated.sum(axis=1), 1)
    assert calibrated.min() >= 0


def test_what_cannot_be_fitted_stays_as_it_is():
    labels, told, fold = drawn(40, 2.0)
    assert np.array_equal(calibrate(told, labels, fold, "none"), told)
    assert np.array_equal(calibrate(told, labels, np.zeros(40, dtype=int), "vector"), told)
    assert np.array_equal(calibrate(told, np.full(40, -1), fold, "temperature"), told)
    assert calibrate(told[:0], labels[:0], fold[:0], "vector").shape == (0, K)


def test_what_does_not_fit_together_is_refused():
    labels, told, fold = drawn(40, 1.0)
    with pytest.raises(FerError, match="expected one of none, temperature, vector, found 'isotonic'"):
        calibrate(told, labels, fold, "isotonic")
    with pytest.raises(FerError, match=r"found \[40, 7\], \[39\] and \[40\]"):
        calibrate(told, labels[:-1], fold, "vector")
    with pytest.raises(FerError, match="expected labels below 7, found 7"):
        calibrate(told, np.full(40, 7), fold, "vector")
