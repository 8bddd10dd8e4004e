"""The arms beside each other, in Markdown: differences, classes, confusions, tests."""

from experiments.report import classes, differences, wording
from experiments.report.contents import Results
from experiments.report.markdown_text import section, table
from experiments.report.parts import Contrast, View
from experiments.report.wording import METRIC_NAMES, capital, change, level, percent


def differences_section(results: Results) -> str:
    """Every arm against the baseline."""
    return section("Differences", _differences_note(results), _differences(results))


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


def control_section(results: Results) -> str:
    """Every arm against the strongest control; empty where there is none."""
    if results.control is None:
        return ""
    note = (
        f"Against “{results.titles[results.control.arm]}”, in points, with 95 % intervals; without twins. Exploratory."
    )
    parts = []
    for view in results.views_without_twins:
        found = {(one.arm, one.metric): one for one in results.control.contrasts if one.view == view.key}
        arms, metrics = (list(dict.fromkeys(names)) for names in zip(*found, strict=True))
        headers = ["", *map(wording.metric_name, metrics)]
        rows = [[results.titles[arm], *(_change(found.get((arm, metric))) for metric in metrics)] for arm in arms]
        parts.append(f"{capital(view.labels_name)}:\n\n{table(headers, rows)}")
    return section("Against the strongest control", note, "\n\n".join(parts))


def recalls_section(results: Results, view: View) -> str:
    """Each class's recall in the baseline, and how every arm changes it."""
    baseline = results.question.baseline
    before = results.scores[view.key][baseline].recall
    rows = [[f"{results.titles[baseline]}, %", *(percent(before[label].value) for label in results.labels)]]
    for arm in results.main_arms:
        if arm != baseline:
            found = [results.contrast(view.key, f"recall:{label}", arm) for label in results.labels]
            rows.append([results.titles[arm], *map(_change, found)])
    headers = ["", *(f"{label} ({view.per_class[label]:,})" for label in results.labels)]
    note = "Recall of each class (faces), and its change in every arm, in points, with 95 % intervals. Exploratory."
    return section(f"Recall in every arm: {wording.view_name(view)}", note, table(headers, rows))


def classes_section(results: Results, view: View) -> str:
    """Each class before and after."""
    return section("Class by class", _classes_note(results, view), _classes(results, view))


def _classes_note(results: Results, view: View) -> str:
    return (
        f"Recall in per cent and its change in points; {wording.view_name(view)}. Smallest effect: the true change "
        "that this design finds with 80 % power. Precision, F1 and average precision before and after: precision and "
        "F1 of all answers over the seeds, average precision the mean over seeds."
    )


def _classes(results: Results, view: View) -> str:
    before, after = results.question.baseline, results.question.primary
    scores = results.scores[view.key]
    rows = []
    for label in results.labels:
        contrast = results.contrast(view.key, f"recall:{label}", after)
        changed = ("–", "–") if contrast is None else (change(contrast), wording.smallest(contrast))
        levels = [level(scores[arm].recall[label]) for arm in (before, after)]
        others = classes.precision_f1_ap(results, view, label)
        rows.append([label, f"{view.per_class[label]:,}", *levels, *changed, *others])
    headers = ["", "faces", results.titles[before], results.titles[after], "difference", "smallest effect"]
    headers += ["precision", "F1", "average precision"]
    return table(headers, rows)


def confusions_section(results: Results) -> str:
    """What each class is taken for, before and after."""
    parts = []
    for arm in (results.question.baseline, results.question.primary):
        shares = classes.confusion_shares(results, arm)
        rows = [[label, *(percent(value) for value in row)] for label, row in zip(results.labels, shares, strict=True)]
        parts.append(f"{results.titles[arm]}:\n\n{table(['true ↓, answered →', *results.labels], rows)}")
    note = f"Per cent of each true class, the mean over seeds; {wording.view_name(results.sorted_views[0])}."
    return section("Confusions", note, "\n\n".join(parts))


def tests_section(results: Results, view: View) -> str:
    """p values, as they are and corrected."""
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
        f"rows of all views. {capital(wording.view_title(results, view))}."
    )
    return section("Tests", note, table(["arm", "metric", "difference", "p", "p (Holm)", "smallest effect"], rows))


def pairs_section(results: Results, view: View) -> str:
    """McNemar's exact tests, seed by seed."""
    found = differences.paired_tests(results, view)
    note = f"Test faces that only one of the two gets right, seed by seed; {wording.view_name(view)}."
    return section(differences.PAIRS, note, table(differences.PAIR_HEADERS, found)) if found else ""


def _change(contrast: Contrast | None) -> str:
    return "–" if contrast is None else change(contrast)
