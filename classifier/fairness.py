"""For whom a classifier works: every metric by age, gender, race and source, as far as a dataset states them.

A group that does worse may owe it to chance, so every figure has an interval, and what differs between groups has one
too. Faces of one person or one picture (`group_id`) are not independent; they are resampled together (Field & Welsh,
"Bootstrapping clustered data", JRSS B 69, 2007).
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.metrics import require_judgeable
from classifier.weighted_metrics import Measures, measure
from fer_data.auditing.slices import slicings
from fer_data.errors import FerError
from fer_data.intervals import wilson
from fer_data.manifest import Manifest

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Attributes = Mapping[str, NDArray[np.object_]]

ATTRIBUTES = ("age", "gender", "race", "source")
FEWEST = 30  # faces; smaller groups are shown and not compared
_AT_ONCE = 250  # resamples held as a weight matrix
_TENS = 10


def read_attributes(manifest: Manifest, rows: NDArray[np.bool_]) -> dict[str, NDArray[np.object_]]:
    """What the dataset states of the people on some faces; attributes that divide them only.

    Args:
        rows: bool, one per row of the manifest.

    Returns:
        Name out of ATTRIBUTES → value of each chosen row, object [N], None where it is unknown. Ages that are
        numbers are put into tens ("20-29").
    """
    found = {}
    for slicing in slicings(manifest, np.flatnonzero(rows), ATTRIBUTES):
        names = [*slicing.values, None]
        if slicing.attribute == "age" and all(name.isdigit() for name in slicing.values):
            names = [*(_in_tens(int(name)) for name in slicing.values), None]
        found[slicing.attribute] = np.array(names, dtype=object)[slicing.codes]
    return found


def fairness(
    truth: Integers,
    probabilities: NDArray[np.floating[Any]],
    labels: Sequence[str],
    attributes: Attributes,
    groups: Integers,
    *,
    fewest: int = FEWEST,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Every metric in every group of every attribute, and the gaps between groups, JSON-able.

    Args:
        truth: int [N], index into `labels`; -1 where a face has no truth in this set: it is left out and counted.
        probabilities: float [N, K] of one run, or [S, N, K] of several, over which every figure is the mean.
        attributes: name → value of each face, object [N], None where it is unknown; see `read_attributes`.
        groups: int [N], `group_id`: faces that are drawn together.
        fewest: groups of fewer faces are shown, not compared; nor is a recall that rests on fewer faces of the class.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        count, left_out, fewest, resamples, and attributes: name → unknown (faces), smallest (group and faces), groups
        and gaps. A group has faces, independent (distinct `groups`), compared, per_class (faces) and measures: metric
        → value, low, high (95 %). A gap is the largest less the smallest value among the groups that are compared:
        value, low, high, best, worst, compared, smallest_faces; metrics are accuracy, balanced_accuracy and macro_f1
        (over the classes that all compared groups have) and recall:<label>.

    Raises:
        FerError: arrays that do not fit together, no face with a truth, rows that are no probabilities, or fewer
            than 100 resamples.
    """
    runs = np.asarray(probabilities, dtype=np.float64)
    runs = runs[None] if runs.ndim == 2 else runs
    for run in runs:
        require_judgeable(np.asarray(truth), run, labels)
    _require_fitting(len(truth), attributes, groups, resamples)
    known = truth >= 0
    classes, judged, clusters = truth[known].astype(np.int64), runs[:, known], groups[known]
    found = {}
    for name, values in attributes.items():
        rng = np.random.default_rng([seed, *name.encode()])
        parts = {
            value: _resample(classes[inside], judged[:, inside], labels, clusters[inside], resamples, rng)
            for value, inside in _divide(values[known])
        }
        if parts:
            unknown = sum(value is None for value in values[known])
            found[name] = {"unknown": unknown, **_describe(parts, labels, fewest)}
    return {
        "count": int(known.sum()),
        "left_out": int((~known).sum()),
        "fewest": fewest,
        "resamples": resamples,
        "attributes": found,
    }


class _Part:
    """One group's faces, and its metrics as they are and resampled.

    Attributes:
        faces, independent: how many, and in how many clusters.
        per_class: faces of each label, int [K].
        observed: metric → value.
        resampled: metric → float64 [B], NaN where a resample lacks what it needs.
    """

    def __init__(
        self, per_class: Integers, independent: int, observed: Mapping[str, float], resampled: Measures
    ) -> None:
        self.faces, self.independent, self.per_class = int(per_class.sum()), independent, per_class
        self.observed, self.resampled = observed, resampled

    def interval(self, metric: str, of: int | None) -> dict[str, float | None]:
        """Value, low and high; `of` is how many faces a share rests on, None for what is no share of faces."""
        value, draws = self.observed[metric], self.resampled[metric]
        draws = draws[np.isfinite(draws)]
        if not np.isfinite(value) or not len(draws):
            return {"value": None, "low": None, "high": None}
        low, high = np.quantile(draws, [0.025, 0.975])
        if of is not None:  # at 0 and 1 no resample differs, and yet the next face might
            number = float(min(of, self.independent))
            if 0 < value < 1:
                number = min(of, value * (1 - value) / max(float(draws.var()), 1e-12))
            low, high = wilson(value * number, number)
        return {"value": float(value), "low": float(low), "high": float(high)}

    def error(self, metric: str, of: int | None) -> float:
        """Standard error of a metric; that of a share is never below Agresti and Caffo's, which is not 0 at 0 and 1.

        Agresti & Caffo, "Simple and effective confidence intervals for proportions and differences of proportions
        result from adding two successes and two failures", The American Statistician 54, 2000.
        """
        spread = float(np.nanstd(self.resampled[metric]))
        if of is None:
            return spread
        share = (self.observed[metric] * of + 1) / (of + 2)
        return max(spread, float(np.sqrt(share * (1 - share) / (of + 2))))

    def over(self, kind: str, labels: Sequence[str]) -> "_Part":
        """The same faces with one more metric, `kind`, the mean of `kind:<label>` over some labels."""
        names = [f"{kind}:{label}" for label in labels]
        mean = float(np.mean([self.observed[name] for name in names]))
        resampled = np.nanmean(np.stack([self.resampled[name] for name in names]), axis=0)
        return _Part(self.per_class, self.independent, {kind: mean}, {kind: resampled})


def _resample(
    truth: Integers, runs: Floats, labels: Sequence[str], groups: Integers, resamples: int, rng: np.random.Generator
) -> _Part:
    names, cluster = np.unique(groups, return_inverse=True)
    whole = np.ones((1, len(truth)))
    observed = {name: float(value[0]) for name, value in _mean_over_runs(truth, runs, labels, whole).items()}
    parts = []
    for start in range(0, resamples, _AT_ONCE):
        size = min(_AT_ONCE, resamples - start)
        drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=size)
        parts.append(_mean_over_runs(truth, runs, labels, drawn[:, cluster].astype(np.float64)))
    resampled = {name: np.concatenate([part[name] for part in parts]) for name in observed}
    return _Part(np.bincount(truth, minlength=len(labels)), len(names), observed, resampled)


def _mean_over_runs(truth: Integers, runs: Floats, labels: Sequence[str], weights: Floats) -> Measures:
    measured = [measure(truth, run, labels, weights) for run in runs]
    return {name: np.mean([one[name] for one in measured], axis=0) for name in measured[0]}


def _describe(parts: Mapping[str, _Part], labels: Sequence[str], fewest: int) -> dict[str, Any]:
    """Groups and gaps of one attribute."""
    described = {}
    for value, part in parts.items():
        faces = {"accuracy": part.faces, **{f"recall:{label}": n for label, n in _faces_of(part, labels).items()}}
        described[value] = {
            "faces": part.faces,
            "independent": part.independent,
            "compared": part.faces >= fewest,
            "per_class": _faces_of(part, labels),
            "measures": {metric: part.interval(metric, faces.get(metric)) for metric in part.observed},
        }
    smallest = min(parts, key=lambda value: parts[value].faces)
    return {
        "smallest": {"group": smallest, "faces": parts[smallest].faces},
        "groups": described,
        "gaps": _gaps(parts, labels, fewest),
    }


def _gaps(parts: Mapping[str, _Part], labels: Sequence[str], fewest: int) -> dict[str, Any]:
    large = {value: part for value, part in parts.items() if part.faces >= fewest}
    gaps = {"accuracy": _gap(large, "accuracy", {value: part.faces for value, part in large.items()})}
    shared = [label for index, label in enumerate(labels) if all(part.per_class[index] for part in large.values())]
    for metric, kind in (("balanced_accuracy", "recall"), ("macro_f1", "f1")):
        if shared:
            gaps[metric] = _gap({value: part.over(kind, shared) for value, part in large.items()}, kind, None)
    for index, label in enumerate(labels):
        faces = {value: int(part.per_class[index]) for value, part in large.items()}
        enough = {value: part for value, part in large.items() if faces[value] >= fewest}
        gaps[f"recall:{label}"] = _gap(enough, f"recall:{label}", faces)
    return {name: gap for name, gap in gaps.items() if gap}


def _gap(parts: Mapping[str, _Part], metric: str, faces: Mapping[str, int] | None) -> dict[str, Any] | None:
    """The largest less the smallest value; its interval holds for all pairs of groups at once.

    The largest of several differences is large by chance as well. Of the simultaneous intervals of all pairs
    (Tukey-Kramer, conservative: Hayter, Annals of Statistics 12, 1984), the highest upper end bounds the gap from
    above, the highest lower end from below. Two groups have the ordinary interval of a difference.
    """
    if len(parts) < 2:
        return None
    value = {name: part.observed[metric] for name, part in parts.items()}
    error = {name: part.error(metric, faces[name] if faces else None) for name, part in parts.items()}
    width = _width(len(parts))
    pairs = [
        (abs(value[one] - value[other]), width * float(np.hypot(error[one], error[other])))
        for one, other in combinations(parts, 2)
    ]
    best, worst = max(value, key=value.__getitem__), min(value, key=value.__getitem__)
    sizes = faces or {name: part.faces for name, part in parts.items()}
    return {
        "value": value[best] - value[worst],
        "low": max(0.0, max(difference - half for difference, half in pairs)),
        "high": min(1.0, max(difference + half for difference, half in pairs)),
        "best": best,
        "worst": worst,
        "compared": list(parts),
        "smallest_faces": min(sizes[name] for name in parts),
    }


@lru_cache(maxsize=64)
def _width(groups: int) -> float:
    """How many standard errors each side of a difference has, so that those of all pairs hold at once in 95 %."""
    from scipy.stats import studentized_range

    return float(studentized_range.ppf(0.95, groups, np.inf) / np.sqrt(2))


def _faces_of(part: _Part, labels: Sequence[str]) -> dict[str, int]:
    return dict(zip(labels, part.per_class.tolist(), strict=True))


def _divide(values: NDArray[np.object_]) -> list[tuple[str, NDArray[np.bool_]]]:
    """Groups and whether a face is in them, by the number that their name begins with, then by name."""
    names = {str(value) for value in values if value is not None}
    return [(name, values == name) for name in sorted(names, key=lambda name: (_first_number(name), name))]


def _first_number(name: str) -> float:
    digits = re.match(r"\d+", name)
    return float(digits.group()) if digits else float("inf")


def _in_tens(age: int) -> str:
    start = age // _TENS * _TENS
    return f"{start}-{start + _TENS - 1}"


def _require_fitting(faces: int, attributes: Attributes, groups: Integers, resamples: int) -> None:
    for name, values in {**attributes, "groups": groups}.items():
        if len(values) != faces:
            raise FerError(f"fairness: expected {name} of {faces:,} faces, found {len(values):,}; give one a face")
    if resamples < 100:
        raise FerError(f"fairness: expected at least 100 resamples for a 95 % interval, found {resamples}")
