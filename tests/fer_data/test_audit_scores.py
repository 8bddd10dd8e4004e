"""Every score against cleanlab or its own definition, in 0..1, on small and hostile sets too."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from cleanlab.count import compute_confident_joint, get_confident_thresholds
from cleanlab.rank import get_label_quality_scores

from fer_data.auditing.evidence import UNTRAINED, Evidence, Repeat
from fer_data.auditing.neighbours import vote
from fer_data.auditing.scores import (
    SCORES,
    available,
    class_thresholds,
    confidence_weighted_entropy,
    confident_learning,
    forgetting,
    neighbour_shares,
    odds_margin,
    score_labels,
    score_repeat,
)
from fer_data.errors import FerError

CLEANLAB = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def made_evidence(count=60, classes=3, repeats=2, seed=0, sharpness=1.0, left_out=None):
    """Faces about one centre per label, a tenth of the labels wrong, a tenth of each repeat's planted or untrained."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, classes, count)
    labels = np.where(rng.random(count) < 0.1, (true + 1) % classes, true)
    if left_out is not None:
        labels[labels == left_out] = (left_out + 1) % classes
    centres = rng.normal(size=(classes, 8))

    def judged():
        logits = sharpness * (2 * np.eye(classes)[true] + rng.normal(size=(count, classes)))
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def one(number):
        trained = labels.copy()
        trained[number::10] = (trained[number::10] + 1) % classes
        trained[number + 5 :: 10] = UNTRAINED
        seen = judged().astype(np.float32)
        margins = rng.normal(size=(count, 6)).astype(np.float32) + 1
        seen[trained == UNTRAINED], margins[trained == UNTRAINED] = np.nan, np.nan
        features = (centres[true] + rng.normal(size=(count, 8))).astype(np.float32)
        fold = rng.integers(0, 2, count).astype(np.int16)
        return Repeat(fold, judged().astype(np.float32), trained, features, seen, margins)

    made = tuple(one(number) for number in range(repeats))
    mean = judged() if not made else sum(repeat.probabilities.astype(np.float64) for repeat in made) / repeats
    return Evidence(
        names=tuple("abcdefgh"[:classes]),
        sample_ids=np.array([f"made/{row}" for row in range(count)], dtype=object),
        labels=labels,
        probabilities=mean / mean.sum(axis=1, keepdims=True),
        groups=np.arange(count),
        repeats=made,
    )


@pytest.mark.parametrize("name", CLEANLAB)
@pytest.mark.parametrize(("classes", "sharpness"), [(2, 1.0), (7, 0.1), (8, 1.5)])
def test_a_score_of_probabilities_is_cleanlabs(name, classes, sharpness):
    evidence = made_evidence(500, classes, repeats=0, sharpness=sharpness)
    expected = get_label_quality_scores(evidence.labels, evidence.probabilities, method=name)
    np.testing.assert_allclose(SCORES[name](evidence), expected, rtol=0, atol=1e-9)


def test_entropy_is_right_where_cleanlabs_is_not():
    labels = np.zeros(4, dtype=np.int64)
    sure = np.array([[1, 0], [0, 1], [1e-9, 1 - 1e-9], [1 - 1e-9, 1e-9]])
    right, wrong, nearly_wrong, nearly_right = confidence_weighted_entropy(labels, sure)
    assert right == 1 and wrong == 0
    assert nearly_wrong < 0.15 and nearly_right > 0.999
    broken = get_label_quality_scores(labels, sure, method="confidence_weighted_entropy")
    assert broken[0] == broken[1] == 0, "cleanlab can tell them apart now: use its function"
    assert broken[2] > 0.95


@pytest.mark.parametrize("classes", [2, 7])
def test_confident_learning_agrees_with_what_cleanlab_counts(classes):
    evidence = made_evidence(2000, classes, repeats=0)
    labels, probabilities = evidence.labels, evidence.probabilities
    thresholds = class_thresholds(labels, probabilities)
    np.testing.assert_allclose(thresholds, get_confident_thresholds(labels, probabilities), rtol=1e-12)
    score = confident_learning(labels, probabilities)
    _, counted_as_other = compute_confident_joint(labels, probabilities, return_indices_of_off_diagonals=True)
    off_diagonal = np.isin(np.arange(len(labels)), counted_as_other)
    passed = (probabilities >= thresholds - 1e-6).sum(axis=1)
    own_passes = probabilities[np.arange(len(labels)), labels] >= thresholds[labels] - 1e-6
    assert (off_diagonal & (passed == 1)).sum() > 50 and (own_passes & (passed == 1)).sum() > 50
    assert (score[off_diagonal & (passed == 1)] < 0.5 + 1e-6).all()
    assert (score[own_passes & (passed == 1)] > 0.5 - 1e-6).all()


def test_thresholds_of_a_label_that_nobody_carries_or_nobody_believes():
    probabilities = np.array([[1, 0, 0], [0.5, 0, 0.5]])
    labels = np.array([0, 1])
    expected = get_confident_thresholds(labels, probabilities)
    np.testing.assert_array_equal(class_thresholds(labels, probabilities), expected)
    assert class_thresholds(labels, probabilities)[2] == 2
    assert np.isfinite(confident_learning(labels, probabilities)).all()


def test_the_odds_margin_is_the_logistic_function_of_the_margin_of_the_logits():
    logits = np.random.default_rng(0).normal(size=(50, 4))
    labels = np.arange(50) % 4
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    own = logits[np.arange(50), labels]
    other = np.where(np.eye(4, dtype=bool)[labels], -np.inf, logits).max(axis=1)
    np.testing.assert_allclose(odds_margin(labels, probabilities), 1 / (1 + np.exp(other - own)), atol=1e-12)
    assert odds_margin(np.array([0]), np.array([[0, 0, 0.0]]))[0] == 0.5


def test_forgetting_counts_what_was_learnt_and_lost_again():
    margins = np.array(
        [[-1, 1, 1, 1], [1, -1, 1, -1], [-1, -1, -1, -1], [0, 0, 0, 0], [1, 1, 1, 1], [np.nan] * 4]
    )  # fmt: skip
    np.testing.assert_array_equal(forgetting(np.zeros(6, dtype=np.int64), margins), [1, 0.5, 0, 0, 1, np.nan])


def test_areas_under_the_margin_are_means_over_the_training():
    evidence = made_evidence(40, repeats=1)
    (repeat,) = evidence.repeats
    scores = score_repeat(evidence, repeat, repeat.trained_label)
    trained = repeat.trained
    margins = repeat.margins[trained].astype(np.float64)
    np.testing.assert_allclose(scores["area_under_margin"][trained], 1 / (1 + np.exp(-margins.mean(axis=1))))
    np.testing.assert_allclose(scores["late_margin"][trained], 1 / (1 + np.exp(-margins[:, 3:].mean(axis=1))))


@pytest.mark.parametrize(
    "evidence",
    [
        made_evidence(40, 2, repeats=1),
        made_evidence(300, 7, repeats=3, seed=1),
        made_evidence(90, 3, repeats=1, sharpness=300),
        made_evidence(90, 3, repeats=2, left_out=2),
        made_evidence(50, 3, repeats=0),
        made_evidence(0, 3, repeats=1),
    ],
    ids=["small", "seven", "sure", "an empty class", "no repeats", "no faces"],
)
def test_scores_lie_in_0_to_1_and_are_missing_only_where_untrained(evidence):
    scores = score_labels(evidence)
    assert tuple(scores) == available(evidence)
    known = np.zeros(len(evidence), dtype=bool)
    for repeat in evidence.repeats:
        known |= repeat.trained_label == evidence.labels
    for name, score in scores.items():
        assert score.shape == (len(evidence),) and score.dtype == np.float64, name
        assert ((score >= 0) & (score <= 1) | np.isnan(score)).all(), name
        expected = ~known if SCORES[name].needs in ("seen", "margins") else np.zeros(len(evidence), dtype=bool)
        np.testing.assert_array_equal(np.isnan(score), expected, err_msg=name)


@pytest.mark.parametrize("name", sorted(SCORES))
def test_wrong_labels_score_lower_wherever_the_label_is_what_a_score_looks_at(name):
    evidence = made_evidence(600, 3, repeats=2, seed=3)
    if SCORES[name].needs == "margins":
        margins = tuple(2 * SCORES["self_confidence"](evidence)[:, None] - 1 + 0 * repeat.margins
                        for repeat in evidence.repeats)  # fmt: skip
        repeats = tuple(replace(r, margins=m) for r, m in zip(evidence.repeats, margins, strict=True))
        evidence = replace(evidence, repeats=repeats)
    score = SCORES[name](evidence)
    agrees = evidence.probabilities.argmax(axis=1) == evidence.labels
    assert np.nanmean(score[agrees]) > np.nanmean(score[~agrees]) + 0.1


def test_scores_of_repeats_are_means_that_leave_planted_labels_out():
    evidence = made_evidence(60, repeats=2)
    each = [score_repeat(evidence, repeat, evidence.labels) for repeat in evidence.repeats]
    means = score_labels(evidence)
    for name in ("neighbours", "seen_confidence", "late_margin"):
        np.testing.assert_allclose(means[name], np.nanmean([scores[name] for scores in each], axis=0))
    planted = evidence.repeats[0].trained_label != evidence.labels
    assert np.isnan(each[0]["seen_margin"][planted]).all()
    np.testing.assert_array_equal(means["seen_margin"][planted], each[1]["seen_margin"][planted])
    expected = get_label_quality_scores(evidence.labels, evidence.probabilities, method="normalized_margin")
    np.testing.assert_allclose(means["normalized_margin"], expected)


def test_a_planted_label_is_judged_where_it_was_trained():
    evidence = made_evidence(60, repeats=1)
    (repeat,) = evidence.repeats
    trained = repeat.trained_label
    scores = score_repeat(evidence, repeat, trained)
    rows = np.flatnonzero(repeat.trained)
    np.testing.assert_allclose(scores["seen_confidence"][rows], repeat.seen[rows, trained[rows]], rtol=1e-6)
    np.testing.assert_allclose(scores["self_confidence"][rows], repeat.probabilities[rows, trained[rows]], rtol=1e-6)
    shares = vote(repeat.features, evidence.labels, repeat.fold, evidence.groups, 3)
    np.testing.assert_array_equal(scores["neighbours"][rows], shares[rows, trained[rows]])
    for name, score in scores.items():
        np.testing.assert_array_equal(np.isnan(score), ~repeat.trained, err_msg=name)


def test_shares_that_are_known_already_are_used():
    evidence = made_evidence(60, repeats=2)
    shares = [neighbour_shares(evidence, repeat) for repeat in evidence.repeats]
    for name, score in score_labels(evidence, shares).items():
        np.testing.assert_array_equal(score, score_labels(evidence)[name])
    other = score_labels(evidence, [np.full((60, 3), 1 / 3)] * 2)
    np.testing.assert_allclose(other["neighbours"], 1 / 3)


def test_only_what_is_there_is_computed():
    evidence = made_evidence(40, repeats=2)
    bare = tuple(replace(repeat, features=None, margins=None) for repeat in evidence.repeats)
    mixed = replace(evidence, repeats=(bare[0], replace(evidence.repeats[1], seen=None)))
    assert available(replace(evidence, repeats=())) == (*CLEANLAB, "confident_learning")
    assert available(replace(evidence, repeats=bare)) == (
        *CLEANLAB, "confident_learning", "seen_confidence", "seen_margin",
    )  # fmt: skip
    assert available(mixed) == tuple(SCORES)
    only_second = score_repeat(evidence, evidence.repeats[1], evidence.labels)
    np.testing.assert_array_equal(score_labels(mixed)["forgetting"], only_second["forgetting"])
    with pytest.raises(FerError, match="expected a repeat with margins, found none"):
        SCORES["forgetting"](replace(evidence, repeats=bare))
    with pytest.raises(FerError, match="expected a repeat with features"):
        neighbour_shares(evidence, bare[0])


@pytest.mark.parametrize("name", sorted(SCORES))
def test_calling_a_score_is_the_same_as_scoring_all(name):
    evidence = made_evidence(50, repeats=2, seed=5)
    np.testing.assert_array_equal(SCORES[name](evidence), score_labels(evidence)[name])
