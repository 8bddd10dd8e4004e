"""The benchmark from a manifest to its report: predict, audit, compare, write."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifier.out_of_fold import PredictConfig, predict_out_of_fold
from experiments.audit_benchmark.audited import (
    DROPPED,
    judge_marks,
    judge_noise,
    judge_order,
    judge_policy,
    worst_faces,
)
from experiments.audit_benchmark.comparison import compare
from experiments.audit_benchmark.design import (
    AuditBenchmarkConfig,
    JudgeConfig,
    calibration_of,
    predict_config,
    prepare,
    refuse_votes,
    repeat_seconds,
    require_predictions_of,
)
from experiments.audit_benchmark.figures import promised
from experiments.audit_benchmark.growth import Source
from experiments.audit_benchmark.paired import draw
from experiments.audit_benchmark.report import markdown
from experiments.audit_benchmark.truth import Truth, read_truth
from fer_data import label_audit, tables
from fer_data.auditing import policies
from fer_data.auditing.evidence import Evidence, read_evidence
from fer_data.auditing.noise import estimate_noise
from fer_data.configuration import build
from fer_data.errors import FerError
from fer_data.files import atomic_file, write_json
from fer_data.manifest import Manifest
from fer_data.progress import SILENT, Reporter
from fer_data.tables import code_version

SCHEMA_VERSION = 1


def run_audit_benchmark(config: AuditBenchmarkConfig, root: Path, out: Path, reporter: Reporter = SILENT) -> Path:
    """Predict what is not predicted yet, audit, judge by FER+, and write what came out.

    Run again after an interruption it goes on where the predictions were.

    Args:
        root: what the paths in `config` are relative to.
        out: folder of the run: `audit.parquet`, `report.json`, `report.md`, and the classifiers.

    Returns:
        `<out>/report.json`; `report.md` beside it tells the same in tables.

    Raises:
        FerError: what `design.prepare`, `predict_out_of_fold`, `read_evidence` or `read_truth` refuses.
    """
    manifest, truth = prepare(config, root)
    predictions = _made(manifest, root / config.predictions, predict_config(config.predict, "predict"), out, reporter)
    baseline = None
    if config.baseline:
        plain = predict_config(config.baseline_predict, "baseline_predict")
        baseline = _made(manifest, root / config.baseline, plain, out, reporter)
    audit_config = build(label_audit.AuditConfig, config.audit, "audit")
    started = time.perf_counter()
    audit = label_audit.audit(manifest, predictions, audit_config, out / "audit.parquet", replace=True)
    seconds = time.perf_counter() - started
    report = judge_predictions(manifest, truth, predictions, config, baseline=baseline, audit=audit, reporter=reporter)
    report["audit"]["seconds"] = round(seconds, 2)
    return write_report(report | {"configuration": config.model_dump(mode="json")}, out)


def judge_predictions(
    manifest: Manifest,
    truth_manifest: Manifest,
    predictions: Path,
    config: JudgeConfig,
    *,
    baseline: Path | None = None,
    audit: Path | None = None,
    reporter: Reporter = SILENT,
) -> dict[str, Any]:
    """Judge predictions, and the audit table made of them, by the votes of a manifest.

    Args:
        manifest: the audited one.
        truth_manifest: has the same faces, with votes.
        baseline: predictions of a plain recipe for the same faces, fed to cleanlab only.
        audit: what `fer audit` made of `predictions`; left out, only the scores are judged.

    Returns:
        JSON-able: comparison, audit, and which tables they are of.

    Raises:
        FerError: the tables do not belong together, or the audit read votes.
    """
    source = _source("predictions", manifest, predictions)
    plain = None if baseline is None else _source("plain recipe", manifest, baseline)
    evidence = source.evidence
    if plain is not None and not np.array_equal(plain.evidence.sample_ids, evidence.sample_ids):
        raise FerError(f"{baseline}: expected the faces of {predictions}; predict the same splits")
    truth = read_truth(truth_manifest, evidence.sample_ids, evidence.labels, config.split)
    audited = None if audit is None else judge_audit(audit, evidence, truth, config)
    report: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "code_version": code_version(),
        "manifest_sha256": manifest.sha256,
        "comparison": compare(source, plain, truth, config, reporter),
    }
    return report if audited is None else {**report, "audit": audited}


def judge_audit(audit: Path, evidence: Evidence, truth: Truth, config: JudgeConfig) -> dict[str, Any]:
    """Judge an audit table as the user gets it.

    Args:
        audit: a table of kind "label_audit" of the faces of `evidence`.

    Raises:
        FerError: the audit read votes, knew decisions, or is of other faces.
    """
    table, metadata = tables.read_table(audit, kind="label_audit")
    refuse_votes(metadata["configuration"], str(audit))
    reviewed = metadata["summary"]["reviewed"]
    if reviewed:
        raise FerError(
            f"{audit}: expected an audit that knows no decisions, found one that takes {reviewed:,} faces as decided; "
            "audit in a project without a decision log"
        )
    frame = table.to_pandas().set_index("sample_id")
    if set(frame.index) != set(evidence.sample_ids):
        raise FerError(f"{audit}: expected the faces of the predictions, found others; audit these predictions again")
    frame = frame.loc[evidence.sample_ids]
    draws = draw(evidence.groups, 1, config.bootstrap, config.seed)
    score = frame["label_score"].to_numpy(dtype=np.float64)
    return {
        "marks": judge_marks(frame["is_label_issue"].to_numpy(dtype=bool), truth, draws),
        "cleanlab_marks": judge_marks(cleanlab_marks(evidence), truth, draws),
        "policies": {
            name: judge_policy(labels, truth, draws)
            for name, labels in policy_labels(frame, evidence, metadata).items()
        },
        "noise": judge_noise(estimated_noise(evidence, truth, config.seed), truth),
        "orders": {
            name: judge_order(frame[column].to_numpy(), truth)
            for name, column in (("worst first", "rank"), ("review the next k", "review_rank"))
            if column in frame
        },
        "kinds": _kinds(frame, truth),
        "worst": worst_faces(score, evidence.sample_ids, truth, config.worst),
    }


def policy_labels(frame: pd.DataFrame, evidence: Evidence, metadata: Mapping[str, Any]) -> dict[str, NDArray[np.int64]]:
    """What each policy of an audit makes of the given labels, by its name: int64 [N], `DROPPED` where it drops a face.

    Args:
        frame: the audit table, in the order of the evidence.
        metadata: its footer, which has the rules; without any, nothing is judged.
    """
    told = metadata.get("policies") or {"guarded": [], "rules": {}}
    names = pd.Index(evidence.names)
    suggested = names.get_indexer(pd.Index(frame["suggested_label"])).astype(np.int64)
    faces = policies.Judged(
        evidence.labels,
        suggested,
        frame["label_score"].to_numpy(dtype=np.float64),
        frame["suggestion_score"].to_numpy(dtype=np.float64),
        (frame["kind"] == "not_a_face").to_numpy(dtype=bool),
    )
    guarded = names.get_indexer(pd.Index(told["guarded"])).tolist()
    results = {}
    for name, rules in told["rules"].items():
        actions = policies.decide(build(policies.PolicyConfig, rules, f"policy {name}"), faces, guarded)
        labels = np.where(actions == policies.RELABEL, suggested, evidence.labels)
        results[name] = np.where(actions == policies.DROP, DROPPED, labels)
    return results


def cleanlab_marks(evidence: Evidence) -> NDArray[np.bool_]:
    """What cleanlab's `find_label_issues` marks, as it comes, bool [N]."""
    from cleanlab.filter import find_label_issues

    return np.asarray(find_label_issues(evidence.labels, evidence.probabilities, n_jobs=1), dtype=bool)


def estimated_noise(evidence: Evidence, truth: Truth, seed: int) -> Mapping[str, Mapping[str, NDArray[np.float64]]]:
    """The noise matrix that the audit estimates for the judged faces, as `audited.judge_noise` takes it."""
    own = evidence.take(truth.judged)
    estimate = estimate_noise(own.labels, own.probabilities, own.groups, repeats=own.repeats, seed=seed)
    return {
        name: {"value": bounded.value, "low": bounded.low, "high": bounded.high}
        for name, bounded in (("joint", estimate.joint), ("conditional", estimate.conditional))
    }


def write_report(report: Mapping[str, Any], out: Path) -> Path:
    """Write report.json and report.md into a folder; the path of the first."""
    complete = {**report, "figures": promised(report)}
    with atomic_file(out / "report.md") as partial:
        partial.write_text(markdown(complete))
    write_json(out / "report.json", complete)
    return out / "report.json"


def _made(manifest: Manifest, path: Path, config: PredictConfig, out: Path, reporter: Reporter) -> Path:
    if path.exists():
        return path
    return predict_out_of_fold(manifest, config, path, out / f"predict-{path.stem}", reporter)


def _source(name: str, manifest: Manifest, predictions: Path) -> Source:
    require_predictions_of(manifest, predictions)
    evidence, _ = read_evidence(manifest, predictions)
    return Source(name, evidence, repeat_seconds(predictions), calibration_of(predictions))


def _kinds(frame: pd.DataFrame, truth: Truth) -> dict[str, dict[str, int]]:
    """How many judged faces of each kind the voters call right, wrong, ambiguous, unknown, not a face."""
    if "kind" not in frame:
        return {}
    said = {
        "right": truth.clear & ~truth.wrong,
        "wrong": truth.wrong,
        "ambiguous": truth.ambiguous,
        "unknown": truth.unknown,
        "not a face": truth.not_a_face,
    }
    kinds = frame["kind"].to_numpy()
    return {
        kind: {name: int((rows & (kinds == kind)).sum()) for name, rows in said.items()}
        for kind in dict.fromkeys(kinds.tolist())
    }
