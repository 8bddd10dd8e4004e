"""Verbs of the audit: out-of-fold predictions, and which labels are probably wrong."""

import sys
from pathlib import Path
from typing import Annotated, Any

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
    explain: Annotated[
        bool, typer.Option("--explain", help="a heat map of each face too: what spoke for the label it is taken for")
    ] = False,
    where: Annotated[str | None, typer.Option(help="with --explain: which faces, as in fer filter")] = None,
    config: ConfigOption = "predict",
    settings: SetOption = None,
    replace: ReplaceOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Out-of-fold probabilities for every training face. Interrupt and run again to go on.

    With --explain, predictions that are there are taken as they are, and --replace makes new heat maps of them.
    """
    from classifier.out_of_fold import PredictConfig, predict_out_of_fold
    from fer_data.configuration import resolve

    if where is not None and not explain:
        raise typer.BadParameter(
            "expected --explain beside it; predictions are made of all faces", param_hint="--where"
        )
    opened = read(manifest)
    configuration = resolve(PredictConfig, config, settings or ())
    out = out or opened.root / f"predictions/{opened.name}.parquet"
    if explain and out.is_file():
        return _explain(opened, out, where, replace=replace, dry_run=dry_run, as_json=as_json)
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
    if explain:
        return _explain(opened, path, where, replace=replace, dry_run=False, as_json=as_json)
    name = short(manifest)
    return say(as_json, {"rows": len(opened)}, [], [path], [f"fer audit {name} --predictions {short(path)}"])


def _explain(
    manifest: Any, predictions: Path, where: str | None, *, replace: bool, dry_run: bool, as_json: bool
) -> None:
    """The heat maps of predictions, and how fast they were made."""
    from classifier.explanation import explain, heat_maps_path
    from fer_data.tables import read_metadata

    out = heat_maps_path(predictions)
    if dry_run:
        return show_plan(as_json, {"predictions": short(predictions), "where": where}, [out])
    explain(manifest, predictions, out, where=where, reporter=reporter(as_json), replace=replace)
    facts = read_metadata(out)
    pace = facts["faces"] / max(facts["seconds"], 0.1)
    line = f"{facts['faces']:,} faces explained in {facts['seconds']:,.1f} s, {pace:,.0f} faces/s"
    following = [f"fer curate {short(manifest.path.with_suffix(''))}"]
    return say(as_json, {"faces": facts["faces"], "seconds": facts["seconds"]}, [line], [out], following)


@app.command(no_args_is_help=True)
def audit(
    dataset: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="manifests/<name>, or a folder or archive of class folders")
    ],
    predictions: Annotated[
        Path | None, typer.Option(help="default predictions/<name>.parquet, made if missing")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="table; default audit/<name>.parquet")] = None,
    predict_settings: Annotated[
        list[str] | None, typer.Option("--predict", metavar="KEY=VALUE", help="of the predictions, if they are made")
    ] = None,
    use_votes: Annotated[bool, typer.Option("--use-votes", help="let the votes of the manifest speak too")] = False,
    decisions: DecisionsOption = None,
    show: Annotated[bool, typer.Option("--open/--no-open", help="open the page, in a terminal")] = True,
    config: ConfigOption = None,
    settings: SetOption = None,
    replace: ReplaceOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Which labels are probably wrong: a ranked table, and a page with the worst faces of each class.

    A folder of class folders is enough: it is imported, predicted and audited. What reviewers decided so far is
    taken as known.
    """
    from fer_data import audit_page, label_audit
    from fer_data.configuration import resolve

    if predictions is not None and predict_settings:
        raise typer.BadParameter("expected --predictions or how to make them, found both", param_hint="--predict")
    configuration = resolve(label_audit.AuditConfig, config, settings or (), use_votes=use_votes or None)
    manifest = _manifest_of(dataset)
    out = out or _root(manifest) / f"audit/{manifest.stem}.parquet"
    if dry_run:
        return show_plan(as_json, configuration.model_dump(mode="json"), [out])
    if not manifest.is_file() and dataset.exists():
        _import_folders(dataset, manifest, as_json)
    opened = read(manifest)
    default = opened.root / f"predictions/{opened.name}.parquet"
    if predictions is None and not default.is_file():
        predict(manifest, settings=predict_settings, as_json=as_json)
    path = label_audit.audit(opened, predictions or default, configuration, out, decisions=decisions, replace=replace)
    keep_configuration(configuration, path)
    page = audit_page.write_audit_page(opened, path, path.with_suffix(".html"))
    summary = label_audit.read_summary(path)
    following = [f"fer curate {short(manifest.with_suffix(''))} --audit {short(path)}"]
    say(as_json, summary.as_dict(), summary.lines(), [path, page], following)
    if show and not as_json and sys.stdout.isatty():
        typer.launch(str(page))
    return None


def _manifest_of(dataset: Path) -> Path:
    """The manifest that the user named, or the one that a folder or archive of pictures is imported as."""
    from fer_data.downloads.opening import is_archive
    from fer_data.manifest import manifest_path

    if not manifest_path(dataset).is_file() and (dataset.is_dir() or is_archive(dataset)):
        return Path("manifests") / f"{dataset.resolve().name.partition('.')[0]}.parquet"
    return manifest_path(dataset)


def _root(manifest: Path) -> Path:
    from fer_data.project import project_root

    return project_root(manifest.parent)


def _import_folders(pictures: Path, manifest: Path, as_json: bool) -> None:
    from fer_data.adapters.registry import find_adapter
    from fer_data.importing import import_dataset

    adapter = find_adapter("folders")
    result = import_dataset(adapter, pictures, manifest, adapter.Options(), reporter=reporter(as_json))
    if not as_json:
        say(as_json, {}, [f"{len(result.manifest):,} faces imported"], [manifest])
