"""Verbs that bring datasets in and look at them."""

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
from fer_data.errors import FerError
from fer_data.files import refuse_existing

FacesOption = Annotated[bool, typer.Option("--faces/--no-faces", help="show faces, or leave them out of a shared page")]


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
    licence = result.licence
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
    faces: FacesOption = True,
    config: ConfigOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Counts, faces, imbalance, duplicates, leaks, votes, quality and a datasheet, as one HTML page."""
    from fer_data.configuration import resolve
    from fer_data.describe import describe as write_page
    from fer_data.manifest import describe_counts
    from fer_data.quality import QualityConfig

    opened = read(manifest)
    thresholds = resolve(QualityConfig, config, settings or ())
    page = out or opened.path.with_suffix(".html")
    write_page(opened, page, faces=faces, quality=thresholds, reporter=reporter(as_json))
    say(as_json, opened.metadata["counts"], describe_counts(opened.metadata).splitlines(), [page])


@app.command(no_args_is_help=True)
def diff(
    before: Annotated[Path, typer.Argument(metavar="A", help="the manifest before")],
    after: Annotated[Path, typer.Argument(metavar="B", help="the manifest after")],
    out: Annotated[Path | None, typer.Option(help="HTML page; default <A>-<B>.html beside B")] = None,
    faces: FacesOption = True,
    as_json: JsonOption = False,
) -> None:
    """What changed from one manifest to another: labels, splits, rows that came and went, as one HTML page."""
    from fer_data.diff_page import write_diff_page
    from fer_data.diffing import diff as compare

    a, b = read(before), read(after)
    page = out or b.path.with_name(f"{a.name}-{b.name}.html")
    changes = compare(a, b)
    write_diff_page(a, b, page, faces=faces, reporter=reporter(as_json))
    say(as_json, changes.summary(), changes.lines(), [page])


@app.command(no_args_is_help=True)
def quality(
    manifest: ManifestArgument,
    out: Annotated[Path | None, typer.Option(help="table; default audit/<name>.quality.parquet")] = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    replace: ReplaceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Scores of every picture: dark, bright, low contrast, blurred, blank, not square, not a face."""
    from fer_data.configuration import resolve
    from fer_data.quality import QualityConfig, write_quality
    from fer_data.tables import read_metadata

    opened = read(manifest)
    out = out or opened.root / f"audit/{opened.name}.quality.parquet"
    configuration = resolve(QualityConfig, config, settings or ())
    path = write_quality(opened, configuration, out, replace=replace, reporter=reporter(as_json))
    counts = read_metadata(path)["counts"]
    lines = [f"{issue.replace('_', ' ')}: {count:,}" for issue, count in counts.items()]
    say(as_json, counts, lines, [path], [f"fer describe {short(manifest)}"])


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
    manifests: Annotated[list[Path], typer.Argument(metavar="MANIFEST…", help="one, or several searched together")],
    exact: Annotated[bool, typer.Option("--exact", help="identical pictures only")] = False,
    out: Annotated[Path | None, typer.Option(help="table; default audit/<name>.duplicates.parquet")] = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    replace: ReplaceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Identical and nearly identical pictures: groups, leaks across splits, conflicting labels."""
    from fer_data.configuration import resolve
    from fer_data.duplicates import find_duplicates, write_duplicates
    from fer_data.near_duplicates import NearDuplicateConfig, find_near_duplicates

    opened = [read(path) for path in manifests]
    first = opened[0]
    out = out or first.root / f"audit/{first.name}.duplicates.parquet"
    if exact:
        if len(opened) > 1:
            raise FerError("--exact takes one manifest; merge them, or leave --exact out")
        report = find_duplicates(first)
        path = write_duplicates(first, report, out, replace=replace)
        return say(as_json, report.summary(), [report.sentence()], [path])
    refuse_existing(out, replace=replace)
    configuration = resolve(NearDuplicateConfig, config, settings or ())
    near = find_near_duplicates(opened, configuration, reporter(as_json))
    path = near.write(out, replace=replace)
    lines = [near.exact.sentence(), near.together.sentence("the same photograph", "the same photograph as")]
    pairs = near.pairs_to_look_at(5)
    lines += [f"look at {pair.a} and {pair.b} (similarity {pair.score:.3f})" for pair in pairs.itertuples()]
    following = [
        f"fer split {short(manifests[0])} --links {short(path)} --out …",
        f"fer describe {short(manifests[0])}",
    ]
    return say(as_json, near.summary(), lines, [path], following)
