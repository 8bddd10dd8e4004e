import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fer_data.auditing.review_order import ReviewConfig, gain_of_looks, order_reviews
from fer_data.errors import FerError

PLAIN = ReviewConfig(rarity=0, ambiguous=1, out_of_distribution=1, copies=1)


def faces(count: int, seed: int = 0, classes: int = 3):
    rng = np.random.default_rng(seed)
    score, suggestion = rng.random(count), rng.random(count)
    labels, suggested = rng.integers(0, classes, count), rng.integers(0, classes, count)
    return score, suggestion, labels, suggested, np.arange(count)


@given(st.integers(0, 60), st.integers(0, 100))
def test_the_ranks_are_a_permutation_and_reviewed_faces_come_last(count, seed):
    rng = np.random.default_rng(seed)
    score, suggestion, labels, suggested, _ = faces(count, seed)
    pictures, reviewed = rng.integers(0, max(count // 2, 1), count), rng.random(count) < 0.3
    kind = rng.choice(np.array(["fine", "wrong", "ambiguous"], dtype=object), count)
    rank = order_reviews(score, suggestion, labels, suggested, pictures, kind=kind, reviewed=reviewed)
    assert sorted(rank) == list(range(1, count + 1))
    open_faces = int((~reviewed).sum())
    assert set(rank[~reviewed]) == set(range(1, open_faces + 1))
    first_looks = np.argsort(rank)[: len(np.unique(pictures[~reviewed]))]
    assert len(np.unique(pictures[first_looks])) == len(first_looks)  # every open picture once before any again


def test_without_rarity_and_kinds_the_order_is_by_what_a_correction_takes_out_and_brings_in():
    score, suggestion, labels, suggested, pictures = faces(200)
    gain = 0.5 * (1 - score) + 0.5 * np.where(labels != suggested, suggestion, 0)
    assert np.allclose(gain_of_looks(score, suggestion, labels, suggested, config=PLAIN), gain)
    rank = order_reviews(score, suggestion, labels, suggested, pictures, config=PLAIN)
    assert np.array_equal(np.argsort(rank), np.argsort(-gain, kind="stable"))


def test_a_picture_counts_with_all_its_faces_and_is_looked_at_once():
    score = np.array([0.5, 0.6, 0.6, 0.1])
    nothing = np.zeros(4)
    labels = np.zeros(4, dtype=np.int64)
    rank = order_reviews(score, nothing, labels, labels, np.array([7, 3, 3, 9]), config=PLAIN)
    # 0.9 alone, then 0.4 + 0.4 for the twins' first, then 0.5, then the twin.
    assert rank.tolist() == [3, 2, 4, 1]
    reviewed = np.array([False, True, False, False])
    rank = order_reviews(score, nothing, labels, labels, np.array([7, 3, 3, 9]), reviewed=reviewed, config=PLAIN)
    assert rank.tolist() == [2, 4, 3, 1]  # the reviewed twin adds no gain any more
    alone = ReviewConfig(rarity=0, copies=0)
    assert order_reviews(score, nothing, labels, labels, np.array([7, 3, 3, 9]), config=alone).tolist() == [2, 3, 4, 1]


def test_rare_labels_weigh_more_on_both_sides():
    labels = np.array([0] * 8 + [1] * 2)
    suggested = np.array([1, 0, 0, 0, 0, 0, 0, 0, 0, 1])
    score, suggestion = np.full(10, 0.4), np.full(10, 0.6)
    gain = gain_of_looks(score, suggestion, labels, suggested, config=ReviewConfig(rarity=1))
    frequent, rare = 5 / 8, 5 / 2  # median of the counts 8 and 2, divided by each
    assert gain[0] == pytest.approx(0.5 * (0.6 * frequent + 0.6 * rare))
    assert gain[1] == pytest.approx(0.5 * 0.6 * frequent)
    assert gain[8] == pytest.approx(0.5 * (0.6 * rare + 0.6 * frequent))
    assert gain[9] == pytest.approx(0.5 * 0.6 * rare)


def test_ambiguous_faces_come_after_wrong_ones_that_are_as_likely_wrong():
    kind = np.array(["ambiguous", "out_of_distribution", "wrong", "fine"], dtype=object)
    score, labels = np.full(4, 0.3), np.zeros(4, dtype=np.int64)
    config = ReviewConfig(ambiguous=0.6, out_of_distribution=0.5)
    rank = order_reviews(score, np.zeros(4), labels, labels, np.arange(4), kind=kind, config=config)
    assert rank.tolist() == [3, 4, 1, 2]


def test_a_suggestion_beyond_the_given_labels_is_weighed():
    labels, suggested = np.array([0, 0, 1]), np.array([0, 2, 1])
    gain = gain_of_looks(np.full(3, 0.5), np.full(3, 0.4), labels, suggested, config=ReviewConfig(rarity=1))
    assert gain[1] == pytest.approx(0.5 * (0.5 * 1.5 / 2 + 0.4 * 1.5 / 1))


def test_looks_in_this_order_find_more_than_chance_and_no_fewer_corrections_than_the_worst_first():
    rng = np.random.default_rng(3)
    count = 4000
    truth = rng.choice(4, count, p=[0.6, 0.2, 0.15, 0.05])
    labels = np.where(rng.random(count) < 0.25, rng.integers(0, 4, count), truth)
    logits = rng.normal(0, 1, (count, 4)) + 2.5 * np.eye(4)[truth] + 1.0 * np.eye(4)[labels]
    posterior = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    rows = np.arange(count)
    score, suggested = posterior[rows, labels], posterior.argmax(axis=1)
    rank = order_reviews(score, posterior.max(axis=1), labels, suggested, rows)
    found = (labels != truth) & (suggested == truth)
    ours, worst = np.argsort(rank)[:400], np.argsort(score)[:400]
    assert found[ours].sum() >= found[worst].sum()
    assert found[ours].mean() > 3 * found.mean()


def test_arrays_of_other_faces_are_refused():
    score, suggestion, labels, suggested, pictures = faces(5)
    with pytest.raises(FerError, match="one length"):
        order_reviews(score, suggestion, labels, suggested, pictures[:4])
    with pytest.raises(FerError, match="one length"):
        order_reviews(score, suggestion, labels, suggested, pictures, reviewed=np.zeros(4, dtype=bool))


@pytest.mark.parametrize(
    "setting", [{"rarity": -0.1}, {"ambiguous": 1.5}, {"out_of_distribution": 2}, {"copies": -1}, {"weight": 1}]
)
def test_configurations_out_of_range_are_refused(setting):
    with pytest.raises(ValidationError):
        ReviewConfig(**setting)
