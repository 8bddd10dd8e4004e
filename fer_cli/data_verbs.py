"""Verbs of the dataset layer: bring datasets in, look at them, cut, join and balance them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from fer_cli.options import (
    ConfigOption,
    DryRunOption,
    JsonOption,
    ManifestArgument,
    ReplaceOption,
    SetOption,
)
from fer_cli.terminal import app, read, reporter, say, short, show_plan


@app.command("import", no_args_is_help=True)
def import_(
    dataset: Annotated[str, typer.Argument(help="its name, see `fer datasets`")],
    path: Annotated[Path | None, typer.Argument(help="what was downloaded: a file, a folder, a zip or a tar")] = None,
    out: Annotated[Path, typer.Option(help="the manifest to write")] = Path("manifests/dataset"),
    votes: Annotated[Path | None, typer.Option(help="fer2013new.csv: FER+ votes, joined by row position")] = None,
    count: Annotated[int | None, typer.Option(help="how many faces to draw (procedural)")] = None,
    seed: Annotated[int | None, typer.Option(help="seed of the drawing (procedural)")] = None,
    embed: Annotated[bool, typer.Option("--embed", help="copy files into the store instead of reading them")] = False,
    crop: Annotated[str, typer.Option(help="none, box (the dataset's face box) or align (by its landmarks)")] = "none",
    size: Annotated[int | None, typer.Option(help="side in pixels of what is cropped")] = None,
    margin: Annotated[float, typer.Option(help="around the box, as a share of its side")] = 0.0,
    config: ConfigOption = None,
    settings: SetOption = None,
    replace: ReplaceOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Read a dataset in the form that people download; write store, manifest, and what was set aside."""
    from fer_data.adapters.registry import find_adapter
    from fer_data.configuration import build, resolve
    from fer_data.importing import PicturesConfig, import_dataset
    from fer_data.manifest import describe_counts

    adapter = find_adapter(dataset)
    options = resolve(adapter.Options, config, settings or (), votes=votes, count=count, seed=seed)
    pictures = build(PicturesConfig, {"embed": embed, "crop": crop, "size_px": size, "margin": margin}, "import")
    if dry_run:
        shown = {**options.model_dump(mode="json"), "pictures": pictures.model_dump(mode="json")}
        return show_plan(as_json, shown, [out])
    result = import_dataset(adapter, path, out, options, pictures, replace=replace, reporter=reporter(as_json))
    lines = describe_counts(result.manifest.metadata).splitlines()
    if result.rejections:
        first = result.rejections[0]
        lines.append(
            f"{len(result.rejections):,} set aside → {short(result.rejects_path or '')}"
            f"   (first: {first.where}: expected {first.expected}, found {first.found})"
        )
    licence = adapter.LICENCE
    lines += [f"! {note}" for note in result.notes] + [f"! licence: {licence.name}; {licence.summary}"]
    summary = {
        **result.manifest.metadata["counts"],
        "rejected": len(result.rejections),
        "notes": result.notes,
    }
    name = short(out)
    return say(as_json, summary, lines, [result.manifest.path], [f"fer describe {name}", f"fer audit {name}"])


@app.command()
def datasets(
    name: Annotated[str | None, typer.Argument(help="one dataset, told in full")] = None,
    as_json: JsonOption = False,
) -> None:
    """The datasets that can be imported: licence, citation, access, published counts, known defects."""
    from fer_data.adapters.registry import ADAPTERS, describe_adapter, find_adapter

    if name is not None:
        card = describe_adapter(find_adapter(name))
        return say(as_json, card, _card_lines(card))
    rows = {key: describe_adapter(adapter) for key, adapter in ADAPTERS.items()}
    width = max(map(len, rows))
    lines = []
    for key, card in rows.items():
        faces = f"{card['published counts']['total']:,} faces" if "total" in card["published counts"] else ""
        lines.append(f"{key:{width}}  {card['title']:44.44}  {faces:>15}  {card['licence'].partition(';')[0]:.60}")
    return say(as_json, rows, [*lines, "", "fer datasets NAME tells one in full"])


def _card_lines(card: Mapping[str, Any]) -> list[str]:
    """What `fer datasets NAME` prints: short facts on a line, lists below their heading."""
    lines: list[str] = []
    for key, value in card.items():
        if isinstance(value, list) and value:
            lines += [f"{key}:", *(f"  - {entry}" for entry in value)]
        elif isinstance(value, dict) and value:
            lines += [f"{key}:", *(f"  {entry}: {shown}" for entry, shown in value.items())]
        elif value:
            lines.append(f"{key}: {value}")
    return lines


@app.command(no_args_is_help=True)
def validate(
    manifest: ManifestArgument,
    full: Annotated[bool, typer.Option("--full/--quick", help="check every hash too, or structure only")] = False,
    as_json: JsonOption = False,
) -> None:
    """Every fault of a manifest, with counts and the first ids; exit 1 if there is one."""
    from fer_data.manifest import validate as find_faults

    opened = read(manifest)
    faults = find_faults(opened, full=full)
    say(as_json, {"rows": len(opened), "faults": faults}, faults or [f"{len(opened):,} rows, no fault found"])
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

    opened = read(manifest)
    page = write_page(opened, out or opened.path.with_suffix(".html"))
    say(as_json, opened.metadata["counts"], describe_counts(opened.metadata).splitlines(), [page])


@app.command(no_args_is_help=True)
def log(manifest: ManifestArgument, as_json: JsonOption = False) -> None:
    """Where a manifest comes from: its ancestors, nearest first."""
    from fer_data.manifest import lineage

    entries = lineage(read(manifest))
    lines = []
    for entry in entries:
        rows = entry.get("counts", {}).get("rows") or entry.get("rows")
        made = f"{entry.get('command', '?')}  {entry.get('created', '')}" if entry["state"] != "gone" else ""
        lines.append(f"{short(entry['path'])}  [{entry['state']}]  {made}" + (f"  {rows:,} rows" if rows else ""))
    say(as_json, {"lineage": entries}, lines)


@app.command(no_args_is_help=True)
def duplicates(
    manifest: ManifestArgument,
    out: Annotated[Path | None, typer.Option(help="table; default audit/<name>.duplicates.parquet")] = None,
    replace: ReplaceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Identical pictures: groups, leaks across splits, conflicting labels."""
    from fer_data.duplicates import find_duplicates, write_duplicates

    opened = read(manifest)
    report = find_duplicates(opened)
    path = write_duplicates(
        opened, report, out or opened.root / f"audit/{opened.name}.duplicates.parquet", replace=replace
    )
    say(as_json, report.summary(), [report.sentence()], [path])


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
        [read(path) for path in manifests], out, plan=read_plan(plan) if plan else None, replace=replace
    )
    lines = describe_counts(merged.metadata).splitlines()
    say(as_json, merged.metadata["counts"], lines, [merged.path], [f"fer train {short(out)}"])
