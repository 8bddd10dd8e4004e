"""The arms beside each other: the answer's figures, the forest plot, all scores, all tests."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from experiments.report import marks, wording
from experiments.report.contents import Results
from experiments.report.marks import Axis, Missing
from experiments.report.parts import Contrast, PairTest, View
from experiments.report.wording import METRIC_NAMES, percent
from fer_data import pages
from fer_data.pages import Html, Section

PAIRS = "McNemar's exact test on the same faces"
PAIR_HEADERS = ("", "against", "seeds", "only the other right", "only this arm right", "p")
FOREST_METRICS = ("balanced_accuracy", "accuracy")


def differences(results: Results) -> Section:
    """The primary contrast in figures, and every arm against the baseline as a forest plot."""
    contrast = results.primary
    before, after = results.titles[results.question.baseline], results.titles[contrast.arm]
    scores, view = results.scores[contrast.view], results.view(contrast.view)
    figures = {}
    for name, words in METRIC_NAMES.items():
        was, became = (percent(scores[arm].metrics[name].value) for arm in (results.question.baseline, contrast.arm))
        figures[wording.capital(words)] = f"{was} → {became} %"
    text = (
        f"“{before}” → “{after}” on {view.faces:,} faces: {results.faces_of(view)}, {view.labels_name}. With these "
        f"faces and seeds a true difference in {METRIC_NAMES[contrast.metric]} of "
        f"{percent(contrast.smallest_effect)} points "
        "would have been found four times out of five; smaller ones more rarely."
    )
    parts = [pages.key_figures(figures), pages.paragraph(text)]
    views = results.views_without_twins
    found = {view.key: against_baseline(results, view) for view in views}
    axis = Axis.around([contrast for of_view in found.values() for contrast in of_view.values()])
    for shown in views:
        table = effects_table(results, found[shown.key], axis)
        parts += [pages.heading(wording.capital(shown.labels_name)), table]
    caption = (
        f"Differences to “{before}” in points, with 95 % intervals over test faces and seeds; without twins. "
        "Filled: the interval does not touch zero, not corrected for looking at several arms (“Tests” "
        "is). Blue: the one contrast chosen beforehand; all else is exploratory."
    )
    return Section("Differences", pages.figure("".join(parts), caption))


def against_control(results: Results) -> Section | Missing:
    """The arms against the strongest one that needs neither review nor synthesis."""
    title = "Against the strongest control"
    if results.control is None:
        return Missing(title, "no arm is named as the control.")
    view = results.view(results.primary.view)
    found = [
        contrast
        for contrast in results.control.contrasts
        if contrast.view == view.key and contrast.metric in FOREST_METRICS
    ]
    cells = {(contrast.arm, contrast.metric): contrast for contrast in found}
    table = effects_table(results, cells, Axis.around(found))
    note = (
        f"Differences to “{results.titles[results.control.arm]}” in points, with 95 % intervals; "
        f"{wording.view_name(view)}. Exploratory."
    )
    return Section(title, pages.paragraph(wording.against_the_control(results)) + pages.figure(table, note))


def scores(results: Results) -> Section:
    """Every arm's level in every view."""
    note = pages.paragraph(
        "Per cent, the mean over seeds, with 95 % intervals over test faces and seeds. Intervals of two arms may "
        "overlap although their difference is clear: the arms answer the same faces, and the differences use that.",
        "note",
    )
    first, *others = results.sorted_views
    parts = [
        note,
        pages.heading(_title(results, first)),
        pages.paragraph(_faces_note(first), "note"),
        _levels(results, first),
    ]
    parts += [
        marks.details(_title(results, view), pages.paragraph(_faces_note(view), "note") + _levels(results, view))
        for view in others
    ]
    return Section("All scores", "".join(parts))


def tests(results: Results) -> Section:
    """p values, corrected, and McNemar's tests."""
    first, *others = results.sorted_views
    note = pages.paragraph(
        f"{results.question.resamples:,} resamples of faces (by group) and of seeds at once, the same for both "
        "arms. p: two-sided, from the resamples. Holm: corrected for all exploratory rows of this section together; "
        "those without copies among themselves. Last column: the smallest true difference, in points, that this design "
        "finds with 80 % power.",
        "note",
    )
    parts = [note, pages.heading(_title(results, first)), _tests_table(results, first)]
    if len(results.main_arms) < len(results.arms):
        parts.append(marks.details("The arms of the curves", _tests_table(results, first, main=False)))
    parts += [marks.details(_title(results, view), _tests_table(results, view)) for view in others]
    parts += [pages.heading(PAIRS), pages.table(PAIR_HEADERS, paired_tests(results, first), "wwrrrr")]
    return Section("Tests", "".join(parts))


def against_baseline(results: Results, view: View) -> dict[tuple[str, str], Contrast]:
    """(arm, metric) → difference to the baseline, of the arms and metrics that a forest plot shows."""
    return {
        (arm, metric): contrast
        for arm in results.main_arms
        for metric in FOREST_METRICS
        if (contrast := results.contrast(view.key, metric, arm)) is not None
    }


def effects_table(results: Results, found: Mapping[tuple[str, str], Contrast], axis: Axis) -> Html:
    """Differences as a table of drawn intervals, a row per arm, a column per metric, one scale for all."""
    rows = []
    for arm in dict.fromkeys(arm for arm, _ in found):
        cells: list[object] = [_arm_name(results, arm)]
        for metric in FOREST_METRICS:
            contrast = found.get((arm, metric))
            is_primary = contrast is not None and contrast.family == "primary"
            cells.append(Html("–") if contrast is None else marks.effect(contrast, axis, strong=is_primary))
        rows.append(cells)
    headers = ["", *(marks.scale_of(wording.capital(METRIC_NAMES[metric]), axis) for metric in FOREST_METRICS)]
    return Html(f'<div class="forest">{pages.table(headers, rows, "w" + "l" * len(FOREST_METRICS))}</div>')


def _arm_name(results: Results, arm: str) -> Html:
    title = results.titles[arm]
    if arm == results.question.primary:
        return marks.two_lines(marks.strong(title), "chosen beforehand")
    return marks.two_lines(title, "the strongest control" if arm == results.control_arm else "")


def _levels(results: Results, view: View) -> Html:
    rows = [
        [
            marks.strong(results.titles[arm], arm in (results.question.baseline, results.question.primary)),
            *(marks.level(found.metrics[name]) for name in METRIC_NAMES),
        ]
        for arm, found in results.scores[view.key].items()
    ]
    return pages.table(["", *(wording.capital(name) for name in METRIC_NAMES.values())], rows, "wrrr")


def _tests_table(results: Results, view: View, *, main: bool = True) -> Html:
    rows = [
        [
            marks.strong(results.titles[contrast.arm], contrast.family == "primary"),
            METRIC_NAMES[contrast.metric],
            marks.change(contrast),
            wording.p_value(contrast.p_value),
            "primary" if contrast.family == "primary" else wording.p_value(contrast.p_holm),
            wording.smallest(contrast),
        ]
        for contrast in results.contrasts
        if contrast.view == view.key and contrast.metric in METRIC_NAMES and (contrast.arm in results.main_arms) == main
    ]
    return pages.table(["", "metric", "difference", "p", "p (Holm)", "smallest effect"], rows, "wlrrrr")


def paired_tests(results: Results, view: View) -> list[list[str]]:
    """A row per pair of arms: faces that changed sides, seed by seed."""
    found = [test for test in results.mcnemar if test.view == view.key]
    rows = []
    for (arm, against), group in groupby(found, key=lambda test: (test.arm, test.against)):
        of_pair = list(group)
        names = (results.titles[arm], results.titles[against or results.question.baseline])
        rows.append([*names, *(_joined(of_pair, name) for name in ("seed", "lost", "won", "p_value"))])
    return rows


def _joined(tests: Sequence[PairTest], name: str) -> str:
    values = [getattr(test, name) for test in tests]
    return " · ".join(wording.p_value(value) if name == "p_value" else str(value) for value in values)


def _title(results: Results, view: View) -> str:
    return wording.capital(wording.view_title(results, view))


def _faces_note(view: View) -> str:
    left = f"; {view.left_out:,} without a clear truth among the labels left out" if view.left_out else ""
    return f"{view.faces:,} faces{left}."
