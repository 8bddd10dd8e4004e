"""Which labels are probably wrong: predictions in, a ranked table of suspected issues out.

cleanlab's confident learning (Northcutt, Jiang and Chuang, JAIR 70, 2021) is where it starts; what is made of it
stands in `fer_data/auditing/`. The table has one row per audited face:

    sample_id, given_label, suggested_label, second_label
    label_score         0..1, low = bad; what the configured score says of the given label
    suggestion_score    0..1, estimated probability that the suggested label is the true one
    is_label_issue, needs_person, is_reviewed
    rank, class_rank    1 = worst, of all faces and of those of the same given label; reviewed faces come last
    review_rank         1 = look at this one next
    kind                fine, wrong, ambiguous, not_a_face or out_of_distribution
    neighbours, neighbour_labels    up to three: the nearest faces with another label
    <score>_score       every single score; <issue>_score and is_<issue> of other issues
    p_<label>           the probabilities that were judged by
"""

from collections.abc import Mapping
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from fer_data import tables
from fer_data.auditing.combining import Combined
from fer_data.auditing.crowd import read_votes
from fer_data.auditing.evidence import Evidence, read_evidence
from fer_data.auditing.history import carry_on, entry_of, find_previous
from fer_data.auditing.judgement import JudgeConfig, Judgement, judge
from fer_data.auditing.neighbours import NOBODY
from fer_data.auditing.noise import NoiseEstimate
from fer_data.auditing.other_issues import OtherIssues, OtherIssuesConfig, find_other_issues, picture_quality
from fer_data.auditing.policies import try_policies
from fer_data.auditing.reviewed import Reviewed, project_log, reviewed_labels, scores_before
from fer_data.auditing.sharpening import sharpen_estimate
from fer_data.auditing.summary import AuditSummary, summarise
from fer_data.decision_log import DecisionLog
from fer_data.errors import FerError
from fer_data.files import refuse_existing, sha256_file
from fer_data.manifest import Manifest
from fer_data.project import relative

ROWS_TOGETHER = 1 << 16  # rows of the table that are read at a time by who looks at one face


class AuditConfig(JudgeConfig):
    """How a manifest is audited."""

    # More agreement than this between predicted and given labels means that the model saw the faces it judges.
    max_agreement: float = Field(default=0.98, gt=0, le=1)
    # Whether the votes that a manifest carries may speak; where they are the truth of an evaluation, they must not.
    use_votes: bool = False
    # How several reviewers become one verdict: majority or seniority, a rule of `fer_data.consensus`.
    consensus: str = "majority"
    # Reviewers, the most senior first; of consensus "seniority" only.
    seniority: tuple[str, ...] = ()
    other: OtherIssuesConfig = OtherIssuesConfig()


def audit(
    manifest: Manifest,
    predictions: Path,
    config: AuditConfig,
    out: Path,
    *,
    decisions: str | Path | None = None,
    replace: bool = False,
) -> Path:
    """Judge the labels of a manifest by out-of-fold predictions and write the table `out`.

    What people decided so far (the project's log, or `decisions`) is taken as known: these faces rank last, and the
    estimate of wrong labels is corrected by what was found. The history of the estimate is carried on.

    Args:
        predictions: table of kind "predictions", see `fer_data.auditing.evidence`; it covers every labelled, not
            synthetic row of the splits it touches. Its repeats, if any, lie beside it.

    Raises:
        FerError: the predictions do not fit the manifest, are no probabilities, or were made on faces that the
            model was trained on; the labels are all the same; there are no votes where they are to be used; or `out`
            exists and `replace` is false.
    """
    refuse_existing(out, replace=replace)
    evidence, source = read_evidence(manifest, predictions)
    _refuse_unusable(evidence, config, predictions)
    previous = find_previous(manifest, out)
    reviewed = _reviewed(manifest, evidence, config, decisions)

    def sharpen(noise: NoiseEstimate, combined: Combined) -> NoiseEstimate:
        before = scores_before(reviewed, combined.posterior, evidence.names, previous)
        return sharpen_estimate(noise, combined.score, evidence.labels, reviewed, before)

    quality = picture_quality(manifest, evidence, config.other)
    judgement = judge(
        evidence,
        config,
        pictures=_pictures(manifest, evidence),
        quality=quality,
        votes=read_votes(manifest, evidence.sample_ids) if config.use_votes else None,
        settled=reviewed.settled(evidence.labels),
        contradicted=reviewed.contradicted(evidence.labels),
        sharpen=sharpen if len(reviewed) else None,
    )
    other = find_other_issues(
        manifest,
        evidence,
        judgement.score,
        judgement.outlier_score,
        judgement.is_outlier,
        config.other,
        quality=quality,
        neighbours=judgement.nearest,
        seed=config.seed,
    )
    policies = try_policies(
        judgement.judged(evidence.labels), judgement.combined.trial, judgement.noise, judgement.guarded, evidence.names
    )
    metadata = _metadata(manifest, predictions, source, config, policies)
    summary = summarise(evidence, judgement, other, policies, int(reviewed.own.sum()))
    before = None if previous is None else tables.read_metadata(previous)
    metadata["summary"] = {**summary, "history": carry_on(before, _entry(manifest, metadata["created"], summary))}
    table = audit_table(evidence, judgement, other).take(np.argsort(judgement.rank))
    return tables.write_table(out, table, metadata, replace=replace, row_group_size=ROWS_TOGETHER)


def _metadata(
    manifest: Manifest,
    predictions: Path,
    source: Mapping[str, Any],
    config: AuditConfig,
    policies: Mapping[str, Any],
) -> dict[str, Any]:
    """What the table's footer holds, but for the summary."""
    return tables.provenance(
        "label_audit",
        "fer audit",
        parents={
            relative(manifest.path, manifest.root): manifest.sha256,
            relative(predictions, manifest.root): sha256_file(predictions),
        },
        configuration=config.model_dump(mode="json"),
        label_set=manifest.label_set,
        predictions={key: source.get(key) for key in ("command", "configuration", "created", "repeats", "seconds")},
        left_out_unlabelled=source["left_out_unlabelled"],
        policies=policies,
    )


def _entry(manifest: Manifest, created: str, summary: Mapping[str, Any]) -> dict[str, Any]:
    """What this audit adds to the history."""
    return entry_of(
        manifest,
        created,
        faces=sum(summary["given"].values()),
        reviewed=summary["reviewed"],
        error_rate=summary["noise"]["error_rate"],
        error_rates=summary["noise"]["error_rates"],
    )


def read_summary(audit_path: Path) -> AuditSummary:
    """What an audit table says of the whole, from its metadata."""
    metadata = tables.read_metadata(audit_path, kind="label_audit")
    return AuditSummary(**metadata["summary"])


def audit_table(evidence: Evidence, judgement: Judgement, other: OtherIssues) -> pa.Table:
    """The audit's table, one row per face in the order of the evidence; columns as the head of this file says."""
    reasons, ids = judgement.reasons, pa.array(evidence.sample_ids, pa.string())
    given, suggested, second = (
        pa.DictionaryArray.from_arrays(codes.astype(np.int8), evidence.names).cast(pa.string())
        for codes in (evidence.labels, reasons.suggested, reasons.second)
    )
    return pa.table(
        {
            "sample_id": ids,
            "given_label": given,
            "suggested_label": suggested,
            "second_label": second,
            "label_score": judgement.score,
            "suggestion_score": reasons.suggestion_score,
            "is_label_issue": judgement.marked,
            "needs_person": judgement.person,
            "is_reviewed": judgement.settled,
            "rank": judgement.rank,
            "class_rank": judgement.class_rank,
            "review_rank": judgement.review_rank,
            "kind": pa.array(reasons.kind, pa.string()),
            "neighbours": _lists(ids, judgement.disagreeing),
            "neighbour_labels": _lists(given, judgement.disagreeing),
            **{f"{name}_score": score.astype(np.float32) for name, score in judgement.scores.items()},
            "ambiguity_score": reasons.ambiguity_score.astype(np.float32),
            "face_score": reasons.face_score.astype(np.float32),
            **{str(name): values.to_numpy() for name, values in other.columns.items()},
            **{f"p_{name}": evidence.probabilities[:, k].astype(np.float32) for k, name in enumerate(evidence.names)},
        }
    )


def _lists(values: pa.Array, rows: NDArray[np.int64]) -> pa.Array:
    """The values at some rows for each face, [N, n] with NOBODY for none, as lists."""
    there = rows != NOBODY
    offsets = np.concatenate([[0], there.sum(axis=1).cumsum()])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values.take(pa.array(rows[there])))


def _pictures(manifest: Manifest, evidence: Evidence) -> NDArray[np.int64]:
    """A number for each face's picture, int64 [N]."""
    codes, _ = pd.factorize(manifest.facts(["pixel_sha256"])["pixel_sha256"])
    positions = pd.Index(manifest.frame["sample_id"]).get_indexer(pd.Index(evidence.sample_ids))
    return np.asarray(codes[positions], dtype=np.int64)


def _reviewed(manifest: Manifest, evidence: Evidence, config: AuditConfig, decisions: str | Path | None) -> Reviewed:
    """What people decided of these faces, by the project's log or another."""
    log = project_log(manifest) if decisions is None else DecisionLog(decisions, must_exist=True)
    with closing(log) if log is not None else nullcontext():
        reviewed = reviewed_labels(manifest, log, consensus=config.consensus, seniority=config.seniority)
    return reviewed.among(evidence.sample_ids)


def _refuse_unusable(evidence: Evidence, config: AuditConfig, path: Path) -> None:
    labels = evidence.labels
    if len(np.unique(labels)) < 2:
        raise FerError(
            f"{path}: expected faces of two labels or more, found {len(np.unique(labels))}; nothing to audit"
        )
    agreement = float((evidence.probabilities.argmax(axis=1) == labels).mean())
    if agreement > config.max_agreement:
        raise FerError(
            f"{path}: expected out-of-fold predictions, found that {100 * agreement:.1f} % agree with the given "
            "labels, as they do where a model judges the faces it was trained on; predict with `fer predict`, or, "
            "if the labels are that clean, raise max_agreement"
        )
