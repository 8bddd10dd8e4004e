"""Differences of an experiment's arms from its kept records alone: nothing is made, trained or judged again.

    fer import fer2013 DATA --votes fer2013new.csv --out manifests/fer2013 && fer duplicates manifests/fer2013
    python benchmarks/record_differences.py experiments/fer2013 --records docs/results/runs/fer2013
        --arms lifted audited+lifted evidence+lifted > docs/results/fer2013-differences.md

In a project that has the manifest that judges. A record holds what a run answered to each test face, so its figures are
those of the report where the same faces count as twins: the same resamples, the same correction over all arms. For
every arm that is asked for: differences to the baseline and to the control in every division of the test split, and
what each class's recall, precision and F1 are. Records of other test faces are refused.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from classifier.metrics import precision_recall_f1
from experiments.checks import validation_rows
from experiments.choice import read_choice, with_choice
from experiments.design import question_of
from experiments.held_out import HeldOut
from experiments.identity import rows_sha256
from experiments.records import record_path, unpack
from experiments.report.markdown_text import table
from experiments.report.parts import Contrast, View
from experiments.report.wording import METRIC_NAMES, capital, change, metric_name, p_value, percent, view_name
from experiments.results import summarise
from experiments.settings import ExperimentConfig
from experiments.views import build_views, preference
from fer_data import manifest as manifests
from fer_data.configuration import resolve
from fer_data.errors import FerError
from fer_data.files import read_json
from fer_data.project import project_root

Numbers = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", help="YAML file or preset, as for fer experiment")
    parser.add_argument("--records", type=Path, required=True, help="folder of the records")
    parser.add_argument("--arms", nargs="+", metavar="ARM", help="default: the control and the primary arm")
    given = parser.parse_args()
    config = resolve(ExperimentConfig, given.experiment)
    config = with_choice(config, read_choice(given.records, config) if config.choose else {})
    numbers, labels = count_again(config, project_root(Path.cwd()), given.records)
    titles = {arm.name: arm.title or arm.name for arm in config.arms}
    views = [View.model_validate(one) for one in numbers["views"]]
    views.sort(key=lambda view: preference(view.split, view.labels), reverse=True)
    arms = given.arms or [name for name in (config.control, config.primary) if name]
    print(f"# {config.title or config.name}: some arms in every view\n\nPrinted by benchmarks/record_differences.py.\n")
    against_control = numbers["control"]["contrasts"] if numbers["control"] else []
    for arm in arms:
        print(f"## {titles[arm]}\n")
        print(f"Against “{titles[config.baseline]}”, in points:\n\n{differences(numbers['contrasts'], arm, views)}\n")
        if config.control and any(one["arm"] == arm for one in against_control):
            told = differences(against_control, arm, views)
            print(f"Against the control, “{titles[config.control]}”, in points:\n\n{told}\n")
    print("## Recall, precision and F1 of each class\n\nIn per cent, of all answers over the seeds.\n")
    for view in views:
        scores = class_scores(numbers, view, [config.baseline, *arms], titles, labels)
        print(f"{capital(view_name(view))}:\n\n{scores}\n")


def count_again(config: ExperimentConfig, root: Path, records: Path) -> tuple[Numbers, Sequence[str]]:
    """What `experiments.results.summarise` makes of the records of a finished experiment, and the labels.

    Raises:
        FerError: a record is missing, holds no answers, or is of other test faces.
    """
    yardstick = manifests.read(root / config.evaluate_on)
    held_out = HeldOut(yardstick, [root / path for path in config.links])
    test = (yardstick.frame["split"] == "test").to_numpy(dtype=bool)
    judged_sha256 = rows_sha256(yardstick, validation_rows(held_out) | test)
    probabilities = {}
    for arm in config.arms:
        for seed in config.seeds_of(arm):
            path = record_path(records, arm.name, seed)
            record = read_json(path) if path.is_file() else {}
            if "probabilities" not in record:
                raise FerError(f"{path}: expected the record of a judged run, found none; finish the experiment")
            if record["identity"]["judged_rows_sha256"] != judged_sha256:
                raise FerError(f"{path}: expected answers to the test faces of {yardstick.path}, found others")
            probabilities[arm.name, seed] = unpack(record["probabilities"])
    views = build_views(yardstick, held_out.related("test", ("train", "val")))
    question = question_of(config, views)
    return summarise(question, probabilities, views, yardstick.labels, held_out.groups[test]), yardstick.labels


def differences(contrasts: Iterable[Numbers], arm: str, views: Sequence[View]) -> str:
    """Metrics and recalls × views; p after Holm's correction for accuracy, balanced accuracy and macro-F1."""
    own = [Contrast.model_validate(one) for one in contrasts if one["arm"] == arm]
    rows = []
    for metric in dict.fromkeys(one.metric for one in own):
        found = {one.view: one for one in own if one.metric == metric}
        cells = [f"{change(found[view.key])}{_p(found[view.key])}" for view in views]
        rows.append([metric_name(metric), *cells])
    return table(["", *map(view_name, views)], rows)


def class_scores(
    numbers: Numbers, view: View, arms: Sequence[str], titles: dict[str, str], labels: Sequence[str]
) -> str:
    """Recall / precision / F1 of each class in one view, an arm a column."""
    columns = []
    for arm in arms:
        precision, recall, f1 = precision_recall_f1(np.asarray(numbers["scores"][view.key][arm]["confusion"]))
        columns.append([" / ".join(map(percent, told)) for told in zip(recall, precision, f1, strict=True)])
    rows = [
        [label, f"{view.per_class[label]:,}", *(column[index] for column in columns)]
        for index, label in enumerate(labels)
    ]
    return table(["", "faces", *(titles[arm] for arm in arms)], rows)


def _p(contrast: Contrast) -> str:
    """What is said of chance beside a difference; recalls are looked at class by class."""
    if contrast.metric not in METRIC_NAMES:
        return ""
    if contrast.family == "primary":
        return f" (p {p_value(contrast.p_value)})"
    return f" (Holm {p_value(contrast.p_holm)})"


if __name__ == "__main__":
    main()
