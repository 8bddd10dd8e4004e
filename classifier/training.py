"""Train a classifier: the same bits every time, on again after a kill, and never on what it is scored with."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from classifier.checkpoints import checkpoint_folder, open_run, write_checkpoint
from classifier.data import Faces, load_faces
from classifier.losses import class_mass
from classifier.recipe import TrainConfig
from classifier.run import Run
from classifier.trackers import installed_trackers, open_accelerator, tracking
from fer_data.errors import FerError
from fer_data.files import sha256_file
from fer_data.links import HELD_OUT_SPLITS, refuse_seen_groups, related_across
from fer_data.manifest import Manifest
from fer_data.progress import SILENT, Reporter
from fer_data.tables import code_version

__all__ = ["LeakPolicy", "TrainConfig", "train", "train_manifest"]

LeakPolicy = Literal["refuse", "drop_from_train", "score_apart"]


def train(
    train: Faces,
    val: Faces | None,
    labels: Sequence[str],
    config: TrainConfig,
    run_dir: Path,
    reporter: Reporter = SILENT,
    *,
    title: str = "train",
    trained_on: Mapping[str, Any] | None = None,
    replace: bool = False,
) -> Path:
    """Train a classifier, go on with a killed run, or return at once where the same run is finished.

    The weights that score best on `val` are kept; without `val`, those of the last step.

    Args:
        train: faces to learn from, of the configuration's size and channels.
        val: faces that choose among the evaluations; they must have no twin in `train`.
        labels: K names, the columns of the targets.
        run_dir: folder of this run.
        title: what the progress bar is called.
        trained_on: JSON-able facts about where the faces come from, kept in `classifier.json`.
        replace: throw away another run that lies in `run_dir`.

    Returns:
        The checkpoint folder, for `classifier.prediction.load_classifier`.

    Raises:
        FerError: no training faces, a class without any, faces of another size, a run with another
            configuration or other data in `run_dir`, or a loss that is not a number.
    """
    require_trainable(train, val, labels, config)
    identity = {
        "configuration": config.model_dump(mode="json"),
        "labels": list(labels),
        "train_sha256": train.sha256(),
        "val_sha256": val.sha256() if val is not None else None,
        "weights_sha256": sha256_file(Path(config.weights)) if config.weights else None,
    }
    trackers = installed_trackers(config.trackers)
    accelerator = open_accelerator(trackers, run_dir)
    _require_even_shares(config, accelerator.num_processes)
    folder = checkpoint_folder(run_dir)
    with cpu_threads(config.threads), torch.random.fork_rng():
        run = Run(accelerator, train, val, labels, config, run_dir)  # refuses what does not fit; nothing is written yet
        if accelerator.is_main_process:
            open_run(run_dir, identity, replace=replace)
        else:
            reporter = SILENT
        accelerator.wait_for_everyone()
        if folder.is_dir():
            return folder
        run.resume()
        with (
            tracking(accelerator, trackers, run_dir, run.step, identity["configuration"]) as log,
            reporter.stage(title, run.steps) as stage,
        ):
            run.go(stage, log)
    if accelerator.is_main_process:
        state, choice = run.chosen()
        unseen = empty_classes(train, labels)
        facts = {"trained_on": dict(trained_on or {}), **choice, "unseen": unseen, "code_version": code_version()}
        write_checkpoint(run_dir, state, {**identity, **facts}, run.dynamics)
    accelerator.wait_for_everyone()
    return folder


def train_manifest(
    manifest: Manifest,
    config: TrainConfig,
    run_dir: Path,
    reporter: Reporter = SILENT,
    leaks: LeakPolicy = "score_apart",
    *,
    title: str = "train",
    replace: bool = False,
) -> Path:
    """Train on a manifest's training split; validation faces without a twin in it choose the evaluation.

    Args:
        leaks: what happens where a chain of identical pictures and groups joins a training face to one in val or
            test: `refuse` stops, `drop_from_train` leaves those training faces out, `score_apart` trains on them
            (whoever scores the test split scores it without twins as well). Only the first two touch training.

    Returns:
        The checkpoint folder.

    Raises:
        FerError: an unknown policy, leaks that are refused, synthetic faces whose generator saw a held-out
            group, and all that `train` refuses.
    """
    faces, val, trained_on = training_faces(manifest, config, leaks)
    return train(
        faces, val, manifest.labels, config, run_dir, reporter, title=title, trained_on=trained_on, replace=replace
    )


def training_faces(
    manifest: Manifest, config: TrainConfig, leaks: LeakPolicy = "score_apart"
) -> tuple[Faces, Faces | None, dict[str, Any]]:
    """What `train_manifest` trains on, validates with (None: there are no such faces), and tells about both.

    Raises:
        FerError: as `train_manifest`, for the policy, the leaks and the synthetic faces.
    """
    if leaks not in get_args(LeakPolicy):
        raise FerError(f"leaks {leaks!r} is no policy; expected one of {', '.join(get_args(LeakPolicy))}")
    refuse_seen_groups(manifest)
    split = manifest.frame["split"]
    leaking = related_across(manifest, "train", HELD_OUT_SPLITS)
    if leaks == "refuse" and leaking.any():
        first = ", ".join(manifest.frame.loc[leaking, "sample_id"].head(3))
        raise FerError(
            f"{manifest.path}: expected no training face with a twin in val or test, found {int(leaking.sum())} "
            f"(first: {first}); choose leaks drop_from_train or score_apart"
        )
    rows = (split == "train").to_numpy(dtype=bool)
    if leaks == "drop_from_train":
        rows = rows & ~leaking
    watched = (split == "val").to_numpy(dtype=bool)
    if leaks == "score_apart":
        watched = watched & ~related_across(manifest, "val", ("train",))
    faces = load_faces(manifest, rows, config.size_px, config.channels)
    val = load_faces(manifest, watched, config.size_px, config.channels)
    trained_on = {
        "manifest": manifest.name,
        "manifest_sha256": manifest.sha256,
        "label_set": manifest.label_set,
        "leaks": leaks,
        "leaking_faces": int(leaking.sum()),
        "train_faces": len(faces),
        "val_faces": len(val),
    }
    return faces, val if len(val) else None, trained_on


def require_trainable(train: Faces, val: Faces | None, labels: Sequence[str], config: TrainConfig) -> None:
    """Refuse faces and configurations that do not fit each other, before any time is spent.

    Raises:
        FerError: no training faces, a class without any, faces of another size, weights that are no file, patience
            without validation faces.
    """
    if config.weights and not Path(config.weights).is_file():
        raise FerError(f"weights {config.weights}: no such file; check the path")
    if config.patience is not None and not (val is not None and len(val)):
        raise FerError("patience: expected validation faces that say when to stop, found none; leave patience out")
    if not len(train):
        raise FerError("training: expected labelled faces, found none; check the split and the labels of the manifest")
    for name, faces in (("training", train), ("validation", val)):
        expected = (config.channels, config.size_px, config.size_px)
        if faces is not None and (tuple(faces.images.shape[1:]) != expected or faces.targets.shape[1] != len(labels)):
            raise FerError(
                f"{name} faces: expected pictures {list(expected)} and {len(labels)} classes, found "
                f"{list(faces.images.shape[1:])} and {faces.targets.shape[1]}; load them with this configuration"
            )
    empty = empty_classes(train, labels)
    if empty and not config.allow_empty_classes:
        raise FerError(
            f"training: expected faces of every class, found none of {', '.join(empty)}; add some, use a smaller "
            "label set, or set allow_empty_classes"
        )


def empty_classes(faces: Faces, labels: Sequence[str]) -> list[str]:
    """The labels that no face shows, or only such whose loss counts for nothing."""
    return [label for label, amount in zip(labels, class_mass(faces), strict=True) if amount == 0]


def _require_even_shares(config: TrainConfig, processes: int) -> None:
    if config.batch_size % processes or config.batch_size < 2 * processes:
        raise FerError(
            f"batch_size {config.batch_size}: expected a multiple of {processes} processes with at least two faces "
            "for each; change batch_size or --num_processes"
        )


@contextlib.contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Inside, PyTorch computes with so many threads; 0: as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
