"""What judging a classifier costs, and whether its intervals hold what they promise.

    python benchmarks/judging.py [--quick] [--out docs/results/judging.jsonl]
                                 [--manifest manifests/fer2013 --checkpoint runs/…]

Pictures covered, darkened and judged per second of one core, on drawn faces and untrained weights: the work is the
same. How often the interval of a gap between groups holds the planted one. With a manifest and a checkpoint also how
much worse the classifier reads the validation faces at each severity; test faces are not touched.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import figure, keep, tell
from numpy.typing import NDArray
from planted_gap import covered, found_gaps

from classifier.fusion import fold_norms
from classifier.inference import probabilities
from classifier.models import build_model
from classifier.prediction import load_classifier
from classifier.robustness import CONDITIONS, RobustnessSet, judge, score_conditions
from experiments.views import build_views
from fer_data import manifest as manifests
from fer_data.conditions import SEVERITIES, CoverableFace, relight
from fer_data.drawn.population import sample_face, sample_identity
from fer_data.drawn.rendering import render
from fer_data.expressions import BASIC7, OCCLUSIONS

BENCH = "judging"
GAP = {"lighter": 0.75, "darker": 0.55}
NO_GAP = {"lighter": 0.65, "darker": 0.65}


def main() -> None:
    """Print the figures, and keep them where the user says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small share of it, in under a minute")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--faces", type=int, default=1000, help="validation faces, drawn at random")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    lines: list[str] = []
    for line in covering_speed(40 if asked.quick else 400):
        tell(lines, line)
    tell(lines, judging_speed(512 if asked.quick else 4096))
    for line in interval_figures(50 if asked.quick else 1000):
        tell(lines, line)
    if asked.manifest and asked.checkpoint:
        for line in severity_figures(asked.manifest, asked.checkpoint, asked.faces):
            tell(lines, line)
    keep(lines, asked.out)


def covering_speed(count: int) -> Iterator[dict[str, Any]]:
    """Pictures made per second of one core, by what is done to them."""
    faces = [render(sample_face(seed, "neutral", sample_identity(seed)), 48).image for seed in range(count)]
    for name in (*OCCLUSIONS[1:], "low"):
        speeds = []
        for part in np.array_split(np.arange(count), 5):
            started = time.process_time()
            for number in part.tolist():
                face = CoverableFace(faces[number])
                for severity in SEVERITIES:
                    if name == "low":
                        relight(faces[number], "low", number, severity)
                    else:
                        face.cover(name, number, severity)
            speeds.append(len(part) * len(SEVERITIES) / (time.process_time() - started))
        yield figure(
            BENCH, f"{name}: pictures made per second of one core at 48x48", speeds, "pictures/s", n=count, digits=0
        )


def judging_speed(count: int) -> dict[str, Any]:
    """Faces judged per second of one core by the default network, each with its mirror image."""
    model = fold_norms(build_model("thin_resnet18", len(BASIC7), 1, 48).to(memory_format=torch.channels_last))
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, 1, 48, 48), dtype=np.uint8))
    speeds = []
    for part in images.chunk(5):
        started = time.process_time()
        probabilities(model, part, mirror=True)
        speeds.append(len(part) / (time.process_time() - started))
    name = "faces judged per second of one core, thin_resnet18, with mirror images"
    return figure(BENCH, name, speeds, "faces/s", n=count, digits=0)


def interval_figures(draws: int) -> Iterator[dict[str, Any]]:
    """How often the interval of a gap holds the planted one, and how often a gap is seen that is not there."""
    planted = found_gaps(draws, 450, GAP)
    for metric in ("accuracy", "recall:fear"):
        share = covered([one[metric] for one in planted], GAP["lighter"] - GAP["darker"])
        yield figure(
            BENCH,
            f"intervals of a gap of 0.20 in {metric} that hold it, 450 drawn faces",
            [share],
            "share",
            n=draws,
            target="about 0.95",
            reached=0.93 <= share <= 0.98,
        )
    none = found_gaps(draws, 450, NO_GAP)
    share = float(np.mean([one["accuracy"]["low"] > 0 for one in none]))
    yield figure(
        BENCH,
        "gaps in accuracy that are called more than chance where there is none",
        [share],
        "share",
        n=draws,
        target="at most about 0.05",
        reached=share <= 0.07,
    )


def severity_figures(manifest: Path, checkpoint: Path, faces: int) -> Iterator[dict[str, Any]]:
    """Mean-class recall on validation faces without twins, by condition: as they are, and at severities 1 to 5."""
    opened, classifier = manifests.read(manifest), load_classifier(checkpoint)
    view = next(view for view in build_views(opened, of="val") if view.key == "leak_free/given")
    chosen = np.random.default_rng(0).permutation(np.flatnonzero(view.rows))[:faces]
    inside = np.zeros(len(view.truth), dtype=bool)
    inside[chosen] = True
    rows = (opened.frame["split"] == "val").to_numpy(dtype=bool, copy=True)
    rows[rows] = inside
    truth = view.truth[inside]
    clean = _mean_recall(
        truth, classifier.probabilities(opened.pictures(classifier.size_px, classifier.channels, rows))
    )
    with tempfile.TemporaryDirectory() as cache:
        told = judge(classifier, RobustnessSet.open(opened, rows, classifier.size_px, classifier.channels, Path(cache)))
    scores = score_conditions(truth, told, opened.labels)
    for condition in CONDITIONS:
        recalls = [row["balanced_accuracy"] for row in scores[condition]]
        yield figure(
            BENCH,
            f"{condition}: mean-class recall of validation faces, mean over five severities",
            [float(np.mean(recalls))],
            "share",
            n=len(truth),
            by_severity=[round(value, 3) for value in (clean, *recalls)],
        )


def _mean_recall(truth: NDArray[np.int64], judged: NDArray[np.float32]) -> float:
    right = judged.argmax(axis=1) == truth
    return float(np.mean([right[truth == label].mean() for label in np.unique(truth)]))


if __name__ == "__main__":
    main()
