"""The verb that measures what was gained: before and after, the audit against others, generated faces."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from fer_cli.options import DryRunOption, JsonOption, SetOption
from fer_cli.terminal import app, reporter, say, show_plan


@app.command(no_args_is_help=True)
def experiment(
    config: Annotated[str, typer.Argument(help="YAML file or preset, as configs/experiments/demo.yaml")],
    out: Annotated[Path | None, typer.Option(help="run folder; default runs/<name of the configuration>")] = None,
    phase: Annotated[
        str, typer.Option(help="all; or choose: end when what is chosen on validation faces is written down")
    ] = "all",
    cross_validated: Annotated[
        Path | None, typer.Option(help="results.json of the same question over folds, to stand beside it in the report")
    ] = None,
    settings: SetOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Retrain before and after, or judge the audit or generated faces, and write a report. Run again to go on.

    Two terminals may run the same command at once, one for each core: a run that one is at is left to it.
    """
    from fer_data.configuration import find_preset, read_yaml

    others = {"audit_benchmark": _judge_audit, "usefulness": _judge_usefulness}
    kind = read_yaml(find_preset(config)).get("kind")
    if kind in others:
        return others[kind](config, out, settings or (), dry_run, as_json)
    if phase not in ("all", "choose"):
        raise typer.BadParameter(f"expected all or choose, found {phase}", param_hint="--phase")
    return _compare(config, out, phase, cross_validated, settings or (), dry_run, as_json)


def _compare(
    config: str,
    out: Path | None,
    phase: str,
    cross_validated: Path | None,
    settings: Sequence[str],
    dry_run: bool,
    as_json: bool,
) -> None:
    from experiments.before_after import collect_sheets, finished_parts, run_experiment
    from experiments.generated_sources import collect_synthesis
    from experiments.heat_maps import collect_heat_maps
    from experiments.outlook import describe_outlook, look_ahead
    from experiments.report import answer, write_report
    from experiments.settings import ExperimentConfig
    from fer_data.configuration import resolve
    from fer_data.files import read_json
    from fer_data.project import project_root

    configuration = resolve(ExperimentConfig, config, settings)
    root = project_root(Path.cwd())
    out = out or root / "runs" / Path(config).stem
    if dry_run:
        told = look_ahead(configuration, root, out, reporter(as_json))
        lines = ["nothing is trained; it would compare", *describe_outlook(told)]
        return say(as_json, {"dry_run": True, **told}, lines, [out / "report.html"])
    written = run_experiment(
        configuration, root, out, reporter(as_json), phase="choose" if phase == "choose" else "all"
    )
    if phase == "choose":
        line = "what was chosen on validation faces is written down; no test face was judged"
        return say(as_json, {"choice": written}, [line], [written], [f"fer experiment {config}"])
    results = read_json(written)
    parts = finished_parts(configuration, root, out)
    page = write_report(
        results,
        out / "report.html",
        synthesis=collect_synthesis(parts),
        sheets=collect_sheets(parts),
        heat_maps=collect_heat_maps(parts),
        cross_validated=cross_validated,
    )
    sentence = answer(results)
    return say(as_json, {"answer": sentence}, [sentence], [page, page.with_suffix(".md")])


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
