"""Before and after: the same classifier, the same budget, the same seeds, on each arm's training faces.

Arms differ in what they train on and in nothing that judges them: validation faces, test faces and all their labels
come from one manifest, `evaluate_on`. One record a run is kept in `<out>/records`, so that an interrupted experiment
goes on where it was and a finished run is never trained twice.
"""

import os
import platform
from collections.abc import Mapping
from importlib import metadata as distributions
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.data import Faces, load_faces
from classifier.metrics import evaluate
from classifier.prediction import load_classifier
from classifier.training import train
from experiments.design import Arm, Design, ExperimentConfig, prepare, rows_sha256
from experiments.records import kept_record, record_path
from experiments.results import pack, summarise, unpack
from experiments.sheets import Sheet, dropped, generated, relabelled
from fer_data import manifest as manifests
from fer_data.files import read_json, sha256_json, write_json
from fer_data.manifest import Manifest, lineage
from fer_data.progress import SILENT, Reporter
from fer_data.project import relative
from fer_data.tables import code_version

__all__ = ["Arm", "ExperimentConfig", "collect_sheets", "prepare", "run_experiment"]

SCHEMA_VERSION = 1
DRAWN_SOURCE = "procedural"


def run_experiment(config: ExperimentConfig, project_root: Path, out: Path, reporter: Reporter = SILENT) -> Path:
    """Train every arm with every seed, judge all alike, and write what came out.

    Seeds go round the arms: after the first round every arm has been seen once. Run again after an interruption it
    goes on in the middle of the run that was interrupted.

    Args:
        config: the experiment.
        project_root: what the paths in `config` are relative to.
        out: folder of the experiment: `records/`, `runs/` (checkpoints), `results.json`.

    Returns:
        `<out>/results.json`, what `experiments.report.write_report` reads.

    Raises:
        FerError: what `experiments.design.prepare` refuses, or a kept record that this configuration did not make.
    """
    design = prepare(config, project_root)
    described = describe(design)  # now: a manifest may be replaced while the arms train
    runs = [(arm, seed) for seed in config.seeds for arm in design.arms]
    identities = {run: design.identity(*run) for run in runs}
    records = {run: kept_record(record_path(out, *run), identities[run], *run) for run in runs}
    waiting = [run for run in runs if records[run] is None]
    validation: dict[tuple[int, int], Faces] = {}
    for number, run in enumerate(waiting, 1):
        view = design.train_configs[run[0]]
        size = (view.size_px, view.channels)
        if size not in validation:
            validation[size] = load_faces(design.yardstick, design.val_rows, *size)
        place = f"{number} of {len(waiting)}"
        records[run] = _run(design, *run, validation[size], out, reporter, place, identities[run])
    write_json(out / "results.json", {**described, **_from_records(design, records)})
    return out / "results.json"


def collect_sheets(config: ExperimentConfig, project_root: Path) -> list[Sheet]:
    """Faces for the report: what the primary arm relabelled and dropped, and what was generated for each arm.

    At most `config.sheets` faces each; a sheet without any is left out.
    """
    before = manifests.read(project_root / config.evaluate_on)
    opened = {arm.manifest: manifests.read(project_root / arm.manifest) for arm in config.arms}
    primary = next(opened[arm.manifest] for arm in config.arms if arm.name == config.primary)
    found = [relabelled(before, primary, config.sheets), dropped(before, primary, config.sheets)]
    titles = {arm.manifest: arm.title or arm.name for arm in reversed(config.arms)}
    found += [
        generated(manifest, config.sheets, f"Generated, in “{titles[path]}”") for path, manifest in opened.items()
    ]
    return [sheet for sheet in found if len(sheet.images)]


def describe(design: Design) -> dict[str, Any]:
    """What was compared, on what, by whom: the part of results.json that no run decides."""
    yardstick = design.yardstick
    sources = {store.info["source"] for store in yardstick.stores.values()}
    return {
        "kind": "experiment",
        "schema_version": SCHEMA_VERSION,
        "name": design.config.name,
        "title": design.config.title or design.config.name,
        "configuration": design.config.model_dump(mode="json"),
        "question": {
            "baseline": design.config.baseline,
            "primary": design.config.primary,
            "labels": design.question.labels,
            "metric": design.question.metric,
            "seeds": design.config.seeds,
            "resamples": design.config.bootstrap,
        },
        "versions": versions(),
        "machine": {"cores": os.cpu_count(), "kind": platform.machine()},
        "labels": list(yardstick.labels),
        "drawn": DRAWN_SOURCE in sources,
        "evaluate_on": {
            "manifest": relative(yardstick.path, design.root),
            "sha256": yardstick.sha256,
            "counts": yardstick.metadata["counts"],
            "licence": yardstick.metadata["licence"],
            "validation_faces": int(design.val_rows.sum()),
        },
        "leaks": dict(design.leaks),
        "arms": [_describe_arm(design, arm) for arm in design.config.arms],
    }


def versions() -> dict[str, str]:
    """Versions of what decides the numbers."""
    named = ("torch", "torchvision", "timm", "numpy", "scipy", "pandas", "pyarrow", "pillow")
    found = {"fer-data-studio": code_version(), "python": platform.python_version()}
    for name in named:
        try:
            found[name] = distributions.version(name)
        except distributions.PackageNotFoundError:
            continue
    return found


def _describe_arm(design: Design, arm: Arm) -> dict[str, Any]:
    manifest, rows = design.arms[arm.name], design.train_rows[arm.name]
    frame = manifest.frame[rows]
    return {
        "name": arm.name,
        "title": arm.title or arm.name,
        "note": arm.note,
        "manifest": relative(manifest.path, design.root),
        "manifest_sha256": manifest.sha256,
        "train_rows_sha256": rows_sha256(manifest, rows),
        "licence": manifest.metadata["licence"],
        "train": design.train_configs[arm.name].model_dump(mode="json", exclude={"seed"}),
        "changes": arm.train,
        "training_faces": {
            "rows": len(frame),
            "per_class": {label: int((frame["label"] == label).sum()) for label in manifest.labels},
            "origins": {str(name): int(count) for name, count in frame["origin"].value_counts().items()},
            "sources": {
                str(name): int(count) for name, count in frame["sample_id"].str.partition("/")[0].value_counts().items()
            },
        },
        **_ancestry(manifest),
    }


def _ancestry(manifest: Manifest) -> dict[str, Any]:
    """Where a manifest comes from, and every review on the way."""
    ancestors = lineage(manifest)
    kept = ("path", "state", "kind", "command", "created", "code_version", "configuration")
    return {
        "lineage": [
            {**{key: entry[key] for key in kept if key in entry}, "path": _portable(entry["path"], manifest)}
            for entry in ancestors
        ],
        "reviews": [
            {"manifest": _portable(entry["path"], manifest), **entry["decisions"]}
            for entry in ancestors
            if entry.get("decisions")
        ],
    }


def _portable(path: str, manifest: Manifest) -> str:
    return relative(Path(path), manifest.root) if Path(path).is_absolute() else path


def _run(
    design: Design,
    arm: str,
    seed: int,
    validation: Faces,
    out: Path,
    reporter: Reporter,
    place: str,
    identity: dict[str, Any],
) -> dict[str, Any]:
    """Train one arm with one seed, answer the test faces once, and keep the record."""
    config = design.train_configs[arm].model_copy(update={"seed": seed})
    manifest = design.arms[arm]
    folder = out / "runs" / f"{arm}-seed{seed}"
    checkpoint = train(
        load_faces(manifest, design.train_rows[arm], config.size_px, config.channels),
        validation,
        design.yardstick.labels,
        config,
        folder,
        reporter,
        title=f"{arm} · seed {seed} ({place})",
        trained_on={"manifest": relative(manifest.path, design.root), "sha256": manifest.sha256},
    )
    pictures = design.yardstick.pictures(config.size_px, config.channels, design.test_rows)
    history = read_json(folder / "history.json")
    packed = pack(load_classifier(checkpoint).probabilities(pictures))
    record = {
        "kind": "run",
        "schema_version": SCHEMA_VERSION,
        "arm": arm,
        "seed": seed,
        "run_sha256": sha256_json(identity),
        "identity": identity,
        "manifest_sha256": manifest.sha256,
        "versions": versions(),
        "metrics": _judge(design, unpack(packed)),
        "history": [_curve_point(entry) for entry in history],
        "seconds": history[-1]["seconds"],
        "probabilities": packed,
    }
    write_json(record_path(out, arm, seed), record)
    return record


def _curve_point(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What training curves show of one evaluation; all of it is in the run's folder."""
    shown = ("accuracy", "balanced_accuracy", "macro_f1", "cross_entropy")
    return {
        "step": entry["step"],
        "train_loss": entry["train_loss"],
        **{f"val_{name}": entry["val"][name] for name in shown},
    }


def _judge(design: Design, probabilities: NDArray[np.float32]) -> dict[str, Any]:
    """Metrics of one run in every view."""
    return {
        view.key: evaluate(view.truth[view.rows], probabilities[view.rows], design.yardstick.labels)
        for view in design.views
        if view.rows.any()
    }


def _from_records(design: Design, records: Mapping[tuple[str, int], Any]) -> dict[str, Any]:
    groups = design.yardstick.frame["group_id"].to_numpy()[design.test_rows]
    probabilities = {run: unpack(record["probabilities"]) for run, record in records.items()}
    numbers = summarise(design.question, probabilities, design.views, design.yardstick.labels, groups)
    runs = [
        {key: record[key] for key in ("arm", "seed", "run_sha256", "seconds", "versions", "history", "metrics")}
        for record in records.values()
    ]
    return {**numbers, "runs": runs}
