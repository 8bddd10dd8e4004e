"""Methods judged on the same faces, seeds and resamples, so that their differences are paired.

Faces are resampled by their groups and crossed with the seeds, as `experiments.statistics` describes it. The same
draws serve every method, and every class.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments import statistics
from experiments.audit_benchmark import ranking
from experiments.audit_benchmark.truth import Truth

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

TOP = (100, 500, 1000, 5000)
BUDGETS = (500, 1000, 2000, 4000, 8000)
CLASS_METRICS = ("auprc", "auroc")


@dataclass(frozen=True)
class Draws:
    """Which faces and seeds each resample holds.

    Attributes:
        unit: int64 [N], the group of a face, counted from 0.
        units: how many groups.
        resamples: B.
        seed_weights: float64 [B, S].
        seed: of the faces that are drawn; the same faces come for every method.
        chunk: how many resamples are made at a time, so that their weights stay in the processor's cache.
    """

    unit: NDArray[np.int64]
    units: int
    resamples: int
    seed_weights: Array
    seed: int
    chunk: int = 64

    def weights(self, start: int, rows: Bools) -> Array:
        """How often each face of some rows is drawn, float64 [M, up to `chunk`], resamples from `start` on."""
        size = min(self.chunk, self.resamples - start)
        generator = np.random.default_rng([self.seed, start])
        drawn = [
            np.bincount(generator.integers(self.units, size=self.units), minlength=self.units) for _ in range(size)
        ]
        return np.stack(drawn, axis=1)[self.unit[rows]].astype(np.float64)


@dataclass(frozen=True)
class Values:
    """One figure of one method.

    Attributes:
        observed: float64 [S], one per seed.
        resampled: float64 [B, S].
    """

    observed: Array
    resampled: Array

    def __sub__(self, other: "Values") -> "Values":
        return Values(self.observed - other.observed, self.resampled - other.resampled)


@dataclass(frozen=True)
class Judged:
    """Every figure of every method.

    Attributes:
        values: method → figure → values. Figures are auprc, auroc, precision_at_<k>, precision_at_errors,
            wrong_in_<k>, wrong_or_ambiguous_in_<k>, recall_in_<k>, and <auprc or auroc>_<label>.
        draws: what was drawn.
    """

    values: Mapping[str, Mapping[str, Values]]
    draws: Draws

    def level(self, method: str, figure: str) -> dict[str, Any]:
        """A figure with its interval: value, low, high, standard_error, and `seeds`, its value per seed."""
        values = self.values[method][figure]
        entry = statistics.level_of(values.observed, values.resampled, self.draws.seed_weights)
        return numbers({**asdict(entry), "seeds": values.observed.tolist()})

    def difference(self, method: str, other: str, figure: str) -> dict[str, Any]:
        """What a method has more than another, paired: value, low, high, standard_error, p_value, seeds."""
        values = self.values[method][figure] - self.values[other][figure]
        entry = statistics.difference_of(values.observed, values.resampled, self.draws.seed_weights)
        return numbers({**asdict(entry), "seeds": values.observed.tolist()})

    def figures(self, method: str) -> dict[str, Any]:
        """All figures of a method."""
        return {figure: self.level(method, figure) for figure in self.values[method]}

    def best(self, methods: Sequence[str], figure: str = "auprc") -> str:
        """Which of these methods has the highest figure, mean over seeds: chosen by the truth, in its favour."""
        return max(methods, key=lambda method: float(np.mean(self.values[method][figure].observed)))


def draw(groups: NDArray[np.int64], seeds: int, resamples: int, seed: int) -> Draws:
    """Prepare a paired bootstrap.

    Args:
        groups: int64 [N]; faces of one group are drawn together.
        seeds: S.
        resamples: B, at least 100 for a 95 % interval.
        seed: decides every draw.
    """
    unit, units = statistics.group_index(groups)
    return Draws(
        unit, units, resamples, statistics.draw_seed_weights(seeds, resamples, np.random.default_rng(seed)), seed
    )


def judge(
    scores: Sequence[Mapping[str, Array]],
    truth: Truth,
    draws: Draws,
    *,
    classes: bool = True,
    reviews: bool = True,
) -> Judged:
    """Judge every method by every figure.

    Args:
        scores: for each seed, method → float64 [N], low = bad; the same methods for all.
        truth: of the same N faces.
        draws: over the same faces, for as many seeds.
        classes: also per given label.
        reviews: also what a reviewer of the first faces finds.
    """
    whole = np.ones((int(truth.judged.sum()), 1))
    observed = _each(scores, truth, whole, classes, reviews)
    chunks = [
        _each(scores, truth, draws.weights(start, truth.judged), classes, reviews)
        for start in range(0, draws.resamples, draws.chunk)
    ]
    return Judged(
        {
            method: {
                figure: Values(values[0], np.concatenate([chunk[method][figure] for chunk in chunks]))
                for figure, values in of_method.items()
            }
            for method, of_method in observed.items()
        },
        draws,
    )


def figures(
    score: Array, truth: Truth, weights: Array, *, classes: bool = True, reviews: bool = True
) -> dict[str, Array]:
    """Every figure of one ranking under B weightings of the judged faces, each float64 [B].

    Args:
        score: float64 [N], low = bad.
        weights: float64 [J, B], of the faces that `truth` judges.
    """
    clear = truth.clear[truth.judged]
    curve = ranking.steps(score[truth.clear], truth.wrong[truth.clear], weights[clear])
    found = {
        "auprc": ranking.average_precision(curve),
        "auroc": ranking.roc_area(curve),
        "precision_at_errors": ranking.precision_at_errors(curve),
    }
    top = [count for count in TOP if count <= truth.clear.sum()]
    precisions = ranking.precision_at(curve, np.array(top, dtype=np.int64))
    found |= {f"precision_at_{count}": precisions[index] for index, count in enumerate(top)}
    if reviews:
        found |= _reviewed(score, truth, weights)
    if classes:
        for code, name in enumerate(truth.names):
            own = truth.of_class(code)
            if truth.wrong[own].any() and not truth.wrong[own].all():
                curve = ranking.steps(score[own], truth.wrong[own], weights[own[truth.judged]])
                found[f"auprc_{name}"] = ranking.average_precision(curve)
                found[f"auroc_{name}"] = ranking.roc_area(curve)
    return found


def numbers(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The same with null where a number is not finite, as JSON wants it."""
    return {key: _number(value) for key, value in entry.items()}


def _number(value: Any) -> Any:
    if isinstance(value, list):
        return [_number(part) for part in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _reviewed(score: Array, truth: Truth, weights: Array) -> dict[str, Array]:
    """What a reviewer of the first k faces finds, whatever voters say of them: nobody knows beforehand."""
    budgets = [count for count in BUDGETS if count <= truth.judged.sum()]
    first = np.repeat(np.array(budgets, dtype=np.float64)[:, None], weights.shape[1], axis=1)
    score, wrong = score[truth.judged], truth.wrong[truth.judged]
    curve = ranking.steps(score, wrong, weights)
    wrong_found = ranking.found(curve, first)
    either = ranking.found(ranking.steps(score, wrong | truth.ambiguous[truth.judged], weights), first)
    result = {}
    for index, count in enumerate(budgets):
        result[f"wrong_in_{count}"] = wrong_found[index]
        result[f"recall_in_{count}"] = wrong_found[index] / np.maximum(curve.hits[-1], 1)
        result[f"wrong_or_ambiguous_in_{count}"] = either[index]
    return result


def _each(
    scores: Sequence[Mapping[str, Array]], truth: Truth, weights: Array, classes: bool, reviews: bool
) -> dict[str, dict[str, Array]]:
    """Method → figure → float64 [B, S] under the same B weightings."""
    methods = {}
    for method in scores[0]:
        runs = [
            figures(of_seed[method].astype(np.float64), truth, weights, classes=classes, reviews=reviews)
            for of_seed in scores
        ]
        methods[method] = {figure: np.stack([run[figure] for run in runs], axis=1) for figure in runs[0]}
    return methods
