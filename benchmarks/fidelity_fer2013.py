"""Faces that generators drew of rare expressions: are they what was asked for, as varied as real ones, and nobody's?

    python benchmarks/fidelity_fer2013.py --training manifests/audited --judges runs/judges \
        --diffusion runs/diffusion --dcgan runs/dcgan [--sampling '{steps: 10}'] [--held-out test]
        [--faces 400] [--minutes 100] [--quick] [--out docs/results/fidelity_fer2013.jsonl]

Run in the project of the generators' training manifest. Of each run its checkpoint is measured, or the latest snapshot.

- Three sources fill the same plan, disgust and fear, lit as the training faces of the label are: diffusion and DCGAN
  from noise, and re-expression (diffusion from training faces of other labels). What was drawn and what screening kept
  of it is measured by the judge that neither steered nor screened, at equal counts.
- Under every occlusion and light: yield, and what the judges see.
- Learning curves: unscreened faces of every label from every snapshot, over the minutes of training.
- The same of all three sources at equal training time, the shorter of both runs.

`peer` is what real faces of the held-out split get in the same place, without twins elsewhere; of KID that is the
floor, real training against real held-out faces. What was drawn stays in manifests/fidelity/ under a name that tells
checkpoint, settings and count apart: another call draws only what is new. A classifier trained on synthetic faces
alone is `fer experiment experiments/usefulness`. --quick: few faces, first and last snapshot, no conditions.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from fidelity_lines import RARE, beside, best_coverage, group_of, source_lines, yield_line
from measuring import keep, tell
from training_stages import Stage, by_minute, stages

from experiments.fill_plan import FillConfig, fill_plan
from experiments.filled import Filled
from experiments.guides import classifier_sha256, guide_source
from experiments.judges import Judges, load_judges
from fer_data import manifest as manifests
from fer_data.configuration import build
from fer_data.expressions import LIGHTS, OCCLUSIONS
from fer_data.files import sha256_json
from fer_data.manifest import Manifest
from fer_data.plans import Cell, Plan
from fer_data.progress import Terminal
from generators.contract import GuideSource
from generators.fidelity import (
    FidelityConfig,
    Reference,
    fidelity_path,
    measure_fidelity,
    read_reference,
    write_fidelity,
)
from generators.fidelity.faces import picture_size
from generators.models import checkpoint_sha256, describe_checkpoint
from generators.sampling import GenerateConfig, generate

SOURCES = ("diffusion", "re_expression", "dcgan")
FOLDER = Path("manifests/fidelity")


@dataclass(frozen=True)
class Sizes:
    """How much is drawn.

    Attributes:
        faces: to keep of each rare label.
        under_condition: to keep of each rare label under each condition.
        curve: drawn of each label, at each point of a learning curve.
        fewest: faces on a side of which distances are told.
        budget_faces: drawn at most for each face to keep.
    """

    faces: int
    under_condition: int
    curve: int
    fewest: int = 30
    budget_faces: int = 20


@dataclass(frozen=True)
class Bench:
    """What every part of the benchmark needs; what is drawn lies in `FOLDER`."""

    training: Manifest
    judges: Path
    loaded: Judges
    reference: Reference
    stages: Mapping[str, Sequence[Stage]]
    sampling: Mapping[str, Any]
    sizes: Sizes
    minutes: float | None
    guide: GuideSource | None = None

    def stages_of(self, source: str) -> list[Stage]:
        """The stages of the run that a source draws with."""
        return list(self.stages["dcgan" if source == "dcgan" else "diffusion"])

    def fill(self, name: str, source: str, cells: Sequence[Cell]) -> Filled:
        """The plan filled by a source as it stands; what an earlier call filled is read."""
        checkpoint = self.stages_of(source)[-1].checkpoint
        budget = {"minutes": self.minutes, "budget_faces": self.sizes.budget_faces}
        config = build(FillConfig, {**budget, "generate": self._options(source)}, "benchmark")
        judges = [classifier_sha256(self.judges / role) for role in ("screening", "guide")]
        out = self._place(name, checkpoint, cells, {"fill": config.model_dump(mode="json"), "judges": judges})
        plan = Plan(self.training.label_set, tuple(cells))
        return fill_plan(plan, [checkpoint], self.training, self.judges, out, config, Terminal())

    def draw(self, source: str, stage: Stage) -> Manifest:
        """Unscreened faces of every label, lit as training faces are; what an earlier call drew is read."""
        cells = [cell for label in self.training.labels for cell in lit_cells(self.reference, label, self.sizes.curve)]
        config = build(GenerateConfig, self._options(source), "benchmark")
        guide = None if source == "dcgan" else self.guide
        asked = {"generate": config.model_dump(mode="json"), "guide": guide.sha256 if guide else None}
        out = self._place(f"curve-{source}-{stage.steps}", stage.checkpoint, cells, asked)
        if out.is_file():
            return manifests.read(out)
        plan = Plan(self.training.label_set, tuple(cells))
        return generate(plan, [stage.checkpoint], out, config, Terminal(), training=self.training, guide=guide)

    def measure(self, drawn: Manifest, kept: Manifest | None = None) -> dict[str, Any]:
        """Fidelity, kept beside the drawn faces."""
        measured = measure_fidelity(
            drawn,
            self.training,
            self.loaded.measuring,
            self.reference.config,
            Terminal(),
            condition_judge=self.loaded.conditions,
            kept=kept,
            reference=self.reference,
        )
        write_fidelity(fidelity_path(drawn.path), measured, replace=True)
        return measured

    def _options(self, source: str) -> dict[str, Any]:
        """Drawing of a source, as `GenerateConfig` takes it."""
        if source == "dcgan":
            return {}
        return {"sampling": dict(self.sampling), "source": "faces" if source == "re_expression" else "noise"}

    def _place(self, name: str, checkpoint: Path, cells: Sequence[Cell], asked: Mapping[str, Any]) -> Path:
        """Where faces lie that were drawn so: another checkpoint, setting or count has another place."""
        decisive = {
            "checkpoint": checkpoint_sha256(checkpoint),
            "training": self.training.sha256,
            "cells": [[*cell.key, cell.count] for cell in cells],
            **asked,
        }
        return FOLDER / f"{name}-{sha256_json(decisive)[:8]}.parquet"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--training", type=Path, required=True, help="the manifest that the generators learnt from")
    parser.add_argument("--judges", type=Path, required=True, help="what `fer judges` made")
    parser.add_argument("--diffusion", type=Path, required=True, help="run folder of `fer train-generator diffusion`")
    parser.add_argument("--dcgan", type=Path, required=True, help="run folder of `fer train-generator dcgan`")
    parser.add_argument("--sampling", default="{}", help="options of the diffusion sampling, as YAML")
    parser.add_argument("--held-out", default="test", choices=("val", "test"), help="whose faces are the reference")
    parser.add_argument("--faces", type=int, default=400, help="faces to keep of each rare label")
    parser.add_argument("--minutes", type=float, help="no round of a plan starts later than this")
    parser.add_argument("--quick", action="store_true", help="24 faces a label, no conditions, short learning curves")
    parser.add_argument("--out", type=Path, help="also write the lines to this file")
    given = parser.parse_args()
    bench = _open(given)
    lines: list[str] = []
    for line in _figures(bench, quick=given.quick):
        tell(lines, line)
    keep(lines, given.out)


def _figures(bench: Bench, *, quick: bool) -> Iterator[dict[str, Any]]:
    yield from source_figures(bench)
    if not quick:
        yield from condition_figures(bench)
    yield from curve_figures(bench, [0, -1] if quick else None)
    yield from equal_time_figures(bench)


def source_figures(bench: Bench) -> Iterator[dict[str, Any]]:
    """The plan of rare labels, filled by each source."""
    cells = [cell for label in RARE for cell in lit_cells(bench.reference, label, bench.sizes.faces)]
    lines = []
    for source in SOURCES:
        filled = bench.fill(source, source, cells)
        more = {"source": source, **bench.stages_of(source)[-1].as_dict()}
        for line in source_lines(filled.cells, bench.measure(filled.drawn, filled.kept), more):
            lines.append(line)
            yield line
    yield from best_coverage(lines)


def condition_figures(bench: Bench) -> Iterator[dict[str, Any]]:
    """Rare labels under every occlusion and light: does a judge of conditions see them, and how many pass."""
    stage = bench.stages["diffusion"][-1]
    known = describe_checkpoint(stage.checkpoint)["vocabulary"]
    asked = [(word, None) for word in OCCLUSIONS if word in known["occlusion"]]
    asked += [(None, word) for word in LIGHTS if word in known["light"]]
    cells = [_cell(label, *pair, bench.sizes.under_condition) for label in RARE for pair in asked]
    filled = bench.fill("conditions", "diffusion", cells)
    measured = bench.measure(filled.drawn, filled.kept)
    more = {"source": "diffusion", **stage.as_dict()}
    for cell in filled.cells:
        yield yield_line(cell, {**more, **{key: cell[key] for key in ("label", "occlusion", "light")}})
    for part, which in (("groups", "drawn"), ("kept", "kept")):
        for group in measured[part]:
            if group["level"] != "condition":
                continue
            told = {**more, "faces": which, **{key: group[key] for key in ("occlusion", "light")}}
            for name in ("agreement", "occlusion_agreement", "light_agreement"):
                if group[name]["value"] is not None:
                    yield beside(group[name], name, "share", told)


def curve_figures(bench: Bench, places: Sequence[int] | None) -> Iterator[dict[str, Any]]:
    """Distance and agreement of unscreened faces over the minutes of training.

    Args:
        places: of the stages of a run that are measured; None for all.
    """
    for source, found in bench.stages.items():
        for stage in found if places is None else [found[place] for place in dict.fromkeys(places)]:
            more = {"source": source, **stage.as_dict(), "losses": stage.losses}
            yield from _unscreened("curve", bench.measure(bench.draw(source, stage)), more)


def equal_time_figures(bench: Bench) -> Iterator[dict[str, Any]]:
    """The three sources, unscreened, after as many minutes of training as the shorter of both runs has had."""
    minutes = min(found[-1].minutes for found in bench.stages.values())
    for source in SOURCES:
        stage = by_minute(bench.stages_of(source), minutes)
        more = {"source": source, **stage.as_dict()}
        yield from _unscreened("equal_time", bench.measure(bench.draw(source, stage)), more)


def _unscreened(prefix: str, measured: Mapping[str, Any], more: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for label in ("all", *RARE):
        group, told = group_of(measured["groups"], label), {**more, "label": label, "faces": "drawn"}
        yield beside(group["agreement"], f"{prefix}_agreement", "share", told)
        for space, measures in group["features"].items():
            yield beside(measures["kid"], f"{prefix}_kid_{space}", "MMD²", told, digits=5)


def lit_cells(reference: Reference, label: str, count: int) -> list[Cell]:
    """Faces of a label, in the lights that are measured on its training faces."""
    faces = reference.training
    known = [light for light in faces.lights[faces.labels == label] if light is not None]
    lights, shares = np.unique(known, return_counts=True)
    counts = np.diff(np.round(np.cumsum(np.r_[0, shares]) * count / shares.sum())).astype(int)
    return [_cell(label, None, str(light), int(asked)) for light, asked in zip(lights, counts, strict=True) if asked]


def _open(given: argparse.Namespace) -> Bench:
    training, loaded = manifests.read(given.training), load_judges(given.judges)
    sizes = Sizes(24, 0, 12, 20, 4) if given.quick else Sizes(given.faces, given.faces // 8, 64)
    runs = {"diffusion": stages(given.diffusion), "dcgan": stages(given.dcgan)}
    sides = [describe_checkpoint(found[-1].checkpoint)["size_px"] for found in runs.values()]
    config = FidelityConfig(held_out=given.held_out, fewest=sizes.fewest, size_px=min(*sides, picture_size(training)))
    reference = read_reference(training, loaded.measuring, config, Terminal(), condition_judge=loaded.conditions)
    FOLDER.mkdir(parents=True, exist_ok=True)
    sampling = yaml.safe_load(given.sampling)
    guide = guide_source(given.judges / "guide")
    return Bench(training, given.judges, loaded, reference, runs, sampling, sizes, given.minutes, guide)


def _cell(label: str, occlusion: str | None, light: str | None, count: int) -> Cell:
    return Cell(label, occlusion, light, 0, count, count)


if __name__ == "__main__":
    main()
