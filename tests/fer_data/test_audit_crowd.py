import warnings
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import dirichlet_multinomial
from sklearn.metrics import average_precision_score

from fer_data.auditing import crowd
from fer_data.auditing.crowd import Votes, consensus, expected_votes, read_votes, vote_scores
from fer_data.auditing.evidence import UNTRAINED, Evidence, Repeat
from fer_data.auditing.raters import UNRATED, counted, crowdlab, dealt, judge_raters
from fer_data.errors import FerError

NAMES = ("anger", "fear", "neutral")
SAID = ("neutral", "anger", "NF", "fear")  # as a dataset may name its votes: other order, one more


def crowd_of(count: int, votes: int, *, seed: int = 0, spread: float = 4.0, noise: float = 0.3):
    """Faces with shares of raters, votes drawn from them, a model that knows the expectation, and noisy labels."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 4, count)  # the fourth is no face
    expected = softmax(rng.normal(0, 0.7, (count, 4)) + 2.5 * np.eye(4)[kind], axis=1)
    shares = rng.standard_gamma(spread * expected) + 1e-12
    shares /= shares.sum(axis=1, keepdims=True)
    counts = rng.multinomial(votes, shares)
    truth = shares.argmax(axis=1)
    labels = np.where(rng.random(count) < noise, rng.integers(0, 3, count), np.minimum(truth, 2))
    ids = np.array([f"set/{row:05d}" for row in range(count)], dtype=object)
    probabilities = expected[:, :3] / expected[:, :3].sum(axis=1, keepdims=True)
    evidence = Evidence(NAMES, ids, labels.astype(np.int64), probabilities, np.arange(count))
    # anger, fear, neutral, NF is the order of `expected`
    return evidence, Votes(SAID, counts[:, [2, 0, 3, 1]]), truth, expected, shares


def quality(score: np.ndarray, wrong: np.ndarray) -> float:
    return float(average_precision_score(wrong, -score))


@pytest.mark.parametrize("votes", [1, 2, 3])
def test_votes_and_model_together_beat_either_and_crowdlab_and_naive_bayes(votes):
    evidence, cast, truth, _, _ = crowd_of(2_000, votes)
    wrong = evidence.labels != truth
    rows = np.arange(len(evidence))
    judged = consensus(evidence, cast)
    scores = vote_scores(evidence, cast, judged)
    counts = crowd.arranged(evidence, cast).counts
    right = 0.6
    likelihood = right ** counts[:, :3] * ((1 - right) / 3) ** (votes - counts[:, :3])
    bayes = evidence.probabilities * likelihood
    reached = quality(scores["consensus"], wrong)
    assert reached > quality(scores["crowdlab"], wrong) + 0.02
    assert reached > quality(evidence.probabilities[rows, evidence.labels], wrong) + 0.03
    assert reached > quality(counts[rows, evidence.labels] / votes, wrong) + 0.02
    assert reached > quality((bayes / bayes.sum(axis=1, keepdims=True))[rows, evidence.labels], wrong) + 0.02


def test_the_consensus_is_calibrated_to_what_most_would_say():
    evidence, cast, truth, _, _ = crowd_of(5_000, 3)
    judged = consensus(evidence, cast)
    top = judged.posterior.max(axis=1)
    right = judged.posterior.argmax(axis=1) == truth
    for low, high in pairwise(np.quantile(top, [0, 0.25, 0.5, 0.75, 1])):
        within = (top >= low) & (top <= high)
        assert abs(right[within].mean() - top[within].mean()) < 0.08
    assert judged.names == (*NAMES, "NF")
    assert set(judged.probable()) == {*NAMES, "NF"}
    assert (judged.probable() == np.array(judged.names, dtype=object)[truth]).mean() > 0.8


def test_the_concentration_is_the_one_that_votes_were_drawn_with():
    for spread in (2.0, 8.0):
        evidence, cast, _, expected, _ = crowd_of(4_000, 5, spread=spread)
        counts = crowd.arranged(evidence, cast).counts
        found = crowd._concentration(expected, counts, 0)
        assert found == pytest.approx(spread, rel=0.1)
        tried = np.exp(np.linspace(-1, 4, 201))
        surprise = [-dirichlet_multinomial.logpmf(counts[:500], one * expected[:500], 5).sum() for one in tried]
        own = crowd._concentration(expected[:500], counts[:500], 0)
        assert own == pytest.approx(tried[np.argmin(surprise)], rel=0.1)  # the prior moves it little


def test_a_single_vote_per_face_leaves_the_concentration_at_its_prior():
    evidence, cast, _, _, _ = crowd_of(500, 1)
    assert consensus(evidence, cast).concentration == pytest.approx(3.0, rel=1e-3)


def test_what_is_expected_is_what_raters_say_and_the_posterior_mean_follows():
    evidence, cast, _, expected, shares = crowd_of(6_000, 3)
    found = expected_votes(evidence, cast)
    assert np.allclose(found.sum(axis=1), 1)
    assert np.abs(found.mean(axis=0) - shares.mean(axis=0)).max() < 0.01
    assert np.abs(found[:, :3] - expected[:, :3]).mean() < 0.07
    judged = consensus(evidence, cast)
    counts = crowd.arranged(evidence, cast).counts
    strength = judged.concentration * found + counts
    assert np.allclose(judged.expected, strength / (judged.concentration + 3))


def test_a_face_is_judged_without_what_its_own_group_was_told():
    evidence, cast, _, _, _ = crowd_of(400, 2)
    evidence = replace(evidence, groups=np.arange(400) // 2)
    before = expected_votes(evidence, cast)
    counts = cast.counts.copy()
    counts[:2] = counts[:2][:, ::-1]
    after = expected_votes(evidence, Votes(SAID, counts))
    assert np.array_equal(before[:2], after[:2])
    moved = np.abs(before - after).max(axis=1) > 1e-6
    assert 0.7 < moved.mean() < 0.9  # four fifths of the faces are judged by what these two were told


@pytest.mark.parametrize(
    "strength", [[5.0, 2.0, 1.0, 0.5], [1.0, 1.0, 1.0, 1.0], [0.3, 4.0, 3.5, 0.1], [6.0, 6.0, 0.1, 0.1]]
)
def test_the_most_likely_said_is_close_to_drawing_from_the_distribution(strength):
    found = crowd._most_likely_said(np.array([strength]))[0]
    draws = np.random.default_rng(0).dirichlet(strength, 40_000).argmax(axis=1)
    assert found.sum() == pytest.approx(1)
    assert np.abs(found - np.bincount(draws, minlength=4) / 40_000).max() < 0.05


def test_agreement_tells_ambiguous_faces():
    names = (*NAMES, "NF")
    judged = crowd.Consensus(names, np.array([[1.0, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25] * 4]), np.eye(4)[:3], 3.0)
    assert np.allclose(judged.agreement(), [1, 0.5, 0])
    evidence, cast, _, _, shares = crowd_of(3_000, 10)
    agreement = vote_scores(evidence, cast, consensus(evidence, cast))["agreement"]
    assert np.corrcoef(agreement, shares.max(axis=1))[0, 1] > 0.8


def test_what_classifiers_saw_and_a_better_judgement_are_used_where_known():
    evidence, cast, truth, expected, _ = crowd_of(3_000, 2)
    wrong = evidence.labels != truth
    rows = np.arange(len(evidence))
    blurred = softmax(np.log(evidence.probabilities) + np.random.default_rng(1).normal(0, 1.5, (3_000, 3)), axis=1)
    plain = replace(evidence, probabilities=blurred)
    trained = np.where(rows % 10 == 0, UNTRAINED, evidence.labels)
    seen = np.where((trained != UNTRAINED)[:, None], evidence.probabilities, np.nan).astype(np.float32)
    repeat = Repeat(np.zeros(3_000, dtype=np.int16), blurred.astype(np.float32), trained, seen=seen)
    alone, with_seen, with_posterior = (
        quality(judged.posterior[rows, evidence.labels], wrong)
        for judged in (
            consensus(plain, cast),
            consensus(replace(plain, repeats=(repeat, replace(repeat, seen=None))), cast),
            consensus(plain, cast, evidence.probabilities),
        )
    )
    assert with_seen > alone + 0.01
    assert with_posterior > alone + 0.01
    assert expected.shape == (3_000, 4)


def test_the_same_seed_gives_the_same_scores():
    evidence, cast, _, _, _ = crowd_of(300, 3)
    first, again = (vote_scores(evidence, cast, consensus(evidence, cast, seed=4), seed=4) for _ in range(2))
    assert all(np.array_equal(first[name], again[name]) for name in first)


def test_small_sets_unasked_faces_and_unused_labels_give_scores():
    evidence, cast, _, _, _ = crowd_of(40, 3)
    few = replace(evidence, labels=np.minimum(evidence.labels, 1))  # no face is given "neutral"
    counts = cast.counts.copy()
    counts[:30] = 0  # nobody was asked
    counts[:, 3] = 0  # nobody says fear
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for rows in (np.arange(40), np.arange(28, 34), np.arange(30, 31)):
            part, asked = few.take(rows), Votes(SAID, counts).take(rows)
            judged = consensus(part, asked)
            scores = vote_scores(part, asked, judged)
            assert np.allclose(judged.posterior.sum(axis=1), 1)
            for score in scores.values():
                assert score.shape == (len(rows),)
                assert ((score >= 0) & (score <= 1)).all()


def test_votes_are_read_in_the_order_of_the_faces(picture_manifest):
    facts = [{"votes": [3, 0, 1]}, {}, {"votes": [0, 2, 2]}]
    made = picture_manifest(
        range(3), ["fear", "anger", "fear"], ["train"] * 3, facts=facts, votes=("fear", "anger", "NF")
    )
    ids = made.frame["sample_id"].to_numpy(dtype=object)
    read = read_votes(made, ids[[2, 0, 1]])
    assert read.names == ("fear", "anger", "NF")
    assert read.counts.tolist() == [[0, 2, 2], [3, 0, 1], [0, 0, 0]]
    with pytest.raises(FerError, match=r"found 1 missing \(first: set/9999\)"):
        read_votes(made, np.array([ids[0], "set/9999"], dtype=object))


def test_a_manifest_without_votes_is_refused(picture_manifest):
    made = picture_manifest(range(2), ["fear", "anger"], ["train"] * 2)
    with pytest.raises(FerError, match="expected votes, found none in its stores; audit without votes"):
        read_votes(made, made.frame["sample_id"].to_numpy(dtype=object))


def test_votes_that_do_not_fit_are_refused():
    evidence, cast, _, _, _ = crowd_of(40, 2)
    with pytest.raises(FerError, match=r"expected counts \[40, 4\] of 40 audited faces, found an array \[39, 4\]"):
        consensus(evidence, cast.take(np.arange(39)))
    with pytest.raises(FerError, match="found none named anger among neutral, rage, NF, fear"):
        consensus(evidence, Votes(("neutral", "rage", "NF", "fear"), cast.counts))
    with pytest.raises(FerError, match="expected counts, found -1"):
        consensus(evidence, Votes(SAID, cast.counts - 1))
    with pytest.raises(FerError, match="expected some for these 40 faces, found none"):
        consensus(evidence, Votes(SAID, cast.counts * 0))


def rated(count: int, right: list[float], seed: int = 0):
    """Truth of four kinds, a weak prior, and ratings by raters who are right so often; some were not asked."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, count)
    prior = softmax(rng.normal(0, 1, (count, 4)) + np.eye(4)[truth], axis=1)
    other = (truth[:, None] + rng.integers(1, 4, (count, len(right)))) % 4
    ratings = np.where(rng.random((count, len(right))) < right, truth[:, None], other)
    ratings[rng.random(ratings.shape) < 0.3] = UNRATED
    return truth, prior, ratings


def test_the_quality_of_raters_is_found_and_good_ones_are_believed():
    right = [0.9, 0.7, 0.25, 0.25, 0.6]
    truth, prior, ratings = rated(3_000, right)
    found = judge_raters(prior, ratings)
    assert np.allclose(found.quality, right, atol=0.05)
    assert np.allclose(found.confusion.sum(axis=2), 1)
    assert np.allclose(found.posterior.sum(axis=1), 1)
    majority = counted(ratings, 4).argmax(axis=1)
    assert (found.posterior.argmax(axis=1) == truth).mean() > (majority == truth).mean() + 0.1


def test_a_rater_with_a_bias_of_his_own_is_seen_through():
    truth, prior, ratings = rated(3_000, [0.8, 0.8, 0.8])
    swapped = np.array([1, 0, 2, 3])[truth]  # takes anger for fear, always, and fear for anger
    ratings = np.column_stack([ratings, swapped])
    found = judge_raters(prior, ratings)
    assert found.confusion[3, 0, 1] > 0.9
    assert found.quality[3] == pytest.approx(0.5, abs=0.05)
    assert (found.posterior.argmax(axis=1) == truth).mean() > 0.95


def test_a_rater_who_rated_little_is_taken_for_common():
    _, prior, ratings = rated(1_000, [0.8, 0.8, 0.8, 0.0])
    ratings[1:, 3] = UNRATED
    assert judge_raters(prior, ratings).quality[3] == pytest.approx(0.8, abs=0.1)


def test_raters_and_their_faces_may_be_few():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = judge_raters(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([[0, UNRATED], [1, UNRATED]]))
    assert np.isfinite(found.posterior).all() and np.isfinite(found.quality).all()
    assert found.posterior[1, 1] > 0.5


def test_ratings_that_do_not_fit_are_refused():
    _, prior, ratings = rated(40, [0.8, 0.7])
    with pytest.raises(FerError, match=r"expected an array \[40, raters\], found \[39, 2\]"):
        judge_raters(prior, ratings[1:])
    with pytest.raises(FerError, match="expected numbers 0 to 3, and -1 where a rater was not asked, found -1 to 4"):
        judge_raters(prior, np.where(ratings == 3, 4, ratings))
    with pytest.raises(FerError, match="found -1 to -1"):
        judge_raters(prior, np.full_like(ratings, UNRATED))
    evidence, _, _, _, _ = crowd_of(40, 2)
    with pytest.raises(FerError, match=r"expected numbers below 3 \[40, raters\], found \(40, 2\)"):
        crowdlab(evidence, np.full((40, 2), 3))


def test_counts_dealt_to_raters_are_the_same_counts_in_random_order():
    counts = np.random.default_rng(0).integers(0, 4, (500, 3))
    counts[0] = 0
    ratings = dealt(counts, np.random.default_rng(1))
    assert ratings.shape == (500, counts.sum(axis=1).max())
    assert np.array_equal(counted(ratings, 3), counts)
    asked = ratings != UNRATED
    assert (asked[:, :-1] >= asked[:, 1:]).all()
    assert abs((ratings[:, 0] == 0).mean() - (ratings[:, 1] == 0).mean()) < 0.1  # sorted, the first would be label 0
    assert not np.array_equal(ratings, dealt(counts, np.random.default_rng(2)))


def test_crowdlab_is_what_cleanlab_says_of_the_given_label():
    from cleanlab.multiannotator import get_label_quality_multiannotator

    evidence, cast, _, _, _ = crowd_of(200, 3)
    ratings = dealt(crowd.arranged(evidence, cast).counts[:, :3], np.random.default_rng(0))
    table = np.column_stack([evidence.labels, ratings]).astype(float)
    table[table < 0] = np.nan
    expected = get_label_quality_multiannotator(
        table, evidence.probabilities, return_detailed_quality=True, verbose=False
    )
    column = expected["detailed_label_quality"].iloc[:, 0].to_numpy()
    assert np.allclose(crowdlab(evidence, ratings), column, atol=1e-4)
    own = evidence.probabilities[np.arange(200), evidence.labels]
    assert np.array_equal(crowdlab(evidence, np.full_like(ratings, UNRATED)), own)
