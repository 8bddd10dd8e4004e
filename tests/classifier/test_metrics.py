import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn import metrics as reference

from classifier import metrics
from fer_data.errors import FerError
from fer_data.expressions import BASIC7


def random_judgement(seed: int, count: int = 400, classes: int = 7) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.choice(classes, size=count, p=np.array([20, 1, 15, 30, 14, 10, 10]) / 100)
    logits = rng.normal(size=(count, classes)) + 1.5 * np.eye(classes)[truth]
    return truth, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_scikit_learn(seed):
    truth, probabilities = random_judgement(seed)
    found = metrics.evaluate(truth, probabilities, BASIC7)
    predicted = probabilities.argmax(axis=1)
    precision, recall, f1, count = reference.precision_recall_fscore_support(
        truth, predicted, labels=range(7), zero_division=np.nan
    )
    present = np.unique(truth)

    assert found["accuracy"] == pytest.approx(reference.accuracy_score(truth, predicted))
    assert found["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(truth, predicted))
    assert found["macro_f1"] == pytest.approx(
        reference.f1_score(truth, predicted, labels=present, average="macro", zero_division=0)
    )
    assert found["cross_entropy"] == pytest.approx(reference.log_loss(truth, probabilities, labels=range(7)))
    assert found["confusion"] == reference.confusion_matrix(truth, predicted, labels=range(7)).tolist()
    for index, label in enumerate(BASIC7):
        entry = found["per_class"][label]
        assert entry["count"] == count[index]
        for name, value in (("precision", precision), ("recall", recall), ("f1", f1)):
            assert (np.nan if entry[name] is None else entry[name]) == pytest.approx(value[index], nan_ok=True)
        if count[index]:
            expected = reference.average_precision_score(truth == index, probabilities[:, index])
            assert entry["average_precision"] == pytest.approx(expected)


def test_average_precision_takes_equal_scores_as_one_step():
    rng = np.random.default_rng(0)
    positive, scores = rng.random(200) < 0.3, rng.integers(0, 6, 200) / 5
    expected = reference.average_precision_score(positive, scores)
    assert metrics.average_precision(positive, scores) == pytest.approx(expected)
    assert np.isnan(metrics.average_precision(np.zeros(3, bool), np.arange(3.0)))


def test_faces_without_a_truth_are_left_out_and_counted():
    truth, probabilities = random_judgement(3)
    mixed = truth.copy()
    mixed[::4] = -1
    found = metrics.evaluate(mixed, probabilities, BASIC7)
    alone = metrics.evaluate(truth[mixed >= 0], probabilities[mixed >= 0], BASIC7)
    assert found["left_out"] == 100 and found["count"] == 300
    assert {**found, "left_out": 0} == alone


def test_a_class_without_faces_is_not_averaged():
    probabilities = np.eye(7)[[0, 0, 2]] * 0.94 + 0.06 / 7
    found = metrics.evaluate(np.array([0, 0, 1]), probabilities, BASIC7)
    assert found["balanced_accuracy"] == pytest.approx(0.5)
    assert found["macro_f1"] == pytest.approx(0.5)
    assert found["per_class"]["neutral"] == {
        "count": 0, "precision": None, "recall": None, "f1": None, "average_precision": None
    }  # fmt: skip


@pytest.mark.parametrize(
    ("truth", "probabilities", "message"),
    [
        ([0, 1], np.full((2, 6), 1 / 6), r"expected probabilities \[2, 7\]"),
        ([0, 1], np.full((3, 7), 1 / 7), r"expected probabilities \[2, 7\]"),
        ([-1, -1], np.full((2, 7), 1 / 7), "at least one face whose truth"),
        ([0, 7], np.full((2, 7), 1 / 7), "truths below 7, found 7"),
        ([0, 1], np.full((2, 7), 0.2), "that sum to 1, found 2 rows"),
        ([0, 1], np.array([np.full(7, 1 / 7), np.full(7, np.nan)]), "found 1 rows .*row 1"),
        ([0], np.array([[-0.5, 1.5, 0, 0, 0, 0, 0]]), "that sum to 1"),
    ],
)
def test_refuses_what_cannot_be_judged(truth, probabilities, message):
    with pytest.raises(FerError, match=message):
        metrics.evaluate(np.array(truth), probabilities, BASIC7)


def test_agreement_is_recall_with_wilsons_interval():
    truth, probabilities = random_judgement(3)
    matrix = metrics.confusion(truth, probabilities.argmax(axis=1), 7)
    found = metrics.agreement(matrix, BASIC7)
    recall = reference.recall_score(truth, probabilities.argmax(axis=1), labels=range(7), average=None)
    assert [found[label]["agreement"] for label in BASIC7] == pytest.approx(recall.tolist())
    assert found["all"]["agreed"] == np.trace(matrix) and found["all"]["count"] == len(truth)
    for entry in found.values():
        interval = binomtest(entry["agreed"], entry["count"]).proportion_ci(method="wilson")
        assert (entry["low"], entry["high"]) == pytest.approx((interval.low, interval.high))


def test_agreement_leaves_out_what_the_truth_lacks():
    assert set(metrics.agreement(np.array([[3, 1], [0, 0]]), ("anger", "fear"))) == {"all", "anger"}
    assert metrics.agreement(np.zeros((2, 2), dtype=int), ("anger", "fear")) == {}
