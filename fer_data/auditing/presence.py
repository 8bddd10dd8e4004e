"""Learning what a wrong label looks like from planted ones, when the others are a mixture of right and wrong.

Planted labels are known to be wrong; of the given ones a known share is. That is presence-only data with known
prevalence (Ward, Hastie, Barry, Elith and Leathwick, "Presence-only data and the EM algorithm", Biometrics 65,
2009): with P(wrong | x) = σ(f(x)), a face of either kind is a planted one with odds c σ(f(x)), where c is the number
of planted faces per expected wrong one among the given. Maximising that likelihood gives P(wrong | x) itself; taking
planted against given for wrong against right would not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fer_data.auditing.evidence import Labels
from fer_data.auditing.examples import Examples
from fer_data.errors import FerError

_PLANTED_PER_GIVEN = 0.05  # the weight of all planted faces
_PRIOR_SLOPE = 1.5  # what all columns together weigh before anything is learnt, in standard deviations
_STEPS = 200

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Model:
    """What was learnt, once for every fold of groups that was left out.

    Attributes:
        names: part of the evidence that a column speaks for.
        centre, spread: float64 [F], what columns are standardised by.
        coefficients: float64 [folds, F + K].
    """

    names: tuple[str, ...]
    centre: Array
    spread: Array
    coefficients: Array

    def standardised(self, columns: Array) -> Array:
        """Columns of mean 0 and deviation 1; what is not known counts as the mean."""
        return np.asarray(np.nan_to_num((columns - self.centre) / self.spread))

    def judge(self, columns: Array, labels: Labels, fold: Labels) -> Array:
        """The logit of P(wrong), float64 [n]."""
        size = len(self.names)
        standardised = self.standardised(columns)
        wrong = np.zeros(len(labels))
        for number, coefficients in enumerate(self.coefficients):
            own = fold == number
            wrong[own] = standardised[own] @ coefficients[:size] + coefficients[size:][labels[own]]
        return wrong

    def shares(self) -> dict[str, float]:
        """Part of the evidence → its share of the weights, by standard deviations."""
        weights = np.abs(self.coefficients[:, : len(self.names)]).mean(axis=0)
        total = max(float(weights.sum()), 1e-12)
        return {
            name: float(sum(weights[place] for place, part in enumerate(self.names) if part == name) / total)
            for name in dict.fromkeys(self.names)
        }


def deal(groups: NDArray[np.int64], folds: int, rng: np.random.Generator) -> Labels:
    """The fold of each face, int64 [N], 0.. without gaps; groups stay together.

    Raises:
        FerError: fewer than two groups.
    """
    values, number = np.unique(groups, return_inverse=True)
    if len(values) < 2:
        raise FerError(
            f"combined score: expected faces of two groups or more, found {len(groups)} faces of {len(values)}; "
            "no face is scored with weights that were learnt on it or on its group: use a single score instead"
        )
    return np.asarray(rng.permutation(len(values))[number] % min(folds, len(values)), dtype=np.int64)


def learn(
    examples: Sequence[Examples], labels: Labels, fold: Labels, rates: Array, sample: Labels, penalty: float
) -> Model:
    """Weights from all examples: every planted label, and the sample dealt to them for given ones.

    Args:
        labels: int64 [N], given labels.
        fold: int64 [N], 0.. without gaps; each is left out once.
        rates: float64 [K], P(wrong | given label), inside 0..1.
        sample: int64 [S], rows whose given labels are learnt from.
        penalty: as for `fit_presence`.
    """
    taken = [sample[number :: len(examples)] for number in range(len(examples))]
    taken = [rows[part.known[rows]] for rows, part in zip(taken, examples, strict=True)]
    given = np.concatenate([part.given[rows] for rows, part in zip(taken, examples, strict=True)])
    columns = np.concatenate([given, *(part.planted for part in examples)])
    told = np.concatenate([*(labels[rows] for rows in taken), *(part.planted_labels for part in examples)])
    rows = np.concatenate([*taken, *(part.rows for part in examples)])
    weights = np.concatenate([np.ones(len(given)), *(part.weights for part in examples)])
    planted = np.arange(len(columns)) >= len(given)
    centre, spread = _moments(columns)
    model = Model(examples[0].names, centre, spread, np.empty((0, 0)))
    standardised = model.standardised(columns)
    learnt = []
    for number in range(int(fold.max()) + 1):
        other = fold[rows] != number
        learnt.append(
            fit_presence(
                standardised[other],
                told[other],
                planted[other],
                weights[other],
                rates,
                examples[0].signs,
                penalty,
            )
        )
    return replace(model, coefficients=np.stack(learnt))


def fit_presence(
    columns: Array,
    labels: Labels,
    planted: NDArray[np.bool_],
    weights: Array,
    rates: Array,
    signs: Array,
    penalty: float,
) -> Array:
    """Coefficients of f, float64 [F + K]: one per column, then the intercept of each label.

    No column may count against its sign: evidence for a label never makes it suspect. Coefficients are drawn to equal
    ones, so that with few planted faces every column counts alike.

    Args:
        columns: float64 [M, F], standardised.
        labels: int64 [M], the label that is judged.
        planted: bool [M], known to be wrong.
        weights: float64 [M].
        rates: float64 [K], share of the given labels that are wrong, inside 0..1.
        signs: float64 [F], 1 where large values are suspect, -1 where small ones are.
        penalty: how strongly coefficients are drawn to equal ones, per unit of weight.
    """
    from scipy.optimize import minimize

    classes, size = len(rates), columns.shape[1]
    design = np.concatenate([columns, np.eye(classes)[labels]], axis=1)
    weights = weights.copy()
    if planted.any():
        weights[planted] *= _PLANTED_PER_GIVEN * weights[~planted].sum() / weights[planted].sum()
    known = np.bincount(labels[planted], weights[planted], classes)
    expected = np.bincount(labels[~planted], weights[~planted], classes) * rates
    scale = (known / np.maximum(expected, 1e-12))[labels]
    scale[expected[labels] == 0] = 1.0
    start = np.concatenate([signs * _PRIOR_SLOPE / max(size, 1), np.log(rates / (1 - rates))])
    total = max(float(weights.sum()), 1e-12)

    def loss(coefficients: Array) -> tuple[float, Array]:
        wrong = 1 / (1 + np.exp(-np.clip(design @ coefficients, -30, 30)))
        odds = scale * wrong
        likelihood = np.where(planted, np.log(np.maximum(odds, 1e-300)), 0) - np.log1p(odds)
        slope = weights * (planted - odds / (1 + odds)) * (1 - wrong)
        distance = coefficients - start
        distance[size:] = 0
        value = -(weights @ likelihood) / total + penalty * distance @ distance
        return float(value), -(design.T @ slope) / total + 2 * penalty * distance

    bounds = [(0, None) if sign > 0 else (None, 0) for sign in signs] + [(-8.0, 8.0)] * classes
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": _STEPS})
    return np.asarray(found.x)


def _moments(columns: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of the known values of each column; 0 and 1 where there are none."""
    known = ~np.isnan(columns)
    count = np.maximum(known.sum(axis=0), 1)
    centre = np.where(known, columns, 0).sum(axis=0) / count
    spread = np.sqrt((np.where(known, columns - centre, 0) ** 2).sum(axis=0) / count)
    return centre, np.where(spread > 1e-9, spread, 1.0)
