import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_data.tabular.dealing import apportion, by_rank, deal

SHARES = np.array([0.8, 0.1, 0.1])


@given(st.integers(0, 200), st.lists(st.floats(-5, 50), min_size=1, max_size=6))
def test_whole_numbers_sum_and_lie_near_the_exact_ones(total, exact):
    counts = apportion(total, np.array(exact))
    assert counts.sum() == total
    assert (counts >= 0).all()
    wanted = np.maximum(exact, 0)
    if wanted.sum() > 0:
        assert (np.abs(counts - wanted * total / wanted.sum()) < 1 + 1e-6).all()


@given(st.lists(st.integers(0, 10), min_size=1, max_size=5), st.integers(0, 1000))
def test_ranks_are_those_of_a_full_sort(counts, seed):
    keys = np.random.default_rng(seed).permutation(sum(counts)).astype(np.uint64)
    expected = np.repeat(np.arange(len(counts)), counts)[keys.astype(np.int64)]
    assert np.array_equal(by_rank(keys, np.array(counts)), expected)


def test_single_rows_get_the_exact_share_of_every_stratum():
    rng = np.random.default_rng(0)
    strata = rng.choice(4, 10_000, p=[0.7, 0.2, 0.09, 0.01])
    parts = deal(rng.integers(-(2**62), 2**62, 10_000), strata, SHARES, 1)
    for stratum in range(4):
        counts = np.bincount(parts[strata == stratum], minlength=3)
        assert (np.abs(counts - SHARES * (strata == stratum).sum()) <= 1).all()
    assert (np.abs(np.bincount(parts) - SHARES * 10_000) <= 1).all()  # rounding does not add up over strata


@pytest.mark.parametrize(("groups", "parts"), [([5, 5, 9], 2), ([1, 2, 3], 3), ([1, 1, 1, 2, 3, 4], 3), ([7, 7], 2)])
def test_no_part_stays_empty_where_there_are_groups_enough(groups, parts):
    shares = np.array([0.9, *[0.1 / (parts - 1)] * (parts - 1)])
    dealt = deal(np.array(groups), np.zeros(len(groups), np.int64), shares, 0)
    assert len(np.unique(dealt)) == min(parts, len(set(groups)))


def test_many_strata_of_one_row_still_fill_every_part():
    parts = deal(np.arange(1000), np.arange(1000), SHARES, 0)
    assert np.bincount(parts).tolist() == [800, 100, 100]


@settings(deadline=None, max_examples=150)
@given(
    st.integers(3, 60), st.integers(1, 40), st.integers(1, 4), st.integers(2, 4), st.integers(0, 9), st.integers(0, 9)
)
def test_groups_stay_whole_and_the_order_of_rows_does_not_matter(rows, groups, strata, parts, data_seed, seed):
    rng = np.random.default_rng(data_seed)
    group, stratum = rng.integers(0, groups, rows) * 7919, rng.integers(0, strata, rows)
    shares = np.full(parts, 1 / parts)
    dealt = deal(group, stratum, shares, seed)
    assert all(len(set(dealt[group == name])) == 1 for name in np.unique(group))
    assert dealt.min() >= 0
    assert dealt.max() < parts
    if len(np.unique(group)) >= parts:
        assert len(np.unique(dealt)) == parts  # none is empty where none need be
    order = rng.permutation(rows)
    assert np.array_equal(deal(group[order], stratum[order], shares, seed), dealt[order])


def test_large_groups_are_as_even_as_scikit_learn_makes_them():
    sklearn = pytest.importorskip("sklearn.model_selection")
    rng = np.random.default_rng(3)
    sizes = rng.integers(5, 40, 60)
    groups = np.repeat(np.arange(60), sizes)
    strata = rng.choice(5, len(groups), p=[0.5, 0.25, 0.15, 0.07, 0.03])
    shares = np.full(5, 0.2)

    def unevenness(parts):
        cells = np.array([np.bincount(strata[parts == part], minlength=5) for part in range(5)])
        return float(np.abs(cells / np.bincount(strata) - 0.2).mean())

    reference = np.empty(len(groups), dtype=np.int64)
    splitter = sklearn.StratifiedGroupKFold(5, shuffle=True, random_state=0)
    for part, (_, held) in enumerate(splitter.split(groups, strata, groups)):
        reference[held] = part
    assert unevenness(deal(groups, strata, shares, 0)) <= 1.25 * unevenness(reference)


def test_pairs_are_dealt_in_the_shares_too_and_seeds_differ():
    groups = np.repeat(np.arange(1000), 2)
    one, other = (deal(groups, np.zeros(2000, np.int64), SHARES, seed) for seed in (0, 1))
    assert np.bincount(one).tolist() == [1600, 200, 200]
    assert (one != other).any()
