"""What the benchmark of the audit compares."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from classifier.out_of_fold import PredictConfig
from fer_data import manifest as manifests
from fer_data.auditing.evidence import repeats_folder
from fer_data.configuration import Configuration, build
from fer_data.errors import FerError
from fer_data.manifest import Manifest
from fer_data.tables import read_metadata


class JudgeConfig(Configuration):
    """How predictions and what the audit makes of them are judged."""

    split: Literal["train", "val", "test", "all"] = "train"  # whose faces are judged; the audit sees all predicted ones
    seeds: int = Field(5, ge=1)  # so many repeats are also judged each alone: the seeds of all paired comparisons
    budgets_minutes: tuple[float, ...] = (20.0, 180.0)  # of training, at which methods are compared at equal wall-clock
    bootstrap: int = Field(1000, ge=100)  # resamples of groups
    worst: int = Field(200, ge=0)  # ids in the list of the worst labels
    growth: bool = True  # judge the first 1, 2, 3 … repeats too
    seed: int = Field(0, ge=0)  # of resampling, and of the audit


class AuditBenchmarkConfig(JudgeConfig):
    """Is the audit better than cleanlab alone? Judged by FER+ on faces whose votes the audit never reads."""

    kind: Literal["audit_benchmark"] = "audit_benchmark"  # which experiment this is
    name: str = "audit"
    manifest: str  # the given labels, relative to the project
    truth: str = ""  # manifest of the same faces with FER+ votes; empty: `manifest`, whose votes the audit leaves alone
    predictions: str  # a table that `fer predict` wrote; made if it is missing
    predict: dict[str, Any] = Field({})  # classifier.out_of_fold.PredictConfig, where it has to be made
    baseline: str = ""  # predictions of the plain recipe, for cleanlab alone; empty: only those above
    baseline_predict: dict[str, Any] = Field({})  # PredictConfig of the plain recipe
    audit: dict[str, Any] = Field({})  # fer_data.label_audit.AuditConfig


def predict_config(values: dict[str, Any], where: str) -> PredictConfig:
    """A configuration of predictions; FerError names what is wrong."""
    return build(PredictConfig, values, where)


def prepare(config: AuditBenchmarkConfig, root: Path) -> tuple[Manifest, Manifest]:
    """Make every check that costs nothing.

    Returns:
        The manifest to audit and the one whose votes judge it.

    Raises:
        FerError: a manifest is missing, the audit would read votes, or predictions stand that another manifest
            belongs to.
    """
    refuse_votes(config.audit, "audit")
    predict_config(config.predict, "predict")
    predict_config(config.baseline_predict, "baseline_predict")
    manifest = manifests.read(root / config.manifest)
    truth = manifests.read(root / config.truth) if config.truth else manifest
    if truth.label_set != manifest.label_set:
        raise FerError(
            f"{config.truth}: expected the label set {manifest.label_set} of {config.manifest}, found "
            f"{truth.label_set}; import the faces once"
        )
    for name in (config.predictions, config.baseline):
        if name and (root / name).exists():
            require_predictions_of(manifest, root / name)
    return manifest, truth


def refuse_votes(audit: dict[str, Any], where: str) -> None:
    """FerError where an audit's configuration lets it see the votes that it is judged by."""
    if audit.get("use_votes"):
        raise FerError(
            f"{where}: expected use_votes: false, found {audit['use_votes']}; an audit that reads the votes cannot be "
            "judged by them (benchmarks/audit_votes.py judges it by other raters)"
        )


def require_predictions_of(manifest: Manifest, path: Path) -> None:
    """FerError where a predictions table was made for a manifest with other contents."""
    made_for = read_metadata(path, kind="predictions").get("manifest_sha256")
    if made_for is not None and made_for != manifest.sha256:
        raise FerError(
            f"{path}: expected predictions of {manifest.path}, found those of another state of it; predict again with "
            "--replace, or name another table"
        )


def repeat_seconds(predictions: Path) -> tuple[float, ...]:
    """What each repeat of a predictions table cost, in seconds; empty where no repeats were kept.

    Raises:
        FerError: a repeat does not say.
    """
    folder = repeats_folder(predictions)
    files = sorted(folder.glob("*.parquet"), key=lambda file: int(file.stem)) if folder.is_dir() else []
    seconds = [read_metadata(file, kind="repeat").get("seconds") for file in files]
    for file, value in zip(files, seconds, strict=True):
        if value is None:
            raise FerError(f"{file}: expected `seconds` in its metadata, found none; predict again with --replace")
    return tuple(float(value) for value in seconds if value is not None)


def calibration_of(predictions: Path) -> Literal["none", "temperature", "vector"]:
    """How a predictions table was calibrated, by its metadata."""
    told = read_metadata(predictions, kind="predictions").get("configuration", {}).get("calibration", "none")
    return "vector" if told == "vector" else "temperature" if told == "temperature" else "none"
