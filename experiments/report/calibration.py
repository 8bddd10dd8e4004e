"""Whether probabilities hold what they promise."""

from collections.abc import Sequence

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
# What `classifier.metrics.evaluate` tells, where it stands, and its name here.
MEASURES = {
    ("ece",): "calibration error (ECE)",
    ("brier",): "Brier score",
    ("cross_entropy",): "cross-entropy, nats",
    ("aurc",): "area under risk and coverage",
    ("selective_accuracy", "0.5"): "accuracy on the surest half",
    ("selective_accuracy", "0.8"): "on the surest 80 %",
}
VOTES = "cross-entropy to the shares of votes, nats"


def calibration(results: Results) -> Section | Missing:
    """Reliability diagrams before and after, and the scores that depend on probabilities."""
    table = _table(results)
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


def scores_by_arm(results: Results) -> tuple[list[str], dict[str, list[float | None]]]:
    """The names of the scores that depend on probabilities, and each main arm's, where any arm has one."""
    found: dict[str, list[float | None]] = {
        arm: [results.mean_of_runs(results.primary.view, arm, *keys) for keys in MEASURES] for arm in results.main_arms
    }
    names = list(MEASURES.values())
    if results.votes is not None:
        names.append(VOTES)
        for arm, values in found.items():
            values.append(results.votes[arm].cross_entropy if arm in results.votes else None)
    shown = [column for column in range(len(names)) if any(values[column] is not None for values in found.values())]
    return [names[column] for column in shown], {arm: [row[column] for column in shown] for arm, row in found.items()}


def scores_note(results: Results) -> str:
    """What the scores are, in words."""
    told = (
        "The mean over seeds. Errors, scores, entropies and areas: lower is better; accuracy on the answers of highest "
        "probability: higher. Training on smoothed or soft labels makes probabilities timid; no arm was calibrated "
        "afterwards."
    )
    first = next(iter((results.votes or {}).values()), None)
    if first is not None and first.entropy is not None:
        told += (
            f" Shares of votes: after FER+'s filter, which drops votes that stand alone, on {first.count:,} labelled "
            "test faces without twins that enough people named; their own entropy, below which no classifier can be, "
            f"is {first.entropy:.3f}."
        )
    return told


def _points(bins: Sequence[Bin]) -> list[Point]:
    return [
        Point(100 * each.confidence, 100 * each.accuracy, 100 * each.low, 100 * each.high)
        for each in bins
        if each.faces >= FEWEST
    ]


def _table(results: Results) -> Html | None:
    names, found = scores_by_arm(results)
    if not names:
        return None
    rows = [
        [
            marks.strong(results.titles[arm], arm in (results.question.baseline, results.question.primary)),
            *("–" if value is None else f"{value:.3f}" for value in row),
        ]
        for arm, row in found.items()
    ]
    return pages.figure(pages.table(["", *names], rows, "w" + "r" * len(names)), scores_note(results))
