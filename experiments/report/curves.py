"""What more of something buys: reviewed faces, generated faces."""

from collections.abc import Mapping, Sequence

from experiments.report import budgets, charts, marks, wording
from experiments.report.budgets import Place
from experiments.report.charts import Point
from experiments.report.contents import Results
from experiments.report.marks import Missing, Style
from experiments.report.wording import METRIC_NAMES
from fer_data import pages
from fer_data.pages import Html, Section

SHOWN = ("accuracy", "balanced_accuracy")
REVIEWS, RATIOS = "What a review buys", "How many generated faces"
REVIEW_HEADERS = ("reviewed", "faces", *(METRIC_NAMES[name] for name in SHOWN), "accuracy per 1,000 faces")
RATIO_HEADERS = ("generated", "ratio", *(METRIC_NAMES[name] for name in SHOWN))


def review_curve(results: Results) -> Section | Missing:
    """The scores by faces reviewed, by the order of review and by who answers."""
    found = budgets.reviews(results)
    if not found.series:
        return Missing(REVIEWS, "no arms differ in how many faces were reviewed.")
    note = pages.paragraph(
        "The reviewer is simulated: a program that answers from reference labels. The same number of faces chosen at "
        "random shows what the order of review is worth.",
        "note",
    )
    rows = [
        [name, faces, *_changes(results, arm), wording.points(gain)] for name, faces, arm, gain in review_rows(results)
    ]
    drawn = _drawn(results, found.series, "faces reviewed", found.ceiling)
    return Section(REVIEWS, note + drawn + pages.figure(pages.table(REVIEW_HEADERS, rows), caption(results)))


def ratio_curve(results: Results) -> Section | Missing:
    """The scores by how many generated faces were added."""
    found = budgets.ratios(results)
    if not found:
        return Missing(RATIOS, "no arms differ in how many generated faces were added.")
    rows = [[name, ratio, *_changes(results, arm)] for name, ratio, arm in ratio_rows(results)]
    drawn = _drawn(results, found, "generated faces per real face of a class")
    return Section(
        RATIOS,
        drawn + pages.figure(pages.table(RATIO_HEADERS, rows, "w" + "r" * (len(RATIO_HEADERS) - 1)), caption(results)),
    )


def review_rows(results: Results) -> list[tuple[str, str, str, float | None]]:
    """How faces were chosen, how many, the arm, and its gain of accuracy for a thousand of them (a share)."""
    found = budgets.reviews(results)
    rows = [
        (name, f"{place.x:,.0f}", place.arm, _per_thousand(results, place))
        for name, places in found.series.items()
        for place in places
        if place.x
    ]
    if found.ceiling:
        faces = next(arm.training_faces.rows for arm in results.arms if arm.name == results.question.baseline)
        rows.append(("all of them", f"{faces:,}", found.ceiling, _per_thousand(results, Place(faces, found.ceiling))))
    return rows


def ratio_rows(results: Results) -> list[tuple[str, str, str]]:
    """What was added, the ratio, and the arm."""
    return [
        (name, f"{place.x:g}", place.arm)
        for name, places in budgets.ratios(results).items()
        for place in places
        if place.arm != results.question.baseline
    ]


def caption(results: Results) -> str:
    """What the differences are to, and on which faces."""
    baseline = results.titles[results.question.baseline]
    return f"Differences to “{baseline}” in points, {wording.view_name(results.view(results.primary.view))}."


def _drawn(results: Results, series: Mapping[str, Sequence[Place]], x: str, ceiling: str | None = None) -> Html:
    """A panel per view without twins and metric."""
    styles = {name: charts.series_style(number) for number, name in enumerate(series)}
    ends = [place.x for places in series.values() for place in places]
    flat = [Place(min(ends), ceiling), Place(max(ends), ceiling)] if ceiling else []
    if flat:
        styles["all faces reviewed"] = Style(charts.SOFT, (2, 3), "square")
    rows = []
    for view in results.views_without_twins:
        drawn = []
        for metric in SHOWN:
            points = {name: _points(results, view.key, metric, places) for name, places in series.items()}
            if flat:
                points["all faces reviewed"] = _points(results, view.key, metric, flat, with_interval=False)
            title = f"{wording.capital(METRIC_NAMES[metric])}, %"
            drawn.append(charts.lines(points, styles, title=title, below=view.labels_name, x=x))
        rows.append(marks.panels(drawn))
    note = (
        "On the test split without twins; the mean over the seeds that all these arms have, with 95 % intervals over "
        "test faces and seeds."
    )
    return pages.figure(marks.key(styles) + "".join(rows), note)


def _points(
    results: Results, view: str, metric: str, places: Sequence[Place], *, with_interval: bool = True
) -> list[Point]:
    scores = (results.at_curve_seeds or results.scores)[view]
    found = [point for place in places for point in charts.at(place.x, scores[place.arm].metrics[metric])]
    return found if with_interval else [Point(point.x, point.value) for point in found]


def _changes(results: Results, arm: str) -> list[Html]:
    contrasts = (results.contrast(results.primary.view, metric, arm) for metric in SHOWN)
    return [Html("–") if contrast is None else marks.change(contrast) for contrast in contrasts]


def _per_thousand(results: Results, place: Place) -> float | None:
    contrast = results.contrast(results.primary.view, "accuracy", place.arm)
    return None if contrast is None or contrast.value is None else 1000 * contrast.value / place.x
