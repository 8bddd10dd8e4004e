"""Does the audit's combined score find planted wrong labels better than cleanlab's best single score?

    python benchmarks/audit_planted.py [--manifest manifests/fer2013] [--quick] [--out docs/results/audit_planted.jsonl]

Labels are made wrong at 5, 10, 20 and 40 % in three ways (experiments/audit_benchmark/planted.py): on drawn faces, and,
where a manifest with FER+ votes is named, on training faces whose label is the voters' majority. For every cell
classifiers are trained out of fold, and both scores rank the same predictions: AUPRC, AUROC, and precision at the
number of errors, each difference with its paired 95 % interval. --work keeps the predictions: a killed run goes on.
The planted manifests of a real one lie in `runs/audit_planted` of its project. --quick shows that it runs: classifiers
of so few faces are right once in three times, and no score has much to go by.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measuring import figure, keep, tell

from experiments.audit_benchmark.planted import FIGURES, PlantedConfig, clean_faces, draw_faces, judge_planted
from fer_data import manifest as manifests
from fer_data.manifest import Manifest
from fer_data.progress import Terminal
from fer_data.project import create_project

BENCH = "audit_planted"
TRAIN = {"model": "thin_resnet10", "size_px": 32, "batch_size": 64, "evaluations": 1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, help="a manifest with FER+ votes; left out, drawn faces only")
    parser.add_argument("--quick", action="store_true", help="few drawn faces, one share, a glance at each")
    parser.add_argument("--work", type=Path, help="keep predictions here and go on from them")
    parser.add_argument("--out", type=Path, help="also write the lines to this file")
    arguments = parser.parse_args()
    out = arguments.out.absolute() if arguments.out else None
    config = quick() if arguments.quick else full()
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        work = arguments.work.absolute() if arguments.work else Path(folder)
        started, cells, ahead = time.perf_counter(), 0, 0
        for source, faces in sources(config, work, arguments.manifest):
            for cell in judge_planted(faces, config, work, Terminal()):
                cells, ahead = cells + 1, ahead + int(cell["figures"]["auprc"]["difference"]["value"] > 0)
                for line in cell_lines(source, cell, config):
                    tell(lines, line)
        more = {"seconds": round(time.perf_counter() - started, 1), "interval": None}
        title = "cells in which the combined score has the higher AUPRC"
        tell(lines, figure(BENCH, title, [ahead], "cells", n=cells, peer="cleanlab's best single score", **more))
    keep(lines, out)


def full() -> PlantedConfig:
    predict = {"folds": 3, "least_steps": 600, "train": {**TRAIN, "epochs": 12}}
    return PlantedConfig(faces=2500, predict=predict)


def quick() -> PlantedConfig:
    predict = {"folds": 2, "least_steps": 1, "train": {**TRAIN, "batch_size": 32, "epochs": 8}}
    return PlantedConfig(faces=1000, shares=(0.2,), bootstrap=200, predict=predict)


def sources(config: PlantedConfig, work: Path, manifest: Path | None) -> Iterator[tuple[str, Manifest]]:
    """Faces with right labels, by what they are called in the figures."""
    create_project(work)
    yield "drawn faces", draw_faces(config, work)
    if manifest is not None:
        voted = manifests.read(manifest)
        yield "faces that FER+ confirms", clean_faces(voted, config, voted.root / "runs/audit_planted/confirmed")


def cell_lines(source: str, cell: dict[str, Any], config: PlantedConfig) -> Iterator[dict[str, Any]]:
    """A level and a difference for every figure of a cell."""
    where = f"{cell['kind'].replace('_', '-')} noise at {100 * cell['share']:g} %, {source}"
    about = {"n": cell["faces"], "digits": 4, "peer": cell["cleanlab"], "errors": cell["errors"]}
    about |= {"seeds": [config.seed], "accuracy": round(cell["accuracy"], 4)}
    for name in FIGURES:
        entry = cell["figures"][name]
        title, peer = name.replace("_", " "), [entry["cleanlab"]["value"]]
        for kind in ("value", "difference"):
            level = entry[kind]
            interval = [round(level["low"], 4), round(level["high"], 4)]
            words = f"{title}, {where}" if kind == "value" else f"{title} over cleanlab's best, {where}"
            yield figure(BENCH, words, [level["value"]], "share", peer_values=peer, interval=interval, **about)


if __name__ == "__main__":
    main()
