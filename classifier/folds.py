"""Folds that keep groups together and classes even, and the classifiers that never saw their fold."""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classifier.data import Faces
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


def trainable_rows(manifest: Manifest) -> NDArray[np.bool_]:
    """Rows that classifiers may be trained on, bool [N]: the training split; all of a manifest without splits."""
    split = manifest.frame["split"]
    return ((split == "train") if split.notna().any() else split.isna()).to_numpy(dtype=bool)


def train_folds(
    manifest: Manifest,
    rows: NDArray[np.bool_],
    folds: NDArray[np.int64],
    faces: Faces,
    config: TrainConfig,
    run_dir: Path,
    reporter: Reporter,
    *,
    title: str,
    replace: bool,
) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_], Path]]:
    """Train one classifier for each fold, on faces that share no group with it; fold k's seed is moved by k.

    Args:
        rows: bool [N], the rows that are folded.
        folds: int64 [n], their folds.
        faces: m faces of `trainable_rows`.
        title: what the progress is called.

    Yields:
        bool [n], which of the folded rows the classifier may judge; bool [m], which faces it learnt from; and
        its checkpoint.
    """
    groups = manifest.frame["group_id"].to_numpy()
    group_of = dict(zip(manifest.frame["sample_id"], groups, strict=True))
    learnt_groups = np.asarray([group_of[sample_id] for sample_id in faces.sample_ids])
    total = int(folds.max()) + 1
    for fold in range(total):
        held = folds == fold
        learnt = ~np.isin(learnt_groups, groups[rows][held])
        checkpoint = train(
            faces.select(learnt),
            None,
            manifest.labels,
            config.model_copy(update={"seed": config.seed + fold}),
            run_dir / f"fold-{fold}",
            reporter,
            title=f"{title}, fold {fold + 1}/{total}",
            trained_on={"manifest": manifest.name, "manifest_sha256": manifest.sha256, "held_out_fold": fold},
            replace=replace,
        )
        yield held, learnt, checkpoint
