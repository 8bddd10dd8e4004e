"""Several manifests become one: groups recomputed, licences combined, synthetic faces held to a plan and to leaks."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_data import balance, licenses, links, manifest
from fer_data.errors import FerError
from fer_data.files import refuse_existing
from fer_data.manifest import Manifest
from fer_data.plans import Key, Plan, require_same_labels
from fer_data.project import project_root, relative


def merge(
    manifests: Sequence[Manifest], out: str | Path, *, plan: Plan | None = None, replace: bool = False
) -> Manifest:
    """Write the rows of several manifests as one.

    `group_id` is recomputed over the real and derived rows: the same picture, the same person and what shared a
    group before share one now. Synthetic rows keep their own. `fold` is cleared: folds were drawn per manifest.

    Args:
        manifests: at least one, of one label set and one project.
        plan: of the synthetic rows, take at most the asked count per cell, the first rows first; synthetic rows
            outside every cell stay behind. What each cell asked for and got stands in the footer under `plan`.

    Raises:
        FerError: label sets, projects or the plan's labels differ, a sample_id occurs twice, a generator saw a
            group that is in val or test here, or `out` exists and `replace` is false.
    """
    out = manifest.manifest_path(out).absolute()
    refuse_existing(out, replace=replace)
    _require_mergeable(manifests, out, plan)
    frame = pd.concat([part.frame for part in manifests], ignore_index=True)
    _refuse_repeated_ids(frame, manifests)
    merged = _unwritten(frame, out, manifests[0])
    cells: list[dict[str, Any]] = []
    if plan is not None:
        kept, cells = _held_to_plan(merged, plan)
        merged = _unwritten(frame[kept].reset_index(drop=True), out, manifests[0])
    merged.frame["group_id"] = _recomputed_groups(merged)
    merged.frame["fold"] = pd.Series(pd.NA, index=merged.frame.index, dtype="Int16")
    links.refuse_seen_groups(merged)
    footer = {"manifest": plan.manifest, "asked": plan.asked, "cells": cells} if plan is not None else None
    return manifest.write(
        merged.frame,
        out,
        label_set=merged.label_set,
        command="fer merge",
        licence=licenses.combine([part.metadata["licence"] for part in manifests]),
        parents={relative(part.path, merged.root): part.sha256 for part in manifests},
        replace=replace,
        **({"plan": footer} if footer else {}),
    )


def _require_mergeable(manifests: Sequence[Manifest], out: Path, plan: Plan | None) -> None:
    if not manifests:
        raise FerError(f"{out}: expected manifests to merge, found none")
    first = manifests[0]
    for part in manifests[1:]:
        if part.label_set != first.label_set:
            raise FerError(
                f"{part.path}: expected the label set {first.label_set} of {first.path.name}, "
                f"found {part.label_set}; manifests of different label sets cannot be merged yet"
            )
    for part in manifests:
        if part.root != project_root(out.parent):
            raise FerError(
                f"{part.path}: expected a manifest of the project {project_root(out.parent)}, found one of "
                f"{part.root}; store paths are relative to the project, import the data set into this one"
            )
    if plan is not None:
        require_same_labels(plan, first)


def _refuse_repeated_ids(frame: pd.DataFrame, manifests: Sequence[Manifest]) -> None:
    repeated = frame.loc[frame["sample_id"].duplicated(), "sample_id"]
    if len(repeated):
        raise FerError(
            f"{', '.join(part.path.name for part in manifests)}: expected every sample in one of them, found "
            f"{len(repeated)} in two (first: {', '.join(repeated.head(3))}); merge only one version of a data set"
        )


def _unwritten(frame: pd.DataFrame, out: Path, like: Manifest) -> Manifest:
    """A manifest that exists in memory only, for functions that look at rows and at the stores behind them."""
    return Manifest(out, frame, {"label_set": like.label_set})


def _held_to_plan(merged: Manifest, plan: Plan) -> tuple[NDArray[np.bool_], list[dict[str, Any]]]:
    """Which rows stay (bool [N]), and what each cell asked for, got and left behind."""
    synthetic = (merged.frame["origin"] == "synthetic").to_numpy(dtype=bool)
    asked = {cell.key: cell.count for cell in plan.cells}
    offered: Counter[Key] = Counter()
    kept = ~synthetic
    faces = balance.conditions(merged, synthetic)
    for row, key in zip(np.flatnonzero(synthetic), faces.itertuples(index=False, name=None), strict=True):
        offered[key] += 1
        kept[row] = offered[key] <= asked.get(key, 0)
    cells = []
    for label, occlusion, light in [*asked, *(key for key in offered if key not in asked)]:
        key = (label, occlusion, light)
        wanted, there = asked.get(key, 0), offered[key]
        if wanted or there:
            cell = {"label": label, "occlusion": occlusion, "light": light, "asked": wanted}
            cells.append({**cell, "got": min(wanted, there), "left_out": max(0, there - wanted)})
    return kept, cells


def _recomputed_groups(merged: Manifest) -> NDArray[np.int64]:
    """The groups of all rows, int64 [N]: found anew for real and derived rows, as they were for synthetic ones."""
    groups = merged.frame["group_id"].to_numpy(dtype=np.int64, copy=True)
    real = (merged.frame["origin"] != "synthetic").to_numpy(dtype=bool)
    ids = merged.frame["sample_id"][real].to_list()
    facts = merged.facts(["pixel_sha256", "subject_id"], real)
    position = pd.Series(np.arange(len(ids)))
    together = position.groupby(groups[real]).transform("first")
    before = np.stack([together, position], axis=1)[(together != position).to_numpy()]
    identical = links.identity_edges(ids, facts["pixel_sha256"].to_list(), facts["subject_id"].to_list())
    groups[real] = links.group_ids(ids, np.concatenate([identical, before]))
    return groups
