"""Verbs that look for a recipe before a long training: its learning rate, or all of it."""

from pathlib import Path
from typing import Annotated

import typer

from fer_cli.options import ConfigOption, DryRunOption, JsonOption, ManifestArgument, SetOption
from fer_cli.terminal import app, keep_configuration, read, reporter, say, short, show_plan

LeaksOption = Annotated[str, typer.Option(help="refuse, drop_from_train or score_apart")]


@app.command(name="find-rate", no_args_is_help=True)
def find_rate(
    manifest: ManifestArgument,
    out: Annotated[Path | None, typer.Option(help="csv of the curve; default runs/rates-<name>.csv")] = None,
    steps: Annotated[int, typer.Option(help="rates that are tried", min=10)] = 120,
    leaks: LeaksOption = "score_apart",
    config: ConfigOption = "train",
    settings: SetOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Find the learning rate that a training can bear: it grows until the loss explodes."""
    from classifier.rate_finder import find_rate
    from classifier.training import TrainConfig, training_faces
    from fer_data.configuration import resolve

    opened = read(manifest)
    configuration = resolve(TrainConfig, config, settings or ())
    out = out or opened.root / f"runs/rates-{opened.name}.csv"
    if dry_run:
        return show_plan(as_json, configuration.model_dump(mode="json"), [out])
    faces, _, _ = training_faces(opened, configuration, leaks)
    curve = find_rate(faces, opened.labels, configuration, reporter(as_json), steps=steps)
    keep_configuration(configuration, out)
    lowest = min(curve.smoothed)
    lines = [
        f"the loss is lowest, {lowest:.3f}, at a learning rate of {curve.rates[curve.smoothed.index(lowest)]:.2g}",
        f"a third of that, {curve.suggested:g}, is a good peak for {configuration.optimizer}",
    ]
    following = [f"fer train {short(manifest)} --set learning_rate={curve.suggested:g}"]
    return say(as_json, {"learning_rate": curve.suggested}, lines, [curve.write(out)], following)


@app.command(no_args_is_help=True)
def search(
    manifest: ManifestArgument,
    out: Annotated[Path | None, typer.Option(help="folder; default runs/search-<name>")] = None,
    trials: Annotated[int | None, typer.Option(help="how many recipes are tried", min=1)] = None,
    minutes: Annotated[float | None, typer.Option(help="how long in all")] = None,
    leaks: LeaksOption = "score_apart",
    config: ConfigOption = "search",
    settings: SetOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Search for a recipe on validation faces within a budget. Run again to go on, or with more trials."""
    from classifier.search import SearchConfig
    from classifier.search import search as search_recipe
    from fer_data.configuration import resolve

    opened = read(manifest)
    configuration = resolve(SearchConfig, config, settings or (), trials=trials, minutes=minutes)
    out = out or opened.root / f"runs/search-{opened.name}"
    if dry_run:
        return show_plan(as_json, configuration.model_dump(mode="json"), [out])
    best = search_recipe(opened, configuration, out, reporter(as_json), leaks)
    lines = [line.removeprefix("# ") for line in best.read_text().splitlines() if line.startswith("# ")]
    following = [f"fer train {short(manifest)} --config {short(best)}"]
    return say(as_json, {"best": best}, lines, [best], following)
