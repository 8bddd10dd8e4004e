"""The charts of the report as Altair drawings; `fer_data.pages.chart` turns them into SVG.

Each is as wide as a telephone and no wider: a page sets several side by side where there is room. Arms are told
apart by colour (Okabe & Ito, "Color universal design", 2008), by dashes and by shape.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from experiments.report.contents import Results
from experiments.report.marks import Style
from experiments.report.parts import Estimate
from fer_data import pages
from fer_data.pages import PALETTE, Html

INK, SOFT, QUIET = "#1d2329", "#5b6670", "#8a949d"
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ((1, 0), (7, 3), (2, 2), (9, 3, 2, 3), (5, 2), (1, 3))
SHAPES = ("circle", "square", "triangle-up", "diamond")
WIDTH_PX, HEIGHT_PX = 262, 190
# Room for the browser's letters: they may be wider than those that the drawing was measured with.
PADDING = {"left": 6, "right": 14, "top": 4, "bottom": 4}


@dataclass(frozen=True)
class Point:
    """A point of a line, with its interval where it has one."""

    x: float
    value: float
    low: float | None = None
    high: float | None = None


def at(x: float, entry: Estimate, scale: float = 100) -> list[Point]:
    """An estimate as a point of a line in per cent; none where there is no value."""
    if entry.value is None:
        return []
    low, high = ((None if end is None else scale * end) for end in (entry.low, entry.high))
    return [Point(x, scale * entry.value, low, high)]


def domain_of(lines: Sequence[Sequence[Point]]) -> tuple[float, float]:
    """The scale that panels share: all their intervals, in whole tens of per cent."""
    ends = [
        end for points in lines for point in points for end in (point.low, point.value, point.high) if end is not None
    ]
    return 10 * math.floor(min(ends) / 10), 10 * math.ceil(max(ends) / 10)


def arm_styles(results: Results, arms: Sequence[str]) -> dict[str, Style]:
    """Arm → how it is drawn: the baseline grey and dashed, the primary arm blue, the others in their order."""
    baseline, primary = results.question.baseline, results.question.primary
    styles = {baseline: Style(SOFT, (5, 3), "square"), primary: Style(OKABE_ITO[0], (1, 0), "circle")}
    others = [arm for arm in arms if arm not in styles]
    return {arm: styles[arm] if arm in styles else series_style(others.index(arm) + 1) for arm in arms}


def series_style(number: int) -> Style:
    """The style of the n-th series, counted from 0."""
    return Style(OKABE_ITO[number % len(OKABE_ITO)], DASHES[number % len(DASHES)], SHAPES[number % len(SHAPES)])


def lines(
    series: Mapping[str, Sequence[Point]],
    styles: Mapping[str, Style],
    *,
    title: str,
    x: str,
    below: str | None = None,
    domain: tuple[float, float] | None = None,
    whole_x: bool = False,
    marks: bool = True,
    diagonal: bool = False,
) -> Html:
    """Lines with their intervals, one a series, as one panel.

    Args:
        series: name → points, in the order of x.
        styles: name → how it is drawn; the same names.
        title: what is drawn upwards; `below` stands under it.
        x: what is drawn across.
        domain: of y; by default what the points need.
        whole_x: x counts something, and its ticks are whole.
        marks: points on the lines.
        diagonal: both axes are per cent, and a line shows where they agree.
    """
    values = [
        {"name": name, "x": point.x, "value": point.value, "low": point.low, "high": point.high}
        for name, points in series.items()
        for point in points
    ]
    names = list(series)
    colour = alt.Color("name:N", legend=None, scale=_scale(names, [styles[name].colour for name in names]))
    shape = alt.Shape("name:N", legend=None, scale=_scale(names, [styles[name].shape for name in names]))
    dash = alt.StrokeDash("name:N", legend=None, scale=_scale(names, [list(styles[name].dash) for name in names]))
    steps = sorted({value["x"] for value in values})
    axis = alt.Axis(values=steps, format="d") if whole_x and len(steps) < 8 else alt.Axis(tickCount=4)
    scale = alt.Scale(domain=[0, 100]) if diagonal else alt.Scale(zero=False, nice=not whole_x)
    across = alt.X("x:Q", title=x, axis=axis, scale=scale)
    up = alt.Y("value:Q", title=None, scale=alt.Scale(domain=list(domain)) if domain else alt.Scale(zero=False))
    base = alt.Chart().encode(x=across, color=colour)
    layers = [base.mark_line(strokeWidth=2).encode(y=up, strokeDash=dash)]
    if any(value["low"] is not None for value in values):
        layers.insert(0, base.mark_area(opacity=0.13).encode(y=alt.Y("low:Q", title=None), y2="high:Q"))
    if marks:
        layers.append(base.mark_point(filled=True, size=46, opacity=1).encode(y=up, shape=shape))
    if diagonal:
        ends = alt.Data(values=[{"x": 0, "value": 0}, {"x": 100, "value": 100}])
        layers.insert(0, alt.Chart(ends).mark_line(color=QUIET, strokeWidth=1).encode(x=across, y=up))
    drawing = _panel(alt.layer(*layers), title, below).properties(data=alt.Data(values=values))
    return pages.chart(drawing, f"{title}, {below or ''} by {x}; lines: {', '.join(names)}")


def runs(results: Results, column: str, styles: Mapping[str, Style], *, title: str, scale: float) -> Html:
    """A value of the training history by optimiser step, a line per run; arms without a style are a quiet grey.

    Args:
        column: of the history.
        scale: what values are multiplied by.
    """
    values = [
        {"run": f"{run.arm} {run.seed}", "arm": run.arm, "x": point["step"], "value": scale * (point[column] or 0)}
        for run in results.runs
        for point in run.history
        if point.get(column) is not None
    ]
    names = [name for name in results.titles if name not in styles] + list(styles)
    drawn = {name: styles.get(name, Style("#c5ccd2", (1, 0), "circle")) for name in names}
    # What is drawn later lies above: the named arms over the grey ones.
    values.sort(key=lambda value: names.index(value["arm"]))
    chart = (
        alt.Chart(alt.Data(values=values))
        .mark_line(strokeWidth=1.5, opacity=0.9)
        .encode(
            x=alt.X("x:Q", title="optimiser step", axis=alt.Axis(tickCount=4)),
            y=alt.Y("value:Q", title=None, scale=alt.Scale(zero=False)),
            color=alt.Color("arm:N", legend=None, scale=_scale(names, [drawn[name].colour for name in names])),
            strokeDash=alt.StrokeDash(
                "arm:N", legend=None, scale=_scale(names, [list(drawn[name].dash) for name in names])
            ),
            detail="run:N",
        )
    )
    return pages.chart(_panel(chart, title, None), f"{title} by optimiser step, a line per run")


def judge_agreement(
    shares: Mapping[str, Estimate], real: Mapping[str, Estimate], labels: Sequence[str], chance: float, title: str
) -> Html:
    """How often the judge sees in a generated face what was asked for, by label, beside real faces and chance.

    Args:
        shares: label → share.
        real: label → share of real faces whose label the judge sees.
        chance: share, drawn as a dashed rule.
    """
    values = [
        {"name": label, "real": is_real, **{end: 100 * (getattr(entry, end) or 0) for end in ("low", "value", "high")}}
        for is_real, told in ((False, shares), (True, real))
        for label, entry in told.items()
    ]
    axis = alt.Axis(ticks=False, domain=False, labelPadding=8, labelColor=INK)
    kind = alt.Scale(domain=[False, True], range=[PALETTE[0], SOFT])
    base = alt.Chart().encode(
        y=alt.Y("name:N", sort=list(labels), title=None, axis=axis),
        yOffset=alt.YOffset("real:N", scale=alt.Scale(paddingInner=0.5)),
        color=alt.Color("real:N", scale=kind, legend=None),
    )
    shape = alt.Shape("real:N", scale=alt.Scale(domain=[False, True], range=["circle", "diamond"]), legend=None)
    across = alt.X("low:Q", title="judge agrees, %", scale=alt.Scale(domain=[0, 100]), axis=alt.Axis(tickCount=4))
    drawing = alt.layer(
        alt.Chart().mark_rule(color=INK, strokeDash=[3, 3]).encode(x=alt.datum(100 * chance)),
        base.mark_rule(strokeWidth=2.5, strokeCap="round").encode(x=across, x2="high:Q"),
        base.mark_point(filled=True, size=70, opacity=1).encode(x="value:Q", shape=shape),
    ).properties(data=alt.Data(values=values), width=200, height=alt.Step(13), title=_title(title, None))
    drawing = drawing.properties(padding={**PADDING, "left": 28})
    return pages.chart(drawing, f"{title}: how often the judge agrees, by label")


def _panel(chart: Any, title: str, below: str | None) -> Any:
    return chart.properties(width=WIDTH_PX, height=HEIGHT_PX, title=_title(title, below), padding=PADDING)


def _title(text: str, below: str | None) -> alt.TitleParams:
    more: dict[str, Any] = {"subtitle": below, "subtitleColor": SOFT, "subtitleFontSize": 12} if below else {}
    return alt.TitleParams(text, anchor="start", fontSize=13, color=INK, offset=10, **more)


def _scale(names: Sequence[str], values: Sequence[Any]) -> alt.Scale:
    return alt.Scale(domain=list(names), range=list(values))
