"""A small search for a recipe: trials within a stated budget, judged on validation faces only, on again after a kill.

Optuna proposes (tree-structured Parzen estimator: Bergstra et al., "Algorithms for Hyper-Parameter Optimization",
NeurIPS 2011) and remembers in `search.sqlite`. Every proposal depends on the seed and on the trials before it alone, so
a search that was killed goes on as if it had not been.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState
from pydantic import Field, model_validator

from classifier.checkpoints import read_checkpoint
from classifier.data import step_seed
from classifier.recipe import TrainConfig
from classifier.run import DivergedError
from classifier.training import LeakPolicy, train_manifest
from fer_data.configuration import Configuration, build
from fer_data.errors import FerError
from fer_data.files import atomic_file, sha256_json, write_json
from fer_data.manifest import Manifest
from fer_data.progress import SILENT, Reporter

_STUDY = "search"


class Range(Configuration):
    """Numbers that a key may take."""

    low: float
    high: float
    log: bool = False  # tried evenly by ratio instead of by difference

    @model_validator(mode="after")
    def _low_before_high(self) -> "Range":
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(f"expected low < high, and above 0 where log, found {self.low} and {self.high}")
        return self


class Choices(Configuration):
    """Values that a key may take."""

    choices: tuple[bool | int | float | str, ...] = Field(min_length=1)


class SearchConfig(Configuration):
    """What is searched, and for how long."""

    train: TrainConfig = TrainConfig(epochs=5)  # of every trial; short ones rank recipes well enough
    space: dict[str, Range | Choices] = {
        "learning_rate": Range(low=0.001, high=0.05, log=True),
        "weight_decay": Range(low=0.001, high=0.3, log=True),
        "label_smoothing": Range(low=0.0, high=0.2),
        "augmentation.rotation_degrees": Range(low=0.0, high=20.0),
    }
    trials: int | None = Field(20, ge=1)
    minutes: float | None = Field(None, gt=0)  # no trial begins that would, going by those before, end later
    seed: int = Field(0, ge=0)  # of the proposals; every trial trains with the seed of `train`

    @model_validator(mode="after")
    def _scores_what_it_hands_over(self) -> "SearchConfig":
        if self.train.lift_rare or "lift_rare" in self.space:
            raise ValueError(
                "lift_rare changes a classifier after it was scored; search without, and set it afterwards"
            )
        return self

    @model_validator(mode="after")
    def _has_a_budget(self) -> "SearchConfig":
        if self.trials is None and self.minutes is None:
            raise ValueError("expected a budget, found neither trials nor minutes")
        return self

    def recipe(self, values: Mapping[str, Any]) -> TrainConfig:
        """The configuration of a trial: that of `train` with these values, keys with dots reaching inside.

        Raises:
            FerError: a key that does not exist, or a value that it cannot take.
        """
        nested: dict[str, Any] = self.train.model_dump()
        for key, value in values.items():
            inside = nested
            *outer, last = key.split(".")
            for part in outer:
                inside = inside.setdefault(part, {})
            inside[last] = value
        return build(TrainConfig, nested, "search space")


def search(
    manifest: Manifest,
    config: SearchConfig,
    out: Path,
    reporter: Reporter = SILENT,
    leaks: LeakPolicy = "score_apart",
) -> Path:
    """Train recipe after recipe on the training split and keep the one that validation faces without twins like best.

    Args:
        out: folder of this search: its configuration (`search.json`), what Optuna knows (`search.sqlite`), what came
            of every trial (`trials.json`) with its run folder, and `best.yaml`.
        leaks: as for `classifier.training.train_manifest`.

    Returns:
        `best.yaml`, a configuration for `fer train --config`.

    Raises:
        FerError: a space that does not fit the recipe, no validation faces, another search in `out`, no trial that
            ended well, and all that `train` refuses.
    """
    distributions = {key: _distribution(config, key, space) for key, space in config.space.items()}
    if not (manifest.frame["split"] == "val").any():
        raise FerError(f"{manifest.path}: expected validation faces to search with, found none; run fer split first")
    study = _open(out, config, manifest, leaks)
    with reporter.stage("search", config.trials or 60 * (config.minutes or 0)) as stage:
        stage.advance(len(_seconds(study)) if config.trials else sum(_seconds(study).values()))
        while (trial := _next_trial(study, config, distributions)) is not None:
            seconds = _run_trial(study, trial, config, manifest, out, leaks)
            note = f"best {study.best_value:.3f}" if _ended_well(study) else ""
            stage.advance(1 if config.trials else seconds, note)
    return _write_best(study, config, out)


def _distribution(config: SearchConfig, key: str, space: Range | Choices) -> BaseDistribution:
    """What Optuna draws from; every end of it must be a value that the recipe takes."""
    if isinstance(space, Choices):
        for value in space.choices:
            config.recipe({key: value})
        return CategoricalDistribution(space.choices)
    for end in (space.low, space.high):
        config.recipe({key: end})
    return FloatDistribution(space.low, space.high, log=space.log)


def _open(out: Path, config: SearchConfig, manifest: Manifest, leaks: LeakPolicy) -> optuna.Study:
    """The study in this folder, new or as it was left."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    out.mkdir(parents=True, exist_ok=True)
    storage = f"sqlite:///{out / 'search.sqlite'}"
    study = optuna.create_study(storage=storage, study_name=_STUDY, direction="maximize", load_if_exists=True)
    budget = {"trials", "minutes"}  # more of the same search may be asked for
    identity = sha256_json([manifest.sha256, leaks, config.model_dump(mode="json", exclude=budget)])
    if study.user_attrs.setdefault("identity", identity) != identity:
        raise FerError(f"{out} holds a search of other faces, another recipe or another space; choose another --out")
    study.set_user_attr("identity", identity)
    write_json(out / "search.json", config.model_dump(mode="json"))
    return study


def _next_trial(
    study: optuna.Study, config: SearchConfig, distributions: dict[str, BaseDistribution]
) -> FrozenTrial | None:
    """The trial that a kill interrupted, or a new one; None where the budget is spent."""
    known = study.get_trials(deepcopy=False)
    for trial in known:
        if trial.state == TrialState.RUNNING:
            if set(trial.params) == set(distributions):
                return trial
            study.tell(trial.number, state=TrialState.FAIL)  # killed while it was proposed
    seconds = _seconds(study)
    if config.trials is not None and len(seconds) >= config.trials:
        return None
    used = sum(seconds.values())
    if config.minutes is not None and seconds and used * (1 + 1 / len(seconds)) > 60 * config.minutes:
        return None
    study.sampler = optuna.samplers.TPESampler(seed=step_seed(config.seed, "search", len(seconds)) % 2**32)
    number = study.ask(distributions).number
    return study.get_trials(deepcopy=False)[number]


def _run_trial(
    study: optuna.Study, trial: FrozenTrial, config: SearchConfig, manifest: Manifest, out: Path, leaks: LeakPolicy
) -> float:
    """Train and score one recipe, and return its seconds; one that diverges has failed, and the search goes on."""
    recipe = config.recipe(trial.params)
    started, number = time.perf_counter(), trial.number
    try:
        folder = out / "trials" / f"{number:03d}"
        checkpoint = train_manifest(manifest, recipe, folder, leaks=leaks)
    except DivergedError:
        score, seconds = None, time.perf_counter() - started
    else:
        chosen = read_checkpoint(checkpoint)[1]["chosen"]
        score, seconds = chosen["val"][recipe.choose_by], chosen["seconds"]
    study.set_user_attr("seconds", {**study.user_attrs.get("seconds", {}), str(number): seconds})
    study.tell(number, score, state=TrialState.FAIL if score is None else TrialState.COMPLETE)
    write_json(out / "trials.json", [_told(study, each) for each in study.get_trials(deepcopy=False)])
    return float(seconds)


def _seconds(study: optuna.Study) -> dict[str, float]:
    """What each ended trial took, by its number."""
    seconds: dict[str, float] = study.user_attrs.get("seconds", {})
    return seconds


def _told(study: optuna.Study, trial: FrozenTrial) -> dict[str, Any]:
    return {
        "number": trial.number,
        "values": trial.params,
        "score": trial.value if trial.state == TrialState.COMPLETE else None,
        "seconds": _seconds(study).get(str(trial.number)),
    }


def _ended_well(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def _write_best(study: optuna.Study, config: SearchConfig, out: Path) -> Path:
    ended = _ended_well(study)
    if not ended:
        raise FerError(f"{out}: expected a trial whose loss stays finite, found none; search smaller learning rates")
    best = study.best_trial
    recipe = config.recipe(best.params)
    lines = (
        f"# The best of {len(ended)} trials by {recipe.choose_by} on validation faces: {best.value:.4f}.",
        "# The same faces chose it: expect less on others.",
        yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False),
    )
    with atomic_file(out / "best.yaml") as partial:
        partial.write_text("\n".join(lines))
    return out / "best.yaml"
