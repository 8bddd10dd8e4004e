"""A manifest as a page: what is in it, how it is spread, and what a user should know before training on it."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from fer_data import pages
from fer_data.description import agreement, composition, origins, people, pictures, sheets, twins
from fer_data.description.datasheet import datasheet
from fer_data.description.material import Material
from fer_data.manifest import Manifest
from fer_data.pages import Html, Section
from fer_data.progress import SILENT, Reporter
from fer_data.quality import QualityConfig

_PARTS: tuple[tuple[str, Callable[[Material], Html]], ...] = (
    ("At a glance", composition.glance),
    ("Classes and splits", composition.classes),
    ("Sources", composition.sources),
    ("Plan", composition.plan),
    ("Faces", sheets.faces),
    ("Duplicates and leaks", twins.duplicates),
    ("Votes", agreement.votes),
    ("People and conditions", people.attributes),
    ("Size and brightness", pictures.sizes),
    ("Picture quality", pictures.offenders),
    ("What is known", origins.missing),
    ("Licence", origins.licence),
    ("Where it comes from", origins.provenance),
)


def describe(
    manifest: Manifest,
    out_html: Path,
    *,
    faces: bool = True,
    quality: QualityConfig | None = None,
    reporter: Reporter = SILENT,
) -> Path:
    """Write a self-contained page about a manifest; nothing in it is loaded from elsewhere.

    Pictures are measured once: what was measured of a store is kept in the project's `cache/`.

    Args:
        faces: show faces; without, the page names ids and can be passed on.
        quality: below which scores a picture counts as dark, blurred and so on.

    Raises:
        FerError: a store that the manifest points to is gone or was altered.
    """
    material = Material(manifest, faces, quality or QualityConfig(), reporter)
    sections = []
    with reporter.stage("page", len(_PARTS) + 1) as stage:
        for title, build in _PARTS:
            markup = build(material)
            if markup:
                sections.append(Section(title, markup))
            stage.advance(note=title)
        sections.insert(-1, Section("Datasheet", _datasheet(material)))
        stage.advance()
    lead = f"{len(manifest):,} faces, label set {manifest.label_set}: {', '.join(manifest.labels)}."
    return pages.write_page(out_html, pages.page(manifest.name, sections, lead))


def class_counts(manifest: Manifest) -> pd.DataFrame:
    """Rows per label (index: the label set's order, then "unlabelled") and split (columns that occur)."""
    material = Material(manifest)
    return material.counts(material.split, material.splits)


def _datasheet(material: Material) -> Html:
    answers = datasheet(material.manifest)
    rows = [
        (answer.question, answer.lines[0] if len(answer.lines) == 1 else pages.bullets(answer.lines))
        for answer in answers
    ]
    note = "After Gebru et al., “Datasheets for Datasets”, CACM 64(12), 2021."
    return Html(pages.pairs(rows) + pages.paragraph(note, "note"))
