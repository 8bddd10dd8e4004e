"""Test faces that the dataset itself, or a published list, names as covered, dark or turned."""

from experiments.report import marks, wording
from experiments.report.contents import Results
from experiments.report.marks import Missing
from experiments.report.wording import METRIC_NAMES, percent
from fer_data import pages
from fer_data.pages import Section

TITLE = "Faces that are really covered, dark or turned"


def slices(results: Results) -> Section | Missing:
    """Every arm on each slice, by the primary metric."""
    if not results.slices:
        return Missing(TITLE, "the dataset and published lists name none among the test faces.")
    headers, rows = table_of(results)
    strong = (results.question.baseline, results.question.primary)
    marked = [[marks.strong(row[0], arm in strong), *row[1:]] for arm, row in zip(results.main_arms, rows, strict=True)]
    return Section(TITLE, pages.figure(pages.table(headers, marked, "w" + "r" * (len(headers) - 1)), note(results)))


def table_of(results: Results) -> tuple[list[str], list[list[str]]]:
    """Heads and rows: an arm each, a column for each slice with its faces."""
    found = results.slices or {}
    metric = results.primary.metric
    headers = ["", *(f"{name} ({one.faces:,})" for name, one in found.items())]
    rows = [
        [results.titles[arm], *(percent(one.arms.get(arm, {}).get(metric)) for one in found.values())]
        for arm in results.main_arms
    ]
    return headers, rows


def note(results: Results) -> str:
    """What the figures are."""
    view = wording.view_name(results.view(results.primary.view))
    return (
        f"{wording.capital(METRIC_NAMES[results.primary.metric])} in per cent over the classes that a slice (faces) "
        f"has, the mean over seeds, without intervals; {view}. As the dataset or a published list names them."
    )
