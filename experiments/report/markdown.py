"""The report as Markdown, for a repository: from report.json alone, so that no figure is typed by hand."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.report import (
    calibration,
    choice,
    cross_validation,
    curves,
    fairness,
    generated,
    robustness,
    slices,
    wording,
)
from experiments.report.appendix import POLICIES, leak_counts, licences_of, trained_where
from experiments.report.contents import Results
from experiments.report.markdown_comparisons import (
    classes_section,
    confusions_section,
    control_section,
    differences_section,
    pairs_section,
    recalls_section,
    tests_section,
)
from experiments.report.markdown_text import bullet_section, section, table
from experiments.report.parts import Candidate, Contrast, View
from experiments.report.wording import METRIC_NAMES, change, level, percent


def markdown(report: Mapping[str, Any]) -> str:
    """The whole page, from the content of report.json."""
    results, told = Results.model_validate(report), report["report"]
    first = results.sorted_views[0]
    sections = [
        _head(results, told["lead"]),
        differences_section(results),
        control_section(results),
        classes_section(results, first),
        *(recalls_section(results, view) for view in results.views_without_twins),
        _cross_validated(told["cross_validated"]),
        _review(results),
        _ratio(results),
        _robustness(results),
        _slices(results),
        confusions_section(results),
        _calibration(results),
        _fairness(results),
        _generated(results, told["synthesis"]),
        *(
            section(f"Levels: {wording.view_title(results, view)}", _faces(view), _levels(results, view))
            for view in results.sorted_views
        ),
        tests_section(results, first),
        pairs_section(results, first),
        _choice(results),
        _leaks(results),
        section("Training faces", wording.first_fold(results), _training_faces(results)),
        _licences(results),
        bullet_section("What this does not show", told["limits"]),
        bullet_section("Not in this report", [f"{part}: {reason}" for part, reason in told["left_out"].items()]),
        _reproduce(results),
    ]
    return "\n".join(one for one in sections if one)


def _head(results: Results, lead: Sequence[str]) -> str:
    note = "Written by `fer experiment` from its report.json, not by hand."
    first, *others = lead
    return "\n".join([f"# {results.title}\n", f"{note}\n", f"**{first}**\n", *(f"{line}\n" for line in others)])


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
    return section(cross_validation.TITLE, told["answer"], table(["", "faces", "recall", "smallest effect"], rows))


def _licences(results: Results) -> str:
    rows = [[name, licence["summary"]] for name, licence in licences_of(results).items()]
    return section("Licences", "Facts that the sources state, not legal advice.", table(["", "in words"], rows))


def _choice(results: Results) -> str:
    parts = [
        f"### {name}\n\n"
        + table(["arm", "score", "seed by seed"], [_candidate(results, one, arm) for one in candidates])
        for name, arm, candidates in choice.chosen_among(results)
    ]
    return section(choice.TITLE, choice.sentence(results), "\n\n".join(parts)) if parts else ""


def _candidate(results: Results, candidate: Candidate, chosen: str) -> list[str]:
    title = results.titles.get(candidate.arm, candidate.arm)
    scores = " · ".join(percent(score) for score in candidate.per_seed)
    return [f"**{title}**" if candidate.arm == chosen else title, percent(candidate.score), scores]


def _review(results: Results) -> str:
    rows = [
        [name, faces, *_changes(results, arm), wording.points(gain)]
        for name, faces, arm, gain in curves.review_rows(results)
    ]
    return section(curves.REVIEWS, curves.caption(results), table(curves.REVIEW_HEADERS, rows)) if rows else ""


def _ratio(results: Results) -> str:
    rows = [[name, ratio, *_changes(results, arm)] for name, ratio, arm in curves.ratio_rows(results)]
    return section(curves.RATIOS, curves.caption(results), table(curves.RATIO_HEADERS, rows)) if rows else ""


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
    for against in filter(None, dict.fromkeys((results.question.baseline, results.control_arm))):
        for view in results.views_without_twins:
            found = robustness.pooled(results, view.key, against)
            pools = list(dict.fromkeys(name for of_arm in found.values() for name in of_arm))
            rows = [
                [results.titles[arm], *(change(of_arm[pool]) if pool in of_arm else "–" for pool in pools)]
                for arm, of_arm in found.items()
            ]
            if rows:
                head = f"Against “{results.titles[against]}”, {view.labels_name}:"
                parts.append(f"{head}\n\n{table(['arm', *pools], rows)}")
    means = f"{words} in per cent, the mean over five severities and the seeds:\n\n{_condition_means(results, metric)}"
    return section(robustness.TITLE, note if parts else "", "\n\n".join([*parts, means]))


def _slices(results: Results) -> str:
    return section(slices.TITLE, slices.note(results), table(*slices.table_of(results))) if results.slices else ""


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
    names, found = calibration.scores_by_arm(results)
    if not names:
        return ""
    rows = [
        [results.titles[arm], *("–" if value is None else f"{value:.3f}" for value in values)]
        for arm, values in found.items()
    ]
    return section(calibration.TITLE, calibration.scores_note(results), table(["", *names], rows))


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
    return section(fairness.TITLE, fairness.note(results), "\n\n".join(parts)) if parts else ""


def _generated(results: Results, synthesis: Mapping[str, Any] | None) -> str:
    if not synthesis or not synthesis["sources"]:
        return ""
    rows = [
        [name, *(f"{value} {below}".strip() for value, below in generated.figures(source))]
        for name, source in generated.named(synthesis).items()
    ]
    lines = "\n".join(f"- {line}" for line in generated.notes(synthesis, results))
    content = f"{table(list(generated.HEADERS), rows)}\n\n{lines}".strip()
    return section(generated.TITLE, generated.caption(synthesis), content)


def _levels(results: Results, view: View) -> str:
    rows = [
        [results.titles[arm], *(level(found.metrics[name]) for name in METRIC_NAMES)]
        for arm, found in results.scores[view.key].items()
    ]
    return table(["arm", *METRIC_NAMES.values()], rows)


def _leaks(results: Results) -> str:
    content = table(["", "faces"], leak_counts(results))
    note = f"Policy {POLICIES[results.leaks.policy]} {wording.first_fold(results)}".strip()
    return section("Leaks", note, content)


def _training_faces(results: Results) -> str:
    rows = []
    for arm in results.arms:
        faces = arm.training_faces
        made = f"{faces.origins.get('synthetic', 0):,}"
        rows.append([arm.title, f"{faces.rows:,}", made, *(f"{count:,}" for count in faces.per_class.values())])
    return table(["arm", "faces", "generated", *results.labels], rows)


def _reproduce(results: Results) -> str:
    judges = [f"judged by `{results.evaluate_on.manifest}`, SHA-256 `{results.evaluate_on.sha256}`"]
    if results.folds:
        judges = [
            f"fold judged by `{fold.manifest}`, rows SHA-256 `{fold.rows_sha256}`, {fold.test_faces:,} test faces"
            for fold in results.folds
        ]
    lines = [
        *judges,
        f"seeds {', '.join(map(str, results.question.seeds))}; {wording.counted(len(results.runs), 'run')}",
        *trained_where(results.runs),
        f"written on {wording.machine(results.machine)}",
        f"versions: {', '.join(f'{name} {version}' for name, version in results.versions.items())}",
        f"SHA-256 of all numbers: `{results.numbers_sha256}`",
    ]
    return bullet_section("To get the same numbers again", lines)


def _faces(view: View) -> str:
    left = f"; {view.left_out:,} without a clear truth among the labels left out" if view.left_out else ""
    return f"{view.faces:,} faces{left}. Per cent, the mean over seeds, with 95 % intervals over faces and seeds."
