"""Calibration, selective answers and distances to votes, against scikit-learn, scipy and slow plain versions."""

import numpy as np
import pytest
from scipy.stats import entropy
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve

from classifier import confidence, metrics
from fer_data.errors import FerError
from fer_data.expressions import BASIC7


def random_judgement(seed: int, count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 7, count)
    logits = rng.normal(size=(count, 7)) + 1.5 * np.eye(7)[truth]
    return truth, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def test_brier_and_calibration_in_closed_form():
    truth = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.8, 0.2], [0.8, 0.2], [0.8, 0.2], [0.3, 0.7]])
    # Brier: 2 · 0.2², 2 · 0.2², 2 · 0.8², 2 · 0.3². Bins: three of .8 with 2 right, one of .7 that is right.
    assert confidence.brier(truth, probabilities) == pytest.approx((0.08 + 0.08 + 1.28 + 0.18) / 4)
    gap = abs(2 / 3 - 0.8) * 3 / 4 + 0.3 / 4
    assert confidence.expected_calibration_error(truth, probabilities) == pytest.approx(gap)
    per_column = [reference.brier_score_loss(truth == k, probabilities[:, k]) for k in range(2)]
    assert confidence.brier(truth, probabilities) == pytest.approx(sum(per_column))


@pytest.mark.parametrize("seed", range(3))
def test_reliability_agrees_with_scikit_learn(seed):
    truth, probabilities = random_judgement(seed)
    top, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    accuracy, mean = calibration_curve(right, top, n_bins=confidence.BINS)
    rows = confidence.reliability(truth, probabilities)
    assert [row["accuracy"] for row in rows] == pytest.approx(accuracy.tolist())
    assert [row["confidence"] for row in rows] == pytest.approx(mean.tolist())
    assert all(row["low"] <= row["accuracy"] <= row["high"] for row in rows)
    assert all(row["from"] < row["confidence"] <= row["to"] for row in rows)
    gap = sum(row["faces"] * abs(row["accuracy"] - row["confidence"]) for row in rows) / len(truth)
    assert confidence.expected_calibration_error(truth, probabilities) == pytest.approx(gap)


def test_the_gap_of_every_class_is_that_of_its_own_probability():
    truth, probabilities = random_judgement(4)
    gaps = []
    for label in range(7):
        shares, mean = calibration_curve(truth == label, probabilities[:, label], n_bins=confidence.BINS)
        places = np.ceil(probabilities[:, label] * confidence.BINS).astype(int) - 1
        counts = np.bincount(places, minlength=confidence.BINS)
        gaps.append((counts[counts > 0] * np.abs(shares - mean)).sum() / len(truth))
    assert confidence.classwise_calibration_error(truth, probabilities) == pytest.approx(np.mean(gaps))


def plain_risk(truth, probabilities, answered):
    """Expected error of the `answered` most confident faces; ties broken at random, by simulation of all orders."""
    top, wrong = probabilities.max(axis=1), probabilities.argmax(axis=1) != truth
    edge = np.sort(top)[::-1][answered - 1]
    sure, tied = top > edge, top == edge
    return (wrong[sure].sum() + wrong[tied].mean() * (answered - sure.sum())) / answered


def test_selective_answers_agree_with_a_plain_version():
    truth, probabilities = random_judgement(5, 120)
    probabilities = np.round(probabilities, 1) + 1e-3  # many faces of equal confidence
    coverage, risk = confidence.risk_coverage(truth, probabilities)
    expected = [plain_risk(truth, probabilities, answered) for answered in range(1, 121)]
    assert risk == pytest.approx(expected)
    assert coverage[[0, -1]] == pytest.approx([1 / 120, 1])
    assert confidence.area_under_risk(truth, probabilities) == pytest.approx(np.mean(expected))
    found = confidence.selective_accuracy(truth, probabilities)
    assert list(found) == ["0.5", "0.8", "0.9"]
    assert list(found.values()) == pytest.approx([1 - expected[59], 1 - expected[95], 1 - expected[107]])


def test_the_order_of_faces_does_not_matter():
    truth, probabilities = random_judgement(6, 90)
    probabilities = np.round(probabilities, 1) + 1e-3
    order = np.random.default_rng(0).permutation(90)
    one, other = (
        confidence.risk_coverage(truth, probabilities),
        confidence.risk_coverage(truth[order], probabilities[order]),
    )
    assert np.array_equal(one, other)


def test_answering_everything_is_accuracy():
    truth, probabilities = random_judgement(7)
    found = metrics.evaluate(truth, probabilities, BASIC7)
    assert confidence.selective_accuracy(truth, probabilities, [1.0])["1"] == pytest.approx(found["accuracy"])
    assert found["aurc"] == pytest.approx(confidence.area_under_risk(truth, probabilities))
    assert found["classwise_ece"] == pytest.approx(confidence.classwise_calibration_error(truth, probabilities))
    assert found["selective_accuracy"]["0.5"] > found["accuracy"]


def test_distances_to_votes_agree_with_scipy():
    _, probabilities = random_judgement(8)
    votes = np.random.default_rng(1).multinomial(10, probabilities) / 10
    votes[::5] = np.nan
    kept = ~np.isnan(votes[:, 0])
    found = confidence.distribution_scores(votes, probabilities)
    assert (found["count"], found["left_out"]) == (240, 60)
    assert found["kl"] == pytest.approx(entropy(votes[kept], probabilities[kept], axis=1).mean())
    assert found["entropy"] == pytest.approx(entropy(votes[kept], axis=1).mean())
    assert found["cross_entropy"] == pytest.approx(found["kl"] + found["entropy"])
    nobody = confidence.distribution_scores(np.full((2, 7), np.nan), probabilities[:2])
    assert nobody == {"count": 0, "left_out": 2, "cross_entropy": None, "entropy": None, "kl": None}


def test_shares_that_do_not_fit_are_refused():
    _, probabilities = random_judgement(9, 4)
    with pytest.raises(FerError, match=r"expected shares \[4, 7\]"):
        confidence.distribution_scores(np.ones((4, 8)) / 8, probabilities)
    with pytest.raises(FerError, match="rows of shares that sum to 1"):
        confidence.distribution_scores(np.ones((4, 7)), probabilities)
