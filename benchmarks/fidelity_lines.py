"""What `generators.fidelity` measured, as lines of the benchmark: targets beside, real faces as the peer."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from measuring import figure

from fer_data.intervals import wilson

BENCH = "fidelity_fer2013"
RARE = ("disgust", "fear")
COVERED = 0.7  # of a rare class by the best source
JUDGED = 1.5  # times what the judge agrees with of real faces, after screening
COPIES = {"drawn": 2, "kept": 1}  # times what real faces are flagged, at most


def group_of(groups: Sequence[Mapping[str, Any]], label: str) -> Mapping[str, Any]:
    """The group of all faces ("all"), or of one label."""
    wanted = ("all", None) if label == "all" else ("label", label)
    return next(group for group in groups if (group["level"], group["label"]) == wanted)


def source_lines(
    cells: Sequence[Mapping[str, Any]], measured: Mapping[str, Any], more: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Per rare label: yield, agreement, distances, coverage and copies, before and after screening.

    Args:
        cells: `experiments.filled.Filled.cells`.
        measured: what `measure_fidelity` returned, with kept faces.
        more: what every line tells of the source.
    """
    for cell in cells:
        yield yield_line(cell, {**more, **{key: cell[key] for key in ("label", "light")}})
    for label in ("all", *RARE):
        drawn, kept = (group_of(measured[part], label) for part in ("groups", "kept"))
        for which, group in (("drawn", drawn), ("kept", kept)):
            told = {**more, "label": label, "faces": which}
            yield _agreement(group, told)
            for space, figures in group["features"].items():
                for name, unit in (("kid", "MMD²"), ("frechet", "FD"), ("frechet_infinity", "FD∞")):
                    yield beside(figures[name], f"{name}_{space}", unit, told, digits=5)
                before = drawn["features"][space]["coverage"]["value"] if which == "kept" else None
                yield _coverage(figures["coverage"], space, told, before)
            for name, measure in group["copies"].items():
                yield _copies(measure, name, told)
            for space, memory in group["memorisation"].items():
                yield beside(memory["nearer_training"], f"nearer_training_{space}", "AUROC", told)


def best_coverage(lines: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Of each rare label the source whose kept faces cover most of the real class, in the judge's features.

    Args:
        lines: of all sources.
    """
    for label in RARE:
        asked = {"figure": "coverage_judge", "label": label, "faces": "kept"}
        found = [line for line in lines if asked.items() <= line.items() and line["value"] is not None]
        if found:
            best = max(found, key=lambda line: line["value"])
            target = {"target": f"at least {COVERED}", "reached": best["value"] >= COVERED}
            yield {**best, **target, "figure": "coverage_judge_best_source"}


def yield_line(cell: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """The share of a cell's faces that screening passed, with Wilson's interval; null where none was drawn."""
    told = {**more, **{key: cell[key] for key in ("asked", "kept", "dropped")}}
    if not cell["made"]:
        return beside({"value": None, "reason": "no face was drawn"}, "yield", "share passed", told)
    low, high = wilson(round(cell["yield"] * cell["made"]), cell["made"])
    measure = {"value": cell["yield"], "low": float(low), "high": float(high), "count": cell["made"]}
    return beside(measure, "yield", "share passed", told)


def beside(
    measure: Mapping[str, Any], name: str, unit: str, more: Mapping[str, Any], digits: int = 3
) -> dict[str, Any]:
    """A measure of `generators.fidelity` as a figure, with that of real faces as its peer; null says why."""
    real = measure.get("real") or {}
    value = measure["value"]
    peer = {"peer": "real held-out faces", "peer_values": [real["value"]]} if real.get("value") is not None else {}
    line = figure(BENCH, name, [value or 0.0], unit, n=measure.get("count", 0), digits=digits, **peer, **more)
    line["interval"] = _interval(measure, digits)
    if peer:
        line |= {"peer_interval": _interval(real, digits), "peer_n": real["count"]}
    return line if value is not None else {**line, "value": None, "reason": measure["reason"]}


def _agreement(group: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    measure = group["agreement"]
    told = {}
    if more["faces"] == "kept" and more["label"] in RARE and measure["value"] is not None and measure["real"]:
        told = {
            "target": f"at least {JUDGED} times that of real faces",
            "reached": measure["value"] >= JUDGED * measure["real"]["value"],
        }
    return beside(measure, "agreement", "share", {**more, **told})


def _coverage(measure: Mapping[str, Any], space: str, more: Mapping[str, Any], before: float | None) -> dict[str, Any]:
    """Coverage by as many samples as real faces; kept faces shall cover no less than drawn ones did."""
    told = {"expected": measure.get("expected")}
    if before is not None and measure["value"] is not None and space == "judge" and more["label"] in RARE:
        told |= {"target": f"not below the unscreened, {before:.3f}", "reached": measure["value"] >= before}
    return beside(measure, f"coverage_{space}", "share of real", {**more, **told})


def _copies(measure: Mapping[str, Any], name: str, more: Mapping[str, Any]) -> dict[str, Any]:
    """Faces that the second detector takes for copies, beside real held-out faces that it does.

    Promised of all faces together: of a rare class too few real faces are held out to tell a rate of one in a hundred.
    """
    told = {}
    if name == "flagged" and more["label"] == "all" and measure["value"] is not None and measure["real"]:
        most = COPIES[more["faces"]] * measure["real"]["value"]
        told = {
            "target": f"at most {COPIES[more['faces']]} times the real-versus-real rate",
            "reached": measure["value"] <= most,
        }
    return beside(measure, f"copies_{name}", "share", {**more, **told}, digits=4)


def _interval(measure: Mapping[str, Any], digits: int) -> list[float] | None:
    if measure.get("low") is None:
        return None
    return [round(measure[end], digits) for end in ("low", "high")]
