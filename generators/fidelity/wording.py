"""What was measured, as lines for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

_WIDTHS = (22, 7, 26, 27, 26, 27)


def describe_fidelity(measured: Mapping[str, Any]) -> list[str]:
    """A table by class and condition, of the drawn faces and, where they were screened, of those that were kept."""
    lines = _table("drawn faces" if measured["kept"] else "faces", measured["groups"])
    if measured["kept"]:
        lines += ["", *_table("kept faces", measured["kept"])]
    split = {"val": "validation", "test": "test"}[measured["held_out"]]
    detector, conditions = measured["copy_detector"], measured["condition_judge"]
    learnt = conditions["left_out"] if conditions else 0
    return [
        *lines,
        "",
        "in brackets: 95 % intervals",
        f"after a stroke: the same of real {split} faces in the same mix of labels; for coverage, what a perfect "
        "generator would reach",
        f"flagged: details agree with a training face's to {detector['threshold']:.3f} ({detector['left_out']:,} real "
        f"{split} faces, near duplicates of training faces, do not count)",
        f"pictures were compared at {measured['size_px']} px",
        *(
            [f"occlusion and light: {learnt:,} real {split} faces, from which their judge learnt, do not count"]
            if learnt
            else []
        ),
    ]


def _table(name: str, groups: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [_row(name, "count", "the judge agrees", "1000 × KID", "coverage", "flagged as copies")]
    for group in groups:
        if group["level"] == "cell":
            continue
        features = group["features"]["judge"]
        coverage = features["coverage"]
        expected = coverage.get("expected")
        lines.append(
            _row(
                _named(group),
                f"{group['count']:,}",
                _figure(group["agreement"], ".2f"),
                _figure(features["kid"], ".1f", 1000),
                _figure(coverage, ".2f", beside={"value": expected} if expected else None),
                _figure(group["copies"]["flagged"], ".1f", 100, unit=" %"),
            )
        )
    return lines


def _named(group: Mapping[str, Any]) -> str:
    if group["level"] != "condition":
        return str(group["label"] or "all")
    return f"{group['occlusion'] or 'any occlusion'}, {group['light'] or 'any light'}"


def _figure(
    measure: Mapping[str, Any],
    form: str,
    scale: float = 1,
    unit: str = "",
    beside: Mapping[str, Any] | None = None,
) -> str:
    """The value, its interval where there is room, and what it is compared with."""
    if measure["value"] is None:
        return "–"
    low, value, high = (format(scale * measure[name], form) for name in ("low", "value", "high"))
    other = beside or measure["real"]
    compared = f" | {format(scale * other['value'], form)}" if other else ""
    return f"{value} [{low}, {high}]{unit}{compared}"


def _row(*cells: str) -> str:
    first, *others = (cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True))
    return (first + "".join(others)).rstrip()
