"""Cross-validation: one manifest becomes a yardstick a fold, so that every face is tested with once."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from experiments.identity import rows_sha256
from experiments.settings import ExperimentConfig, FoldsConfig
from fer_data import manifest as manifests
from fer_data.errors import FerError
from fer_data.files import sha256_json
from fer_data.links import related_groups
from fer_data.locks import name_lock
from fer_data.manifest import Manifest
from fer_data.tabular.columns import word_codes
from fer_data.tabular.dealing import deal
from fer_data.tabular.rows import coded, with_columns

SPLITS = ("train", "val", "test")


def fold_configs(config: ExperimentConfig, root: Path) -> list[tuple[str, ExperimentConfig]]:
    """The experiment on each fold, and the folder that the fold's manifests, runs and records lie in.

    Args:
        config: with `folds`.

    Raises:
        FerError: choices are asked for, which belong to an experiment of its own, or too few faces.
    """
    folds = config.folds or FoldsConfig()
    if config.choose is not None:
        raise FerError("folds: expected primary, control and mixing to be named, found `choose`; choose in another run")
    for arm in config.arms:
        if arm.manifest is not None:
            raise FerError(
                f"arm {arm.name}: expected arms that begin with the training faces of each fold, found the manifest "
                f"{arm.manifest}; leave it out, or make the arm with `make`"
            )
    source = manifests.read(root / config.evaluate_on)
    found = []
    for fold, manifest in enumerate(write_folds(source, folds, [root / path for path in config.links], config.name)):
        update = {"evaluate_on": f"manifests/{config.name}/{manifest.path.stem}", "folds": None, "leaks": "refuse"}
        found.append((f"fold{fold}", config.model_copy(update=update)))
    return found


def write_folds(source: Manifest, config: FoldsConfig, link_tables: list[Path], name: str) -> list[Manifest]:
    """A manifest a fold: its faces are the test split, some of the others validation, the rest train.

    Faces that are one (groups, identical pictures, links) stay together everywhere, and labels are dealt evenly.

    Args:
        name: of the experiment, whose folder they are written to.

    Raises:
        FerError: synthetic or derived faces, or too few groups.
    """
    if (source.frame["origin"] != "real").any():
        raise FerError(f"{source.path}: expected real faces only for cross-validation, found others; leave them out")
    groups = related_groups(source, link_tables)
    labels = word_codes(source.table["label"], source.labels).astype(np.int64)
    labels[labels < 0] = len(source.labels)
    dealt = deal(groups, labels, np.full(config.count, 1 / config.count), config.seed)
    identity = sha256_json([config.model_dump(mode="json"), rows_sha256(source), groups.tolist()])[:8]
    return [
        _write_fold(source, groups, labels, dealt, fold, config, f"{name}/fold{fold}-{identity}")
        for fold in range(config.count)
    ]


def _write_fold(
    source: Manifest,
    groups: NDArray[np.int64],
    labels: NDArray[np.int64],
    dealt: NDArray[np.int16],
    fold: int,
    config: FoldsConfig,
    name: str,
) -> Manifest:
    out = manifests.manifest_path(source.root / "manifests" / name)
    with name_lock(out, wait=True):
        if out.is_file():
            return manifests.read(out)
        split = np.where(dealt == fold, 2, 0).astype(np.int64)
        rest = np.flatnonzero(split == 0)
        shares = np.array([1 - config.val_share, config.val_share])
        split[rest] = deal(groups[rest], labels[rest], shares, config.seed + 1 + fold)
        short = [SPLITS[part] for part in range(3) if not (split == part).any()]
        if short:
            raise FerError(
                f"{source.path}: expected faces for {', '.join(short)} of fold {fold}, found too few groups; ask for "
                "fewer folds"
            )
        table = with_columns(
            source.table, split=coded(split, SPLITS), group_id=groups, fold=pa.array(dealt.astype(np.int16))
        )
        return manifests.derive(
            source,
            table,
            out,
            command="fer experiment",
            configuration=config.model_dump(mode="json"),
            changed=("split",),
        )
