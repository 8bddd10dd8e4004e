"""Results of simulated answers, with everything that an experiment may have."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from classifier.confidence import reliability
from classifier.fairness import fairness
from classifier.metrics import evaluate
from experiments import statistics
from experiments.results import Question, summarise
from experiments.views import View
from fer_data.expressions import BASIC7
from fer_data.licenses import FER2013

ARMS = ("baseline", "sampled", "cleaned")
CURVE_ARMS = ("reviewed-50", "reviewed-100", "chance-50", "chance-100", "all")
FACES = (60, 8, 70, 90, 60, 60, 60)
REVIEW = {
    "manifest": "m", "reviewers": ["simulated:FER+ majority"], "relabelled": 40, "dropped": 2, "log_sha256": "1",
}  # fmt: skip


class Simulation:
    """Answers of classifiers of known skill to faces of known truth."""

    def __init__(self, skills: dict[str, float], seeds: tuple[int, ...]) -> None:
        generator = np.random.default_rng(4)
        self.truth = np.repeat(np.arange(7), FACES)
        hardness = generator.random(len(self.truth))
        self.probabilities = {}
        for arm, skill in skills.items():
            for seed in seeds:
                right = hardness + generator.normal(0, 0.05, len(self.truth)) < skill
                answers = np.where(right, self.truth, (self.truth + 1) % 7)
                self.probabilities[arm, seed] = (0.3 * np.eye(7)[answers] + 0.1).astype(np.float32)
        leaked = np.arange(len(self.truth)) % 11 == 0
        copied = np.arange(len(self.truth)) % 33 == 0
        unclear = np.arange(len(self.truth)) % 13 == 0
        self.views = [
            View(split, labels, name, kept, int((kept < 0).sum()))
            for split, inside in (
                ("official", np.ones(len(self.truth), bool)),
                ("no_copies", ~copied),
                ("leak_free", ~leaked),
            )
            for labels, name, kept in (
                ("given", "given labels", np.where(inside, self.truth, -1)),
                ("reference", "FER+ majority", np.where(inside & ~unclear, self.truth, -1)),
            )
        ]

    def summarise(self, question: Question) -> dict[str, Any]:
        return summarise(question, self.probabilities, self.views, BASIC7, np.arange(len(self.truth)))

    def metrics(self, arm: str, seed: int) -> dict[str, Any]:
        """What a record holds of one run."""
        return {
            view.key: evaluate(view.truth[view.rows], self.probabilities[arm, seed][view.rows], BASIC7)
            for view in self.views
        }


def _arm(name: str, *, reviewed: bool, **changes: Any) -> dict[str, Any]:
    return {
        "name": name, "title": f"Arm {name}", "note": "", "role": "main", "manifest": "manifests/m.parquet",
        "manifest_sha256": "b" * 64, "train_rows_sha256": "c" * 64, "licence": FER2013.as_dict(),
        "train": {"model": "thin_resnet10", "steps": 8},
        "changes": {"balanced_sampling": True} if name == "sampled" else {},
        "training_faces": {
            "rows": 100, "per_class": dict(zip(BASIC7, FACES, strict=True)), "origins": {"real": 100},
            "sources": {"f": 100},
        },
        "lineage": [{"path": "m", "command": "fer apply"}, {"path": "l", "command": "fer import fer2013"}],
        "reviews": [REVIEW] if reviewed and name == "cleaned" else [], **changes,
    }  # fmt: skip


def _history(seed: int) -> list[dict[str, float]]:
    return [
        {"step": step, "train_loss": 2 - step / 10, "val_cross_entropy": 2 - step / 20, "val_accuracy": 0.4,
         "val_balanced_accuracy": step / 20 + seed / 100}
        for step in (4, 8)
    ]  # fmt: skip


@pytest.fixture(scope="session")
def make_results() -> Callable[..., dict[str, Any]]:
    """Makes results in which arm `cleaned` is right `gain` more often than the baseline."""

    def make(
        gain: float = 0.1, *, drawn: bool = False, reviewed: bool = True, seeds: tuple[int, ...] = (1, 2)
    ) -> dict[str, Any]:
        simulation = Simulation(dict(zip(ARMS, (0.5, 0.51, 0.5 + gain), strict=True)), seeds)
        question = Question(list(ARMS), "baseline", "cleaned", "reference", "balanced_accuracy", list(seeds), 400)
        return _results(question, simulation, [_arm(arm, reviewed=reviewed) for arm in ARMS], drawn)

    return make


@pytest.fixture(scope="session")
def folded_results(make_results: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """Results of a cross-validation."""
    fold = {
        "manifest": "manifests/x/fold.parquet", "rows_sha256": "f" * 64, "test_faces": 1234, "validation_faces": 77,
        "training_faces": dict.fromkeys(ARMS, 900),
    }  # fmt: skip
    return make_results(0.2) | {"folds": [fold] * 3}


@pytest.fixture(scope="session")
def full_results() -> dict[str, Any]:
    """Results with a control, curves, covered faces, reliability, groups and a choice."""
    skills = {"baseline": 0.5, "sampled": 0.53, "cleaned": 0.6} | dict(
        zip(CURVE_ARMS, (0.52, 0.56, 0.5, 0.51, 0.7), strict=True)
    )
    simulation, seeds = Simulation(skills, (1, 2, 3)), [1, 2, 3]
    question = Question(
        list(ARMS), "baseline", "cleaned", "reference", "balanced_accuracy", seeds, 200, "sampled", CURVE_ARMS, [1, 2]
    )
    made = {
        "reviewed-50": {"review": {"faces": 50}}, "reviewed-100": {"review": {"faces": 100}},
        "chance-50": {"review": {"faces": 50, "order": "random"}},
        "chance-100": {"review": {"faces": 100, "order": "random"}}, "all": {"review": {}},
    }  # fmt: skip
    arms = [_arm(arm, reviewed=True) for arm in ARMS]
    arms += [_arm(arm, reviewed=True, role="curve", make=made[arm]) for arm in CURVE_ARMS]
    results = _results(question, simulation, arms, False)
    view = simulation.views[-1]
    truth = np.tile(view.truth[view.rows], len(seeds))
    told = {arm: np.concatenate([simulation.probabilities[arm, seed][view.rows] for seed in seeds]) for arm in ARMS}
    levels = {
        arm: asdict(_sample(simulation, view, ARMS, seeds).level(statistics.accuracy, i)) for i, arm in enumerate(ARMS)
    }
    told_there = {arm: dict.fromkeys(statistics.METRICS, levels[arm]) for arm in ARMS}
    primary = next(one for one in results["contrasts"] if one["family"] == "primary")
    return results | {
        "reliability": {arm: reliability(truth, told[arm].astype(float)) for arm in ARMS},
        "slices": {
            "light: low": {"faces": 12, "arms": {arm: {"balanced_accuracy": 0.4567, "accuracy": None} for arm in ARMS}}
        },
        "votes": {arm: {"count": 80, "cross_entropy": 1.5, "entropy": 0.4321, "kl": 1.0679} for arm in ARMS},
        "robustness": {
            condition: {severity: told_there for severity in "12345"} for condition in ("hand_mouth", "low")
        },
        "under_conditions": [
            primary | {"conditions": "occlusion", "against": "baseline", "family": "conditions"},
            primary | {"conditions": "occlusion", "against": "sampled", "value": -0.5, "family": "control"},
        ],
        "fairness": {arm: _fairness(simulation, arm, seeds) for arm in ("baseline", "sampled", "cleaned")},
        "corruption_errors": {arm: {"mce": 0.9, "relative_mce": None, "per_condition": {}} for arm in ARMS},
        "choice": {
            "written": "2026-11-22T15:30:00+00:00", "metric": "balanced_accuracy", "labels": "both",
            "validation_faces": 50, "asked_sha256": "e" * 64,
            "primary": {
                "arm": "cleaned",
                "candidates": [
                    {"arm": "cleaned", "score": 0.61, "per_seed": [0.6, 0.62]},
                    {"arm": "sampled", "score": 0.57, "per_seed": [0.57, 0.57]},
                ],
            },
        },
    }  # fmt: skip


@pytest.fixture(scope="session")
def synthesis() -> dict[str, Any]:
    """What is told of two sources of generated faces, of which one was measured."""
    return {
        "note": "Small presets.",
        "sources": [
            {
                "name": "dcgan", "title": "DCGAN <faces>", "preset": "24 px", "asked": 900, "made": 890, "kept": 600,
                "dropped": {"judge disagrees": 290},
                "real_labels": "FER+ majority", "arms": ["cleaned", "baseline"],
                "agreement": {
                    "fear": {"agreed": 45, "of": 90, "real": {"agreed": 70, "of": 80}},
                    "anger": {"agreed": 0, "of": 0, "real": None},
                },
                "kid": {"value": 0.08, "standard_error": 0.01, "floor": 0.002},
            },
            {
                "name": "diffusion", "title": "Diffusion", "preset": "24 px", "asked": 9, "made": 9, "kept": 9,
                "dropped": {}, "real_labels": "FER+ majority", "agreement": {}, "kid": None,
                "unmeasured": "its judges are not on this machine",
            },
        ],
        "left_out": ["“Arm sampled” has others."],
    }  # fmt: skip


def _fairness(simulation: Simulation, arm: str, seeds: list[int]) -> dict[str, Any]:
    """The faces divided by an age that nothing depends on."""
    number = np.arange(len(simulation.truth))
    ages = np.where(number % 40 == 0, "very old", np.where(number % 2 == 0, "old", "young")).astype(object)
    told = np.stack([simulation.probabilities[arm, seed] for seed in seeds])
    return fairness(simulation.views[-1].truth, told, BASIC7, {"age": ages}, number, resamples=100)


def _sample(simulation: Simulation, view: View, arms: tuple[str, ...], seeds: list[int]) -> statistics.Bootstrap:
    predicted = [[simulation.probabilities[arm, seed][view.rows].argmax(1) for seed in seeds] for arm in arms]
    generator = np.random.default_rng(1)
    return statistics.bootstrap(view.truth[view.rows], np.array(predicted), 7, resamples=100, generator=generator)


def _results(question: Question, simulation: Simulation, arms: list[dict[str, Any]], drawn: bool) -> dict[str, Any]:
    runs = [(arm, seed) for arm in question.arms for seed in question.seeds]
    runs += [(arm, seed) for arm in question.curve_arms for seed in question.curve_seeds]
    return {
        "kind": "experiment", "schema_version": 1, "name": "x", "title": "Before & after",
        "configuration": {"name": "x", "note": "<script>"},
        "question": {
            "baseline": question.baseline, "primary": question.primary, "labels": question.labels,
            "metric": question.metric, "seeds": list(question.seeds), "resamples": question.resamples,
        },
        "versions": {"python": "3"}, "machine": {"cores": 2, "kind": "x86_64"}, "labels": list(BASIC7), "drawn": drawn,
        "evaluate_on": {
            "manifest": "manifests/faces.parquet", "sha256": "a" * 64, "counts": {}, "licence": FER2013.as_dict(),
            "validation_faces": 50,
        },
        "leaks": {
            "policy": "drop_from_train", "test_faces_with_twins_in_train": 288, "test_faces_with_twins_in_val": 4,
            "test_faces_identical_to_train_or_val": 290,
            "val_faces_with_twins_in_train": 7, "faces_in_groups_that_cross_splits": 600,
            "dropped_from_train": {"baseline": 295, "sampled": 295, "cleaned": 0},
        },
        "arms": arms,
        "runs": [
            {
                "arm": arm, "seed": seed, "run_sha256": "d" * 64, "seconds": 100.0, "versions": {},
                "metrics": simulation.metrics(arm, seed), "history": _history(seed),
            }
            for arm, seed in runs
        ],
        **simulation.summarise(question),
    }  # fmt: skip
