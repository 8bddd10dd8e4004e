"""Two manifests side by side, as a page: what was relabelled, dropped, added and moved, and what that changed."""

from collections.abc import Callable
from pathlib import Path

from fer_data import pages
from fer_data.description import changes, shifts
from fer_data.description.changes import Comparison
from fer_data.description.material import Material
from fer_data.manifest import Manifest
from fer_data.pages import Html, Section
from fer_data.progress import SILENT, Reporter
from fer_data.quality import QualityConfig

_PARTS: tuple[tuple[str, Callable[[Comparison], Html]], ...] = (
    ("Classes", changes.classes),
    ("Relabelled", changes.relabelled),
    ("Dropped", changes.dropped),
    ("Added", changes.added),
    ("Moved between splits", changes.splits),
    ("Other changes", changes.rest),
    ("Picture quality", shifts.quality),
    ("People and conditions", shifts.conditions),
    ("Duplicates and leaks", shifts.duplicates),
    ("Licence", shifts.licence),
    ("Descent", shifts.descent),
)


def write_diff_page(
    a: Manifest,
    b: Manifest,
    out_html: Path,
    *,
    faces: bool = True,
    quality: QualityConfig | None = None,
    reporter: Reporter = SILENT,
) -> Path:
    """Write a self-contained page that compares two manifests, their samples matched by `sample_id`.

    Args:
        a: before; `b`: after.
        faces: show faces; without, the page names ids and can be passed on.
        quality: below which scores a picture counts as dark, blurred and so on.

    Raises:
        FerError: a store that one of them points to is gone or was altered.
    """
    thresholds = quality or QualityConfig()
    pair = Comparison(Material(a, faces, thresholds, reporter), Material(b, faces, thresholds, reporter))
    sections = [Section("At a glance", _glance(pair))]
    with reporter.stage("page", len(_PARTS)) as stage:
        for title, build in _PARTS:
            markup = build(pair)
            if markup:
                sections.append(Section(title, markup))
            stage.advance(note=title)
    title = f"{pair.names[0]} → {pair.names[1]}"
    return pages.write_page(out_html, pages.page(title, sections, f"{shifts.relation(a, b)}."))


def _glance(pair: Comparison) -> Html:
    found = pair.diff
    totals = found.total_changes()
    synthetic = int((pair.b.frame["origin"] == "synthetic").sum() - (pair.a.frame["origin"] == "synthetic").sum())
    figures: dict[str, object] = {f"faces in {pair.names[0]}": f"{found.rows_a:,}"}
    figures[f"in {pair.names[1]}"] = f"{found.rows_b:,}"
    figures |= {"in both": f"{found.both:,}", "dropped": f"{found.only_a:,}", "added": f"{found.only_b:,}"}
    figures |= {what: f"{totals[what]:,}" for what in ("relabelled", "moved") if what in totals}
    if synthetic:
        figures["synthetic"] = f"{synthetic:+,}"
    warnings = []
    if found.same:
        warnings.append("Nothing differs.")
    if found.label_set_a != found.label_set_b:
        warnings.append(f"The label sets differ: {found.label_set_a} and {found.label_set_b}.")
    return Html(pages.key_figures(figures) + "".join(pages.paragraph(line, "warning") for line in warnings))
