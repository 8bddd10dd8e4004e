"""Differences of an experiment's arms in every view, as Markdown tables.

    python benchmarks/difference_tables.py runs/fer2013/report.json --arms audited+lifted evidence+lifted

A table an arm: a row for each metric and each label's recall, a column for each division of the test split and kind of
label. Differences to the baseline in points with 95 % intervals.
"""

import argparse
from pathlib import Path

from experiments.report.contents import Results
from experiments.report.markdown import table
from experiments.report.wording import METRIC_NAMES, change
from fer_data.files import read_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path, help="report.json, or results.json")
    parser.add_argument("--arms", nargs="+", metavar="ARM", help="default: the primary arm")
    given = parser.parse_args()
    results = Results.model_validate(read_json(given.report))
    for arm in given.arms or [results.question.primary]:
        print(f"## {results.titles[arm]}\n\n{differences(results, arm)}\n")


def differences(results: Results, arm: str) -> str:
    """The arm against the baseline: metrics × views."""
    found = {
        (row.metric, row.view): change(row)
        for row in results.contrasts
        if row.arm == arm and row.against == results.question.baseline
    }
    views = [view for view in results.sorted_views if any(key == view.key for _, key in found)]
    metrics = dict.fromkeys(metric for metric, _ in found)
    rows = [
        [
            METRIC_NAMES.get(metric, metric.replace("recall:", "recall of ")),
            *(found.get((metric, view.key), "–") for view in views),
        ]
        for metric in metrics
    ]
    return table(["", *(f"{view.split_name}, {view.labels_name}" for view in views)], rows)


if __name__ == "__main__":
    main()
