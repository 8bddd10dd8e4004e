"""One run: train an arm with a seed, score validation, and, when its time has come, judge the test faces once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.checkpoints import checkpoint_folder
from classifier.data import load_faces
from classifier.lifting import lift_run, rare_lift
from classifier.metrics import evaluate
from classifier.prediction import load_classifier
from classifier.training import train
from experiments.design import Design
from experiments.provenance import SCHEMA_VERSION, machine, versions
from experiments.records import pack, record_path, unpack
from experiments.views import View
from fer_data.errors import FerError
from fer_data.expressions import label_indices
from fer_data.files import read_json, sha256_json, write_json
from fer_data.progress import SILENT, Reporter
from fer_data.project import relative
from fer_data.votes import reference_labels

SHOWN = ("accuracy", "balanced_accuracy", "macro_f1", "cross_entropy")


@dataclass(frozen=True)
class Part:
    """An experiment, or one of its folds.

    Attributes:
        design: what is compared.
        out: folder of `runs/`: checkpoints, and locks while they are made.
        records: folder of the records.
    """

    design: Design
    out: Path
    records: Path

    def record_path(self, arm: str, seed: int) -> Path:
        """Where the record of one run lies."""
        return record_path(self.records, arm, seed)

    def run_folder(self, arm: str, seed: int) -> Path:
        """Where one run is trained."""
        return self.out / "runs" / f"{arm}-seed{seed}"

    def has_checkpoint(self, arm: str, seed: int) -> bool:
        """Whether the classifier of one run lies on this machine."""
        return checkpoint_folder(self.run_folder(arm, seed)).is_dir()


def train_run(part: Part, arm: str, seed: int, reporter: Reporter = SILENT, title: str = "") -> dict[str, Any]:
    """Train one arm with one seed and keep its record: what training and validation faces tell, nothing of the test.

    Raises:
        FerError: what `classifier.training.train` refuses, a loss that is not a number among it.
    """
    design = part.design
    config = design.train_configs[arm].model_copy(update={"seed": seed})
    manifest, folder = design.arms[arm], part.run_folder(arm, seed)
    try:
        checkpoint = train(
            load_faces(manifest, design.train_rows[arm], config.size_px, config.channels),
            load_faces(design.yardstick, design.val_rows, config.size_px, config.channels),
            design.yardstick.labels,
            config,
            folder,
            reporter,
            title=title or f"{arm} · seed {seed}",
            trained_on=_trained_on(design, arm),
        )
    except FerError as error:
        raise FerError(f"arm {arm}, seed {seed}: {error}") from None
    history = read_json(folder / "history.json")
    told = {
        "versions": versions(),
        "machine": machine(),
        "seconds": history[-1]["seconds"],
        "history": [_curve_point(entry) for entry in history],
    }
    return _keep_record(part, arm, seed, checkpoint, told)


def lift_twin(part: Part, plain: Mapping[str, Any], arm: str) -> dict[str, Any]:
    """Keep the record of an arm with `lift_rare` whose twin without it was trained: nothing is trained again.

    Args:
        plain: the twin's record; its classifier lies on this machine.
    """
    design, seed = part.design, plain["seed"]
    config = design.train_configs[arm]
    faces = load_faces(design.arms[arm], design.train_rows[arm], config.size_px, config.channels)
    lift = rare_lift(faces, likelihood=config.targets == "likelihood")
    plain_folder, folder = part.run_folder(plain["arm"], seed), part.run_folder(arm, seed)
    checkpoint = lift_run(plain_folder, lift, folder, _trained_on(design, arm))
    told = {key: plain[key] for key in ("versions", "machine", "seconds", "history")}
    return _keep_record(part, arm, seed, checkpoint, {**told, "lifted_from": plain["arm"]})


def _trained_on(design: Design, arm: str) -> dict[str, str]:
    manifest = design.arms[arm]
    return {"manifest": relative(manifest.path, design.root), "sha256": manifest.sha256}


def _keep_record(part: Part, arm: str, seed: int, checkpoint: Path, told: Mapping[str, Any]) -> dict[str, Any]:
    """Write the record of a run that is not judged yet, its validation scores among what is told."""
    design = part.design
    identity = design.identity(arm, seed)
    record = {
        "kind": "run",
        "schema_version": SCHEMA_VERSION,
        "arm": arm,
        "seed": seed,
        "run_sha256": sha256_json(identity),
        "identity": identity,
        "manifest_sha256": design.arms[arm].sha256,
        **told,
        "validation": _score_validation(design, checkpoint),
    }
    write_json(part.record_path(arm, seed), record)
    return record


def judge_run(part: Part, record: Mapping[str, Any]) -> dict[str, Any]:
    """Answer the test faces once with the classifier of a run, and keep the answers in its record."""
    design, arm, seed = part.design, record["arm"], record["seed"]
    config = design.train_configs[arm]
    classifier = load_classifier(checkpoint_folder(part.run_folder(arm, seed)))
    pictures = design.yardstick.pictures(config.size_px, config.channels, design.test_rows)
    packed = pack(classifier.probabilities(pictures))
    judged = with_metrics(design, {**record, "probabilities": packed})
    write_json(part.record_path(arm, seed), judged)
    return judged


def with_metrics(design: Design, record: Mapping[str, Any]) -> dict[str, Any]:
    """A record with the metrics of its probabilities in every view; a view that is new since it was kept is added."""
    metrics = metrics_in(design.views, unpack(record["probabilities"]), design.yardstick.labels)
    return {**record, "metrics": metrics}


def metrics_in(
    views: Sequence[View], probabilities: NDArray[np.float32], labels: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """View → what `classifier.metrics.evaluate` tells of the probabilities [T, K] of its faces, where it has any."""
    return {
        view.key: evaluate(view.truth[view.rows], probabilities[view.rows], labels) for view in views if view.rows.any()
    }


def is_judged(record: Mapping[str, Any]) -> bool:
    """Whether a record holds answers to test faces."""
    return "probabilities" in record


def _score_validation(design: Design, checkpoint: Path) -> dict[str, Any]:
    """How well the chosen weights read the validation faces that chose them, by each kind of label."""
    classifier = load_classifier(checkpoint)
    yardstick, rows = design.yardstick, design.val_rows
    judged = classifier.probabilities(yardstick.pictures(classifier.size_px, classifier.channels, rows))
    kinds = {"given": list(yardstick.frame["label"][rows]), "reference": list(reference_labels(yardstick, rows)[0])}
    scores = {}
    for kind, labels in kinds.items():
        truth = label_indices(labels, yardstick.label_set)
        if (truth >= 0).any():
            found = evaluate(truth, judged, yardstick.labels)
            recall = {label: entry["recall"] for label, entry in found["per_class"].items()}
            scores[kind] = {"faces": found["count"], **{name: found[name] for name in SHOWN}, "recall": recall}
    return scores


def _curve_point(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What training curves show of one evaluation; all of it is in the run's folder."""
    return {
        "step": entry["step"],
        "train_loss": entry["train_loss"],
        **{f"val_{name}": entry["val"][name] for name in SHOWN},
    }
