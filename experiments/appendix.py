"""The end of the report: leaks, sources and licences, limits, and what it takes to get the same numbers again."""

import json
from collections.abc import Mapping
from typing import Any

from experiments import wording
from fer_data import pages
from fer_data.files import sha256_json
from fer_data.licenses import PERMISSIONS
from fer_data.pages import Html, Section

_POLICIES = {
    "refuse": "refuse: the experiment stops where a training picture is also a val or test picture.",
    "drop_from_train": "drop_from_train: training pictures that are also val or test pictures were left out.",
    "score_apart": "score_apart: nothing was left out of training; test faces are scored with and without twins.",
}
_SHORT = 12  # digits of a hash that are shown; all 64 are in report.json


def leaks_section(results: Mapping[str, Any]) -> Section:
    """Identical pictures across splits, and what was done about them."""
    leaks = results["leaks"]
    names = {
        "test_faces_with_twins_in_train": "test faces whose very picture is in train",
        "test_faces_with_twins_in_val": "test faces whose very picture is in val",
        "val_faces_with_twins_in_train": "val faces whose very picture is in train: none of them chooses weights",
        "faces_in_groups_that_cross_splits": "faces whose group (same picture, same person) lies in several splits",
    }
    rows: list[list[object]] = [[name, f"{leaks[key]:,}"] for key, name in names.items()]
    titles = wording.arm_titles(results)
    rows += [
        [f"left out of training, “{titles[arm]}”", f"{count:,}"]
        for arm, count in leaks["dropped_from_train"].items()
        if count
    ]
    policy = pages.paragraph(f"Policy {_POLICIES[leaks['policy']]}")
    return Section("Leaks", policy + pages.table(["", "faces"], rows, "wr"))


def sources_section(results: Mapping[str, Any]) -> Section:
    """What each arm trained on, and what may be done with it."""
    rows = []
    for arm in results["arms"]:
        faces = arm["training_faces"]
        made = faces["origins"].get("synthetic", 0)
        below = f'<br><span style="color:var(--soft)">{made:,} of them generated</span>' if made else ""
        counts = [faces["rows"], *faces["per_class"].values()]
        rows.append([Html(pages.text(arm["title"]) + below), *(f"{count:,}" for count in counts)])
    table = pages.table(["", "faces", *results["labels"]], rows)
    notes = [pages.paragraph(f"{arm['title']}: {arm['note']}", "note") for arm in results["arms"] if arm["note"]]
    licences = {}
    for licence in (results["evaluate_on"]["licence"], *(arm["licence"] for arm in results["arms"])):
        licences[licence["name"]] = licence
    permissions = [
        [name, licence["summary"], *("yes" if licence.get(flag) else "no" for flag in PERMISSIONS)]
        for name, licence in licences.items()
    ]
    headers = ["", "in words", *(flag.replace("_", " ") for flag in PERMISSIONS)]
    licence_table = pages.table(headers, permissions, "lw" + "c" * len(PERMISSIONS))
    note = pages.paragraph("Facts that the sources state, not legal advice. Unknown counts as refused.", "note")
    return Section(
        "Training faces and licences", table + "".join(notes) + pages.heading("Licences") + licence_table + note
    )


def limits_section(results: Mapping[str, Any], *, synthetic: bool) -> Section:
    """What the numbers do not show."""
    items = "".join(
        f'<li style="margin-bottom:.4rem">{pages.text(limit)}</li>'
        for limit in wording.limits(results, synthetic=synthetic)
    )
    return Section("What this does not show", f'<ul style="max-width:44rem;padding-left:1.2rem">{items}</ul>')


def reproduce_section(results: Mapping[str, Any], stage_seconds: Mapping[str, float] | None) -> Section:
    """Configuration, seeds, hashes, versions and times."""
    question, machine = results["question"], results["machine"]
    trained = sum(run["seconds"] for run in results["runs"])
    facts: list[list[object]] = [
        [
            "judged by",
            Html(f"{pages.code(results['evaluate_on']['manifest'])} {_hash(results['evaluate_on']['sha256'])}"),
        ],
        ["seeds", ", ".join(map(str, question["seeds"]))],
        ["training time of all runs", _duration(trained)],
        ["machine", f"{machine['cores']} cores, {machine['kind']}"],
        ["versions", ", ".join(f"{name} {version}" for name, version in results["versions"].items())],
        ["SHA-256 of all numbers", pages.code(results["numbers_sha256"])],
    ]
    parts = [
        pages.paragraph(
            "The same configuration on the same manifests gives the same numbers, to the last bit, on the same machine."
        ),
        pages.table(["", ""], facts, "lw"),
        pages.heading("Arms"),
        pages.table(
            ["", "manifest", "changes in training", "made by"],
            [_arm_row(arm) for arm in results["arms"]],
            "llww",
        ),
        pages.heading("Runs"),
        pages.table(
            ["", "seed", "training time", "run"],
            [[run["arm"], run["seed"], _duration(run["seconds"]), _hash(run["run_sha256"])] for run in results["runs"]],
            "lrrl",
        ),
    ]
    if stage_seconds:
        rows = [[name, _duration(seconds)] for name, seconds in stage_seconds.items()]
        rows.append([Html("<strong>together</strong>"), _duration(sum(stage_seconds.values()))])
        parts += [pages.heading("Times"), pages.table(["stage", ""], rows)]
    configuration = json.dumps(results["configuration"], indent=2, ensure_ascii=False)
    parts.append(
        f"<details><summary>Configuration, SHA-256 {_hash(sha256_json(results['configuration']))}</summary>"
        f"<pre>{pages.text(configuration)}</pre></details>"
    )
    return Section("To get the same numbers again", "".join(parts))


def _arm_row(arm: Mapping[str, Any]) -> list[object]:
    changes = ", ".join(f"{key}: {value}" for key, value in arm["changes"].items()) or "none"
    commands = [entry["command"] for entry in reversed(arm["lineage"]) if "command" in entry]
    return [
        arm["title"],
        Html(f"{pages.code(arm['manifest'])}<br>{_hash(arm['manifest_sha256'])}"),
        changes,
        " → ".join(dict.fromkeys(commands)),
    ]


def _hash(digest: str) -> Html:
    return pages.code(digest[:_SHORT] + "…")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
