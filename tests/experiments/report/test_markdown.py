"""The page for a repository tells the same figures, from report.json alone."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from experiments.report import write_report
from experiments.report.classes import precision_f1_ap
from experiments.report.contents import Results
from experiments.report.markdown import markdown
from experiments.report.markdown_text import table
from experiments.report.wording import change


@pytest.fixture(scope="module")
def report(tmp_path_factory, full_results, folded_results) -> Path:
    return write_report(
        full_results, tmp_path_factory.mktemp("markdown") / "report.html", cross_validated=folded_results
    )


def test_it_is_written_from_the_json_beside_it(report: Path) -> None:
    told = json.loads(report.with_suffix(".json").read_text())
    page = report.with_suffix(".md").read_text()
    assert page == markdown(told)
    assert page.startswith("# Before & after\n\nWritten by `fer experiment` from its report.json, not by hand.\n")
    assert f"**{told['answer']}**" in page
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == [
        "Differences", "Against the strongest control", "Class by class",
        "Recall in every arm: without twins, FER+ majority", "Recall in every arm: without twins, given labels",
        "Cross-validated", "What a review buys", "Occlusion and low light",
        "Faces that are really covered, dark or turned", "Confusions", "Confidence",
        "Fairness",
        "Levels: test split without twins in train or val, FER+ majority",
        "Levels: test split without twins in train or val, given labels",
        "Levels: test split without pictures that are also in train or val, given labels",
        "Levels: test split without pictures that are also in train or val, FER+ majority",
        "Levels: official test split, given labels", "Levels: official test split, FER+ majority", "Tests",
        "McNemar's exact test on the same faces", "What was chosen, and when",
        "Leaks", "Training faces", "Licences", "What this does not show", "Not in this report",
        "To get the same numbers again",
    ]  # fmt: skip


def test_the_primary_contrast_and_the_chosen_arm_stand_out(report: Path, full_results) -> None:
    page = report.with_suffix(".md").read_text()
    primary = Results.model_validate(full_results).primary
    assert page.count(f"**{change(primary)}**") == 1
    assert "judged once each in 3 folds" in page and re.search(r"^\| disgust \| 6 \| \+", page, re.MULTILINE)
    assert "| **Arm cleaned** | 61.0 | 60.0 · 62.0 |" in page and "| Arm sampled | 57.0 | 57.0 · 57.0 |" in page


def test_each_class_has_its_precision_and_f1_before_and_after(report: Path, full_results) -> None:
    results = Results.model_validate(full_results)
    told = []
    for arm in (results.question.baseline, results.question.primary):
        counts = np.asarray(results.scores[results.primary.view][arm].confusion)
        hits, answered, faces = counts[2, 2], counts[:, 2].sum(), counts[2].sum()
        told.append((f"{100 * hits / answered:.1f}", f"{100 * 2 * hits / (answered + faces):.1f}"))
    cells = " | ".join(f"{before} → {after}" for before, after in zip(*told, strict=True))
    assert re.search(
        rf"^\| fear \| .* \| {re.escape(cells)} \| [\d.]+ → [\d.]+ \|$",
        report.with_suffix(".md").read_text(),
        re.MULTILINE,
    )


def test_every_arm_stands_against_the_control_and_the_votes(report: Path, full_results) -> None:
    page, results = report.with_suffix(".md").read_text(), Results.model_validate(full_results)
    section = page.split("## Against the strongest control")[1].split("\n## ")[0]
    found = results.control_contrast("cleaned")
    assert found is not None and f"| Arm cleaned | {change(found)} | " in section and "recall of disgust" in section
    assert "| 1.500 |" in page and "on 80 labelled test faces without twins" in page and "is 0.432." in page
    assert "|  | light: low (12) |" in page and "| Arm cleaned | 45.7 |" in page
    section = page.split("## McNemar")[1].split("\n## ")[0]
    assert "| Arm cleaned | Arm baseline | 1 · 2 · 3 | " in section
    assert "| Arm cleaned | Arm sampled | 1 · 2 · 3 | " in section


def test_a_class_is_precision_f1_ap_before_and_after(full_results) -> None:
    results = Results.model_validate(full_results)
    view = results.primary.view
    told = [
        results.mean_of_runs(view, arm, "per_class", "fear", "average_precision") for arm in ("baseline", "cleaned")
    ]
    one = [run.metrics[view]["per_class"]["fear"]["average_precision"] for run in results.runs if run.arm == "baseline"]
    assert told[0] == pytest.approx(np.mean(one)) and len(one) == 3
    assert precision_f1_ap(results, results.view(view), "fear")[2] == f"{100 * told[0]:.1f} → {100 * told[1]:.1f}"
    assert results.mean_of_runs(view, "cleaned", "nothing") is None


def test_a_cross_validation_names_every_fold(tmp_path: Path, folded_results) -> None:
    runs = [{**run, "fold": fold, "seed": 1} for fold, run in enumerate(folded_results["runs"][:1] * 3)]
    pooled = [{"arm": runs[0]["arm"], "seed": 1, "metrics": {"leak_free/reference": {"ece": 0.125}}}]
    told = {**folded_results, "runs": runs, "over_folds": pooled}
    results = Results.model_validate(told)
    assert results.mean_of_runs("leak_free/reference", runs[0]["arm"], "ece") == 0.125  # not the mean over folds
    page = write_report(told, tmp_path / "report.html").with_suffix(".md").read_text()
    assert page.count("- fold judged by `manifests/x/fold.parquet`") == 3 and "- judged by" not in page
    assert page.count("Of the first fold.") == 2 and "were made once in each fold" in page
    assert "## Levels: test faces of all folds without twins in train or val, FER+ majority" in page
    assert "Cross-validated" not in page


def test_older_results_are_shown_without_what_they_lack(tmp_path: Path, make_results) -> None:
    old = make_results(0.1)
    old["mcnemar"] = [{key: value for key, value in row.items() if key != "against"} for row in old["mcnemar"]]
    page = write_report(old, tmp_path / "report.html").with_suffix(".md").read_text()
    assert "| Arm cleaned | Arm baseline | 1 · 2 | " in page and "shares of votes" not in page


def test_every_table_is_whole(report: Path) -> None:
    blocks = re.findall(r"(?:^\|.*\|\n)+", report.with_suffix(".md").read_text(), re.MULTILINE)
    assert len(blocks) >= 12
    for block in blocks:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_a_bar_in_a_cell_is_escaped() -> None:
    assert table(["a", "b"], [["x|y", 1]]).splitlines()[2] == "| x\\|y | 1 |"
