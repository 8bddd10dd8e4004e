"""The audit as a page: how wrong the labels are, how they are confused, and the worst faces of every class."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from fer_data import pages, tables
from fer_data.auditing.page import estimate, findings, suspects
from fer_data.auditing.page.material import Material
from fer_data.errors import FerError
from fer_data.manifest import Manifest
from fer_data.pages import Html, Section
from fer_data.project import relative

_Part = tuple[str, Callable[[Material], Html]]
_BEFORE: tuple[_Part, ...] = (
    ("Estimate", estimate.glance),
    ("Given and true labels", estimate.noise),
    ("How the estimate moved", estimate.history),
    ("Review next", suspects.next_looks),
)
_AFTER: tuple[_Part, ...] = (
    ("Without a reviewer", findings.policies),
    ("Labels that overlap", findings.overlapping),
    ("Other issues", findings.other_issues),
    ("What the score is made of", findings.weights),
    ("How this was made", findings.method),
)


def write_audit_page(manifest: Manifest, audit_path: Path, out_html: Path) -> Path:
    """Write a self-contained page about an audit; nothing in it is loaded from elsewhere.

    It shows what the table and its metadata hold: an audit made by an earlier version gives a shorter page.

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
    return pages.write_page(out_html, render(manifest, frame, metadata, relative(audit_path, manifest.root)))


def render(manifest: Manifest, audit: pd.DataFrame, metadata: Mapping[str, Any], place: str) -> str:
    """The page of an audit table.

    Args:
        audit: rows of the table; every sample_id is in the manifest.
        metadata: the table's footer.
        place: the table's path as a command would name it.
    """
    material = Material(manifest, audit, metadata, place)
    classes = tuple((str(label), suspects.worst_of(str(label))) for label in material.given.index)
    built = [(title, build(material)) for title, build in (*_BEFORE, *classes, *_AFTER)]
    sections = [Section(title, markup) for title, markup in built if markup]
    return pages.page(f"Label audit of {manifest.name}", sections, _lead(material))


def _lead(material: Material) -> str:
    rate, total = material.noise.error_rate, int(material.given.sum())
    found = "" if rate is None else f"; {100 * rate.value:.0f} % are estimated to be wrong"
    return (
        f"{total:,} labels were compared with what models that had not seen these faces take them for{found}.\n"
        "An estimate to start a review from, not a verdict: the weaker the model, the more labels look wrong to it."
    )
