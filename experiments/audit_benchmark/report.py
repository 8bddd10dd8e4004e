"""The benchmark's report as a page of tables: figures and ids, never a picture."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.audit_benchmark.figures import counted
from experiments.audit_benchmark.methods import COMBINED
from experiments.audit_benchmark.paired import BUDGETS, TOP

Entry = Mapping[str, Any]

RARE_FIRST = ("disgust", "fear")


def markdown(report: Entry) -> str:
    """The whole page, from report.json."""
    compared = report["comparison"]
    sections = [
        _head(compared),
        _targets(report["figures"]),
        _methods(compared["whole"], compared["repeats"]),
        _differences(compared["seeds"]),
        _classes(compared["whole"], compared["faces"]),
        _reviews(compared["whole"], report.get("audit")),
        _ablation(compared["ablation"], compared["seeds"]["count"]),
        _growth(compared),
    ]
    if "audit" in report:
        audited = report["audit"]
        sections += [_marks(audited), _policies(audited), _noise(audited, compared["faces"]), _kinds(audited["kinds"])]
        sections.append(_worst(audited["worst"]))
    return "\n".join(section for section in sections if section)


def answer(report: Entry) -> str:
    """One sentence: how much better than cleanlab, and how many promises are kept."""
    seeds = report["comparison"]["seeds"]
    best = seeds["best_cleanlab"]
    held = [entry["reached"] for entry in report["figures"] if entry["reached"] is not None]
    ours, theirs = (seeds["methods"][method]["auprc"]["value"] for method in (COMBINED, best))
    return (
        f"AUPRC {_number(ours)} against {_number(theirs)} of {best} on the same probabilities: "
        f"{_with_interval(seeds['differences'][best]['auprc'], signed=True)}; {sum(held)} of {len(held)} promises kept"
    )


def _head(compared: Entry) -> str:
    faces = compared["faces"]
    share, minutes = 100 * faces["wrong"] / max(faces["clear"], 1), _minutes(compared["predict_seconds"])
    return f"""# The audit against cleanlab alone

Which labels are wrong, judged by FER+: written by `fer experiment`, not by hand. No audit saw a vote.

{faces["judged"]:,} faces are judged. For {faces["clear"]:,} of them most voters saw one of eight expressions (single
votes aside, more than half of the rest); {faces["wrong"]:,} of these ({share:.1f} %) are given another label: those are
the errors. {faces["ambiguous"]:,} have no clear majority (ambiguous), {faces["unknown"]:,} one for "unknown",
{faces["not_a_face"]:,} one for "not a face". AUPRC, AUROC and precision are of the faces with a clear majority; a
reviewer meets all of them. Intervals are of 95 %, from resampled groups of faces, crossed with the seeds where there
are several. The predictions: {counted(compared["repeats"])}, {minutes} minutes.
"""


def _targets(figures: Sequence[Entry]) -> str:
    rows = []
    for entry in figures:
        if entry["target"] is None:
            continue
        answer = {True: "yes", False: "**no**", None: "–"}[entry["reached"]]
        peer = "–" if entry["peer"] is None else f"{_number(entry['peer_value'])} ({entry['peer']})"
        rows.append((entry["figure"], entry["target"], _number(entry["value"]), _range(entry), answer, peer))
    return _section("What was promised", ("figure", "target", "reached", "95 %", "?", "cleanlab"), rows)


def _methods(whole: Entry, repeats: int) -> str:
    figures = ["auprc", "auroc", *(f"precision_at_{count}" for count in TOP), "precision_at_errors"]
    first = whole["methods"][COMBINED]
    shown = [figure for figure in figures if figure in first]
    rows = [
        (method, *(_with_interval(entries[figure]) for figure in shown)) for method, entries in whole["methods"].items()
    ]
    head = (
        "score",
        *(figure.replace("_", " ").replace("auprc", "AUPRC").replace("auroc", "AUROC") for figure in shown),
    )
    return _section(f"Scores on the same probabilities, {counted(repeats)}", head, rows)


def _differences(seeds: Entry) -> str:
    rows = [
        (
            method,
            _with_interval(seeds["methods"][method]["auprc"]),
            _with_interval(differences["auprc"], signed=True),
            ", ".join(_signed(value) for value in differences["auprc"]["seeds"]),
            _with_interval(differences["auroc"], signed=True),
        )
        for method, differences in seeds["differences"].items()
    ]
    ours = _with_interval(seeds["methods"][COMBINED]["auprc"])
    note = f"{counted(seeds['count'])}, each alone; the combined score has AUPRC {ours}. Differences: ours less theirs."
    head = ("score", "AUPRC", "AUPRC, difference", "by seed", "AUROC, difference")
    return _section("Paired differences, by seed", head, rows, note)


def _classes(whole: Entry, faces: Entry) -> str:
    best = whole["best_cleanlab"]
    ours, theirs = whole["methods"][COMBINED], whole["methods"][best]
    rows = []
    for name in _rare_first(faces["per_class"]):
        counts = faces["per_class"][name]
        if f"auroc_{name}" in ours:
            cells = [_with_interval(of[f"{kind}_{name}"]) for kind in ("auroc", "auprc") for of in (ours, theirs)]
            rows.append((name, f"{counts['clear']:,}", f"{counts['wrong']:,}", *cells))
    head = ("given", "faces", "wrong", "AUROC", "AUROC, cleanlab", "AUPRC", "AUPRC, cleanlab")
    return _section("Per given label", head, rows, f"All repeats; cleanlab is its {best.removeprefix('cleanlab ')}.")


def _reviews(whole: Entry, audited: Entry | None) -> str:
    orders = {method: {figure: value["value"] for figure, value in entries.items()} for method, entries in
              whole["methods"].items()}  # fmt: skip
    if audited is not None:
        orders |= {f"audit, {name}": entries for name, entries in audited["orders"].items()}
    counts = [count for count in BUDGETS if f"wrong_in_{count}" in orders[COMBINED]]
    rows = [
        (name, *(f"{of[f'wrong_in_{count}']:,.0f} / {of[f'wrong_or_ambiguous_in_{count}']:,.0f}" for count in counts))
        for name, of in orders.items()
    ]
    head = ("order", *(f"{count:,} looks" for count in counts))
    return _section("What a reviewer finds", head, rows, "Wrong labels / wrong or ambiguous ones.")


def _ablation(entries: Sequence[Entry], seeds: int) -> str:
    rows = [
        (
            entry["method"],
            _with_interval(entry["auprc"]),
            "" if entry["method"] == COMBINED else _with_interval(entry["difference"], signed=True),
            _with_interval(entry["auroc"]),
        )
        for entry in entries
    ]
    head = ("score", "AUPRC", "less the combined one's", "AUROC")
    return _section("What each part contributes", head, rows, f"Mean of {counted(seeds)}, each alone.")


def _growth(compared: Entry) -> str:
    rows: list[tuple[object, ...]] = [
        (
            point["source"],
            point["repeats"],
            _minutes(point["predict_seconds"] + point["audit_seconds"]),
            _with_interval(point["auprc"]) if "auprc" in point else "",
            f"{_with_interval(point['cleanlab_auprc'])} ({point['cleanlab'].removeprefix('cleanlab ')})",
            _with_interval(point["difference"], signed=True) if "difference" in point else "",
        )
        for point in compared.get("growth", [])
    ]
    head = ("predictions", "repeats", "minutes", "AUPRC, combined", "AUPRC, cleanlab's best", "difference")
    grown = _section("More compute", head, rows, "Minutes count training, judging and the audit.")
    rows = [
        (
            f"{point['minutes']:g}",
            f"{counted(point['repeats'])}, {_minutes(point['seconds'])} min: {_with_interval(point['auprc'])}",
            f"{point['cleanlab']}, {point['cleanlab_source']}, {counted(point['cleanlab_repeats'])}, "
            f"{_minutes(point['cleanlab_seconds'])} min: {_with_interval(point['cleanlab_auprc'])}",
            _with_interval(point["difference"], signed=True),
        )
        for point in compared.get("equal_seconds", [])
    ]
    equal = _section("At equal wall-clock", ("minutes", "combined", "cleanlab's best", "difference"), rows)
    return "\n".join(part for part in (grown, equal) if part)


def _marks(audited: Entry) -> str:
    rows = []
    for name, marks in (("audit", audited["marks"]), ("cleanlab find_label_issues", audited["cleanlab_marks"])):
        own = {"all": marks, **{label: marks["per_class"][label] for label in _rare_first(marks["per_class"])}}
        for label, entry in own.items():
            rows.append((name, label, _with_interval(entry["precision"]), _with_interval(entry["recall"])))
    note = (
        f"{audited['marks']['marked']:,} faces are marked; {audited['marks']['marked_ambiguous']:,} of them are "
        f"ambiguous and {audited['marks']['marked_unknown_or_not_a_face']:,} unknown or not a face: left out here."
    )
    return _section("A cut without a person", ("cut", "given", "precision", "recall"), rows, note)


def _policies(audited: Entry) -> str:
    rows = [
        (
            name,
            f"{policy['relabelled']:,}",
            _with_interval(policy["right_of_relabelled"]),
            _with_interval(policy["right_of_relabelled_if_unclear_is_wrong"]),
            f"{policy['dropped']:,}",
            _with_interval(policy["wrong_of_dropped"]),
            f"{_number(policy['error_rate_before']['value'])} → {_number(policy['error_rate_after']['value'])}",
        )
        for name, policy in audited["policies"].items()
    ]
    head = ("policy", "relabelled", "right", "right, unclear counted wrong", "dropped", "of these wrong", "error rate")
    return _section("Policies without a reviewer", head, rows)


def _noise(audited: Entry, faces: Entry) -> str:
    labels = list(faces["per_class"])
    told = audited["noise"]["conditional"]
    rows = []
    for row, label in enumerate(labels):
        cells = []
        for column in range(len(labels)):
            low, value, high = (told[part][row][column] for part in ("low", "estimated", "high"))
            cells.append(
                f"{_percent(value)} [{_percent(low)}, {_percent(high)}] · {_percent(told['voters'][row][column])}"
            )
        rows.append((label, *cells))
    summary = "; ".join(
        f"{name}: mean absolute error {entry['mean_absolute_error']:.4f}, largest {entry['largest_error']:.3f}, "
        f"{100 * entry['coverage']:.0f} % of {entry['cells']} intervals hold the voters' share"
        for name, entry in audited["noise"].items()
    )
    note = f"Rows: given label; columns: true label; per cent of the row: estimated [interval] · voters. {summary}."
    return _section("Noise matrix", ("given", *labels), rows, note)


def _kinds(kinds: Entry) -> str:
    if not kinds:
        return ""
    said = list(next(iter(kinds.values())))
    rows = [(kind, *(f"{counts[name]:,}" for name in said)) for kind, counts in kinds.items()]
    return _section("What the audit calls a face, and what the voters say", ("kind", *said), rows)


def _worst(ids: Sequence[str]) -> str:
    return f"## The {len(ids)} worst labels\n\n{', '.join(f'`{name}`' for name in ids)}\n" if ids else ""


def _section(title: str, head: Sequence[str], rows: Sequence[Sequence[object]], note: str = "") -> str:
    if not rows:
        return ""
    lines = [head, ["---"] * len(head), *rows]
    table = "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)
    return f"## {title}\n\n{note + chr(10) * 2 if note else ''}{table}"


def _rare_first(labels: Mapping[str, Any]) -> list[str]:
    return sorted(labels, key=lambda name: RARE_FIRST.index(name) if name in RARE_FIRST else len(RARE_FIRST))


def _with_interval(level: Entry, *, signed: bool = False) -> str:
    show = _signed if signed else _number
    return "–" if level["value"] is None else f"{show(level['value'])} [{show(level['low'])}, {show(level['high'])}]"


def _range(entry: Entry) -> str:
    return "" if entry["interval"] is None else f"[{_number(entry['interval'][0])}, {_number(entry['interval'][1])}]"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}" if abs(value) >= 10 else f"{value:.3f}"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.3f}".replace("-", "−")


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f}"
