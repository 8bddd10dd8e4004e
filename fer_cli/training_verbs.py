"""Verbs that train and score classifiers, and the experiments that measure what was gained."""

from collections.abc import Sequence
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

    opened = read(manifest)
    configuration = resolve(TrainConfig, config, settings or ())
    out = out or opened.root / f"runs/train-{opened.name}"
    if dry_run:
        return show_plan(as_json, configuration.model_dump(mode="json"), [out])
    checkpoint = train_manifest(opened, configuration, out, reporter(as_json), leaks=leaks, replace=replace)
    following = [f"fer evaluate {short(manifest)} --checkpoint {short(checkpoint)}"]
    return say(as_json, {"checkpoint": checkpoint}, [], [checkpoint], following)


@app.command(no_args_is_help=True)
def evaluate(
    manifest: ManifestArgument,
    checkpoint: Annotated[Path, typer.Option(help="what `fer train` wrote")],
    as_json: JsonOption = False,
) -> None:
    """Score a classifier on the test split, with and without twins, on given and on reference labels."""
    from classifier.prediction import load_classifier
    from experiments.results import score_views

    scores = score_views(read(manifest), load_classifier(checkpoint))
    lines = [
        f"{name}: accuracy {view['accuracy']:.3f} · balanced accuracy {view['balanced_accuracy']:.3f} · "
        f"macro-F1 {view['macro_f1']:.3f} · {view['count']:,} faces"
        for name, view in scores.items()
    ]
    say(as_json, scores, lines)


@app.command(no_args_is_help=True)
def experiment(
    config: Annotated[str, typer.Argument(help="YAML file or preset, as configs/experiments/demo.yaml")],
    out: Annotated[Path | None, typer.Option(help="run folder; default runs/<name of the configuration>")] = None,
    settings: SetOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Retrain before and after, or judge the audit or generated faces, and write a report. Run again to go on."""
    from fer_data.configuration import find_preset, read_yaml

    others = {"audit_benchmark": _judge_audit, "usefulness": _judge_usefulness}
    kind = read_yaml(find_preset(config)).get("kind")
    if kind in others:
        return others[kind](config, out, settings or (), dry_run, as_json)
    from experiments.before_after import collect_sheets, run_experiment
    from experiments.design import ExperimentConfig, prepare
    from experiments.report import write_report
    from experiments.wording import answer
    from fer_data.configuration import resolve
    from fer_data.files import read_json
    from fer_data.project import project_root

    configuration = resolve(ExperimentConfig, config, settings or ())
    root = project_root(Path.cwd())
    out = out or root / "runs" / Path(config).stem
    if dry_run:
        prepare(configuration, root)
        return show_plan(as_json, configuration.model_dump(mode="json"), [out / "report.html"])
    results = read_json(run_experiment(configuration, root, out, reporter(as_json)))
    page = write_report(results, out / "report.html", sheets=collect_sheets(configuration, root))
    sentence = answer(results)
    return say(as_json, {"answer": sentence}, [sentence], [page])


def _judge_audit(config: str, out: Path | None, settings: Sequence[str], dry_run: bool, as_json: bool) -> None:
    from experiments.audit_benchmark.design import AuditBenchmarkConfig, prepare
    from experiments.audit_benchmark.report import answer
    from experiments.audit_benchmark.run import run_audit_benchmark
    from fer_data.configuration import resolve
    from fer_data.files import read_json
    from fer_data.project import project_root

    configuration = resolve(AuditBenchmarkConfig, config, settings)
    root = project_root(Path.cwd())
    out = out or root / "runs" / configuration.name
    if dry_run:
        prepare(configuration, root)
        return show_plan(as_json, configuration.model_dump(mode="json"), [out / "report.md"])
    path = run_audit_benchmark(configuration, root, out, reporter(as_json))
    sentence = answer(read_json(path))
    return say(as_json, {"answer": sentence}, [sentence], [path, path.with_suffix(".md")])


def _judge_usefulness(config: str, out: Path | None, settings: Sequence[str], dry_run: bool, as_json: bool) -> None:
    from experiments.usefulness.design import UsefulnessConfig, prepare
    from experiments.usefulness.report import answer
    from experiments.usefulness.run import run_usefulness
    from fer_data.configuration import resolve
    from fer_data.files import read_json
    from fer_data.project import project_root

    configuration = resolve(UsefulnessConfig, config, settings)
    root = project_root(Path.cwd())
    out = out or root / "runs" / configuration.name
    if dry_run:
        prepare(configuration, root)
        return show_plan(as_json, configuration.model_dump(mode="json"), [out / "results.md"])
    path = run_usefulness(configuration, root, out, reporter(as_json))
    sentence = answer(read_json(path))
    return say(as_json, {"answer": sentence}, [sentence], [path, path.with_suffix(".md")])


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
