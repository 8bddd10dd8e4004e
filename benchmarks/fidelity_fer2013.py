"""Faces that generators drew of rare expressions: are they what was asked for, as varied as real ones, and nobody's?

    python benchmarks/fidelity_fer2013.py --training manifests/audited --judges runs/judges \
        --diffusion runs/diffusion --dcgan runs/dcgan [--sampling '{steps: 10}'] [--held-out test]
        [--faces 400] [--minutes 100] [--quick] [--out docs/results/fidelity_fer2013.jsonl]

Run in the project of the generators' training manifest. Three sources fill the same plan, disgust and fear, lit as
the training faces of the label are: diffusion
and DCGAN from noise, and re-expression (diffusion from training faces of other labels). Drawn faces and those that
screening kept are measured by the judge that neither steered nor screened. Drawn and kept faces of a source are
compared at equal counts. Learning curves come from the snapshots in the run folders. What was filled stays in
manifests/fidelity/ and is not drawn again, whatever the options are then: move the folder away to draw anew.

Where a real figure stands beside (`peer`), it is that of real faces of the held-out split, without twins elsewhere.
--quick fills plans of its own, in manifests/fidelity-quick/.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from measuring import figure, keep, tell

from experiments.fill_plan import FillConfig, fill_plan
from experiments.filled import Filled
from experiments.judges import Judges, load_judges
from fer_data import manifest as manifests
from fer_data.configuration import build
from fer_data.expressions import LIGHTS, OCCLUSIONS
from fer_data.files import read_json
from fer_data.intervals import wilson
from fer_data.manifest import Manifest
from fer_data.plans import Cell, Plan
from fer_data.progress import Terminal
from generators.fidelity import (
    FidelityConfig,
    Reference,
    fidelity_path,
    measure_fidelity,
    read_reference,
    write_fidelity,
)
from generators.models import DESCRIPTION, describe_checkpoint
from generators.sampling import GenerateConfig, generate

BENCH = "fidelity_fer2013"
RARE = ("disgust", "fear")
SOURCES = ("diffusion", "re_expression", "dcgan")
FOLDER, QUICK_FOLDER = Path("manifests/fidelity"), Path("manifests/fidelity-quick")
CURVE_FACES = 64  # of each label, at each point of a learning curve


@dataclass(frozen=True)
class Bench:
    """What every part of the benchmark needs; what is filled lies in `folder`."""

    folder: Path
    training: Manifest
    judges: Path
    loaded: Judges
    reference: Reference
    runs: Mapping[str, Path]
    sampling: Mapping[str, Any]
    fill: Mapping[str, Any]

    def lit_cells(self, label: str, count: int) -> list[Cell]:
        """Faces of a label, in the lights that are measured on its training faces."""
        faces = self.reference.training
        known = [light for light in faces.lights[faces.labels == label] if light is not None]
        lights, shares = np.unique(known, return_counts=True)
        counts = np.diff(np.round(np.cumsum(np.r_[0, shares]) * count / shares.sum())).astype(int)
        return [
            _cell(label, None, str(light), int(asked)) for light, asked in zip(lights, counts, strict=True) if asked
        ]

    def options(self, source: str) -> dict[str, Any]:
        """Drawing of a source, as `GenerateConfig` takes it."""
        if source == "dcgan":
            return {}
        return {"sampling": dict(self.sampling), "source": "faces" if source == "re_expression" else "noise"}

    def fill_plan(self, name: str, source: str, cells: Sequence[Cell]) -> Filled:
        """The plan filled by a source; what an earlier call filled is read."""
        out = FOLDER / f"{name}.parquet"
        run = self.runs["dcgan" if source == "dcgan" else "diffusion"]
        config = build(FillConfig, {**self.fill, "generate": self.options(source)}, "benchmark")
        plan = Plan(self.training.label_set, tuple(cells))
        return fill_plan(plan, [run / "checkpoint"], self.training, self.judges, out, config, Terminal())

    def measure(self, drawn: Manifest, kept: Manifest | None) -> dict[str, Any]:
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
    parser.add_argument("--quick", action="store_true", help="24 faces a label, no conditions, no learning curves")
    parser.add_argument("--out", type=Path, help="also write the lines to this file")
    given = parser.parse_args()
    bench = _open(given)
    faces = 24 if given.quick else given.faces
    lines: list[str] = []
    for source in SOURCES:
        filled = bench.fill_plan(source, source, [cell for label in RARE for cell in bench.lit_cells(label, faces)])
        for line in source_figures(source, filled, bench.measure(filled.drawn, filled.kept)):
            tell(lines, line)
    if not given.quick:
        for line in [*condition_figures(bench, faces // 8), *curve_figures(bench)]:
            tell(lines, line)
    keep(lines, given.out)


def source_figures(source: str, filled: Filled, measured: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Per rare label: yield, agreement, coverage, distances and copies, before and after screening."""
    for cell in filled.cells:
        yield _yield(cell, {"source": source, **{key: cell[key] for key in ("label", "light", "dropped")}})
    for label in ("all", *RARE):
        drawn, kept = (_group(measured[part], label) for part in ("groups", "kept"))
        more = {"source": source, "label": label}
        for which, group in (("drawn", drawn), ("kept", kept)):
            yield _agreement(group, which, more)
            for space in group["features"]:
                for name, unit in (("kid", "MMD²"), ("frechet_infinity", "FD∞"), ("coverage", "share of real")):
                    least = drawn["features"][space][name]["value"] if which == "kept" else None
                    yield _feature(group, space, name, unit, {**more, "faces": which}, least)
            for name, measure in group["copies"].items():
                yield _copies(measure, name, {**more, "faces": which})
            for space, memory in group["memorisation"].items():
                measure = memory["nearer_training"]
                yield _beside(measure, f"nearer_training_{space}", "AUROC", {**more, "faces": which})


def condition_figures(bench: Bench, faces: int) -> Iterator[dict[str, Any]]:
    """Rare labels under every occlusion and light: does a judge of conditions see them, and how many pass."""
    described = describe_checkpoint(bench.runs["diffusion"] / "checkpoint")["vocabulary"]
    asked = [(word, None) for word in OCCLUSIONS if word in described["occlusion"]]
    asked += [(None, word) for word in LIGHTS if word in described["light"]]
    cells = [_cell(label, *pair, faces) for label in RARE for pair in asked]
    filled = bench.fill_plan("conditions", "diffusion", cells)
    measured = bench.measure(filled.drawn, None)
    for cell in filled.cells:
        more = {key: cell[key] for key in ("label", "occlusion", "light", "dropped")}
        yield _yield(cell, {"source": "conditions", **more})
    for group in measured["groups"]:
        if group["level"] != "condition":
            continue
        more = {"source": "conditions", "occlusion": group["occlusion"], "light": group["light"]}
        for name in ("agreement", "occlusion_agreement", "light_agreement"):
            if group[name]["value"] is not None:
                yield _beside(group[name], name, "share", more)


def curve_figures(bench: Bench) -> Iterator[dict[str, Any]]:
    """Distance and agreement of unscreened faces of every label, over the training."""
    for kind, run in bench.runs.items():
        history = {entry["step"]: entry for entry in read_json(run / "history.json")}
        for checkpoint in [*sorted(run.glob("snapshot-*")), run / "checkpoint"]:
            steps = json.loads((checkpoint / DESCRIPTION).read_text())["steps"]
            out = bench.folder / f"curve-{kind}-{steps}.parquet"
            if not out.is_file():
                labels = bench.training.labels
                cells = tuple(cell for label in labels for cell in bench.lit_cells(label, CURVE_FACES))
                config = build(GenerateConfig, bench.options(kind), "benchmark")
                generate(Plan(bench.training.label_set, cells), [checkpoint], out, config, Terminal())
            everything = _group(bench.measure(manifests.read(out), None)["groups"], "all")
            batch = describe_checkpoint(checkpoint)["config"]["batch_size"]
            more = {"source": kind, "steps": steps, "training_faces": steps * batch, "loss": history.get(steps)}
            yield _beside(everything["agreement"], "curve_agreement", "share", more)
            for space, measures in everything["features"].items():
                yield _beside(measures["kid"], f"curve_kid_{space}", "MMD²", more, digits=5)


def _open(given: argparse.Namespace) -> Bench:
    training, loaded = manifests.read(given.training), load_judges(given.judges)
    config = FidelityConfig(held_out=given.held_out)
    reference = read_reference(training, loaded.measuring, config, Terminal(), condition_judge=loaded.conditions)
    folder = QUICK_FOLDER if given.quick else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    runs = {"diffusion": given.diffusion, "dcgan": given.dcgan}
    fill = {"minutes": given.minutes, "budget_faces": 4 if given.quick else 20}
    return Bench(folder, training, given.judges, loaded, reference, runs, yaml.safe_load(given.sampling), fill)


def _cell(label: str, occlusion: str | None, light: str | None, count: int) -> Cell:
    return Cell(label, occlusion, light, 0, count, count)


def _group(groups: Sequence[Mapping[str, Any]], label: str) -> Mapping[str, Any]:
    """The group of all faces, or of one label."""
    wanted = ("all", None) if label == "all" else ("label", label)
    return next(group for group in groups if (group["level"], group["label"]) == wanted)


def _yield(cell: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """The share of a cell's faces that screening passed, with Wilson's interval; null where none was drawn."""
    if not cell["made"]:
        return _beside({"value": None, "reason": "no face was drawn"}, "yield", "share passed", more)
    low, high = wilson(round(cell["yield"] * cell["made"]), cell["made"])
    measure = {"value": cell["yield"], "low": float(low), "high": float(high), "count": cell["made"]}
    return _beside(measure, "yield", "share passed", more)


def _agreement(group: Mapping[str, Any], which: str, more: Mapping[str, Any]) -> dict[str, Any]:
    measure = group["agreement"]
    rare = which == "kept" and group["label"] in RARE
    real = (measure["real"] or {}).get("value")
    reached = measure["value"] >= 1.5 * real if rare and real is not None and measure["value"] is not None else None
    target = "screened at least 1.5 times that of real faces" if rare else None
    return _beside(measure, "agreement", "share", {**more, "faces": which, "target": target, "reached": reached})


def _feature(
    group: Mapping[str, Any], space: str, name: str, unit: str, more: Mapping[str, Any], least: float | None
) -> dict[str, Any]:
    """A distance or coverage; kept faces shall cover no less than drawn ones, and the best source at least 0.7."""
    measure = group["features"][space][name]
    told = {}
    if name == "coverage" and space == "judge" and group["label"] in RARE and measure["value"] is not None:
        told = {"target": "the best source 0.7", "reached": measure["value"] >= 0.7}
        if least is not None:
            told = {"target": "0.7, and not below the unscreened", "reached": measure["value"] >= max(0.7, least)}
        told["expected"] = measure["expected"]
    return _beside(measure, f"{name}_{space}", unit, {**more, **told}, digits=5)


def _copies(measure: Mapping[str, Any], name: str, more: Mapping[str, Any]) -> dict[str, Any]:
    factor = {"drawn": 2, "kept": 1}[more["faces"]]
    real = (measure["real"] or {}).get("value")
    told = {}
    if name == "flagged" and real is not None and measure["value"] is not None:
        told = {"target": f"at most {factor} × real versus real", "reached": measure["value"] <= factor * real}
    return _beside(measure, f"copies_{name}", "share", {**more, **told}, digits=4)


def _beside(
    measure: Mapping[str, Any], name: str, unit: str, more: Mapping[str, Any], digits: int = 3
) -> dict[str, Any]:
    """A measure of `generators.fidelity` as a figure, with that of real faces as its peer; null says why."""
    real = measure.get("real") or {}
    value = measure["value"]
    peer = {"peer": "real held-out faces", "peer_values": [real["value"]]} if real.get("value") is not None else {}
    told = dict(more)
    if value is None:
        return {
            **figure(BENCH, name, [0.0], unit, n=0, **peer, **told),
            "value": None,
            "interval": None,
            "reason": measure["reason"],
        }
    line = figure(BENCH, name, [value], unit, n=measure["count"], digits=digits, **peer, **told)
    interval = [measure["low"], measure["high"]] if measure["low"] is not None else None
    beside = [real["low"], real["high"]] if real.get("low") is not None else None
    return {**line, "interval": interval, "peer_interval": beside}


if __name__ == "__main__":
    main()
