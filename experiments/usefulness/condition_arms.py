"""Occlusion and light: learned by the generator, or put on its faces afterwards? The classifier decides."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from classifier.data import Faces, target_rows
from experiments.identity import rows_sha256
from experiments.usefulness.design import TrialConfig, require_generated, usable_rows
from experiments.usefulness.figures import describe_judged, tabulate, training_facts
from experiments.usefulness.trials import Part, Rows, Run, run_trials
from experiments.usefulness.yardstick import CONDITIONS, changed_pictures, open_yardstick
from fer_data.errors import FerError
from fer_data.expressions import LIGHTS, OCCLUSIONS
from fer_data.files import sha256_json
from fer_data.manifest import Manifest
from fer_data.progress import SILENT, Reporter
from generators.training_faces import Selection, select_faces

Cell = tuple[str, str | None, str | None]  # label, occlusion, light
ARMS = ("real", "real_changed", "learned", "afterwards")
POOLS: Mapping[str, Sequence[str]] = MappingProxyType(
    {"occluded": OCCLUSIONS[1:], "relit": LIGHTS[1:], "all conditions": CONDITIONS}
)
_CONTRASTS = (
    ("learned", "afterwards"),
    ("learned", "real"),
    ("afterwards", "real"),
    ("learned", "real_changed"),
    ("afterwards", "real_changed"),
    ("real_changed", "real"),
)
DECIDING_METRIC = "balanced_accuracy"
_CHANGED = 2  # begins the seeds of faces that are trained on; those that judge begin otherwise


@dataclass(frozen=True)
class ChangedFaces:
    """Real training faces that we occluded and relit: the control that needs no generator.

    Attributes:
        selection: the real training faces.
        index: rows of its manifest, int64 [M]; a rare face may come more than once.
        cells: the condition that each is given.
        seed: of what is put in front of them.
    """

    selection: Selection
    index: NDArray[np.int64]
    cells: Sequence[Cell]
    seed: Sequence[int]

    def sha256(self) -> str:
        rows = rows_sha256(self.selection.manifest, self.selection.rows)
        return sha256_json([rows, self.index.tolist(), self.cells, list(self.seed)])

    def faces(self, size_px: int, channels: int, reporter: Reporter) -> Faces:
        manifest = self.selection.manifest
        occlusions, lights = ([cell[place] for cell in self.cells] for place in (1, 2))
        pictures = changed_pictures(manifest, self.index, occlusions, lights, self.seed, (size_px, channels), reporter)
        taken = np.zeros(len(manifest), dtype=bool)
        taken[self.index] = True
        targets = target_rows(manifest, taken)[np.searchsorted(np.flatnonzero(taken), self.index)]
        ids = manifest.frame["sample_id"].to_numpy()[self.index]
        names = [f"{sample_id}#changed-{place}" for place, sample_id in enumerate(ids)]
        return Faces(torch.from_numpy(pictures), torch.from_numpy(targets), torch.ones(len(names)), names)


def compare_conditions(
    learned: Manifest,
    afterwards: Manifest,
    real: Manifest,
    config: TrialConfig,
    out: Path,
    reporter: Reporter = SILENT,
) -> dict[str, Any]:
    """Which faces help a classifier more where real faces are occluded or badly lit?

    Four arms, equal in steps and recipe: real faces; and real faces with, in the same cells and numbers, real faces
    occluded and relit by us ("real_changed"), generated faces whose conditions the generator learned ("learned"), or
    generated faces occluded and relit afterwards ("afterwards"). Of each cell the arms get as many faces as the
    scarcer of the two generated manifests has. All are judged on real held-out faces, as they are and under each
    occlusion and light, whose seeds no training face shares.

    Args:
        learned, afterwards: one plan, filled twice.
        real: its train split is in every arm, its held-out split judges.
        out: keeps one record a run; the same call again goes on where it was interrupted.

    Returns:
        JSON-able: "cells" (label, occlusion, light, count), "judged", "views" and "pooled": name → what
        `figures.tabulate` tells; "default": the better arm of the two by balanced accuracy over all conditions,
        "difference" (learned less afterwards) and "decided": whether its interval excludes zero.

    Raises:
        FerError: see `design.require_generated` and `trials.run_trials`; the two manifests share no cell.
    """
    require_generated(learned, real)
    require_generated(afterwards, real)
    cells = shared_cells(learned, afterwards)
    if not cells:
        raise FerError(
            f"{afterwards.path}: expected faces of the cells that {learned.path} has, found none in common; fill one "
            "plan twice, with conditions: learned and with conditions: afterwards"
        )
    yardstick = open_yardstick(real, config, under_conditions=True)
    runs = _runs(learned, afterwards, select_faces(real, 0), cells, config)
    judged = run_trials(runs, yardstick, config.classifier(), out, reporter)
    views = {view: tabulate(judged, [view], yardstick, config, ARMS, _CONTRASTS) for view in yardstick.views}
    pooled = {name: tabulate(judged, inside, yardstick, config, ARMS, _CONTRASTS) for name, inside in POOLS.items()}
    return {
        "kind": "condition_comparison",
        "arms": list(ARMS),
        "cells": [
            {"label": label, "occlusion": occlusion, "light": light, "count": count}
            for (label, occlusion, light), count in cells.items()
        ],
        "sources_sha256": {"learned": learned.sha256, "afterwards": afterwards.sha256},
        "judged": describe_judged(yardstick, config),
        **training_facts(config),
        "views": views,
        "pooled": pooled,
        **_verdict(pooled["all conditions"]["differences"]),
    }


def shared_cells(learned: Manifest, afterwards: Manifest) -> dict[Cell, int]:
    """Faces per (label, occlusion, light) that both manifests can give; null is unknown."""
    return dict(Counter(_cells(learned).values()) & Counter(_cells(afterwards).values()))


def _runs(
    learned: Manifest, afterwards: Manifest, selection: Selection, cells: Mapping[Cell, int], config: TrialConfig
) -> dict[Run, list[Part]]:
    plain = Rows(selection.manifest, selection.rows)
    runs: dict[Run, list[Part]] = {}
    for seed in config.seeds:
        random = [config.seed, seed]
        runs["real", seed] = [plain]
        runs["real_changed", seed] = [plain, _changed(selection, cells, random)]
        runs["learned", seed] = [plain, _drawn(learned, cells, random)]
        runs["afterwards", seed] = [plain, _drawn(afterwards, cells, random)]
    return runs


def _drawn(manifest: Manifest, cells: Mapping[Cell, int], seed: Sequence[int]) -> Rows:
    """So many generated faces of each cell, without replacement."""
    places: dict[Cell, list[int]] = {}
    for row, cell in _cells(manifest).items():
        places.setdefault(cell, []).append(row)
    rows = np.zeros(len(manifest), dtype=bool)
    for number, (cell, count) in enumerate(cells.items()):
        rows[np.random.default_rng([*seed, number]).choice(places[cell], count, replace=False)] = True
    return Rows(manifest, rows)


def _changed(selection: Selection, cells: Mapping[Cell, int], seed: Sequence[int]) -> ChangedFaces:
    """As many real faces of each cell's label, to be given its condition; a class without real faces gives none."""
    rows, labels = np.flatnonzero(selection.rows), selection.frame["label"].to_numpy(dtype=object)
    index, given = [], []
    for number, (cell, count) in enumerate(cells.items()):
        found = rows[labels == cell[0]]
        if len(found):
            random = np.random.default_rng([*seed, number, 1])
            index.append(random.choice(found, count, replace=count > len(found)))
            given += [cell] * count
    return ChangedFaces(selection, np.concatenate([np.empty(0, np.int64), *index]), given, [_CHANGED, *seed])


def _cells(manifest: Manifest) -> dict[int, Cell]:
    """The cell of each generated face that may be trained on, by row."""
    frame = pd.concat([manifest.frame["label"], manifest.facts(["occlusion", "light"])], axis=1).astype(object)
    cells = frame.where(frame.notna(), None).itertuples(index=False, name=None)
    return {row: cell for row, (cell, usable) in enumerate(zip(cells, usable_rows(manifest), strict=True)) if usable}


def _verdict(differences: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Which of the two is the default: the one with the higher score, however small the difference."""
    found = next(
        entry
        for entry in differences
        if (entry["after"], entry["before"], entry["metric"]) == ("learned", "afterwards", DECIDING_METRIC)
    )
    return {
        "default": "learned" if found["value"] > 0 else "afterwards",
        "decided": bool(found["low"] > 0 or found["high"] < 0),
        "difference": found,
    }
