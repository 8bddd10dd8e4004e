"""How the runs learned, and what was chosen on validation faces."""

from experiments.report import charts, marks
from experiments.report.contents import Results
from experiments.report.marks import Missing
from experiments.report.robustness import compared_arms
from fer_data import pages
from fer_data.pages import Section

COLOURED = 5  # arms; with more, all but before, control and after are grey


def training(results: Results) -> Section | Missing:
    """Validation score and loss of every run."""
    if not any(run.history for run in results.runs):
        return Missing("Training", "the records hold no histories.")
    steps, judged = results.arms[0].train["steps"], results.evaluate_on.validation_faces
    shown = results.main_arms if len(results.main_arms) <= COLOURED else compared_arms(results)
    styles = charts.arm_styles(results, shown)
    key = {results.titles[arm]: style for arm, style in styles.items()}
    drawn = [
        charts.runs(results, "val_balanced_accuracy", styles, title="Balanced accuracy, validation, %", scale=100),
        charts.runs(results, "val_cross_entropy", styles, title="Cross-entropy, validation", scale=1),
        charts.runs(results, "train_loss", styles, title="Training loss", scale=1),
    ]
    others = "" if len(shown) == len(results.arms) else " Grey: the other arms."
    faces = "validation faces of its fold" if results.folds else f"same {judged:,} validation faces"
    caption = (
        f"A line per run; every arm has the same {steps:,} optimiser steps. The weights of the best evaluation on the "
        f"{faces} are kept; no test face has a part in that.{_lifted(results)}{others}"
    )
    return Section("Training", pages.figure(marks.key(key) + marks.panels(drawn), caption))


def _lifted(results: Results) -> str:
    """Whose lines are those of another arm."""
    arms = dict.fromkeys(run.arm for run in results.runs if run.lifted_from is not None)
    names = ", ".join(f"“{results.titles[arm]}”" for arm in arms)
    return f" Lifted after training, and so with the lines of the classifier before: {names}." if arms else ""
