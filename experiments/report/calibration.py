"""Whether probabilities hold what they promise."""

from collections.abc import Sequence

import numpy as np

from experiments.report import charts, marks, wording
from experiments.report.charts import Point
from experiments.report.contents import Results
from experiments.report.marks import Missing
from experiments.report.parts import Bin
from experiments.report.robustness import compared_arms
from fer_data import pages
from fer_data.pages import Html, Section

TITLE = "Confidence"
FEWEST = 10  # answers in a bin that is drawn
# What `classifier.metrics.evaluate` tells, and its name here.
MEASURES = {
    "ece": "calibration error (ECE)",
    "brier": "Brier score",
    "cross_entropy": "cross-entropy, nats",
    "aurc": "area under risk and coverage",
}


def calibration(results: Results) -> Section | Missing:
    """Reliability diagrams before and after, and the scores that depend on probabilities."""
    table = _measures(results)
    if not results.reliability and table is None:
        return Missing(TITLE, "the records hold no scores of probabilities.")
    parts = []
    if results.reliability:
        arms = [arm for arm in compared_arms(results) if arm in results.reliability]
        styles = charts.arm_styles(results, arms)
        drawn = [
            charts.lines(
                {results.titles[arm]: _points(results.reliability[arm])},
                {results.titles[arm]: styles[arm]},
                title=results.titles[arm],
                below="accuracy, %",
                x="probability of the answer, %",
                domain=(0, 100),
                diagonal=True,
            )
            for arm in arms
        ]
        caption = (
            "How often an answer is right, by its probability, in bins of equal width, with Wilson's 95 % intervals "
            "over the answers of all seeds. On the grey line probabilities hold what they promise; under it they "
            f"promise too much. Bins of fewer than {FEWEST} answers are not drawn. "
            f"{wording.capital(wording.view_name(results.view(results.primary.view)))}."
        )
        parts.append(pages.figure(marks.panels(drawn), caption))
    if table is not None:
        parts.append(table)
    return Section(TITLE, "".join(parts))


def mean_of_runs(results: Results, arm: str, measure: str) -> float | None:
    """What the runs of an arm were scored with in the view of the primary contrast, the mean over seeds."""
    told = [run.metrics.get(results.primary.view, {}).get(measure) for run in results.runs if run.arm == arm]
    known = [float(value) for value in told if value is not None]
    return float(np.mean(known)) if known and len(known) == len(told) else None


def _points(bins: Sequence[Bin]) -> list[Point]:
    return [
        Point(100 * each.confidence, 100 * each.accuracy, 100 * each.low, 100 * each.high)
        for each in bins
        if each.faces >= FEWEST
    ]


def _measures(results: Results) -> Html | None:
    found = {arm: {measure: mean_of_runs(results, arm, measure) for measure in MEASURES} for arm in results.main_arms}
    shown = [measure for measure in MEASURES if any(row[measure] is not None for row in found.values())]
    if not shown:
        return None
    rows = [
        [
            marks.strong(results.titles[arm], arm in (results.question.baseline, results.question.primary)),
            *("–" if (value := row[measure]) is None else f"{value:.3f}" for measure in shown),
        ]
        for arm, row in found.items()
    ]
    caption = (
        "The mean over seeds, lower is better. Training on smoothed or soft labels makes probabilities timid; no arm "
        "was calibrated afterwards."
    )
    return pages.figure(pages.table(["", *(MEASURES[measure] for measure in shown)], rows), caption)
