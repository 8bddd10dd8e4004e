"""Folds that keep groups together and classes even, and the classifiers that never saw their fold."""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classifier.data import load_faces
from classifier.recipe import TrainConfig
from classifier.training import train
from fer_data.errors import FerError
from fer_data.expressions import label_indices
from fer_data.manifest import Manifest
from fer_data.progress import Reporter


def pool_rows(manifest: Manifest, splits: Sequence[str]) -> NDArray[np.bool_]:
    """Rows of the splits, bool [N]; all rows where the manifest has no splits.

    Raises:
        FerError: there are none, or synthetic faces among the manifest's rows.
    """
    frame = manifest.frame
    synthetic = frame["origin"] == "synthetic"
    if synthetic.any():
        raise FerError(
            f"{manifest.path}: expected real faces, found {int(synthetic.sum())} synthetic ones, whose generator saw "
            "faces of every fold; predict on the manifest from before they were merged"
        )
    rows = frame["split"].isin(splits) if frame["split"].notna().any() else frame["split"].isna()
    if not rows.any():
        raise FerError(f"{manifest.path}: expected rows in {', '.join(splits)}, found none; choose other splits")
    return rows.to_numpy(dtype=bool)


def assign_folds(manifest: Manifest, rows: NDArray[np.bool_], folds: int, seed: int) -> NDArray[np.int64]:
    """The fold of each of these rows, int64 [n]: groups stay whole, classes spread evenly.

    Raises:
        FerError: a class has fewer groups than there are folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    part = manifest.frame[rows]
    groups = part["group_id"].to_numpy()
    classes = label_indices(part["label"], manifest.label_set)
    for index, label in enumerate(manifest.labels):
        members = len(np.unique(groups[classes == index]))
        if 0 < members < folds:
            raise FerError(
                f"{manifest.path}: expected at least {folds} independent faces of {label}, one for each fold, found "
                f"{members}; set folds to {max(members, 2)} or fewer, or leave the class out"
            )
    if len(np.unique(groups)) < folds:
        raise FerError(f"{manifest.path}: expected at least {folds} groups for {folds} folds, found fewer; lower folds")
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    assigned = np.empty(len(part), dtype=np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # few unlabelled faces: they are only predicted
        for fold, (_, held) in enumerate(splitter.split(np.zeros(len(part)), classes, groups)):
            assigned[held] = fold
    return assigned


def train_folds(
    manifest: Manifest,
    rows: NDArray[np.bool_],
    folds: NDArray[np.int64],
    config: TrainConfig,
    run_dir: Path,
    reporter: Reporter,
    *,
    first: int,
    total: int,
    replace: bool,
) -> Iterator[tuple[NDArray[np.bool_], Path]]:
    """Train one classifier for each fold, on training rows that share no group with it.

    Rows of val and test are never trained on; a manifest without splits is all for training.

    Args:
        rows: bool [N], the rows that are folded.
        folds: int64 [n], their folds.
        first: number of the first fold, which names its folder and moves its seed.
        total: how many folds there will be in all, for progress.

    Yields:
        Which of the n rows the classifier may judge, and its checkpoint.
    """
    split, groups = manifest.frame["split"], manifest.frame["group_id"].to_numpy()
    trainable = (split == "train") if split.notna().any() else split.isna()
    faces = load_faces(manifest, trainable.to_numpy(dtype=bool), config.size_px, config.channels)
    group_of = dict(zip(manifest.frame["sample_id"], groups, strict=True))
    learnt_groups = np.asarray([group_of[sample_id] for sample_id in faces.sample_ids])
    for fold in range(folds.max() + 1):
        held = folds == fold
        number = first + fold
        checkpoint = train(
            faces.select(~np.isin(learnt_groups, groups[rows][held])),
            None,
            manifest.labels,
            config.model_copy(update={"seed": config.seed + number}),
            run_dir / f"fold-{number}",
            reporter,
            title=f"out-of-fold probabilities, fold {number + 1}/{total}",
            trained_on={"manifest": manifest.name, "manifest_sha256": manifest.sha256, "held_out_fold": number},
            replace=replace,
        )
        yield held, checkpoint
