"""What an experiment's runs add up to: views of the test split, scores, contrasts. No model is touched here.

A run's record carries its test probabilities; everything in `results.json` is computed from those and from the
labels of one manifest, the yardstick, so that it is the same for fresh and for reused records.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments import statistics
from fer_data.expressions import label_indices
from fer_data.files import sha256_json
from fer_data.intervals import holm, wilson
from fer_data.links import related_across
from fer_data.manifest import Manifest
from fer_data.votes import reference_labels

SPLIT_NAMES = {
    "official": "official test split",
    "leak_free": "test split without twins in train or val",
}
PRIMARY_SPLIT = "leak_free"
BEFORE: Mapping[str, Sequence[str]] = MappingProxyType({"val": ("train",), "test": ("train", "val")})


@dataclass(frozen=True)
class View:
    """Some test faces under one kind of label.

    Attributes:
        split: "official" or "leak_free".
        labels: "given" (the manifest's own) or "reference" (planted truth, votes' majority).
        labels_name: what these labels are, in words.
        truth: class indices of the test rows, int64 [T]; -1 where a face is not in this view.
        left_out: faces of the split without a clear truth among the labels.
    """

    split: str
    labels: str
    labels_name: str
    truth: NDArray[np.int64]
    left_out: int

    @property
    def key(self) -> str:
        return f"{self.split}/{self.labels}"

    @property
    def rows(self) -> NDArray[np.bool_]:
        """Which test rows are in the view, bool [T]."""
        return self.truth >= 0


def build_views(manifest: Manifest, leaked: NDArray[np.bool_] | None = None, of: str = "test") -> list[View]:
    """{official, leak-free} x {given, reference} of a manifest's test split; reference only where there is one.

    Rows are those of the split in manifest order.

    Args:
        leaked: rows of the manifest that leak, bool [N]; None for those of the split that are one with rows of the
            splits before it, over identical pictures and groups (`fer_data.links.related_across`).
        of: the split, "test", or "val", which may be one with "test".
    """
    rows = (manifest.frame["split"] == of).to_numpy(dtype=bool)
    leaked = (related_across(manifest, of, BEFORE[of]) if leaked is None else leaked)[rows]
    kinds = [("given", "given labels", list(manifest.frame.loc[rows, "label"]))]
    labels, name = reference_labels(manifest, rows)
    if any(label is not None for label in labels):
        kinds.append(("reference", name, list(labels)))
    views = []
    for split in SPLIT_NAMES:
        inside = ~leaked if split == "leak_free" else np.ones(len(leaked), dtype=bool)
        for kind, words, values in kinds:
            truth = np.where(inside, label_indices(values, manifest.label_set), -1)
            views.append(View(split, kind, words, truth, int(np.sum(inside & (truth < 0)))))
    return views


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
    for number, view in enumerate(views):
        sample = main.sample(view, [20130701, number])
        scores[view.key] = {arm: _scores(sample, index, labels, view) for index, arm in enumerate(main.arms)}
        contrasts += _contrasts(question, main, question.baseline, question.arms, sample, view, labels)
        if question.control is not None:
            others = [arm for arm in question.arms if arm != question.baseline]
            against_control += _contrasts(question, main, question.control, others, sample, view, labels)
        tests += _mcnemar(main, question.baseline, question.arms, view)
        if curve is not None:
            sample = curve.sample(view, [20130702, number])
            found = {arm: _scores(sample, index, labels, view) for index, arm in enumerate(curve.arms)}
            at_curve_seeds[view.key] = found
            scores[view.key] |= {arm: found[arm] for arm in question.curve_arms}
            contrasts += _contrasts(question, curve, question.baseline, question.curve_arms, sample, view, labels)
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
        "split_name": SPLIT_NAMES[view.split],
        "labels": view.labels,
        "labels_name": view.labels_name,
        "faces": int(view.rows.sum()),
        "left_out": view.left_out,
        "per_class": dict(zip(labels, faces.tolist(), strict=True)),
    }


def _scores(sample: statistics.Bootstrap, arm: int, labels: Sequence[str], view: View) -> dict[str, Any]:
    observed = sample.observed[arm]
    faces = np.bincount(view.truth[view.rows], minlength=len(labels))
    per_class = statistics.recalls(observed)
    metrics = {
        name: {
            **asdict(sample.level(metric, arm)),
            "per_seed": [float(value) for value in metric(observed)],
        }
        for name, metric in statistics.METRICS.items()
    }
    recall = {}
    for index, label in enumerate(labels):
        mean = float(per_class[:, index].mean())
        low, high = wilson(mean * faces[index] if faces[index] else 0, int(faces[index]))
        recall[label] = {
            "value": mean,
            "low": low,
            "high": high,
            "faces": int(faces[index]),
            "per_seed": [float(value) for value in per_class[:, index]],
        }
    return {"metrics": metrics, "recall": recall, "confusion": observed.mean(axis=0).tolist()}


def _contrasts(
    question: Question,
    block: _Block,
    before: str,
    compared: Sequence[str],
    sample: statistics.Bootstrap,
    view: View,
    labels: Sequence[str],
) -> list[dict[str, Any]]:
    """Some arms against the arm `before` in one view: aggregates and recalls."""
    metrics = dict(statistics.METRICS)
    metrics |= {f"recall:{label}": statistics.recall_of(index) for index, label in enumerate(labels)}
    found = []
    for arm in compared:
        if arm == before:
            continue
        for name, metric in metrics.items():
            difference = asdict(sample.difference(metric, block.arms.index(before), block.arms.index(arm)))
            family = _family(question, view, before, arm, name)
            row = {"view": view.key, "metric": name, "arm": arm, "against": before, "family": family}
            found.append({**row, **difference})
    return found


def _family(question: Question, view: View, before: str, arm: str, metric: str) -> str:
    """Which looks a contrast is corrected for: "primary" is the one that was chosen beforehand."""
    if before != question.baseline:
        return "per class, against the control" if ":" in metric else "against the control"
    asked = (question.primary, question.metric, PRIMARY_SPLIT, question.labels)
    if (arm, metric, view.split, view.labels) == asked:
        return "primary"
    return "per class" if ":" in metric else "exploratory"


def _mcnemar(block: _Block, baseline: str, compared: Sequence[str], view: View) -> list[dict[str, Any]]:
    """Exact McNemar tests of some arms against the baseline, seed by seed."""
    right, before = block.right(view), block.arms.index(baseline)
    found = []
    for arm in compared:
        after = block.arms.index(arm)
        for index, seed in enumerate(block.seeds):
            if after != before:
                lost, won, p_value = statistics.mcnemar(right[before, index], right[after, index])
                row = {"view": view.key, "arm": arm, "seed": seed, "lost": lost, "won": won}
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
