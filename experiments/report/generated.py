"""How the generated faces fared."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.report import charts, marks
from experiments.report.marks import Missing
from experiments.report.parts import Estimate
from experiments.report.wording import interval, percent
from fer_data import pages
from fer_data.intervals import wilson
from fer_data.pages import Html, Section


def generated_faces(synthesis: Mapping[str, Any] | None, labels: Sequence[str]) -> Section | Missing:
    """What was asked of each generator, what came, what a judge makes of it."""
    title = "Generated faces"
    if not synthesis:
        return Missing(
            title, "nothing is known of how faces were generated (`fer demo` and `fer fidelity` measure it)."
        )
    chance = 1 / len(labels)
    headers = ["", "asked", "made", "kept", "dropped", "judge agrees, %", "KID"]
    rows = [_row(source) for source in synthesis["sources"]]
    drawn = [
        charts.judge_agreement(_shares(source), labels, chance, source["title"]) for source in synthesis["sources"]
    ]
    chart = pages.figure(
        marks.panels(drawn),
        f"How often the judge, which knows only real faces, names the label that was asked for, before screening, with "
        f"Wilson's 95 % intervals. Dashed: chance, {percent(chance)} %.",
    )
    note = pages.paragraph(synthesis["note"]) if synthesis.get("note") else ""
    return Section(title, note + pages.table(headers, rows, "wrrrwrr") + chart)


def _row(source: Mapping[str, Any]) -> list[object]:
    share = _share(
        sum(counts["agreed"] for counts in source["agreement"].values()),
        sum(counts["of"] for counts in source["agreement"].values()),
    )
    dropped = ", ".join(f"{reason} {count:,}" for reason, count in source["dropped"].items()) or "none"
    counts = [f"{source[key]:,}" for key in ("asked", "made", "kept")]
    name = marks.two_lines(source["title"], source["preset"])
    agreement = marks.two_lines(percent(share.value), interval(share, signed=False))
    return [name, *counts, dropped, agreement, _kid(source.get("kid"))]


def _shares(source: Mapping[str, Any]) -> dict[str, Estimate]:
    return {
        label: _share(counts["agreed"], counts["of"]) for label, counts in source["agreement"].items() if counts["of"]
    }


def _share(agreed: int, total: int) -> Estimate:
    low, high = wilson(agreed, total)
    return Estimate(value=agreed / total if total else None, low=float(low), high=float(high))


def _kid(kid: Mapping[str, float] | None) -> Html:
    if kid is None:
        return Html("–")
    return marks.two_lines(f"{kid['value']:.3f} ± {kid['standard_error']:.3f}", f"floor {kid['floor']:.3f}")
