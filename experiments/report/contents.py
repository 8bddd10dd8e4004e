"""What `results.json` and `report.json` hold, as types: every part of the report reads these and nothing else.

Keys that are not named here are kept as they are, so that an older reader can show a newer file. What only some
experiments have is None where it is missing; the page then says which part it left out, and why.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from experiments.report.parts import (
    Agreement,
    Arm,
    Bin,
    Choice,
    ConditionContrast,
    Contrast,
    Control,
    CorruptionErrors,
    Estimate,
    EvaluatedOn,
    Fold,
    Leaks,
    PairTest,
    Part,
    PooledRun,
    Question,
    Run,
    Scores,
    Slice,
    View,
)
from experiments.views import PRIMARY_SPLIT, SPLITS
from fer_data.errors import FerError
from fer_data.files import read_json

# Of report.json, raised where a reader of the last one would go wrong; 1 had no schema, 2 no view without copies.
REPORT_VERSION = 3


class Results(Part):
    """results.json of an experiment."""

    kind: Literal["experiment"]
    schema_version: int
    name: str
    title: str
    configuration: dict[str, Any]
    question: Question
    versions: dict[str, str]
    machine: dict[str, Any]
    labels: list[str]
    drawn: bool
    evaluate_on: EvaluatedOn
    leaks: Leaks
    folds: list[Fold] | None = None  # of a cross-validation
    arms: list[Arm]
    views: list[View]
    scores: dict[str, dict[str, Scores]]  # view → arm
    contrasts: list[Contrast]
    mcnemar: list[PairTest]
    numbers_sha256: str
    runs: list[Run]
    over_folds: list[PooledRun] | None = None  # of a cross-validation
    control: Control | None = None
    at_curve_seeds: dict[str, dict[str, Scores]] | None = None  # as `scores`, over the seeds of the curves only
    reliability: dict[str, list[Bin]] | None = None  # arm → bins, all seeds, in the view of the primary contrast
    votes: dict[str, Agreement] | None = None  # arm → against the distribution of votes, test faces without twins
    slices: dict[str, Slice] | None = None  # in the view of the primary contrast
    # condition → severity → arm → metric, in the view of the primary contrast
    robustness: dict[str, dict[str, dict[str, dict[str, Estimate]]]] | None = None
    under_conditions: list[ConditionContrast] | None = None
    corruption_errors: dict[str, CorruptionErrors] | None = None
    fairness: dict[str, dict[str, Any]] | str | None = None  # arm → `classifier.fairness.fairness`, or why not
    choice: Choice | None = None

    @cached_property
    def titles(self) -> dict[str, str]:
        """Arm → title."""
        return {arm.name: arm.title for arm in self.arms}

    @cached_property
    def main_arms(self) -> list[str]:
        """Arms that are compared; the others are points of a curve."""
        return [arm.name for arm in self.arms if arm.role == "main"]

    @cached_property
    def control_arm(self) -> str | None:
        """The strongest arm that needs neither review nor synthesis, if one was named."""
        return self.control.arm if self.control else None

    @cached_property
    def primary(self) -> Contrast:
        """The one contrast that was chosen beforehand."""
        return next(contrast for contrast in self.contrasts if contrast.family == "primary")

    @cached_property
    def sorted_views(self) -> list[View]:
        """All views that differ, that of the primary contrast first, the official test split last.

        Each part of the test split lies within the one before: where two have as many faces they are one.
        """
        ordered = sorted(self.views, key=lambda view: (view.key != self.primary.view, -SPLITS.index(view.split)))
        distinct = {(view.labels, view.faces, view.left_out): view for view in reversed(ordered)}
        return [view for view in ordered if view in distinct.values()]

    @property
    def views_without_twins(self) -> list[View]:
        """The views that arms are compared in, that of the primary contrast first."""
        return [view for view in self.sorted_views if view.split == PRIMARY_SPLIT]

    def view(self, key: str) -> View:
        """A view by its key."""
        return next(view for view in self.views if view.key == key)

    def faces_of(self, view: View) -> str:
        """Which test faces a view holds, in words: "test split without twins in train or val"."""
        return view.split_name.replace("test split", "test faces of all folds") if self.folds else view.split_name

    def mean_of_runs(self, view: str, arm: str, *keys: str) -> float | None:
        """What an arm was scored with in a view, the mean over seeds; None where a run has no such score.

        Of a cross-validation each score is over the faces of all folds.

        Args:
            keys: into what `classifier.metrics.evaluate` told, the outer one first.
        """
        told = [_at(run.metrics.get(view), keys) for run in self.over_folds or self.runs if run.arm == arm]
        known = [value for value in told if value is not None]
        return sum(known) / len(known) if known and len(known) == len(told) else None

    def contrast(self, view: str, metric: str, arm: str) -> Contrast | None:
        """An arm's difference to the baseline, if it was computed."""
        return _find(self.contrasts, view, metric, arm)

    def control_contrast(self, arm: str) -> Contrast | None:
        """An arm's difference to the control by what the primary contrast is judged by, if there is a control."""
        return _find(self.control.contrasts if self.control else [], self.primary.view, self.primary.metric, arm)


class Besides(Part):
    """What the page tells that results.json does not hold."""

    lead: list[str]  # the lines under the title, the answer first
    cross_validated: dict[str, Any] | None  # answer, contrasts and numbers_sha256 of the experiment over all splits
    synthesis: dict[str, Any] | None
    sheets: list[dict[str, str]]  # title and note; no picture
    stage_seconds: dict[str, float] | None
    limits: list[str]
    left_out: dict[str, str]  # section → why


class Report(Results):
    """report.json: results.json and what the page tells besides."""

    report_version: Literal[3]
    answer: str
    report: Besides


def read_results(results: Mapping[str, Any] | Path, where: str) -> tuple[dict[str, Any], Results]:
    """The results of an experiment, as they are and as types.

    Args:
        results: the content of results.json, or its path.
        where: what they are read for, for the message.

    Raises:
        FerError: they are no results of an experiment, or a part is missing or of another kind.
    """
    raw = read_json(results) if isinstance(results, Path) else results
    if not isinstance(raw, Mapping) or raw.get("kind") != "experiment":
        raise FerError(f"{where}: expected the results.json of an experiment, found something else; run it again")
    try:
        return dict(raw), Results.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise FerError(
            f"{where}: results.json, {place}: {first['msg']}; run the experiment again with this version"
        ) from None


def _find(contrasts: Sequence[Contrast], view: str, metric: str, arm: str) -> Contrast | None:
    found = (one for one in contrasts if (one.view, one.metric, one.arm) == (view, metric, arm))
    return next(found, None)


def _at(told: Any, keys: Sequence[str]) -> float | None:
    for key in keys:
        told = told.get(key) if isinstance(told, dict) else None
    return float(told) if isinstance(told, int | float) else None
