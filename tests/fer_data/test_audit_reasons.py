import numpy as np
import pandas as pd
import pytest
from scipy.stats import iqr

from fer_data.auditing.evidence import Evidence
from fer_data.auditing.reasons import (
    KINDS,
    ReasonConfig,
    certainty_of,
    is_isolated,
    outliers_by_probabilities,
    tell_reasons,
)
from fer_data.errors import FerError

NAMES = ("anger", "disgust", "fear")


def evidence_of(labels, probabilities) -> Evidence:
    labels = np.asarray(labels, dtype=np.int64)
    ids = np.array([f"set/{row:03d}" for row in range(len(labels))], dtype=object)
    probabilities = np.asarray(probabilities, dtype=np.float64)
    return Evidence(NAMES[: probabilities.shape[1]], ids, labels, probabilities, np.arange(len(labels)))


def test_each_kind_by_its_rule():
    posterior = np.array(
        [
            [0.90, 0.05, 0.05],  # given 0: fine
            [0.10, 0.85, 0.05],  # given 0: wrong
            [0.50, 0.45, 0.05],  # given 0, which is one of two plausible labels
            [0.02, 0.50, 0.48],  # given 0, which is none of two plausible labels
            [0.90, 0.05, 0.05],  # like no other face
            [0.34, 0.33, 0.33],  # like no other, and nothing recognised
            [0.90, 0.05, 0.05],  # blank
            *[[0.90, 0.05, 0.05]] * 33,
        ]
    )
    outlier_score = np.array([0.5, 0.5, 0.49, 0.51, 0.01, 0.01, 0.5, *np.linspace(0.4, 0.6, 33)])
    quality = pd.DataFrame({"blank_score": [0.8, 0.8, 0.8, np.nan, 0.8, 0.8, 0.01, *[0.7] * 33]})
    found = tell_reasons(evidence_of(np.zeros(40), posterior), posterior, outlier_score, quality, ReasonConfig())
    assert found.kind.tolist()[:7] == [
        "fine",
        "wrong",
        "ambiguous",
        "ambiguous",
        "out_of_distribution",
        "not_a_face",
        "not_a_face",
    ]
    assert found.suggested.tolist()[:7] == [0, 1, 0, 1, 0, 0, 0]
    assert found.second.tolist()[:7] == [1, 0, 1, 2, 1, 1, 1]
    np.testing.assert_allclose(found.suggestion_score[:7], [0.9, 0.85, 0.5, 0.5, 0.9, 0.34, 0.9])
    np.testing.assert_allclose(found.ambiguity_score, (posterior**2).sum(axis=1))
    assert found.face_score.argsort()[:2].tolist() == [6, 5] and found.face_score[6] == 0.01
    assert found.counts() == {"fine": 34, "wrong": 1, "ambiguous": 2, "not_a_face": 2, "out_of_distribution": 1}
    columns = found.columns(NAMES)
    assert columns["suggested_label"].tolist()[:4] == ["anger", "disgust", "anger", "disgust"]
    assert columns["second_label"].tolist()[:4] == ["disgust", "anger", "disgust", "fear"]
    assert set(columns) == {
        "suggested_label", "second_label", "kind", "suggestion_score", "ambiguity_score", "face_score",
    }  # fmt: skip


def test_the_suggestion_is_the_given_label_exactly_where_a_face_is_fine():
    rng = np.random.default_rng(0)
    posterior = rng.dirichlet([0.5] * 3, 500)
    labels = rng.integers(0, 3, 500)
    found = tell_reasons(evidence_of(labels, posterior), posterior, rng.uniform(0.4, 0.5, 500), None, ReasonConfig())
    fine, wrong = found.kind == "fine", found.kind == "wrong"
    assert fine.any() and wrong.any()
    assert (found.suggested[fine] == labels[fine]).all()
    assert (found.suggested[wrong] != labels[wrong]).all()
    assert (found.second != found.suggested).all()
    best, runner_up = np.sort(posterior, axis=1)[:, [2, 1]].T
    np.testing.assert_array_equal(found.kind == "ambiguous", runner_up >= 0.5 * best)
    assert ((found.ambiguity_score >= 1 / 3) & (found.ambiguity_score <= 1)).all()
    assert ((found.face_score >= 0) & (found.face_score <= 1)).all()


def test_a_stricter_share_makes_more_labels_plausible():
    posterior = np.array([[0.2, 0.7, 0.1]])
    evidence = evidence_of([0], posterior)
    kinds = [
        tell_reasons(evidence, posterior, np.array([np.nan]), None, ReasonConfig(plausible=share)).kind[0]
        for share in (0.2, 0.9)
    ]
    assert kinds == ["ambiguous", "wrong"]


def test_certainty_is_zero_for_equal_and_one_for_sure_probabilities():
    np.testing.assert_allclose(certainty_of(np.array([[1 / 3] * 3, [0, 1, 0]])), [0, 1], atol=1e-12)
    assert certainty_of(np.ones((2, 1))).tolist() == [1, 1]  # one label only


def test_isolation_is_the_rule_that_datalab_applies_to_distances():
    """`OutlierIssueManager`: Q3 + (1 / threshold - 1) * IQR of the mean distances, threshold 0.37037."""
    rng = np.random.default_rng(1)
    distance = np.concatenate([rng.gamma(9, 0.1, 500), [4, 5, 6]])
    ranges = 1 / 0.37037 - 1
    theirs = distance > np.quantile(distance, 0.75) + ranges * iqr(distance)
    assert 3 <= theirs.sum() < 30
    np.testing.assert_array_equal(is_isolated(np.exp(-distance), ranges), theirs)
    assert ReasonConfig().isolated == pytest.approx(ranges, abs=0.001)


def test_isolation_where_distances_are_unknown_or_all_the_same():
    assert not is_isolated(np.full(5, np.nan), 1.7).any()
    assert not is_isolated(np.full(5, 0.5), 1.7).any()
    assert is_isolated(np.array([0.5] * 9 + [0.0, np.nan]), 1.7).tolist() == [False] * 9 + [True, False]


def test_outliers_by_probabilities_are_cleanlabs():
    from cleanlab.outlier import OutOfDistribution

    rng = np.random.default_rng(2)
    probabilities = rng.dirichlet([0.4, 1, 2, 0.2], 400)
    labels = np.array([rng.choice(4, p=row) for row in probabilities])
    theirs = OutOfDistribution().fit_score(pred_probs=probabilities, labels=labels, verbose=False)
    np.testing.assert_allclose(outliers_by_probabilities(labels, probabilities), theirs, atol=1e-12)


def test_outliers_by_probabilities_with_a_label_that_no_face_has():
    labels = np.array([0, 0, 2, 2])
    probabilities = np.array([[0.9, 0, 0.1], [0, 1, 0], [0.1, 0, 0.9], [0.2, 0, 0.8]])
    scores = outliers_by_probabilities(labels, probabilities)
    assert np.isfinite(scores).all() and scores.argmin() == 1
    assert outliers_by_probabilities(np.zeros(3, dtype=np.int64), np.eye(3)).tolist() == [1, 1, 1]


def test_small_sets_with_one_or_two_labels_give_numbers_without_warnings(recwarn):
    for classes in (1, 2):
        posterior = np.random.default_rng(3).dirichlet(np.ones(classes), 40)
        evidence = evidence_of(np.zeros(40), posterior)
        unknown = outliers_by_probabilities(evidence.labels, posterior)
        found = tell_reasons(evidence, posterior, unknown, None, ReasonConfig())
        assert set(found.kind) <= set(KINDS)
        assert np.isfinite([found.suggestion_score, found.ambiguity_score, found.face_score]).all()
    assert not recwarn.list


def test_what_does_not_fit_the_evidence_is_refused():
    posterior = np.full((4, 3), 1 / 3)
    evidence, scores = evidence_of(np.zeros(4), posterior), np.ones(4)
    with pytest.raises(FerError, match=r"expected probabilities \[4, 3\] and as many outlier scores, found \[3, 3\]"):
        tell_reasons(evidence, posterior[:3], scores, None, ReasonConfig())
    with pytest.raises(FerError, match=r"found \[4, 3\] and \[2\]"):
        tell_reasons(evidence, posterior, scores[:2], None, ReasonConfig())
    with pytest.raises(FerError, match="expected a blank_score for each of 4 faces, found 4 rows with dark_score"):
        tell_reasons(evidence, posterior, scores, pd.DataFrame({"dark_score": scores}), ReasonConfig())
    with pytest.raises(FerError, match="found 3 rows with blank_score"):
        tell_reasons(evidence, posterior, scores, pd.DataFrame({"blank_score": scores[:3]}), ReasonConfig())
    with pytest.raises(FerError, match="found 4 rows with no columns"):
        tell_reasons(evidence, posterior, scores, pd.DataFrame(index=range(4)), ReasonConfig())
