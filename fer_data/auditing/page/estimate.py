"""How many labels are wrong, in all and per class, which is taken for which, and how that moved between audits."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from fer_data import pages
from fer_data.auditing.page.material import Material
from fer_data.auditing.page.summary import Rate, read_rate
from fer_data.pages import Html

_CONFUSIONS = 12
_LEAST_CONFUSION = 0.03
KINDS = {
    "wrong": "wrong: another label fits better",
    "ambiguous": "ambiguous: two labels fit",
    "not_a_face": "perhaps not a face",
    "out_of_distribution": "unlike all other faces",
}


def glance(material: Material) -> Html:
    """The figures of the whole, and a row per class."""
    total, marked = int(material.given.sum()), int(material.marked.sum())
    figures = {"labels judged": f"{total:,}", "the model agrees with": f"{100 * material.agreement:.1f} %"}
    if material.noise.error_rate is not None:
        figures["estimated wrong"] = f"{100 * material.noise.error_rate.value:.1f} %"
    figures["marked as suspect"] = f"{marked:,} ({100 * marked / max(total, 1):.1f} %)"
    if "is_reviewed" in material.audit:
        figures["decided by people"] = f"{int(material.audit['is_reviewed'].sum()):,}"
    return Html(
        pages.key_figures(figures) + _interval(material) + _classes(material) + _guard(material) + _kinds(material)
    )


def _interval(material: Material) -> str:
    rate, total = material.noise.error_rate, int(material.given.sum())
    if rate is None or rate.low is None or rate.high is None:
        return ""
    return pages.paragraph(
        f"Of {total:,} labels, about {rate.value * total:,.0f} are estimated to be wrong: with 95 % confidence between "
        f"{rate.low * total:,.0f} and {rate.high * total:,.0f}."
    )


def _classes(material: Material) -> Html:
    rates, expected = material.noise.error_rates, material.summary.get("expected", {})
    scale = max((rate.high if rate.high is not None else rate.value for rate in rates.values()), default=0.0)
    headers = ["given label", "faces", "marked", "estimated wrong", "really shows most"]
    align = "lrrll"
    if expected:
        headers[3:3] = ["precision", "recall"]
        align = "lrrrrll"
    rows = []
    for label, count in material.given.items():
        name = str(label)
        row = [f"{name} *" if name in material.guarded else name, f"{count:,}", f"{material.marked[name]:,}"]
        row += [_percent(expected.get(name, {}).get(key)) for key in ("precision", "recall")] if expected else []
        rate = rates.get(name)
        row += ["–", ""] if rate is None else [drawn_rate(rate, scale), _confused(material, name)]
        rows.append(row)
    caption = "The bar is the 95 % interval of the share of wrong labels, the mark the estimate."
    if expected:
        caption += (
            " Precision: how many of the marked labels are wrong; recall: how many of the wrong ones are marked; "
            "both as expected from noise planted in the same data."
        )
    return pages.figure(pages.table(headers, rows, align), caption)


def _guard(material: Material) -> Html:
    names = [label for label in material.given.index if label in material.guarded]
    if not names:
        return Html("")
    return pages.paragraph(
        f"* {', '.join(names)}: too few faces for a close estimate, and good ones rank among the bad. Nothing here is "
        "relabelled or dropped without a person.",
        "warning",
    )


def _kinds(material: Material) -> Html:
    kinds: Mapping[str, int] = material.summary.get("kinds", {})
    rows = [(told, f"{kinds[kind]:,}") for kind, told in KINDS.items() if kinds.get(kind)]
    return Html(pages.heading("Why labels are suspect") + pages.table(("", "faces"), rows)) if rows else Html("")


def noise(material: Material) -> Html:
    """The noise matrix, its largest confusions with intervals, and all intervals for who wants them."""
    known = material.noise
    if not np.isfinite(known.conditional).any():
        return Html("")
    drawing = pages.matrix(
        known.labels, known.labels, known.conditional, rows_are="given label", columns_are="truly shown (estimated)"
    )
    caption = "Of the faces that carry the row's label, the share estimated to show the column's. Rows sum to 1."
    return Html(pages.figure(drawing, caption) + _largest(material) + _all_intervals(material))


def _largest(material: Material) -> str:
    known = material.noise
    pairs = [
        (rate.value * int(material.given[given]), given, true, rate)
        for given in known.labels
        if given in material.given.index
        for true in known.labels
        if given != true and (rate := _cell(material, given, true)) is not None and rate.value >= _LEAST_CONFUSION
    ]
    pairs.sort(key=lambda pair: -pair[0])
    rows = [(f"{given} → {true}", f"{faces:,.0f}", str(rate)) for faces, given, true, rate in pairs[:_CONFUSIONS]]
    if not rows:
        return ""
    table = pages.table(("given → truly shown", "faces", "of the given label"), rows)
    return pages.heading("The most frequent mistakes") + pages.figure(table, "Estimated numbers, 95 % intervals.")


def _all_intervals(material: Material) -> str:
    known = material.noise
    if not np.isfinite(known.low).any():
        return ""
    rows = []
    for given, low, high in zip(known.labels, known.low, known.high, strict=True):
        ends = zip(low, high, strict=True)
        rows.append([given, *(f"{a:.2f}–{b:.2f}" if np.isfinite(a) else "–" for a, b in ends)])
    table = pages.table(("given label", *known.labels), rows)
    return f"<details><summary>The 95 % interval of every cell</summary>{table}</details>"


def history(material: Material) -> Html:
    """How the estimates moved; nothing where this is the first audit."""
    entries = material.summary.get("history", [])
    if len(entries) < 2:
        return Html("")
    rates = [read_rate({"value": e.get("error_rate"), "low": e.get("low"), "high": e.get("high")}) for e in entries]
    scale = max((rate.high or rate.value for rate in rates if rate is not None), default=0.0)
    rows = []
    for entry, rate in zip(entries, rates, strict=True):
        drawn = "–" if rate is None else drawn_rate(rate, scale)
        when = str(entry["created"])[:16].replace("T", " ")
        rows.append(
            (when, PurePosixPath(entry["manifest"]).stem, f"{entry['faces']:,}", f"{entry['reviewed']:,}", drawn)
        )
    headers = ("audited", "manifest", "labels", "decided by people", "estimated wrong")
    caption = f"{len(entries)} audits, the oldest first. Each estimates the labels as they stood then."
    return Html(pages.figure(pages.table(headers, rows, "llrrl"), caption) + _moved(material, entries))


def _moved(material: Material, entries: list[Mapping[str, Any]]) -> Html:
    """The error rate of each class, from the first audit that told it to the last."""
    rows = []
    for label in material.given.index:
        told = [rate for e in entries if (rate := read_rate((e.get("error_rates") or {}).get(label))) is not None]
        if len(told) > 1:
            change = 100 * (told[-1].value - told[0].value)
            rows.append((label, str(told[0]), str(told[-1]), f"{change:+.1f}".replace("-", "−")))
    return pages.table(("label", "at first", "now", "points"), rows, "lrrr") if rows else Html("")


def drawn_rate(rate: Rate, scale: float) -> Html:
    """A share on a line from 0 to `scale`, its interval as a bar and the estimate as a mark, with both as text."""
    place = 100 / scale if scale > 0 else 0.0
    low, high = (rate.value if end is None else end for end in (rate.low, rate.high))
    bar = f'<i style="left:{place * low:.2f}%;width:{place * (high - low):.2f}%"></i>'
    return Html(f'<span class="range">{bar}<b style="left:{place * rate.value:.2f}%"></b></span> {pages.text(rate)}')


def _cell(material: Material, given: str, true: str) -> Rate | None:
    known = material.noise
    row, column = known.labels.index(given), known.labels.index(true)
    value, low, high = (float(part[row, column]) for part in (known.conditional, known.low, known.high))
    if not np.isfinite(value):
        return None
    return Rate(value, low, high) if np.isfinite(low) and np.isfinite(high) else Rate(value)


def _confused(material: Material, given: str) -> str:
    """What faces labelled so most often really show: the label and its share."""
    if given not in material.noise.labels:
        return "–"
    others = [(name, _cell(material, given, name)) for name in material.noise.labels if name != given]
    known = [(rate.value, name) for name, rate in others if rate is not None and rate.value >= _LEAST_CONFUSION]
    if not known:
        return "–"
    share, name = max(known)
    return f"{name} {100 * share:.0f} %"


def _percent(told: Any) -> str:
    rate = read_rate(told)
    return "–" if rate is None else f"{100 * rate.value:.0f} %"
