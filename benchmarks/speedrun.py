"""Accuracy against minutes: FER-2013's training split in, PrivateTest accuracy out, from scratch, on this machine.

    python benchmarks/speedrun.py --manifest manifests/fer2013 [--minutes 3 6 12 30 60] [--seeds 0] [--threads 2]
        [--quick] [--out docs/results/speedrun.jsonl] [--runs FOLDER]

One fixed recipe a budget: configs/speedrun/<minutes>.yaml. The minutes cover reading the faces, timing a few steps to
plan their number, training, validation and writing the checkpoint; importing libraries and judging test faces come
before and after. The epoch is chosen on validation faces without twins in training; no recipe was chosen on test faces.
A test face is judged with its mirror image, at its place and shifted by a pixel along the diagonals: ten views in all.
A budget that stands in --out with the same configuration is not run again; one that was interrupted starts anew.
`python benchmarks/accuracy_tables.py` prints the lines as a table.
"""

import argparse
from pathlib import Path
from typing import Any

from kept_lines import KeptLines
from measuring import figure

from classifier.prediction import load_classifier
from classifier.training import TrainConfig
from experiments.baselines.judging import averaging_shifts, score_test
from experiments.timed_training import TimedRun, train_for
from fer_data import manifest as manifests
from fer_data.configuration import resolve
from fer_data.parallel import cores
from fer_data.progress import Terminal

BENCH = "speedrun"
BUDGETS = (3.0, 6.0, 12.0, 30.0, 60.0)
TARGETS = {12.0: 0.65, 60.0: 0.68}  # accuracy on the official test split, FER-2013 labels
QUICK_MINUTES = 0.4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--minutes", type=float, nargs="+", default=BUDGETS, choices=BUDGETS, metavar="MINUTES")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=cores(), help="CPU threads of the training")
    parser.add_argument("--quick", action="store_true", help="the recipe of 3 minutes for 24 seconds")
    parser.add_argument("--out", type=Path, help="keep the lines in this file, and the budgets that stand in it")
    parser.add_argument("--runs", type=Path, help="where runs are kept; default runs/speedrun beside the manifests")
    given = parser.parse_args()
    manifest = manifests.read(given.manifest)
    kept = KeptLines(given.out)
    for recipe in BUDGETS[:1] if given.quick else given.minutes:
        minutes = QUICK_MINUTES if given.quick else recipe
        for seed in given.seeds:
            config = resolve(TrainConfig, f"speedrun/{recipe:g}", seed=seed, threads=given.threads)
            configuration = {
                "manifest_sha256": manifest.sha256,
                "minutes": minutes,
                "train": config.model_dump(mode="json", exclude_defaults=True),
            }
            name = f"{minutes:g} minutes, seed {seed}"
            if kept.has(name, configuration):
                continue
            folder = (given.runs or manifest.root / "runs" / BENCH) / f"{minutes:g}-seed{seed}"
            done = train_for(manifest, config, folder, minutes, Terminal())
            kept.add(line(name, done, score(manifest, done), minutes), configuration)


def score(manifest: manifests.Manifest, done: TimedRun) -> dict[str, Any]:
    """The test split as the weights that validation chose judge it, with shifts (what counts) and without."""
    trained = load_classifier(done.checkpoint)
    answers = {"test": averaging_shifts(trained.probabilities), "test_without_shifts": trained.probabilities}
    figures = {name: score_test(manifest, each, trained.size_px, trained.channels) for name, each in answers.items()}
    return {**figures, "parameters": done.parameters}


def line(name: str, done: TimedRun, told: dict[str, Any], minutes: float) -> dict[str, Any]:
    """A budget as a figure; a target is reached only inside its minutes."""
    official = told["test"]["official/given"]
    target = TARGETS.get(minutes)
    inside = done.seconds <= 60 * minutes
    return {
        **figure(
            BENCH,
            name,
            [official["accuracy"]],
            "accuracy",
            n=official["count"],
            digits=4,
            target=f">= {target}" if target else None,
            reached=bool(inside and official["accuracy"] >= target) if target else None,
            **told,
            model=done.config.model,
            mixed_precision=done.config.mixed_precision,
            val_accuracy=round(done.chosen["val"]["accuracy"], 4),
            train_faces=done.train_faces,
            val_faces=done.val_faces,
            epochs=round(done.epochs, 2),
            steps=done.config.steps,
            chosen_step=done.chosen["step"],
            step_milliseconds=round(1e3 * done.pace.step_seconds, 2),
            minutes=minutes,
            seconds=round(done.seconds, 1),
            inside=inside,
        ),
        "interval": None,
        "seeds": [done.config.seed],
    }


if __name__ == "__main__":
    main()
