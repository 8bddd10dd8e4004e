"""The same question over all splits: every face is tested with once, so that rare classes have enough faces."""

from typing import Any

from experiments.report import wording
from experiments.report.classes import recalls_table
from experiments.report.contents import Results
from experiments.report.differences import against_baseline, effects_table
from experiments.report.marks import Axis, Missing
from fer_data import pages
from fer_data.pages import Section

TITLE = "Cross-validated"


def cross_validation(results: Results | None) -> Section | Missing:
    """The answer of the cross-validation, its arms and its classes.

    Args:
        results: of the experiment with folds.
    """
    if results is None:
        return Missing(TITLE, "no cross-validated results were given; every figure is of one division into splits.")
    parts = [pages.paragraph(wording.answer(results)), pages.paragraph(wording.beside_the_answer(results))]
    for view in results.views_without_twins:
        found = against_baseline(results, view)
        axis = Axis.around(list(found.values()))
        parts.append(pages.heading(wording.capital(view.labels_name)))
        parts.append(effects_table(results, found, axis))
        parts.append(recalls_table(results, view))
    note = pages.paragraph(
        f"{wording.counted(len(results.runs), 'run')}; SHA-256 of all numbers {results.numbers_sha256[:12]}…", "note"
    )
    return Section(TITLE, "".join(parts) + note)


def described(results: Results) -> dict[str, Any]:
    """What report.json keeps of it."""
    return {
        "name": results.name,
        "answer": wording.answer(results),
        "numbers_sha256": results.numbers_sha256,
        "views": [view.model_dump() for view in results.views],
        "contrasts": [contrast.model_dump() for contrast in results.contrasts],
    }
