"""Neighbours against scikit-learn and against plain loops; groups kept apart, folds too."""

import warnings

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from fer_data.auditing import neighbours
from fer_data.auditing.evidence import Evidence, Repeat
from fer_data.auditing.neighbours import NOBODY, familiarity, find_nearest, nearest_disagreeing, vote
from fer_data.errors import FerError


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def made_faces(count=200, size=6, folds=3, group_size=1, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, size)).astype(np.float32)
    fold = rng.integers(0, folds, count).astype(np.int16)
    groups = rng.permutation(count) // group_size
    return features, fold, groups


def made_evidence(labels, features, fold, groups=None, classes=3):
    labels = np.asarray(labels, dtype=np.int64)
    probabilities = np.full((len(labels), classes), 1 / classes)
    repeat = Repeat(np.asarray(fold, dtype=np.int16), probabilities.astype(np.float32), labels, features)
    groups = np.arange(len(labels)) if groups is None else groups
    ids = np.array([f"made/{row}" for row in range(len(labels))], dtype=object)
    return Evidence(tuple("abcdefgh"[:classes]), ids, labels, probabilities, groups, (repeat,))


def cosines_of(features):
    directions = features.astype(np.float64)
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    directions = np.divide(directions, lengths, out=np.zeros_like(directions), where=lengths > 0)
    return directions @ directions.T


@pytest.mark.parametrize(("count", "wanted"), [(200, 5), (3000, 20), (40, 1)])
def test_the_nearest_are_scikit_learns(count, wanted):
    features, fold, groups = made_faces(count, folds=2)
    nearest, cosines = find_nearest(features, fold, groups, wanted)
    for number in (0, 1):
        rows = np.flatnonzero(fold == number)
        reference = NearestNeighbors(n_neighbors=wanted, metric="cosine").fit(features[rows])
        distances, positions = reference.kneighbors()
        np.testing.assert_allclose(1 - cosines[rows], distances, atol=1e-5)
        assert (nearest[rows] == rows[positions]).mean() > 0.999  # equal distances may change places


@pytest.mark.parametrize(("count", "group_size"), [(60, 3), (60, 30), (3000, 50)])
def test_the_own_group_and_other_folds_are_never_near(count, group_size, monkeypatch):
    monkeypatch.setattr(neighbours, "_BLOCK", 2**15)  # many blocks, groups across their borders
    features, fold, groups = made_faces(count, group_size=group_size)
    nearest, cosines = find_nearest(features, fold, groups, 4)
    there = nearest != NOBODY
    assert there.all()
    assert (groups[nearest] != groups[:, None]).all() and (fold[nearest] == fold[:, None]).all()
    allowed = np.where((groups[:, None] != groups) & (fold[:, None] == fold), cosines_of(features), -np.inf)
    np.testing.assert_allclose(cosines, -np.sort(-allowed, axis=1)[:, :4], atol=1e-5)


def test_a_fold_that_is_too_small_leaves_places_empty():
    features, _, _ = made_faces(7)
    fold = np.array([0, 0, 0, 0, 1, 2, 2], dtype=np.int16)
    groups = np.array([0, 1, 2, 2, 3, 4, 4])
    nearest, cosines = find_nearest(features, fold, groups, 5)
    assert (nearest != NOBODY).sum(axis=1).tolist() == [3, 3, 2, 2, 0, 0, 0]
    np.testing.assert_array_equal(np.isnan(cosines), nearest == NOBODY)
    np.testing.assert_array_equal(np.diff((nearest == NOBODY).astype(int), axis=1).clip(max=0), 0)
    assert np.isnan(familiarity(cosines, fold)[4:]).all() and np.isfinite(familiarity(cosines, fold)[:4]).all()
    shares = vote(features, np.array([0, 1, 1, 0, 0, 1, 1]), fold, groups, 2)
    np.testing.assert_array_equal(np.isnan(shares[:, 0]), [False] * 4 + [True] * 3)


@pytest.mark.parametrize("group_size", [1, 7])
def test_the_vote_is_a_weighted_share(group_size, monkeypatch):
    monkeypatch.setattr(neighbours, "_TILE", 16)
    features, fold, groups = made_faces(150, group_size=group_size)
    labels = np.random.default_rng(1).integers(0, 4, 150)
    shares = vote(features, labels, fold, groups, 5)
    cosines = cosines_of(features)
    for face in range(0, 150, 10):
        same = fold == fold[face]
        bandwidth = 0.1 * (1 - cosines[np.ix_(same, same)].mean())
        weights = np.exp((cosines[face] - 1) / bandwidth) * (same & (groups != groups[face]))
        expected = np.bincount(labels, weights, minlength=5) / weights.sum()
        np.testing.assert_allclose(shares[face], expected, rtol=1e-3, atol=1e-6)
    assert (shares[:, 4] == 0).all()


def test_twins_do_not_vote_for_each_other():
    features = np.repeat(np.eye(4, dtype=np.float32) + 0.2, 2, axis=0)
    labels = np.array([0, 0, 1, 1, 1, 1, 1, 1])
    fold = np.zeros(8, dtype=np.int16)
    apart = vote(features, labels, fold, np.arange(8) // 2, 2)
    together = vote(features, labels, fold, np.arange(8), 2)
    assert apart[0, 0] == 0 and together[0, 0] > 0.9


def test_a_face_far_from_all_others_hears_all_of_them_alike():
    features = np.ones((50, 3), dtype=np.float32)
    features[:, 0] += 0.001 * np.arange(50)
    features[0] = -1
    labels = np.array([0, *([1] * 25), *([0] * 24)])
    shares = vote(features, labels, np.zeros(50, dtype=np.int16), np.arange(50), 2)
    np.testing.assert_allclose(shares[0], [24 / 49, 25 / 49], rtol=1e-5)


@pytest.mark.parametrize("scale", [0, 1e-30, 1e30])
def test_features_of_any_size_vote(scale):
    features = (scale * np.abs(made_faces(20)[0])).astype(np.float32)
    fold = np.zeros(20, dtype=np.int16)
    shares = vote(features, np.arange(20) % 2, fold, np.arange(20), 2)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    if scale:
        expected = vote(np.abs(made_faces(20)[0]), np.arange(20) % 2, fold, np.arange(20), 2)
        np.testing.assert_allclose(shares, expected, atol=1e-4)


def test_disagreeing_faces_carry_the_suggested_label_first():
    angles = np.array([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    evidence = made_evidence([0, 0, 1, 2, 2, 1, 0], features, [0] * 7)
    near = nearest_disagreeing(evidence, np.array([0, 1, 6]), np.array([2, 0, 1]), count=3)
    assert near.tolist() == [[3, 4, 2], [2, 3, 4], [5, 2, 4]]


def test_disagreeing_faces_are_the_nearest_of_the_suggested_label():
    features, fold, groups = made_faces(400, group_size=2)
    rng = np.random.default_rng(2)
    labels, suggested = rng.integers(0, 3, 400), rng.integers(0, 3, 400)
    rows = rng.permutation(400)[:150]
    near = nearest_disagreeing(made_evidence(labels, features, fold, groups), rows, suggested[rows], count=3)
    cosines = cosines_of(features)
    for face, found in zip(rows, near, strict=True):
        wanted = labels == suggested[face] if suggested[face] != labels[face] else labels != labels[face]
        allowed = np.flatnonzero(wanted & (fold == fold[face]) & (groups != groups[face]))
        expected = allowed[np.argsort(-cosines[face, allowed])][:3]
        assert found.tolist() == expected.tolist()


def test_there_may_be_nobody_who_disagrees():
    features, fold, groups = made_faces(12, folds=1)
    agreed = made_evidence([0] * 12, features, fold, groups)
    rows = np.arange(12)
    assert (nearest_disagreeing(agreed, rows, np.zeros(12, dtype=np.int64)) == NOBODY).all()
    assert (nearest_disagreeing(agreed, rows, np.ones(12, dtype=np.int64)) == NOBODY).all()
    one = made_evidence([1, *([0] * 11)], features, fold, groups)
    assert nearest_disagreeing(one, np.array([3]), np.array([2])).tolist() == [[0, NOBODY, NOBODY]]
    bare = Evidence(one.names, one.sample_ids, one.labels, one.probabilities, one.groups)
    assert nearest_disagreeing(bare, np.array([3]), np.array([2])).tolist() == [[NOBODY] * 3]


def test_a_face_unlike_any_other_is_the_least_familiar():
    rng = np.random.default_rng(0)
    features = (np.array([5, 0, 0, 0]) + rng.normal(size=(100, 4))).astype(np.float32)
    features[17] = [-5, 0, 0, 0]
    fold = (np.arange(100) % 2).astype(np.int16)
    _, cosines = find_nearest(features, fold, np.arange(100), 5)
    scores = familiarity(cosines, fold)
    assert scores.argmin() == 17 and scores[17] < 0.01
    for number in (0, 1):
        distances = (1 - cosines[fold == number].astype(np.float64)).mean(axis=1)
        np.testing.assert_allclose(scores[fold == number], 0.5 ** (distances / np.median(distances)), atol=1e-9)


def test_among_copies_only_what_is_no_copy_is_unfamiliar():
    features = np.ones((20, 3), dtype=np.float32)
    features[4] = [1, -1, 0]
    fold = np.zeros(20, dtype=np.int16)
    _, cosines = find_nearest(features, fold, np.arange(20), 3)
    scores = familiarity(cosines, fold)
    assert scores[4] < 1e-6 and (np.delete(scores, 4) > 0.2).all()


def test_what_cannot_be_compared_is_refused():
    features, fold, groups = made_faces(10)
    with pytest.raises(FerError, match="expected a count of 1 or more, found 0"):
        find_nearest(features, fold, groups, 0)
    with pytest.raises(FerError, match=r"found features \[10, 6\], 9 folds, 10 groups"):
        find_nearest(features, fold[1:], groups, 2)
    broken = features.copy()
    broken[3, 0] = np.nan
    with pytest.raises(FerError, match=r"expected finite features, found 1 faces with others \(first: row 3\)"):
        vote(broken, np.zeros(10, dtype=np.int64), fold, groups, 2)
    with pytest.raises(FerError, match="expected finite features"):
        nearest_disagreeing(made_evidence([0, 1] * 5, broken, fold), np.array([0]), np.array([1]))


def test_no_faces_have_no_neighbours():
    features, fold, groups = made_faces(0)
    assert find_nearest(features, fold, groups, 3)[0].shape == (0, 3)
    assert vote(features, np.zeros(0, dtype=np.int64), fold, groups, 2).shape == (0, 2)
