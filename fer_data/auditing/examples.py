"""What the evidence says of labels, as columns to learn from: of the given ones, and of planted ones.

Each part of the evidence gives two columns, the logarithms of the plausibility of the label and of the most plausible
other one; what training told gives the mean margin too.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_data.auditing.evidence import Evidence, Labels, Repeat
from fer_data.auditing.planting import draw_columns, draw_rows, planting_odds, planting_weights
from fer_data.auditing.scores import neighbour_shares

Matrix = NDArray[np.float64]

FLOOR = 1e-4  # of a plausibility: below, classifiers differ only in how sure they pretend to be


@dataclass(frozen=True)
class Examples:
    """Given labels, mostly right, and planted ones, all wrong, each described by the same F columns.

    Attributes:
        names: the part of the evidence that each column speaks for.
        signs: float64 [F], 1 where large values are suspect, -1 where small ones are.
        given: float64 [N, F], of the faces under their given labels; NaN where nothing is known.
        known: bool [N], whether `given` describes the given label: not where another was trained, or none.
        rows, planted_labels: int64 [M], which faces were planted as what.
        planted: float64 [M, F], of these faces under these labels.
        weights: float64 [M], what each planted face stands for, mean 1.
    """

    names: tuple[str, ...]
    signs: NDArray[np.float64]
    given: Matrix
    known: NDArray[np.bool_]
    rows: Labels
    planted_labels: Labels
    planted: Matrix
    weights: NDArray[np.float64]


def untrained_parts(evidence: Evidence, shares: Sequence[Matrix | None] | None = None) -> dict[str, Matrix]:
    """What does not depend on a face's own label: part → plausibility of every label, float64 [N, K].

    Args:
        shares: `neighbour_shares` of each repeat, where known; None computes them.
    """
    known = shares or [None] * len(evidence.repeats)
    around = [
        neighbour_shares(evidence, repeat) if share is None else share
        for repeat, share in zip(evidence.repeats, known, strict=True)
        if repeat.features is not None
    ]
    neighbours = {"neighbours": mean_known(around)} if around else {}
    return {"probabilities": evidence.probabilities, **neighbours}


def trained_examples(evidence: Evidence, repeat: Repeat, parts: Mapping[str, Matrix], joint: Matrix) -> Examples:
    """What one repeat tells, its training included; planted is what it trained under another label than the given.

    Args:
        joint: float64 [K, K], given × true: how labels go wrong.
    """
    told = np.where(repeat.trained, repeat.trained_label, evidence.labels)
    parts = {**parts, **({} if repeat.seen is None else {"seen": repeat.seen.astype(np.float64)})}
    names, signs, columns = _columns(parts, repeat.margins, told)
    rows = np.flatnonzero(told != evidence.labels)
    odds = planting_odds(evidence.labels[rows], evidence.probabilities[rows], joint)
    weights = planting_weights(evidence.labels[rows], told[rows], odds)
    known = repeat.trained & (told == evidence.labels)
    return Examples(names, signs, columns, known, rows, told[rows], columns[rows], weights)


def replaced_examples(
    evidence: Evidence,
    parts: Mapping[str, Matrix],
    joint: Matrix,
    faces: Labels,
    share: float,
    rng: np.random.Generator,
) -> Examples:
    """Given labels, and others in their place for some faces; what training told is left out.

    Args:
        joint: float64 [K, K], given × true: how labels go wrong.
        faces: int64 [S], rows among which labels are replaced.
        share: of these faces.
    """
    names, signs, columns = _columns(parts, None, evidence.labels)
    odds = planting_odds(evidence.labels[faces], evidence.probabilities[faces], joint)
    kept = draw_rows(odds.sum(axis=1), round(share * len(faces)), rng)
    rows, planted = faces[kept], draw_columns(odds[kept], rng)
    _, _, wrong = _columns({name: matrix[rows] for name, matrix in parts.items()}, None, planted)
    known = np.ones(len(evidence), dtype=np.bool_)
    return Examples(names, signs, columns, known, rows, planted, wrong, np.ones(len(rows)))


def mean_known(matrices: Sequence[Matrix]) -> Matrix:
    """The mean of matrices [N, K] over those that have no NaN in a row; NaN rows where all have."""
    total, count = np.zeros_like(matrices[0], dtype=np.float64), np.zeros(len(matrices[0]))
    for matrix in matrices:
        known = ~np.isnan(matrix).any(axis=1)
        total[known] += matrix[known]
        count += known
    return np.divide(total, count[:, None], out=np.full_like(total, np.nan), where=count[:, None] > 0)


def log_plausibility(matrices: Collection[Matrix]) -> Matrix:
    """The logarithm of the geometric mean of what is known of each label, float64 [N, K], floored."""
    logs = [np.log(np.maximum(matrix, FLOOR)) for matrix in matrices]
    return mean_known(logs)


def _columns(
    parts: Mapping[str, Matrix], margins: NDArray[np.float32] | None, labels: Labels
) -> tuple[tuple[str, ...], NDArray[np.float64], Matrix]:
    """Part names, signs and columns of `labels`."""
    names: list[str] = []
    columns: list[NDArray[np.float64]] = []
    for name, matrix in parts.items():
        own = np.take_along_axis(matrix, labels[:, None], axis=1)[:, 0]
        rest = matrix.copy()
        np.put_along_axis(rest, labels[:, None], -1.0, axis=1)
        other = np.where(np.isnan(own), np.nan, rest.max(axis=1))
        names += [name, name]
        columns += [np.log(np.maximum(own, FLOOR)), np.log(np.maximum(other, FLOOR))]
    signs = [-1.0, 1.0] * len(parts)
    if margins is not None:
        names.append("margins")
        columns.append(margins.mean(axis=1).astype(np.float64))
        signs.append(-1.0)
    return tuple(names), np.asarray(signs), np.stack(columns, axis=1)
