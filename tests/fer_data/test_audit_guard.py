import numpy as np
import pytest
from cleanlab.filter import find_label_issues
from scipy.stats import binomtest

from fer_data.auditing.guard import (
    GuardConfig,
    bounded_share,
    expected_marks,
    guarded,
    mark,
    needs_person,
    rank_within_class,
)
from fer_data.auditing.noise import estimate_noise
from fer_data.errors import FerError

NAMES = ("anger", "disgust", "fear")
SHARES = (0.6, 0.03, 0.37)
RATE = 0.2


def draw(count=3000, seed=0):
    """True and given labels, probabilities, and the score log p(given) - log p(best other) brought to 0..1."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, count, p=SHARES)
    given = np.where(rng.random(count) < RATE, (truth + rng.integers(1, 3, count)) % 3, truth)
    return truth, given, *judge(truth, given, rng)


def judge(truth, labels, rng):
    logits = rng.normal(0, 1, (len(truth), 3)) + 3.5 * np.eye(3)[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return probabilities, probabilities[np.arange(len(labels)), labels]


@pytest.fixture(scope="module")
def audited():
    truth, given, probabilities, score = draw()
    return truth, given, probabilities, score, estimate_noise(given, probabilities, np.arange(len(given)))


def test_ranks_count_within_the_class():
    labels, score = np.array([2, 0, 0, 2, 0, 2]), np.array([0.5, 0.9, 0.1, 0.4, 0.1, 0.4])
    assert rank_within_class(labels, score).tolist() == [3, 3, 1, 1, 2, 2]
    assert rank_within_class(labels[:0], score[:0]).tolist() == []


def test_the_worst_are_marked_as_many_as_are_estimated_wrong(audited):
    truth, given, probabilities, score, noise = audited
    marked = mark(given, score, probabilities, noise, GuardConfig())
    assert marked.sum() == round(float(noise.error_rate.value) * len(given))
    assert score[marked].max() <= score[~marked].min()
    assert (truth != given)[marked].mean() > 0.8
    fewer = mark(given, score, probabilities, noise, GuardConfig(amount=0))
    assert fewer.sum() == round(float(noise.error_rate.low) * len(given))
    assert marked[fewer].all()
    assert (truth != given)[fewer].mean() > (truth != given)[marked].mean()


def test_no_class_has_more_or_fewer_marked_than_its_error_rate_allows(audited):
    _, given, probabilities, score, noise = audited
    rates = noise.error_rates
    # A score that calls everything of a class bad, or nothing, is not believed.
    for label, shift in ((0, -1.0), (0, 1.0)):
        skewed = np.where(given == label, score + shift, score)
        marked = mark(given, skewed, probabilities, noise, GuardConfig())
        share = marked[given == label].mean()
        assert rates.low[label] <= share <= rates.high[label]
        own = given == label
        assert skewed[own & marked].max() <= skewed[own & ~marked].min()


@pytest.mark.parametrize("cut", ["prune_by_noise_rate", "prune_by_class", "both", "confident_learning"])
def test_the_cuts_of_cleanlab_are_cleanlabs(audited, cut):
    _, given, probabilities, score, noise = audited
    marked = mark(given, score, probabilities, noise, GuardConfig(cut=cut))
    assert marked.any()
    assert np.array_equal(marked, find_label_issues(given, probabilities, filter_by=cut, n_jobs=1))


def test_marks_of_other_faces_are_refused(audited):
    _, given, probabilities, score, noise = audited
    with pytest.raises(FerError, match="expected the faces of the noise estimate"):
        mark(given[1:], score[1:], probabilities[1:], noise, GuardConfig())


def test_rare_small_and_badly_known_classes_are_guarded(audited):
    noise = audited[-1]
    few = int(noise.given[1])
    assert guarded(noise, GuardConfig(few=0, rare=0.5, wide=1)) == (1,)
    assert guarded(noise, GuardConfig(few=few + 1, rare=0, wide=1)) == (1,)
    assert guarded(noise, GuardConfig(few=0, rare=0, wide=1)) == ()
    width = noise.sampled_rates.high - noise.sampled_rates.low
    assert width.argmax() == 1
    assert guarded(noise, GuardConfig(few=0, rare=0, wide=np.sort(width)[1])) == (1,)


@pytest.mark.filterwarnings("error")
def test_a_small_set_is_guarded_as_a_whole_and_an_empty_class_is_not():
    given = np.repeat([0, 2], [25, 15])
    probabilities = np.where(np.eye(3)[given] > 0, 0.8, 0.1)
    noise = estimate_noise(given, probabilities, np.arange(40))
    score = probabilities[np.arange(40), given]
    assert guarded(noise, GuardConfig()) == (0, 2)
    marked = mark(given, score, probabilities, noise, GuardConfig())
    expected = expected_marks(given, score, marked, given[:0], score[:0], noise)
    assert expected.recall.low.tolist() == [0, 0, 0]
    assert expected.recall.high.tolist() == [1, 1, 1]
    assert list(expected.as_dict(NAMES)) == ["disgust", "fear", "anger"]
    assert expected.as_dict(NAMES)["anger"]["recall"] is None


def test_a_person_is_needed_for_what_a_guarded_class_gives_or_wins():
    labels, suggested = np.array([0, 1, 2, 2, 1]), np.array([0, 0, 0, 1, 1])
    assert needs_person(labels, suggested, (1,)).tolist() == [False, True, False, True, True]
    assert not needs_person(labels, suggested, ()).any()


def test_expected_recall_and_precision_are_close_to_the_real_ones(audited):
    truth, given, probabilities, score, noise = audited
    marked = mark(given, score, probabilities, noise, GuardConfig(amount=0.5))
    rng = np.random.default_rng(9)
    originals = rng.choice(3, 3000, p=SHARES)
    planted = (originals + rng.integers(1, 3, 3000)) % 3
    expected = expected_marks(given, score, marked, planted, judge(originals, planted, rng)[1], noise)
    wrong = truth != given
    for label in (0, 2):
        own = given == label
        assert expected.recall.value[label] == pytest.approx(marked[wrong & own].mean(), abs=0.07)
        assert expected.precision.low[label] - 0.02 <= wrong[marked & own].mean()
        assert wrong[marked & own].mean() <= expected.precision.high[label] + 0.02
    told = expected.as_dict(NAMES)
    assert list(told) == ["disgust", "fear", "anger"]
    assert told["fear"]["marked"] == int(marked[given == 2].sum())
    assert told["fear"]["precision"]["low"] <= told["fear"]["precision"]["value"] <= told["fear"]["precision"]["high"]


def test_shares_have_the_intervals_of_scipy():
    hits, total = np.array([0, 3, 50, 7]), np.array([5, 10, 60, 7])
    shares = bounded_share(hits, total)
    for index in range(4):
        interval = binomtest(int(hits[index]), int(total[index])).proportion_ci(method="wilson")
        assert shares.low[index] == pytest.approx(interval.low, abs=1e-12)
        assert shares.high[index] == pytest.approx(interval.high, abs=1e-12)
    nothing = bounded_share(np.array([0]), np.array([0]))
    assert (nothing.value[0], nothing.low[0], nothing.high[0]) == (0, 0, 1)
