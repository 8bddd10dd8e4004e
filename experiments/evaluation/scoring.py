"""Score one classifier on a split it was not trained on: against given labels, reference labels and votes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier import robustness
from classifier.confidence import distribution_scores, reliability, risk_coverage
from classifier.fairness import fairness, read_attributes
from classifier.metrics import evaluate
from classifier.prediction import Classifier
from classifier.robustness import RobustnessSet
from experiments.views import BEFORE, View, build_views, divide, preference, split_name
from fer_data.errors import FerError
from fer_data.links import HELD_OUT_SPLITS, related_across, related_groups, twins_across
from fer_data.manifest import Manifest
from fer_data.progress import SILENT, Reporter
from fer_data.tables import code_version
from fer_data.votes import label_shares

Rows = NDArray[np.bool_]
Floats = NDArray[np.float32]

KIND, SCHEMA_VERSION = "evaluation", 1
NO_GROUPS = (
    "The manifest states neither age, gender nor race of these faces, and all come from one source: for whom the "
    "classifier works cannot be told from it."
)
_CURVE = 50  # points of the curve of risk and coverage


class Judged:
    """The faces of a split as one classifier sees them.

    Attributes:
        rows: bool, one per row of the manifest: the split, T faces.
        parts: name of each part of the split → its faces, bool [T]; see `experiments.views.divide`.
        probabilities: float32 [T, K].
        images: uint8 [T, C, S, S], as the classifier sees them.
        views: the parts under given and reference labels.
    """

    def __init__(
        self, manifest: Manifest, classifier: Classifier, split: str = "test", link_tables: Sequence[Path] = ()
    ) -> None:
        """Judge a split.

        Args:
            split: "test" or "val".
            link_tables: tables of near duplicates that count as twins, besides identical pictures and groups.

        Raises:
            FerError: a split that is not held out or has no faces, a classifier of other labels, a split without any
                truth, or probabilities that are none.
        """
        if split not in HELD_OUT_SPLITS:
            raise FerError(
                f"split {split!r}: expected {' or '.join(HELD_OUT_SPLITS)}; faces of others were learnt from"
            )
        self.manifest, self.classifier, self.split, self._links = manifest, classifier, split, link_tables
        self.rows: Rows = (manifest.frame["split"] == split).to_numpy(dtype=bool)
        require_same_labels(manifest, classifier)
        if not self.rows.any():
            raise FerError(
                f"{manifest.path}: expected {split} faces, found none; score a manifest with a {split} split"
            )
        leaked = related_across(manifest, split, BEFORE[split], link_tables)
        self.parts = divide(manifest, leaked, split)
        self.views = [view for view in build_views(manifest, leaked, split) if view.rows.any()]
        if not self.views:
            raise FerError(
                f"{manifest.path}: expected {split} faces with a label, found {int(self.rows.sum()):,} without any; "
                "label them, or score another split"
            )
        self.images = manifest.pictures(classifier.size_px, classifier.channels, self.rows)
        self.probabilities: Floats = classifier.probabilities(self.images)

    @property
    def groups(self) -> NDArray[np.int64]:
        """Faces that are one, int64 [T]: over groups, identical pictures and links."""
        return related_groups(self.manifest, self._links)[self.rows]

    @property
    def main_view(self) -> View:
        """The view that details are told of: without twins if that leaves faces, against the reference if there is."""
        return max(self.views, key=lambda view: preference(view.split, view.labels))

    @property
    def leaked(self) -> Rows:
        """Which of the faces are one with faces of the splits before, bool [T]."""
        return ~self.parts["leak_free"]


def score(
    judged: Judged,
    *,
    covered: RobustnessSet | None = None,
    baseline: Classifier | None = None,
    groups: bool = False,
    reporter: Reporter = SILENT,
) -> dict[str, Any]:
    """Everything that is told of one classifier, JSON-able.

    Args:
        covered: the same faces covered and dark, for robustness.
        baseline: what its errors there are set against.
        groups: fairness as well.

    Returns:
        kind, schema_version, code_version, manifest, classifier, split, faces, faces_with_twins, faces_with_copies (of
        these, those whose very picture is in a split before), views (each with its metrics, reliability and
        risk_coverage), votes (per part of the split, null without votes), slices, robustness and fairness (null where
        not asked for; a sentence where the manifest tells no groups).

    Raises:
        FerError: a baseline of other labels or another size of picture.
    """
    manifest, labels = judged.manifest, judged.manifest.labels
    return {
        "kind": KIND,
        "schema_version": SCHEMA_VERSION,
        "code_version": code_version(),
        "manifest": {
            "name": manifest.name,
            "sha256": manifest.sha256,
            "label_set": manifest.label_set,
            "labels": list(labels),
        },
        "classifier": describe_classifier(judged.classifier),
        "split": judged.split,
        "faces": int(judged.rows.sum()),
        "faces_with_twins": int(judged.leaked.sum()),
        "faces_with_copies": int(twins_across(manifest, judged.split, BEFORE[judged.split]).sum()),
        "views": [_view(view, judged) for view in judged.views],
        "votes": _votes(judged),
        "slices": _slices(judged),
        "robustness": _robustness(judged, covered, baseline, reporter) if covered else None,
        "fairness": _fairness(judged) if groups else None,
    }


def require_same_labels(manifest: Manifest, classifier: Classifier) -> None:
    """Refuse a classifier of other labels than the manifest's.

    Raises:
        FerError: it is one.
    """
    if tuple(classifier.labels) != manifest.labels:
        raise FerError(
            f"{manifest.path}: expected a classifier of {', '.join(manifest.labels)}, found one of "
            f"{', '.join(classifier.labels)}; train one on this label set"
        )


def describe_classifier(classifier: Classifier) -> dict[str, Any]:
    """What is known of how a classifier was made."""
    kept = ("configuration", "trained_on", "chosen_by", "steps", "code_version", "unseen")
    return {key: classifier.description[key] for key in kept if key in classifier.description}


def _view(view: View, judged: Judged) -> dict[str, Any]:
    inside = view.rows
    truth, probabilities = view.truth[inside], judged.probabilities[inside].astype(np.float64)
    coverage, risk = risk_coverage(truth, probabilities)
    points = np.unique(np.linspace(0, len(coverage) - 1, _CURVE).astype(int))
    metrics = evaluate(truth, probabilities, judged.manifest.labels)
    return {
        "key": view.key,
        "split": view.split,
        "split_name": split_name(view.split, judged.split),
        "labels": view.labels,
        "labels_name": view.labels_name,
        "metrics": {**metrics, "left_out": view.left_out},
        "reliability": reliability(truth, probabilities),
        "risk_coverage": [[float(coverage[point]), float(risk[point])] for point in points],
    }


def _votes(judged: Judged) -> dict[str, Any] | None:
    shares = label_shares(judged.manifest, judged.rows)
    if np.isnan(shares).all():
        return None
    probabilities = judged.probabilities.astype(np.float64)
    return {part: distribution_scores(shares[faces], probabilities[faces]) for part, faces in judged.parts.items()}


def _slices(judged: Judged) -> dict[str, dict[str, Any]]:
    """What the dataset itself names as covered, dark or turned, in every view: slice → view → metrics."""
    found: dict[str, dict[str, Any]] = {}
    for name, inside in robustness.real_slices(judged.manifest, judged.rows).items():
        for view in judged.views:
            truth = np.where(inside, view.truth, -1)
            if (truth >= 0).any():
                metrics = evaluate(truth[inside], judged.probabilities[inside], judged.manifest.labels)
                found.setdefault(name, {})[view.key] = metrics
    return found


def _robustness(
    judged: Judged, covered: RobustnessSet, baseline: Classifier | None, reporter: Reporter
) -> dict[str, Any]:
    """Per view: the metrics on faces as they are, per condition and severity, and the errors against the baseline."""
    labels = judged.manifest.labels
    seen = robustness.judge(judged.classifier, covered, reporter)
    other = None
    if baseline is not None:
        require_same_labels(judged.manifest, baseline)
        other = robustness.judge(baseline, covered, reporter), baseline.probabilities(judged.images)
    views = {}
    for view in judged.views:
        scores = robustness.score_conditions(view.truth, seen, labels)
        clean = _aggregates(evaluate(view.truth, judged.probabilities, labels))
        views[view.key] = {"clean": clean, "conditions": scores}
        if other is not None:
            base = robustness.score_conditions(view.truth, other[0], labels)
            base_clean = _aggregates(evaluate(view.truth, other[1], labels))
            views[view.key]["errors"] = {
                metric: robustness.corruption_errors(scores, clean[metric], base, base_clean[metric], metric)
                for metric in clean
            }
    return {
        "set": seen["set"],
        "baseline": describe_classifier(baseline) if baseline is not None else None,
        "views": views,
        "predicted": seen["predicted"],
    }


def _aggregates(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {name: metrics[name] for name in ("accuracy", "balanced_accuracy", "macro_f1")}


def _fairness(judged: Judged) -> dict[str, Any] | str:
    """Per view without twins: every metric by group; or why there are no groups."""
    attributes = read_attributes(judged.manifest, judged.rows)
    if not attributes:
        return NO_GROUPS
    views = [view for view in judged.views if view.split == judged.main_view.split]
    return {
        view.key: fairness(view.truth, judged.probabilities, judged.manifest.labels, attributes, judged.groups)
        for view in views
    }


def robustness_set(judged: Judged, cache_dir: Path, reporter: Reporter = SILENT) -> RobustnessSet:
    """The faces of a split covered and dark, from `cache_dir` or made now."""
    size_px, channels = judged.classifier.size_px, judged.classifier.channels
    return RobustnessSet.open(judged.manifest, judged.rows, size_px, channels, cache_dir, reporter=reporter)
