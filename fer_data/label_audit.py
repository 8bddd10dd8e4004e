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
from dataclasses import asdict, dataclass
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
from fer_data.auditing.guard import expected_marks
from fer_data.auditing.history import carry_on, entry_of, find_previous
from fer_data.auditing.judgement import JudgeConfig, Judgement, judge
from fer_data.auditing.neighbours import NOBODY
from fer_data.auditing.noise import NoiseEstimate
from fer_data.auditing.other_issues import OtherIssues, OtherIssuesConfig, find_other_issues, picture_quality
from fer_data.auditing.overlapping import overlapping_classes
from fer_data.auditing.policies import try_policies
from fer_data.auditing.reviewed import Reviewed, project_log, reviewed_labels, scores_before
from fer_data.auditing.sharpening import sharpen_estimate
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


@dataclass(frozen=True)
class AuditSummary:
    """What an audit says of the whole; all of it JSON-able. The page tells the keys: `auditing/page/summary.py`."""

    given: dict[str, int]
    marked: dict[str, int]
    reviewed: int
    noise: dict[str, Any]
    guarded: list[str]
    expected: dict[str, Any]
    kinds: dict[str, int]
    policies: list[dict[str, Any]]
    overlapping: list[dict[str, Any]]
    other: dict[str, Any]
    weights: list[dict[str, Any]]
    history: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def error_rates(self) -> dict[str, float]:
        """Estimated share of wrong labels per given label that faces have, 0..1, worst first."""
        rates = {label: rate["value"] for label, rate in self.noise["error_rates"].items() if rate is not None}
        return dict(sorted(rates.items(), key=lambda pair: -pair[1]))

    def confusions(self, label: str, least: float = 0.03) -> list[tuple[str, float]]:
        """What faces labelled `label` most often really show: up to three labels with shares of at least `least`."""
        names = self.noise["labels"]
        row = self.noise["conditional"]["value"][names.index(label)] or []
        others = [(name, share) for name, share in zip(names, row, strict=False) if name != label and share >= least]
        return sorted(others, key=lambda pair: -pair[1])[:3]

    def lines(self) -> list[str]:
        """A few lines for the terminal: error rates, worst first, what the worst labels really are, what is marked."""
        total, rates = self.noise["error_rate"], self.error_rates
        per_class = "  ".join(f"{label} {100 * rate:.0f} %" for label, rate in rates.items())
        confused = [
            f"{label} is most often {_listed([name for name, _ in self.confusions(label)])}"
            for label in list(rates)[:3]
            if self.confusions(label)
        ]
        between = f"{100 * total['low']:.0f} to {100 * total['high']:.0f}"
        lines = [f"estimated wrong labels {100 * total['value']:.1f} % ({between})    {per_class}"]
        lines += ["; ".join(confused)] if confused else []
        lines.append(f"{sum(self.marked.values()):,} of {sum(self.given.values()):,} labels marked as suspect")
        if self.guarded:
            lines.append(f"{_listed(self.guarded)}: too few faces to change any without a person")
        if self.reviewed:
            lines.append(f"{self.reviewed:,} were decided by people and count as known")
        return lines


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


def summarise(
    evidence: Evidence, judgement: Judgement, other: OtherIssues, policies: Mapping[str, Any], reviewed: int
) -> dict[str, Any]:
    """What is said of the whole, but for its history; keys in `fer_data.auditing.page.summary`."""
    names, noise, trial = evidence.names, judgement.noise, judgement.combined.trial
    marked = np.bincount(evidence.labels[judgement.marked], minlength=len(names))
    expected = expected_marks(
        evidence.labels, judgement.score, judgement.marked, trial.planted, trial.score, noise
    ).as_dict(names)
    return {
        "given": dict(zip(names, noise.given.tolist(), strict=True)),
        "marked": dict(zip(names, marked.tolist(), strict=True)),
        "reviewed": reviewed,
        "noise": noise.as_dict(names),
        "guarded": [names[index] for index in judgement.guarded],
        "expected": expected,
        "kinds": judgement.reasons.counts(),
        "policies": [_policy_row(name, policies) for name in policies["rules"]],
        "overlapping": [pair.as_dict() for pair in overlapping_classes(names, noise)],
        "other": other.summary,
        "weights": [{"part": part, "weight": weight} for part, weight in judgement.combined.weights.items()],
    }


def _policy_row(name: str, policies: Mapping[str, Any]) -> dict[str, Any]:
    rule, told = policies["rules"][name], policies["expected"][name]
    right = told["new_labels"] or {"value": None, "low": None, "high": None}
    return {
        "name": name,
        "rule": (
            f"relabel if label_score ≤ {rule['relabel_score']:.2f} and suggestion_score ≥ "
            f"{rule['relabel_suggestion']:.2f}, drop if label_score ≤ {rule['drop_score']:.2f} and suggestion_score < "
            f"{rule['drop_suggestion']:.2f}, soft label if label_score ≤ {rule['soften_score']:.2f}"
        ),
        "relabelled": told["counts"]["relabel"],
        "dropped": told["counts"]["drop"],
        "softened": told["counts"]["soften"],
        "expected_precision": right["value"],
        "interval": [right["low"], right["high"]],
    }


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


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
