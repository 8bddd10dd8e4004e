"""The `fer` command: parses, resolves a configuration, calls one function. Rooms are imported by the verb that
needs them, so that `fer --help` answers at once and works without torch."""

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from fer_data.errors import FerError

app = typer.Typer(
    help="A facial-expression dataset goes in, a better one comes out, and the difference is measured.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"max_content_width": 120, "help_option_names": ["-h", "--help"]},
)

ManifestArgument = Annotated[
    Path, typer.Argument(metavar="MANIFEST", help="manifests/<name>, with or without .parquet")
]
ConfigOption = Annotated[str | None, typer.Option("--config", metavar="FILE", help="YAML file or preset name")]
SetOption = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="one setting; repeatable")]
ReplaceOption = Annotated[bool, typer.Option("--replace", help="overwrite what is at --out")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="check and show what would be done, do nothing")]
DecisionsOption = Annotated[
    str | None, typer.Option(help="decision log: a file or a database URL; default decisions.sqlite of the project")
]
JsonOption = Annotated[bool, typer.Option("--json", help="print a machine-readable summary")]


def main() -> None:
    """Entry point: exit 0 done, 1 refused or failed with one sentence, 2 wrong usage."""
    try:
        app()
    except FerError as error:
        typer.echo(f"fer: {error}", err=True)
        sys.exit(1)


def _say(
    as_json: bool,
    summary: Mapping[str, Any],
    lines: Sequence[str] = (),
    outputs: Sequence[Path | str] = (),
    following: Sequence[str] = (),
) -> None:
    """What a verb did: lines for people, or one JSON object."""
    if as_json:
        typer.echo(json.dumps({**summary, "outputs": [str(path) for path in outputs]}, default=str))
        return
    for line in lines:
        typer.echo(f"  {line}")
    if outputs:
        ahead = f"       next: {' · '.join(following)}" if following else ""
        typer.echo(f"→ {' · '.join(_short(path) for path in outputs)}{ahead}")


def _show_plan(as_json: bool, configuration: Mapping[str, Any], outputs: Sequence[Path | str]) -> None:
    """The answer to --dry-run."""
    lines = [f"{key}: {json.dumps(value, default=str)}" for key, value in configuration.items()]
    _say(
        as_json,
        {"dry_run": True, "configuration": dict(configuration)},
        ["nothing was done; it would use", *lines],
        outputs,
    )


def _short(path: Path | str) -> str:
    path = Path(path)
    return str(path.relative_to(Path.cwd())) if path.is_absolute() and path.is_relative_to(Path.cwd()) else str(path)


def _reporter(as_json: bool) -> Any:
    from fer_data.progress import SILENT, Terminal

    return SILENT if as_json else Terminal()


def _read(path: Path) -> Any:
    from fer_data import manifest

    return manifest.read(path)


def _keep_configuration(configuration: Any, out: Path) -> None:
    """The resolved configuration beside an output that is not a manifest (those carry it in their footer)."""
    from fer_data.files import write_json

    write_json(out.with_suffix(".config.json"), configuration.model_dump(mode="json"))


@app.command("import", no_args_is_help=True)
def import_(
    dataset: Annotated[str, typer.Argument(help="its name, see `fer datasets`")],
    path: Annotated[Path | None, typer.Argument(help="what was downloaded: a file or a folder")] = None,
    out: Annotated[Path, typer.Option(help="the manifest to write")] = Path("manifests/dataset"),
    votes: Annotated[Path | None, typer.Option(help="fer2013new.csv: FER+ votes, joined by row position")] = None,
    count: Annotated[int | None, typer.Option(help="how many faces to draw (procedural)")] = None,
    seed: Annotated[int | None, typer.Option(help="seed of the drawing (procedural)")] = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    replace: ReplaceOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Read a dataset in the form that people download; write store, manifest, and what was set aside."""
    from fer_data.adapters.registry import find_adapter
    from fer_data.configuration import resolve
    from fer_data.importing import import_dataset
    from fer_data.manifest import describe_counts

    adapter = find_adapter(dataset)
    options = resolve(adapter.Options, config, settings or (), votes=votes, count=count, seed=seed)
    if dry_run:
        return _show_plan(as_json, options.model_dump(mode="json"), [out])
    result = import_dataset(adapter, path, out, options, replace=replace, reporter=_reporter(as_json))
    lines = describe_counts(result.manifest.metadata).splitlines()
    if result.rejections:
        first = result.rejections[0]
        lines.append(
            f"{len(result.rejections):,} rows set aside → {_short(result.rejects_path or '')}"
            f"   (first: {first.where}: expected {first.expected}, found {first.found})"
        )
    licence = adapter.LICENCE
    lines += [f"! {note}" for note in result.notes] + [f"! licence: {licence.name}; {licence.summary}"]
    summary = {
        **result.manifest.metadata["counts"],
        "rejected": len(result.rejections),
        "notes": result.notes,
    }
    name = _short(out)
    return _say(as_json, summary, lines, [result.manifest.path], [f"fer describe {name}", f"fer audit {name}"])


@app.command()
def datasets(
    name: Annotated[str | None, typer.Argument(help="one dataset, told in full")] = None,
    as_json: JsonOption = False,
) -> None:
    """The datasets that can be imported: licence, citation, published counts, known defects."""
    from fer_data.adapters.registry import ADAPTERS, find_adapter

    if name is None:
        rows = {key: adapter.TITLE for key, adapter in ADAPTERS.items()}
        return _say(as_json, rows, [f"{key:12} {title}" for key, title in rows.items()])
    adapter = find_adapter(name)
    card = {
        "title": adapter.TITLE,
        "licence": f"{adapter.LICENCE.name}; {adapter.LICENCE.summary}",
        "citation": adapter.CITATION,
        "homepage": adapter.HOMEPAGE,
        "published counts": dict(adapter.EXPECTED) if adapter.EXPECTED else None,
        "known defects": list(adapter.KNOWN_DEFECTS),
        "options": {key: field.default for key, field in adapter.Options.model_fields.items()},
    }
    lines = []
    for key, value in card.items():
        if isinstance(value, list):
            lines += [f"{key}:", *(f"  - {entry}" for entry in value)]
        elif value is not None:
            lines.append(f"{key}: {value}")
    return _say(as_json, card, lines)


@app.command(no_args_is_help=True)
def validate(
    manifest: ManifestArgument,
    full: Annotated[bool, typer.Option("--full/--quick", help="check every hash too, or structure only")] = False,
    as_json: JsonOption = False,
) -> None:
    """Every fault of a manifest, with counts and the first ids; exit 1 if there is one."""
    from fer_data.manifest import validate as find_faults

    opened = _read(manifest)
    faults = find_faults(opened, full=full)
    _say(as_json, {"rows": len(opened), "faults": faults}, faults or [f"{len(opened):,} rows, no fault found"])
    if faults:
        raise typer.Exit(1)


@app.command(no_args_is_help=True)
def describe(
    manifest: ManifestArgument,
    out: Annotated[Path | None, typer.Option(help="HTML page; default beside the manifest")] = None,
    as_json: JsonOption = False,
) -> None:
    """Counts, faces per class, imbalance, duplicates and leaks, as one HTML page."""
    from fer_data.describe import describe as write_page
    from fer_data.manifest import describe_counts

    opened = _read(manifest)
    page = write_page(opened, out or opened.path.with_suffix(".html"))
    _say(as_json, opened.metadata["counts"], describe_counts(opened.metadata).splitlines(), [page])


@app.command(no_args_is_help=True)
def log(manifest: ManifestArgument, as_json: JsonOption = False) -> None:
    """Where a manifest comes from: its ancestors, nearest first."""
    from fer_data.manifest import lineage

    entries = lineage(_read(manifest))
    lines = []
    for entry in entries:
        rows = entry.get("counts", {}).get("rows") or entry.get("rows")
        made = f"{entry.get('command', '?')}  {entry.get('created', '')}" if entry["state"] != "gone" else ""
        lines.append(f"{_short(entry['path'])}  [{entry['state']}]  {made}" + (f"  {rows:,} rows" if rows else ""))
    _say(as_json, {"lineage": entries}, lines)


@app.command(no_args_is_help=True)
def duplicates(
    manifest: ManifestArgument,
    out: Annotated[Path | None, typer.Option(help="table; default audit/<name>.duplicates.parquet")] = None,
    replace: ReplaceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Identical pictures: groups, leaks across splits, conflicting labels."""
    from fer_data.duplicates import find_duplicates, write_duplicates

    opened = _read(manifest)
    report = find_duplicates(opened)
    path = write_duplicates(
        opened, report, out or opened.root / f"audit/{opened.name}.duplicates.parquet", replace=replace
    )
    _say(as_json, report.summary(), [report.sentence()], [path])


@app.command(no_args_is_help=True)
def predict(
    manifest: ManifestArgument,
    out: Annotated[Path | None, typer.Option(help="table; default predictions/<name>.parquet")] = None,
    run: Annotated[Path | None, typer.Option(help="work folder; default runs/predict-<name>")] = None,
    config: ConfigOption = "predict",
    settings: SetOption = None,
    replace: ReplaceOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Out-of-fold probabilities for every training face. Interrupt and run again to go on."""
    from classifier.prediction import PredictConfig, predict_out_of_fold
    from fer_data.configuration import resolve

    opened = _read(manifest)
    configuration = resolve(PredictConfig, config, settings or ())
    out = out or opened.root / f"predictions/{opened.name}.parquet"
    if dry_run:
        return _show_plan(as_json, configuration.model_dump(mode="json"), [out])
    path = predict_out_of_fold(
        opened,
        configuration,
        out,
        run or opened.root / f"runs/predict-{opened.name}",
        _reporter(as_json),
        replace=replace,
    )
    _keep_configuration(configuration, path)
    name = _short(manifest)
    return _say(as_json, {"rows": len(opened)}, [], [path], [f"fer audit {name} --predictions {_short(path)}"])


@app.command(no_args_is_help=True)
def audit(
    manifest: ManifestArgument,
    predictions: Annotated[
        Path | None, typer.Option(help="default predictions/<name>.parquet, made if missing")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="table; default audit/<name>.parquet")] = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    replace: ReplaceOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """A ranked table of suspected label issues, and a page with the worst faces of each class."""
    from fer_data import audit_page, label_audit
    from fer_data.configuration import resolve

    opened = _read(manifest)
    configuration = resolve(label_audit.AuditConfig, config, settings or ())
    out = out or opened.root / f"audit/{opened.name}.parquet"
    if dry_run:
        return _show_plan(as_json, configuration.model_dump(mode="json"), [out])
    default = opened.root / f"predictions/{opened.name}.parquet"
    if predictions is None and not default.is_file():
        predict(manifest, as_json=as_json)
    path = label_audit.audit(opened, predictions or default, configuration, out, replace=replace)
    _keep_configuration(configuration, path)
    page = audit_page.write_audit_page(opened, path, path.with_suffix(".html"))
    summary = label_audit.read_summary(path)
    following = [f"fer curate {_short(manifest)} --audit {_short(path)}"]
    return _say(as_json, summary.as_dict(), summary.lines(), [path, page], following)


@app.command(no_args_is_help=True)
def curate(
    manifest: ManifestArgument,
    audit_table: Annotated[
        Path | None, typer.Option("--audit", help="audit table: its worst labels come first")
    ] = None,
    decisions: DecisionsOption = None,
    port: Annotated[int | None, typer.Option(help="port on 127.0.0.1; default the first free one from 8501")] = None,
    reviewer: Annotated[str | None, typer.Option(help="who decides; asked in the browser if left out")] = None,
    blind: Annotated[bool, typer.Option("--blind", help="hide the given label and the model's opinion")] = False,
) -> None:
    """Review faces in the browser; each decision is on disk before the page says so."""
    from curation_app.launch import launch

    settings = {"reviewer": reviewer, "blind": blind}
    given = {key: value for key, value in settings.items() if value}
    raise typer.Exit(launch(_read(manifest).path, audit_table, decisions, port, **given))


@app.command("simulate-review", no_args_is_help=True)
def simulate_review_(
    manifest: ManifestArgument,
    audit_table: Annotated[Path, typer.Option("--audit", help="audit table: the reviewer looks at its top only")],
    budget: Annotated[int, typer.Option(help="how many faces the reviewer looks at")] = 1000,
    rule: Annotated[str | None, typer.Option(help="ferplus_majority or planted_truth; default what there is")] = None,
    decisions: Annotated[
        Path | None, typer.Option(help="decision log; default decisions.sqlite of the project")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Let the known truth (FER+ majority, planted truth) stand in for a reviewer; the log says so."""
    from fer_data.decision_log import DecisionLog, default_log
    from fer_data.simulated_review import default_rule, simulate_review

    opened = _read(manifest)
    log_path = decisions or default_log(opened)
    with closing(DecisionLog(log_path)) as decision_log:
        counts = simulate_review(opened, audit_table, decision_log, budget, rule=rule or default_rule(opened))
    line = (
        f"looked at {counts['looked_at']:,} faces: {counts['relabel']:,} relabelled, {counts['drop']:,} dropped, "
        f"{counts['keep']:,} kept"
    )
    _say(as_json, counts, [line], [log_path], [f"fer apply {_short(manifest)} --out manifests/clean"])


@app.command(no_args_is_help=True)
def apply(
    manifest: ManifestArgument,
    out: Annotated[Path, typer.Option(help="the manifest to write")],
    decisions: Annotated[
        Path | None, typer.Option(help="decision log; default decisions.sqlite of the project")
    ] = None,
    match: Annotated[str, typer.Option(help="id, or pixels: the same picture under another id")] = "id",
    consensus: Annotated[str, typer.Option(help="how reviewers who differ are settled: majority")] = "majority",
    replace: ReplaceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Fold the decisions so far into a new manifest."""
    from fer_data import decisions as room
    from fer_data.decision_log import DecisionLog, default_log

    opened = _read(manifest)
    with closing(DecisionLog(decisions or default_log(opened), must_exist=True)) as decision_log:
        clean = room.apply(opened, decision_log, out, match=match, consensus=consensus, replace=replace)
    facts = clean.metadata["decisions"]
    kappa = facts["agreement"].get("kappa")
    agreed = f", agreement κ = {kappa:.2f}" if kappa is not None else ""
    counts = " · ".join(f"{facts[outcome]:,} {outcome}" for outcome in ("relabelled", "dropped", "unsure", "kept"))
    line = f"{counts} · by {', '.join(facts['reviewers']) or 'nobody'}{agreed}"
    _say(as_json, facts, [line], [clean.path], [f"fer balance {_short(out)}"])


@app.command(no_args_is_help=True)
def balance(
    manifest: ManifestArgument,
    out: Annotated[Path | None, typer.Option(help="plan; default plans/<name>.yaml")] = None,
    labels: Annotated[str | None, typer.Option(help="disgust,fear: the labels to fill; default all")] = None,
    occlusion: Annotated[
        str | None, typer.Option(help="none,mask,sunglasses: shared among the faces asked for")
    ] = None,
    light: Annotated[str | None, typer.Option(help="normal,low: shared among the faces asked for")] = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    replace: ReplaceOption = False,
    as_json: JsonOption = False,
) -> None:
    """What is missing per (label, occlusion, light): a plan for `fer generate`."""
    from fer_data import balance as room
    from fer_data.configuration import resolve

    opened = _read(manifest)
    lists = {"labels": labels, "occlusions": occlusion, "lights": light}
    given = {key: text.split(",") if text else None for key, text in lists.items()}
    plan = room.make_plan(opened, resolve(room.BalanceConfig, config, settings or (), **given))
    path = room.write_plan(plan, out or opened.root / f"plans/{opened.name}.yaml", replace=replace)
    asked = sum(cell.count for cell in plan.cells)
    cells = sum(cell.count > 0 for cell in plan.cells)
    lines = [f"{asked:,} faces in {cells} cells"]
    following = [f"fer train-generator diffusion {_short(manifest)}", f"fer generate {_short(path)} --checkpoint …"]
    _say(as_json, {"asked": asked, "cells": cells}, lines, [path], following)


@app.command(no_args_is_help=True)
def merge(
    manifests: Annotated[list[Path], typer.Argument(metavar="MANIFEST…", help="real first, then synthetic")],
    out: Annotated[Path, typer.Option(help="the manifest to write")],
    plan: Annotated[Path | None, typer.Option(help="take no more synthetic faces than it asks for")] = None,
    replace: ReplaceOption = False,
    as_json: JsonOption = False,
) -> None:
    """One manifest out of several: groups recomputed, licences combined, synthetic faces checked for leaks."""
    from fer_data import merging
    from fer_data.balance import read_plan
    from fer_data.manifest import describe_counts

    merged = merging.merge(
        [_read(path) for path in manifests], out, plan=read_plan(plan) if plan else None, replace=replace
    )
    lines = describe_counts(merged.metadata).splitlines()
    _say(as_json, merged.metadata["counts"], lines, [merged.path], [f"fer train {_short(out)}"])


@app.command("train-generator", no_args_is_help=True)
def train_generator_(
    kind: Annotated[str, typer.Argument(help="dcgan or diffusion")],
    manifest: ManifestArgument,
    out: Annotated[Path | None, typer.Option(help="run folder; default runs/<kind>-<name>")] = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train a conditional generator on the training split only. Interrupt and run again to go on."""
    from fer_data.configuration import resolve
    from generators.models import generator_kind
    from generators.training import train_generator

    opened = _read(manifest)
    configuration = resolve(generator_kind(kind).config, config or kind, settings or ())
    out = out or opened.root / f"runs/{kind}-{opened.name}"
    if dry_run:
        return _show_plan(as_json, configuration.model_dump(mode="json"), [out])
    checkpoint = train_generator(kind, opened, configuration, out, _reporter(as_json))
    outputs = [checkpoint, out / "sheet.png"]
    return _say(as_json, {"kind": kind}, [], outputs, [f"fer generate plans/… --checkpoint {_short(checkpoint)}"])


@app.command(no_args_is_help=True)
def generate(
    plan: Annotated[Path, typer.Argument(help="what `fer balance` wrote")],
    checkpoint: Annotated[Path, typer.Option(help="what `fer train-generator` wrote")],
    out: Annotated[Path, typer.Option(help="the synthetic manifest to write")] = Path("manifests/synthetic"),
    config: ConfigOption = None,
    settings: SetOption = None,
    replace: ReplaceOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Draw the faces that a plan asks for: one seed per face, full provenance."""
    from fer_data.balance import read_plan
    from fer_data.configuration import resolve
    from fer_data.manifest import describe_counts
    from generators import sampling

    asked = read_plan(plan)
    configuration = resolve(sampling.GenerateConfig, config, settings or ())
    if dry_run:
        return _show_plan(as_json, configuration.model_dump(mode="json"), [out])
    made = sampling.generate(asked, checkpoint, out, configuration, _reporter(as_json), replace=replace)
    lines = describe_counts(made.metadata).splitlines()
    following = [f"fer screen {_short(out)} --judge … --training …", f"fer curate {_short(out)}"]
    return _say(as_json, made.metadata["counts"], lines, [made.path], following)


@app.command(no_args_is_help=True)
def screen(
    manifest: ManifestArgument,
    judge: Annotated[Path, typer.Option(help="classifier checkpoint that never saw a synthetic face")],
    training: Annotated[Path, typer.Option(help="the manifest that the generator was trained on")],
    out: Annotated[Path, typer.Option(help="the screened manifest to write")],
    config: ConfigOption = None,
    settings: SetOption = None,
    replace: ReplaceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Drop synthetic faces that the judge contradicts and near-copies of training faces, and say why."""
    from classifier.prediction import load_classifier
    from fer_data.configuration import resolve
    from fer_data.tables import read_metadata
    from generators import screening

    configuration = resolve(screening.ScreenConfig, config, settings or ())
    screened, table = screening.screen(
        _read(manifest),
        _read(training),
        load_classifier(judge),
        out,
        configuration,
        _reporter(as_json),
        replace=replace,
    )
    facts = read_metadata(table)
    made, kept = (sum(cell[key] for cell in facts["cells"]) for key in ("made", "kept"))
    dropped = " · ".join(f"{reason} {count:,}" for reason, count in facts["reasons"].items()) or "nothing"
    line = f"made {made:,} · kept {kept:,} · dropped: {dropped}"
    following = [f"fer curate {_short(out)}", f"fer merge … {_short(out)} --out manifests/balanced"]
    _say(as_json, {"made": made, "kept": kept, "dropped": facts["reasons"]}, [line], [screened.path, table], following)


@app.command(no_args_is_help=True)
def train(
    manifest: ManifestArgument,
    out: Annotated[Path | None, typer.Option(help="run folder; default runs/train-<name>")] = None,
    leaks: Annotated[str, typer.Option(help="refuse, drop_from_train or score_apart")] = "score_apart",
    config: ConfigOption = "train",
    settings: SetOption = None,
    replace: ReplaceOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train a classifier; validation faces without twins choose the epoch. Run again to go on."""
    from classifier.training import TrainConfig, train_manifest
    from fer_data.configuration import resolve

    opened = _read(manifest)
    configuration = resolve(TrainConfig, config, settings or ())
    out = out or opened.root / f"runs/train-{opened.name}"
    if dry_run:
        return _show_plan(as_json, configuration.model_dump(mode="json"), [out])
    checkpoint = train_manifest(opened, configuration, out, _reporter(as_json), leaks=leaks, replace=replace)
    following = [f"fer evaluate {_short(manifest)} --checkpoint {_short(checkpoint)}"]
    return _say(as_json, {"checkpoint": checkpoint}, [], [checkpoint], following)


@app.command(no_args_is_help=True)
def evaluate(
    manifest: ManifestArgument,
    checkpoint: Annotated[Path, typer.Option(help="what `fer train` wrote")],
    as_json: JsonOption = False,
) -> None:
    """Score a classifier on the test split, with and without twins, on given and on reference labels."""
    from classifier.prediction import load_classifier
    from experiments.results import score_views

    scores = score_views(_read(manifest), load_classifier(checkpoint))
    lines = [
        f"{name}: accuracy {view['accuracy']:.3f} · balanced accuracy {view['balanced_accuracy']:.3f} · "
        f"macro-F1 {view['macro_f1']:.3f} · {view['count']:,} faces"
        for name, view in scores.items()
    ]
    _say(as_json, scores, lines)


@app.command(no_args_is_help=True)
def experiment(
    config: Annotated[str, typer.Argument(help="YAML file or preset, as configs/experiments/demo.yaml")],
    out: Annotated[Path | None, typer.Option(help="run folder; default runs/<name of the configuration>")] = None,
    settings: SetOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Retrain before and after with several seeds and write a report. Interrupt and run again to go on."""
    from experiments.before_after import collect_sheets, run_experiment
    from experiments.design import ExperimentConfig, prepare
    from experiments.report import write_report
    from experiments.wording import answer
    from fer_data.configuration import resolve
    from fer_data.files import read_json
    from fer_data.project import project_root

    configuration = resolve(ExperimentConfig, config, settings or ())
    root = project_root(Path.cwd())
    out = out or root / "runs" / Path(config).stem
    if dry_run:
        prepare(configuration, root)
        return _show_plan(as_json, configuration.model_dump(mode="json"), [out / "report.html"])
    results = read_json(run_experiment(configuration, root, out, _reporter(as_json)))
    page = write_report(results, out / "report.html", sheets=collect_sheets(configuration, root))
    sentence = answer(results)
    return _say(as_json, {"answer": sentence}, [sentence], [page])


@app.command()
def demo(
    data: Annotated[Path | None, typer.Option(help="a FER-2013 download in any form; left out: drawn faces")] = None,
    votes: Annotated[Path | None, typer.Option(help="fer2013new.csv; found by itself beside the csv")] = None,
    out: Annotated[Path, typer.Option(help="project folder to work in")] = Path("demo"),
    full: Annotated[
        bool, typer.Option("--full", help="all faces and larger budgets: hours instead of minutes")
    ] = False,
    settings: SetOption = None,
) -> None:
    """The whole job: import, audit, review (simulated), generate, retrain, compare, report."""
    from experiments.demo import run_demo

    run_demo(data=data, votes=votes, out=out, full=full, settings=settings or (), reporter=_reporter(False))


if __name__ == "__main__":
    main()
