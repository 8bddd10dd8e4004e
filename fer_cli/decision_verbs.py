"""Verbs of the decisions: apply them, back them up, take them elsewhere, and see how far reviewers agree."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from fer_cli.options import DecisionsOption, JsonOption, ManifestArgument, ReplaceOption
from fer_cli.terminal import app, read, say, short

log_verbs = typer.Typer(
    help="The log of decisions: back it up, export it, copy it, see who agrees with whom.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(log_verbs, name="decisions")


@app.command(no_args_is_help=True)
def apply(
    manifest: ManifestArgument,
    out: Annotated[Path, typer.Option(help="the manifest to write")],
    decisions: DecisionsOption = None,
    match: Annotated[str, typer.Option(help="id, or pixels: the same picture under another id")] = "id",
    consensus: Annotated[
        str, typer.Option(help="how reviewers who differ are settled: majority, seniority or crowdlab")
    ] = "majority",
    seniority: Annotated[
        str | None, typer.Option(metavar="NAMES", help="of --consensus seniority: anna,bo, the most senior first")
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="careful, balanced or thorough: what the audit's rules say, without a reviewer")
    ] = None,
    audit_table: Annotated[
        Path | None,
        typer.Option("--audit", help="of --policy and --consensus crowdlab; default audit/<name>.parquet"),
    ] = None,
    replace: ReplaceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Fold the decisions so far into a new manifest; or, with --policy, what an audit says without a reviewer."""
    from fer_data import decisions as room
    from fer_data.decision_log import DecisionLog, default_log

    opened = read(manifest)
    table = audit_table or opened.root / f"audit/{opened.name}.parquet"
    if policy is not None:
        return _apply_policy(opened, table, policy, out, replace=replace, as_json=as_json)
    with closing(DecisionLog(decisions or default_log(opened), must_exist=True)) as decision_log:
        clean = room.apply(
            opened,
            decision_log,
            out,
            match=match,
            consensus=consensus,
            seniority=[name.strip() for name in seniority.split(",")] if seniority else (),
            audit=table,
            replace=replace,
        )
    facts = clean.metadata["decisions"]
    kappa = facts["agreement"].get("kappa")
    agreed = f", agreement κ = {kappa:.2f}" if kappa is not None else ""
    counts = " · ".join(f"{facts[outcome]:,} {outcome}" for outcome in ("relabelled", "dropped", "unsure", "kept"))
    lines = [f"{counts} · by {', '.join(facts['reviewers']) or 'nobody'}{agreed}"]
    if facts["without_opinion"]:
        lines.append(f"{facts['without_opinion']:,} faces are not in {short(table)}: settled by majority")
    return say(as_json, facts, lines, [clean.path], [f"fer balance {short(out)}"])


def _apply_policy(manifest: Any, audit_table: Path, policy: str, out: Path, *, replace: bool, as_json: bool) -> None:
    from fer_data.auditing.policy_application import apply_policy

    changed = apply_policy(manifest, audit_table, policy, out, replace=replace)
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


@log_verbs.command(no_args_is_help=True)
def backup(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="the copy: an SQLite file")],
    decisions: DecisionsOption = None,
    replace: ReplaceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Copy the whole log into one file, while reviewers go on. Bring it back with: fer decisions copy."""
    with closing(_open(decisions)) as decision_log:
        count = decision_log.backup(out, replace=replace)
    say(as_json, {"events": count}, [f"{count:,} events"], [out])


@log_verbs.command(no_args_is_help=True)
def export(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="ends in .csv or .parquet")],
    decisions: DecisionsOption = None,
    replace: ReplaceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write every event as a row of a csv or Parquet file."""
    from fer_data.decision_log import export as write

    with closing(_open(decisions)) as decision_log:
        events = decision_log.events()
    write(events, out, replace=replace)
    say(as_json, {"events": len(events)}, [f"{len(events):,} events"], [out])


@log_verbs.command(no_args_is_help=True)
def copy(
    to: Annotated[str, typer.Argument(metavar="LOG", help="the log that is added to: a file or a database URL")],
    decisions: DecisionsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add the events of one log to another: to bring a backup back, to join two logs, to move to PostgreSQL.

    What the other log has already is not doubled.
    """
    from fer_data.decision_log import DecisionLog

    with closing(_open(decisions)) as source, closing(DecisionLog(to)) as target:
        events = source.events()
        new = target.append(events)
    say(as_json, {"events": len(events), "new": new}, [f"{len(events):,} events, {new:,} new"], [target.name])


@log_verbs.command()
def reviewers(decisions: DecisionsOption = None, as_json: JsonOption = False) -> None:
    """Who decided how much and how fast, and how far reviewers agree."""
    from dataclasses import asdict

    from fer_data.agreement import agreement, disagreements, paces, pairs, verdicts
    from fer_data.decision_log import standing

    with closing(_open(decisions)) as decision_log:
        events = decision_log.events()
    said = verdicts(standing(events))
    ratings = list(said.values())
    facts = {
        "reviewers": [asdict(pace) for pace in paces(events)],
        "pairs": [asdict(pair) for pair in pairs(ratings)],
        "agreement": agreement(ratings),
        "disagreements": len(disagreements(said)),
    }
    say(as_json, facts, list(_reviewer_lines(facts)))


def _reviewer_lines(facts: dict[str, Any]) -> Iterator[str]:
    for pace in facts["reviewers"]:
        speed = "" if pace["per_minute"] is None else f", {pace['per_minute']:.0f} a minute"
        yield f"{pace['reviewer']}: {pace['decisions']:,} decisions, {pace['undone']:,} taken back{speed}"
    for pair in facts["pairs"]:
        same = f"the same on {100 * pair['observed']:.0f} % of {pair['samples']:,} faces"
        yield f"{' and '.join(pair['reviewers'])}: {same}, Cohen's κ {_figure(pair['kappa'])}"
    together = facts["agreement"]
    if together["reviewers"] > 2:
        yield f"all {together['reviewers']} on {together['samples']:,} faces: Fleiss' κ {_figure(together['kappa'])}"
    if together["samples"]:
        yield f"Krippendorff's α {_figure(together['alpha'])} · {facts['disagreements']:,} faces with different words"


def _figure(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"


def _open(place: str | None) -> Any:
    """The log that was named, else that of the project around the current folder."""
    from fer_data.decision_log import LOG_NAME, DecisionLog
    from fer_data.project import project_root

    return DecisionLog(place or project_root(Path.cwd()) / LOG_NAME, must_exist=True)
