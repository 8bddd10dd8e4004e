"""Class by class: what each expression gained and lost, and what is taken for what."""

import numpy as np
from numpy.typing import NDArray

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
            "Smallest effect: the smallest true change that this design finds with 80 % power. Precision, F1 "
            "and average precision, before and after, without intervals: the first two of all answers over the seeds, "
            "the last the mean over seeds.",
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
    view, labels = results.primary.view, results.labels
    shown = []
    for arm in (results.question.baseline, results.question.primary):
        shares = confusion_shares(results, arm)
        matrix = pages.matrix(labels, labels, shares, rows_are="true label", columns_are="predicted label")
        shown.append(f"<div>{pages.heading(results.titles[arm])}{matrix}</div>")
    note = pages.paragraph(
        f"Share of each true class, the mean over seeds; {wording.view_name(results.view(view))}. Other views are in "
        "report.json.",
        "note",
    )
    return Section("Confusions", f'{note}<div class="beside">{"".join(shown)}</div>')


def confusion_shares(results: Results, arm: str) -> NDArray[np.float64]:
    """What share of each true class an arm gives to each label, float64 [K, K]; NaN for a class without faces.

    In the view of the primary contrast, the mean over seeds.
    """
    counts = np.asarray(results.scores[results.primary.view][arm].confusion, dtype=np.float64)
    faces = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, faces, out=np.full(counts.shape, np.nan), where=faces > 0)


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
        precision, f1, ranked = precision_f1_ap(results, view, label)
        answered = marks.two_lines(precision, f1)
        rows.append([label, f"{view.per_class[label]:,}", drawn, *levels, smallest, answered, ranked])
    headers = ["", "faces", marks.scale_of("difference", axis), "before", "after"]
    headers += [Html("smallest<br>effect"), marks.two_lines("precision", "F1"), Html("average<br>precision")]
    return Html(f'<div class="forest">{pages.table(headers, rows, "lrlrrrrr")}</div>')


def precision_f1_ap(results: Results, view: View, label: str) -> list[str]:
    """A class's precision, F1 and average precision in per cent, "21.3 → 9.0": of the baseline, and the primary arm.

    Precision and F1 are of all answers over the seeds; average precision, which asks how faces are ranked, is the mean
    over seeds.
    """
    index, told = results.labels.index(label), []
    for arm in (results.question.baseline, results.question.primary):
        precision, _, f1 = precision_recall_f1(np.asarray(results.scores[view.key][arm].confusion))
        ranked = results.mean_of_runs(view.key, arm, "per_class", label, "average_precision")
        told.append([wording.percent(found) for found in (precision[index], f1[index], ranked)])
    return [f"{before} → {after}" for before, after in zip(*told, strict=True)]


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
