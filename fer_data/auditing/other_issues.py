"""What else is wrong with a data set, in the table of its labels: one score and one flag per face and issue.

    outlier                  far from every other face in feature space
    conflicting_duplicate    the very picture, or a linked near duplicate, carries another label
    leak                     shares picture, sequence, person or group with a face of another split
    dark, bright, …          issues of the picture (`fer_data.quality`), where it has been measured
    class_imbalance          of a class with far fewer faces than an equal share
    underperforming_group    of a group that is recognised worse than others of the same labels

and, of the whole, the order of the faces and which labels overlap. Scores are 0..1, low = bad. Of cleanlab's Datalab,
the rule for outliers is used; its check for imbalance names the single rarest class, its check for groups a single
cluster of features, its check for order shuffles under numpy's global seed: those three are a few lines of our own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from fer_data.auditing.copies import identical_conflicts, known_links, leaks, linked_conflicts
from fer_data.auditing.evidence import Evidence, Labels
from fer_data.auditing.findings import Finding, counted
from fer_data.auditing.order import Order, judge_order
from fer_data.auditing.slices import ATTRIBUTES, Slice, Slicing, slicings, worse_slices
from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.manifest import Manifest
from fer_data.progress import SILENT, Reporter
from fer_data.quality import ISSUES, QualityConfig, is_measured, mark_quality, measure_quality
from fer_data.tabular.columns import matching_rows

Scores = NDArray[np.float64]
_SHOWN = 10  # rows of a summary's table
_PICTURES = MappingProxyType(
    {
        "dark": "too dark",
        "bright": "washed out",
        "low_contrast": "low in contrast",
        "blurred": "blurred",
        "blank": "blank",
        "not_square": "far from square",
    }
)


class OtherIssuesConfig(Configuration):
    """What else is looked for."""

    # A class is rare where its share is below this part of an equal share (1 / number of labels).
    rare: float = Field(default=0.25, ge=0, le=1)
    # Whether pictures are measured: only where they have been already, in any case, or not at all. Measuring takes
    # about a second per 20,000 faces, once.
    quality: Literal["if_measured", "always", "never"] = "if_measured"
    # A table of links (`fer duplicates`) whose near duplicates count too; null takes the one that lies beside the
    # audits, if it was made of this very manifest. The audit searches none: that takes seconds to minutes.
    links: Path | None = None
    # By which attributes faces are grouped: "source", and columns of manifest and facts.
    attributes: tuple[str, ...] = ATTRIBUTES
    # Smaller groups are not compared.
    group_faces: int = Field(default=30, ge=2)
    # How far a group's agreement must lie below what is expected of its labels, 0..1.
    group_worse_by: float = Field(default=0.05, ge=0, le=1)
    # P values below this are told as findings (order, groups).
    level: float = Field(default=0.01, gt=0, lt=1)
    # Of the order only what is at least this strong is told: Cramér's V, and how far what faces have in common with
    # those near them differs from chance. In a large data set the faintest order is significant.
    order_strength: float = Field(default=0.05, ge=0)


@dataclass(frozen=True)
class OtherIssues:
    """Issues of N faces.

    Attributes:
        columns: N rows in the order of the evidence: `<issue>_score`, float64 in 0..1, and `is_<issue>`, bool.
        summary: per issue {"count": faces or findings, "sentence": what a person should know, "rows": a small table,
            a list of mappings with equal keys}; JSON-able.
    """

    columns: pd.DataFrame
    summary: dict[str, dict[str, Any]]


def find_other_issues(
    manifest: Manifest,
    evidence: Evidence,
    score: Scores,
    outlier_score: Scores,
    is_outlier: NDArray[np.bool_],
    config: OtherIssuesConfig,
    *,
    quality: pd.DataFrame | None = None,
    neighbours: Labels | None = None,
    seed: int = 0,
) -> OtherIssues:
    """Look for all other issues.

    Args:
        manifest: what was audited; its other rows count for duplicates and leaks.
        score: float64 [N], estimated probability that the given label is right.
        outlier_score: float64 [N], 0..1, low = far from all others; NaN where unknown.
        is_outlier: bool [N], as `reasons.is_isolated` tells it.
        quality: what `picture_quality` gave; None for not measured.
        neighbours: int64 [N, k], rows of the evidence nearest to each in feature space, -1 for none; None to leave
            the order of features out.
        seed: of the shuffles of the test of order.

    Raises:
        FerError: a face of the evidence is not in the manifest, the table of links is missing or has other columns,
            or an attribute is not known.
    """
    rows = _positions(manifest, evidence)
    links = manifest.root / config.links if config.links else known_links(manifest)
    findings = {
        "outlier": _outliers(outlier_score, is_outlier),
        "conflicting_duplicate": identical_conflicts(manifest, rows),
        **({"conflicting_near_duplicate": linked_conflicts(manifest, rows, links)} if links else {}),
        "leak": leaks(manifest, rows),
        **({} if quality is None else {"picture_quality": _pictures(quality)}),
        "class_imbalance": _imbalance(evidence, config.rare),
        "order": _order(evidence, rows, neighbours, config, seed),
        "underperforming_group": _groups(manifest, evidence, rows, score, config),
    }
    columns = {name: values for issue, found in findings.items() for name, values in found.columns(issue).items()}
    if quality is not None:
        columns |= {name: quality[name].to_numpy() for name in _picture_columns()}
    summary = {issue: found.as_dict() for issue, found in findings.items()}
    return OtherIssues(pd.DataFrame(columns, index=range(len(evidence))), summary)


def picture_quality(
    manifest: Manifest, evidence: Evidence, config: OtherIssuesConfig, reporter: Reporter = SILENT
) -> pd.DataFrame | None:
    """Scores and flags of the audited faces' pictures, in the evidence's order, without what votes say of them.

    Returns:
        Columns `dark_score`, `is_dark`, … of `quality.ISSUES` but for not_a_face, which comes from votes; None where
        the configuration does not ask for it.

    Raises:
        FerError: a face of the evidence is not in the manifest.
    """
    if config.quality == "never" or (config.quality == "if_measured" and not is_measured(manifest)):
        return None
    marked = mark_quality(measure_quality(manifest, reporter), QualityConfig())
    return marked[_picture_columns()].iloc[_positions(manifest, evidence)].reset_index(drop=True)


def _positions(manifest: Manifest, evidence: Evidence) -> Labels:
    """Where the faces of the evidence stand in the manifest, int64 [N]."""
    ids = pa.chunked_array([pa.array(evidence.sample_ids, pa.string())])
    found = matching_rows(ids, manifest.table["sample_id"])
    if (found < 0).any():
        raise FerError(
            f"{manifest.path}: expected every audited face, found {int((found < 0).sum())} missing "
            f"(first: {evidence.sample_ids[int(np.flatnonzero(found < 0)[0])]}); audit predictions of this manifest"
        )
    return found


def _outliers(outlier_score: Scores, is_outlier: NDArray[np.bool_]) -> Finding:
    count = int(is_outlier.sum())
    lie = counted(count, "face lies", "faces lie")
    sentence = f"{lie} far from every other." if count else "No face is an outlier."
    return Finding(sentence, count, score=outlier_score, flag=is_outlier)


def _picture_columns() -> list[str]:
    return [name for issue in _PICTURES for name in (ISSUES[issue], f"is_{issue}")]


def _pictures(quality: pd.DataFrame) -> Finding:
    """One finding for all issues of pictures, of which each has columns of its own."""
    counts = {what: int(quality[f"is_{issue}"].sum()) for issue, what in _PICTURES.items()}
    clauses = ", ".join(f"{what} {count:,}" for what, count in counts.items() if count)
    told = f"{clauses[:1].upper()}{clauses[1:]}" if clauses else "None to complain of"
    sentence = f"{told}, of {counted(len(quality), 'picture', 'pictures')}."
    flagged = quality[[f"is_{issue}" for issue in _PICTURES]].any(axis=1)
    return Finding(sentence, int(flagged.sum()), [{"pictures": what, "faces": count} for what, count in counts.items()])


def _imbalance(evidence: Evidence, rare: float) -> Finding:
    """The effective number of classes is exp of the entropy of the shares (Jost, "Entropy and diversity", 2006)."""
    counts = np.bincount(evidence.labels, minlength=len(evidence.names))
    shares = counts / max(len(evidence), 1)
    relative = np.minimum(shares * len(counts), 1)
    effective = float(np.exp(-(shares * np.log(np.maximum(shares, 1e-300))).sum()))
    is_rare = relative < rare
    rare_names = [f"{evidence.names[k]} ({counts[k]:,})" for k in np.flatnonzero(is_rare)]
    balance = f"the {len(counts)} labels are worth {effective:.1f} equally frequent ones"
    sentence = f"Rare: {', '.join(rare_names)}; {balance}." if rare_names else f"No label is rare; {balance}."
    table = [
        {
            "label": evidence.names[k],
            "faces": int(counts[k]),
            "share": float(shares[k]),
            "largest is times as large": float(counts.max() / counts[k]) if counts[k] else None,
            "rare": bool(is_rare[k]),
        }
        for k in np.argsort(counts, kind="stable")
    ]
    return Finding(sentence, int(is_rare.sum()), table, relative[evidence.labels], is_rare[evidence.labels])


def _order(
    evidence: Evidence, rows: Labels, neighbours: Labels | None, config: OtherIssuesConfig, seed: int
) -> Finding:
    order = np.argsort(rows, kind="stable")
    if neighbours is not None:
        place = np.argsort(order, kind="stable")
        neighbours = np.where(neighbours >= 0, place[neighbours], -1)[order]
    told = judge_order(evidence.labels[order], neighbours, seed)
    clauses = _told(told, config)
    sentence = f"In the order of the data set {' and '.join(clauses)}." if clauses else "The order tells nothing."
    table = [
        {"test": name, "value": value, "p": p_value}
        for name, value, p_value in (
            ("equal labels in a row, times as often as by chance", told.runs, told.runs_p),
            ("labels differ between stretches, Cramér's V", told.drift, told.drift_p),
            ("alike faces near each other, times as often as by chance", told.neighbours, told.neighbours_p),
        )
        if value is not None
    ]
    return Finding(sentence, len(clauses), table)


def _told(order: Order, config: OtherIssuesConfig) -> list[str]:
    clauses = []
    if order.runs_p < config.level and abs(order.runs - 1) >= config.order_strength:
        clauses.append(f"faces follow one of the same label {order.runs:.2f} times as often as by chance")
    if order.drift_p < config.level and order.drift >= config.order_strength:
        clauses.append(f"labels shift from stretch to stretch (Cramér's V {order.drift:.2f})")
    near, near_p = order.neighbours or 1.0, order.neighbours_p or 1.0
    if near_p < config.level and near - 1 >= config.order_strength:
        clauses.append(f"alike faces lie near each other {near:.2f} times as often as by chance")
    return clauses


def _groups(manifest: Manifest, evidence: Evidence, rows: Labels, score: Scores, config: OtherIssuesConfig) -> Finding:
    divisions = slicings(manifest, rows, config.attributes)
    slices = worse_slices(
        divisions,
        evidence.labels,
        evidence.probabilities.argmax(axis=1) == evidence.labels,
        score,
        evidence.groups,
        least=config.group_faces,
        worse_by=config.group_worse_by,
        level=config.level,
    )
    worse = [one for one in slices if one.is_worse]
    column = _group_scores(divisions, worse, len(evidence))
    table = [one.as_dict() for one in slices[:_SHOWN]]
    return Finding(_worse(worse, slices), len(worse), table, column, column < 1)


def _group_scores(divisions: Sequence[Slicing], worse: Sequence[Slice], faces: int) -> Scores:
    """Agreement as a share of what is expected, of the worst group that a face is in; 1 outside of such groups."""
    column = np.ones(faces)
    for one in worse:
        division = next(other for other in divisions if other.attribute == one.attribute)
        members = division.codes == division.values.index(one.value)
        column[members] = np.minimum(column[members], one.agreement / one.expected)
    return column


def _worse(worse: Sequence[Slice], slices: Sequence[Slice]) -> str:
    if not slices:
        return "No attribute divides the faces into groups to compare."
    if not worse:
        return f"None of {counted(len(slices), 'group', 'groups')} is recognised worse than others of the same labels."
    first = [
        f"{one.attribute.replace('_', ' ')} {one.value} ({100 * one.agreement:.0f} % agreement, "
        f"{100 * one.expected:.0f} % expected)"
        for one in worse[:3]
    ]
    verb = "is" if len(worse) == 1 else "are"
    return f"{len(worse):,} of {len(slices):,} groups {verb} recognised worse than expected: {', '.join(first)}."
