"""Verbs that train generators, draw faces, and drop those that are no good."""

from pathlib import Path
from typing import Annotated, Any, NamedTuple

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


@app.command("train-generator", no_args_is_help=True)
def train_generator_(
    kind: Annotated[str, typer.Argument(help="dcgan, diffusion or lora")],
    manifest: ManifestArgument,
    out: Annotated[Path | None, typer.Option(help="run folder; default runs/<kind>-<name>")] = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train a conditional generator on the training split only. Interrupt and run again to go on."""
    from fer_data.configuration import resolve
    from generators.models import generator_kind
    from generators.training import train_generator

    opened = read(manifest)
    configuration = resolve(generator_kind(kind).config, config or kind, settings or ())
    out = out or opened.root / f"runs/{kind}-{opened.name}"
    if dry_run:
        return show_plan(as_json, configuration.model_dump(mode="json"), [out])
    checkpoint = train_generator(kind, opened, configuration, out, reporter(as_json))
    outputs = [checkpoint, out / "sheet.png"]
    return say(as_json, {"kind": kind}, [], outputs, [f"fer generate plans/… --checkpoint {short(checkpoint)}"])


@app.command(no_args_is_help=True)
def generate(
    plan: Annotated[Path, typer.Argument(help="what `fer balance` wrote")],
    checkpoint: Annotated[
        list[Path], typer.Option(help="what `fer train-generator` wrote; given again, checkpoints share the plan")
    ],
    out: Annotated[Path, typer.Option(help="the synthetic manifest to write")] = Path("manifests/synthetic"),
    judges: Annotated[
        Path | None, typer.Option(help="what `fer judges` wrote: screen, and draw until the plan is full")
    ] = None,
    training: Annotated[
        Path | None, typer.Option(help="the manifest that the generator was trained on; with --judges or --from-faces")
    ] = None,
    from_faces: Annotated[
        bool | None,
        typer.Option(
            "--from-faces/--from-noise",
            help="re-express real training faces, or start from noise; by default faces with --judges and diffusion",
            show_default=False,
        ),
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help="write <out>.html: the faces, and how good they are")
    ] = False,
    config: ConfigOption = None,
    settings: SetOption = None,
    replace: ReplaceOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Draw the faces that a plan asks for, one seed per face; with --judges, screen them until the plan is full.

    Settings are those of the drawing (`--set seed=1`, `--set sampling.guidance=2`), with --judges under `generate`,
    beside `screen`, `budget_faces` and `minutes`. Interrupt and run again to go on.
    """
    from experiments.fill_plan import FillConfig
    from fer_data.configuration import resolve
    from fer_data.plans import read_plan
    from generators.sampling import GenerateConfig

    asked = read_plan(plan)
    if training is None and (judges or from_faces or report):
        raise typer.BadParameter("name the manifest that the generator was trained on", param_hint="--training")
    sources = _sources(checkpoint, judges, config, from_faces)
    configuration = resolve(FillConfig if judges else GenerateConfig, config, [*sources, *(settings or ())])
    if dry_run:
        return show_plan(as_json, configuration.model_dump(mode="json"), _written(out, judges, report))
    faces = read(training) if training is not None else None
    work = (asked, checkpoint, faces, out, configuration, reporter(as_json))
    done = _draw(*work, replace) if judges is None else _fill(*work, replace, judges)
    outputs = [*done.outputs]
    if report:
        outputs.append(_write_report(done, faces, judges, reporter(as_json)))
    return say(as_json, done.summary, done.lines, outputs, _after_drawing(out, plan, training, judges, report))


def _sources(checkpoints: list[Path], judges: Path | None, config: str | None, from_faces: bool | None) -> list[str]:
    """What faces start from, as a setting; none leaves it to the configuration, as a file of settings does.

    Faces of diffusion that start from real ones came nearer to real validation faces than those from noise
    (docs/results/synthetic-fer2013.md).
    """
    from generators.models import describe_checkpoint

    if from_faces is None:
        diffusion = (
            judges and config is None and all(describe_checkpoint(path)["kind"] == "diffusion" for path in checkpoints)
        )
        return ["generate.source=faces"] if diffusion else []
    return [f"{'generate.' if judges else ''}source={'faces' if from_faces else 'noise'}"]


def _written(out: Path, judges: Path | None, report: bool) -> list[Path]:
    """The manifests and the page that a generation writes."""
    from experiments.filled import drawn_path
    from fer_data.manifest import manifest_path

    path = manifest_path(out)
    return [path, *([drawn_path(path)] if judges else []), *([path.with_suffix(".html")] if report else [])]


def _after_drawing(out: Path, plan: Path, training: Path | None, judges: Path | None, report: bool) -> list[str]:
    """The commands that lead on from a generation."""
    faces = short(training) if training is not None else "…"
    if judges is None:
        return [f"fer screen {short(out)} --judge … --training {faces} --out …", f"fer curate {short(out)}"]
    drawn = _written(out, judges, report)[1]
    measure = f"fer fidelity {short(drawn)} --kept {short(out)} --training {faces} --judges {short(judges)}"
    merge = f"fer merge {faces} {short(out)} --plan {short(plan)} --out manifests/balanced"
    return [merge] if report else [measure, merge]  # the page has measured already


class _Generated(NamedTuple):
    """What a generation left: its manifests, and what to tell."""

    drawn: Any
    kept: Any | None
    screening: Path | None
    summary: Any
    lines: list[str]

    @property
    def outputs(self) -> list[Path]:
        manifests = [each.path for each in (self.kept, self.drawn) if each is not None]
        return [*manifests, *([self.screening] if self.screening is not None else [])]


def _draw(
    plan: Any, checkpoints: list[Path], training: Any, out: Path, config: Any, progress: Any, replace: bool
) -> _Generated:
    from fer_data.manifest import describe_counts
    from generators.sampling import generate

    drawn = generate(plan, checkpoints, out, config, progress, training=training, replace=replace)
    lines = describe_counts(drawn.metadata).splitlines()
    return _Generated(drawn, None, None, drawn.metadata["counts"], lines)


def _fill(
    plan: Any,
    checkpoints: list[Path],
    training: Any,
    out: Path,
    config: Any,
    progress: Any,
    replace: bool,
    judges: Path,
) -> _Generated:
    from experiments.fill_plan import fill_plan
    from experiments.filled import describe_filled

    filled = fill_plan(plan, checkpoints, training, judges, out, config, progress, replace=replace)
    return _Generated(filled.drawn, filled.kept, filled.table, {"cells": filled.cells}, describe_filled(filled.cells))


def _write_report(done: _Generated, training: Any, judges: Path | None, progress: Any) -> Path:
    """The page about drawn faces; with judges, how good they are, as the one that did not screen them sees it."""
    from generators.fidelity import FidelityConfig, fidelity_path, measure_fidelity, write_fidelity
    from generators.generation_page import write_generation_page

    measured = None
    if judges is not None:
        from experiments.judges import load_judges

        loaded = load_judges(judges)
        measured = measure_fidelity(
            done.drawn,
            training,
            loaded.measuring,
            FidelityConfig(),
            progress,
            condition_judge=loaded.conditions,
            kept=done.kept,
        )
        write_fidelity(fidelity_path(done.drawn.path), measured, replace=True)
    page = done.outputs[0].with_suffix(".html")
    return write_generation_page(page, done.drawn, training, screening=done.screening, fidelity=measured)


@app.command(no_args_is_help=True)
def screen(
    manifest: ManifestArgument,
    judge: Annotated[Path, typer.Option(help="classifier checkpoint that never saw a synthetic face")],
    training: Annotated[Path, typer.Option(help="the manifest that the generator was trained on")],
    out: Annotated[Path, typer.Option(help="the screened manifest to write")],
    config: ConfigOption = None,
    settings: SetOption = None,
    replace: ReplaceOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Drop synthetic faces that the judge contradicts and near-copies of training faces, and say why."""
    from classifier.prediction import load_classifier
    from fer_data.configuration import resolve
    from fer_data.tables import read_metadata
    from generators import screening

    configuration = resolve(screening.ScreenConfig, config, settings or ())
    work = read(manifest), read(training), load_classifier(judge), out
    if dry_run:
        outputs = screening.require_screenable(*work, replace=replace)
        return show_plan(as_json, configuration.model_dump(mode="json"), outputs)
    screened, table = screening.screen(*work, configuration, reporter(as_json), replace=replace)
    facts = read_metadata(table)
    made, kept = (sum(cell[key] for cell in facts["cells"]) for key in ("made", "kept"))
    dropped = " · ".join(f"{reason} {count:,}" for reason, count in facts["reasons"].items()) or "nothing"
    line = f"made {made:,} · kept {kept:,} · dropped: {dropped}"
    following = [f"fer curate {short(out)}", f"fer merge {short(training)} {short(out)} --out manifests/balanced"]
    return say(
        as_json, {"made": made, "kept": kept, "dropped": facts["reasons"]}, [line], [screened.path, table], following
    )


@app.command(no_args_is_help=True)
def fidelity(
    synthetic: Annotated[Path, typer.Argument(metavar="SYNTHETIC", help="synthetic faces, before screening")],
    training: Annotated[Path, typer.Option(help="the manifest that the generator was trained on")],
    judges: Annotated[Path, typer.Option(help="what `fer judges` wrote; the measuring judge is asked")],
    kept: Annotated[Path | None, typer.Option(help="those of the faces that screening kept")] = None,
    embedding: Annotated[
        list[str] | None, typer.Option(metavar="[NAME=]FILE", help="weights of a timm model, DINOv2 if unnamed; local")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="default <synthetic>.fidelity.json")] = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    replace: ReplaceOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure synthetic faces: label agreement, distances, coverage, memory, copies, each beside real faces."""
    from experiments.judges import load_judges
    from fer_data.configuration import resolve
    from fer_data.files import refuse_existing
    from generators.fidelity import FidelityConfig, describe_fidelity, fidelity_path, measure_fidelity, write_fidelity
    from generators.fidelity.embeddings import DINOV2, load_embedding

    drawn, real = read(synthetic), read(training)
    configuration = resolve(FidelityConfig, config, settings or ())
    out = out or fidelity_path(drawn.path)
    if dry_run:
        return show_plan(as_json, configuration.model_dump(mode="json"), [out])
    refuse_existing(out, replace=replace)
    judged = load_judges(judges)
    named = [file.rpartition("=") for file in embedding or ()]
    measured = measure_fidelity(
        drawn,
        real,
        judged.measuring,
        configuration,
        reporter(as_json),
        condition_judge=judged.conditions,
        embeddings={name or DINOV2: load_embedding(Path(file), name or DINOV2) for name, _, file in named},
        kept=read(kept) if kept else None,
    )
    path = write_fidelity(out, measured, replace=replace)
    following = [f"fer merge {short(training)} {short(kept or synthetic)} --out manifests/balanced"]
    return say(as_json, measured, describe_fidelity(measured), [path], following)
