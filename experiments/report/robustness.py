"""The same test faces with something in front of them, or in the dark."""

from collections.abc import Sequence

import numpy as np

from experiments.report import charts, marks, wording
from experiments.report.charts import Point
from experiments.report.contents import Results
from experiments.report.marks import Axis, Missing
from experiments.report.parts import ConditionContrast
from experiments.report.wording import METRIC_NAMES
from fer_data import pages
from fer_data.pages import Html, Section

TITLE = "Occlusion and low light"


def robustness(results: Results) -> Section | Missing:
    """Every arm against the baseline under the conditions, a panel per condition by severity, and all means."""
    if not results.robustness:
        return Missing(TITLE, "no arm was scored on covered or darkened test faces.")
    metric = results.primary.metric
    styles = charts.arm_styles(results, compared_arms(results))
    named = {results.titles[arm]: style for arm, style in styles.items()}
    lines = {condition: _lines(results, condition, metric, list(styles)) for condition in results.robustness}
    domain = charts.domain_of([points for series in lines.values() for points in series.values()])
    drawn = [
        charts.lines(series, named, title=_title(condition), x="severity", whole_x=True, domain=domain)
        for condition, series in lines.items()
    ]
    caption = (
        f"{wording.capital(METRIC_NAMES[metric])} in per cent by severity; 0: the faces as they are. Every arm answers "
        "the same covered and darkened pictures; the mean over seeds, with 95 % intervals over test faces and seeds; "
        f"{wording.view_name(results.view(results.primary.view))}."
    )
    figure = pages.figure(marks.key(named) + marks.panels(drawn), caption)
    return Section(TITLE, _effects(results, metric) + figure + _means(results, metric))


def compared_arms(results: Results) -> list[str]:
    """The few arms that charts show: before, the strongest control, after."""
    named = (results.question.baseline, results.control_arm, results.question.primary)
    return list(dict.fromkeys(arm for arm in named if arm is not None))


def pooled(
    results: Results, view: str | None = None, against: str | None = None
) -> dict[str, dict[str, ConditionContrast]]:
    """Arm → conditions → difference by the primary metric.

    Args:
        view: none given: that of the primary contrast.
        against: the baseline or the control; none given: the baseline.
    """
    found: dict[str, dict[str, ConditionContrast]] = {}
    asked = (view or results.primary.view, results.primary.metric, against or results.question.baseline)
    for contrast in results.under_conditions or []:
        if (contrast.view, contrast.metric, contrast.against) == asked:
            found.setdefault(contrast.arm, {})[contrast.conditions] = contrast
    return found


def mean_by_condition(results: Results, metric: str) -> dict[str, dict[str, float]]:
    """Arm → condition → the metric's mean over the severities; an arm that was not scored there is left out."""
    found: dict[str, dict[str, float]] = {}
    for condition, severities in (results.robustness or {}).items():
        for arm in results.titles:
            values = [arms[arm][metric].value for arms in severities.values() if arm in arms]
            known = [value for value in values if value is not None]
            if known and len(known) == len(values):
                found.setdefault(arm, {})[condition] = float(np.mean(known))
    return found


def condition_name(condition: str) -> str:
    """ "hand_mouth" → "hand over mouth", "low" → "low light", "both" → "occlusion in low light"."""
    return {"low": "low light", "both": "occlusion in low light"}.get(condition, condition.replace("_", " over "))


def _effects(results: Results, metric: str) -> Html:
    """The arms against the baseline, the severities of several conditions together."""
    found = pooled(results)
    if not found:
        return Html("")
    pools = list(dict.fromkeys(name for of_arm in found.values() for name in of_arm))
    axis = Axis.around([contrast for of_arm in found.values() for contrast in of_arm.values()])
    rows = [
        [
            marks.strong(results.titles[arm], arm == results.question.primary),
            *(marks.effect(of_arm[pool], axis, below=True) if pool in of_arm else "–" for pool in pools),
        ]
        for arm, of_arm in found.items()
    ]
    table = pages.table(["", *(marks.scale_of(pool, axis) for pool in pools)], rows, "w" + "l" * len(pools))
    caption = (
        f"{wording.capital(METRIC_NAMES[metric])} against “{results.titles[results.question.baseline]}” in points, all "
        "severities together, with paired 95 % intervals over test faces and seeds. Exploratory."
    )
    return pages.figure(f'<div class="forest">{table}</div>', caption)


def _lines(results: Results, condition: str, metric: str, arms: Sequence[str]) -> dict[str, list[Point]]:
    """Title → points, from the faces as they are to the highest severity."""
    series = {}
    for arm in arms:
        points = charts.at(0, results.scores[results.primary.view][arm].metrics[metric])
        for severity, told in (results.robustness or {})[condition].items():
            points += charts.at(float(severity), told[arm][metric]) if arm in told else []
        series[results.titles[arm]] = points
    return series


def _title(condition: str) -> str:
    return wording.capital(condition_name(condition))


def _means(results: Results, metric: str) -> Html:
    conditions = list(results.robustness or {})
    clean, errors = results.scores[results.primary.view], results.corruption_errors or {}
    rows = [
        [
            marks.strong(results.titles[arm], arm in (results.question.baseline, results.question.primary)),
            wording.percent(clean[arm].metrics[metric].value),
            *(wording.percent(found.get(condition)) for condition in conditions),
            wording.percent(errors[arm].mce) if arm in errors else "–",
        ]
        for arm, found in mean_by_condition(results, metric).items()
    ]
    headers = ["", "as they are", *map(condition_name, conditions), "mCE"]
    caption = (
        f"{wording.capital(METRIC_NAMES[metric])} in per cent, the mean over five severities and the seeds. mCE: the "
        "mean corruption error, the errors under the conditions in per cent of the baseline's; lower is better "
        "(Hendrycks & Dietterich, ICLR 2019)."
    )
    return marks.details("All arms, condition by condition", pages.figure(pages.table(headers, rows), caption))
