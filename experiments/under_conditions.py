"""The same runs on covered and dark test faces: judged once, kept beside their records, compared like the others."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.checkpoints import checkpoint_folder
from classifier.prediction import load_classifier
from classifier.robustness import RobustnessSet, corruption_errors, judge, unpack_predictions
from experiments import statistics
from experiments.design import Design
from experiments.results import Question, without_nan
from experiments.runs import Part
from experiments.schedule import Record, Run
from experiments.settings import ExperimentConfig
from experiments.views import PRIMARY_SPLIT, View
from fer_data.expressions import OCCLUSIONS
from fer_data.files import read_json, write_json
from fer_data.intervals import holm
from fer_data.locks import name_lock
from fer_data.progress import Reporter

POOLS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "occlusion": OCCLUSIONS[1:],
        "low light": ("low",),
        "occlusion in low light": ("both",),
        "all conditions": (*OCCLUSIONS[1:], "low", "both"),
    }
)
_FEW_RESAMPLES = 500  # of the many single conditions, of which no claim is made


@dataclass(frozen=True)
class Conditions:
    """Judges the runs of an experiment on covered and dark test faces, and keeps the answers beside their records.

    Attributes:
        config: of the experiment.
        parts: it, or its folds.
        cache: folder of the changed pictures; may be deleted at any time.
        reporter: where it tells how far it is.
    """

    config: ExperimentConfig
    parts: Sequence[Part]
    cache: Path
    reporter: Reporter

    def is_missing(self, part: Part, record: Record) -> bool:
        """Whether a run's answers are asked for, not there, and can be given on this machine."""
        config = part.design.config
        if not config.judges_conditions(config.arm(record["arm"])) or self._classifier(part, record) is None:
            return False
        return self._read(part, record["arm"], record["seed"], record["run_sha256"]) is None

    def add(self, part: Part, record: Record) -> None:
        """Judge the changed faces with the classifier of a run."""
        folder, asked = self._classifier(part, record), self.config.robustness
        if folder is None or asked is None:
            return
        design, config = part.design, part.design.train_configs[record["arm"]]
        with name_lock(self.cache, wait=True):  # the pictures are made once
            faces = RobustnessSet.open(
                design.yardstick,
                _judged_rows(design),
                config.size_px,
                config.channels,
                self.cache,
                conditions=asked.conditions,
                seed=asked.seed,
                reporter=self.reporter,
            )
        told = judge(load_classifier(folder), faces, self.reporter)
        write_json(
            _conditions_path(part, record["arm"], record["seed"]),
            {
                "kind": "conditions",
                "arm": record["arm"],
                "seed": record["seed"],
                "run_sha256": record["run_sha256"],
                **told,
            },
        )

    def summarise(
        self, question: Question, views: Sequence[View], found: Mapping[Run, Record], groups: NDArray[np.int64]
    ) -> dict[str, Any]:
        """What covered and dark faces tell, of the main arms whose every run was judged.

        Returns:
            robustness: condition → severity → arm → metric → value, low, high, in the view of the primary contrast;
            under_conditions: contrasts with the baseline and the control, the severities of several conditions
            together; corruption_errors: arm → what `classifier.robustness.corruption_errors` tells. None each where
            nothing was judged.
        """
        predicted = self._predicted(question, found)
        if question.baseline not in predicted:
            return {"robustness": None, "under_conditions": None, "corruption_errors": None}
        kept = np.concatenate([_without_twins(part.design) for part in self.parts])
        groups = groups[kept]
        asked = [replace(view, truth=view.truth[kept]) for view in views if view.split == PRIMARY_SPLIT]
        primary = next(view for view in asked if view.labels == question.labels)
        single = _single_conditions(question, predicted, primary, groups)
        contrasts = [row for view in asked for row in _pooled_contrasts(question, predicted, view, groups)]
        for family in dict.fromkeys(row["family"] for row in contrasts):
            members = [row for row in contrasts if row["family"] == family]
            for row, p_value in zip(members, holm(np.array([row["p_value"] for row in members])), strict=True):
                row["p_holm"] = float(p_value)
        return without_nan(
            {
                "robustness": single,
                "under_conditions": contrasts,
                "corruption_errors": _corruption_errors(question, single, found, primary),
            }
        )

    def _classifier(self, part: Part, record: Record) -> Path | None:
        """The classifier of a run, under its own name or that of its twin, where it lies on this machine."""
        for name in (record["arm"], record.get("same_as")):
            if name is not None and part.has_checkpoint(name, record["seed"]):
                return checkpoint_folder(part.run_folder(name, record["seed"]))
        return None

    def _read(self, part: Part, arm: str, seed: int, run_sha256: str) -> dict[str, Any] | None:
        path = _conditions_path(part, arm, seed)
        if not path.is_file():
            return None
        told: dict[str, Any] = read_json(path)
        asked = self.config.robustness
        if asked is None or told["run_sha256"] != run_sha256 or set(told["predicted"]) != set(asked.conditions):
            return None
        return told if told["faces"] == int(_without_twins(part.design).sum()) else None

    def _predicted(self, question: Question, found: Mapping[Run, Record]) -> dict[str, "_Answers"]:
        """Arm → condition → int64 [S, 5, T], of the arms whose every run was judged; folds one after the other."""
        whole: dict[str, _Answers] = {}
        for arm in question.arms:
            told = [
                [
                    self._read(part, arm, seed, found[number, arm, seed]["run_sha256"])
                    for number, part in enumerate(self.parts)
                ]
                for seed in question.seeds
            ]
            if all(one is not None for row in told for one in row):
                names = told[0][0]["predicted"] if told[0][0] else {}
                whole[arm] = {
                    name: np.stack(
                        [
                            np.concatenate([unpack_predictions(one["predicted"][name]) for one in row if one], axis=1)
                            for row in told
                        ]
                    )
                    for name in names
                }
        return whole


_Answers = dict[str, NDArray[np.int64]]


def _without_twins(design: Design) -> NDArray[np.bool_]:
    """Which test rows are judged under conditions, bool [T]: those of the views without twins."""
    return np.any([view.rows for view in design.views if view.split == PRIMARY_SPLIT], axis=0)


def _judged_rows(design: Design) -> NDArray[np.bool_]:
    """The same rows, bool over the yardstick."""
    rows = design.test_rows.copy()
    rows[rows] = _without_twins(design)
    return rows


def _conditions_path(part: Part, arm: str, seed: int) -> Path:
    return part.records / f"{arm}-seed{seed}.conditions.json"


def _sample(
    question: Question,
    answers: Sequence[NDArray[np.int64]],
    view: View,
    groups: NDArray[np.int64],
    resamples: int,
    seed: Sequence[int],
) -> statistics.Bootstrap:
    """Bootstrap over faces and seeds; `answers` is int64 [S, C, T] per arm; a face is drawn with all its pictures."""
    rows = view.rows
    predicted = np.stack([each[..., rows].reshape(len(question.seeds), -1) for each in answers])
    pictures = answers[0].shape[1]
    classes = 1 + max(int(predicted.max()), int(view.truth.max()))
    return statistics.bootstrap(
        np.tile(view.truth[rows], pictures),
        predicted,
        classes,
        resamples=resamples,
        generator=np.random.default_rng(list(seed)),
        groups=np.tile(groups[rows], pictures),
    )


def _single_conditions(
    question: Question, predicted: Mapping[str, _Answers], view: View, groups: NDArray[np.int64]
) -> dict[str, Any]:
    """Condition → severity → arm → metric."""
    arms, resamples = list(predicted), min(question.resamples, _FEW_RESAMPLES)
    told: dict[str, Any] = {}
    for number, condition in enumerate(predicted[question.baseline]):
        for index in range(predicted[question.baseline][condition].shape[1]):
            answers = [predicted[arm][condition][:, [index]] for arm in arms]
            sample = _sample(question, answers, view, groups, resamples, [20130703, number, index])
            measured = {name: sample.measure(metric) for name, metric in statistics.METRICS.items()}
            told.setdefault(condition, {})[str(index + 1)] = {
                arm: {name: _estimate(metric.level(place)) for name, metric in measured.items()}
                for place, arm in enumerate(arms)
            }
    return told


def _pooled_contrasts(
    question: Question, predicted: Mapping[str, _Answers], view: View, groups: NDArray[np.int64]
) -> list[dict[str, Any]]:
    """Every arm against the baseline and the control, over all severities of several conditions together."""
    arms, there, found = list(predicted), predicted[question.baseline], []
    for number, (pool, names) in enumerate(POOLS.items()):
        names = tuple(name for name in names if name in there)
        if not names:
            continue
        answers = [np.concatenate([predicted[arm][name] for name in names], axis=1) for arm in arms]
        sample = _sample(question, answers, view, groups, question.resamples, [20130704, number])
        measured = {name: sample.measure(metric) for name, metric in statistics.METRICS.items()}
        for before in dict.fromkeys((question.baseline, question.control)):
            if before not in predicted:
                continue
            for arm in arms:
                if arm in (before, question.baseline):
                    continue
                for name, metric in measured.items():
                    difference = metric.difference(arms.index(before), arms.index(arm))
                    row = {"view": view.key, "conditions": pool, "metric": name, "arm": arm, "against": before}
                    family = "conditions" if before == question.baseline else "conditions, against the control"
                    found.append({**row, "family": family, **asdict(difference)})
    return found


def _corruption_errors(
    question: Question, single: Mapping[str, Any], found: Mapping[Run, Record], view: View
) -> dict[str, Any]:
    """Arm → errors under the conditions relative to the baseline's, by the primary metric."""
    arms = list(next(iter(next(iter(single.values())).values())))
    rows = {
        arm: {
            condition: [{question.metric: told[arm][question.metric]["value"]} for told in severities.values()]
            for condition, severities in single.items()
        }
        for arm in arms
    }
    clean = {
        arm: float(
            np.mean(
                [record["metrics"][view.key][question.metric] for (_, name, _), record in found.items() if name == arm]
            )
        )
        for arm in arms
    }
    base = question.baseline
    return {arm: corruption_errors(rows[arm], clean[arm], rows[base], clean[base], question.metric) for arm in arms}


def _estimate(interval: statistics.Interval) -> dict[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}
