"""What an experiment compares, and every check that costs no training: all of them are made before the first step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.training import TrainConfig
from experiments import checks
from experiments.held_out import HeldOut, refuse_judged_groups
from experiments.identity import rows_sha256
from experiments.making.workshop import Workshop
from experiments.results import Question
from experiments.settings import ExperimentConfig
from experiments.views import View, build_views
from fer_data import manifest as manifests
from fer_data.errors import FerError
from fer_data.links import crossing_groups
from fer_data.manifest import Manifest
from fer_data.progress import SILENT, Reporter
from fer_data.project import relative

__all__ = ["Design", "ExperimentConfig", "prepare"]

Rows = NDArray[np.bool_]


@dataclass(frozen=True)
class Design:
    """An experiment that passed every check.

    Attributes:
        config: as given; no arm leaves its mixing open.
        root: the project that its paths are relative to.
        held_out: the faces of `evaluate_on` that choose and judge.
        arms: name → manifest; of an arm whose faces are still to be drawn there is none.
        train_rows: name → rows that the arm trains on, bool over its manifest.
        train_configs: name → how the arm is trained, its seed left at 0.
        val_rows: labelled validation rows of the yardstick that are not one with rows of its train split, bool.
        views: of the yardstick's test rows.
        leaks: policy and counts, for the report.
        undrawn: arms whose generated faces are still to be drawn → the manifest that their generator learns from.
    """

    config: ExperimentConfig
    root: Path
    held_out: HeldOut
    arms: Mapping[str, Manifest]
    train_rows: Mapping[str, Rows]
    train_configs: Mapping[str, TrainConfig]
    val_rows: Rows
    views: list[View]
    leaks: Mapping[str, Any]
    undrawn: Mapping[str, str]

    @property
    def yardstick(self) -> Manifest:
        """The manifest `evaluate_on`."""
        return self.held_out.yardstick

    @property
    def runs(self) -> list[tuple[str, int]]:
        """(arm, seed) of every run; seeds go round the arms, so that every arm is seen once after the first round."""
        arms = [arm for arm in self.config.arms if arm.name in self.arms]
        return [(arm.name, seed) for seed in self.config.seeds for arm in arms if seed in self.config.seeds_of(arm)]

    @cached_property
    def test_rows(self) -> Rows:
        """Test rows of the yardstick, bool."""
        return (self.yardstick.frame["split"] == "test").to_numpy(dtype=bool)

    @cached_property
    def test_groups(self) -> NDArray[np.int64]:
        """Groups of the test rows, int64 [T]: faces that are one are resampled together."""
        return self.held_out.groups[self.test_rows]

    @cached_property
    def question(self) -> Question:
        """What is compared, in the words of `experiments.results`."""
        return question_of(self.config, self.views)

    @cached_property
    def _judged_sha256(self) -> str:
        return rows_sha256(self.yardstick, self.val_rows | self.test_rows)

    @cached_property
    def _train_sha256(self) -> dict[str, str]:
        return {name: rows_sha256(manifest, self.train_rows[name]) for name, manifest in self.arms.items()}

    def identity(self, arm: str, seed: int) -> dict[str, Any]:
        """All that decides the result of one run; a kept record with another identity is not reused."""
        train = self.train_configs[arm].model_copy(update={"seed": seed})
        return {
            "train_rows_sha256": self._train_sha256[arm],
            "judged_rows_sha256": self._judged_sha256,
            "train": train.model_dump(mode="json", exclude={"trackers"}),
        }


def question_of(config: ExperimentConfig, views: Sequence[View]) -> Question:
    """What a configuration compares, judged in these views.

    Raises:
        FerError: it names no primary arm.
    """
    if config.primary is None:
        raise FerError("primary: expected an arm, found none; name one, or have `choose` find it")
    return Question(
        arms=[arm.name for arm in config.arms if arm.role == "main"],
        baseline=config.baseline,
        primary=config.primary,
        labels=config.primary_labels or views[-1].labels,
        metric=config.primary_metric,
        seeds=config.seeds,
        resamples=config.bootstrap,
        control=config.control,
        curve_arms=[arm.name for arm in config.arms if arm.role == "curve"],
        curve_seeds=config.curve_seeds or config.seeds[:2],
    )


def prepare(
    config: ExperimentConfig, root: Path, reporter: Reporter = SILENT, *, draws: bool = True, name: str | None = None
) -> Design:
    """Make and open every manifest and make every check that costs no training.

    Args:
        draws: draw the generated faces of `sources` that are missing, which takes hours; else leave these arms out.
        name: of the folder of made manifests, instead of the experiment's.

    Raises:
        FerError: an arm that is not there, an unequal budget, label sets that differ, a class without training
            faces, no validation or test faces, leaks that the policy refuses or no policy for them, or generated faces
            whose generator saw a group that is tested with.
    """
    checks.require_arms(config)
    train_configs = {arm.name: checks.train_config(config, arm) for arm in config.arms}
    for source in config.sources.values():
        source.generator_config()
        source.judges_config()
    yardstick = manifests.read(root / config.evaluate_on)
    held_out = HeldOut(yardstick, [root / path for path in config.links])
    val_rows = checks.validation_rows(held_out)
    counts = {**held_out.count_leaks(), "faces_in_groups_that_cross_splits": int(crossing_groups(yardstick).sum())}
    checks.require_leak_policy(config, counts)
    audit = None if config.audit is None else root / config.audit
    workshop = Workshop(name or config.name, root, audit, config.sources, draws, reporter)
    opened: dict[str, Manifest] = {}
    arms, train_rows, dropped, undrawn = {}, {}, {}, {}
    for arm in config.arms:
        path = arm.manifest or config.evaluate_on
        if path not in opened:
            opened[path] = yardstick if path == config.evaluate_on else manifests.read(root / path)
        checks.require_same_labels(arm.name, opened[path], yardstick, config)
        manifest = workshop.make(arm, opened[path])
        if manifest is None:
            undrawn[arm.name] = relative(workshop.labels_of(arm, opened[path]).path, root)
            continue
        arms[arm.name] = manifest
        rows, dropped[arm.name] = checks.training_rows(config, arm.name, manifest, held_out)
        train_rows[arm.name] = rows
        checks.require_classes(arm.name, manifest, rows, train_configs[arm.name], yardstick)
        refuse_judged_groups(f"arm {arm.name}", manifest, rows, yardstick)
    leaks = {**counts, "policy": config.leaks or "refuse", "dropped_from_train": dropped}
    views = build_views(yardstick, held_out.related("test", ("train", "val")))
    checks.require_primary_view(config, views)
    return Design(config, root, held_out, arms, train_rows, train_configs, val_rows, views, leaks, undrawn)
