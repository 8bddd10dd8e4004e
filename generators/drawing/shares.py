"""One checkpoint's part of a plan: what it draws, from which faces, and what made them, as provenance."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_data.errors import FerError
from fer_data.files import sha256_json
from fer_data.plans import Plan
from fer_data.project import relative
from generators.contract import Generator
from generators.drawing.orders import Order
from generators.drawing.requests import Opening
from generators.models import SEEN, checkpoint_sha256, describe_checkpoint


@dataclass(frozen=True)
class Checkpoint:
    """An opened checkpoint.

    Attributes:
        place: its number among those that share a plan, and how many these are.
        path: its folder.
        description: what `generator.json` says.
        generator: what draws.
    """

    place: tuple[int, int]
    path: Path
    description: Mapping[str, Any]
    generator: Generator

    @property
    def picture_shape(self) -> tuple[int, int, int]:
        """Shape of what it draws: channels, height, width."""
        return self.generator.channels, self.generator.size_px, self.generator.size_px


@dataclass(frozen=True)
class Share:
    """The faces of a plan that one checkpoint draws.

    Attributes:
        checkpoint: what draws them.
        order: the N faces.
        parents: int64 [N], rows of the training manifest that they start from; None starts from noise.
        generation: what made them, as their store tells it.
    """

    checkpoint: Checkpoint
    order: Order
    parents: NDArray[np.int64] | None
    generation: Mapping[str, Any]

    @property
    def source(self) -> str:
        """The first part of their sample_ids."""
        return f"synthetic-{self.generation['id'][:8]}"


def open_checkpoints(opening: Opening, label_set: str) -> list[Checkpoint]:
    """The checkpoints that share a plan.

    Raises:
        FerError: there are none; one is unfinished, damaged or of another label set, or refuses a sampling option.
    """
    if not opening.checkpoints:
        raise FerError("checkpoints: expected at least one to draw with, found none; name the folder of a generator")
    descriptions = [describe_checkpoint(path) for path in opening.checkpoints]
    for path, description in zip(opening.checkpoints, descriptions, strict=True):
        if description["label_set"] != label_set:
            raise FerError(
                f"{path}: expected a generator of the plan's label set {label_set}, "
                f"found {description['label_set']}; train one, or make the plan for this one"
            )
    opened = zip(opening.checkpoints, descriptions, opening.open(), strict=True)
    return [Checkpoint((place, len(descriptions)), *parts) for place, parts in enumerate(opened)]


def describe_generation(checkpoint: Checkpoint, plan: Plan, root: Path, choices: Mapping[str, Any]) -> dict[str, Any]:
    """What makes the faces of a share. The id names what decides the pictures, not when or where they were made.

    Args:
        root: the project that paths are relative to.
        choices: what decides the pictures beside checkpoint and plan: seed, source, guide, … (JSON-able).
    """
    description = checkpoint.description
    decisive = {
        "kind": description["kind"],
        "checkpoint_sha256": checkpoint_sha256(checkpoint.path),
        "training_sha256": description["training_sha256"],
        "sampling": dict(checkpoint.generator.sampling),
        **choices,
        "share": list(checkpoint.place),
    }
    asked = [[cell.label, cell.occlusion, cell.light, cell.count] for cell in plan.cells]
    return {
        "id": sha256_json({**decisive, "asked": asked})[:16],
        **decisive,
        "checkpoint": relative(checkpoint.path, root),
        "seen": relative(checkpoint.path / SEEN, root),
        "manifest_sha256": description["manifest_sha256"],
        "plan": {"manifest": plan.manifest, "cells": [asdict(cell) for cell in plan.cells]},
    }
