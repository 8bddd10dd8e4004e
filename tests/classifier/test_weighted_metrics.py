"""Metrics of weighted faces: a weight of n is a face that comes n times."""

import numpy as np
import pytest

from classifier.metrics import evaluate
from classifier.weighted_metrics import measure
from fer_data.expressions import BASIC7


def random_judgement(seed: int, count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.choice([0, 1, 3, 4, 6], count)  # two classes have no face
    logits = rng.normal(size=(count, 7)) + np.eye(7)[truth]
    rounded = np.round(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), 2) + 1e-3  # many equal scores
    return truth, rounded / rounded.sum(axis=1, keepdims=True)


def test_every_weighting_is_scored_as_the_faces_that_it_repeats():
    truth, probabilities = random_judgement(0)
    drawn = np.random.default_rng(1).multinomial(200, np.full(200, 1 / 200), size=5)
    weights = np.vstack([np.ones(200), drawn]).astype(float)
    found = measure(truth, probabilities, BASIC7, weights)
    for number, weight in enumerate(weights.astype(int)):
        rows = np.repeat(np.arange(200), weight)
        expected = evaluate(truth[rows], probabilities[rows], BASIC7)
        for name in ("accuracy", "balanced_accuracy", "macro_f1", "cross_entropy", "brier", "ece"):
            assert found[name][number] == pytest.approx(expected[name]), name
        for label, entry in expected["per_class"].items():
            for name in ("precision", "recall", "f1", "average_precision"):
                wanted = np.nan if entry[name] is None else entry[name]
                assert found[f"{name}:{label}"][number] == pytest.approx(wanted, nan_ok=True), (name, label)


def test_a_class_that_a_weighting_lacks_has_no_average_precision():
    truth = np.array([0, 1, 1])
    probabilities = np.eye(7)[[0, 1, 0]] * 0.93 + 0.01
    found = measure(truth, probabilities, BASIC7, np.array([[0.0, 1.0, 1.0]]))
    assert np.isnan(found["average_precision:anger"][0]) and np.isnan(found["recall:anger"][0])
    assert found["balanced_accuracy"][0] == pytest.approx(0.5)
