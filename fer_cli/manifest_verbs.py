"""Verbs that make manifests out of manifests, plans for the faces that are missing, and exports."""

from pathlib import Path
from typing import Annotated

import typer

from fer_cli.options import ConfigOption, DryRunOption, JsonOption, ManifestArgument, ReplaceOption, SetOption
from fer_cli.terminal import app, read, reporter, say, short, show_plan

OutOption = Annotated[Path, typer.Option(help="the manifest to write")]
LinksOption = Annotated[
    list[Path] | None,
    typer.Option("--links", help="table of `fer duplicates`: what it links stays together"),
]


@app.command("filter", no_args_is_help=True)
def filter_(
    manifest: ManifestArgument,
    where: Annotated[str, typer.Option(help="condition, as \"label = 'fear' and light = 'low'\"")],
    out: OutOption,
    replace: ReplaceOption = False,
    as_json: JsonOption = False,
) -> None:
    """The rows that meet a condition over the manifest's columns and the facts of its pictures."""
    from fer_data.filtering import filter_manifest
    from fer_data.manifest import describe_counts

    kept = filter_manifest(read(manifest), where, out, replace=replace)
    lines = describe_counts(kept.metadata).splitlines()
    say(
        as_json,
        {**kept.metadata["counts"], **kept.metadata["filter"]},
        lines,
        [kept.path],
        [f"fer describe {short(out)}"],
    )


@app.command(no_args_is_help=True)
def split(
    manifest: ManifestArgument,
    out: OutOption,
    folds: Annotated[int | None, typer.Option(help="draw folds instead of splits")] = None,
    by_subject: Annotated[bool, typer.Option("--leave-one-subject-out", help="a fold for every person")] = False,
    stratify: Annotated[str | None, typer.Option(help="label,gender: what is spread evenly")] = None,
    links: LinksOption = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    replace: ReplaceOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Splits or folds that keep every person and every duplicate on one side. Official splits stay as they are."""
    from fer_data import splits as room
    from fer_data.configuration import resolve

    given = {
        "strategy": "leave_one_subject_out" if by_subject else "folds" if folds else None,
        "folds": folds,
        "stratify": stratify.split(",") if stratify else None,
    }
    configuration = resolve(room.SplitConfig, config, settings or (), **given)
    if dry_run:
        return show_plan(as_json, configuration.model_dump(mode="json"), [out])
    made = room.split(read(manifest), configuration, out, link_tables=links or (), replace=replace)
    lines = room.describe_split(made.metadata)
    return say(as_json, made.metadata["split"], lines, [made.path], [f"fer describe {short(out)}"])


@app.command(no_args_is_help=True)
def merge(
    manifests: Annotated[list[Path], typer.Argument(metavar="MANIFEST…", help="real first, then synthetic")],
    out: OutOption,
    plan: Annotated[Path | None, typer.Option(help="take no more synthetic faces than it asks for")] = None,
    links: LinksOption = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    replace: ReplaceOption = False,
    as_json: JsonOption = False,
) -> None:
    """One manifest out of several: groups recomputed, licences combined, synthetic faces checked for leaks."""
    from fer_data import merging
    from fer_data.balance import read_plan
    from fer_data.configuration import resolve
    from fer_data.manifest import describe_counts

    merged = merging.merge(
        [read(path) for path in manifests],
        out,
        resolve(merging.MergeConfig, config, settings or ()),
        plan=read_plan(plan) if plan else None,
        link_tables=links or (),
        replace=replace,
    )
    lines = [*describe_counts(merged.metadata).splitlines(), *merging.describe_merge(merged.metadata)]
    say(as_json, merged.metadata["counts"], lines, [merged.path], [f"fer train {short(out)}"])


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

    opened = read(manifest)
    lists = {"labels": labels, "occlusions": occlusion, "lights": light}
    given = {key: text.split(",") if text else None for key, text in lists.items()}
    plan = room.make_plan(opened, resolve(room.BalanceConfig, config, settings or (), **given))
    path = room.write_plan(plan, out or opened.root / f"plans/{opened.name}.yaml", replace=replace)
    asked = sum(cell.count for cell in plan.cells)
    cells = sum(cell.count > 0 for cell in plan.cells)
    lines = [f"{asked:,} faces in {cells} cells"]
    following = [f"fer train-generator diffusion {short(manifest)}", f"fer generate {short(path)} --checkpoint …"]
    say(as_json, {"asked": asked, "cells": cells}, lines, [path], following)


@app.command(no_args_is_help=True)
def rebalance(
    manifest: ManifestArgument,
    out: OutOption,
    method: Annotated[str | None, typer.Option(help="repeat, drop or weight; default repeat")] = None,
    by: Annotated[str | None, typer.Option(help="label,light: what is evened out; default label")] = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    replace: ReplaceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Even out the training split without new faces: the control that synthesis has to beat."""
    from fer_data import resampling
    from fer_data.configuration import resolve

    given = {"method": method, "by": by.split(",") if by else None}
    configuration = resolve(resampling.RebalanceConfig, config, settings or (), **given)
    made = resampling.rebalance(read(manifest), configuration, out, replace=replace)
    lines = resampling.describe_rebalance(made.metadata)
    say(as_json, {"cells": made.metadata["rebalance"]}, lines, [made.path], [f"fer train {short(out)}"])


@app.command(no_args_is_help=True)
def export(
    manifest: ManifestArgument,
    out: Annotated[Path, typer.Argument(help="the folder to make")],
    to: Annotated[str, typer.Option(help="hf (Hugging Face), folders (class folders), webdataset or csv")],
    local_use: Annotated[
        bool, typer.Option("--local-use", help="although a source forbids passing it on; it stays on this machine")
    ] = False,
    config: ConfigOption = None,
    settings: SetOption = None,
    replace: ReplaceOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """The faces in another tool's format, with a card, the licence, and Croissant metadata."""
    from fer_data.configuration import resolve
    from fer_data.export.exporting import export as write
    from fer_data.export.registry import find_format

    configuration = resolve(find_format(to).Options, config, settings or ())
    if dry_run:
        return show_plan(as_json, configuration.model_dump(mode="json"), [out])
    opened = read(manifest)
    made = write(opened, to, out, configuration, local_use=local_use, replace=replace, reporter=reporter(as_json))
    rows = sum(sum(labels.values()) for labels in made.counts.values())
    lines = [f"{rows:,} faces, {made.total_bytes / 1e6:,.1f} MB"]
    lines += [f"left out: {count:,} {why}" for why, count in made.left_out.items() if count]
    lines += [f"! {note}" for note in made.notes]
    lines += ["open it with", *(f"  {line}" for line in made.loading.splitlines())]
    summary = {"counts": made.counts, "left_out": made.left_out, "licence": made.licence, "local_use": made.local_use}
    return say(as_json, summary, lines, [made.folder])
