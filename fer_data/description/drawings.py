"""The kinds of charts that a description draws, as inline SVG."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_data import pages
from fer_data.pages import Html

_WIDTH_PX = 620
_ROW_PX = 30


def stacked_bars(counts: pd.DataFrame, tells: str, *, shares: bool = False) -> Html:
    """A bar per row of `counts` (its index), stacked from its columns, both in the given order.

    Args:
        counts: integers >= 0.
        shares: draw each bar to full length.
    """
    import altair as alt

    columns = [str(name) for name in counts.columns]
    long = counts.set_axis(columns, axis=1).rename_axis("row").reset_index()
    long = long.melt("row", var_name="part", value_name="faces")
    long["place"] = long["part"].map({name: place for place, name in enumerate(columns)})
    x = alt.X("sum(faces):Q", title="faces", axis=alt.Axis(tickCount=8))
    if shares:
        x = alt.X("sum(faces):Q", title="share of the row's faces", axis=alt.Axis(format="%")).stack("normalize")
    drawing = (
        alt.Chart(long[long["faces"] > 0])
        .mark_bar(height={"band": 0.72})
        .encode(
            x=x,
            y=alt.Y("row:N", sort=[str(name) for name in counts.index], title=None),
            color=alt.Color("part:N", sort=columns, title=None, legend=alt.Legend(orient="top", columns=6)),
            order=alt.Order("place:Q"),
        )
        .properties(width=_WIDTH_PX, height=_ROW_PX * len(counts))
    )
    return pages.chart(drawing, tells)


def histogram(values: NDArray[np.floating[Any]], edges: NDArray[np.floating[Any]], title: str, tells: str) -> Html:
    """How often values fall between neighbouring edges."""
    import altair as alt

    faces, edges = np.histogram(values, bins=edges)
    bins = pd.DataFrame({"from": edges[:-1], "to": edges[1:], "faces": faces})
    drawing = (
        alt.Chart(bins)
        .mark_bar(binSpacing=1)
        .encode(x=alt.X("from:Q", bin="binned", title=title), x2="to", y=alt.Y("faces:Q", title="faces"))
        .properties(width=_WIDTH_PX, height=160)
    )
    return pages.chart(drawing, tells)


def ranges(groups: "pd.Series[str]", values: NDArray[np.floating[Any]], order: Sequence[str], title: str) -> Html:
    """For each group the middle of its values: a line from 5 to 95 %, a bar from 25 to 75 %, a mark at the median."""
    import altair as alt

    shares = (0.05, 0.25, 0.5, 0.75, 0.95)
    quantiles = pd.Series(values).groupby(groups.to_numpy()).quantile(np.array(shares)).unstack()
    quantiles = quantiles.set_axis(["q5", "q25", "q50", "q75", "q95"], axis=1).rename_axis("row").reset_index()
    y = alt.Y("row:N", sort=list(order), title=None)
    base = alt.Chart(quantiles).properties(width=_WIDTH_PX, height=24 * len(quantiles))
    domain = alt.Scale(zero=False, nice=True)
    drawing = (
        base.mark_rule(color=pages.PALETTE[4]).encode(x=alt.X("q5:Q", title=title, scale=domain), x2="q95:Q", y=y)
        + base.mark_bar(height=9).encode(x="q25:Q", x2="q75:Q", y=y)
        + base.mark_tick(color=pages.PALETTE[1], thickness=3, height=15).encode(x="q50:Q", y=y)
    )
    return pages.chart(drawing, f"{title} per class: 5, 25, 50, 75 and 95 % quantiles")


def squares(counts: pd.DataFrame, column_title: str, tells: str) -> Html:
    """A grid of shaded squares: rows and columns of `counts` in the given order, each row's largest count darkest."""
    import altair as alt

    columns = [str(name) for name in counts.columns]
    shares = counts.div(counts.sum(axis=1).clip(lower=1), axis=0).set_axis(columns, axis=1)
    long = shares.rename_axis("row").reset_index().melt("row", var_name="column", value_name="share")
    drawing = (
        alt.Chart(long)
        .mark_rect()
        .encode(
            x=alt.X("column:N", sort=columns, title=column_title, axis=alt.Axis(labelAngle=0)),
            y=alt.Y("row:N", sort=[str(name) for name in counts.index], title=None),
            color=alt.Color(
                "share:Q",
                scale=alt.Scale(range=["#eef3f7", pages.PALETTE[0]]),
                legend=alt.Legend(title="share", format="%"),
            ),
        )
        .properties(width=_WIDTH_PX - 100, height=28 * len(counts))
    )
    return pages.chart(drawing, tells)


def plane(x: NDArray[np.floating[Any]], y: NDArray[np.floating[Any]], x_title: str, y_title: str) -> Html:
    """How densely points -1..1 x -1..1 lie, in a grid of 20 x 20."""
    import altair as alt

    edges = np.linspace(-1, 1, 21)
    counts, _, _ = np.histogram2d(x, y, bins=(edges, edges))
    left, bottom = np.nonzero(counts)
    cells = pd.DataFrame(
        {"x": edges[left], "x2": edges[left + 1], "y": edges[bottom], "y2": edges[bottom + 1],
         "faces": counts[left, bottom]}
    )  # fmt: skip
    drawing = (
        alt.Chart(cells)
        .mark_rect()
        .encode(
            x=alt.X("x:Q", title=x_title, scale=alt.Scale(domain=[-1, 1])),
            x2="x2:Q",
            y=alt.Y("y:Q", title=y_title, scale=alt.Scale(domain=[-1, 1])),
            y2="y2:Q",
            color=alt.Color("faces:Q", scale=alt.Scale(type="log", range=["#dbe6ee", pages.PALETTE[0]])),
        )
        .properties(width=330, height=330)
    )
    return pages.chart(drawing, f"{x_title} against {y_title}")


def paired_bars(counts: pd.DataFrame, tells: str) -> Html:
    """For each row of `counts` (its index) one bar per column beside the others, both in the given order."""
    import altair as alt

    columns = [str(name) for name in counts.columns]
    long = counts.set_axis(columns, axis=1).rename_axis("row").reset_index()
    long = long.melt("row", var_name="version", value_name="faces")
    drawing = (
        alt.Chart(long)
        .mark_bar()
        .encode(
            x=alt.X("faces:Q", title="faces", axis=alt.Axis(tickCount=8)),
            y=alt.Y("row:N", sort=[str(name) for name in counts.index], title=None),
            yOffset=alt.YOffset("version:N", sort=columns),
            color=alt.Color(
                "version:N",
                sort=columns,
                title=None,
                scale=alt.Scale(domain=columns, range=[pages.PALETTE[4], pages.PALETTE[0]]),
                legend=alt.Legend(orient="top", columns=2),
            ),
        )
        .properties(width=_WIDTH_PX, height=36 * len(counts))
    )
    return pages.chart(drawing, tells)
