"""What an experiment's runs add up to: views of the test split, scores, contrasts. No model is touched here.

A run's record carries its test probabilities; everything in `results.json` is computed from those and from the
labels of one manifest, the yardstick, so that it is the same for fresh and for reused records.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.metrics import evaluate
from experiments import statistics
from fer_data.errors import FerError
from fer_data.expressions import label_indices
from fer_data.files import sha256_json
from fer_data.intervals import holm, wilson
from fer_data.links import twins_across
from fer_data.manifest import Manifest
from fer_data.votes import reference_labels

SPLIT_NAMES = {
    "official": "official test split",
    "leak_free": "test split without exact twins in train or val",
}
PRIMARY_SPLIT = "leak_free"


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


def build_views(manifest: Manifest) -> list[View]:
    """{official, leak-free} x {given, reference} of a manifest's test split; reference only where there is one.

    Rows are those of split "test" in manifest order.
    """
    test = (manifest.frame["split"] == "test").to_numpy(dtype=bool)
    leaked = twins_across(manifest, "test", ("train", "val"))[test]
    kinds = [("given", "given labels", list(manifest.frame.loc[test, "label"]))]
    labels, name = reference_labels(manifest, test)
    if any(label is not None for label in labels):
        kinds.append(("reference", name, list(labels)))
    views = []
    for split in SPLIT_NAMES:
        inside = ~leaked if split == "leak_free" else np.ones(len(leaked), dtype=bool)
        for kind, words, values in kinds:
            truth = np.where(inside, label_indices(values, manifest.label_set), -1)
            views.append(View(split, kind, words, truth, int(np.sum(inside & (truth < 0)))))
    return views


def score_views(manifest: Manifest, classifier: Any) -> dict[str, dict[str, Any]]:
    """Score one classifier in every view of a manifest's test split.

    Args:
        classifier: has `labels`, `size_px`, `channels` and `probabilities`.

    Returns:
        View in words to what `classifier.metrics.evaluate` tells.

    Raises:
        FerError: no test rows, or a classifier of other labels.
    """
    test = (manifest.frame["split"] == "test").to_numpy(dtype=bool)
    if not test.any():
        raise FerError(f"{manifest.path}: expected test faces, found none; score a manifest with a test split")
    if tuple(classifier.labels) != manifest.labels:
        raise FerError(
            f"{manifest.path}: expected a classifier of {', '.join(manifest.labels)}, found one of "
            f"{', '.join(classifier.labels)}; train one on this label set"
        )
    judged = classifier.probabilities(manifest.pictures(classifier.size_px, classifier.channels, test))
    return {
        f"{SPLIT_NAMES[view.split]}, {view.labels_name}": evaluate(view.truth, judged, manifest.labels)
        for view in build_views(manifest)
    }


def pack(probabilities: NDArray[np.float32]) -> dict[str, Any]:
    """Probabilities [N, K] as JSON: little-endian float16, row by row, base64."""
    data = np.ascontiguousarray(probabilities, dtype="<f2").tobytes()
    return {"dtype": "float16", "shape": list(probabilities.shape), "base64": base64.b64encode(data).decode()}


def unpack(packed: Mapping[str, Any]) -> NDArray[np.float32]:
    """The probabilities [N, K] that `pack` wrote, as float32."""
    values = np.frombuffer(base64.b64decode(packed["base64"]), dtype="<f2")
    return values.reshape(packed["shape"]).astype(np.float32)


@dataclass(frozen=True)
class Question:
    """What is compared: arms by name, which of them are baseline and primary, and by what they are judged."""

    arms: Sequence[str]
    baseline: str
    primary: str
    labels: str
    metric: str
    seeds: Sequence[int]
    resamples: int


def summarise(
    question: Question,
    probabilities: Mapping[tuple[str, int], NDArray[np.float32]],
    views: Sequence[View],
    labels: Sequence[str],
    groups: NDArray[np.int64],
) -> dict[str, Any]:
    """Scores of every arm and contrasts with the baseline, in every view.

    Args:
        probabilities: (arm, seed) → float [T, K] over the test rows.
        views: over the same rows.
        labels: K names.
        groups: `group_id` of the test rows [T]; faces of one group are resampled together.

    Returns:
        "views", "scores", "contrasts" and "mcnemar" of results.json, and "numbers_sha256" over them.
    """
    predicted = np.stack(
        [[probabilities[arm, seed].argmax(axis=1) for seed in question.seeds] for arm in question.arms]
    )
    described, scores, contrasts, tests = [], {}, [], []
    for number, view in enumerate(views):
        rows = view.rows
        truth = view.truth[rows]
        faces = np.bincount(truth, minlength=len(labels))
        described.append(
            {
                "key": view.key,
                "split": view.split,
                "split_name": SPLIT_NAMES[view.split],
                "labels": view.labels,
                "labels_name": view.labels_name,
                "faces": int(rows.sum()),
                "left_out": view.left_out,
                "per_class": dict(zip(labels, faces.tolist(), strict=True)),
            }
        )
        sample = statistics.bootstrap(
            truth,
            predicted[..., rows],
            len(labels),
            resamples=question.resamples,
            generator=np.random.default_rng([20130701, number]),
            groups=groups[rows],
        )
        scores[view.key] = {arm: _scores(sample, index, labels, faces) for index, arm in enumerate(question.arms)}
        contrasts += _contrasts(question, sample, view, labels)
        tests += _mcnemar(question, predicted[..., rows] == truth, view)
    _correct(contrasts)
    numbers = {"views": described, "scores": scores, "contrasts": contrasts, "mcnemar": tests}
    numbers = without_nan(numbers)
    return {**numbers, "numbers_sha256": sha256_json(numbers)}


def _scores(sample: statistics.Bootstrap, arm: int, labels: Sequence[str], faces: NDArray[np.int64]) -> dict[str, Any]:
    observed = sample.observed[arm]
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
    question: Question, sample: statistics.Bootstrap, view: View, labels: Sequence[str]
) -> list[dict[str, Any]]:
    """Every arm against the baseline in one view: aggregates and recalls."""
    metrics = dict(statistics.METRICS)
    metrics |= {f"recall:{label}": statistics.recall_of(index) for index, label in enumerate(labels)}
    before = question.arms.index(question.baseline)
    found = []
    for after, arm in enumerate(question.arms):
        if after == before:
            continue
        for name, metric in metrics.items():
            primary = (
                arm == question.primary
                and name == question.metric
                and (view.split, view.labels) == (PRIMARY_SPLIT, question.labels)
            )
            family = "primary" if primary else "per class" if ":" in name else "exploratory"
            difference = asdict(sample.difference(metric, before, after))
            found.append({"view": view.key, "metric": name, "arm": arm, "family": family, **difference})
    return found


def _mcnemar(question: Question, right: NDArray[np.bool_], view: View) -> list[dict[str, Any]]:
    """Exact McNemar tests of every arm against the baseline, seed by seed; `right` is bool [A, S, N]."""
    before = question.arms.index(question.baseline)
    found = []
    for after, arm in enumerate(question.arms):
        for index, seed in enumerate(question.seeds):
            if after != before:
                lost, won, p_value = statistics.mcnemar(right[before, index], right[after, index])
                row = {"view": view.key, "arm": arm, "seed": seed, "lost": lost, "won": won}
                found.append({**row, "p_value": p_value})
    return found


def _correct(contrasts: list[dict[str, Any]]) -> None:
    """Add Holm's adjusted p within each family; the one primary contrast keeps its own."""
    for family in ("primary", "exploratory", "per class"):
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
