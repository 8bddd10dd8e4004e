"""Before and after: the same classifier, the same budget, the same seeds, on each arm's training faces.

Arms differ in what they train on and in nothing that judges them: validation faces, test faces and all their labels
come from one manifest, `evaluate_on`. One record a run is kept, so that an interrupted experiment goes on where it was
and a finished run is never trained twice. What is chosen is chosen on validation faces, and written down, before any
record has an answer to a test face.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from experiments import choice as choices
from experiments.arms import ChooseConfig
from experiments.checks import require_arms
from experiments.design import Design, prepare
from experiments.folds import fold_configs
from experiments.judging import reliability_of, slices_of, summarise_fairness, votes_of
from experiments.provenance import describe
from experiments.records import unpack
from experiments.results import summarise
from experiments.runs import Part, metrics_in, with_metrics
from experiments.schedule import Record, Run, plain_twin, runs_of, work_off
from experiments.settings import ExperimentConfig
from experiments.sheets import Sheet, dropped, generated, relabelled
from experiments.under_conditions import Conditions
from experiments.views import View
from fer_data.errors import FerError
from fer_data.files import write_json
from fer_data.progress import SILENT, Reporter

Phase = Literal["all", "choose"]


def run_experiment(
    config: ExperimentConfig,
    project_root: Path,
    out: Path,
    reporter: Reporter = SILENT,
    *,
    phase: Phase = "all",
) -> Path:
    """Make every arm's training faces, train every arm with every seed, judge all alike, and write what came out.

    Seeds go round the arms: after the first round every arm has been seen once. Run again after an interruption it
    goes on in the middle of the run that was interrupted; two processes may work on one experiment at once.

    Args:
        config: the experiment.
        project_root: what the paths in `config` are relative to.
        out: folder of the experiment: `runs/` (checkpoints), `records/` unless the configuration names another folder,
            `results.json`.
        phase: "choose" ends when the choice is written down; no test face has been judged then.

    Returns:
        `<out>/results.json`, what `experiments.report.write_report` reads; of phase "choose", the choice.

    Raises:
        FerError: what `experiments.design.prepare` refuses, a kept record that this configuration did not make, or
            nothing to choose.
    """
    require_arms(config)
    if phase == "choose" and config.choose is None:
        raise FerError(
            "phase choose: expected `choose` in the configuration, found none; name candidates, or run all of it"
        )
    records = records_folder(config, project_root, out)
    choice: dict[str, Any] = {}
    if config.choose is not None:
        choice = _choose(config, project_root, out, reporter)
        if phase == "choose":
            return choices.choice_path(records)
    chosen = choices.with_choice(config, choice)
    parts = open_parts(chosen, project_root, out, reporter)
    described = describe(
        chosen, [part.design for part in parts]
    )  # now: a manifest may be replaced while the arms train
    conditions = Conditions(config, parts, out / "conditions", reporter)
    records_of = work_off(parts, runs_of(parts), reporter, judged=True, besides=conditions)
    found = {run: with_metrics(parts[run[0]].design, record) for run, record in records_of.items()}
    numbers = _from_records(parts, found)
    results = {**described, **numbers, **_besides(parts, found, conditions), "choice": choice or None}
    write_json(out / "results.json", results)
    return out / "results.json"


def records_folder(config: ExperimentConfig, root: Path, out: Path) -> Path:
    """Where the records of an experiment lie."""
    return out / "records" if config.records is None else root / config.records


def open_parts(
    config: ExperimentConfig, root: Path, out: Path, reporter: Reporter = SILENT, *, draws: bool = True
) -> list[Part]:
    """The experiment, or each of its folds, after every check; nothing is trained.

    Args:
        config: no arm leaves its mixing open.
        draws: draw generated faces that are missing, which takes hours; else these arms are left out.

    Raises:
        FerError: what `experiments.design.prepare` and `experiments.folds.fold_configs` refuse.
    """
    records = records_folder(config, root, out)
    folds = [("", config)] if config.folds is None else fold_configs(config, root)
    if draws and config.sources:  # whatever can be refused is refused before faces are drawn
        for name, fold in folds:
            prepare(fold, root, reporter, draws=False, name=f"{config.name}/{name}" if name else None)
    parts = []
    for name, fold in folds:
        design = prepare(fold, root, reporter, draws=draws, name=f"{config.name}/{name}" if name else None)
        parts.append(Part(design, out / name, records / name))
    return parts


def finished_parts(config: ExperimentConfig, root: Path, out: Path) -> list[Part]:
    """A finished experiment, or each of its folds, with what it chose filled in."""
    choice = choices.read_choice(records_folder(config, root, out), config) if config.choose else {}
    return open_parts(choices.with_choice(config, choice), root, out)


def collect_sheets(parts: Sequence[Part]) -> list[Sheet]:
    """Faces for the report: what the primary arm relabelled and dropped, and what was generated for each arm.

    At most `config.sheets` faces each, of the first fold; a sheet without any is left out.
    """
    design = parts[0].design
    count = design.config.sheets
    primary = design.arms[design.question.primary]
    before = design.yardstick
    found = [relabelled(before, primary, count), dropped(before, primary, count)]
    seen = set()
    for arm in design.config.arms:
        manifest = design.arms[arm.name]
        if arm.role == "main" and manifest.path not in seen:
            seen.add(manifest.path)
            found.append(generated(manifest, count, f"Generated, in “{arm.title or arm.name}”"))
    return [sheet for sheet in found if len(sheet.images)]


def _choose(config: ExperimentConfig, root: Path, out: Path, reporter: Reporter) -> dict[str, Any]:
    """Make the choice, or read the one that was made."""
    choose, records = config.choose or ChooseConfig(), records_folder(config, root, out)
    choice = choices.read_choice(records, config)
    if choice.get("complete"):
        return choice
    choices.refuse_seen_test(records)
    if choose.mixing and "mixing" not in choice:
        parts = open_parts(choices.while_choosing_mixing(config), root, out, reporter)
        names = {arm.name for _, arm in choices.candidate_arms(config.arm(choose.mixing_in or ""), choose)}
        found = _validated(parts, names, reporter)
        choices.write_mixing(records, config, parts[0].design, found)
        choice = choices.read_choice(records, config)
    provisional = choices.with_choice(config, choice)
    parts = open_parts(provisional, root, out, reporter)
    found = _validated(parts, {*choose.control, *choose.primary}, reporter)
    choices.write_arms(records, config, parts[0].design, found)
    return choices.read_choice(records, config)


def _validated(parts: Sequence[Part], names: set[str], reporter: Reporter) -> dict[tuple[str, int], Record]:
    """Runs of some arms, trained and scored on validation faces; no test face is judged.

    An arm that lifts rare classes is made of its plain twin: that one is trained with them, to be chosen or not.
    """
    every = runs_of(parts)
    asked = [run for run in every if run[1] in names]
    twins = {plain_twin(parts, run, every) for run in asked}
    runs = [run for run in every if run in asked or run in twins]
    found = work_off(parts, runs, reporter, judged=False)
    return {(arm, seed): record for (_, arm, seed), record in found.items()}


def _from_records(parts: Sequence[Part], found: Mapping[Run, Record]) -> dict[str, Any]:
    """Scores and contrasts; of folds, over the faces of all of them."""
    designs = [part.design for part in parts]
    question, labels = designs[0].question, designs[0].yardstick.labels
    probabilities = {
        (arm, seed): np.concatenate([unpack(found[number, arm, seed]["probabilities"]) for number in range(len(parts))])
        for arm, seed in designs[0].runs
    }
    groups = np.concatenate([design.test_groups for design in designs])
    views = pooled_views(designs)
    numbers = summarise(question, probabilities, views, labels, groups)
    kept = ("arm", "seed", "run_sha256", "seconds", "versions", "machine", "history", "validation", "metrics")
    kept += ("same_as", "lifted_from")
    runs = [
        {**{key: record[key] for key in kept if key in record}, **({"fold": run[0]} if len(parts) > 1 else {})}
        for run, record in found.items()
    ]
    told = {**numbers, "runs": runs}
    if len(parts) > 1:
        told["over_folds"] = [
            {"arm": arm, "seed": seed, "metrics": metrics_in(views, answered, labels)}
            for (arm, seed), answered in probabilities.items()
        ]
    return told


def pooled_views(designs: Sequence[Design]) -> list[View]:
    """The views of the test faces of all folds, one fold after the other."""
    pooled = []
    for views in zip(*(design.views for design in designs), strict=True):
        truth = np.concatenate([view.truth for view in views])
        pooled.append(replace(views[0], truth=truth, left_out=sum(view.left_out for view in views)))
    return pooled


def _besides(parts: Sequence[Part], found: Mapping[Run, Record], conditions: Conditions) -> dict[str, Any]:
    """What the report shows besides scores and contrasts."""
    designs = [part.design for part in parts]
    views, question = pooled_views(designs), designs[0].question
    return {
        "reliability": reliability_of(designs, views, found),
        "votes": votes_of(designs, views, found),
        "slices": slices_of(designs, views, found),
        "fairness": summarise_fairness(designs, views, found),
        **conditions.summarise(question, views, found, np.concatenate([design.test_groups for design in designs])),
    }
