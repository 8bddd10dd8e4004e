"""Splits and folds that keep groups whole and labels even, and subsets of a manifest."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, field_validator

from fer_data import manifest
from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.files import refuse_existing, sha256_file
from fer_data.links import crossing_rows, refuse_seen_groups
from fer_data.manifest import SPLITS, Manifest, derive
from fer_data.project import relative
from fer_data.tabular import grouping
from fer_data.tabular.attributes import strata
from fer_data.tabular.columns import mixed, shared_values, word_codes
from fer_data.tabular.dealing import deal
from fer_data.tabular.grouping import Disjoint
from fer_data.tabular.rows import coded, with_columns

Split = Literal["train", "val", "test"]
Share = Annotated[float, Field(gt=0, le=1)]


class SplitConfig(Configuration):
    """How rows are divided. Groups are never divided."""

    strategy: Literal["shares", "folds", "leave_one_subject_out"] = "shares"
    # Rows that get a split: "none" are those without one. The others keep theirs, as the official test split should.
    redraw: tuple[Literal["none", "train", "val", "test"], ...] = ("none",)
    shares: dict[Split, Share] = {"train": 0.8, "val": 0.1, "test": 0.1}  # of the rows that get a split
    folds: Annotated[int, Field(ge=2, le=1000)] = 5  # for strategy folds, which leaves splits as they are
    fold_rows: Literal["train", "all"] = "train"  # rows that get a fold
    stratify: tuple[str, ...] = ("label",)  # columns of the manifest or facts whose values are spread evenly
    # What stays together besides given links: groups as they are; found anew over identical pictures and sequences
    # alone, so that one person may be on both sides; or groups joined by person.
    disjoint: Disjoint = "groups"
    link_kinds: tuple[str, ...] | None = None  # of the tables of links; null means every kind
    seed: int = 0

    @field_validator("shares")
    @classmethod
    def _whole(cls, shares: dict[Split, float]) -> dict[Split, float]:
        if abs(sum(shares.values()) - 1) > 1e-6:
            raise ValueError("expected shares that sum to 1")
        return shares


def split(
    source: Manifest,
    config: SplitConfig,
    out: str | Path,
    *,
    link_tables: Sequence[Path] = (),
    replace: bool = False,
) -> Manifest:
    """Write a manifest with new splits or folds.

    The result depends on the rows and the seed, not on the order of the rows. Synthetic rows stay in train and have
    no fold. The footer tells under `split` what each fold got of each label (`counts` tells it of splits), and how
    many groups still lie in two splits because rows kept the split they had.

    Args:
        link_tables: tables of near duplicates, columns a and b (sample_ids) and kind, that join groups.

    Raises:
        FerError: there is nothing to divide, too few groups for the parts asked for, an unknown column, a missing
            person for leave-one-subject-out, a generator saw what would be tested, or `out` exists.
    """
    out = manifest.manifest_path(out).absolute()
    refuse_existing(out, replace=replace)
    groups = grouping.groups_for(source, config.disjoint, link_tables, config.link_kinds)
    table = with_columns(source.table, group_id=groups)
    if config.strategy == "shares":
        table = with_columns(table, split=_drawn(source, groups, config), fold=pa.nulls(len(table), pa.int16()))
    else:
        table = with_columns(table, fold=_folds(source, groups, config))
    divided = Manifest(out, table, {"label_set": source.label_set})
    refuse_seen_groups(divided)
    return derive(
        source,
        table,
        out,
        command="fer split",
        configuration=config.model_dump(mode="json"),
        changed=("split",),
        parents={relative(path, source.root): sha256_file(path) for path in link_tables},
        replace=replace,
        split=_reached(divided, config),
    )


def describe_split(metadata: Mapping[str, Any]) -> list[str]:
    """What a split reached, for the terminal: a line for its parts, one for each label, one for what still leaks."""
    facts = metadata["split"]
    parts: Mapping[str, Mapping[str, int]] = facts.get("folds") or metadata["counts"]["splits"]
    totals = {part: sum(labels.values()) for part, labels in parts.items()}
    everything = max(sum(totals.values()), 1)
    lines = [" · ".join(f"{part} {count:,} ({100 * count / everything:.1f} %)" for part, count in totals.items())]
    for label in next(iter(parts.values()), {}):
        row = [labels[label] for labels in parts.values()]
        shares = " · ".join(f"{count:,} ({100 * count / max(sum(row), 1):.1f} %)" for count in row)
        lines.append(f"{label:<12} {shares}")
    if facts["straddling_groups"]:
        lines.append(
            f"! {facts['straddling_groups']:,} groups ({facts['straddling_rows']:,} rows) lie in two splits, as they "
            "did before; see the pairs with fer duplicates, or draw those splits anew"
        )
    return lines


def _drawn(source: Manifest, groups: NDArray[np.int64], config: SplitConfig) -> pa.DictionaryArray:
    """The split of every row."""
    none = len(SPLITS)
    before = word_codes(source.table["split"], SPLITS)
    before[before < 0] = none
    wanted = np.array([name in config.redraw for name in (*SPLITS, "none")])[before]
    wanted &= word_codes(source.table["origin"], ("synthetic",)) != 0
    if not wanted.any():
        raise FerError(
            f"{source.path}: expected rows {' or '.join(config.redraw)} to give a split, found none; every row keeps "
            "the split it has unless redraw names it, as redraw=[train] or redraw=[none,train,val,test]"
        )
    after = grouping.follow_kept(groups, before.astype(np.int64), ~wanted & (before < none), none)
    free = wanted & (after < 0)
    parts = [name for name in SPLITS if name in config.shares]
    if free.any():
        shares = np.array([config.shares[name] for name in parts])
        dealt = _dealt(source, groups, free, config, shares, parts)
        after[free] = np.array([SPLITS.index(name) for name in parts])[dealt]
    return coded(np.where(wanted, after, np.where(before == none, -1, before)), SPLITS)


def _folds(source: Manifest, groups: NDArray[np.int64], config: SplitConfig) -> pa.Array:
    """The fold of every row, null for rows that have none."""
    rows = word_codes(source.table["origin"], ("synthetic",)) != 0
    if config.fold_rows == "train":
        rows &= word_codes(source.table["split"], SPLITS) == 0
    if not rows.any():
        raise FerError(
            f"{source.path}: expected rows of train to fold, found none; split it first or set fold_rows=all"
        )
    folds = np.full(len(source), -1, dtype=np.int64)
    if config.strategy == "leave_one_subject_out":
        folds[rows] = grouping.fold_by_person(source, groups, rows)
    else:
        shares = np.full(config.folds, 1 / config.folds)
        folds[rows] = _dealt(source, groups, rows, config, shares, [f"fold {fold}" for fold in range(config.folds)])
    return pa.array(folds.astype(np.int16), mask=folds < 0)


def _dealt(
    source: Manifest,
    groups: NDArray[np.int64],
    rows: NDArray[np.bool_],
    config: SplitConfig,
    shares: NDArray[np.float64],
    names: Sequence[str],
) -> NDArray[np.int16]:
    """The part of each of these rows; every part has some."""
    dealt = deal(groups[rows], strata(source, config.stratify)[rows], shares, config.seed)
    empty = [name for name, count in zip(names, np.bincount(dealt, minlength=len(names)), strict=True) if not count]
    if empty:
        raise FerError(
            f"{source.path}: expected faces for {', '.join(names)}, found {len(np.unique(groups[rows]))} groups in "
            f"{int(rows.sum())} rows, too few for {', '.join(empty)}; ask for fewer parts"
        )
    return dealt


def _reached(divided: Manifest, config: SplitConfig) -> dict[str, Any]:
    """The groups that still lie in two splits, and rows per fold and label."""
    groups = divided.table["group_id"].to_numpy()
    split = word_codes(divided.table["split"], SPLITS)
    crossing = crossing_rows(groups, split, shared_values(groups, mixed(groups)))
    facts: dict[str, Any] = {
        "straddling_groups": len(np.unique(groups[crossing])),
        "straddling_rows": len(crossing),
    }
    if config.strategy == "shares":
        return facts
    folds = divided.table["fold"].fill_null(-1).to_numpy()
    labels = word_codes(divided.table["label"], divided.labels)
    labels[labels < 0] = len(divided.labels)
    names = (*divided.labels, "unlabelled")
    total = int(folds.max(initial=-1)) + 1
    inside = folds >= 0
    cells = np.bincount(folds[inside] * len(names) + labels[inside], minlength=total * len(names)).reshape(total, -1)
    used = np.flatnonzero(cells.any(axis=0))
    counted = {f"fold {fold}": {names[label]: int(cells[fold, label]) for label in used} for fold in range(total)}
    return {"folds": counted, **facts}


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
