"""The report as Markdown, for a repository: from report.json alone, so that no figure is typed by hand."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.report import (
    calibration,
    choice,
    classes,
    cross_validation,
    curves,
    differences,
    fairness,
    generated,
    robustness,
    wording,
)
from experiments.report.appendix import POLICIES, leak_counts, licences_of, trained_where
from experiments.report.contents import Results
from experiments.report.parts import Candidate, Contrast, View
from experiments.report.wording import METRIC_NAMES, capital, change, level, percent


def markdown(report: Mapping[str, Any]) -> str:
    """The whole page, from the content of report.json."""
    results, told = Results.model_validate(report), report["report"]
    first = results.sorted_views[0]
    sections = [
        _head(results, told["lead"]),
        _section("Differences", _differences_note(results), _differences(results)),
        _against_control(results),
        _section("Class by class", _classes_note(results, first), _classes(results, first)),
        *(_every_recall(results, view) for view in results.views_without_twins),
        _cross_validated(told["cross_validated"]),
        _review(results),
        _ratio(results),
        _robustness(results),
        _confusions(results),
        _calibration(results),
        _fairness(results),
        _generated(results, told["synthesis"]),
        *(
            _section(f"Levels: {_title(results, view)}", _faces(view), _levels(results, view))
            for view in results.sorted_views
        ),
        _tests(results, first),
        _pairs(results, first),
        _choice(results),
        _leaks(results),
        _section("Training faces", "Of the first fold." if results.folds else "", _training_faces(results)),
        _licences(results),
        _list("What this does not show", told["limits"]),
        _list("Not in this report", [f"{title}: {reason}" for title, reason in told["left_out"].items()]),
        _reproduce(results),
    ]
    return "\n".join(section for section in sections if section)


def _head(results: Results, lead: Sequence[str]) -> str:
    note = "Written by `fer experiment` from its report.json, not by hand."
    first, *others = lead
    return "\n".join([f"# {results.title}\n", f"{note}\n", f"**{first}**\n", *(f"{line}\n" for line in others)])


def _differences_note(results: Results) -> str:
    baseline = results.titles[results.question.baseline]
    return (
        f"Against “{baseline}”, in points, with 95 % intervals over test faces and seeds; without twins. **Bold**: the "
        "one contrast chosen beforehand; all else is exploratory. An interval that touches zero shows no difference."
    )


def _differences(results: Results) -> str:
    views = results.views_without_twins
    metrics = ("balanced_accuracy", "accuracy")
    headers = ["arm", *(f"{METRIC_NAMES[metric]}, {view.labels_name}" for view in views for metric in metrics)]
    rows = []
    for arm in results.main_arms:
        if arm == results.question.baseline:
            continue
        cells = [results.titles[arm]]
        for view in views:
            for metric in metrics:
                contrast = results.contrast(view.key, metric, arm)
                cell = change(contrast) if contrast is not None else "–"
                cells.append(f"**{cell}**" if contrast is not None and contrast.family == "primary" else cell)
        rows.append(cells)
    return table(headers, rows)


def _against_control(results: Results) -> str:
    if results.control is None:
        return ""
    note = (
        f"Against “{results.titles[results.control.arm]}”, in points, with 95 % intervals; without twins. Exploratory."
    )
    parts = []
    for view in results.views_without_twins:
        found: dict[str, list[Contrast]] = {}
        for contrast in results.control.contrasts:
            if contrast.view == view.key:
                found.setdefault(contrast.arm, []).append(contrast)
        metrics = list(dict.fromkeys(one.metric for of_arm in found.values() for one in of_arm))
        headers = ["", *(METRIC_NAMES.get(metric, metric.replace(":", " of ")) for metric in metrics)]
        rows = [[results.titles[arm], *map(change, of_arm)] for arm, of_arm in found.items()]
        parts.append(f"{capital(view.labels_name)}:\n\n{table(headers, rows)}")
    return _section("Against the strongest control", note, "\n\n".join(parts))


def _every_recall(results: Results, view: View) -> str:
    """Each class's recall in the baseline, and how every arm changes it."""
    baseline = results.question.baseline
    before = results.scores[view.key][baseline].recall
    rows = [[f"{results.titles[baseline]}, %", *(percent(before[label].value) for label in results.labels)]]
    for arm in results.main_arms:
        if arm != baseline:
            found = [results.contrast(view.key, f"recall:{label}", arm) for label in results.labels]
            rows.append([results.titles[arm], *("–" if one is None else change(one) for one in found)])
    headers = ["", *(f"{label} ({view.per_class[label]:,})" for label in results.labels)]
    note = "Recall of each class (faces), and its change in every arm, in points, with 95 % intervals. Exploratory."
    return _section(f"Recall in every arm: {wording.view_name(view)}", note, table(headers, rows))


def _classes_note(results: Results, view: View) -> str:
    return (
        f"Recall in per cent and its change in points; {wording.view_name(view)}. Smallest effect: the true change "
        "that this design finds with 80 % power. Precision, F1 and average precision before and after: precision and "
        "F1 of all answers over the seeds, average precision the mean over runs."
    )


def _classes(results: Results, view: View) -> str:
    before, after = results.question.baseline, results.question.primary
    scores = results.scores[view.key]
    rows = []
    for label in results.labels:
        contrast = results.contrast(view.key, f"recall:{label}", after)
        changed = ("–", "–") if contrast is None else (change(contrast), wording.smallest(contrast))
        levels = [level(scores[arm].recall[label]) for arm in (before, after)]
        others = classes.ranked_and_answered(results, view, label)
        rows.append([label, f"{view.per_class[label]:,}", *levels, *changed, *others])
    headers = ["", "faces", results.titles[before], results.titles[after], "difference", "smallest effect"]
    headers += ["precision", "F1", "average precision"]
    return table(headers, rows)


def _cross_validated(told: Mapping[str, Any] | None) -> str:
    """The answer over folds, and what each class gained there."""
    if told is None:
        return ""
    contrasts = [Contrast.model_validate(one) for one in told["contrasts"]]
    primary = next(contrast for contrast in contrasts if contrast.family == "primary")
    view = next(view for view in told["views"] if view["key"] == primary.view)
    rows = []
    for contrast in contrasts:
        kind, _, label = contrast.metric.partition(":")
        if (contrast.view, contrast.arm, kind) == (primary.view, primary.arm, "recall"):
            rows.append([label, f"{view['per_class'][label]:,}", change(contrast), wording.smallest(contrast)])
    return _section(cross_validation.TITLE, told["answer"], table(["", "faces", "recall", "smallest effect"], rows))


def _pairs(results: Results, view: View) -> str:
    """McNemar's exact tests, seed by seed."""
    found = differences.paired_tests(results, view)
    note = f"Test faces that only one of the two gets right, seed by seed; {wording.view_name(view)}."
    return _section(differences.PAIRS, note, table(differences.PAIR_HEADERS, found)) if found else ""


def _licences(results: Results) -> str:
    rows = [[name, licence["summary"]] for name, licence in licences_of(results).items()]
    return _section("Licences", "Facts that the sources state, not legal advice.", table(["", "in words"], rows))


def _choice(results: Results) -> str:
    parts = [
        f"### {name}\n\n"
        + table(["arm", "score", "seed by seed"], [_candidate(results, one, arm) for one in candidates])
        for name, arm, candidates in choice.chosen_among(results)
    ]
    return _section(choice.TITLE, choice.sentence(results), "\n\n".join(parts)) if parts else ""


def _candidate(results: Results, candidate: Candidate, chosen: str) -> list[str]:
    title = results.titles.get(candidate.arm, candidate.arm)
    scores = " · ".join(percent(score) for score in candidate.per_seed)
    return [f"**{title}**" if candidate.arm == chosen else title, percent(candidate.score), scores]


def _review(results: Results) -> str:
    rows = [
        [name, faces, *_changes(results, arm), wording.points(gain)]
        for name, faces, arm, gain in curves.review_rows(results)
    ]
    return _section(curves.REVIEWS, curves.caption(results), table(curves.REVIEW_HEADERS, rows)) if rows else ""


def _ratio(results: Results) -> str:
    rows = [[name, ratio, *_changes(results, arm)] for name, ratio, arm in curves.ratio_rows(results)]
    return _section(curves.RATIOS, curves.caption(results), table(curves.RATIO_HEADERS, rows)) if rows else ""


def _changes(results: Results, arm: str) -> list[str]:
    found = (results.contrast(results.primary.view, metric, arm) for metric in curves.SHOWN)
    return ["–" if contrast is None else change(contrast) for contrast in found]


def _robustness(results: Results) -> str:
    if not results.robustness:
        return ""
    metric = results.primary.metric
    words = wording.capital(METRIC_NAMES[metric])
    note = f"{words} in points, all severities together, with 95 % intervals over faces and seeds; without twins."
    parts = []
    for against in dict.fromkeys((results.question.baseline, results.control_arm)):
        for view in results.views_without_twins:
            found = robustness.pooled(results, view.key, against)
            pools = list(dict.fromkeys(name for of_arm in found.values() for name in of_arm))
            rows = [
                [results.titles[arm], *(change(of_arm[pool]) if pool in of_arm else "–" for pool in pools)]
                for arm, of_arm in found.items()
            ]
            if rows and against is not None:
                head = f"Against “{results.titles[against]}”, {view.labels_name}:"
                parts.append(f"{head}\n\n{table(['arm', *pools], rows)}")
    means = f"{words} in per cent, the mean over five severities and the seeds:\n\n{_condition_means(results, metric)}"
    return _section(robustness.TITLE, note if parts else "", "\n\n".join([*parts, means]))


def _condition_means(results: Results, metric: str) -> str:
    scores, conditions = results.scores[results.primary.view], list(results.robustness or {})
    rows = [
        [
            results.titles[arm],
            percent(scores[arm].metrics[metric].value),
            *(percent(found.get(condition)) for condition in conditions),
        ]
        for arm, found in robustness.mean_by_condition(results, metric).items()
    ]
    return table(["arm", "as they are", *map(robustness.condition_name, conditions)], rows)


def _confusions(results: Results) -> str:
    """What each class is taken for, before and after."""
    parts = []
    for arm in (results.question.baseline, results.question.primary):
        shares = classes.confusion_shares(results, arm)
        rows = [[label, *(percent(value) for value in row)] for label, row in zip(results.labels, shares, strict=True)]
        parts.append(f"{results.titles[arm]}:\n\n{table(['true ↓, answered →', *results.labels], rows)}")
    note = f"Per cent of each true class, the mean over seeds; {wording.view_name(results.sorted_views[0])}."
    return _section("Confusions", note, "\n\n".join(parts))


def _calibration(results: Results) -> str:
    names, found = calibration.measures(results)
    if not names:
        return ""
    rows = [
        [results.titles[arm], *("–" if value is None else f"{value:.3f}" for value in values)]
        for arm, values in found.items()
    ]
    return _section(calibration.TITLE, calibration.note(results), table(["", *names], rows))


def _fairness(results: Results) -> str:
    """The gaps between groups, attribute by attribute."""
    told, parts = fairness.by_arm(results), []
    for attribute in next(iter(told.values()))["attributes"] if told else ():
        rows = [
            [words, faces, *(f"{level(gap)} {between}".strip() for gap, between in gaps)]
            for words, faces, gaps in fairness.gap_rows(results, attribute)
        ]
        headers = [f"gap by {attribute}", "smallest group", *(results.titles[arm] for arm in told)]
        parts.append(table(headers, rows))
    return _section(fairness.TITLE, fairness.note(results), "\n\n".join(parts)) if parts else ""


def _generated(results: Results, synthesis: Mapping[str, Any] | None) -> str:
    if not synthesis or not synthesis["sources"]:
        return ""
    rows = [
        [name, *(f"{value} {below}".strip() for value, below in generated.figures(source))]
        for name, source in generated.named(synthesis).items()
    ]
    lines = "\n".join(f"- {line}" for line in generated.notes(synthesis, results))
    content = f"{table(list(generated.HEADERS), rows)}\n\n{lines}".strip()
    return _section(generated.TITLE, generated.caption(synthesis), content)


def _levels(results: Results, view: View) -> str:
    rows = [
        [results.titles[arm], *(level(found.metrics[name]) for name in METRIC_NAMES)]
        for arm, found in results.scores[view.key].items()
    ]
    return table(["arm", *METRIC_NAMES.values()], rows)


def _tests(results: Results, view: View) -> str:
    rows = [
        [
            results.titles[contrast.arm],
            METRIC_NAMES[contrast.metric],
            change(contrast),
            wording.p_value(contrast.p_value),
            "primary" if contrast.family == "primary" else wording.p_value(contrast.p_holm),
            wording.smallest(contrast),
        ]
        for contrast in results.contrasts
        if contrast.view == view.key and contrast.metric in METRIC_NAMES
    ]
    note = (
        f"{results.question.resamples:,} resamples of faces and seeds at once; Holm's correction over all exploratory "
        f"rows of all views. {_title(results, view)}."
    )
    return _section("Tests", note, table(["arm", "metric", "difference", "p", "p (Holm)", "smallest effect"], rows))


def _leaks(results: Results) -> str:
    content = table(["", "faces"], leak_counts(results))
    return _section("Leaks", f"Policy {POLICIES[results.leaks.policy]}", content)


def _training_faces(results: Results) -> str:
    rows = []
    for arm in results.arms:
        faces = arm.training_faces
        made = f"{faces.origins.get('synthetic', 0):,}"
        rows.append([arm.title, f"{faces.rows:,}", made, *(f"{count:,}" for count in faces.per_class.values())])
    return table(["arm", "faces", "generated", *results.labels], rows)


def _reproduce(results: Results) -> str:
    lines = [
        f"judged by `{results.evaluate_on.manifest}`, SHA-256 `{results.evaluate_on.sha256}`",
        f"seeds {', '.join(map(str, results.question.seeds))}; {wording.counted(len(results.runs), 'run')}",
        *trained_where(results.runs),
        f"written on {wording.machine(results.machine)}",
        f"versions: {', '.join(f'{name} {version}' for name, version in results.versions.items())}",
        f"SHA-256 of all numbers: `{results.numbers_sha256}`",
    ]
    return _list("To get the same numbers again", lines)


def _title(results: Results, view: View) -> str:
    return f"{results.where(view)}, {view.labels_name}"


def _faces(view: View) -> str:
    left = f"; {view.left_out:,} without a clear truth among the labels left out" if view.left_out else ""
    return f"{view.faces:,} faces{left}. Per cent, the mean over seeds, with 95 % intervals over faces and seeds."


def table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table; a bar inside a cell is escaped."""
    lines = [headers, ["---", *["---:"] * (len(headers) - 1)], *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _section(title: str, note: str, content: str) -> str:
    return "\n".join([f"## {title}\n", *([f"{note}\n"] if note else []), f"{content}\n"])


def _list(title: str, lines: Sequence[str]) -> str:
    return _section(title, "", "\n".join(f"- {line}" for line in lines)) if lines else ""
