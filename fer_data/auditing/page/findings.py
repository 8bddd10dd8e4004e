"""What else the audit found: policies for those without a reviewer, labels that overlap, other issues, the score."""

from collections.abc import Mapping
from typing import Any

from fer_data import pages
from fer_data.auditing.page.estimate import drawn_rate
from fer_data.auditing.page.material import Material
from fer_data.auditing.page.summary import Rate
from fer_data.pages import Html

_ROWS = 10


def policies(material: Material) -> Html:
    """What each automatic policy would change, and how often it would be right."""
    told = material.summary.get("policies", [])
    if not told:
        return Html("")
    rows = []
    for policy in told:
        low, high = policy.get("interval") or (None, None)
        right = policy.get("expected_precision")
        counts = [f"{policy.get(key, 0):,}" for key in ("relabelled", "dropped", "softened")]
        rows.append(
            (policy["name"], policy.get("rule", ""), *counts, "–" if right is None else str(Rate(right, low, high)))
        )
    headers = ("policy", "rule", "relabelled", "dropped", "soft label", "new labels right")
    lead = "For those who have no reviewer: rules that decide by themselves, and leave classes with few faces alone."
    verb = f"fer apply {material.manifest_place} --policy NAME --out …"
    command = Html(f"{pages.text('To take one: ')}{pages.code(verb)}")
    caption = "How many of the new labels are right is expected from noise planted in the same data (95 % interval)."
    return Html(
        pages.paragraph(lead) + pages.figure(pages.table(headers, rows, "lwrrrr"), caption) + pages.paragraph(command)
    )


def overlapping(material: Material) -> Html:
    """Pairs of labels that are given for one another."""
    told = material.summary.get("overlapping", [])
    if not told:
        return Html("")
    scale = max(pair["high"] for pair in told)
    rows = []
    for pair in told:
        rate = Rate(pair["share"], pair["low"], pair["high"])
        faces = f"{pair['faces']:,.0f}" if "faces" in pair else "–"
        rows.append((" and ".join(pair["labels"]), faces, drawn_rate(rate, scale)))
    headers = ("labels", "faces mixed up", "share of all faces")
    lead = "Labels that are given for one another: what a labelling guide should tell apart first."
    return Html(pages.paragraph(lead) + pages.table(headers, rows, "lrl"))


def other_issues(material: Material) -> Html:
    """A sentence and a small table for each kind of issue that was looked for."""
    parts = []
    for issue, found in material.summary.get("other", {}).items():
        title = issue.replace("_", " ").capitalize()
        parts.append(pages.heading(title) + pages.paragraph(found.get("sentence", "")) + _rows(found.get("rows", [])))
    return Html("".join(parts))


def _rows(rows: list[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    body = [[_cell(row.get(name)) for name in columns] for row in rows[:_ROWS]]
    words = [any(isinstance(row.get(name), str) for row in rows) for name in columns]
    align = "".join("l" if is_word else "r" for is_word in words)
    more = pages.paragraph(f"{len(rows) - _ROWS:,} more in the table.", "note") if len(rows) > _ROWS else ""
    return pages.table([name.replace("_", " ") for name in columns], body, align) + more


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return "–" if value is None else str(value)


def weights(material: Material) -> Html:
    """What each part contributes to the combined score."""
    told = [(str(part["part"]), float(part["weight"])) for part in material.summary.get("weights", [])]
    total = sum(abs(weight) for _, weight in told)
    if not total:
        return Html("")
    told.sort(key=lambda part: -abs(part[1]))
    rows = [
        (part.replace("_", " "), f"{weight:+.2f}".replace("-", "−"), pages.meter(abs(weight) / total))
        for part, weight in told
    ]
    lead = (
        "The score weighs several ways of doubting a label. The weights were learnt on noise planted in the same data."
    )
    return Html(pages.paragraph(lead) + pages.table(("part", "weight", "share of all weights"), rows, "lrl"))


def method(material: Material) -> Html:
    """How the table was made."""
    config, metadata = material.config, material.metadata
    rows: list[tuple[object, object]] = [("manifest", pages.code(material.manifest.name))]
    rows += [
        (name, str(config[key]).replace("_", " "))
        for key, name in (("score", "ranked by"), ("mark", "marked by"))
        if key in config
    ]
    rows.append(("votes", "used" if material.uses_votes else "not used"))
    left_out = metadata.get("left_out_unlabelled", 0)
    rows += [("left out, without a label", f"{left_out:,}")] if left_out else []
    rows.append(("made", metadata.get("created", "")))
    rows += [(f"from {path}", pages.code(digest)) for path, digest in metadata.get("parents", {}).items()]
    return pages.pairs(rows)
