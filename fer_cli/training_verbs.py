"""Verbs that train classifiers, and the experiments that measure what was gained."""

from pathlib import Path
from typing import Annotated

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
    from fer_data.files import read_json

    opened = read(manifest)
    configuration = resolve(TrainConfig, config, settings or ())
    out = out or opened.root / f"runs/train-{opened.name}"
    if dry_run:
        return show_plan(as_json, configuration.model_dump(mode="json"), [out])
    checkpoint = train_manifest(opened, configuration, out, reporter(as_json), leaks=leaks, replace=replace)
    leaking = read_json(checkpoint / "classifier.json")["trained_on"].get("leaking_faces", 0)
    lines = []
    if leaking and leaks == "score_apart":
        lines.append(
            f"training faces that are one with faces of val or test: {leaking:,}; fer evaluate scores the test split "
            "with and without such twins (--leaks drop_from_train trains without them, --leaks refuse stops)"
        )
    following = [f"fer evaluate {short(manifest)} --checkpoint {short(checkpoint)}"]
    return say(as_json, {"checkpoint": checkpoint}, lines, [checkpoint], following)


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

    run_demo(data=data, votes=votes, out=out, full=full, settings=settings or (), reporter=reporter(False))
