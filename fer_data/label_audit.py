"""Which labels are probably wrong: out-of-fold probabilities in, a ranked table of suspected issues out.

The engine is cleanlab's confident learning (Northcutt, Jiang and Chuang, "Confident Learning: Estimating
Uncertainty in Dataset Labels", JAIR 70, 2021). The table has one row per audited face: sample_id, given_label,
suggested_label (the most probable one; the given label itself where the model agrees), label_score (0..1, low =
bad), is_label_issue, rank (1 = worst), every single score, and the probabilities p_<label>.
"""

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from fer_data import tables
from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.expressions import label_indices
from fer_data.files import refuse_existing, sha256_file
from fer_data.manifest import Manifest
from fer_data.project import relative

SCORES = ("self_confidence", "normalized_margin")

Labels = NDArray[np.int64]
Probabilities = NDArray[np.float64]


class AuditConfig(Configuration):
    """How labels are judged."""

    # Which score ranks. On FER-2013 against FER+ the margin finds more wrong labels than self-confidence.
    score: Literal["self_confidence", "normalized_margin"] = "normalized_margin"
    # Which faces are marked: cleanlab's `filter_by`.
    mark: Literal["prune_by_noise_rate", "prune_by_class", "both", "confident_learning", "predicted_neq_given"] = (
        "prune_by_noise_rate"
    )
    # More agreement than this between predicted and given labels means that the model saw the faces it judges.
    max_agreement: float = Field(default=0.98, gt=0, le=1)


@dataclass(frozen=True)
class AuditSummary:
    """What an audit estimates, for the terminal and the page.

    Attributes:
        labels: the label set, in order.
        given: audited faces per given label.
        marked: faces per given label that are marked as label issues.
        error_rate: estimated share of wrong labels, 0..1.
        error_rates: the same per given label; None for a label that no face has.
        true_given: [K][K], row = given label: estimated shares of the labels that its faces really show.
    """

    labels: tuple[str, ...]
    given: dict[str, int]
    marked: dict[str, int]
    error_rate: float
    error_rates: dict[str, float | None]
    true_given: list[list[float | None]]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def confusions(self, label: str, least: float = 0.03) -> list[tuple[str, float]]:
        """What faces labelled `label` most often really show: up to three labels with shares of at least `least`."""
        row = self.true_given[self.labels.index(label)]
        others = [(name, share) for name, share in zip(self.labels, row, strict=True) if name != label]
        known = [(name, share) for name, share in others if share is not None and share >= least]
        return sorted(known, key=lambda pair: -pair[1])[:3]

    def lines(self) -> list[str]:
        """Two or three lines for the terminal: error rates, worst first, and what the worst labels really are."""
        rates = [(label, rate) for label, rate in self.error_rates.items() if rate is not None]
        rates.sort(key=lambda pair: -pair[1])
        per_class = "  ".join(f"{label} {100 * rate:.0f} %" for label, rate in rates)
        marked = f"{sum(self.marked.values()):,} of {sum(self.given.values()):,} labels marked as suspect"
        confusions = [
            f"{label} is most often {_listed([name for name, _ in self.confusions(label)])}"
            for label, _ in rates[:3]
            if self.confusions(label)
        ]
        first = f"estimated wrong labels {100 * self.error_rate:.1f} %    {per_class}"
        return [first, *(["; ".join(confusions)] if confusions else []), marked]


def audit(manifest: Manifest, predictions_path: Path, config: AuditConfig, out: Path, *, replace: bool = False) -> Path:
    """Judge the labels of a manifest by out-of-fold probabilities and write the table `out`.

    Args:
        predictions_path: table of kind "predictions" with sample_id and p_<label>, made by a model that had not
            seen the faces it judges; it covers every labelled, not synthetic row of the splits it touches.

    Raises:
        FerError: the predictions do not fit the manifest, are no probabilities, or were made on faces that the
            model was trained on; the labels are all the same; or `out` exists and `replace` is false.
    """
    refuse_existing(out, replace=replace)
    table, source = tables.read_table(predictions_path, kind="predictions")
    probabilities = read_probabilities(table, manifest.labels, str(predictions_path))
    judged = _judged_rows(manifest, table["sample_id"].to_pandas(), predictions_path)
    rows, probabilities = manifest.frame.iloc[judged[judged >= 0]], probabilities[judged >= 0]
    labels = label_indices(rows["label"], manifest.label_set)
    _refuse_unusable(labels, probabilities, config, predictions_path)
    frame = judge_labels(labels, probabilities, manifest.labels, config)
    frame.insert(0, "sample_id", rows["sample_id"].to_numpy())
    true_given, error_rate = estimate_noise(labels, probabilities)
    metadata = tables.provenance(
        "label_audit",
        "fer audit",
        parents={
            relative(manifest.path, manifest.root): manifest.sha256,
            relative(predictions_path, manifest.root): sha256_file(predictions_path),
        },
        configuration=config.model_dump(mode="json"),
        label_set=manifest.label_set,
        predictions={key: source.get(key) for key in ("command", "configuration", "created")},
        left_out_unlabelled=int((judged < 0).sum()),
        summary=_summary(frame, manifest.labels, true_given, error_rate).as_dict(),
    )
    tables.write_table(
        out, pa.Table.from_pandas(frame.sort_values("rank"), preserve_index=False), metadata, replace=replace
    )
    return out


def read_summary(audit_path: Path) -> AuditSummary:
    """What an audit table says of the whole, from its metadata."""
    _, metadata = tables.read_table(audit_path, kind="label_audit", columns=[])
    facts = metadata["summary"]
    return AuditSummary(**{**facts, "labels": tuple(facts["labels"])})


def judge_labels(
    labels: Labels, probabilities: Probabilities, names: Sequence[str], config: AuditConfig
) -> pd.DataFrame:
    """Scores, marks and ranks of labels.

    Args:
        labels: int64 [N], given labels as indices 0..K-1.
        probabilities: float64 [N, K], rows sum to 1.
        names: K label names.

    Returns:
        The audit table's columns but for sample_id, in the order of the labels. Equal scores rank in that order.
    """
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    scores = {name: get_label_quality_scores(labels, probabilities, method=name) for name in SCORES}
    quality = np.clip(scores[config.score], 0, 1)
    with warnings.catch_warnings():
        # Said of every label that no face has; what a small class means for the estimate stands on the page.
        warnings.filterwarnings("ignore", message="May not flag all label issues", category=UserWarning)
        marked = find_label_issues(labels, probabilities, filter_by=config.mark, n_jobs=1)
    rank = np.empty(len(labels), dtype=np.int64)
    rank[np.argsort(quality, kind="stable")] = np.arange(1, len(labels) + 1)
    given = np.asarray(names, dtype=object)
    return pd.DataFrame(
        {
            "given_label": given[labels],
            "suggested_label": given[probabilities.argmax(axis=1)],
            "label_score": quality,
            "is_label_issue": marked,
            "rank": rank,
            **{f"{name}_score": np.clip(score, 0, 1) for name, score in scores.items()},
            **{f"p_{name}": probabilities[:, index].astype(np.float32) for index, name in enumerate(names)},
        }
    )


def estimate_noise(labels: Labels, probabilities: Probabilities) -> tuple[NDArray[np.float64], float]:
    """How often each given label is really another: confident learning's estimate of the joint distribution.

    Returns:
        float64 [K, K], P(true label | given label), rows sum to 1 (NaN for a label that is never given); and
        the estimated share of wrong labels. JAIR 70, 2021, equations 1 to 3.
    """
    from cleanlab.count import estimate_joint

    joint = np.asarray(estimate_joint(labels, probabilities), dtype=np.float64)
    given = np.bincount(labels, minlength=joint.shape[0]) > 0
    conditional = np.full_like(joint, np.nan)
    conditional[given] = joint[given] / joint[given].sum(axis=1, keepdims=True)
    return conditional, float(1 - np.trace(joint))


def read_probabilities(table: pa.Table, names: Sequence[str], where: str) -> Probabilities:
    """The columns p_<label> of a predictions table, float64 [N, K] in the order of `names`; rows sum to 1.

    Raises:
        FerError: there are columns for other labels, or a row is not a distribution (NaN, negative, wrong sum).
    """
    wanted = [f"p_{name}" for name in names]
    found = [name for name in table.column_names if name.startswith("p_")]
    if set(found) != set(wanted) or "sample_id" not in table.column_names:
        raise FerError(
            f"{where}: expected the columns sample_id, {', '.join(wanted)}, found "
            f"{', '.join(table.column_names)}; predict again with the label set of this manifest"
        )
    columns = [table[name].to_numpy(zero_copy_only=False).astype(np.float64) for name in wanted]
    probabilities: Probabilities = np.stack(columns, axis=1)
    rules = {
        "a number": np.isfinite(probabilities).all(axis=1),
        "0 or more": (probabilities >= 0).all(axis=1),
        "probabilities that sum to 1": np.abs(probabilities.sum(axis=1) - 1) < 1e-3,
    }
    for rule, kept in rules.items():
        if not kept.all():
            row = int(np.flatnonzero(~kept)[0])
            values = ", ".join(f"{value:.4g}" for value in probabilities[row])
            raise FerError(
                f"{where}: expected {rule} in every row, found {int((~kept).sum())} rows that break this "
                f"(first: {table['sample_id'][row].as_py()}: {values}); predict again"
            )
    normalized: Probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
    return normalized


def _judged_rows(manifest: Manifest, sample_ids: "pd.Series[str]", path: Path) -> Labels:
    """Manifest position of each prediction, int64 [N]; -1 where the row has no label to judge."""
    frame = manifest.frame
    if sample_ids.duplicated().any():
        first = sample_ids[sample_ids.duplicated()].iloc[0]
        raise FerError(f"{path}: expected one row per face, found {first} more than once; predict again")
    positions = pd.Index(frame["sample_id"]).get_indexer(pd.Index(sample_ids)).astype(np.int64)
    extra = positions < 0
    if extra.any():
        raise FerError(
            f"{path}: expected faces of {manifest.path}, found {int(extra.sum())} rows that it does not have "
            f"(first: {sample_ids[extra].iloc[0]}); predict for this manifest"
        )
    labelled = frame["label"].notna().to_numpy(dtype=bool)
    splits = frame["split"].fillna("none")
    covered = splits.isin(splits.iloc[positions].unique()).to_numpy(dtype=bool)
    missing = labelled & covered & (frame["origin"] != "synthetic").to_numpy(dtype=bool)
    missing[positions] = False
    if missing.any():
        raise FerError(
            f"{path}: expected every labelled face of its splits, found {int(missing.sum())} missing "
            f"(first: {frame.loc[missing, 'sample_id'].iloc[0]}); predict for this manifest"
        )
    return np.where(labelled[positions], positions, -1)


def _refuse_unusable(labels: Labels, probabilities: Probabilities, config: AuditConfig, path: Path) -> None:
    if len(np.unique(labels)) < 2:
        raise FerError(
            f"{path}: expected faces of two labels or more, found {len(np.unique(labels))}; nothing to audit"
        )
    agreement = float((probabilities.argmax(axis=1) == labels).mean())
    if agreement > config.max_agreement:
        raise FerError(
            f"{path}: expected out-of-fold predictions, found that {100 * agreement:.1f} % agree with the given "
            "labels, as they do where a model judges the faces it was trained on; predict with `fer predict`, or, "
            "if the labels are that clean, raise max_agreement"
        )


def _summary(
    frame: pd.DataFrame, labels: Sequence[str], true_given: NDArray[np.float64], error_rate: float
) -> AuditSummary:
    given = frame["given_label"].value_counts()
    marked = frame.loc[frame["is_label_issue"], "given_label"].value_counts()
    matrix = [[None if np.isnan(share) else float(share) for share in row] for row in true_given]
    return AuditSummary(
        labels=tuple(labels),
        given={label: int(given.get(label, 0)) for label in labels},
        marked={label: int(marked.get(label, 0)) for label in labels},
        error_rate=error_rate,
        error_rates={
            label: None if (own := matrix[index][index]) is None else 1 - own for index, label in enumerate(labels)
        },
        true_given=matrix,
    )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
