"""How many faces each cell asked for, got and kept, and why the others were dropped."""

import pandas as pd

from fer_data import pages
from fer_data.pages import Html
from generators.page.material import CellYield, Material

_MOST_BARS = 30
_WIDTH_PX, _BAR_PX = 560, 26


def yields(material: Material) -> Html:
    """A row per cell, and with screening a bar of what became of the faces drawn."""
    cells = material.cells
    if not cells:
        return Html("")
    return Html(_table(material, cells) + _bars(material, cells))


def _table(material: Material, cells: tuple[CellYield, ...]) -> Html:
    headers, align = ["label", "occlusion and light", "asked", "drawn"], "llrr"
    if material.is_screened:
        headers += ["kept", "missing", "good enough"]
        align += "rrl"
    rows = [
        [cell.label, cell.condition, _count(cell.asked), f"{cell.drawn:,}", *_screened(cell.asked, cell)]
        for cell in cells
    ]
    if len(cells) > 1:
        rows.append(_total(material, cells))
    caption = (
        "Missing: faces that the plan asks for beyond those kept. Good enough: share of the faces drawn that screening "
        "found nothing against; of these, what the plan asks for is kept."
        if material.is_screened
        else "Not screened."
    )
    return pages.figure(pages.table(headers, rows, align), caption)


def _total(material: Material, cells: tuple[CellYield, ...]) -> list[object]:
    drawn, kept = sum(cell.drawn for cell in cells), sum(cell.kept or 0 for cell in cells)
    asked = sum(cell.asked or 0 for cell in cells) if material.asked else None
    row: list[object] = ["all", "", _count(asked), f"{drawn:,}"]
    if material.is_screened:
        missing = sum(missing_faces(cell) for cell in cells)
        passed = sum((cell.passed or 0.0) * cell.drawn for cell in cells)
        row += [f"{kept:,}", _missing(missing, asked), pages.meter(passed / drawn) if drawn else "–"]
    return row


def missing_faces(cell: CellYield) -> int:
    """How many faces a cell lacks of what the plan asks for."""
    return max((cell.asked or 0) - (cell.drawn if cell.kept is None else cell.kept), 0)


def _screened(asked: int | None, cell: CellYield) -> list[object]:
    if cell.kept is None:
        return []
    share = "–" if cell.passed is None else pages.meter(cell.passed)
    return [f"{cell.kept:,}", _missing(missing_faces(cell), asked), share]


def _missing(missing: int, asked: int | None) -> str:
    return "–" if asked is None else f"{missing:,}" if missing else ""


def _count(count: int | None) -> str:
    return "–" if count is None else f"{count:,}"


def _bars(material: Material, cells: tuple[CellYield, ...]) -> str:
    """What became of the faces drawn: a bar per cell, or per label where the cells are too many."""
    if not material.is_screened or not any(cell.drawn for cell in cells):
        return ""
    by_cell = len(cells) <= _MOST_BARS
    parts = ("kept", *material.reasons)
    counts: dict[str, dict[str, int]] = {}
    for cell in cells:
        bar = counts.setdefault(f"{cell.label}: {cell.condition}" if by_cell else cell.label, dict.fromkeys(parts, 0))
        bar["kept"] += cell.kept or 0
        for reason, count in cell.dropped.items():
            bar[reason] += count
    frame = pd.DataFrame.from_dict(counts, orient="index", columns=list(parts))
    told = "cell" if by_cell else "label"
    caption = f"What became of the faces drawn, per {told}, as shares of the {told}'s faces."
    return pages.figure(_chart(frame[frame.sum(axis=1) > 0], caption), caption)


def _chart(counts: pd.DataFrame, tells: str) -> Html:
    """Bars of full length, stacked in the order of the columns."""
    import altair as alt

    parts = list(counts.columns)
    long = counts.rename_axis("bar").reset_index().melt("bar", var_name="part", value_name="faces")
    long["place"] = long["part"].map({part: place for place, part in enumerate(parts)})
    axis = alt.Axis(labelLimit=300, ticks=False, domain=False, labelPadding=8)
    drawing = (
        alt.Chart(long[long["faces"] > 0])
        .mark_bar(height={"band": 0.72})
        .encode(
            x=alt.X("faces:Q", title="share of the faces drawn", axis=alt.Axis(format="%")).stack("normalize"),
            y=alt.Y("bar:N", sort=[str(name) for name in counts.index], title=None, axis=axis),
            color=alt.Color(
                "part:N",
                sort=parts,
                title=None,
                legend=alt.Legend(orient="top", columns=2, columnPadding=24, labelLimit=300),
            ),
            order=alt.Order("place:Q"),
        )
        .properties(width=_WIDTH_PX, height=_BAR_PX * len(counts))
    )
    return pages.chart(drawing, tells)
