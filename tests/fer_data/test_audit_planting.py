"""Planting wrong labels: how many, by what odds, and what is spared."""

import numpy as np
import pytest

from fer_data.auditing.planting import (
    confident_joint,
    draw_columns,
    draw_rows,
    plant,
    planting_odds,
    planting_weights,
)

JOINT = np.array([[0.4, 0.08, 0.02], [0.05, 0.3, 0.0], [0.0, 0.05, 0.1]])  # given × true
PLANTED_WITH_SEED_7 = {2: 0, 15: 2, 26: 1, 38: 1, 41: 0, 52: 0}


def test_without_probabilities_every_other_label_is_as_likely() -> None:
    labels = np.repeat([0, 1, 2], 4000)
    planted = plant(labels, None, 0.3, seed=1, classes=3)
    changed = planted != labels
    assert changed.sum() == 3600
    counts = np.zeros((3, 3))
    np.add.at(counts, (labels[changed], planted[changed]), 1)
    assert np.diagonal(counts).sum() == 0
    assert counts[~np.eye(3, dtype=bool)] == pytest.approx(600, abs=75)  # 3 standard deviations


def test_planting_is_repeatable_and_changes_with_the_seed() -> None:
    labels = np.arange(600) % 3
    first = plant(labels, None, 0.1, seed=3, classes=3)
    assert np.array_equal(first, plant(labels, None, 0.1, seed=3, classes=3))
    assert not np.array_equal(first, plant(labels, None, 0.1, seed=4, classes=3))


def test_evenly_planted_labels_stay_what_they_were_for_runs_that_are_resumed() -> None:
    planted = plant(np.arange(60) % 3, None, 0.1, seed=7, classes=3)
    changed = np.flatnonzero(planted != np.arange(60) % 3)
    assert dict(zip(changed.tolist(), planted[changed].tolist(), strict=True)) == PLANTED_WITH_SEED_7


def test_with_probabilities_labels_are_planted_where_the_model_finds_them_plausible() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([1, 1, 1], 6000)
    labels = draw_columns(probabilities, rng)
    planted = plant(labels, probabilities, 0.1, seed=0, classes=3)
    changed = planted != labels
    assert changed.sum() == 600
    plausibility = np.take_along_axis(probabilities, planted[:, None], axis=1)[:, 0]
    expected = np.take_along_axis(probabilities, (labels[:, None] + 1) % 3, axis=1)[:, 0]
    assert plausibility[changed].mean() > 1.3 * expected.mean()


def test_small_classes_are_spared_and_missing_ones_never_planted() -> None:
    labels = np.array([0] * 400 + [1] * 400 + [2] * 19)
    probabilities = np.full((len(labels), 4), 0.25)
    for known in (None, probabilities):
        planted = plant(labels, known, 0.5, seed=0, classes=4)
        assert np.array_equal(planted[labels == 2], labels[labels == 2])
        assert (planted == 2).sum() > 19  # its label is planted on others all the same
        assert not (planted == 3).any()


def test_nothing_is_planted_where_every_class_is_small_or_alone() -> None:
    few, alone = np.arange(30) % 3, np.zeros(50, dtype=np.int64)
    assert np.array_equal(plant(few, None, 0.5, seed=0, classes=3), few)
    assert np.array_equal(plant(alone, None, 0.5, seed=0, classes=2), alone)
    assert np.array_equal(plant(few, np.full((30, 3), 1 / 3), 0.5, seed=0, classes=3), few)


def test_odds_are_the_confusion_times_the_probability() -> None:
    probabilities = np.array([[0.2, 0.7, 0.1], [0.5, 0.25, 0.25]])
    odds = planting_odds(np.array([1, 0]), probabilities, JOINT)
    confusion = JOINT / JOINT.sum(axis=0)  # P(given | true)
    assert odds[0, 1] == odds[1, 0] == 0
    assert odds[0, 0] == pytest.approx(confusion[0, 1] * 0.2, rel=0.02)
    assert odds[1, 1] == pytest.approx(confusion[1, 0] * 0.25, rel=0.02)
    assert 0 < odds[1, 2] < 0.001  # never seen, yet not impossible


def test_evenly_planted_faces_stand_for_what_the_odds_would_draw() -> None:
    rng = np.random.default_rng(1)
    labels, probabilities = rng.integers(0, 3, 40_000), rng.dirichlet([2, 1, 1], 40_000)
    odds = planting_odds(labels, probabilities, JOINT)
    even = draw_columns(odds > 0, rng)
    weights = planting_weights(labels, even, odds)
    assert weights.mean() == pytest.approx(1)
    weighted = np.bincount(even, weights, 3) / weights.sum()
    assert weighted == pytest.approx(odds.sum(axis=0) / odds.sum(), abs=0.01)


def test_faces_planted_by_odds_stand_for_themselves() -> None:
    rng = np.random.default_rng(2)
    labels, probabilities = rng.integers(0, 3, 2000), rng.dirichlet([1, 1, 1], 2000)
    odds = planting_odds(labels, probabilities, JOINT)
    assert (planting_weights(labels, draw_columns(odds, rng), odds) == 1).all()
    assert len(planting_weights(labels[:0], labels[:0], odds[:0])) == 0


def test_rows_are_drawn_by_weight_without_repetition() -> None:
    rng = np.random.default_rng(3)
    weights = np.array([0.0, 1.0, 3.0])
    first = np.array([draw_rows(weights, 1, rng)[0] for _ in range(4000)])
    assert np.bincount(first, minlength=3) / 4000 == pytest.approx([0, 0.25, 0.75], abs=0.03)
    assert sorted(draw_rows(weights, 9, rng)) == [1, 2]


def test_the_confident_joint_is_cleanlabs() -> None:
    from cleanlab.count import estimate_joint

    rng = np.random.default_rng(4)
    probabilities = rng.dirichlet([1, 1, 1], 500)
    labels = draw_columns(probabilities, rng)
    assert confident_joint(labels, probabilities) == pytest.approx(estimate_joint(labels, probabilities))
