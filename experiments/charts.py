"""The charts of the report, as Altair drawings; `fer_data.pages.chart` turns them into SVG."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from experiments.wording import METRIC_NAMES, arm_titles
from fer_data.intervals import wilson
from fer_data.pages import PALETTE

INK, QUIET = "#1d2329", "#8a949d"
# Room for the browser's letters: they may be wider than those that the drawing was measured with.
PADDING = {"left": 28, "right": 12, "top": 4, "bottom": 4}


def forest(results: Mapping[str, Any], split: str) -> alt.VConcatChart:
    """Differences of all arms to the baseline with 95 % intervals: a row per kind of label, a column per metric."""
    titles = arm_titles(results)
    rows = []
    for view in [view for view in results["views"] if view["split"] == split]:
        values = [
            {
                "name": titles[contrast["arm"]],
                "metric": METRIC_NAMES[contrast["metric"]],
                "primary": contrast["family"] == "primary",
                **_in_points(contrast),
            }
            for contrast in results["contrasts"]
            if contrast["view"] == view["key"] and contrast["metric"] in METRIC_NAMES and contrast["value"] is not None
        ]
        colour = alt.condition("datum.primary", alt.value(PALETTE[0]), alt.value(QUIET))
        layers = _intervals(list(titles.values()), "points", 0, colour).properties(width=205, height=alt.Step(26))
        columns = alt.Column("metric:N", sort=list(METRIC_NAMES.values()), title=None)
        panels = layers.properties(data=alt.Data(values=values))
        rows.append(panels.facet(column=columns, title=_row_title(view["labels_name"]), spacing=22))
    return alt.vconcat(*rows, spacing=22, padding=PADDING).resolve_scale(x="shared")


def recall_changes(results: Mapping[str, Any], view: str) -> alt.FacetChart:
    """Differences of every class's recall to the baseline, a panel per arm."""
    titles = arm_titles(results)
    values = [
        {"arm": titles[contrast["arm"]], "name": contrast["metric"].removeprefix("recall:"), **_in_points(contrast)}
        for contrast in results["contrasts"]
        if contrast["view"] == view and ":" in contrast["metric"] and contrast["value"] is not None
    ]
    columns = min(4, len(titles) - 1)
    layers = _intervals(results["labels"], "points of recall", 0, alt.value(PALETTE[0]))
    panels = layers.properties(data=alt.Data(values=values), width=(680 - 20 * columns) / columns, height=alt.Step(21))
    return panels.facet(
        facet=alt.Facet("arm:N", sort=list(titles.values()), title=None),
        columns=columns,
        spacing=22,
        padding=PADDING,
    )


def training_curves(results: Mapping[str, Any]) -> alt.HConcatChart:
    """Validation score and training loss by optimiser step, a line per run."""
    titles = arm_titles(results)
    values = [
        {"arm": titles[run["arm"]], "seed": run["seed"], **point} for run in results["runs"] for point in run["history"]
    ]
    for value in values:
        value["val_balanced_accuracy"] *= 100
    order = [titles[arm["name"]] for arm in results["arms"]]

    legend = alt.Legend(orient="bottom", columns=3, columnPadding=48, labelLimit=240, symbolType="stroke")

    def lines(column: str, title: str) -> alt.Chart:
        return (
            alt.Chart(alt.Data(values=values))
            .mark_line(strokeWidth=1.6, opacity=0.85)
            .encode(
                x=alt.X("step:Q", title="optimiser step", axis=alt.Axis(tickCount=4)),
                y=alt.Y(f"{column}:Q", title=None, scale=alt.Scale(zero=False)),
                color=alt.Color("arm:N", sort=order, title=None, legend=legend),
                detail="seed:N",
            )
            .properties(width=345, height=230, title=_row_title(title))
        )

    score = lines("val_balanced_accuracy", "Balanced accuracy on validation faces, %")
    return alt.hconcat(score, lines("train_loss", "Training loss"), spacing=36, padding=PADDING)


def judge_agreement(sources: Sequence[Mapping[str, Any]], labels: Sequence[str], chance: float) -> alt.FacetChart:
    """How often the judge sees in a generated face what was asked for, by label, beside chance."""
    values = []
    for source in sources:
        for label, counts in source["agreement"].items():
            if counts["of"]:
                low, high = wilson(counts["agreed"], counts["of"])
                share = {"value": counts["agreed"] / counts["of"], "low": low, "high": high}
                values.append({"source": source["title"], "name": label, **_in_points(share)})
    layers = _intervals(labels, "judge agrees, %", 100 * chance, alt.value(PALETTE[0]), domain=(0, 100))
    panels = layers.properties(data=alt.Data(values=values), width=300, height=alt.Step(21))
    return panels.facet(facet=alt.Facet("source:N", title=None), columns=2, spacing=22, padding=PADDING)


def _intervals(
    names: Sequence[str], title: str, mark: float, colour: Any, domain: tuple[float, float] | None = None
) -> alt.LayerChart:
    """A line of data each, `name`, `low`, `value`, `high`: a point on its interval, and a rule at `mark`."""
    scale = alt.Scale(domain=list(domain)) if domain else alt.Scale(zero=True)
    axis = alt.Axis(ticks=False, domain=False, labelPadding=8, labelLimit=240, labelColor=INK)
    base = alt.Chart().encode(y=alt.Y("name:N", sort=list(names), title=None, axis=axis), color=colour)
    return alt.layer(
        alt.Chart().mark_rule(color=INK, strokeDash=[3, 3] if mark else [1, 0]).encode(x=alt.datum(mark)),
        base.mark_rule(strokeWidth=2.5, strokeCap="round").encode(
            x=alt.X("low:Q", title=title, scale=scale, axis=alt.Axis(tickCount=4)), x2="high:Q"
        ),
        base.mark_point(filled=True, size=70, opacity=1).encode(x="value:Q"),
    )


def _row_title(text: str) -> alt.TitleParams:
    return alt.TitleParams(text, anchor="start", fontSize=13, color=INK, offset=10)


def _in_points(entry: Mapping[str, Any]) -> dict[str, float]:
    return {key: 100 * entry[key] for key in ("value", "low", "high")}
