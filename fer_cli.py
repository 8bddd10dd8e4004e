"""The `fer` command: parses, resolves a configuration, calls one function. Rooms are imported by the verb that
needs them, so that `fer --help` answers at once and works without torch."""

import json
import sys
from collections.abc import Mapping, Sequence
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
)

ManifestArgument = Annotated[
    Path, typer.Argument(metavar="MANIFEST", help="manifests/<name>, with or without .parquet")
]
ConfigOption = Annotated[str | None, typer.Option("--config", metavar="FILE", help="YAML file or preset name")]
SetOption = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="one setting; repeatable")]
ReplaceOption = Annotated[bool, typer.Option("--replace", help="overwrite what is at --out")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="check and show what would be done, do nothing")]
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
    from fer_data import label_audit
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
    page = label_audit.write_audit_page(opened, path, path.with_suffix(".html"))
    summary = label_audit.read_summary(path)
    following = [f"fer curate {_short(manifest)} --audit {_short(path)}"]
    return _say(as_json, summary.as_dict(), summary.lines(), [path, page], following)
