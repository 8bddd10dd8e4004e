"""Splits and subsets of a manifest."""

from pathlib import Path

import numpy as np

from fer_data import manifest
from fer_data.errors import FerError
from fer_data.manifest import Manifest
from fer_data.project import relative


def stratified_subset(source: Manifest, out: str | Path, *, count: int, seed: int, replace: bool = False) -> Manifest:
    """A smaller manifest with the same shares of every (split, label), at least one sample of each.

    Samples are drawn one by one, so that the share of leaks and conflicting twins is that of chance, not kept.

    Args:
        count: about how many rows to keep.
        seed: of the choice.

    Raises:
        FerError: `count` is not positive.
    """
    if count < 1:
        raise FerError(f"a subset of {source.path}: expected a positive count, found {count}")
    rng = np.random.default_rng(seed)
    frame = source.frame
    share = min(1.0, count / max(len(frame), 1))
    keep: list[int] = []
    for _, cell in frame.groupby(["split", "label"], dropna=False, sort=True):
        size = max(1, round(share * len(cell)))
        keep += rng.permutation(cell.index.to_numpy())[:size].tolist()
    return manifest.write(
        frame.loc[sorted(keep)].reset_index(drop=True),
        out,
        label_set=source.label_set,
        command="fer demo",
        licence=source.metadata["licence"],
        parents={relative(source.path, source.root): source.sha256},
        configuration={"count": count, "seed": seed},
        replace=replace,
    )
