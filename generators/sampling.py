"""Fulfil a plan: draw its faces, one seed each, and write them as a store and a manifest with their provenance."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fer_data import links
from fer_data import manifest as manifests
from fer_data.balance import Cell, Plan
from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.files import atomic_file, refuse_existing, sha256_json
from fer_data.manifest import Manifest, manifest_path
from fer_data.progress import SILENT, Reporter
from fer_data.project import project_root, relative
from fer_data.samples import Sample
from fer_data.store_writer import StoreWriter
from generators.contract import Generator
from generators.models import SEEN, checkpoint_sha256, describe_checkpoint, load_generator


class GenerateConfig(Configuration):
    """How a plan is fulfilled."""

    seed: int = Field(0, ge=0)
    # Options of the checkpoint's kind that replace those it was trained with: diffusion has `steps` and `guidance`,
    # the DCGAN `spread`.
    sampling: dict[str, Any] = Field(default_factory=dict)
    chunk: int = Field(256, ge=1)  # faces between the points that a killed run resumes from


@dataclass(frozen=True)
class Order:
    """Every face of a plan, in order: N rows.

    Attributes:
        cells: the cell of each face.
        conditions: int64 [N, 3].
        seeds: int64 [N].
    """

    cells: Sequence[Cell]
    conditions: NDArray[np.int64]
    seeds: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.seeds)


def generate(
    plan: Plan,
    checkpoint: Path,
    out: str | Path,
    config: GenerateConfig,
    reporter: Reporter = SILENT,
    *,
    replace: bool = False,
) -> Manifest:
    """Draw every face that a plan asks for.

    Faces are kept in chunks beside the output while they are drawn; the same command again goes on after a kill and
    ends with the same pictures as an undisturbed run.

    Returns:
        A manifest of synthetic training rows, `synthetic-<generation>/<index>`, in the plan's order.

    Raises:
        FerError: `out` exists and `replace` is false; the checkpoint is of another label set, or does not know a
            condition that the plan asks for; the plan asks for nothing.
    """
    out = manifest_path(out)
    refuse_existing(out, replace=replace)
    description = describe_checkpoint(checkpoint)
    if plan.label_set != description["label_set"]:
        raise FerError(
            f"{checkpoint}: expected a generator of the plan's label set {plan.label_set}, "
            f"found {description['label_set']}; train one, or make the plan for this one"
        )
    generator = load_generator(checkpoint, config.sampling)
    order = lay_out(plan, generator, config.seed)
    generation = _generation(plan, checkpoint, description, generator, config, project_root(out.parent))
    chunks = out.with_name(f".{out.stem}.{generation['id']}.chunks")
    pictures = _draw(generator, order, chunks, config.chunk, reporter)
    made = _write(pictures, order, generation, description, out, config, replace=replace)
    shutil.rmtree(chunks)
    return made


def lay_out(plan: Plan, generator: Generator, seed: int) -> Order:
    """List the faces of a plan. A face's seed depends on `seed`, its cell's place and its place in the cell alone.

    Raises:
        FerError: the generator lacks a condition, or the plan asks for nothing.
    """
    if not plan.asked:
        raise FerError(
            "the plan asks for no faces; expected a cell whose count is above 0, make another with fer balance"
        )
    cells, conditions, seeds = [], [], []
    for place, cell in enumerate(plan.cells):
        if not cell.count:
            continue
        where = f"plan cell {place}"
        row = generator.vocabulary.encode([cell.label], [cell.occlusion], [cell.light], where)
        cells += [cell] * cell.count
        conditions.append(np.repeat(row, cell.count, axis=0))
        seeds += [
            int(np.random.SeedSequence([seed, place, index]).generate_state(1, np.uint64)[0] >> np.uint64(1))
            for index in range(cell.count)
        ]
    return Order(cells, np.concatenate(conditions), np.asarray(seeds, dtype=np.int64))


def _generation(
    plan: Plan,
    checkpoint: Path,
    description: Mapping[str, Any],
    generator: Generator,
    config: GenerateConfig,
    root: Path,
) -> dict[str, Any]:
    """What made the faces. The id names what decides the pictures, not when or where they were made."""
    cells = [asdict(cell) for cell in plan.cells]
    decisive = {
        "kind": description["kind"],
        "checkpoint_sha256": checkpoint_sha256(checkpoint),
        "training_sha256": description["training_sha256"],
        **generator.sampling,
        "seed": config.seed,
    }
    asked = [[cell.label, cell.occlusion, cell.light, cell.count] for cell in plan.cells]
    return {
        "id": sha256_json({**decisive, "asked": asked})[:16],
        **decisive,
        "checkpoint": relative(checkpoint, root),
        "seen": relative(checkpoint / SEEN, root),
        "manifest_sha256": description["manifest_sha256"],
        "plan": {"manifest": plan.manifest, "cells": cells},
    }


def _draw(generator: Generator, order: Order, chunks: Path, size: int, reporter: Reporter) -> NDArray[np.uint8]:
    """Draw chunk by chunk, each kept in one rename; uint8 [N, C, S, S]."""
    chunks.mkdir(parents=True, exist_ok=True)
    shape = (len(order), generator.channels, generator.size_px, generator.size_px)
    pictures = np.empty(shape, dtype=np.uint8)
    with reporter.stage("drawing faces", len(order)) as stage:
        for start in range(0, len(order), size):
            rows = slice(start, min(start + size, len(order)))
            kept = chunks / f"{rows.start:08d}-{rows.stop:08d}.npy"
            if not kept.is_file():
                drawn = generator.sample(order.conditions[rows], order.seeds[rows])
                with atomic_file(kept) as partial, partial.open("wb") as file:
                    np.save(file, drawn, allow_pickle=False)
            pictures[rows] = np.load(kept, allow_pickle=False)
            stage.advance(rows.stop - rows.start, order.cells[rows.start].label)
    return pictures


def _write(
    pictures: NDArray[np.uint8],
    order: Order,
    generation: Mapping[str, Any],
    description: Mapping[str, Any],
    out: Path,
    config: GenerateConfig,
    *,
    replace: bool,
) -> Manifest:
    root = project_root(out.parent)
    source = f"synthetic-{generation['id'][:8]}"
    licence = dict(description["licence"])
    with StoreWriter(source, root, licence=licence, source=source, generation=generation) as writer:
        for index, (picture, cell, seed) in enumerate(zip(pictures, order.cells, order.seeds, strict=True)):
            writer.add(_sample(index, picture, cell, int(seed), generation["id"]))
        store = writer.close()
    ids = [f"{source}/{index:06d}" for index in range(len(order))]
    rows = manifests.new_rows(
        len(order),
        sample_id=ids,
        store=relative(store.path, root),
        store_row=np.arange(len(order)),
        label=[cell.label for cell in order.cells],
        label_origin="generated",
        split="train",
        group_id=links.group_ids(ids, np.empty((0, 2), dtype=np.int64)),  # each its own
        origin="synthetic",
    )
    return manifests.write(
        rows,
        out,
        label_set=description["label_set"],
        command="fer generate",
        licence=licence,
        parents={description["manifest"]: description["manifest_sha256"]},
        configuration=config.model_dump(mode="json"),
        replace=replace,
        generation=dict(generation),
    )


def _sample(index: int, picture: NDArray[np.uint8], cell: Cell, seed: int, generation_id: str) -> Sample:
    return Sample(
        key=f"{index:06d}",
        image=np.ascontiguousarray(picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0)),
        label=cell.label,
        source_label=cell.label,
        split="train",
        where=f"synthetic face {index}",
        facts={
            "occlusion": cell.occlusion,
            "light": cell.light,
            "condition_source": "generated",
            "generation_id": generation_id,
            "seed": seed,
        },
    )
