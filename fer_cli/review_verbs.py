"""Verbs of the review: find suspected labels, decide on them, apply the decisions."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from fer_cli.options import (
    ConfigOption,
    DecisionsOption,
    DryRunOption,
    JsonOption,
    ManifestArgument,
    ReplaceOption,
    SetOption,
)
from fer_cli.terminal import app, keep_configuration, read, reporter, say, short, show_plan


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

    opened = read(manifest)
    configuration = resolve(PredictConfig, config, settings or ())
    out = out or opened.root / f"predictions/{opened.name}.parquet"
    if dry_run:
        return show_plan(as_json, configuration.model_dump(mode="json"), [out])
    path = predict_out_of_fold(
        opened,
        configuration,
        out,
        run or opened.root / f"runs/predict-{opened.name}",
        reporter(as_json),
        replace=replace,
    )
    keep_configuration(configuration, path)
    name = short(manifest)
    return say(as_json, {"rows": len(opened)}, [], [path], [f"fer audit {name} --predictions {short(path)}"])


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

    opened = read(manifest)
    configuration = resolve(label_audit.AuditConfig, config, settings or ())
    out = out or opened.root / f"audit/{opened.name}.parquet"
    if dry_run:
        return show_plan(as_json, configuration.model_dump(mode="json"), [out])
    default = opened.root / f"predictions/{opened.name}.parquet"
    if predictions is None and not default.is_file():
        predict(manifest, as_json=as_json)
    path = label_audit.audit(opened, predictions or default, configuration, out, replace=replace)
    keep_configuration(configuration, path)
    page = audit_page.write_audit_page(opened, path, path.with_suffix(".html"))
    summary = label_audit.read_summary(path)
    following = [f"fer curate {short(manifest)} --audit {short(path)}"]
    return say(as_json, summary.as_dict(), summary.lines(), [path, page], following)


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
    raise typer.Exit(launch(read(manifest).path, audit_table, decisions, port, **given))


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

    opened = read(manifest)
    log_path = decisions or default_log(opened)
    with closing(DecisionLog(log_path)) as decision_log:
        counts = simulate_review(opened, audit_table, decision_log, budget, rule=rule or default_rule(opened))
    line = (
        f"looked at {counts['looked_at']:,} faces: {counts['relabel']:,} relabelled, {counts['drop']:,} dropped, "
        f"{counts['keep']:,} kept"
    )
    say(as_json, counts, [line], [log_path], [f"fer apply {short(manifest)} --out manifests/clean"])


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

    opened = read(manifest)
    with closing(DecisionLog(decisions or default_log(opened), must_exist=True)) as decision_log:
        clean = room.apply(opened, decision_log, out, match=match, consensus=consensus, replace=replace)
    facts = clean.metadata["decisions"]
    kappa = facts["agreement"].get("kappa")
    agreed = f", agreement κ = {kappa:.2f}" if kappa is not None else ""
    counts = " · ".join(f"{facts[outcome]:,} {outcome}" for outcome in ("relabelled", "dropped", "unsure", "kept"))
    line = f"{counts} · by {', '.join(facts['reviewers']) or 'nobody'}{agreed}"
    say(as_json, facts, [line], [clean.path], [f"fer balance {short(out)}"])
