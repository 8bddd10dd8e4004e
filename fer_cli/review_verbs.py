"""Verbs of the review: decide on suspected labels in the browser, or let the known truth decide."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from fer_cli.options import ConfigOption, DecisionsOption, JsonOption, ManifestArgument, SetOption
from fer_cli.terminal import app, read, say, short


@app.command(no_args_is_help=True)
def curate(
    manifest: ManifestArgument,
    audit_table: Annotated[
        Path | None, typer.Option("--audit", help="audit table: its worst labels come first")
    ] = None,
    decisions: DecisionsOption = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="port to listen on; default the first free one from 8501")
    ] = None,
    host: Annotated[
        str, typer.Option(help="address to listen on; another than this machine's needs --oidc")
    ] = "127.0.0.1",
    oidc: Annotated[
        Path | None, typer.Option(metavar="FILE", help="sign-in for a team: its OpenID provider and who belongs to it")
    ] = None,
    insecure_public: Annotated[
        bool, typer.Option("--insecure-public", help="let everybody who reaches --host see the faces and decide")
    ] = False,
    reviewer: Annotated[str | None, typer.Option(help="who decides; asked in the browser if left out")] = None,
    blind: Annotated[bool, typer.Option("--blind", help="hide the given label and the model's opinion")] = False,
    config: ConfigOption = None,
    settings: SetOption = None,
) -> None:
    """Review faces in the browser; each decision is on disk before the page says so.

    Settings: queue, mode (single or page), page_faces, blind, and keys (`--set keys.keep=b`).
    """
    from curation_app.process import begin, stop

    server = begin()  # it imports its modules while the settings are read here
    try:
        from curation_app.launch import launch
        from curation_app.settings import Preferences
        from fer_data.configuration import resolve

        preferences = resolve(Preferences, config, settings or (), blind=blind or None)
        status = launch(
            manifest,
            audit_table,
            decisions,
            port,
            host=host,
            oidc=oidc,
            insecure_public=insecure_public,
            reviewer=reviewer or "",
            server=server,
            **preferences.model_dump(),
        )
    finally:
        stop(server)
    raise typer.Exit(status)


@app.command("simulate-review", no_args_is_help=True)
def simulate_review_(
    manifest: ManifestArgument,
    audit_table: Annotated[Path, typer.Option("--audit", help="audit table: the reviewer looks at its top only")],
    budget: Annotated[int, typer.Option(help="how many faces the reviewer looks at")] = 1000,
    rule: Annotated[str | None, typer.Option(help="ferplus_majority or planted_truth; default what there is")] = None,
    decisions: DecisionsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let the known truth (FER+ majority, planted truth) stand in for a reviewer; the log says so."""
    from fer_data.decision_log import DecisionLog, default_log
    from fer_data.simulated_review import default_rule, simulate_review

    opened = read(manifest)
    with closing(DecisionLog(decisions or default_log(opened))) as decision_log:
        counts = simulate_review(opened, audit_table, decision_log, budget, rule=rule or default_rule(opened))
    line = (
        f"looked at {counts['looked_at']:,} faces: {counts['relabel']:,} relabelled, {counts['drop']:,} dropped, "
        f"{counts['keep']:,} kept"
    )
    say(as_json, counts, [line], [decision_log.name], [f"fer apply {short(manifest)} --out manifests/clean"])
