import numpy as np
import pytest
from scipy.stats import binomtest

from fer_data.intervals import holm, wilson


def test_wilson_is_scipys_for_numbers_and_arrays():
    hits, total = np.array([0, 3, 55, 700, 8]), np.array([7, 55, 55, 1000, 10])
    low, high = wilson(hits, total)
    for index, (some, of) in enumerate(zip(hits.tolist(), total.tolist(), strict=True)):
        expected = binomtest(some, of).proportion_ci(0.95, method="wilson")
        assert (low[index], high[index]) == pytest.approx((expected.low, expected.high))
        assert wilson(some, of) == (low[index], high[index])
    narrow = binomtest(3, 55).proportion_ci(0.8, method="wilson")
    assert wilson(3, 55, confidence=0.8) == pytest.approx((narrow.low, narrow.high))


def test_nothing_tried_leaves_everything_open():
    assert wilson(0, 0) == (0.0, 1.0)
    low, high = wilson(np.array([0, 1]), np.array([0, 2]))
    assert (low[0], high[0]) == (0, 1) and 0 < low[1] < 0.5 < high[1] < 1
    assert isinstance(wilson(1, 2)[0], float)


def test_holm_by_hand() -> None:
    adjusted = holm(np.array([0.01, 0.04, np.nan, 0.03, 0.5]))
    np.testing.assert_allclose(adjusted, [0.04, 0.09, np.nan, 0.09, 0.5])
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]
    assert holm(np.array([])).size == 0
