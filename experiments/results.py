"""What an experiment's runs add up to: scores and contrasts in every view. No model is touched here.

A run's record carries its test probabilities; everything in `results.json` is computed from those and from the
labels of one manifest, the yardstick, so that it is the same for fresh and for reused records.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments import statistics
from experiments.statistics import Measured
from experiments.views import PRIMARY_SPLIT, View, split_name
from fer_data.files import sha256_json
from fer_data.intervals import holm, wilson

# Names the bootstrap draws of a view, so that they do not depend on which other views there are.
_DRAWS = (
    "official/given",
    "official/reference",
    "leak_free/given",
    "leak_free/reference",
    "no_copies/given",
    "no_copies/reference",
)


@dataclass(frozen=True)
class Question:
    """What is compared.

    Attributes:
        arms: main arms by name, each with all `seeds`.
        baseline, primary: two of them.
        labels, metric: by what the primary contrast is judged.
        seeds: of the main arms.
        resamples: of every bootstrap.
        control: the strongest arm without review and synthesis; None where there is none to compare with.
        curve_arms: arms that have `curve_seeds` only.
        curve_seeds: some of `seeds`.
    """

    arms: Sequence[str]
    baseline: str
    primary: str
    labels: str
    metric: str
    seeds: Sequence[int]
    resamples: int
    control: str | None = None
    curve_arms: Sequence[str] = ()
    curve_seeds: Sequence[int] = ()


def summarise(
    question: Question,
    probabilities: Mapping[tuple[str, int], NDArray[np.float32]],
    views: Sequence[View],
    labels: Sequence[str],
    groups: NDArray[np.int64],
) -> dict[str, Any]:
    """Scores of every arm and contrasts with the baseline and the control, in every view.

    Main arms are compared over all seeds. Arms of a curve have fewer: they are compared, over those, with the baseline
    at the same seeds.

    Args:
        probabilities: (arm, seed) → float [T, K] over the test rows.
        views: over the same rows.
        labels: K names.
        groups: groups of the test rows [T]; faces of one group are resampled together.

    Returns:
        "views", "scores", "contrasts", "mcnemar", "control" and "at_curve_seeds" (scores of all arms over the seeds
        of the curves alone) of results.json, and "numbers_sha256" over them.
    """
    main = _Block(question.arms, question.seeds, probabilities, groups, labels, question.resamples)
    curve = None
    if question.curve_arms:
        both = [*question.arms, *question.curve_arms]
        curve = _Block(both, question.curve_seeds, probabilities, groups, labels, question.resamples)
    scores: dict[str, Any] = {}
    at_curve_seeds: dict[str, Any] = {}
    contrasts, tests, against_control = [], [], []
    for view in views:
        draws = _DRAWS.index(view.key)
        sample = main.sample(view, [20130701, draws])
        measured = _measure(sample, labels)
        scores[view.key] = {arm: _scores(sample, measured, index, labels) for index, arm in enumerate(main.arms)}
        contrasts += _contrasts(question, main, question.baseline, question.arms, measured, view)
        tests += _mcnemar(main, question.baseline, question.arms, view)
        if question.control is not None:
            others = [arm for arm in question.arms if arm != question.baseline]
            against_control += _contrasts(question, main, question.control, others, measured, view)
            tests += _mcnemar(main, question.control, others, view)
        if curve is not None:
            sample = curve.sample(view, [20130702, draws])
            measured = _measure(sample, labels)
            found = {arm: _scores(sample, measured, index, labels) for index, arm in enumerate(curve.arms)}
            at_curve_seeds[view.key] = found
            scores[view.key] |= {arm: found[arm] for arm in question.curve_arms}
            contrasts += _contrasts(question, curve, question.baseline, question.curve_arms, measured, view)
            tests += _mcnemar(curve, question.baseline, question.curve_arms, view)
    _correct(contrasts)
    _correct(against_control)
    numbers = {
        "views": [_described(view, labels) for view in views],
        "scores": scores,
        "contrasts": contrasts,
        "mcnemar": tests,
        "control": {"arm": question.control, "contrasts": against_control} if question.control else None,
        "at_curve_seeds": at_curve_seeds or None,
    }
    numbers = without_nan(numbers)
    return {**numbers, "numbers_sha256": sha256_json(numbers)}


class _Block:
    """Arms that have the same seeds: what each run said of each test face."""

    def __init__(
        self,
        arms: Sequence[str],
        seeds: Sequence[int],
        probabilities: Mapping[tuple[str, int], NDArray[np.float32]],
        groups: NDArray[np.int64],
        labels: Sequence[str],
        resamples: int,
    ) -> None:
        self.arms, self.seeds = list(arms), list(seeds)
        self._groups, self._classes, self._resamples = groups, len(labels), resamples
        self.predicted = np.stack(
            [[probabilities[arm, seed].argmax(axis=1) for seed in self.seeds] for arm in self.arms]
        )

    def sample(self, view: View, seed: Sequence[int]) -> statistics.Bootstrap:
        """Confusions in a view, as they are and resampled."""
        return statistics.bootstrap(
            view.truth[view.rows],
            self.predicted[..., view.rows],
            self._classes,
            resamples=self._resamples,
            generator=np.random.default_rng(list(seed)),
            groups=self._groups[view.rows],
        )

    def right(self, view: View) -> NDArray[np.bool_]:
        """Whether each run was right, bool [A, S, N]."""
        return np.asarray(self.predicted[..., view.rows] == view.truth[view.rows])


def _described(view: View, labels: Sequence[str]) -> dict[str, Any]:
    faces = np.bincount(view.truth[view.rows], minlength=len(labels))
    return {
        "key": view.key,
        "split": view.split,
        "split_name": split_name(view.split),
        "labels": view.labels,
        "labels_name": view.labels_name,
        "faces": int(view.rows.sum()),
        "left_out": view.left_out,
        "per_class": dict(zip(labels, faces.tolist(), strict=True)),
    }


def _measure(sample: statistics.Bootstrap, labels: Sequence[str]) -> dict[str, Measured]:
    """The aggregates and the recall of each class, "recall:<label>", of every arm."""
    of_class = sample.measure(statistics.recalls)
    return {name: sample.measure(metric) for name, metric in statistics.METRICS.items()} | {
        f"recall:{label}": of_class.of(index) for index, label in enumerate(labels)
    }


def _scores(
    sample: statistics.Bootstrap, measured: Mapping[str, Measured], arm: int, labels: Sequence[str]
) -> dict[str, Any]:
    confusion = sample.observed[arm]
    faces = confusion[0].sum(axis=-1).astype(int)
    metrics = {
        name: {**asdict(measured[name].level(arm)), "per_seed": measured[name].observed[arm].tolist()}
        for name in statistics.METRICS
    }
    recall = {}
    for label, count in zip(labels, faces.tolist(), strict=True):
        per_seed = measured[f"recall:{label}"].observed[arm]
        mean = float(per_seed.mean())
        low, high = wilson(mean * count if count else 0, count)
        recall[label] = {"value": mean, "low": low, "high": high, "faces": count, "per_seed": per_seed.tolist()}
    return {"metrics": metrics, "recall": recall, "confusion": confusion.mean(axis=0).tolist()}


def _contrasts(
    question: Question,
    block: _Block,
    before: str,
    compared: Sequence[str],
    measured: Mapping[str, Measured],
    view: View,
) -> list[dict[str, Any]]:
    """Some arms against the arm `before` in one view: aggregates and recalls."""
    found = []
    for arm in compared:
        if arm == before:
            continue
        for name, metric in measured.items():
            difference = asdict(metric.difference(block.arms.index(before), block.arms.index(arm)))
            family = _family(question, view, before, arm, name)
            row = {"view": view.key, "metric": name, "arm": arm, "against": before, "family": family}
            found.append({**row, **difference})
    return found


def _family(question: Question, view: View, before: str, arm: str, metric: str) -> str:
    """Which looks a contrast is corrected for: "primary" is the one that was chosen beforehand.

    The view without copies lies between the other two and asks nothing that they do not ask: its looks are corrected
    among themselves, so that nobody pays for them elsewhere.
    """
    asked = (question.baseline, question.primary, question.metric, PRIMARY_SPLIT, question.labels)
    if (before, arm, metric, view.split, view.labels) == asked:
        return "primary"
    if before != question.baseline:
        family = "per class, against the control" if ":" in metric else "against the control"
    else:
        family = "per class" if ":" in metric else "exploratory"
    return f"{family}, without copies" if view.split == "no_copies" else family


def _mcnemar(block: _Block, against: str, compared: Sequence[str], view: View) -> list[dict[str, Any]]:
    """Exact McNemar tests of some arms against another, seed by seed."""
    right, before = block.right(view), block.arms.index(against)
    found = []
    for arm in compared:
        after = block.arms.index(arm)
        for index, seed in enumerate(block.seeds):
            if after != before:
                lost, won, p_value = statistics.mcnemar(right[before, index], right[after, index])
                row = {"view": view.key, "arm": arm, "against": against, "seed": seed, "lost": lost, "won": won}
                found.append({**row, "p_value": p_value})
    return found


def _correct(contrasts: list[dict[str, Any]]) -> None:
    """Add Holm's adjusted p within each family; the one primary contrast keeps its own."""
    for family in dict.fromkeys(contrast["family"] for contrast in contrasts):
        members = [contrast for contrast in contrasts if contrast["family"] == family]
        adjusted = holm(np.array([member["p_value"] for member in members]))
        for member, p_value in zip(members, adjusted, strict=True):
            member["p_holm"] = float(p_value)


def without_nan(value: Any) -> Any:
    """NaN is no JSON: what could not be computed is null."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and value != value else value
