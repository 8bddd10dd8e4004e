"""What an experiment is refused for, before anything is trained."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from classifier.data import target_rows
from classifier.training import TrainConfig
from experiments.arms import Arm, ChooseConfig
from experiments.held_out import HeldOut
from experiments.settings import ExperimentConfig
from experiments.views import PRIMARY_SPLIT, View
from fer_data.configuration import build
from fer_data.errors import FerError
from fer_data.links import HELD_OUT_SPLITS
from fer_data.manifest import Manifest

# What no arm may have of its own: the classifier, its budget, and how its epoch is chosen.
EQUAL = (
    "model", "weights", "size_px", "channels", "steps", "epochs", "batch_size", "evaluations", "patience", "choose_by",
    "mirror_average", "seed",
)  # fmt: skip

Rows = NDArray[np.bool_]


def require_arms(config: ExperimentConfig) -> None:
    """Refuse names that do not fit.

    Raises:
        FerError: two arms of one name, a baseline, primary or control that is none, seeds that are not in order.
    """
    names = [arm.name for arm in config.arms]
    if len(set(names)) < len(names):
        raise FerError(f"arms: expected a name of its own for each, found {', '.join(names)}; rename the second")
    choose = config.choose or ChooseConfig()
    asked = [("baseline", config.baseline), ("primary", config.primary), ("control", config.control)]
    asked += [("choose.mixing_in", choose.mixing_in)]
    asked += [("choose.control", arm) for arm in choose.control] + [("choose.primary", arm) for arm in choose.primary]
    judged = () if config.robustness is None or isinstance(config.robustness.arms, str) else config.robustness.arms
    asked += [("robustness.arms", arm) for arm in judged]
    for key, name in asked:
        if name is not None and name not in names:
            raise FerError(f"{key}: expected one of the arms {', '.join(names)}, found {name!r}")
    main = [arm.name for arm in config.arms if arm.role == "main"]
    for key, name in asked:
        if name is not None and key != "choose.mixing_in" and name not in main:
            raise FerError(f"{key}: expected an arm of role main, found {name}, a point of a curve; change its role")
    if config.primary is None and not choose.primary:
        raise FerError("primary: expected an arm, or candidates in choose.primary, found neither; name one")
    if config.baseline in (config.primary, config.control, *choose.primary, *choose.control):
        raise FerError(f"primary: expected another arm than the baseline, found {config.baseline!r} twice")
    both = {config.control, *choose.control} & {config.primary, *choose.primary} - {None}
    if both:
        raise FerError(f"control: expected other arms than those that may be primary, found {', '.join(both)} in both")
    if len(set(config.seeds)) < len(config.seeds) or min(config.seeds) < 0:
        raise FerError(f"seeds: expected different numbers of at least 0, found {config.seeds}")
    if not set(config.curve_seeds) <= set(config.seeds):
        raise FerError(f"curve_seeds: expected some of the seeds {config.seeds}, found {config.curve_seeds}")


def train_config(config: ExperimentConfig, arm: Arm) -> TrainConfig:
    """How an arm is trained; refuses a budget of its own, no number of steps, and a precision that is left open."""
    own = sorted(set(arm.train) & set(EQUAL))
    if own:
        raise FerError(
            f"arm {arm.name}: {', '.join(own)} must be equal for all arms; set them under `train` or `seeds`"
        )
    if "seed" in config.train or config.train.get("steps") is None:
        raise FerError(
            "train: expected `steps`, the optimiser steps that every arm gets, and no `seed` (`seeds` lists them), "
            f"found {config.train}"
        )
    asked = {**config.train, **arm.train}
    if asked.get("mixed_precision") == "auto":
        raise FerError(
            f"arm {arm.name}: mixed_precision auto would be another training on another machine; expected no or bf16"
        )
    trained = build(TrainConfig, asked, f"arm {arm.name}, train")
    review = None if arm.make is None else arm.make.review
    if (review is not None and review.others == "evidence") != (trained.targets == "likelihood"):
        raise FerError(
            f"arm {arm.name}: expected make.review.others: evidence and train.targets: likelihood together, found one "
            "of them; set both, or neither"
        )
    return trained


def validation_rows(held_out: HeldOut) -> Rows:
    """Rows that choose epochs, bool over the yardstick; refuses a yardstick that cannot judge."""
    frame = held_out.yardstick.frame
    labelled = frame["label"].notna().to_numpy(dtype=bool)
    rows = (held_out.split == "val") & labelled & ~held_out.related("val", ("train",))
    tested = (held_out.split == "test") & labelled
    for kind, found in (("val faces without twins in train", rows.any()), ("test faces", tested.any())):
        if not found:
            raise FerError(
                f"{held_out.yardstick.path}: expected labelled {kind} to judge the arms by, found none; split the "
                "manifest, or evaluate on another"
            )
    return np.asarray(rows)


def require_leak_policy(config: ExperimentConfig, counts: Mapping[str, int]) -> None:
    """Refuse faces in several splits where nothing is said about them; `counts` as `HeldOut.count_leaks` gives them."""
    test, val = counts["test_faces_related_to_train_or_val"], counts["val_faces_related_to_train"]
    if config.leaks is None and (test or val):
        raise FerError(
            f"{config.evaluate_on}: expected a policy for leaks, found none and {test:,} test and {val:,} validation "
            "faces with twins in other splits; set `leaks` to score_apart, drop_from_train or refuse"
        )


def require_same_labels(arm: str, manifest: Manifest, yardstick: Manifest, config: ExperimentConfig) -> None:
    """Refuse an arm of another label set than the one that it is judged by."""
    if manifest.label_set != yardstick.label_set:
        raise FerError(
            f"arm {arm}: expected the label set {yardstick.label_set} of {config.evaluate_on}, "
            f"found {manifest.label_set}; make the manifest with the same labels"
        )


def training_rows(config: ExperimentConfig, name: str, manifest: Manifest, held_out: HeldOut) -> tuple[Rows, int]:
    """The arm's training rows under the leak policy, and how many the policy took out."""
    rows = (manifest.frame["split"] == "train").to_numpy(dtype=bool)
    twins = held_out.twins_in(manifest, rows)
    if config.leaks == "drop_from_train":
        return rows & ~twins, int(twins.sum())
    if config.leaks == "refuse" and twins.any():
        first = manifest.frame.loc[twins, "sample_id"].iloc[0]
        raise FerError(
            f"arm {name}: {int(twins.sum())} training faces have a twin among the val or test faces of "
            f"{config.evaluate_on} (first: {first}); set `leaks` to drop_from_train or score_apart"
        )
    # The leak-free view is the same for all arms, so no arm may bring a leak that the yardstick does not know.
    new = held_out.brought_in(manifest, rows)
    if new.any():
        first = manifest.frame.loc[new, "sample_id"].iloc[0]
        raise FerError(
            f"arm {name}: {int(new.sum())} training pictures are those of val or test faces, or of their groups, in "
            f"{config.evaluate_on} and are not in its train split (first: {first}); leave them out, or set "
            "`leaks` to drop_from_train"
        )
    return rows, 0


def require_classes(name: str, manifest: Manifest, rows: Rows, config: TrainConfig, yardstick: Manifest) -> None:
    """Every class has training faces; with `allow_empty_classes` every class that judges has."""
    frame = manifest.frame
    usable = rows & (frame["repeat"] > 0).to_numpy() & (frame["label"].notna() | frame["target"].notna()).to_numpy()
    counts = np.bincount(target_rows(manifest, usable).argmax(axis=1), minlength=len(manifest.labels))
    empty = [label for label, count in zip(manifest.labels, counts, strict=True) if count == 0]
    if empty and not config.allow_empty_classes:
        raise FerError(
            f"arm {name}: {manifest.path} has no training face of {', '.join(empty)}; add some, or set "
            "train.allow_empty_classes: true"
        )
    held_out = yardstick.frame["split"].isin(HELD_OUT_SPLITS)
    judged = yardstick.frame["label"][held_out & yardstick.frame["label"].isin(empty)]
    if len(judged):
        raise FerError(
            f"arm {name}: expected training faces of every class that it is judged by, found none of "
            f"{', '.join(sorted(judged.unique()))}, of which {yardstick.path} holds out {len(judged):,}; add some, or "
            "evaluate on faces of the classes that it can know"
        )


def require_primary_view(config: ExperimentConfig, views: Sequence[View]) -> None:
    """Refuse a primary contrast that has no test face."""
    labels = config.primary_labels or views[-1].labels
    chosen = [view for view in views if (view.split, view.labels) == (PRIMARY_SPLIT, labels)]
    if not chosen or not chosen[0].rows.any():
        raise FerError(
            f"primary_labels {labels!r}: {config.evaluate_on} has no test face without twins in train or val that has "
            "such a label; choose the other kind of label, or evaluate on another manifest"
        )
