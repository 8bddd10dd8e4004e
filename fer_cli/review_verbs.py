"""Verbs of the review: decide on suspected labels, apply the decisions."""

from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from fer_cli.options import (
    DecisionsOption,
    JsonOption,
    ManifestArgument,
    ReplaceOption,
)
from fer_cli.terminal import app, read, say, short


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
    policy: Annotated[
        str | None, typer.Option(help="careful, balanced or thorough: what the audit's rules say, without a reviewer")
    ] = None,
    audit_table: Annotated[
        Path | None, typer.Option("--audit", help="of --policy; default audit/<name>.parquet")
    ] = None,
    replace: ReplaceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Fold the decisions so far into a new manifest; or, with --policy, what an audit says without a reviewer."""
    from fer_data import decisions as room
    from fer_data.decision_log import DecisionLog, default_log

    opened = read(manifest)
    if policy is not None:
        return _apply_policy(opened, audit_table, policy, out, replace=replace, as_json=as_json)
    with closing(DecisionLog(decisions or default_log(opened), must_exist=True)) as decision_log:
        clean = room.apply(opened, decision_log, out, match=match, consensus=consensus, replace=replace)
    facts = clean.metadata["decisions"]
    kappa = facts["agreement"].get("kappa")
    agreed = f", agreement κ = {kappa:.2f}" if kappa is not None else ""
    counts = " · ".join(f"{facts[outcome]:,} {outcome}" for outcome in ("relabelled", "dropped", "unsure", "kept"))
    line = f"{counts} · by {', '.join(facts['reviewers']) or 'nobody'}{agreed}"
    return say(as_json, facts, [line], [clean.path], [f"fer balance {short(out)}"])


def _apply_policy(
    manifest: Any, audit_table: Path | None, policy: str, out: Path, *, replace: bool, as_json: bool
) -> None:
    from fer_data.auditing.policy_application import apply_policy

    table = audit_table or manifest.root / f"audit/{manifest.name}.parquet"
    changed = apply_policy(manifest, table, policy, out, replace=replace)
    facts = changed.metadata["policy"]
    counts = " · ".join(
        f"{facts['counts'][action]:,} {words}"
        for action, words in (("relabel", "relabelled"), ("drop", "dropped"), ("soften", "softened"))
    )
    right = (facts["expected"] or {}).get("new_labels")
    expected = f" · {100 * right['value']:.0f} % of the new labels are expected to be right" if right else ""
    lines = [f"{counts}{expected}"]
    if facts["counts"]["person"]:
        lines.append(f"{facts['counts']['person']:,} of {', '.join(facts['guarded'])} left to a person")
    return say(as_json, facts, lines, [changed.path], [f"fer balance {short(out)}"])
