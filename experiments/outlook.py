"""What an experiment would do and how long it would take, told before anything is trained."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from classifier.data import load_faces
from experiments import choice as choices
from experiments.before_after import open_parts, records_folder
from experiments.provenance import training_faces
from experiments.runs import Part
from experiments.schedule import Record, Run, duration, plain_twin, read_records, runs_of
from experiments.settings import ExperimentConfig
from experiments.timed_training import measure_pace
from fer_data.progress import SILENT, Reporter

_TIMED_SECONDS = 5.0


def look_ahead(config: ExperimentConfig, root: Path, out: Path, reporter: Reporter = SILENT) -> dict[str, Any]:
    """Make and check every manifest, count the runs, time a few training steps; no arm is trained.

    Returns:
        JSON-able: arms (name, role, seeds, train_rows, per_class, origins; undrawn: null, or the labels that the
        generator of missing faces learns from), leaks, runs, lifted (those that are another run's
        classifier, lifted), finished, seconds_per_run and seconds (of what is left to train, one run after the other),
        uncounted (what takes time besides, in words), folds (null: none) and choice (null: nothing is chosen).

    Raises:
        FerError: what the experiment is refused for.
    """
    choice = {}
    if config.choose is not None:
        choice = choices.read_choice(records_folder(config, root, out), config)
    chosen = choice.get("complete") or "mixing" in choice
    ahead = choices.with_choice(config, choice) if chosen else choices.while_choosing_mixing(config)
    parts = open_parts(ahead, root, out, reporter, draws=False)
    runs = [(number, arm.name, seed) for number, part in enumerate(parts) for arm in part.design.config.arms
            for seed in part.design.config.seeds_of(arm)]  # fmt: skip
    known = runs_of(parts)
    records = read_records(parts, known)
    lifted = [run for run in known if _is_lifted(parts, run, plain_twin(parts, run, known), records)]
    to_train = len(runs) - len({*records, *lifted})
    seconds = _seconds_per_run(parts[0])
    return {
        "arms": [_outlook(parts[0], arm.name) for arm in parts[0].design.config.arms],
        "folds": len(parts) if config.folds is not None else None,
        "choice": "made" if choice.get("complete") else "still to be made" if config.choose else None,
        "leaks": dict(parts[0].design.leaks),
        "runs": len(runs),
        "lifted": len(lifted),
        "finished": len(records),
        "seconds_per_run": round(seconds, 1),
        "seconds": round(seconds * to_train, 1),
        "uncounted": _uncounted(ahead, parts),
    }


def describe_outlook(told: dict[str, Any]) -> list[str]:
    """The outlook as lines for the terminal."""
    labels: Sequence[str] = next((list(arm["per_class"]) for arm in told["arms"] if arm["per_class"]), [])
    width = max(len("arm"), *(len(arm["name"]) for arm in told["arms"]))
    lines = [f"{'arm':{width}}  seeds   faces  " + "  ".join(f"{label:>9}" for label in labels)]
    for arm in told["arms"]:
        counts = "  ".join(f"{arm['per_class'][label]:>9,}" for label in labels) if arm["per_class"] else ""
        if arm["undrawn"]:
            counts = f"faces are still to be drawn, by a generator of {arm['undrawn']}"
        lines.append(f"{arm['name']:{width}}  {len(arm['seeds']):>5}  {arm['train_rows'] or 0:>6,}  {counts}")
    leaks = told["leaks"]
    lines.append(
        f"{leaks['test_faces_related_to_train_or_val']:,} test faces have twins in train or val "
        f"({leaks['test_faces_identical_to_train_or_val']:,} the very picture); policy {leaks['policy']}"
    )
    if told["choice"]:
        lines.append(f"the choice on validation faces is {told['choice']}")
    lifted = f", {told['lifted']:,} of them another's classifier, lifted" if told["lifted"] else ""
    lines.append(
        f"{told['runs']:,} runs{lifted}, {told['finished']:,} finished; about "
        f"{duration(told['seconds_per_run'])} each on this machine as busy as it is, "
        f"{duration(told['seconds'])} in all, one after the other"
    )
    if told["uncounted"]:
        lines.append(f"not in this time: {'; '.join(told['uncounted'])}")
    return lines


def _uncounted(config: ExperimentConfig, parts: Sequence[Part]) -> list[str]:
    """What takes time besides training the arms, in words."""
    found = []
    undrawn = [part.design.config.arm(name) for part in parts for name in part.design.undrawn]
    asked = {add.source for arm in undrawn if arm.make is not None for add in arm.make.add if add.source is not None}
    if asked:
        names = [f"“{name}”{_minutes(config.sources[name].generator_config().minutes)}" for name in sorted(asked)]
        where = " in every fold" if len(parts) > 1 else ""
        found.append(f"judges, the generators of {', '.join(names)} for each kind of labels{where}, and drawing")
    covered = sum(len(config.seeds_of(arm)) for arm in config.arms if config.judges_conditions(arm)) * len(parts)
    covered -= sum(len(list(part.records.glob("*.conditions.json"))) for part in parts)
    if covered > 0:
        found.append(f"judging covered and dark test faces of {covered:,} runs")
    return found


def _minutes(minutes: float | None) -> str:
    return "" if minutes is None else f" ({minutes:g} minutes)"


def _is_lifted(parts: Sequence[Part], run: Run, twin: Run | None, records: Mapping[Run, Record]) -> bool:
    """Whether a run is made of its plain twin; not where that one was trained and its classifier lies elsewhere."""
    if twin is None:
        return False
    if run in records:
        return "lifted_from" in records[run]
    return twin not in records or parts[twin[0]].has_checkpoint(*twin[1:])


def _outlook(part: Part, name: str) -> dict[str, Any]:
    design = part.design
    arm = design.config.arm(name)
    told = {"name": name, "role": arm.role, "seeds": design.config.seeds_of(arm), "undrawn": design.undrawn.get(name)}
    if name in design.undrawn:
        return {**told, "train_rows": None, "per_class": None, "origins": None}
    faces = training_faces(design, name)
    return {**told, "train_rows": faces["rows"], "per_class": faces["per_class"], "origins": faces["origins"]}


def _seconds_per_run(part: Part) -> float:
    """Of a run of the baseline, from a few of its steps and one validation."""
    design = part.design
    baseline = design.config.baseline
    config = design.train_configs[baseline]
    train = load_faces(design.arms[baseline], design.train_rows[baseline], config.size_px, config.channels)
    val = load_faces(design.yardstick, design.val_rows, config.size_px, config.channels)
    pace = measure_pace(train, val, design.yardstick.labels, config, _TIMED_SECONDS)
    steps = config.steps or 0
    return pace.fixed_seconds + steps * pace.step_seconds + config.evaluations * pace.evaluation_seconds
