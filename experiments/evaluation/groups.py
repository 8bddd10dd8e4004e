"""What `classifier.fairness` told, as a section of a page."""

from collections.abc import Mapping
from typing import Any

from experiments.report import marks
from fer_data import pages
from fer_data.pages import Html

_METRICS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "mean-class recall",
    "macro_f1": "macro-F1",
    "ece": "calibration error",
    "brier": "Brier score",
}


def section(found: Mapping[str, Any] | str) -> Html:
    """Tables of groups and gaps for every kind of label, or the sentence that there are no groups."""
    if isinstance(found, str):
        return pages.paragraph(found)
    parts = []
    for view, told in found.items():
        for attribute, entry in told["attributes"].items():
            title = f"{attribute}, {view.split('/')[-1]} labels"
            parts.append(pages.heading(title) + _groups(entry, told["fewest"]) + _gaps(entry))
    return Html("".join(parts))


def _groups(entry: Mapping[str, Any], fewest: int) -> Html:
    rows, recalls = [], []
    for name, group in entry["groups"].items():
        measures = group["measures"]
        shown = marks.two_lines(name, "" if group["compared"] else "too few to compare")
        cells = [_level(measures[metric], 1 if metric == "brier" else 100) for metric in _METRICS]
        rows.append([shown, f"{group['faces']:,}", *cells])
        recalls.append([name, *(_recall(measures, label, faces) for label, faces in group["per_class"].items())])
    labels = next(iter(entry["groups"].values()))["per_class"]
    smallest = entry["smallest"]
    unknown = f" Unknown of {entry['unknown']:,} faces." if entry["unknown"] else ""
    caption = (
        f"In per cent but for the Brier score, with 95 % intervals over faces (bootstrap; shares Wilson's). The "
        f"smallest group is {smallest['group']}, {smallest['faces']:,} faces; groups of fewer than {fewest} are not "
        f"compared.{unknown}"
    )
    return Html(
        pages.figure(pages.table(["", "faces", *_METRICS.values()], rows), caption)
        + pages.figure(pages.table(["recall", *labels], recalls), "Recall in per cent, of so many faces.")
    )


def _recall(measures: Mapping[str, Any], label: str, faces: int) -> Html:
    value = measures[f"recall:{label}"]["value"]
    return marks.two_lines("–" if value is None else f"{100 * value:.1f}", f"of {faces:,}")


def _gaps(entry: Mapping[str, Any]) -> Html:
    if not entry["gaps"]:
        return pages.paragraph("No two groups are large enough to compare.", "note")
    rows = []
    for metric, gap in entry["gaps"].items():
        name = metric.replace("recall:", "recall, ") if ":" in metric else _METRICS[metric]
        told = marks.strong(f"{100 * gap['value']:.1f}", gap["low"] > 0)
        span = f"[{100 * gap['low']:.1f}, {100 * gap['high']:.1f}]"
        rows.append([name, told, span, gap["best"], gap["worst"], f"{gap['smallest_faces']:,}"])
    headers = ["largest less smallest", "points", "95 %", "best", "worst", "faces of the smallest"]
    caption = (
        "The interval holds for all pairs of groups at once; a gap in bold is more than chance by it. Several metrics "
        "are looked at, so one or the other may stand out by chance all the same."
    )
    return pages.figure(pages.table(headers, rows, "lrrllr"), caption)


def _level(entry: Mapping[str, Any], scale: float) -> Html:
    if entry["value"] is None:
        return Html("–")
    digits = 1 if scale == 100 else 3
    span = f"[{scale * entry['low']:.{digits}f}, {scale * entry['high']:.{digits}f}]"
    return marks.two_lines(f"{scale * entry['value']:.{digits}f}", span)
