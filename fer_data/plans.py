"""A plan says how many faces of each (label, occlusion, light) to make. It is a small YAML file, for editing too."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field

from fer_data.configuration import Configuration, build, read_yaml
from fer_data.errors import FerError
from fer_data.expressions import LIGHTS, OCCLUSIONS, label_names
from fer_data.files import atomic_file, refuse_existing
from fer_data.manifest import Manifest

Key = tuple[str, str | None, str | None]
Count = Annotated[int, Field(ge=0)]
_HEADER = "# Faces to make, per (label, occlusion, light). Edit `count` freely; null is a condition nobody knows.\n"


@dataclass(frozen=True)
class Cell:
    """Faces of one label under one condition.

    Attributes:
        occlusion, light: null where unknown.
        have: training faces when the plan was made.
        target: training faces that there should be.
        count: faces to make.
    """

    label: str
    occlusion: str | None
    light: str | None
    have: int
    target: int
    count: int

    @property
    def key(self) -> Key:
        return self.label, self.occlusion, self.light


@dataclass(frozen=True)
class Plan:
    """Which faces to make.

    Attributes:
        cells: those asked for, and those that the filled labels have already (count 0).
        manifest, manifest_sha256: what the plan was made for, relative to the project.
    """

    label_set: str
    cells: tuple[Cell, ...]
    manifest: str = ""
    manifest_sha256: str = ""
    configuration: Mapping[str, Any] = field(default_factory=dict)

    @property
    def asked(self) -> int:
        """How many faces the plan asks for."""
        return sum(cell.count for cell in self.cells)


def require_same_labels(plan: Plan, manifest: Manifest) -> None:
    """Raise FerError where a plan is for another label set than a manifest's."""
    if plan.label_set != manifest.label_set:
        raise FerError(
            f"{manifest.path}: expected the plan's label set {plan.label_set}, found {manifest.label_set}; "
            "make the plan for this manifest"
        )


def write_plan(plan: Plan, path: Path, replace: bool = False) -> Path:
    """Write a plan as YAML, one line per cell.

    Raises:
        FerError: `path` exists and `replace` is false.
    """
    refuse_existing(path, replace=replace)
    head = {
        "kind": "plan",
        "label_set": plan.label_set,
        "manifest": plan.manifest,
        "manifest_sha256": plan.manifest_sha256,
        "configuration": dict(plan.configuration),
    }
    lines = [yaml.safe_dump(asdict(cell), default_flow_style=True, sort_keys=False, width=1000) for cell in plan.cells]
    with atomic_file(path) as partial:
        partial.write_text(
            _HEADER + yaml.safe_dump(head, sort_keys=False) + "cells:\n" + "".join(f"- {line}" for line in lines)
        )
    return path


def read_plan(path: Path) -> Plan:
    """Read a plan that `write_plan` wrote and a person may have edited.

    Raises:
        FerError: missing, not a plan, an unknown label set, label, condition or key, a negative count, a cell twice.
    """
    if not path.is_file():
        raise FerError(f"{path} is missing; expected a plan, make one with fer balance")
    content = build(_PlanFile, read_yaml(path), str(path))
    labels = label_names(content.label_set)
    seen: set[Key] = set()
    cells = []
    for number, cell in enumerate(content.cells):
        where = f"{path} cell {number}"
        for word, known, name in (
            (cell.label, labels, f"a label of {content.label_set}"),
            (cell.occlusion, (*OCCLUSIONS, None), "an occlusion"),
            (cell.light, (*LIGHTS, None), "a light"),
        ):
            if word not in known:
                choice = ", ".join("null" if one is None else one for one in known)
                raise FerError(f"{where}: expected {name} ({choice}), found {word!r}; correct the line")
        checked = Cell(**cell.model_dump())
        if checked.key in seen:
            raise FerError(f"{where}: expected every cell once, found {checked.key} again; join the two lines")
        seen.add(checked.key)
        cells.append(checked)
    return Plan(**{**content.model_dump(exclude={"kind"}), "cells": tuple(cells)})


class _CellLine(Configuration):
    label: str
    occlusion: str | None
    light: str | None
    have: Count
    target: Count
    count: Count


class _PlanFile(Configuration):
    kind: Literal["plan"]
    label_set: str
    manifest: str = ""
    manifest_sha256: str = ""
    configuration: dict[str, Any] = Field(default_factory=dict)
    cells: tuple[_CellLine, ...]
