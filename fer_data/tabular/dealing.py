"""Deals groups of rows out to parts in given shares, evenly over strata, whatever the order of the rows.

Groups of several rows are dealt whole, the largest first, each to the part that lacks its strata most; groups of one
row then fill every stratum up to its share. Chance decides only among groups of the same composition, by a key that
comes from the group's own id and the seed: no row depends on where another one stands.
"""

import itertools

import numpy as np
from numpy.typing import NDArray

from fer_data.tabular.columns import Keys, mixed, shared_values


def deal(
    groups: NDArray[np.int64], strata: NDArray[np.int64], shares: NDArray[np.float64], seed: int
) -> NDArray[np.int16]:
    """Give every row a part; rows of one group get the same.

    Args:
        groups: int64 [N].
        strata: int64 [N], 0..S-1.
        shares: float64 [K], positive, summing to 1.
        seed: of the choice among equals.

    Returns:
        int16 [N], 0..K-1. Each part gets its share of each stratum, as nearly as whole groups allow: to one row per
        stratum where groups of one row are left to even things out.
    """
    keys = mixed(groups, seed)
    several = shared_values(groups, keys)
    total = np.bincount(strata, minlength=1).astype(np.float64)
    need = shares[:, None] * total
    parts = np.full(len(groups), -1, dtype=np.int16)
    single = np.ones(len(groups), dtype=bool)
    single[several] = False
    alone = int(single.sum())
    parts[several] = _deal_whole(groups[several], strata[several], keys[several], shares, need, total, alone)
    if alone:
        rows = np.flatnonzero(single) if alone < len(groups) else slice(None)
        parts[rows] = _deal_single(strata[rows], keys[rows], need, shares)
    _fill_empty(parts, np.flatnonzero(single), keys, len(shares))
    return parts


def apportion(total: int, exact: NDArray[np.float64]) -> NDArray[np.int64]:
    """Whole numbers that sum to `total`, each near its exact one; the largest remainders are rounded up.

    Args:
        exact: float64 [K], what each part should get; negative counts as nothing.
    """
    wanted = np.maximum(exact, 0)
    wanted = wanted / wanted.sum() * total if wanted.sum() > 0 else np.full(len(exact), total / len(exact))
    counts = np.floor(wanted + 1e-9).astype(np.int64)
    order = np.argsort(counts - wanted, kind="stable")
    counts[order[: total - int(counts.sum())]] += 1
    return counts


def _deal_whole(
    groups: NDArray[np.int64],
    strata: NDArray[np.int64],
    keys: Keys,
    shares: NDArray[np.float64],
    need: NDArray[np.float64],
    total: NDArray[np.float64],
    alone: int,
) -> NDArray[np.int16]:
    """Deal groups of several rows; `need` [K, S] goes down by what is dealt.

    Groups of the same composition are dealt together: whole shares of them at once, the rest one by one.
    """
    names, first, group = np.unique(groups, return_index=True, return_inverse=True)
    cells, sizes = np.unique(group * len(total) + strata, return_counts=True)
    owner, stratum = cells // len(total), cells % len(total)
    start = np.searchsorted(owner, np.arange(len(names) + 1))
    kind = np.zeros(len(names), dtype=np.uint64)  # equal for groups of equal composition
    np.add.at(kind, owner, mixed(stratum * (len(groups) + 1) + sizes))
    order = np.lexsort((keys[first], kind, -np.bincount(group)))
    ends = np.flatnonzero(np.diff(kind[order], prepend=0, append=0) != 0)
    bounds = np.unique(np.concatenate([[0], ends, [len(order)]]))
    part = np.empty(len(names), dtype=np.int16)
    filled = np.zeros(len(shares), dtype=bool)
    for begin, end in itertools.pairwise(bounds.tolist()):
        own = slice(start[order[begin]], start[order[begin] + 1])
        of, count = stratum[own], sizes[own]
        whole = np.floor((end - begin) * shares + 1e-9).astype(np.int64)
        dealt = begin + int(whole.sum())
        part[order[begin:dealt]] = np.repeat(np.arange(len(shares)), whole)
        need[:, of] -= whole[:, None] * count
        filled |= whole > 0
        for place in range(dealt, end):
            gain = need[:, of] @ (count / total[of])
            empty = ~filled
            if 0 < empty.sum() >= len(order) - place + alone:  # the last groups go where there is none
                gain[filled] = -np.inf
            best = int(np.argmax(gain))
            part[order[place]] = best
            need[best, of] -= count
            filled[best] = True
    return part[group]


def _deal_single(
    strata: NDArray[np.int64], keys: Keys, need: NDArray[np.float64], shares: NDArray[np.float64]
) -> NDArray[np.int16]:
    """Deal rows that are a group of their own: each stratum gets exactly what it still needs."""
    counts = np.bincount(strata, minlength=need.shape[1])
    small = strata.astype(np.uint16) if need.shape[1] <= 2**16 else strata  # sixteen bits are sorted in one pass
    order = np.argsort(small, kind="stable")
    parts = np.empty(len(strata), dtype=np.int16)
    carried = np.zeros(len(shares))  # what rounding owes each part, so that many small strata do not all round alike
    end = 0
    for stratum in np.flatnonzero(counts):
        begin, end = end, end + int(counts[stratum])
        rows = order[begin:end]
        lacking = np.maximum(need[:, stratum], 0)
        lacking = lacking if lacking.any() else shares
        exact = lacking * ((end - begin) / lacking.sum()) + carried
        given = apportion(end - begin, exact)
        carried = exact - given
        parts[rows] = by_rank(keys[rows], given)
    return parts


def _fill_empty(parts: NDArray[np.int16], single: NDArray[np.int64], keys: Keys, total: int) -> None:
    """Give each part without rows one row of the largest part that can spare one."""
    counts = np.bincount(parts, minlength=total)
    for empty in np.flatnonzero(counts == 0):
        spare = single[counts[parts[single]] > 1]
        if not len(spare):
            return
        largest = spare[counts[parts[spare]] == counts[parts[spare]].max()]
        row = largest[np.argmin(keys[largest])]
        counts[parts[row]] -= 1
        parts[row] = empty
        counts[empty] = 1


def by_rank(keys: Keys, counts: NDArray[np.int64]) -> NDArray[np.int16]:
    """Part 0 for the `counts[0]` smallest keys, part 1 for the next `counts[1]`, and so on; no full sort is needed."""
    cuts = np.unique(np.cumsum(counts)[:-1])
    inner = cuts[(cuts > 0) & (cuts < len(keys))]
    if not len(inner):
        return np.full(len(keys), int(np.argmax(counts)), dtype=np.int16)
    limits = np.partition(keys, inner)[inner]
    place = np.zeros(len(keys), dtype=np.int16)
    for limit in limits:
        place += keys >= limit
    return np.flatnonzero(counts).astype(np.int16)[place]
