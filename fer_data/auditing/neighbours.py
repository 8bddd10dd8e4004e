"""What the faces nearby in feature space are labelled, which of them disagree, and how far they are.

Features are compared within a fold only, as one classifier saw them, by their cosine. Members of a face's own group
never count: a twin's label is a copy, and a person's other pictures share more than the expression.
"""

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

from fer_data.auditing.evidence import Evidence, Floats, Labels
from fer_data.errors import FerError

NOBODY = -1

# Of a fold's mean cosine distance: with four networks, noise planted on real faces was found best at 0.07 to 0.1.
_BANDWIDTH = 0.1
_FAINTEST = np.float32(-80)  # exponent of the smallest weight: a face far from all others hears all of them alike
_TILE = 1024  # faces on one side of a tile of similarities: 4 MB
_BLOCK = 2**21  # similarities that are sorted at a time


def vote(
    features: Floats, labels: Labels, fold: NDArray[np.int16], groups: NDArray[np.int64], classes: int
) -> NDArray[np.float64]:
    """How the faces around each face are labelled, the nearer counting more.

    Every face of the fold has a vote of weight exp((cosine - 1) / bandwidth): Nadaraya and Watson's estimator (1964)
    of the label's distribution. On real faces it ranks wrong labels better than the k nearest do, k = 10 to 600.

    Args:
        features: float32 [N, F].
        labels: int64 [N], 0..K-1.
        fold: integer [N].
        groups: int64 [N].
        classes: K.

    Returns:
        float64 [N, K]; rows sum to 1, NaN where a fold has no face of another group.

    Raises:
        FerError: features that are not finite, or arrays of different lengths.
    """
    _refuse_unusable(features, fold, groups)
    shares = np.full((len(labels), classes), np.nan)
    for rows, directions in _folds(features, fold, groups):
        known, ballots = groups[rows], np.eye(classes, dtype=np.float32)[labels[rows]]
        shares[rows] = _normalized(_weighted(directions, ballots, known))
    return shares


def find_nearest(
    features: Floats, fold: NDArray[np.int16], groups: NDArray[np.int64], count: int
) -> tuple[Labels, Floats]:
    """The nearest faces of the same fold and of other groups, exactly, nearest first.

    Args:
        features: float32 [N, F].
        fold: integer [N].
        groups: int64 [N].
        count: how many, 1 or more.

    Returns:
        Their rows, int64 [N, count], `NOBODY` where the fold has no further face; and their cosine, float32
        [N, count], -1..1, NaN where nobody is.

    Raises:
        FerError: as `vote`, or a count below 1.
    """
    _refuse_unusable(features, fold, groups)
    if count < 1:
        raise FerError(f"neighbours: expected a count of 1 or more, found {count}")
    nearest = np.full((len(features), count), NOBODY, dtype=np.int64)
    cosines = np.full((len(features), count), np.nan, dtype=np.float32)
    for rows, directions in _folds(features, fold, groups):
        everyone = np.arange(len(rows))
        found, cosines[rows] = _most_similar(directions, groups[rows], everyone, everyone, count)
        nearest[rows] = np.where(found == NOBODY, NOBODY, rows[found])
    return nearest, cosines


def nearest_disagreeing(evidence: Evidence, rows: Labels, suggested: Labels, count: int = 3) -> Labels:
    """The nearest faces that carry another label than a face does: what it might be shown beside.

    Those that carry the suggested label come first; others follow only where there are too few of them.

    Args:
        rows: int64 [M], which faces, each at most once.
        suggested: int64 [M], their suggested labels; the given label where there is none to suggest.
        count: how many neighbours.

    Returns:
        int64 [M, count], rows of the evidence, `NOBODY` where the face's fold has no further face, or where no
        repeat has features.

    Raises:
        FerError: as `vote`.
    """
    near = np.full((len(rows), count), NOBODY, dtype=np.int64)
    repeat = next((repeat for repeat in evidence.repeats if repeat.features is not None), None)
    if repeat is None or repeat.features is None:
        return near
    _refuse_unusable(repeat.features, repeat.fold, evidence.groups)
    asked: Labels = np.full(len(evidence), NOBODY, dtype=np.int64)
    asked[rows] = np.arange(len(rows))
    wanted = evidence.labels.copy()
    wanted[rows] = suggested
    for members, directions in _folds(repeat.features, repeat.fold, evidence.groups):
        given, shown = evidence.labels[members], wanted[members]
        for own, other in product(np.unique(given), range(len(evidence.names))):
            faces = np.flatnonzero((asked[members] != NOBODY) & (given == own) & (shown == other))
            if len(faces) == 0:
                continue
            groups = evidence.groups[members]
            choice = np.flatnonzero(given == other if own != other else given != own)
            found, _ = _most_similar(directions, groups, faces, choice, count)
            few = found[:, -1] == NOBODY
            if few.any() and own != other:
                choice = np.flatnonzero((given != own) & (given != other))
                further, _ = _most_similar(directions, groups, faces[few], choice, count)
                found[few] = _first_known(np.concatenate([found[few], further], axis=1), count)
            near[asked[members[faces]]] = np.where(found == NOBODY, NOBODY, members[found])
    return near


def familiarity(cosines: Floats, fold: NDArray[np.int16]) -> NDArray[np.float64]:
    """How close a face is to its nearest ones, against the other faces of its fold: low = unlike any other.

    Args:
        cosines: float32 [N, k], from `find_nearest`.
        fold: integer [N].

    Returns:
        float64 [N], 0..1: 0.5 at the fold's median of the mean cosine distance, 0.25 at twice and 0.125 at three
        times the median; NaN where a face has no neighbour.
    """
    there = ~np.isnan(cosines)
    distances = np.where(there, np.clip(1 - cosines, 0, 2), 0).astype(np.float64).sum(axis=1)
    known = there.any(axis=1)
    distances = np.divide(distances, there.sum(axis=1), out=np.full(len(distances), np.nan), where=known)
    scores = np.full(len(distances), np.nan)
    for number in np.unique(fold[known]):
        rows = known & (fold == number)
        # Where most faces are copies of others the median is 0, and any face that is not is unlike them.
        median = max(float(np.median(distances[rows])), float(np.finfo(np.float32).eps))
        scores[rows] = np.exp2(-distances[rows] / median)
    return scores


def _refuse_unusable(features: Floats, fold: NDArray[np.int16], groups: NDArray[np.int64]) -> None:
    if features.ndim != 2 or not len(features) == len(fold) == len(groups):
        raise FerError(
            "neighbours: expected features [N, F] and a fold and a group for every face, found features "
            f"{list(features.shape)}, {len(fold)} folds, {len(groups)} groups; predict again"
        )
    broken = ~np.isfinite(features).all(axis=1)
    if broken.any():
        raise FerError(
            f"neighbours: expected finite features, found {int(broken.sum())} faces with others "
            f"(first: row {int(np.flatnonzero(broken)[0])}); predict again"
        )


def _folds(features: Floats, fold: NDArray[np.int16], groups: NDArray[np.int64]) -> Iterator[tuple[Labels, Floats]]:
    """The rows of each fold, group by group, and their features at length 1, float32 (0 where all are 0)."""
    for number in np.unique(fold):
        rows = np.flatnonzero(fold == number)
        rows = rows[np.argsort(groups[rows], kind="stable")]
        part = features[rows].astype(np.float32)
        largest = np.abs(part).max(axis=1, keepdims=True, initial=0)
        part = np.divide(part, largest, out=np.zeros_like(part), where=largest > 0)  # no overflow of the squares
        lengths = np.linalg.norm(part, axis=1, keepdims=True)
        yield rows, np.divide(part, lengths, out=np.zeros_like(part), where=lengths > 0)


def _weighted(directions: Floats, ballots: Floats, groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """The ballots of the faces of other groups, summed by weight, float64 [n, K]; `groups` are in order.

    Each tile of similarities serves both of its sides.
    """
    mean = directions.mean(axis=0)
    bandwidth = np.float32(max(_BANDWIDTH * (1 - float(mean @ mean)), 1e-3))
    sums = np.zeros(ballots.shape)
    starts = range(0, len(groups), _TILE)
    for first, second in ((a, b) for a in starts for b in starts if b >= a):
        rows, columns = slice(first, first + _TILE), slice(second, second + _TILE)
        weights = directions[rows] @ directions[columns].T
        weights -= 1
        weights /= bandwidth
        np.exp(np.maximum(weights, _FAINTEST, out=weights), out=weights)
        if groups[rows][-1] >= groups[columns][0]:
            weights[groups[rows][:, None] == groups[None, columns]] = 0
        sums[rows] += weights @ ballots[columns]
        if first != second:
            sums[columns] += weights.T @ ballots[rows]
    return sums


def _normalized(votes: NDArray[np.floating]) -> NDArray[np.float64]:
    totals = votes.sum(axis=1, keepdims=True, dtype=np.float64)
    shares = np.full(votes.shape, np.nan)
    np.divide(votes, totals, out=shares, where=totals > 0)
    return shares


def _most_similar(
    directions: Floats, groups: NDArray[np.int64], queries: Labels, candidates: Labels, count: int
) -> tuple[Labels, Floats]:
    """For every query the most similar candidates of other groups, int64 and float32 [len(queries), count].

    Groups, and with them queries and candidates, are in order: those of one block of queries lie side by side.
    """
    found = np.full((len(queries), count), NOBODY, dtype=np.int64)
    cosines = np.full((len(queries), count), np.nan, dtype=np.float32)
    known, matrix = groups[candidates], directions[candidates].T
    step = max(1, _BLOCK // max(len(candidates), 1))
    for start in range(0, len(queries), step):
        rows = queries[start : start + step]
        close = directions[rows] @ matrix
        own = slice(
            np.searchsorted(known, groups[rows[0]], side="left"),
            np.searchsorted(known, groups[rows[-1]], side="right"),
        )
        close[:, own][groups[rows][:, None] == known[None, own]] = -np.inf
        best, column = _largest(close, min(count, len(candidates)))
        there = best > -np.inf
        block = slice(start, start + len(rows))
        found[block, : best.shape[1]] = np.where(there, candidates[column], NOBODY)
        cosines[block, : best.shape[1]] = np.where(there, np.clip(best, -1, 1), np.nan)
    return found, cosines


def _largest(values: Floats, count: int) -> tuple[Floats, Labels]:
    """The largest values of each row, largest first, and their columns; [rows, count].

    They lie in the `count` slices of the row that have the largest maxima: only those are sorted.
    """
    rows, width = values.shape
    depth = int(np.sqrt(width / max(count, 1)))
    columns: Labels = np.broadcast_to(np.arange(width), values.shape)
    if depth > 1:
        slices = -(-width // depth)
        padded = np.full((rows, depth * slices), -np.inf, dtype=values.dtype)
        padded[:, :width] = values
        chosen = _columns_of_largest(padded.reshape(rows, depth, slices).max(axis=1), count)
        columns = (chosen[:, None, :] + slices * np.arange(depth)[None, :, None]).reshape(rows, -1)
        values = np.take_along_axis(padded, columns, axis=1)
        columns = np.minimum(columns, width - 1)  # what was padded is -inf, whatever its column
    best = _columns_of_largest(values, count)
    values, columns = np.take_along_axis(values, best, axis=1), np.take_along_axis(columns, best, axis=1)
    order = np.lexsort((columns, -values), axis=1)
    return np.take_along_axis(values, order, axis=1), np.take_along_axis(columns, order, axis=1)


def _columns_of_largest(values: Floats, count: int) -> Labels:
    width = values.shape[1]
    if count >= width:
        return np.broadcast_to(np.arange(width), values.shape)
    part: Labels = np.argpartition(values, width - count, axis=1)[:, width - count :]
    return part


def _first_known(rows: Labels, count: int) -> Labels:
    """The first `count` entries of each row that are somebody; `NOBODY` after them."""
    order = np.argsort(rows == NOBODY, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(rows, order, axis=1)
