"""The combined score on drawn evidence whose truth is known, and the model that learns it."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from fer_data.auditing.combining import CombineConfig, Combined, combine
from fer_data.auditing.evidence import UNTRAINED, Evidence, Repeat
from fer_data.auditing.examples import mean_known, replaced_examples, untrained_parts
from fer_data.auditing.planting import confident_joint, plant
from fer_data.auditing.presence import deal, fit_presence, learn
from fer_data.errors import FerError

CLASSES = 4
CONFUSION = np.array(  # true × given: the last class is rare and often given to faces of the third
    [[0.95, 0.05, 0.0, 0.0], [0.25, 0.7, 0.05, 0.0], [0.05, 0.1, 0.83, 0.02], [0.0, 0.0, 0.3, 0.7]]
)
SHARES = np.array([0.4, 0.3, 0.25, 0.05])


def drawn_evidence(faces: int, repeats: int, seed: int = 0, planted: float = 0.05) -> tuple[Evidence, np.ndarray]:
    """Evidence as classifiers of middling skill would give it, and the true labels."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(CLASSES, faces, p=SHARES)
    looks = 1.5 * np.eye(CLASSES)[truth] + rng.normal(0, 0.7, (faces, CLASSES)) + np.log(SHARES)
    labels = (CONFUSION[truth].cumsum(axis=1) < rng.random((faces, 1))).sum(axis=1)
    made = []
    for number in range(repeats):
        told = plant(labels, None, planted, seed + number, CLASSES)
        logits = looks + rng.normal(0, 0.5, looks.shape)
        learnt = logits + 0.8 * np.eye(CLASSES)[told]
        margin = np.take_along_axis(learnt, told[:, None], axis=1) - np.sort(learnt, axis=1)[:, -2:-1]
        made.append(
            Repeat(
                fold=(rng.permutation(faces) % 4).astype(np.int16),
                probabilities=softmax(logits).astype(np.float32),
                trained_label=told,
                features=(logits @ np.eye(CLASSES)).astype(np.float32),
                seen=softmax(learnt).astype(np.float32),
                margins=np.repeat(margin, 3, axis=1).astype(np.float32),
            )
        )
    judged = [repeat.probabilities for repeat in made] or [softmax(looks + rng.normal(0, 0.5, looks.shape))]
    probabilities = np.mean(judged, axis=0).astype(np.float64)
    evidence = Evidence(
        names=tuple("abcd"),
        sample_ids=np.array([f"face/{row}" for row in range(faces)], dtype=object),
        labels=labels,
        probabilities=probabilities / probabilities.sum(axis=1, keepdims=True),
        groups=np.arange(faces) // 2,
        repeats=tuple(made),
    )
    return evidence, truth


def softmax(logits: np.ndarray) -> np.ndarray:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def precision(evidence: Evidence, truth: np.ndarray, score: np.ndarray) -> float:
    return float(average_precision_score(truth != evidence.labels, -score))


@pytest.fixture(scope="module")
def trained() -> tuple[Evidence, np.ndarray, Combined]:
    evidence, truth = drawn_evidence(4000, repeats=2)
    return evidence, truth, combine(evidence, CombineConfig(), seed=0)


def test_combined_is_better_than_what_it_combines(trained: tuple[Evidence, np.ndarray, Combined]) -> None:
    from fer_data.auditing.scores import score_labels

    evidence, truth, combined = trained
    singles = score_labels(evidence)
    parts = ("self_confidence", "normalized_margin", "neighbour_margin", "seen_margin", "area_under_margin")
    known = np.all([~np.isnan(singles[name]) for name in parts], axis=0)
    wrong = (truth != evidence.labels)[known]
    best = max(average_precision_score(wrong, -singles[name][known]) for name in parts)
    assert average_precision_score(wrong, -combined.score[known]) > best + 0.005
    assert roc_auc_score(truth != evidence.labels, -combined.score) > 0.9


def test_scores_are_calibrated_and_posteriors_agree_with_them(
    trained: tuple[Evidence, np.ndarray, Combined],
) -> None:
    evidence, truth, combined = trained
    wrong = truth != evidence.labels
    for label in range(CLASSES):
        held_to = combined.error_rates[label]
        assert (1 - combined.score[evidence.labels == label]).mean() == pytest.approx(held_to, abs=1e-3)
    assert wrong[combined.score > 0.9].mean() < 0.1
    assert wrong[combined.score < 0.5].mean() > 0.6
    assert combined.posterior.sum(axis=1) == pytest.approx(1)
    assert combined.posterior[np.arange(len(truth)), evidence.labels] == pytest.approx(combined.score)
    assert ((combined.posterior >= 0) & (combined.posterior <= 1)).all()
    suggested = combined.posterior.argmax(axis=1)
    assert (suggested == truth).mean() > (evidence.labels == truth).mean() + 0.02


def test_what_trained_under_planted_labels_is_judged_without_that_training(
    trained: tuple[Evidence, np.ndarray, Combined],
) -> None:
    evidence, _, combined = trained
    assert combined.dynamics_used
    assert set(combined.weights) == {"probabilities", "neighbours", "seen", "margins"}
    assert sum(combined.weights.values()) == pytest.approx(1)
    planted_first = evidence.repeats[0].trained_label != evidence.labels
    planted_both = planted_first & (evidence.repeats[1].trained_label != evidence.labels)
    assert planted_both.any()
    spoilt = np.where(planted_both[:, None], 1e-3, evidence.repeats[0].seen).astype(np.float32)
    again = combine(replaced(evidence, 0, seen=spoilt), CombineConfig(), seed=0)
    # Other weights move every label's level; beyond that, what spoilt training says of these faces does not count.
    moved = np.log(again.score / (1 - again.score)) - np.log(combined.score / (1 - combined.score))
    for label in np.unique(evidence.labels[planted_both]):
        alike = planted_both & (evidence.labels == label)
        assert moved[alike] == pytest.approx(moved[alike][0], abs=1e-6)
        assert np.ptp(moved[~planted_both & (evidence.labels == label)]) > 1e-3


def test_the_trial_tells_how_planted_labels_were_judged(trained: tuple[Evidence, np.ndarray, Combined]) -> None:
    evidence, _, combined = trained
    trial = combined.trial
    told = [repeat.trained_label for repeat in evidence.repeats]
    assert len(trial.rows) == sum((labels != evidence.labels).sum() for labels in told)
    assert np.array_equal(trial.original, evidence.labels[trial.rows])
    assert (trial.planted != trial.original).all()
    assert trial.posterior[np.arange(len(trial.rows)), trial.planted] == pytest.approx(trial.score)
    assert trial.posterior.sum(axis=1) == pytest.approx(1)
    assert trial.weight.mean() == pytest.approx(1)
    scores = np.concatenate([trial.score, combined.score])
    assert roc_auc_score(np.arange(len(scores)) < len(trial.rows), -scores) > 0.75
    hits = np.where(np.eye(CLASSES, dtype=bool)[trial.planted], 0, trial.posterior).argmax(axis=1) == trial.original
    assert np.average(hits, weights=trial.weight) > 0.6


def test_probabilities_alone_are_enough() -> None:
    evidence, truth = drawn_evidence(3000, repeats=0)
    combined = combine(evidence, CombineConfig(), seed=0)
    assert not combined.dynamics_used
    assert combined.weights == {"probabilities": 1.0}
    own = evidence.probabilities[np.arange(len(truth)), evidence.labels]
    assert precision(evidence, truth, combined.score) > precision(evidence, truth, own) + 0.02
    assert len(combined.trial.rows) == 900  # three tenths of the labels, replaced for judging


def test_training_in_which_nothing_was_planted_is_left_out() -> None:
    evidence, _ = drawn_evidence(1000, repeats=1, planted=0.0)
    combined = combine(evidence, CombineConfig(), seed=0)
    assert not combined.dynamics_used
    assert set(combined.weights) == {"probabilities", "neighbours"}
    spoilt = np.full_like(evidence.repeats[0].seen, 0.25)
    assert np.array_equal(combine(replaced(evidence, 0, seen=spoilt), CombineConfig(), 0).score, combined.score)


def test_faces_that_were_never_trained_on_get_scores_too() -> None:
    evidence, truth = drawn_evidence(3000, repeats=1)
    held = np.arange(3000) >= 2400
    repeat = evidence.repeats[0]
    evidence = replaced(
        evidence,
        0,
        trained_label=np.where(held, UNTRAINED, repeat.trained_label),
        seen=np.where(held[:, None], np.nan, repeat.seen).astype(np.float32),
        margins=np.where(held[:, None], np.nan, repeat.margins).astype(np.float32),
    )
    combined = combine(evidence, CombineConfig(), seed=0)
    assert combined.dynamics_used
    assert np.isfinite(combined.score).all() and np.isfinite(combined.posterior).all()
    assert not held[combined.trial.rows].any()
    assert roc_auc_score((truth != evidence.labels)[held], -combined.score[held]) > 0.8


def test_weights_for_a_fold_are_not_learnt_on_it() -> None:
    evidence, _ = drawn_evidence(1200, repeats=0)
    rng, faces = np.random.default_rng(0), np.arange(1200)
    joint = confident_joint(evidence.labels, evidence.probabilities)
    examples = replaced_examples(evidence, untrained_parts(evidence), joint, faces, 0.3, rng)
    fold = evidence.groups % 3
    rates = np.full(CLASSES, 0.2)
    before = learn([examples], evidence.labels, fold, rates, faces, 1e-3).coefficients
    own = np.flatnonzero(fold == 0)
    shuffled = examples.given.copy()
    shuffled[own] = shuffled[rng.permutation(own)]  # the moments that all are standardised by stay as they are
    after = learn([replace(examples, given=shuffled)], evidence.labels, fold, rates, faces, 1e-3).coefficients
    assert after[0] == pytest.approx(before[0], abs=1e-4)
    assert abs(after[1:] - before[1:]).max() > 0.01


def test_groups_are_dealt_whole() -> None:
    groups = np.repeat(np.arange(50), 3)
    fold = deal(groups, 4, np.random.default_rng(0))
    assert sorted(np.unique(fold)) == [0, 1, 2, 3]
    assert all(len(np.unique(fold[groups == group])) == 1 for group in range(50))


def test_the_same_seed_gives_the_same_scores() -> None:
    evidence, _ = drawn_evidence(800, repeats=1)
    first, again, other = (combine(evidence, CombineConfig(), seed=seed).score for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_neighbours_that_are_known_are_not_searched_again() -> None:
    from fer_data.auditing.scores import neighbour_shares

    evidence, _ = drawn_evidence(800, repeats=1)
    shares = [neighbour_shares(evidence, repeat) for repeat in evidence.repeats]
    given = combine(evidence, CombineConfig(), 0, shares=shares)
    assert np.array_equal(given.score, combine(evidence, CombineConfig(), 0).score)
    without = combine(evidence, CombineConfig(), 0, shares=[np.full_like(shares[0], np.nan)])
    assert np.isfinite(without.score).all()
    assert not np.array_equal(without.score, given.score)


@pytest.mark.parametrize("repeats", [0, 1])
def test_small_sets_have_scores_without_warnings(repeats: int) -> None:
    evidence, truth = drawn_evidence(200, repeats=repeats)
    two = np.flatnonzero(evidence.labels < 2)[:40]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        combined = combine(evidence.take(two), CombineConfig(least_planted=1), seed=0)
    assert np.isfinite(combined.score).all() and np.isfinite(combined.posterior).all()
    assert ((combined.score >= 0) & (combined.score <= 1)).all()
    wrong = (truth != evidence.labels)[two]
    assert roc_auc_score(wrong, -combined.score) > 0.6


def test_faces_of_one_group_are_refused() -> None:
    evidence, _ = drawn_evidence(50, repeats=0)
    with pytest.raises(FerError, match="two groups or more, found 50 faces of 1"):
        combine(replace(evidence, groups=np.zeros(50, dtype=np.int64)), CombineConfig(), seed=0)


def test_repeats_that_kept_different_things_are_refused() -> None:
    evidence, _ = drawn_evidence(400, repeats=2)
    with pytest.raises(FerError, match="kept the same of the training, found probabilities, neighbours, margins and"):
        combine(replaced(evidence, 1, seen=None), CombineConfig(), seed=0)


# The model for presence-only data.


def test_presence_only_learning_finds_the_model_of_wrong_against_right() -> None:
    rng = np.random.default_rng(9)
    wrong = rng.random(60_000) < 0.3
    given = rng.normal(np.where(wrong, 1.0, -1.0)[:, None], 1.0, (60_000, 1))
    planted = rng.normal(1.0, 1.0, (20_000, 1))
    columns = np.concatenate([given, planted])
    known = np.arange(80_000) >= 60_000
    labels, rates = np.zeros(80_000, dtype=np.int64), np.array([0.3])
    slope, intercept = fit_presence(columns, labels, known, np.ones(80_000), rates, np.ones(1), penalty=0.0)
    # Two normal distributions of deviation 1 at ±1: the logit of the posterior is 2 x + logit(.3).
    assert slope == pytest.approx(2.0, abs=0.15)
    assert intercept == pytest.approx(np.log(0.3 / 0.7), abs=0.1)


def test_no_column_counts_against_its_sign_and_few_examples_leave_all_alike() -> None:
    rng = np.random.default_rng(10)
    columns = np.concatenate([rng.normal(0, 1, (2000, 2)), rng.normal([2, 2], 1, (400, 2))])
    planted = np.arange(2400) >= 2000
    labels, rates = np.zeros(2400, dtype=np.int64), np.array([0.2])
    fitted = fit_presence(columns, labels, planted, np.ones(2400), rates, np.array([1.0, -1.0]), penalty=1e-3)
    assert fitted[0] > 0.5 and fitted[1] == 0
    nothing = fit_presence(columns[:0], labels[:0], planted[:0], np.ones(0), rates, np.array([1.0, -1.0]), 1e-3)
    assert nothing[:2] == pytest.approx([0.75, -0.75])


def test_means_are_of_what_is_known() -> None:
    known, half = np.array([[1.0, 3.0], [2.0, 2.0]]), np.array([[3.0, 5.0], [np.nan, 1.0]])
    nothing = np.full((2, 2), np.nan)
    assert mean_known([known, half]).tolist() == [[2, 4], [2, 2]]
    assert np.isnan(mean_known([nothing])).all()


def replaced(evidence: Evidence, number: int, **fields: np.ndarray | None) -> Evidence:
    """The evidence with other fields in one repeat."""
    repeats = list(evidence.repeats)
    repeats[number] = replace(repeats[number], **fields)
    return replace(evidence, repeats=tuple(repeats))
