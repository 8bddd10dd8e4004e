"""Every metric by group, as far as the manifest tells groups."""

from collections.abc import Mapping
from typing import Any

from experiments.report import marks, wording
from experiments.report.contents import Results
from experiments.report.marks import Missing
from experiments.report.parts import Estimate
from experiments.report.robustness import compared_arms
from experiments.report.wording import METRIC_NAMES
from fer_data import pages
from fer_data.pages import Html, Section

TITLE = "Fairness"


def fairness(results: Results) -> Section | Missing:
    """The primary metric by what the manifest says of the people shown, and the gaps between groups."""
    if not isinstance(results.fairness, dict):
        return Missing(TITLE, results.fairness or "no metric was split by age, gender or race.")
    told = by_arm(results)
    if not any(found["attributes"] for found in told.values()):
        return Missing(TITLE, "the manifest states no age, gender, race or source that divides its faces.")
    parts = [pages.paragraph(note(results), "note")]
    for attribute in next(iter(told.values()))["attributes"]:
        parts += [pages.heading(wording.capital(attribute)), _groups(results, told, attribute)]
        rows = [
            [words, faces, *(marks.two_lines(wording.level(gap), between) for gap, between in gaps)]
            for words, faces, gaps in gap_rows(results, attribute)
        ]
        headers = ["gap in points", "smallest group", *(results.titles[arm] for arm in told)]
        none = pages.paragraph("Too few faces to compare groups.", "note")
        parts.append(pages.table(headers, rows) if rows else none)
    return Section(TITLE, "".join(parts))


def by_arm(results: Results) -> dict[str, dict[str, Any]]:
    """What was told of the arms that charts show; empty where nothing was."""
    found = results.fairness if isinstance(results.fairness, dict) else {}
    return {arm: found[arm] for arm in compared_arms(results) if arm in found}


def note(results: Results) -> str:
    """What groups and gaps are."""
    fewest = next(iter(by_arm(results).values()))["fewest"]
    return (
        f"{wording.capital(METRIC_NAMES[results.primary.metric])} in per cent by group, the mean over seeds, with 95 % "
        f"intervals. Groups of fewer than {fewest} faces are shown and not compared. A gap is the largest less the "
        "smallest value of the groups that are compared; its interval holds for all pairs of groups at once."
    )


def gap_rows(results: Results, attribute: str) -> list[tuple[str, str, list[tuple[Estimate, str]]]]:
    """Metric in words, faces of the smallest group, and for each arm the gap and between whom it is."""
    told = by_arm(results)
    rows = []
    for metric, first in next(iter(told.values()))["attributes"][attribute]["gaps"].items():
        gaps = []
        for found in told.values():
            gap = found["attributes"][attribute]["gaps"].get(metric)
            known = Estimate(**{end: gap[end] if gap else None for end in ("value", "low", "high")})
            gaps.append((known, f"{gap['worst']} below {gap['best']}" if gap else ""))
        words = wording.metric_name(metric)
        rows.append((words, f"{first['smallest_faces']:,}", gaps))
    return rows


def _groups(results: Results, told: Mapping[str, Any], attribute: str) -> Html:
    metric = results.primary.metric
    rows = []
    for group, first in next(iter(told.values()))["attributes"][attribute]["groups"].items():
        name = marks.two_lines(group, "" if first["compared"] else "too few to compare")
        measures = (found["attributes"][attribute]["groups"][group]["measures"] for found in told.values())
        rows.append([name, f"{first['faces']:,}", *(marks.level(Estimate(**each[metric])) for each in measures)])
    return pages.table(["", "faces", *(results.titles[arm] for arm in told)], rows)
