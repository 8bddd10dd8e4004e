"""Fulfil a plan: draw its faces, one seed each, from one checkpoint or several, resumable at any time."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.files import hidden_folders, refuse_existing
from fer_data.locks import name_lock
from fer_data.manifest import Manifest, manifest_path
from fer_data.plans import Plan
from fer_data.progress import SILENT, Reporter
from fer_data.project import project_root
from generators.contract import GuideSource
from generators.drawing.chunks import Chunk, chunks_of
from generators.drawing.orders import Conditions, Order, lay_out, plain
from generators.drawing.re_expression import ParentFaces, pictures_of
from generators.drawing.requests import Opening, Request, draw_requests
from generators.drawing.shares import Checkpoint, Share, describe_generation, open_checkpoints
from generators.drawing.synthetic_rows import write_synthetic
from generators.models import SEEN
from generators.training_faces import select_faces


class GenerateConfig(Configuration):
    """How a plan is fulfilled."""

    seed: int = Field(0, ge=0)
    source: Literal["noise", "faces"] = "noise"  # or real training faces, given the asked expression in place
    parents_of: tuple[str, ...] | None = None  # labels of the faces to start from; null: any other than the asked one
    # Occlusion and light as the generator learnt them, or put on the faces that it drew.
    conditions: Conditions = "learned"
    # Options of the checkpoint's kind that replace those it was trained with: diffusion has `steps` and `guidance`,
    # the DCGAN `spread`.
    sampling: dict[str, Any] = Field(default_factory=dict)
    chunk: int = Field(64, ge=1)  # faces between the points that a killed run resumes from
    processes: int = Field(0, ge=0)  # that draw at a time; 0 is one per core, where starting them pays


def generate(
    plan: Plan,
    checkpoints: Sequence[Path],
    out: str | Path,
    config: GenerateConfig,
    reporter: Reporter = SILENT,
    *,
    training: Manifest | None = None,
    guide: GuideSource | None = None,
    first: Sequence[int] | None = None,
    replace: bool = False,
) -> Manifest:
    """Draw every face that a plan asks for.

    Faces are kept in chunks beside the output while they are drawn; the same command again goes on after a kill and
    ends with the same pictures as an undisturbed run. A picture depends on its seed, its cell and its checkpoint
    alone, not on how many processes draw or what is drawn beside it.

    Args:
        checkpoints: generators of the plan's label set; face i of a cell is drawn by checkpoint i modulo their
            number, and each has its own store.
        training: where `config.source` is "faces", the manifest that the generators were trained on.
        guide: steers the sampling; how far, the sampling options say.
        first: how many faces of each cell of the plan were drawn before; their seeds are not used again.

    Returns:
        A manifest of synthetic training rows, `synthetic-<generation>/<index>`, in the plan's order. A face that
        was made from a real one names it in the fact `parents` and shares its group.

    Raises:
        FerError: `out` exists and `replace` is false, or is being made by another run; a checkpoint is of another
            label set, does not know a condition that the plan asks for, or cannot start from faces; there are no
            faces to start from; the plan asks for nothing; the disk is full.
    """
    out = manifest_path(out)
    refuse_existing(out, replace=replace)
    opening = Opening(tuple(checkpoints), config.sampling, guide)
    opened = open_checkpoints(opening, plan.label_set)
    training = _faces_to_start_from(opened, training, config)
    with name_lock(out):
        known = [(str(checkpoint.path), checkpoint.generator.vocabulary) for checkpoint in opened]
        orders = lay_out(plan, known, config.seed, first=first, conditions=config.conditions)
        parents = _choose_parents(orders, opened, training, config, reporter)
        choices = _choices(config, training, guide, first)
        root = project_root(out.parent)
        shares = [
            Share(checkpoint, order, rows, describe_generation(checkpoint, plan, root, choices))
            for checkpoint, order, rows in zip(opened, orders, parents, strict=True)
            if len(order)
        ]
        chunks = _draw(opening, opened, shares, out, training, config, reporter)
        pictures = [(chunk.whole() for chunk in own) for own in chunks]
        settings = config.model_dump(mode="json")
        made = write_synthetic(shares, pictures, out, settings, training, replace=replace)
        for kept in hidden_folders(out, "chunks"):  # of this run, and of others that nobody went on with
            shutil.rmtree(kept)
    return made


def _choices(
    config: GenerateConfig, training: Manifest | None, guide: GuideSource | None, first: Sequence[int] | None
) -> dict[str, Any]:
    """What decides the pictures beside plan and checkpoints."""
    return {
        "seed": config.seed,
        "first": list(first) if first is not None else None,
        "source": config.source,
        "parents_of": config.parents_of,
        "parents_sha256": training.sha256 if training is not None else None,
        "conditions": config.conditions,
        "guide_sha256": guide.sha256 if guide is not None else None,
    }


def _faces_to_start_from(
    opened: Sequence[Checkpoint], training: Manifest | None, config: GenerateConfig
) -> Manifest | None:
    """The manifest whose faces are re-expressed; None starts from noise."""
    if config.source == "noise":
        return None
    if training is None:
        raise FerError(
            "source faces: expected the manifest that the generator was trained on, found none; "
            "name it with --training, or set source to noise"
        )
    for checkpoint in opened:
        if not checkpoint.generator.starts_from_faces:
            raise FerError(
                f"{checkpoint.path}: expected a generator that can start from faces, found "
                f"{checkpoint.description['kind']}; give a diffusion model, or set source to noise"
            )
    return training


def _choose_parents(
    orders: Sequence[Order],
    opened: Sequence[Checkpoint],
    training: Manifest | None,
    config: GenerateConfig,
    reporter: Reporter,
) -> list[NDArray[np.int64] | None]:
    """The training manifest's row that each face starts from, per order."""
    if training is None:
        return [None] * len(orders)
    selection = select_faces(training, minimum_per_class=0)
    chosen: list[NDArray[np.int64] | None] = []
    with reporter.stage("choosing faces to start from", sum(map(len, orders))) as stage:
        for order, checkpoint in zip(orders, opened, strict=True):
            faces = ParentFaces(selection, checkpoint.path / SEEN, config.parents_of)
            rows = np.empty(len(order), dtype=np.int64)
            for place, (cell, seed) in enumerate(zip(order.cells, order.seeds, strict=True)):
                rows[place] = faces.parent_of(cell if config.conditions == "learned" else plain(cell), int(seed))
                stage.advance(note=cell.label)
            chosen.append(rows)
    return chosen


def _draw(
    opening: Opening,
    opened: Sequence[Checkpoint],
    shares: Sequence[Share],
    out: Path,
    training: Manifest | None,
    config: GenerateConfig,
    reporter: Reporter,
) -> list[list[Chunk]]:
    """Draw the chunks that are not there yet, each kept in one rename; the chunks of every share."""
    chunks = [
        list(
            chunks_of(
                out.with_name(f".{out.stem}.{share.generation['id']}.chunks"),
                len(share.order),
                config.chunk,
                share.checkpoint.picture_shape,
            )
        )
        for share in shares
    ]
    pairs = [(share, chunk) for share, own in zip(shares, chunks, strict=True) for chunk in own]
    waiting = [(share, chunk) for share, chunk in pairs if chunk.read() is None]
    requests = (_request(share, chunk, training, config) for share, chunk in waiting)
    generators = [checkpoint.generator for checkpoint in opened]
    total = sum(len(chunk) for _, chunk in pairs)
    done = total - sum(len(chunk) for _, chunk in waiting)
    with reporter.stage("drawing faces", total) as stage:
        stage.advance(done, "resumed" if done else "")
        for request, pictures in draw_requests(opening, generators, requests, len(waiting), config.processes):
            request.chunk.write(pictures)
            stage.advance(len(pictures))
    return chunks


def _request(share: Share, chunk: Chunk, training: Manifest | None, config: GenerateConfig) -> Request:
    order, rows = share.order, chunk.rows
    faces = None
    if training is not None and share.parents is not None:
        _, size_px, _ = share.checkpoint.picture_shape
        faces = pictures_of(training, share.parents[rows], size_px, share.checkpoint.generator.channels)
    afterwards = [(cell.occlusion, cell.light) for cell in order.cells[rows]]
    return Request(
        share.checkpoint.place[0],
        chunk,
        order.conditions[rows],
        order.seeds[rows],
        faces,
        afterwards if config.conditions == "afterwards" else None,
    )
