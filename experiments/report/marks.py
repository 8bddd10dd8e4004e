"""Small pieces of the report's page: a figure with its interval, an interval as a drawing, a key, a row of charts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.report.parts import Estimate
from experiments.report.wording import interval, percent, points, shows
from fer_data import pages
from fer_data.pages import Html, Section

TRACK_PX, TRACK_HEIGHT_PX = 132, 16
_TRACK = f'width="{TRACK_PX}" height="{TRACK_HEIGHT_PX}" viewBox="0 0 {TRACK_PX} {TRACK_HEIGHT_PX}"'
STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)  # between the ticks of an axis


@dataclass(frozen=True)
class Missing:
    """A section that is not on the page, and why."""

    title: str
    reason: str


@dataclass(frozen=True)
class Style:
    """How one arm is drawn everywhere: by more than its colour."""

    colour: str
    dash: tuple[int, ...]
    shape: str  # of Vega: circle, square, triangle-up, diamond, …


@dataclass(frozen=True)
class Axis:
    """The common scale of a column of intervals.

    Attributes:
        low, high: shares; 0 lies between them.
    """

    low: float
    high: float

    @classmethod
    def around(cls, entries: Sequence[Estimate]) -> "Axis":
        """The scale that all of these, and zero, fit on."""
        ends = [end for entry in entries for end in (entry.low, entry.value, entry.high) if end is not None]
        low, high = min([0.0, *ends]), max([0.0, *ends])
        room = 0.06 * ((high - low) or 0.01)
        return cls(low - room, high + room)

    def place(self, value: float) -> float:
        """Where a value lies, in px."""
        return round(TRACK_PX * (value - self.low) / (self.high - self.low), 2)

    def ticks(self) -> list[float]:
        """Round values on the scale, zero among them, at most four."""
        step = next((step for step in STEPS if (self.high - self.low) / step < 4), STEPS[-1])
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [step * number for number in range(first, last + 1)]


def level(entry: Estimate) -> Html:
    """A level in per cent with its interval."""
    return _with_interval(percent(entry.value), interval(entry, signed=False))


def change(entry: Estimate) -> Html:
    """A difference in points with its interval."""
    return _with_interval(points(entry.value), interval(entry, signed=True))


def effect(entry: Estimate, axis: Axis, *, strong: bool = False, below: bool = False) -> Html:
    """A difference as a point on its interval, and beside it, or below, in figures."""
    if entry.value is None or entry.low is None or entry.high is None:
        return Html("–")
    middle = TRACK_HEIGHT_PX / 2
    clear = _is_clear(entry)
    drawing = (
        f'<line class="zero" x1="{axis.place(0)}" x2="{axis.place(0)}" y1="0" y2="{TRACK_HEIGHT_PX}"/>'
        f'<line class="span" x1="{axis.place(entry.low)}" x2="{axis.place(entry.high)}" y1="{middle}" y2="{middle}"/>'
        f'<circle class="{"clear" if clear else "open"}" cx="{axis.place(entry.value)}" cy="{middle}" r="4"/>'
    )
    kind = "effect strong" if strong else "effect"
    svg = f'<svg class="{kind}" {_TRACK} aria-hidden="true">{drawing}</svg>'
    return Html(f'<span class="effect{" below" if below else ""}">{svg}<span>{change(entry)}</span></span>')


def scale_of(name: str, axis: Axis) -> Html:
    """The head of a column of effects: what it holds, and its scale in points."""
    ticks = "".join(
        f'<text x="{axis.place(tick)}" y="11" text-anchor="middle">{round(100 * tick):+d}</text>'.replace("+0<", "0<")
        for tick in axis.ticks()
    ).replace(">-", ">−")
    svg = f'<svg class="scale" {_TRACK} aria-hidden="true">{ticks}</svg>'
    return Html(f"{pages.text(name)}<br>{svg}")


def two_lines(value: str, below: str) -> Html:
    """A name and, under it, something softer."""
    return Html(f"{_markup(value)}<br>{soft(below)}") if below else _markup(value)


def soft(value: str) -> Html:
    """Text that steps back."""
    return Html(f'<span class="soft">{pages.text(value)}</span>')


def strong(value: str, is_strong: bool = True) -> Html:
    """Text that stands out, if it is to."""
    return Html(f"<strong>{pages.text(value)}</strong>") if is_strong else pages.text(value)


def details(summary: str, content: str) -> Html:
    """What a reader opens on demand."""
    return Html(f"<details><summary>{pages.text(summary)}</summary>{content}</details>")


def panels(charts: Sequence[str]) -> Html:
    """Charts side by side, as many in a row as there is room for."""
    return Html(f'<div class="panels">{"".join(charts)}</div>')


def key(styles: Mapping[str, Style]) -> Html:
    """Which line is which, for all charts under it."""
    items = "".join(f"<li>{_swatch(style)}{pages.text(name)}</li>" for name, style in styles.items())
    return Html(f'<ul class="key">{items}</ul>')


def shaded_changes(columns: Sequence[str], rows: Mapping[str, Sequence[Estimate | None]]) -> Html:
    """Differences as a shaded table: blue gains, amber losses; bold where the interval does not touch zero."""
    values = [abs(entry.value) for row in rows.values() for entry in row if entry is not None and entry.value]
    largest = max(values, default=1.0)
    head = "".join(f'<th scope="col">{pages.text(name)}</th>' for name in columns)
    shaded = {name: "".join(_shaded(entry, largest) for entry in row) for name, row in rows.items()}
    body = "".join(
        f'<tr><th scope="row" class="wrap">{pages.text(name)}</th>{cells}</tr>\n' for name, cells in shaded.items()
    )
    return Html(
        f'<div class="scroll"><table class="matrix"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def left_out(missing: Sequence[Missing]) -> Section:
    """What a reader may look for and not find."""
    lines = [Html(f"<strong>{pages.text(part.title)}</strong>: {pages.text(part.reason)}") for part in missing]
    return Section("Not in this report", pages.bullets(lines))


def _is_clear(entry: Estimate) -> bool:
    """Whether the interval, as printed, does not touch zero."""
    return shows(entry) in ("gain", "loss")


def _shaded(entry: Estimate | None, largest: float) -> str:
    if entry is None or entry.value is None:
        return "<td>–</td>"
    colour = "31,95,139" if entry.value > 0 else "201,122,32"
    told = strong(points(entry.value), _is_clear(entry))
    hint = pages.text(interval(entry, signed=True))
    return f'<td title="{hint}" style="background:rgba({colour},{0.6 * abs(entry.value) / largest:.3f})">{told}</td>'


def _with_interval(value: str, span: str) -> Html:
    return Html(f"{pages.text(value)} {soft(span)}") if span else pages.text(value)


def _markup(value: str) -> Html:
    return value if isinstance(value, Html) else pages.text(value)


def _swatch(style: Style) -> str:
    shapes = {
        "circle": '<circle cx="14" cy="6" r="3.5"/>',
        "square": '<rect x="10.8" y="2.8" width="6.4" height="6.4"/>',
        "triangle-up": '<path d="M14 1.6 18 9.4H10Z"/>',
        "diamond": '<path d="M14 1.4 18 6 14 10.6 10 6Z"/>',
    }
    dash = f' stroke-dasharray="{" ".join(map(str, style.dash))}"' if len(style.dash) > 1 and style.dash[1] else ""
    return (
        f'<svg width="28" height="12" aria-hidden="true" fill="{style.colour}" stroke="{style.colour}">'
        f'<line x1="0" x2="28" y1="6" y2="6" stroke-width="2"{dash}/>{shapes[style.shape]}</svg>'
    )
