"""The end of the report: leaks, sources and licences, limits, and what it takes to get the same numbers again."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.report import marks, wording
from experiments.report.contents import Results
from experiments.report.limits import limits
from experiments.report.parts import Arm, Fold, Run
from experiments.report.wording import duration
from fer_data import pages
from fer_data.files import sha256_json
from fer_data.licenses import PERMISSIONS
from fer_data.pages import Html, Section

POLICIES = {
    None: "none: no picture is in two splits.",
    "refuse": "refuse: the experiment stops where a training picture is also a val or test picture.",
    "drop_from_train": "drop_from_train: training pictures that are also val or test pictures were left out.",
    "score_apart": "score_apart: nothing was left out of training; test faces are scored with and without twins.",
}
LEAKS = {
    "test_faces_with_twins_in_train": "test faces whose very picture is in train",
    "test_faces_with_twins_in_val": "test faces whose very picture is in val",
    "val_faces_with_twins_in_train": "val faces whose very picture is in train",
    "test_faces_identical_to_train_or_val": "test faces whose very picture is in train or val: left out of the test "
    "split without copies",
    "test_faces_related_to_train_or_val": "test faces related to train or val (the same picture, a near "
    "duplicate, or the same person where the dataset names persons): left out of the test split without twins",
    "val_faces_related_to_train": "val faces related to train: none of them chooses weights",
    "faces_in_groups_that_cross_splits": "faces whose group (the same picture, or the same person where the dataset "
    "names persons) lies in several splits",
}
_SHORT = 12  # digits of a hash that are shown; all 64 are in report.json


def leaks(results: Results) -> Section:
    """Identical pictures across splits, and what was done about them."""
    rows = leak_counts(results)
    rows += [
        [f"left out of training, “{results.titles[arm]}”", f"{count:,}"]
        for arm, count in results.leaks.dropped_from_train.items()
        if count
    ]
    policy = pages.paragraph(f"Policy {POLICIES[results.leaks.policy]}")
    return Section("Leaks", policy + pages.table(["", "faces"], rows, "wr") + _first_fold(results))


def leak_counts(results: Results) -> list[list[object]]:
    """What was counted, in words, and how many faces."""
    counts = results.leaks.model_dump()
    return [[words, f"{counts[key]:,}"] for key, words in LEAKS.items() if counts[key] is not None]


def _first_fold(results: Results) -> str:
    told = wording.first_fold(results)
    return pages.paragraph(told, "note") if told else ""


def training_faces(results: Results) -> Section:
    """What each arm trained on."""
    rows = []
    for arm in results.arms:
        faces = arm.training_faces
        made = faces.origins.get("synthetic", 0)
        name = marks.two_lines(arm.title, f"{made:,} of them generated" if made else "")
        counts = [faces.rows, *faces.per_class.values()]
        rows.append([name, *(f"{count:,}" for count in counts)])
    notes = [Html(f"{marks.strong(arm.title)}: {pages.text(arm.note)}") for arm in results.arms if arm.note]
    table = pages.table(["", "faces", *results.labels], rows, "w" + "r" * (1 + len(results.labels)))
    table = Html(table + _first_fold(results))
    return Section("Training faces", table + (marks.details("What each arm is", pages.bullets(notes)) if notes else ""))


def licences(results: Results) -> Section:
    """What may be done with the data and with what was made from it."""
    rows = [
        [name, licence["summary"], *("yes" if licence.get(flag) else "no" for flag in PERMISSIONS)]
        for name, licence in licences_of(results).items()
    ]
    headers = ["", "in words", *(flag.replace("_", " ") for flag in PERMISSIONS)]
    table = pages.table(headers, rows, "lw" + "c" * len(PERMISSIONS))
    note = pages.paragraph("Facts that the sources state, not legal advice. Unknown counts as refused.", "note")
    return Section("Licences", table + note)


def licences_of(results: Results) -> dict[str, dict[str, Any]]:
    """Every licence of the data and of what was made from it, by name."""
    return {one["name"]: one for one in (results.evaluate_on.licence, *(arm.licence for arm in results.arms))}


def not_shown(results: Results, *, synthetic: bool) -> Section:
    """What the numbers do not show."""
    return Section("What this does not show", pages.bullets(limits(results, synthetic=synthetic)))


def reproduce(results: Results, stage_seconds: Mapping[str, float] | None) -> Section:
    """Configuration, seeds, hashes, versions and times."""
    evaluated = results.evaluate_on
    facts: list[tuple[object, object]] = [
        ("judged by", Html(f"{pages.code(evaluated.manifest)} {_hash(evaluated.sha256)}")),
        ("seeds", ", ".join(map(str, results.question.seeds))),
        ("runs", Html("<br>".join(pages.text(line) for line in trained_where(results.runs)))),
        ("written on", wording.machine(results.machine)),
        ("versions", ", ".join(f"{name} {version}" for name, version in results.versions.items())),
        ("SHA-256 of all numbers", pages.code(results.numbers_sha256)),
    ]
    parts = [
        pages.paragraph(
            "The same configuration on the same manifests gives the same numbers, to the last bit, on the same machine."
        ),
        pages.pairs(facts),
        pages.heading("Arms"),
        pages.table(["", "manifest", "what it changes", "made by"], [_arm(arm) for arm in results.arms], "wwww"),
        marks.details(f"{wording.counted(len(results.runs), 'run')}: seeds, times, hashes", _runs(results)),
    ]
    if results.folds:
        parts += [pages.heading("Folds"), _folds(results.folds)]
    if stage_seconds:
        rows = [[name, duration(seconds)] for name, seconds in stage_seconds.items()]
        rows.append([marks.strong("together"), duration(sum(stage_seconds.values()))])
        parts += [pages.heading("Times"), pages.table(["stage", ""], rows)]
    configuration = json.dumps(results.configuration, indent=2, ensure_ascii=False)
    name = f"Configuration, SHA-256 {sha256_json(results.configuration)[:_SHORT]}…"
    parts.append(marks.details(name, f"<pre>{pages.text(configuration)}</pre>"))
    return Section("To get the same numbers again", "".join(parts))


def trained_where(runs: Sequence[Run]) -> list[str]:
    """How many runs were trained on which machine and for how long, the most first; classifiers of other runs apart."""
    places: dict[str, list[float]] = {}
    trained = [run for run in runs if run.same_as is None and run.lifted_from is None]
    for run in trained:
        where = wording.machine(run.machine) if run.machine else "a machine that was not noted"
        torch = f", torch {run.versions['torch']}" if "torch" in run.versions else ""
        places.setdefault(f"{where}{torch}", []).append(run.seconds)
    lines = [
        f"{wording.counted(len(seconds), 'run')} trained on {where}, {duration(sum(seconds))}"
        for where, seconds in sorted(places.items(), key=lambda place: -len(place[1]))
    ]
    if len(trained) < len(runs):
        others = wording.counted(len(runs) - len(trained), "run")
        lines.append(f"{others} not trained: another's classifier, lifted or as it is")
    return lines


def _arm(arm: Arm) -> list[object]:
    changed = {**arm.changes, **(arm.make or {})}
    # An empty mapping: all at their defaults.
    named = [key if value == {} else f"{key}: {json.dumps(value)}" for key, value in changed.items()]
    changes = ", ".join(named) or "nothing"
    commands = [entry["command"] for entry in reversed(arm.lineage) if "command" in entry]
    manifest = Html(f"{pages.code(arm.manifest)}<br>{_hash(arm.manifest_sha256)}")
    return [arm.title, manifest, changes, " → ".join(dict.fromkeys(commands))]


def _runs(results: Results) -> Html:
    rows = [[results.titles[run.arm], run.seed, duration(run.seconds), _hash(run.run_sha256)] for run in results.runs]
    return pages.table(["", "seed", "training time", "run"], rows, "lrrl")


def _folds(folds: Sequence[Fold]) -> Html:
    rows = [
        [fold.manifest, f"{fold.test_faces:,}", f"{fold.validation_faces:,}", _hash(fold.rows_sha256)] for fold in folds
    ]
    return pages.table(["", "test faces", "validation faces", "rows"], rows, "lrrl")


def _hash(digest: str) -> Html:
    return pages.code(digest[:_SHORT] + "…")
