"""Class by class: what each expression gained and lost, and what is taken for what."""

import numpy as np

from classifier.metrics import precision_recall_f1
from experiments.report import marks, wording
from experiments.report.contents import Results
from experiments.report.marks import Axis
from experiments.report.parts import View
from fer_data import pages
from fer_data.pages import Html, Section


def classes(results: Results) -> Section:
    """Each class's recall before and after, and the change in every arm."""
    first, *others = results.sorted_views
    parts = [
        pages.heading(_title(results, first)),
        pages.figure(
            recalls_table(results, first),
            "Recall in per cent, the mean over seeds, with Wilson's 95 % interval for the test faces; differences in "
            "points, with paired intervals over faces and seeds, not corrected for looking at several classes. "
            "Smallest effect: the smallest true change that this design finds with 80 % power. Precision and F1, "
            "before and after: of all answers over the seeds, without intervals.",
        ),
    ]
    parts += [pages.heading(f"Every arm, {wording.view_name(first)}"), _all_recalls(results, first)]
    parts += [
        marks.details(
            f"{wording.capital(wording.view_name(view))}", recalls_table(results, view) + _all_recalls(results, view)
        )
        for view in others
    ]
    return Section("Class by class", "".join(parts))


def confusions(results: Results) -> Section:
    """Confusion matrices before and after."""
    view = results.primary.view
    shown = []
    for arm in (results.question.baseline, results.question.primary):
        counts = np.asarray(results.scores[view][arm].confusion, dtype=float)
        faces = counts.sum(axis=1, keepdims=True)
        shares = np.divide(counts, faces, out=np.full(counts.shape, np.nan), where=faces > 0)
        labels = results.labels
        matrix = pages.matrix(labels, labels, shares, rows_are="true label", columns_are="predicted label")
        shown.append(f"<div>{pages.heading(results.titles[arm])}{matrix}</div>")
    note = pages.paragraph(
        f"Share of each true class, the mean over seeds; {wording.view_name(results.view(view))}. Other views are in "
        "report.json.",
        "note",
    )
    return Section("Confusions", f'{note}<div class="beside">{"".join(shown)}</div>')


def recalls_table(results: Results, view: View) -> Html:
    """Recall of each class before and after, with the difference drawn."""
    before, after = results.question.baseline, results.question.primary
    scores = results.scores[view.key]
    changes = {label: results.contrast(view.key, f"recall:{label}", after) for label in results.labels}
    axis = Axis.around([change for change in changes.values() if change is not None])
    rows = []
    for label, change in changes.items():
        drawn = Html("–") if change is None else marks.effect(change, axis)
        smallest = "–" if change is None else wording.smallest(change)
        recalls = [scores[arm].recall[label] for arm in (before, after)]
        levels = [marks.two_lines(wording.percent(one.value), wording.interval(one, signed=False)) for one in recalls]
        others = precision_and_f1(results, view, label)
        rows.append([label, f"{view.per_class[label]:,}", drawn, *levels, smallest, *others])
    headers = ["", "faces", marks.scale_of("difference", axis), "before", "after", "smallest effect", "precision", "F1"]
    return Html(f'<div class="forest">{pages.table(headers, rows, "lrlrrrrr")}</div>')


def precision_and_f1(results: Results, view: View, label: str) -> tuple[str, str]:
    """A class's precision and F1 in per cent, "21.3 → 9.0": of all answers of the baseline, and of the primary arm."""
    index, told = results.labels.index(label), []
    for arm in (results.question.baseline, results.question.primary):
        precision, _, f1 = precision_recall_f1(np.asarray(results.scores[view.key][arm].confusion))
        told.append([wording.percent(found[index]) for found in (precision, f1)])
    before, after = told
    return f"{before[0]} → {after[0]}", f"{before[1]} → {after[1]}"


def _all_recalls(results: Results, view: View) -> Html:
    rows = {
        results.titles[arm]: [results.contrast(view.key, f"recall:{label}", arm) for label in results.labels]
        for arm in results.main_arms
        if arm != results.question.baseline
    }
    table = marks.shaded_changes(results.labels, rows)
    caption = (
        f"Change of each class's recall against “{results.titles[results.question.baseline]}”, in points. Bold: the "
        "interval does not touch zero."
    )
    return pages.figure(table, caption)


def _title(results: Results, view: View) -> str:
    before, after = (results.titles[arm] for arm in (results.question.baseline, results.question.primary))
    return f"“{before}” → “{after}”, {wording.view_name(view)}"
