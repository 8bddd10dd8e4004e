"""What was compared, on what, by whom, with which versions: the part of results.json that no run decides."""

import os
import platform
from collections.abc import Sequence
from importlib import metadata as distributions
from pathlib import Path
from typing import Any

import torch

from experiments.arms import Arm
from experiments.design import Design
from experiments.identity import rows_sha256
from experiments.settings import ExperimentConfig
from fer_data.manifest import Manifest, lineage
from fer_data.project import relative
from fer_data.tables import code_version

SCHEMA_VERSION = 1
DRAWN_SOURCE = "procedural"


def describe(config: ExperimentConfig, designs: Sequence[Design]) -> dict[str, Any]:
    """The experiment before anything is trained.

    Args:
        config: as it is carried out, choices filled in.
        designs: it, or its folds; of arms in folds the first fold is described.
    """
    design = designs[0]
    yardstick = design.yardstick
    sources = {store.info["source"] for store in yardstick.stores.values()}
    question = design.question
    return {
        "kind": "experiment",
        "schema_version": SCHEMA_VERSION,
        "name": config.name,
        "title": config.title or config.name,
        "configuration": config.model_dump(mode="json", exclude={"records"}),  # where they lie is this machine's affair
        "question": {
            "baseline": question.baseline,
            "primary": question.primary,
            "control": question.control,
            "labels": question.labels,
            "metric": question.metric,
            "seeds": list(question.seeds),
            "curve_seeds": list(question.curve_seeds) if question.curve_arms else [],
            "resamples": question.resamples,
        },
        "versions": versions(),
        "machine": machine(),
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
        "folds": [_describe_fold(each) for each in designs] if config.folds is not None else None,
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


def machine() -> dict[str, Any]:
    """What kind of machine this is, without its name."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"cores": os.cpu_count(), "kind": platform.machine(), **({"gpu": gpu} if gpu else {})}


def training_faces(design: Design, arm: str) -> dict[str, Any]:
    """How many faces of what an arm trains on."""
    manifest = design.arms[arm]
    frame = manifest.frame[design.train_rows[arm]]
    sources = frame["sample_id"].str.partition("/")[0]
    return {
        "rows": len(frame),
        "per_class": {label: int((frame["label"] == label).sum()) for label in manifest.labels},
        "origins": {str(name): int(count) for name, count in frame["origin"].value_counts().items()},
        "sources": {str(name): int(count) for name, count in sources.value_counts().items()},
    }


def _describe_fold(design: Design) -> dict[str, Any]:
    return {
        "manifest": relative(design.yardstick.path, design.root),
        "rows_sha256": rows_sha256(design.yardstick),
        "test_faces": int(design.test_rows.sum()),
        "validation_faces": int(design.val_rows.sum()),
        "training_faces": {name: int(rows.sum()) for name, rows in design.train_rows.items()},
    }


def _describe_arm(design: Design, arm: Arm) -> dict[str, Any]:
    manifest = design.arms[arm.name]
    return {
        "name": arm.name,
        "title": arm.title or arm.name,
        "note": arm.note,
        "role": arm.role,
        "seeds": design.config.seeds_of(arm),
        "manifest": relative(manifest.path, design.root),
        "manifest_sha256": manifest.sha256,
        "train_rows_sha256": rows_sha256(manifest, design.train_rows[arm.name]),
        "licence": manifest.metadata["licence"],
        "train": design.train_configs[arm.name].model_dump(mode="json", exclude={"seed"}),
        "changes": arm.train,
        "make": None if arm.make is None else arm.make.model_dump(mode="json", exclude_defaults=True),
        "training_faces": training_faces(design, arm.name),
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
