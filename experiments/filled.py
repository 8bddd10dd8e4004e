"""The rounds in which a plan was filled, counted and joined into what the plan gets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from experiments.fill_budget import Tally
from fer_data import manifest as manifests
from fer_data import tables
from fer_data.manifest import Manifest
from fer_data.plans import Plan
from fer_data.project import relative
from generators.checks.verdicts import verdict_table
from generators.screening import cells_of, table_path

SURPLUS = "more than the plan asks for"


@dataclass(frozen=True)
class Round:
    """One round.

    Attributes:
        drawn, kept: its faces before and after screening; the screening table lies beside `kept`.
    """

    drawn: Manifest
    kept: Manifest


@dataclass(frozen=True)
class Filled:
    """A plan that was filled, as far as the budget went.

    Attributes:
        drawn: every face that was drawn.
        kept: what screening passed, at most what the plan asks for.
        table: the screening table of all that was drawn.
        cells: per cell that asks for faces: label, occlusion, light, asked, made, kept, yield (share of the drawn
            faces that screening passed, null where none was drawn), missing, and dropped (faces by reason).
    """

    drawn: Manifest
    kept: Manifest
    table: Path
    cells: list[dict[str, Any]]


def drawn_path(out: Path) -> Path:
    """Where all drawn faces of a filled plan are listed."""
    return out.with_name(f"{out.stem}-drawn.parquet")


def tally(plan: Plan, rounds: Sequence[Round]) -> Tally:
    """What became of each cell in these rounds."""
    return Tally(
        np.asarray([cell.count for cell in plan.cells], dtype=np.int64),
        _count(plan, [each.drawn for each in rounds]),
        _count(plan, [each.kept for each in rounds]),
    )


def join_kept(rounds: Sequence[Round], out: Path) -> Manifest:
    """A manifest of all that was kept so far."""
    first = rounds[0].kept
    return manifests.write(
        pd.concat([each.kept.frame for each in rounds], ignore_index=True),
        out,
        label_set=first.label_set,
        command="fer generate",
        licence=first.metadata["licence"],
        replace=True,
    )


def read_filled(out: Path, filling: Mapping[str, Any]) -> Filled | None:
    """What `write_filled` left at `out`, where it was the same filling; else None."""
    if not out.is_file():
        return None
    kept = manifests.read(out)
    if kept.metadata.get("filling") != filling:
        return None
    table = table_path(out)
    return Filled(manifests.read(drawn_path(out)), kept, table, tables.read_metadata(table)["cells"])


def write_filled(
    plan: Plan,
    rounds: Sequence[Round],
    training: Manifest,
    judges: Path,
    out: Path,
    configuration: dict[str, Any],
    filling: Mapping[str, Any],
) -> Filled:
    """Join rounds into the manifests of drawn and kept faces and their screening table, in the plan's order.

    Of what is kept beyond the plan, the faces drawn first stay. The manifest of kept faces is written last.

    Args:
        judges: folder of the judges, of which one screened; whoever measures these faces later asks another one.
        filling: JSON-able identity of what was asked, by which `read_filled` knows it again.
    """
    read = [tables.read_table(table_path(each.kept.path), kind="screening") for each in rounds]
    frame = pd.concat([each.drawn.frame for each in rounds], ignore_index=True)
    verdicts = pd.concat([table.to_pandas() for table, _ in read], ignore_index=True)
    places = np.concatenate([_places(plan, each.drawn) for each in rounds])
    order = np.argsort(places, kind="stable")
    frame, verdicts, places = frame.iloc[order], verdicts.iloc[order].reset_index(drop=True), places[order]
    passed = verdicts["keep"].to_numpy(dtype=bool)
    verdicts = _cut_surplus(plan, verdicts, places)
    cells = _cells(plan, verdicts, places, passed)
    drawn = _write_drawn(rounds, frame.reset_index(drop=True), out, configuration)
    parents = {relative(each.path, each.root): each.sha256 for each in (drawn, training)}
    facts = tables.provenance(
        "screening",
        "fer generate",
        configuration=configuration,
        parents=parents,
        calibration=read[0][1]["calibration"],
        reasons={str(reason): int(count) for reason, count in verdicts["reason"].value_counts().items()},
        cells=cells,
        rounds=len(rounds),
    )
    table = tables.write_table(table_path(out), verdict_table(verdicts), facts, replace=True)
    kept = manifests.write(
        frame[verdicts["keep"].to_numpy(dtype=bool)].reset_index(drop=True),
        out,
        label_set=plan.label_set,
        command="fer generate",
        licence=drawn.metadata["licence"],
        parents=parents,
        configuration=configuration,
        replace=True,
        screening=relative(table, drawn.root),
        plan={"manifest": plan.manifest, "cells": cells},
        judges=relative(judges, drawn.root),
        filling=dict(filling),
    )
    return Filled(drawn, kept, table, cells)


def describe_filled(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """The cells of `Filled` as lines for the terminal: a table, what screening dropped, and what is missing."""
    asked, made, kept, missing = (sum(cell[key] for cell in cells) for key in ("asked", "made", "kept", "missing"))
    dropped: dict[str, int] = {}
    for cell in cells:
        for reason, count in cell["dropped"].items():
            dropped[reason] = dropped.get(reason, 0) + count
    names = [" · ".join(cell[facet] or "any" for facet in ("label", "occlusion", "light")) for cell in cells]
    width = max(len("cell"), *map(len, names))
    lines = [f"{'cell':{width}}   asked   drawn    kept   yield"]
    for name, cell in zip(names, cells, strict=True):
        share = "–" if cell["yield"] is None else f"{100 * cell['yield']:.0f} %"
        lines.append(f"{name:{width}}  {cell['asked']:>6,}  {cell['made']:>6,}  {cell['kept']:>6,}  {share:>6}")
    reasons = sorted(dropped.items(), key=lambda item: -item[1])
    lines.append(f"asked {asked:,} · drawn {made:,} · kept {kept:,}")
    lines.append("dropped: " + (" · ".join(f"{reason} {count:,}" for reason, count in reasons) or "nothing"))
    if missing:
        lines.append(f"{missing:,} are missing: the budget is spent; raise budget_faces or minutes, or train longer")
    return lines


def _write_drawn(rounds: Sequence[Round], frame: pd.DataFrame, out: Path, configuration: dict[str, Any]) -> Manifest:
    first = rounds[0].drawn
    parents = {name: digest for each in rounds for name, digest in each.drawn.metadata["parents"].items()}
    return manifests.write(
        frame,
        drawn_path(out),
        label_set=first.label_set,
        command="fer generate",
        licence=first.metadata["licence"],
        parents=parents,
        configuration=configuration,
        replace=True,
        generations=[generation for each in rounds for generation in each.drawn.metadata["generations"]],
    )


def _cut_surplus(plan: Plan, verdicts: pd.DataFrame, places: NDArray[np.int64]) -> pd.DataFrame:
    asked = np.asarray([cell.count for cell in plan.cells])
    keep = verdicts["keep"].to_numpy(dtype=bool)
    rank = pd.Series(keep.astype(np.int64)).groupby(places).cumsum().to_numpy()
    surplus = keep & (rank > asked[places])
    return verdicts.assign(keep=keep & ~surplus, reason=verdicts["reason"].astype(object).mask(surplus, SURPLUS))


def _cells(
    plan: Plan, verdicts: pd.DataFrame, places: NDArray[np.int64], passed: NDArray[np.bool_]
) -> list[dict[str, Any]]:
    cells = []
    for place, cell in enumerate(plan.cells):
        if not cell.count:
            continue
        own = places == place
        made, kept = int(own.sum()), int(verdicts["keep"][own].sum())
        dropped = verdicts["reason"][own].value_counts()
        cells.append(
            {
                "label": cell.label,
                "occlusion": cell.occlusion,
                "light": cell.light,
                "asked": cell.count,
                "made": made,
                "kept": kept,
                "yield": float(passed[own].mean()) if made else None,
                "missing": cell.count - kept,
                "dropped": {str(reason): int(count) for reason, count in dropped.items()},
            }
        )
    return cells


def _count(plan: Plan, those: Sequence[Manifest]) -> NDArray[np.int64]:
    """Faces of each cell of the plan in these manifests, int64 [C]."""
    places = [np.empty(0, dtype=np.int64), *(_places(plan, manifest) for manifest in those)]
    counts: NDArray[np.int64] = np.bincount(np.concatenate(places), minlength=len(plan.cells)).astype(np.int64)
    return counts


def _places(plan: Plan, manifest: Manifest) -> NDArray[np.int64]:
    """The number of the plan's cell that each face was asked for, int64 [N]."""
    number = {cell.key: place for place, cell in enumerate(plan.cells)}
    return np.asarray([number[key] for key in cells_of(manifest)], dtype=np.int64)
