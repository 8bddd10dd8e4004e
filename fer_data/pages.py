"""Self-contained HTML pages: one file, no script, no network, readable on screen and on paper.

Text that comes from data goes through `text` or into a builder here, all of which escape it. What the
builders return is `Html`; a table cell that is `Html` is taken as it is, any other is escaped.
"""

import hashlib
import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fer_data.files import atomic_file
from fer_data.manifest import Manifest
from fer_data.picture_sheets import picture_sheet
from fer_data.store import stored_pictures
from fer_data.tables import code_version

# Colours of charts, in the order in which series take them: dark to light, and distinct for the colour-blind.
PALETTE = ("#1f5f8b", "#d08c3c", "#4f9d8f", "#a5506a", "#8a949d", "#6f6bb0", "#b9b13f", "#3d3d3d")

_STYLE = Path(__file__).with_name("page.css")
_CONTENTS_FROM = 5  # sections
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', Arial, sans-serif"
_CHART_STYLE = {
    "font": _FONT,
    "background": "transparent",
    "padding": 8,  # letters in the reader's font may be wider than in the one that measured them
    "view": {"stroke": None},
    "axis": {
        "labelColor": "#5b6670", "titleColor": "#5b6670", "titleFontWeight": "normal", "gridColor": "#e8ebee",
        "domainColor": "#c5ccd2", "tickColor": "#c5ccd2", "labelFontSize": 12, "titleFontSize": 12,
        "titlePadding": 12,
    },
    "legend": {
        "labelColor": "#5b6670", "titleColor": "#5b6670", "titleFontWeight": "normal", "labelFontSize": 12,
    },
    "header": {"labelColor": "#1d2329", "titleColor": "#5b6670", "labelFontSize": 12},
    "range": {"category": list(PALETTE)},
    "mark": {"color": PALETTE[0]},
}  # fmt: skip


class Html(str):
    """Markup that is already escaped."""


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it; `html` is markup, built from the functions of this module."""

    title: str
    html: str


def page(title: str, sections: Sequence[Section], lead: str | None = None) -> str:
    """A whole page. With five sections or more it has a table of contents beside it.

    Args:
        title: plain text.
        sections: in the order in which they are read.
        lead: plain text under the title, a paragraph per line; the first one stands out.
    """
    contents = "".join(
        f'<li><a href="#section-{number}">{text(section.title)}</a></li>' for number, section in enumerate(sections, 1)
    )
    navigation = f'<nav aria-label="Contents"><ol>{contents}</ol></nav>' if len(sections) >= _CONTENTS_FROM else ""
    body = "".join(
        f'<section id="section-{number}"><h2>{text(section.title)}</h2>\n{section.html}\n</section>\n'
        for number, section in enumerate(sections, 1)
    )
    opening = "".join(f"<p class=lead>{text(line)}</p>" for line in (lead or "").splitlines())
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>\n{_STYLE.read_text()}</style>\n</head>\n"
        f'<body>\n<div class="frame{" with-contents" if navigation else ""}">\n{navigation}\n'
        f"<header><h1>{text(title)}</h1>{opening}</header>\n"
        f"<main>\n{body}</main>\n<footer>fer-data-studio {text(code_version())}</footer>\n"
        "</div>\n</body>\n</html>\n"
    )


def write_page(path: Path, content: str) -> Path:
    """Write a page in one rename. A page renders what stands elsewhere, so an old one is replaced."""
    with atomic_file(path) as partial:
        partial.write_text(content, encoding="utf-8")
    return path


def text(value: object) -> Html:
    """Any value as escaped text."""
    return Html(html.escape(str(value)))


def paragraph(value: object, kind: Literal["", "note", "warning"] = "") -> Html:
    """A paragraph; `note` is small and grey, `warning` stands out. `Html` is kept as markup."""
    return Html(f'<p class="{kind}">{_markup(value)}</p>' if kind else f"<p>{_markup(value)}</p>")


def heading(value: object) -> Html:
    """A heading inside a section."""
    return Html(f"<h3>{text(value)}</h3>")


def code(value: object) -> Html:
    """A name, an id or a command in fixed-width letters."""
    return Html(f"<code>{text(value)}</code>")


def key_figures(figures: Mapping[str, object]) -> Html:
    """A row of large figures, each under its name."""
    pairs = "".join(f"<div><dt>{text(name)}</dt><dd>{_markup(value)}</dd></div>" for name, value in figures.items())
    return Html(f'<dl class="facts">{pairs}</dl>')


def pairs(rows: Sequence[tuple[object, object]]) -> Html:
    """Names and what they stand for, one under the other, as a table without a heading."""
    body = "".join(
        f'<tr><th scope="row">{_markup(name)}</th><td class="wrap">{_markup(value)}</td></tr>\n' for name, value in rows
    )
    return Html(f'<div class="scroll"><table><tbody>{body}</tbody></table></div>')


def meter(share: float) -> Html:
    """A share, 0..1, as a small bar with its percentage."""
    percent = f"{100 * share:.0f}" if share in (0, 1) else f"{min(max(100 * share, 0.1), 99.9):.1f}"
    return Html(f'<span class="meter"><i style="width:{100 * share:.2f}%"></i></span> {percent} %')


def bullets(lines: Sequence[object]) -> Html:
    """Lines as a list; `Html` is kept as markup."""
    return Html("<ul>" + "".join(f"<li>{_markup(line)}</li>" for line in lines) + "</ul>\n")


def table(headers: Sequence[object], rows: Sequence[Sequence[object]], align: str | None = None) -> Html:
    """A table; the first cell of a row is its heading.

    Args:
        headers: one per column.
        rows: cells; `Html` is kept as markup, anything else is escaped.
        align: one letter per column: l(eft), r(ight), c(entre), w(rapped text). By default the first column
            is left and the others right.
    """
    letters = align if align is not None else "l" + "r" * (len(headers) - 1)
    names = {"l": "", "r": ' class="right"', "c": ' class="center"', "w": ' class="wrap"'}
    kinds = [names[letter] for letter in letters]
    head = "".join(f'<th scope="col"{kind}>{_markup(cell)}</th>' for kind, cell in zip(kinds, headers, strict=True))
    body = "".join(_row(row, kinds) for row in rows)
    return Html(f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>')


def matrix(
    row_names: Sequence[str],
    column_names: Sequence[str],
    values: NDArray[np.floating[Any]],
    *,
    rows_are: str,
    columns_are: str,
    decimals: int = 2,
) -> Html:
    """A matrix of shares as a table whose cells are shaded: blue where row and column agree, amber elsewhere.

    Args:
        values: float [R, C], 0..1; NaN is shown as a dash.
        rows_are: what the rows stand for ("given label"); `columns_are` likewise.
    """
    lines = []
    for name, row in zip(row_names, values, strict=True):
        cells = "".join(
            _shaded(float(value), name == column, decimals) for column, value in zip(column_names, row, strict=True)
        )
        lines.append(f'<tr><th scope="row">{text(name)}</th>{cells}</tr>\n')
    head = "".join(f'<th scope="col">{text(name)}</th>' for name in column_names)
    caption = f"rows: {text(rows_are)} · columns: {text(columns_are)}"
    return Html(
        f'<div class="scroll"><table class="matrix"><caption>{caption}</caption>'
        f"<thead><tr><th></th>{head}</tr></thead>\n<tbody>{''.join(lines)}</tbody></table></div>"
    )


def figure(content: str, caption: str) -> Html:
    """Markup (a chart, a sheet, a table) with a plain-text caption under it."""
    return Html(f"<figure>{content}<figcaption>{text(caption)}</figcaption></figure>\n")


def face_sheet(
    images: NDArray[np.uint8],
    columns: int,
    captions: Sequence[str | Sequence[str]] | None = None,
    scale_px: int = 96,
) -> Html:
    """Faces in a grid, all of them in one PNG inside the page.

    Args:
        images: uint8 [N, C, S, S], C 1 or 3.
        columns: faces in a row.
        captions: N texts or lists of lines to stand under the faces, the first line dark, the others grey.
        scale_px: width of a face on a wide screen; on a narrow one the grid shrinks.
    """
    if not len(images):
        return paragraph("No faces to show.", "note")
    sheet = picture_sheet(images, columns)
    items = []
    for index, place in enumerate(sheet.places):
        caption = captions[index] if captions is not None else ()
        lines = (caption,) if isinstance(caption, str) else tuple(caption)
        label = text(" · ".join(lines) or f"face {index + 1}")
        under = "".join(f"<span>{text(line)}</span>" for line in lines)
        items.append(f'<li title="{label}"><i role="img" aria-label="{label}" style="{place}"></i>{under}</li>')
    grid = f"grid-template-columns:repeat({columns},minmax(0,{scale_px}px));{sheet.variable}"
    kind = "faces" if captions is not None else "faces plain"
    return Html(f'<ol class="{kind}" style="{grid}">{"".join(items)}</ol>\n')


def stored_faces(manifest: Manifest, positions: Sequence[int], largest_px: int = 96) -> NDArray[np.uint8]:
    """Faces of a manifest for a sheet, at the size in which most of these are stored.

    Args:
        positions: N row positions, in the order wanted.
        largest_px: larger pictures are shrunk to this.

    Returns:
        uint8 [N, C, S, S], C 1 where all are grey, else 3.
    """
    rows = manifest.frame.iloc[list(positions)]
    if rows.empty:
        return np.empty((0, 1, largest_px, largest_px), dtype=np.uint8)
    chosen = np.zeros(len(manifest), dtype=bool)
    chosen[list(positions)] = True
    facts = manifest.facts(["width_px", "mode"], chosen)
    size = min(int(facts["width_px"].median()), largest_px)
    channels = 1 if (facts["mode"] == "L").all() else 3
    return stored_pictures(rows["store"].tolist(), rows["store_row"].to_numpy(), manifest.root, size, channels)


def chart(drawing: Any, tells: str = "chart") -> Html:
    """An Altair chart as inline SVG, drawn here and now: no script and no network in the page.

    Args:
        tells: what the chart shows, for those who hear the page.
    """
    import vl_convert

    svg = vl_convert.vegalite_to_svg(drawing.to_dict(), config=_CHART_STYLE, allowed_base_urls=[])
    # Every SVG of a page shares one space of ids; without a prefix they would use each other's clips.
    prefix = f"c{hashlib.sha256(svg.encode()).hexdigest()[:10]}-"
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}\1)", svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}\1"', svg)
    return Html(f'<div class="chart" role="group" aria-label="{text(tells)}">{svg}</div>')


def _markup(value: object) -> Html:
    return value if isinstance(value, Html) else text(value)


def _row(cells: Sequence[object], kinds: Sequence[str]) -> str:
    first, *others = (_markup(cell) for cell in cells)
    rest = "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds[1:], others, strict=True))
    return f'<tr><th scope="row"{kinds[0]}>{first}</th>{rest}</tr>\n'


def _shaded(value: float, agrees: bool, decimals: int) -> str:
    if np.isnan(value):
        return "<td>–</td>"
    colour = "31,95,139" if agrees else "201,122,32"
    ink = ";color:#fff" if agrees and value > 0.75 else ""
    shade = f"background:rgba({colour},{min(max(value, 0), 1):.3f}){ink}"
    return f'<td style="{shade}">{value:.{decimals}f}</td>'
