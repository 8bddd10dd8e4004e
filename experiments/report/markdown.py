"""The report as Markdown, for a repository: from report.json alone, so that no figure is typed by hand."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.report import (
    calibration,
    choice,
    classes,
    cross_validation,
    curves,
    fairness,
    generated,
    robustness,
    wording,
)
from experiments.report.appendix import POLICIES, leak_counts, trained_where
from experiments.report.contents import Results
from experiments.report.parts import Candidate, Contrast, View
from experiments.report.wording import METRIC_NAMES, change, level, percent


def markdown(report: Mapping[str, Any]) -> str:
    """The whole page, from the content of report.json."""
    results, told = Results.model_validate(report), report["report"]
    first = results.sorted_views[0]
    sections = [
        _head(results, told["lead"]),
        _section("Differences", _differences_note(results), _differences(results)),
        _section("Class by class", _classes_note(results, first), _classes(results, first)),
        _cross_validated(told["cross_validated"]),
        _review(results),
        _ratio(results),
        _robustness(results),
        _calibration(results),
        _fairness(results),
        _generated(results, told["synthesis"]),
        *(_section(f"Levels: {_title(view)}", _faces(view), _levels(results, view)) for view in results.sorted_views),
        _tests(results, first),
        _choice(results),
        _leaks(results),
        _section("Training faces", "", _training_faces(results)),
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
        f"Against “{baseline}”, in points, with 95 % intervals over test faces and seeds, on the test split without "
        "twins. **Bold**: the one contrast chosen beforehand; all else is exploratory. An interval that touches zero "
        "shows no difference."
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


def _classes_note(results: Results, view: View) -> str:
    return (
        f"Recall in per cent and its change in points; {wording.view_name(view)}. Smallest effect: the true change "
        "that this design finds with 80 % power. Precision and F1 before and after: of all answers over the seeds."
    )


def _classes(results: Results, view: View) -> str:
    before, after = results.question.baseline, results.question.primary
    scores = results.scores[view.key]
    rows = []
    for label in results.labels:
        contrast = results.contrast(view.key, f"recall:{label}", after)
        changed = ("–", "–") if contrast is None else (change(contrast), wording.smallest(contrast))
        levels = [level(scores[arm].recall[label]) for arm in (before, after)]
        others = classes.precision_and_f1(results, view, label)
        rows.append([label, f"{view.per_class[label]:,}", *levels, *changed, *others])
    headers = ["", "faces", results.titles[before], results.titles[after], "difference", "smallest effect"]
    headers += ["precision", "F1"]
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
    found = robustness.pooled(results)
    pools = list(dict.fromkeys(name for of_arm in found.values() for name in of_arm))
    rows = [
        [results.titles[arm], *(change(of_arm[pool]) if pool in of_arm else "–" for pool in pools)]
        for arm, of_arm in found.items()
    ]
    baseline = results.titles[results.question.baseline]
    note = f"{words} against “{baseline}” in points, all severities together, with 95 % intervals over faces and seeds."
    effects = f"{note}\n\n{table(['arm', *pools], rows)}\n\n" if rows else ""
    means = f"{words} in per cent, the mean over five severities and the seeds:\n\n{_condition_means(results, metric)}"
    return _section(robustness.TITLE, "", effects + means)


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


def _calibration(results: Results) -> str:
    found = {
        arm: [calibration.mean_of_runs(results, arm, measure) for measure in calibration.MEASURES]
        for arm in results.main_arms
    }
    if all(value is None for values in found.values() for value in values):
        return ""
    rows = [
        [results.titles[arm], *("–" if value is None else f"{value:.3f}" for value in values)]
        for arm, values in found.items()
    ]
    note = "The mean over seeds, lower is better."
    return _section(calibration.TITLE, note, table(["", *calibration.MEASURES.values()], rows))


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
        f"rows of all views. {_title(view)}."
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


def _title(view: View) -> str:
    return f"{view.split_name}, {view.labels_name}"


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
