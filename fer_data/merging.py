"""Several manifests become one: groups recomputed, licences combined, synthetic faces held to a plan and to leaks."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from fer_data import balance, licenses, links, manifest
from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.files import refuse_existing, sha256_file
from fer_data.manifest import Manifest
from fer_data.plans import Plan, require_same_labels
from fer_data.project import project_root, relative
from fer_data.tabular.columns import repeated_values, word_codes
from fer_data.tabular.relabelling import Outside, joint_label_set, relabelled
from fer_data.tabular.rows import with_columns
from fer_data.tabular.together import Together, linked_rows, same_persons, same_pictures
from fer_data.tabular.twins import Conflicts, SamePicture, settle_twins


class MergeConfig(Configuration):
    """What is done where manifests differ."""

    labels: str = "same"  # same, union or intersection of the label sets by name, or the name of one
    outside: Outside = "refuse"  # labels that the result's set has not: null, or drop the row
    # One picture in two manifests: keep both rows in one group, keep the first manifest's, or refuse.
    same_picture: SamePicture = "group"
    # One picture under two labels in two manifests: keep both, the first manifest's for all, null, drop, or refuse.
    conflicts: Conflicts = "keep"
    link_kinds: tuple[str, ...] | None = None  # of the tables of links; null means every kind


def merge(
    manifests: Sequence[Manifest],
    out: str | Path,
    config: MergeConfig | None = None,
    *,
    plan: Plan | None = None,
    link_tables: Sequence[Path] = (),
    replace: bool = False,
) -> Manifest:
    """Write the rows of several manifests as one.

    `group_id` is recomputed over the real and derived rows: the same picture, the same person, what shared a group
    before and what a table of links joins share one now. Synthetic rows keep their own. `fold` is cleared: folds
    were drawn per manifest. Where manifests differ, the configuration decides, and the footer says under `merge`
    how often it had to.

    Args:
        manifests: at least one, of one project; where rows compete, the first manifest's stay.
        plan: of the synthetic rows, take at most the asked count per cell, the first rows first; synthetic rows
            outside every cell stay behind. What each cell asked for and got stands in the footer under `plan`.
        link_tables: tables of near duplicates, columns a and b (sample_ids) and kind.

    Raises:
        FerError: label sets, projects or the plan's labels differ, a sample_id occurs twice, the configuration
            refuses what differs, a generator saw a group that is in val or test here, or `out` exists and
            `replace` is false.
    """
    config = config or MergeConfig()
    out = manifest.manifest_path(out).absolute()
    refuse_existing(out, replace=replace)
    label_set = _require_mergeable(manifests, out, config, plan)
    parts = [relabelled(part.table, part.label_set, label_set, config.outside, str(part.path)) for part in manifests]
    told: dict[str, Any] = {
        "synthetic": sum(part.metadata["counts"]["synthetic"] for part in manifests),
        "without_rows": [relative(part.path, part.root) for part in manifests if not len(part)],
        "outside": sum(part.outside for part in parts),
        "renormalised": sum(part.renormalised for part in parts),
    }
    table = pa.concat_tables([part.table for part in parts])
    origin = np.repeat(np.arange(len(parts)), [len(part.table) for part in parts])
    cells: list[dict[str, Any]] = []
    if plan is not None:
        kept, cells = _held_to_plan(_unwritten(table, out, label_set), plan)
        table, origin = table.filter(pa.array(kept)), origin[kept]
    with ThreadPoolExecutor(1) as beside:  # both hash and sort every row, outside of Python's lock
        checked = beside.submit(_refuse_repeated_ids, table, manifests)
        twins = same_pictures(_unwritten(table, out, label_set))
        checked.result()
    settled = settle_twins(table, origin, twins, config.same_picture, config.conflicts)
    merged = _grouped(_unwritten(settled.table, out, label_set), settled.twins, link_tables, config.link_kinds)
    links.refuse_seen_groups(merged)
    plan_footer = {"manifest": plan.manifest, "asked": plan.asked, "cells": cells} if plan is not None else None
    return manifest.write(
        merged.table,
        out,
        label_set=label_set,
        command="fer merge",
        licence=licenses.combine([part.metadata["licence"] for part in manifests]),
        parents={
            **{relative(part.path, merged.root): part.sha256 for part in manifests},
            **{relative(path, merged.root): sha256_file(path) for path in link_tables},
        },
        configuration=config.model_dump(mode="json"),
        changed=("label", "target"),
        replace=replace,
        merge={**told, **settled.told},
        **({"plan": plan_footer} if plan_footer else {}),
    )


def describe_merge(metadata: Any) -> list[str]:
    """What a merge had to decide, and that it added no synthetic face; for the terminal, no line where all is plain."""
    sentences = {
        "outside": "rows with a label outside the set",
        "renormalised": "soft labels scaled to the set",
        "same_pictures": "pictures in two manifests",
        "conflicts": "of them under two labels",
        "dropped": "rows left out",
    }
    told = [f"{metadata['merge'][key]:,} {words}" for key, words in sentences.items() if metadata["merge"].get(key)]
    return ([", ".join(told)] if told else []) + _nothing_added(metadata)


def _nothing_added(metadata: Any) -> list[str]:
    """A sentence where synthetic faces were given, planned, or all dropped before, and the result has none."""
    plan, given, empty = metadata.get("plan"), metadata["merge"]["synthetic"], metadata["merge"]["without_rows"]
    if metadata["counts"]["synthetic"] or not (plan or given or empty):
        return []
    asked = f"; the plan asks for {plan['asked']:,}" if plan else ""
    if plan and given and given == sum(cell["left_out"] for cell in plan["cells"]):
        why = f"the {given:,} given are in no cell that the plan asks for"
    elif given:
        why = f"the {given:,} given were left out for their labels or pictures{asked}"
    elif empty:
        why = f"{' and '.join(empty)} hold{'s' if len(empty) == 1 else ''} no row{asked}"
    else:
        why = f"none was given{asked}"
    return [f"! no synthetic face was added: {why}"]


def _require_mergeable(manifests: Sequence[Manifest], out: Path, config: MergeConfig, plan: Plan | None) -> str:
    """The label set of the result."""
    if not manifests:
        raise FerError(f"{out}: expected manifests to merge, found none")
    for part in manifests:
        if part.root != project_root(out.parent):
            raise FerError(
                f"{part.path}: expected a manifest of the project {project_root(out.parent)}, found one of "
                f"{part.root}; store paths are relative to the project, import the data set into this one"
            )
    label_set = joint_label_set([part.label_set for part in manifests], config.labels)
    if plan is not None:
        require_same_labels(plan, _unwritten(manifests[0].table, manifests[0].path, label_set))
    return label_set


def _refuse_repeated_ids(table: pa.Table, manifests: Sequence[Manifest]) -> None:
    repeated = repeated_values(table["sample_id"])
    if repeated.any():
        ids = list(dict.fromkeys(table["sample_id"].filter(pa.array(repeated)).to_pylist()))
        raise FerError(
            f"{', '.join(part.path.name for part in manifests)}: expected every sample in one of them, found "
            f"{len(ids)} in two (first: {', '.join(ids[:3])}); merge only one version of a data set"
        )


def _unwritten(table: pa.Table, out: Path, label_set: str) -> Manifest:
    """A manifest that exists in memory only, for functions that look at rows and at the stores behind them."""
    return Manifest(out, table, {"label_set": label_set})


def _held_to_plan(merged: Manifest, plan: Plan) -> tuple[NDArray[np.bool_], list[dict[str, Any]]]:
    """Which rows stay (bool [N]), and what each cell asked for, got and left behind."""
    synthetic = word_codes(merged.table["origin"], ("synthetic",)) == 0
    faces = balance.conditions(merged, synthetic)
    cells = faces.groupby(list(faces.columns), dropna=False, sort=False)
    number = cells.ngroup().to_numpy()
    sizes = cells.size()
    offered = dict(zip([_words(key) for key in sizes.index], sizes.tolist(), strict=True))
    asked = {cell.key: cell.count for cell in plan.cells}
    limits = np.array([asked.get(key, 0) for key in offered], dtype=np.int64)
    kept = ~synthetic
    kept[synthetic] = cells.cumcount().to_numpy() < (limits[number] if len(number) else 0)
    told = []
    for key in [*asked, *(key for key in offered if key not in asked)]:
        wanted, there = asked.get(key, 0), offered.get(key, 0)
        if wanted or there:
            cell = dict(zip(balance.CELL, key, strict=True))
            told.append({**cell, "asked": wanted, "got": min(wanted, there), "left_out": max(0, there - wanted)})
    return kept, told


def _words(key: Any) -> tuple[Any, ...]:
    return tuple(None if pd.isna(word) else word for word in key)


def _grouped(merged: Manifest, twins: Together, link_tables: Sequence[Path], kinds: tuple[str, ...] | None) -> Manifest:
    """The rows with new groups and without folds."""
    table = merged.table
    real = word_codes(table["origin"], ("synthetic",)) != 0
    ids = table["sample_id"]
    persons = same_persons(ids, merged.facts_table(["subject_id"])["subject_id"])
    together = [twins, persons, *(linked_rows(ids, path, kinds) for path in link_tables)]
    groups = links.joined_groups(table["group_id"].to_numpy(), ids, [part.within(real) for part in together])
    folds = pa.nulls(len(table), pa.int16())
    return _unwritten(with_columns(table, group_id=groups, fold=folds), merged.path, merged.label_set)
