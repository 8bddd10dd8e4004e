import numpy as np
import pytest
from scipy import stats

from generators.checks.bands import class_distances, fit_band, student_quantile


def test_at_most_the_stated_share_of_real_faces_lies_outside():
    random = np.random.default_rng(0)
    values = random.normal(size=1000)
    band = fit_band(values, 0.01, 0.05)
    assert (values < band.low).sum() == 9  # a fresh value falls below the 10th of 1,000 with probability 10 / 1,001
    assert (values > band.high).sum() == 49
    fresh = [np.mean(random.normal(size=20) > fit_band(random.normal(size=39), 0, 0.05).high) for _ in range(2000)]
    assert np.mean(fresh) == pytest.approx(0.05, abs=0.005)
    assert band.low == pytest.approx(np.quantile(values, 0.01), abs=0.1)
    assert band.high == pytest.approx(np.quantile(values, 0.95), abs=0.1)


def test_few_real_faces_make_a_wide_band():
    random = np.random.default_rng(1)
    outside = []
    for _ in range(400):
        band = fit_band(random.normal(3, 2, size=8), 0.01, 0.01)
        fresh = random.normal(3, 2, size=50)
        outside.append(((fresh < band.low) | (fresh > band.high)).mean())
    assert np.mean(outside) <= 0.025  # the extremes of 8 would be passed by 22 %


def test_a_band_of_nothing_lets_everything_pass():
    for values in (np.empty(0), np.array([np.inf, np.inf]), np.array([2.0])):
        band = fit_band(values, 0.01, 0.01)
        assert (band.low, band.high) == (-np.inf, np.inf)
    assert fit_band(np.empty(0), 0.1, 0.1).score(np.array([1.0, np.inf])).tolist() == [1, 1]
    open_below = fit_band(np.arange(100.0), 0, 0.1)
    assert (open_below.low, open_below.high) == (-np.inf, 90)


def test_scores_tell_how_many_real_faces_lie_beyond():
    band = fit_band(np.arange(100.0), 0.1, 0.1)
    assert band.score(np.array([-1.0, 0.0, 49.5, 97.5, 99.0, 200.0])) == pytest.approx([0, 0.02, 1, 0.04, 0.02, 0])


@pytest.mark.parametrize("freedom", [3, 7, 30, 500])
@pytest.mark.parametrize("share", [0.95, 0.99, 0.995])
def test_student_quantiles_are_those_of_scipy(share, freedom):
    assert student_quantile(share, freedom) == pytest.approx(stats.t.ppf(share, freedom), rel=0.04)


def test_distances_are_means_over_the_nearest_of_other_groups():
    random = np.random.default_rng(2)
    points = random.normal(size=(320, 4)).astype(np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    queries, faces = points[:300], points[300:320]
    distances = np.linalg.norm(queries[:, None] - faces[None], axis=2)
    expected = np.sort(distances, axis=1)[:, :5].mean(axis=1)
    assert class_distances(queries, faces, 5) == pytest.approx(expected, abs=1e-3)
    groups, face_groups = np.arange(300), np.zeros(20, dtype=np.int64)
    apart = class_distances(queries, faces, 5, groups, face_groups)
    assert np.isinf(apart[0]) and apart[1:] == pytest.approx(expected[1:], abs=1e-3)
    few = np.sort(distances[:, :8], axis=1)[:, :2].mean(axis=1)
    assert class_distances(queries, faces[:8], 5) == pytest.approx(few, abs=1e-3)
    assert class_distances(queries, faces[:1], 5) == pytest.approx(distances[:, 0], abs=1e-3)
    assert np.isinf(class_distances(queries, faces[:0], 5)).all()
