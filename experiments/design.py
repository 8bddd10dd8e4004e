"""What an experiment compares, and every check that costs no training: all of them are made before the first step."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from classifier.data import target_rows
from classifier.training import TrainConfig
from experiments.results import PRIMARY_SPLIT, Question, View, build_views
from fer_data import manifest as manifests
from fer_data.configuration import Configuration, build
from fer_data.errors import FerError
from fer_data.links import crossing_groups, refuse_seen_groups, twins_across
from fer_data.manifest import Manifest

BUDGET = ("steps", "epochs", "batch_size", "seed")  # what no arm may have of its own


class Arm(Configuration):
    """One way to train."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9+_.-]*$")  # names its records
    manifest: str  # whose training rows it trains on, relative to the project
    title: str = ""  # in the report; the name where it is empty
    note: str = ""  # one sentence about it, for the report
    train: dict[str, Any] = Field({})  # what it changes in `train` of the experiment, the budget excepted


class ExperimentConfig(Configuration):
    """A before/after experiment."""

    name: str = "experiment"
    title: str = ""  # of the report
    evaluate_on: str  # manifest whose val and test rows and labels judge every arm
    arms: list[Arm] = Field(min_length=2)
    baseline: str  # the arm "before"
    primary: str  # the arm of the one contrast that was chosen beforehand
    primary_labels: Literal["given", "reference"] | None = None  # none: reference where the manifest has it
    primary_metric: Literal["accuracy", "balanced_accuracy", "macro_f1"] = "balanced_accuracy"
    seeds: list[int] = Field([1, 2, 3], min_length=1)  # the same for every arm: the seed pairs them
    train: dict[str, Any] = Field({})  # classifier.training.TrainConfig; `steps` is required
    leaks: Literal["refuse", "drop_from_train", "score_apart"] = "score_apart"
    bootstrap: int = Field(2000, ge=100)  # resamples
    sheets: int = Field(32, ge=0)  # faces in each sheet of the report


@dataclass(frozen=True)
class Design:
    """An experiment that passed every check.

    Attributes:
        config: as given.
        root: the project that its paths are relative to.
        yardstick: the manifest `evaluate_on`.
        arms: name → manifest.
        train_rows: name → rows that the arm trains on, bool over its manifest.
        train_configs: name → how the arm is trained, its seed left at 0.
        val_rows: labelled validation rows of the yardstick without twins in its train split, bool.
        views: of the yardstick's test rows.
        leaks: policy and counts, for the report.
    """

    config: ExperimentConfig
    root: Path
    yardstick: Manifest
    arms: Mapping[str, Manifest]
    train_rows: Mapping[str, NDArray[np.bool_]]
    train_configs: Mapping[str, TrainConfig]
    val_rows: NDArray[np.bool_]
    views: list[View]
    leaks: Mapping[str, Any]

    @cached_property
    def test_rows(self) -> NDArray[np.bool_]:
        """Test rows of the yardstick, bool."""
        return (self.yardstick.frame["split"] == "test").to_numpy(dtype=bool)

    @cached_property
    def question(self) -> Question:
        """What is compared, in the words of `experiments.results`."""
        config = self.config
        return Question(
            arms=list(self.arms),
            baseline=config.baseline,
            primary=config.primary,
            labels=config.primary_labels or self.views[-1].labels,
            metric=config.primary_metric,
            seeds=config.seeds,
            resamples=config.bootstrap,
        )

    def identity(self, arm: str, seed: int) -> dict[str, Any]:
        """All that decides the result of one run; a kept record with another identity is not reused."""
        manifest, train_rows = self.arms[arm], self.train_rows[arm]
        judged = self.val_rows | self.test_rows
        return {
            "train_rows_sha256": rows_sha256(manifest, train_rows),
            "judged_rows_sha256": rows_sha256(self.yardstick, judged),
            "train": self.train_configs[arm].model_copy(update={"seed": seed}).model_dump(mode="json"),
        }


def prepare(config: ExperimentConfig, root: Path) -> Design:
    """Open every manifest and make every check that costs no training.

    Raises:
        FerError: an arm that is not there, an unequal budget, label sets that differ, a class without training
            faces, no validation or test faces, leaks that the policy refuses, or generated faces whose generator
            saw a group that is tested with.
    """
    _require_arms(config)
    train_configs = {arm.name: _train_config(config, arm) for arm in config.arms}
    yardstick = manifests.read(root / config.evaluate_on)
    opened = {path: manifests.read(root / path) for path in dict.fromkeys(arm.manifest for arm in config.arms)}
    arms = {arm.name: opened[arm.manifest] for arm in config.arms}
    for name, manifest in arms.items():
        if manifest.label_set != yardstick.label_set:
            raise FerError(
                f"arm {name}: expected the label set {yardstick.label_set} of {config.evaluate_on}, "
                f"found {manifest.label_set}; make the manifest with the same labels"
            )
    val_rows = _validation_rows(yardstick)
    train_rows, dropped = {}, {}
    for name, manifest in arms.items():
        train_rows[name], dropped[name] = _training_rows(config, name, manifest, yardstick)
        _require_classes(name, manifest, train_rows[name], train_configs[name])
        refuse_judged_groups(f"arm {name}", manifest, train_rows[name], yardstick)
    leaks = {**_count_leaks(yardstick), "policy": config.leaks, "dropped_from_train": dropped}
    views = build_views(yardstick)
    _require_primary_view(config, views)
    return Design(config, root, yardstick, arms, train_rows, train_configs, val_rows, views, leaks)


def rows_sha256(manifest: Manifest, rows: NDArray[np.bool_]) -> str:
    """Identity of some rows of a manifest: what they point to, their labels, weights and order.

    Unlike the hash of its file this is the same when the same manifest is made again.
    """
    frame = manifest.frame[rows]
    digest = hashlib.sha256(manifest.label_set.encode())
    for name in frame.columns:
        if name == "target":
            for target in frame[name]:
                digest.update(b"-" if target is None else np.asarray(target, dtype="<f4").tobytes())
        else:
            digest.update(pd.util.hash_pandas_object(frame[name], index=False).to_numpy().tobytes())
    return digest.hexdigest()


def _require_arms(config: ExperimentConfig) -> None:
    names = [arm.name for arm in config.arms]
    if len(set(names)) < len(names):
        raise FerError(f"arms: expected a name of its own for each, found {', '.join(names)}; rename the second")
    for key, name in (("baseline", config.baseline), ("primary", config.primary)):
        if name not in names:
            raise FerError(f"{key}: expected one of the arms {', '.join(names)}, found {name!r}")
    if config.baseline == config.primary:
        raise FerError(f"primary: expected another arm than the baseline, found {config.primary!r} twice")
    if len(set(config.seeds)) < len(config.seeds) or min(config.seeds) < 0:
        raise FerError(f"seeds: expected different numbers of at least 0, found {config.seeds}")


def _train_config(config: ExperimentConfig, arm: Arm) -> TrainConfig:
    own = sorted(set(arm.train) & set(BUDGET))
    if own:
        raise FerError(
            f"arm {arm.name}: {', '.join(own)} must be equal for all arms; set them under `train` or `seeds`"
        )
    if "seed" in config.train or config.train.get("steps") is None:
        raise FerError(
            "train: expected `steps`, the optimiser steps that every arm gets, and no `seed` (`seeds` lists them), "
            f"found {config.train}"
        )
    return build(TrainConfig, {**config.train, **arm.train}, f"arm {arm.name}, train")


def _validation_rows(yardstick: Manifest) -> NDArray[np.bool_]:
    """Rows that choose epochs; also refuses a yardstick that cannot judge."""
    frame = yardstick.frame
    labelled = frame["label"].notna()
    rows = ((frame["split"] == "val") & labelled).to_numpy(dtype=bool)
    rows = rows & ~twins_across(yardstick, "val", ("train",))
    tested = (frame["split"] == "test") & labelled
    for kind, found in (("val faces without twins in train", rows.any()), ("test faces", tested.any())):
        if not found:
            raise FerError(
                f"{yardstick.path}: expected labelled {kind} to judge the arms by, found none; split the manifest, "
                "or evaluate on another"
            )
    return rows


def _training_rows(
    config: ExperimentConfig, name: str, manifest: Manifest, yardstick: Manifest
) -> tuple[NDArray[np.bool_], int]:
    """The arm's training rows under the leak policy, and how many the policy took out."""
    rows = (manifest.frame["split"] == "train").to_numpy(dtype=bool)
    pictures = manifest.facts(["pixel_sha256"])["pixel_sha256"]
    judged = yardstick.facts(["pixel_sha256"])["pixel_sha256"]
    held_out = yardstick.frame["split"].isin(["val", "test"]).to_numpy(dtype=bool)
    twins = rows & pictures.isin(judged[held_out]).to_numpy(dtype=bool)
    if config.leaks == "drop_from_train":
        return rows & ~twins, int(twins.sum())
    if config.leaks == "refuse" and twins.any():
        first = manifest.frame.loc[twins, "sample_id"].iloc[0]
        raise FerError(
            f"arm {name}: {int(twins.sum())} training pictures are identical to val or test pictures of "
            f"{config.evaluate_on} (first: {first}); set `leaks` to drop_from_train or score_apart"
        )
    # The leak-free view is the same for all arms, so no arm may bring a leak that the yardstick does not know.
    known = yardstick.frame["split"].eq("train").to_numpy(dtype=bool)
    new = twins & ~pictures.isin(judged[known]).to_numpy(dtype=bool)
    if new.any():
        first = manifest.frame.loc[new, "sample_id"].iloc[0]
        raise FerError(
            f"arm {name}: {int(new.sum())} training pictures are identical to val or test pictures of "
            f"{config.evaluate_on} and are not in its train split (first: {first}); leave them out, or set "
            "`leaks` to drop_from_train"
        )
    return rows, 0


def _require_classes(name: str, manifest: Manifest, rows: NDArray[np.bool_], config: TrainConfig) -> None:
    frame = manifest.frame
    usable = rows & (frame["repeat"] > 0).to_numpy() & (frame["label"].notna() | frame["target"].notna()).to_numpy()
    counts = np.bincount(target_rows(manifest, usable).argmax(axis=1), minlength=len(manifest.labels))
    empty = [label for label, count in zip(manifest.labels, counts, strict=True) if count == 0]
    if empty and not config.allow_empty_classes:
        raise FerError(
            f"arm {name}: {manifest.path} has no training face of {', '.join(empty)}; add some, or set "
            "train.allow_empty_classes: true"
        )


def refuse_judged_groups(where: str, manifest: Manifest, rows: NDArray[np.bool_], yardstick: Manifest) -> None:
    """Refuse training rows whose generator saw a group that judges them.

    The training rows beside the val and test rows of the yardstick, as one manifest, go through the check of `links`.

    Args:
        where: what the rows belong to, for the message.
        rows: bool over the manifest.

    Raises:
        FerError: there are such rows.
    """
    judged = yardstick.frame[yardstick.frame["split"].isin(["val", "test"])]
    frame = pd.concat([manifest.frame[rows], judged], ignore_index=True)
    try:
        refuse_seen_groups(Manifest(manifest.path, frame, manifest.metadata))
    except FerError as error:
        raise FerError(f"{where}: {error}") from None


def _count_leaks(yardstick: Manifest) -> dict[str, int]:
    def count(of: str, other: str) -> int:
        return int(twins_across(yardstick, of, (other,)).sum())

    return {
        "test_faces_with_twins_in_train": count("test", "train"),
        "test_faces_with_twins_in_val": count("test", "val"),
        "val_faces_with_twins_in_train": count("val", "train"),
        "faces_in_groups_that_cross_splits": int(crossing_groups(yardstick).sum()),
    }


def _require_primary_view(config: ExperimentConfig, views: list[View]) -> None:
    labels = config.primary_labels or views[-1].labels
    chosen = [view for view in views if (view.split, view.labels) == (PRIMARY_SPLIT, labels)]
    if not chosen or not chosen[0].rows.any():
        raise FerError(
            f"primary_labels {labels!r}: {config.evaluate_on} has no test face without twins in train or val that has "
            "such a label; choose the other kind of label, or evaluate on another manifest"
        )
