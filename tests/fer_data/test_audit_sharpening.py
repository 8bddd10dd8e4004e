import numpy as np
import pytest

from fer_data.auditing.noise import Bounded, NoiseEstimate
from fer_data.auditing.reviewed import NONE, Reviewed
from fer_data.auditing.sharpening import sharpen_estimate


def estimate(labels, rates, half=0.1):
    """A model's estimate: these error rates, plus and minus `half` of each."""
    rates = np.asarray(rates, dtype=np.float64)
    given = np.bincount(labels, minlength=len(rates)).astype(np.int64)
    total = np.asarray((rates * given).sum() / max(given.sum(), 1))
    size = (len(rates), len(rates))
    matrix = Bounded(np.zeros(size), np.zeros(size), np.ones(size))

    def bounded(value):
        return Bounded(value, value * (1 - half), np.minimum(value * (1 + half), 1))

    return NoiseEstimate(
        given=given,
        joint=matrix,
        conditional=matrix,
        error_rates=bounded(rates),
        sampled_rates=bounded(rates),
        error_rate=bounded(total),
    )


def reviewed_at(rows, before, verdict, sure=None):
    rows = np.asarray(rows, dtype=np.int64)
    ids = np.array([f"s/{row}" for row in rows], dtype=object)
    sure = np.ones(len(rows), dtype=bool) if sure is None else np.asarray(sure)
    return Reviewed(ids, rows, np.asarray(before), np.asarray(verdict), sure, np.ones(len(rows), dtype=bool))


def nobody():
    return reviewed_at([], np.empty(0, np.int64), np.empty(0, np.int64))


def drawn(seed, count=4000, bend=2.0):
    """Labels, whether they are wrong, and scores that rank well but say P(wrong) ** (1 / bend)."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, count, p=[0.6, 0.35, 0.05])
    chance = rng.beta(0.6, 1.2, count)
    return labels, rng.random(count) < chance, 1 - chance ** (1 / bend)


def model_of(labels, score):
    return estimate(labels, [float((1 - score[labels == label]).mean()) for label in range(3)])


def looked_at(labels, wrong, rows):
    verdict = np.where(wrong[rows], (labels[rows] + 1) % 3, labels[rows])
    return reviewed_at(rows, labels[rows], verdict)


def test_where_nobody_looked_the_model_stands():
    labels, _, score = drawn(0)
    model = estimate(labels, [0.2, 0.3, 0.4])
    same = sharpen_estimate(model, score, labels, nobody(), np.empty(0))
    for part in ("value", "low", "high"):
        assert np.allclose(getattr(same.error_rates, part), getattr(model.error_rates, part), atol=0.01)
        assert getattr(same.error_rate, part) == pytest.approx(float(getattr(model.error_rate, part)), abs=0.01)


def test_where_everybody_was_looked_at_the_count_stands():
    labels, wrong, score = drawn(1, count=300)
    rows = np.arange(300)
    sharp = sharpen_estimate(model_of(labels, score), score, labels, looked_at(labels, wrong, rows), score)
    assert sharp.error_rate.value == pytest.approx(wrong.mean())
    assert (sharp.error_rate.low, sharp.error_rate.high) == pytest.approx((wrong.mean(), wrong.mean()))
    for label in range(3):
        assert sharp.error_rates.value[label] == pytest.approx(wrong[labels == label].mean())


def test_faces_that_were_corrected_count_as_right_and_still_tell_of_the_others():
    labels, wrong, score = drawn(2)
    rows = np.sort(np.argsort(score)[:800])
    reviewed = looked_at(labels, wrong, rows)
    before = sharpen_estimate(model_of(labels, score), score, labels, reviewed, score[rows])
    applied = labels.copy()
    applied[rows] = reviewed.verdict
    after = sharpen_estimate(model_of(applied, score), score, applied, reviewed, score[rows])
    fixed = wrong[rows].sum() / len(labels)
    assert after.error_rate.value == pytest.approx(before.error_rate.value - fixed, abs=0.02)


def test_a_worst_first_review_corrects_a_score_that_promises_too_much():
    sharper, closer = [], []
    for seed in range(30):
        labels, wrong, score = drawn(seed)
        rows = np.sort(np.argsort(score)[:1500])
        model = model_of(labels, score)
        sharp = sharpen_estimate(model, score, labels, looked_at(labels, wrong, rows), score[rows])
        truth = wrong.mean()
        naive = wrong[rows].mean()  # what the reviewed faces alone would say
        closer.append(
            abs(sharp.error_rate.value - truth) < min(abs(model.error_rate.value - truth), abs(naive - truth))
        )
        sharper.append(sharp.error_rate.high - sharp.error_rate.low < model.error_rate.high - model.error_rate.low)
    assert np.mean(closer) >= 0.9
    assert np.mean(sharper) == 1


def test_the_interval_covers_where_every_stratum_was_sampled():
    inside = []
    for seed in range(60):
        labels, wrong, score = drawn(seed, bend=2 - seed % 2)
        rows = np.sort(np.random.default_rng(seed).choice(4000, 600, replace=False))
        sharp = sharpen_estimate(model_of(labels, score), score, labels, looked_at(labels, wrong, rows), score[rows])
        inside.append(sharp.error_rate.low <= wrong.mean() <= sharp.error_rate.high)
    assert np.mean(inside) >= 0.9


def test_unsure_faces_and_those_of_unknown_history_say_nothing_of_others():
    labels, _, score = drawn(3)
    rows = np.arange(50)
    model = model_of(labels, score)
    plain = sharpen_estimate(model, score, labels, nobody(), np.empty(0))
    unsure = reviewed_at(rows, labels[rows], np.full(50, NONE), np.zeros(50, dtype=bool))
    doubted = sharpen_estimate(model, score, labels, unsure, score[rows])
    assert doubted.error_rate.value == pytest.approx(float(plain.error_rate.value))
    unknown = reviewed_at(rows, np.full(50, NONE), labels[rows])
    settled = sharpen_estimate(model, score, labels, unknown, np.full(50, np.nan))
    right = (1 - score[rows]).sum() / len(labels)
    assert settled.error_rate.value == pytest.approx(float(plain.error_rate.value) - right, abs=0.01)


def test_small_sets_and_empty_classes_give_finite_rates():
    labels = np.array([0, 0, 2, 2, 2])
    score = np.array([0.0, 1.0, 1.0, 1.0, 1.0])
    reviewed = reviewed_at([0], [0], [2])
    sharp = sharpen_estimate(estimate(labels, [0.5, 0.0, 0.0]), score, labels, reviewed, score[[0]])
    assert sharp.error_rates.value.tolist() == pytest.approx([0.5, 0, 0])
    for part in ("value", "low", "high"):
        assert np.isfinite(getattr(sharp.error_rates, part)).all()
    assert sharp.error_rate.low <= sharp.error_rate.value <= sharp.error_rate.high
    assert np.array_equal(sharp.given, [2, 0, 3])
