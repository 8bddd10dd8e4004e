"""The classic baselines of the literature on one training split, at an equal cap of minutes a row.

    python benchmarks/classic_baselines.py --manifest manifests/fer2013 [--minutes 30] [--rows svm_hog,vgg]
        [--threads 2] [--quick] [--out docs/results/classic_baselines.jsonl] [--runs FOLDER]

SVM, k-NN and random forest on HOG and on LBP, a decision tree on pixels; MLP, LSTM over image rows, three-layer CNN,
VGG-style and depthwise-separable nets, ResNet-18 and ResNet-34, all from scratch. The cap covers reading faces, tuning,
training and validation, not the judging of test faces; a network stops after 60 passes. Settings and epochs are chosen
on validation faces without twins in training; the test split is judged once, officially and without its twins in train
or val. A row that stands in --out with the same configuration is not run again. `python benchmarks/accuracy_tables.py`
prints the lines as tables.
"""

import argparse
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from kept_lines import KeptLines
from measuring import figure

from classifier.prediction import load_classifier
from classifier.training import TrainConfig, training_faces
from experiments.baselines import classic
from experiments.baselines.classic import CLASSIC
from experiments.baselines.judging import microseconds_per_face, score_test
from experiments.baselines.literature import REPORTED
from experiments.baselines.networks import MOST_EPOCHS, NETWORKS, network_config
from experiments.timed_training import train_for
from fer_data import manifest as manifests
from fer_data.errors import FerError
from fer_data.manifest import Manifest
from fer_data.parallel import cores
from fer_data.progress import Terminal

BENCH = "classic_baselines"
ROWS = (*CLASSIC, *NETWORKS)
QUICK_MINUTES = 0.4
SIZE_PX = 48


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=30.0, help="cap of a row")
    parser.add_argument("--rows", default=",".join(ROWS), help=f"some of {', '.join(ROWS)}")
    parser.add_argument("--threads", type=int, default=cores(), help="CPU threads of a fit")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="two rows, a few seconds each")
    parser.add_argument("--out", type=Path, help="keep the lines in this file, and the rows that stand in it")
    parser.add_argument("--runs", type=Path, help="where networks are trained; default runs/classic_baselines")
    given = parser.parse_args()
    rows = ["knn_hog", "mlp"] if given.quick else given.rows.split(",")
    if unknown := sorted(set(rows) - set(ROWS)):
        parser.error(f"--rows: expected some of {', '.join(ROWS)}, found {', '.join(unknown)}")
    minutes = QUICK_MINUTES if given.quick else given.minutes
    manifest = manifests.read(given.manifest)
    kept = KeptLines(given.out)
    for row in rows:
        name = f"{row}, quick" if given.quick else row
        configuration = configure(row, manifest, minutes, given.seed, given.threads)
        if kept.has(name, configuration):
            continue
        if row in CLASSIC:
            told = run_classic(row, manifest, minutes, given.seed, given.threads)
        else:
            folder = (given.runs or manifest.root / "runs" / BENCH) / row
            told = run_network(row, manifest, minutes, given.seed, given.threads, folder)
        kept.add(line(name, row, told, minutes, given.seed), configuration)


def configure(row: str, manifest: Manifest, minutes: float, seed: int, threads: int) -> dict[str, Any]:
    """What decides about a row's figures, beside the machine."""
    shared = {"manifest_sha256": manifest.sha256, "minutes": minutes, "seed": seed, "threads": threads}
    if row in CLASSIC:
        names = ("COMPONENTS", "TREES", "TUNING_FACES", "TUNING_SHARE", "FITTING_SHARE")
        settings = {name.lower(): getattr(classic, name) for name in names}
        return {**shared, **settings, "candidates": [dict(one) for one in CLASSIC[row].candidates]}
    return {
        **shared,
        "most_epochs": MOST_EPOCHS,
        "train": network_config(row, seed, threads).model_dump(mode="json", exclude_defaults=True),
    }


def run_classic(row: str, manifest: Manifest, minutes: float, seed: int, threads: int) -> dict[str, Any]:
    """Tune, fit and judge a classic classifier."""
    started = time.perf_counter()
    train, val, _ = training_faces(manifest, TrainConfig(size_px=SIZE_PX))
    if val is None:
        raise FerError(f"{manifest.path}: expected validation faces without twins in training, found none")
    seconds = 60 * minutes - (time.perf_counter() - started)
    fitted = classic.fit(
        CLASSIC[row],
        train.images[:, 0].numpy(),
        train.classes,
        val.images[:, 0].numpy(),
        val.classes,
        seconds=seconds,
        seed=seed,
        threads=threads,
    )
    seconds = time.perf_counter() - started
    classes = len(manifest.labels)

    def answer(pictures: np.ndarray) -> np.ndarray:
        return fitted.probabilities(pictures[:, 0], classes)

    size, unit = CLASSIC[row].size(fitted.model)
    return {
        "test": score_test(manifest, answer, SIZE_PX),
        "val_accuracy": round(fitted.val_accuracy, 4),
        "size": size,
        "size_unit": unit,
        "train_faces": fitted.training_faces,
        "val_faces": len(val),
        "epochs": None,
        "settings": fitted.settings,
        "tried": fitted.tried,
        "feature_seconds": round(fitted.feature_seconds, 1),
        "tuning_seconds": round(fitted.tuning_seconds, 1),
        "training_seconds": round(fitted.fitting_seconds, 1),
        "seconds": round(seconds, 1),
        "microseconds_per_face": microseconds_per_face(manifest, answer, SIZE_PX),
    }


def run_network(row: str, manifest: Manifest, minutes: float, seed: int, threads: int, folder: Path) -> dict[str, Any]:
    """Train a network until the minutes are over, and judge it."""
    config = network_config(row, seed, threads)
    done = train_for(manifest, config, folder, minutes, Terminal(), most_epochs=MOST_EPOCHS)
    trained = load_classifier(done.checkpoint)
    return {
        "test": score_test(manifest, trained.probabilities, config.size_px, config.channels),
        "val_accuracy": round(done.chosen["val"]["accuracy"], 4),
        "size": done.parameters,
        "size_unit": "parameters",
        "train_faces": done.train_faces,
        "val_faces": done.val_faces,
        "epochs": round(done.epochs, 2),
        "steps": done.config.steps,
        "chosen_step": done.chosen["step"],
        "training_seconds": round(done.training_seconds, 1),
        "seconds": round(done.seconds, 1),
        "microseconds_per_face": microseconds_per_face(
            manifest, trained.probabilities, config.size_px, config.channels
        ),
    }


def line(name: str, row: str, told: dict[str, Any], minutes: float, seed: int) -> dict[str, Any]:
    """A row as a figure: accuracy on the official test split, and all else beside it."""
    official = told["test"]["official/given"]
    more = {"row": row, "minutes": minutes, **told}
    return {
        **figure(BENCH, name, [official["accuracy"]], "accuracy", n=official["count"], digits=4, **more),
        "interval": None,
        "seeds": [seed],
        "literature": [asdict(one) for one in REPORTED.get(row, ())],
    }


if __name__ == "__main__":
    main()
