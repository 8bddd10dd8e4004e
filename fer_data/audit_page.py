"""The audit as a page: how wrong the labels are, how they are confused, and the worst faces of every class."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fer_data import pages, tables
from fer_data.errors import FerError
from fer_data.label_audit import AuditSummary, read_summary
from fer_data.manifest import Manifest
from fer_data.pages import Html, Section

_FACES = 48  # per class
_COLUMNS = 8
_FACE_PX = 108


def write_audit_page(manifest: Manifest, audit_path: Path, out_html: Path) -> Path:
    """Write a page with the noise matrix and the worst faces of every class.

    Raises:
        FerError: the table is not an audit, or it judges faces that the manifest does not have.
    """
    table, metadata = tables.read_table(audit_path, kind="label_audit")
    frame = table.to_pandas()
    gone = ~frame["sample_id"].isin(manifest.frame["sample_id"])
    if gone.any():
        raise FerError(
            f"{audit_path}: expected faces of {manifest.path}, found {int(gone.sum())} others "
            f"(first: {frame.loc[gone, 'sample_id'].iloc[0]}); audit this manifest, or name the one that was audited"
        )
    return pages.write_page(out_html, render(manifest, frame, read_summary(audit_path), metadata))


def render(manifest: Manifest, audit: pd.DataFrame, summary: AuditSummary, metadata: Mapping[str, Any]) -> str:
    """The page of an audit table.

    Args:
        audit: rows of the table; every sample_id is in the manifest.
        metadata: the table's footer.
    """
    hashes = manifest.facts(["pixel_sha256"])["pixel_sha256"]
    total, marked = sum(summary.given.values()), sum(summary.marked.values())
    lead = (
        f"{total:,} labels were compared with what a model that had not seen these faces takes them for.\n"
        "An estimate to start a review from, not a verdict: the weaker the model, the more labels look wrong to it."
    )
    figures = {
        "labels judged": f"{total:,}",
        "the model agrees with": f"{100 * (audit['given_label'] == audit['suggested_label']).mean():.1f} %",
        "estimated wrong": f"{100 * summary.error_rate:.1f} %",
        "marked as suspect": f"{marked:,} ({100 * marked / total:.1f} %)",
    }
    sections = [
        Section("Estimate", pages.key_figures(figures) + _classes(summary)),
        Section("Given and true labels", _noise(summary)),
        *(
            Section(label, _worst(manifest, hashes, audit[audit["given_label"] == label]))
            for label in summary.labels
            if summary.given[label]
        ),
        Section("How this was made", _method(manifest, metadata)),
    ]
    return pages.page(f"Label audit of {manifest.name}", sections, lead)


def _classes(summary: AuditSummary) -> Html:
    rows = []
    for label in summary.labels:
        rate = summary.error_rates[label]
        confusions = ", ".join(f"{name} {100 * share:.0f} %" for name, share in summary.confusions(label))
        rows.append(
            (
                label,
                f"{summary.given[label]:,}",
                f"{summary.marked[label]:,}",
                "–" if rate is None else f"{100 * rate:.1f} %",
                confusions or "–",
            )
        )
    headers = ("given label", "faces", "marked", "estimated wrong", "really shows most often")
    return pages.figure(
        pages.table(headers, rows, "lrrrw"),
        "In a class with few faces the estimate is coarse, and good faces rank among the bad: "
        "let a person look before anything of a rare class is dropped.",
    )


def _noise(summary: AuditSummary) -> Html:
    shares = np.array(summary.true_given, dtype=np.float64)
    drawing = pages.matrix(
        summary.labels, summary.labels, shares, rows_are="given label", columns_are="label truly shown (estimated)"
    )
    return pages.figure(
        drawing,
        "Of the faces that carry the row's label, the share that is estimated to show the column's expression. "
        "Each row sums to 1.",
    )


def _worst(manifest: Manifest, hashes: "pd.Series[str]", audit: pd.DataFrame) -> Html:
    doubted = audit[audit["given_label"] != audit["suggested_label"]].sort_values("rank")
    if doubted.empty:
        return pages.paragraph("The model agrees with every label of this class.", "note")
    pictures = pd.Series(hashes.to_numpy(), index=manifest.frame["sample_id"])
    shown = doubted[~pictures[doubted["sample_id"]].duplicated().to_numpy()].head(_FACES)
    positions = pd.Index(manifest.frame["sample_id"]).get_indexer(pd.Index(shown["sample_id"])).tolist()
    captions = []
    for _, face in shown.iterrows():
        suggested, key = face["suggested_label"], str(face["sample_id"]).partition("/")[2]
        captions.append((f"{suggested} {100 * face[f'p_{suggested}']:.0f} %", f"#{face['rank']:,} · {key}"))
    label, marked = audit["given_label"].iloc[0], int(audit["is_label_issue"].sum())
    return pages.figure(
        pages.face_sheet(pages.stored_faces(manifest, positions), _COLUMNS, captions, _FACE_PX),
        f"The {len(shown)} most suspect of {len(audit):,} faces labelled {label} ({marked:,} are marked). Under "
        "each: what the model takes it for and how surely; its rank among all faces (1 = worst) and its key. "
        "A picture that occurs more than once is shown once.",
    )


def _method(manifest: Manifest, metadata: Mapping[str, Any]) -> Html:
    config = metadata["configuration"]
    rows = [
        ("manifest", pages.code(manifest.name)),
        ("ranked by", config["score"].replace("_", " ")),
        ("marked by", f"cleanlab, {config['mark'].replace('_', ' ')}"),
        ("made", metadata["created"]),
        *((f"from {path}", pages.code(digest)) for path, digest in metadata["parents"].items()),
    ]
    return pages.table(("", ""), rows, "lw")
