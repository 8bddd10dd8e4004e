"""A generation as a page: the faces, how many were kept and why, what they are near to, and how true they are."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fer_data import pages, tables
from fer_data.errors import FerError
from fer_data.manifest import Manifest
from fer_data.pages import Html, Section
from fer_data.project import relative
from generators.page import faces, glance, making, measures, neighbours, yields
from generators.page.material import Material

_PARTS: tuple[tuple[str, Callable[[Material], Html]], ...] = (
    ("At a glance", glance.figures),
    ("Synthetic faces", faces.sheets),
    ("Asked, drawn, kept", yields.yields),
    ("What screening dropped, and why", faces.dropped),
    ("Nearest training faces", neighbours.nearest_faces),
    ("Fidelity", measures.fidelity),
    ("How they were made", making.how_it_was_made),
    ("What to do next", making.next_steps),
)


def write_generation_page(
    path: Path,
    drawn: Manifest,
    training: Manifest,
    *,
    screening: Path | None = None,
    fidelity: Mapping[str, Any] | None = None,
) -> Path:
    """Write a self-contained page about generated faces; nothing in it is loaded from elsewhere.

    The faces shown are the first of each cell in the order in which they were drawn, so the same generation gives the
    same page, and nobody can pick the good ones. It shows real training faces too: it may go where those may.

    Args:
        path: the HTML file; an old one is replaced.
        drawn: all faces drawn, before screening.
        training: the manifest that the generator was trained on.
        screening: table of `generators.screening.screen` over the faces of `drawn`.
        fidelity: what `generators.fidelity.measure_fidelity` returned, or the contents of its file.

    Raises:
        FerError: `drawn` has no faces, or the table is not of screening or judges faces that `drawn` does not have.
    """
    if not len(drawn):
        raise FerError(f"{drawn.path}: expected synthetic faces to show, found no rows; generate some first")
    if screening is None:
        return pages.write_page(path, _render(Material(drawn, training, fidelity=fidelity)))
    table, metadata = tables.read_table(screening, kind="screening")
    verdicts = table.to_pandas()
    gone = ~verdicts["sample_id"].isin(drawn.frame["sample_id"])
    if gone.any():
        raise FerError(
            f"{screening}: expected verdicts on faces of {drawn.path}, found {int(gone.sum())} on others (first: "
            f"{verdicts.loc[gone, 'sample_id'].iloc[0]}); screen these faces, or name those that were screened"
        )
    place = relative(screening, drawn.root)
    return pages.write_page(path, _render(Material(drawn, training, verdicts, metadata, place, fidelity)))


def _render(material: Material) -> str:
    built = [(title, build(material)) for title, build in _PARTS]
    sections = [Section(title, markup) for title, markup in built if markup]
    return pages.page(f"Synthetic faces of {material.drawn.name}", sections, glance.lead(material))
