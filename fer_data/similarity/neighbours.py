"""Pairs of fingerprints that point the same way: every pair is compared in small sets, cells are probed in large ones.

Large sets are cut into cells by k-means on the sphere (an inverted file: Sivic and Zisserman, "Video Google", ICCV
2003; Jégou, Douze and Schmid, "Product quantization for nearest neighbor search", PAMI 33, 2011, without the codes):
a picture is compared with the members of its nearest cells only.
"""

import numpy as np
from numpy.typing import NDArray

from fer_data.parallel import ordered_map

EXHAUSTIVE_ROWS = 10_000  # up to here every pair is compared
PROBES = 24  # cells that each picture is compared with above that

_ROWS, _COLUMNS = 512, 4096  # of the block of cosines that is in memory
_TILE_ROWS, _TILE_COLUMNS = 64, 80
_SAMPLED = (400, 20_000)  # queries and others in the sample of strangers
_LLOYD_STEPS = 6
_SAMPLE_PER_CELL = 40

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Pairs = tuple[Rows, Rows, Floats]


def close_pairs(queries: Floats, base: Floats, threshold: float, limit: int, seed: int) -> Pairs:
    """Pairs i < j with `queries[i] · base[j] >= threshold`, where query i is row i of the base, as it is or mirrored.

    Args:
        queries: float32 [N, D] of unit length. base: float32 [N, D]; `queries[i] · base[j]` must be symmetric.
        limit: how many of the best partners j of each i are kept.
        seed: draws the sample that cells are made from.

    Returns:
        i int64 [P], j int64 [P], cosine float32 [P]; exhaustive up to `EXHAUSTIVE_ROWS` rows, above that most pairs.
    """
    if len(base) <= EXHAUSTIVE_ROWS:
        return _exhaustive(queries, base, threshold, limit)
    return probed_pairs(queries, base, threshold, limit, seed)


def close_enough(queries: Floats, base: Floats, least: float, strangers: float, seed: int) -> float:
    """The cosine that at most `strangers` pairs per picture are expected to reach by chance, but no lower than `least`.

    Strangers grow with the square of the set, copies do not; the expectation is that of a sample, in sets that are
    small enough to be compared as they are it is `least`.
    """
    if len(base) <= EXHAUSTIVE_ROWS:
        return least
    rng = np.random.default_rng(seed)
    rows, columns = (rng.choice(len(base), min(size, len(base)), replace=False) for size in _SAMPLED)
    cosines = _cosines(queries[rows], base[columns])
    cosines[rows[:, None] == columns] = -1
    expected = int(2 * strangers / len(base) * cosines.size)
    if expected >= cosines.size:
        return least
    return max(least, float(np.partition(cosines, cosines.size - 1 - expected, axis=None)[cosines.size - 1 - expected]))


def probed_pairs(queries: Floats, base: Floats, threshold: float, limit: int, seed: int, probes: int = PROBES) -> Pairs:
    """The same through cells, of which each query visits `probes`: cost grows as N^1.5."""
    centres = _cells(base, seed)
    home = _nearest(base, centres, 1)[:, 0]
    visits = _nearest(queries, centres, min(probes, len(centres)))
    members = _grouped(home, len(centres))
    visitors = _grouped(visits.ravel(), len(centres))

    def meetings(cell: int) -> Pairs:
        left, right = visitors[cell] // visits.shape[1], members[cell]
        points = base[right]
        found: list[Pairs] = []
        for start in range(0, len(left), _COLUMNS):
            part = left[start : start + _COLUMNS]
            i, j, cosine = _above(_cosines(queries[part], points), threshold)
            i, j = part[i], right[j]
            found.append((np.minimum(i, j)[i != j], np.maximum(i, j)[i != j], cosine[i != j]))
        return _joined(found)

    found = list(ordered_map(meetings, range(len(centres))))
    i, j, cosine = _joined(found)
    _, first = np.unique(i * len(base) + j, return_index=True)  # each end may have visited the other
    return _best(i[first], j[first], cosine[first], limit)


def _exhaustive(queries: Floats, base: Floats, threshold: float, limit: int) -> Pairs:
    def strip(top: int) -> Pairs:
        found: list[Pairs] = []
        for left in range(top, len(base), _COLUMNS):
            i, j, cosine = _above(_cosines(queries[top : top + _ROWS], base[left : left + _COLUMNS]), threshold)
            i, j = i + top, j + left
            found.append((i[i < j], j[i < j], cosine[i < j]))
        return _best(*_joined(found), limit)

    return _joined(list(ordered_map(strip, range(0, len(base), _ROWS))))


def _above(cosines: Floats, threshold: float) -> Pairs:
    """Row, column and value of the cosines at or above a threshold; rows without any are skipped early."""
    rows = np.flatnonzero(cosines.max(axis=1, initial=-1) >= threshold)
    i, j = np.nonzero(cosines[rows] >= threshold)
    return rows[i], j.astype(np.int64), cosines[rows[i], j]


def _best(i: Rows, j: Rows, cosine: Floats, limit: int) -> Pairs:
    """The `limit` pairs of highest cosine of each i."""
    order = np.lexsort((-cosine, i))
    i, j, cosine = i[order], j[order], cosine[order]
    starts = np.flatnonzero(np.diff(i, prepend=-1))
    rank = np.arange(len(i)) - np.repeat(starts, np.diff(starts, append=len(i)))
    return i[rank < limit], j[rank < limit], cosine[rank < limit]


def _joined(parts: list[Pairs]) -> Pairs:
    if not parts:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32)
    i, j, cosine = (np.concatenate(column) for column in zip(*parts, strict=True))
    return i, j, cosine


def _cells(base: Floats, seed: int) -> Floats:
    """Centres of 4 √N cells, float32 [C, D] of unit length, by k-means on a sample."""
    rng = np.random.default_rng(seed)
    count = max(1, min(len(base), int(4 * np.sqrt(len(base)))))
    size = min(len(base), _SAMPLE_PER_CELL * count)
    sample = base[np.sort(rng.choice(len(base), size, replace=False))]
    centres = sample[np.sort(rng.choice(size, count, replace=False))]
    for _ in range(_LLOYD_STEPS):
        home = _nearest(sample, centres, 1)[:, 0]
        order = np.argsort(home, kind="stable")
        filled, starts = np.unique(home[order], return_index=True)
        sums = np.add.reduceat(sample[order], starts, axis=0)
        centres[filled] = sums / (np.linalg.norm(sums, axis=1, keepdims=True) + np.float32(1e-9))
    return centres


def _nearest(points: Floats, centres: Floats, count: int) -> Rows:
    """The cells nearest to each point, int64 [N, count], in no particular order."""

    def block(start: int) -> Rows:
        cosines = _cosines(points[start : start + _ROWS], centres)
        if count == 1:
            return np.asarray(cosines.argmax(axis=1)[:, None])
        return np.asarray(np.argpartition(-cosines, count - 1, axis=1)[:, :count])

    return np.concatenate(list(ordered_map(block, range(0, len(points), _ROWS))))


def _cosines(points: Floats, others: Floats) -> Floats:
    """`points @ others.T` in tiles so small that BLAS starts no threads: these would wait for each other here."""
    tiles = -(-len(points) // _TILE_ROWS)
    padded = np.zeros((tiles, _TILE_ROWS, points.shape[1]), dtype=np.float32)
    padded.reshape(-1, points.shape[1])[: len(points)] = points
    result = np.empty((tiles, _TILE_ROWS, len(others)), dtype=np.float32)
    for left in range(0, len(others), _TILE_COLUMNS):
        np.matmul(padded, others[left : left + _TILE_COLUMNS].T, out=result[:, :, left : left + _TILE_COLUMNS])
    return result.reshape(tiles * _TILE_ROWS, len(others))[: len(points)]


def _grouped(codes: Rows, count: int) -> list[Rows]:
    """Positions of each code 0..count-1."""
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.searchsorted(codes[order], np.arange(1, count)))
