"""What is missing per (label, occlusion, light): a plan for the generators, and what a manifest got of it.

Cells count faces of the training split. A condition that no data set and no measurement states is null, and null
is a cell of its own.
"""

import itertools
import math
import statistics
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, field_validator

from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.expressions import LIGHTS, OCCLUSIONS
from fer_data.manifest import Manifest
from fer_data.plans import Cell, Count, Key, Plan, read_plan, require_same_labels, write_plan
from fer_data.project import relative
from fer_data.tabular.attributes import attributes
from fer_data.tabular.columns import word_codes

__all__ = [
    "BalanceConfig",
    "Cell",
    "Plan",
    "conditions",
    "count_cells",
    "fill",
    "fulfilment",
    "make_plan",
    "read_plan",
    "write_plan",
]

CELL = ("label", "occlusion", "light")
UNKNOWN = "unknown"  # how settings and the command line write a null condition

Condition = tuple[str | None, str | None]
Share = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Faces(NamedTuple):
    """Training faces of one cell."""

    total: int
    synthetic: int


class BalanceConfig(Configuration):
    """What to fill up, and with what."""

    labels: tuple[str, ...] | None = None  # labels to fill; null means all of the label set
    # Every label is filled up to the largest label's count, to the median of the labels, or to a number of faces
    # (one for all, or one per label).
    target: Literal["largest", "median"] | Count | dict[str, Count] = "largest"
    # Conditions that the new faces show, "unknown" for no condition; null means as the label's own faces do.
    occlusions: tuple[str | None, ...] | None = None
    lights: tuple[str | None, ...] | None = None
    shares: dict[str, Share] = Field(default_factory=dict)  # relative share of an occlusion or light, 1 where not given

    @field_validator("target", mode="wrap")
    @classmethod
    def _known_target(cls, target: Any, check: ValidatorFunctionWrapHandler) -> Any:
        try:
            return check(target)
        except ValidationError:  # pydantic would complain about the first alternative only
            raise ValueError("expected largest, median, a number of faces, or a number per label") from None

    @field_validator("occlusions", "lights")
    @classmethod
    def _known_conditions(cls, words: tuple[str | None, ...] | None, info: Any) -> tuple[str | None, ...] | None:
        if words is None:
            return None
        known = OCCLUSIONS if info.field_name == "occlusions" else LIGHTS
        nulled = tuple(None if word == UNKNOWN else word for word in words)
        strange = [word for word in nulled if word is not None and word not in known]
        if strange or not words or len(set(nulled)) < len(nulled):
            raise ValueError(f"expected different words out of {', '.join((*known, UNKNOWN))}")
        return nulled

    @field_validator("shares")
    @classmethod
    def _known_shares(cls, shares: dict[str, float]) -> dict[str, float]:
        if not set(shares) <= {*OCCLUSIONS, *LIGHTS, UNKNOWN}:
            raise ValueError(f"expected shares of {', '.join((*OCCLUSIONS, *LIGHTS, UNKNOWN))}")
        return shares


def make_plan(manifest: Manifest, config: BalanceConfig) -> Plan:
    """Say which faces the training split lacks.

    A label that has fewer faces than its target lacks the difference, whatever conditions its faces show. The
    difference goes to the conditions asked for so that these end as even, relative to their shares, as adding
    faces can make them.

    Raises:
        FerError: no labelled training faces, or a label that is not in the manifest's set.
    """
    counted = count_cells(manifest)
    if not counted:
        raise FerError(f"{manifest.path}: expected labelled faces in the training split, found none; split it first")
    cells: list[Cell] = []
    for label, target in _targets(counted, manifest, config).items():
        cells += _cells_of_label(label, target, counted, config)
    return Plan(
        label_set=manifest.label_set,
        cells=tuple(cells),
        manifest=relative(manifest.path, manifest.root),
        manifest_sha256=manifest.sha256,
        configuration=config.model_dump(mode="json"),
    )


def fulfilment(plan: Plan, manifest: Manifest) -> pd.DataFrame:
    """What a manifest's training split got of a plan.

    Returns:
        One row per cell of the plan: label, occlusion, light, have and target (as planned), asked, got (synthetic
        faces), total (all training faces); words are objects with None where unknown, counts int64.

    Raises:
        FerError: the plan is for another label set.
    """
    require_same_labels(plan, manifest)
    counted = count_cells(manifest)
    rows = []
    for cell in plan.cells:
        there = counted.get(cell.key, Faces(0, 0))
        rows.append((*cell.key, cell.have, cell.target, cell.count, there.synthetic, there.total))
    numbers = ("have", "target", "asked", "got", "total")
    table = pd.DataFrame(rows, columns=[*CELL, *numbers], dtype=object)
    return table.astype(dict.fromkeys(numbers, np.int64))


def conditions(manifest: Manifest, rows: NDArray[np.bool_]) -> pd.DataFrame:
    """Label, occlusion and light of some rows, object columns with None where unknown, index 0..M-1."""
    facts = manifest.facts(["occlusion", "light"], rows)
    facts.insert(0, "label", manifest.table["label"].filter(pa.array(rows)).cast(pa.string()).to_pandas())
    facts = facts.astype(object)
    return facts.where(facts.notna(), None)


def count_cells(manifest: Manifest) -> dict[Key, Faces]:
    """Labelled training faces, repeats counted, of every cell that has any."""
    table = manifest.table
    rows = (word_codes(table["split"], ("train",)) == 0) & (word_codes(table["label"], manifest.labels) >= 0)
    coded = attributes(manifest, CELL)
    words = [(None, *values) for _, values in coded]
    shape = tuple(len(known) for known in words)
    cells = np.ravel_multi_index([codes[rows] + 1 for codes, _ in coded], shape)
    faces = table["repeat"].to_numpy()[rows]
    made = word_codes(table["origin"], ("synthetic",))[rows] == 0
    total, synthetic = (
        np.bincount(cells, weights=weights, minlength=math.prod(shape)) for weights in (faces, faces * made)
    )
    counted: dict[Key, Faces] = {}
    for cell in np.flatnonzero(total):
        label, occlusion, light = (
            known[place] for known, place in zip(words, np.unravel_index(cell, shape), strict=True)
        )
        counted[str(label), occlusion, light] = Faces(int(total[cell]), int(synthetic[cell]))
    return counted


def _targets(counted: Mapping[Key, Faces], manifest: Manifest, config: BalanceConfig) -> dict[str, int]:
    """How many training faces each filled label should have, in the order of the label set."""
    target = config.target
    named = {*(config.labels or ()), *(target if isinstance(target, dict) else ())}
    strange = sorted(named - set(manifest.labels))
    if strange:
        raise FerError(
            f"{manifest.path}: expected labels of {manifest.label_set} ({', '.join(manifest.labels)}), "
            f"found {', '.join(strange)}"
        )
    filled = [label for label in manifest.labels if config.labels is None or label in config.labels]
    if isinstance(target, dict):
        return {label: target[label] for label in filled if label in target}
    have = Counter[str]()
    for (label, _, _), faces in counted.items():
        have[label] += faces.total
    levels = {"largest": max(have.values()), "median": round(statistics.median(have.values()))}
    return dict.fromkeys(filled, levels[target] if isinstance(target, str) else target)


def _cells_of_label(label: str, target: int, counted: Mapping[Key, Faces], config: BalanceConfig) -> list[Cell]:
    """The cells of one label: those asked for, and those that it has besides."""
    have = {(key[1], key[2]): faces.total for key, faces in counted.items() if key[0] == label}
    shares = _shares(have or _all_conditions(counted), config)
    counts = fill(
        max(0, target - sum(have.values())),
        np.array([have.get(condition, 0) for condition in shares], dtype=np.float64),
        np.array(list(shares.values())),
    )
    to_make = dict(zip(shares, counts.tolist(), strict=True))
    cells = []
    for condition in sorted({*have, *to_make}, key=_order):
        there, count = have.get(condition, 0), to_make.get(condition, 0)
        cells.append(Cell(label, *condition, have=there, target=there + count, count=count))
    return cells


def _all_conditions(counted: Mapping[Key, Faces]) -> Counter[Condition]:
    """Faces per condition whatever their label: the best guess for a label that has none."""
    faces = Counter[Condition]()
    for (_, occlusion, light), there in counted.items():
        faces[occlusion, light] += there.total
    return faces


def _shares(have: Mapping[Condition, int], config: BalanceConfig) -> dict[Condition, float]:
    """The share of every condition asked for; what the configuration leaves open is shared as in `have`."""
    given = {None if word == UNKNOWN else word: share for word, share in config.shares.items()}
    weights: dict[Condition, float] = {}
    for (own_occlusion, own_light), faces in have.items():
        occlusions = config.occlusions if config.occlusions is not None else (own_occlusion,)
        lights = config.lights if config.lights is not None else (own_light,)
        for occlusion, light in itertools.product(occlusions, lights):
            weight = faces * given.get(occlusion, 1.0) * given.get(light, 1.0)
            weights[occlusion, light] = weights.get((occlusion, light), 0.0) + weight
    total = sum(weights.values())
    return {condition: weights[condition] / total for condition in sorted(weights, key=_order)}


def _order(condition: Condition) -> tuple[int, int]:
    """The words in the order of their lists, the unknown last."""
    rank = {word: position for position, word in enumerate((*OCCLUSIONS, *LIGHTS))}
    return rank.get(condition[0] or "", len(rank)), rank.get(condition[1] or "", len(rank))


def fill(missing: int, have: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """Spread faces over cells so that the lowest cells, relative to their shares, are raised to one level.

    Args:
        missing: how many faces, at least 0.
        have: float64 [N], faces that each cell has.
        shares: float64 [N], positive.

    Returns:
        int64 [N], whole numbers that sum to `missing`; what rounding leaves over goes to the largest fractions,
        the first cells first.
    """
    order = np.argsort(have / shares, kind="stable")
    levels = (missing + np.cumsum(have[order])) / np.cumsum(shares[order])
    raised = np.flatnonzero(levels >= (have / shares)[order])
    exact = np.maximum(levels[raised[-1]] * shares - have, 0)
    counts = np.floor(exact + 1e-9).astype(np.int64)
    left = missing - int(counts.sum())
    counts[np.argsort(counts - exact, kind="stable")[:left]] += 1
    return np.asarray(counts, dtype=np.int64)
