"""What was promised of the audit, and what was reached: one entry a figure, for the page and for the JSON lines."""

from collections.abc import Mapping
from typing import Any

from experiments.audit_benchmark.methods import COMBINED

Entry = dict[str, Any]

BUDGET_MINUTES = 180  # the longer budget, which has a target of its own


def promised(report: Mapping[str, Any]) -> list[Entry]:
    """The figures with a target, in the order of the targets.

    Args:
        report: what `comparison.compare` and `run.judge_audit` found, as report.json holds it.

    Returns:
        Dictionaries with figure, value, unit, target, reached, peer, peer_value, interval, n, seeds; `value` is null,
        and so is `reached`, where the faces are too few to tell.
    """
    compared = report["comparison"]
    entries = [*_against_cleanlab(compared), *_levels(compared)]
    audited = report.get("audit")
    return entries + (_audited(audited, compared["faces"]) if audited else [])


def counted(repeats: int) -> str:
    """1 → "1 repeat", 5 → "5 repeats"."""
    return f"{repeats} repeat" + ("s" if repeats != 1 else "")


def _against_cleanlab(compared: Mapping[str, Any]) -> list[Entry]:
    seeds = compared["seeds"]
    best = seeds["best_cleanlab"]
    entries = [
        _entry(
            "AUPRC over cleanlab's best single score, same probabilities, one repeat",
            seeds["differences"][best]["auprc"],
            ">= 0.02, interval above 0",
            lambda value, low: value >= 0.02 and low > 0,
            peer=best,
            peer_value=seeds["methods"][best]["auprc"]["value"],
            n=compared["faces"]["clear"],
        )
    ]
    for point in compared.get("equal_seconds", []):
        title = f"at {point['minutes']:g} minutes of training"
        peer = {
            "peer": f"{point['cleanlab']}, {point['cleanlab_source']}, {counted(point['cleanlab_repeats'])}",
            "peer_value": point["cleanlab_auprc"]["value"],
            "n": compared["faces"]["clear"],
        }
        target = ">= 0.03, interval above 0"
        entries.append(
            _entry(f"AUPRC over cleanlab's best {title}", point["difference"], target, _above(0.03, True), **peer)
        )
        wanted = 0.74 if point["minutes"] == BUDGET_MINUTES else None
        entries.append(_at_least(f"AUPRC {title}", point["auprc"], wanted, **peer))
    return entries


def _levels(compared: Mapping[str, Any]) -> list[Entry]:
    whole = compared["whole"]
    best = whole["best_cleanlab"]
    ours, theirs = whole["methods"][COMBINED], whole["methods"][best]
    faces = compared["faces"]
    wanted = {
        "auprc": ("AUPRC, all repeats", None),
        "auroc": ("AUROC, all repeats", 0.88),
        "precision_at_100": ("precision at 100", None),
        "precision_at_500": ("precision at 500", None),
        "precision_at_1000": ("precision at 1,000", 0.90),
        "precision_at_5000": ("precision at 5,000", 0.80),
        "precision_at_errors": ("precision at the number of errors", None),
    }
    entries = [
        _at_least(title, ours[key], target, peer=best, peer_value=theirs[key]["value"], n=faces["clear"])
        for key, (title, target) in wanted.items()
        if key in ours
    ]
    for name, counts in faces["per_class"].items():
        key = f"auroc_{name}"
        if key in ours:
            peer = {"peer": best, "peer_value": theirs[key]["value"], "n": counts["clear"]}
            entries.append(_at_least(f"AUROC of faces given {name}", ours[key], 0.75, **peer))
    reviewed = {
        "wrong_in_4000": ("wrong labels that a reviewer of 4,000 faces finds", 2650),
        "wrong_or_ambiguous_in_4000": ("wrong or ambiguous labels that a reviewer of 4,000 faces finds", 3200),
    }
    for key, (title, target) in reviewed.items():
        if key in ours:
            peer = {"peer": best, "peer_value": theirs[key]["value"], "n": faces["judged"]}
            entries.append(_at_least(title, ours[key], target, unit="faces", digits=0, **peer))
    return entries


def _audited(audited: Mapping[str, Any], faces: Mapping[str, Any]) -> list[Entry]:
    marks, cleanlab = audited["marks"], audited["cleanlab_marks"]
    entries = [
        _at_least(
            f"{kind} of the cut without a person",
            marks[kind],
            target,
            peer="cleanlab find_label_issues",
            peer_value=cleanlab[kind]["value"],
            n=marks["marked"],
        )
        for kind, target in (("precision", 0.75), ("recall", 0.55))
    ]
    for name, policy in audited["policies"].items():
        right = policy["right_of_relabelled"]
        entries.append(
            _at_least(f"new labels of the policy {name!r} that are right", right, 0.85, n=policy["relabelled"])
        )
    for name, noise in audited["noise"].items():
        entries.append(
            _bare(f"mean absolute error of the {name} noise matrix", noise["mean_absolute_error"], "<= 0.03",
                  noise["mean_absolute_error"] <= 0.03, faces["clear"])
        )  # fmt: skip
        entries.append(
            _bare(f"cells of the {name} noise matrix whose interval holds the voters' share", noise["coverage"],
                  ">= 0.9", noise["coverage"] >= 0.9, noise["cells"])
        )  # fmt: skip
    if "seconds" in audited:
        entries.append(
            _bare("audit after the predictions", audited["seconds"], "<= 10 s", audited["seconds"] <= 10,
                  faces["judged"], unit="s")
        )  # fmt: skip
    return entries


def _above(least: float, clearly: bool) -> Any:
    return lambda value, low: value >= least and (low > 0 or not clearly)


def _at_least(figure: str, level: Mapping[str, Any], least: float | None, **about: Any) -> Entry:
    target = None if least is None else f">= {least:,g}"
    return _entry(figure, level, target, None if least is None else _above(least, False), **about)


def _bare(figure: str, value: float, target: str, reached: bool, n: int, unit: str = "share") -> Entry:
    return {"figure": figure, "value": round(value, 4), "unit": unit, "target": target, "reached": reached,
            "peer": None, "peer_value": None, "interval": None, "seeds": [], "n": n}  # fmt: skip


def _entry(
    figure: str,
    level: Mapping[str, Any],
    target: str | None,
    reached: Any,
    *,
    n: int,
    peer: str | None = None,
    peer_value: float | None = None,
    unit: str = "share",
    digits: int = 4,
) -> Entry:
    value, low, high = (level[key] for key in ("value", "low", "high"))
    known = value is not None

    def rounded(number: float | None) -> float | None:
        return None if number is None else round(number, digits)

    return {
        "figure": figure,
        "value": rounded(value),
        "unit": unit,
        "target": target,
        "reached": bool(reached(value, low)) if known and reached is not None else None,
        "peer": peer,
        "peer_value": rounded(peer_value),
        "interval": [rounded(low), rounded(high)] if known else None,
        "seeds": [rounded(number) for number in level.get("seeds", [])],
        "n": n,
    }
