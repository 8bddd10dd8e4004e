"""The whole job in one command: from a raw dataset to a before/after report, every stage real.

Each stage calls the function that its `fer` verb calls, and writes the files that the verb would write, so a
person can go on by hand from any of them.
"""

import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from rich.console import Console

from classifier.out_of_fold import PredictConfig, predict_out_of_fold
from classifier.prediction import Classifier, load_classifier
from classifier.training import TrainConfig, train_manifest
from experiments import sheets
from experiments.before_after import finished_parts, run_experiment
from experiments.heat_maps import collect_heat_maps
from experiments.report import answer, write_report
from experiments.settings import ExperimentConfig
from experiments.stages import Stages
from experiments.synthesis import Source, describe_source
from fer_data import audit_page, balance, label_audit, manifest, merging, tables
from fer_data.adapters.registry import find_adapter
from fer_data.configuration import Configuration, build, resolve
from fer_data.decision_log import DecisionLog
from fer_data.decisions import apply
from fer_data.describe import describe
from fer_data.errors import FerError
from fer_data.files import read_json, sha256_file
from fer_data.importing import import_dataset
from fer_data.progress import Reporter
from fer_data.project import create_project
from fer_data.simulated_review import default_rule, simulate_review
from fer_data.splits import stratified_subset
from generators.contract import GeneratorConfig
from generators.models import generator_kind
from generators.sampling import GenerateConfig, generate
from generators.screening import ScreenConfig, screen
from generators.training import train_generator

SHEET_FACES = 32


class DemoConfig(Configuration):
    """What the demo does; the presets are configs/demo*.yaml."""

    dataset: str = "procedural"
    options: dict[str, Any] = {}  # of the import
    subset: int | None = Field(None, ge=1)  # stratified: about so many faces; all of them if null
    predict: PredictConfig = PredictConfig()
    audit: label_audit.AuditConfig = label_audit.AuditConfig()
    review_share: float = Field(0.2, ge=0, le=1)  # of the training faces, the worst first
    plan: balance.BalanceConfig = balance.BalanceConfig()
    # Two classifiers of real faces that share no weights: one screens the generated faces, the other is quoted.
    judges: dict[Literal["screening", "measuring"], TrainConfig] = {}
    generators: dict[str, str | dict[str, Any]] = {}  # kind: a preset's name or its configuration
    sampling: GenerateConfig = GenerateConfig()
    screening: ScreenConfig = ScreenConfig()
    experiment: str | dict[str, Any] = "experiments/demo"  # a preset's name or an ExperimentConfig
    note: str = ""  # what the presets of the generators are, for the report


def run_demo(
    *,
    data: Path | None,
    votes: Path | None,
    out: Path,
    full: bool,
    settings: Sequence[str],
    reporter: Reporter,
    console: Console | None = None,
) -> Path:
    """Run every stage that is not done yet, in the project folder `out`; returns the report.

    Args:
        data: a FER-2013 download in any of its forms, or None for faces that are drawn.
        votes: FER+ votes; `fer2013new.csv` in the same folder is found by itself.
        full: all faces and larger budgets, where `data` is given.
        settings: `key=value`, as of `DemoConfig`.

    Raises:
        FerError: as any stage; what is done is kept.
    """
    if data is None and (votes is not None or full):
        raise FerError("demo: --votes and --full belong to --data; the drawn faces carry their own truth")
    preset = "demo" if data is None else "demo-fer2013-full" if full else "demo-fer2013"
    config = resolve(DemoConfig, preset, settings)
    console = console or Console(stderr=True)
    demo = _Demo(config, preset, data, votes, create_project(out), reporter, console)
    return demo.run()


@dataclass
class _Demo:
    """The stages and the files between them."""

    config: DemoConfig
    preset: str
    data: Path | None
    votes: Path | None
    root: Path
    reporter: Reporter
    console: Console
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self) -> Path:
        config, root, experiment = self.config, self.root, self._experiment_config()
        judges = {name: judge.model_dump(mode="json") for name, judge in config.judges.items()}
        plan: list[tuple[str, Any, list[Path], Callable[[], str]]] = [
            ("import", [config.dataset, config.options, self._source()], [self.manifest("raw")], self.import_faces),
            ("describe", config.subset, [self.manifest("faces")], self.choose_faces),
            ("out-of-fold predictions", config.predict, [self.predictions, root / "runs/predict"], self.predict),
            ("label audit", config.audit, [self.audit], self.audit_labels),
            (
                "review, simulated",
                config.review_share,
                [root / "decisions.sqlite", self.manifest("clean")],
                self.review,
            ),
            ("judges", judges, [root / "runs" / f"judge-{name}" for name in judges], self.train_judges),
            ("plan", config.plan, [self.plan], self.make_plan),
        ]
        for kind in config.generators:
            settings = self._generator_config(kind)
            made = [self.manifest(f"{kind}-{name}") for name in ("synthetic", "screened", "balanced")]
            drawing = [config.sampling.model_dump(), config.screening.model_dump()]
            plan += [
                (f"train {kind}", settings, [root / "runs" / kind], partial(self.train_generator, kind)),
                (f"generate and screen with {kind}", drawing, made, partial(self.generate, kind)),
            ]
        plan += [
            ("before and after", experiment, [self.results.parent], self.compare),
            ("report", config.note, [self.report], self.write_report),
        ]
        self.console.print(f"fer demo, preset {self.preset}, in {root}", highlight=False)
        stages = Stages(root, len(plan), self.console)
        self.seconds = stages.seconds
        for name, settings, outputs, work in plan:
            described = settings.model_dump(mode="json") if isinstance(settings, Configuration) else settings
            stages.run(name, described, outputs, work)
        self.console.print(f"\n{sum(self.seconds.values()) / 60:.1f} minutes in all\nreport    {self.report}")
        curate = f"curator   cd {root} && {_fer()} curate manifests"
        for reviewed in ("faces --audit audit/faces.parquet", *(f"{kind}-synthetic" for kind in config.generators)):
            self.console.print(f"{curate}/{reviewed}", highlight=False, soft_wrap=True)
        return self.report

    @property
    def predictions(self) -> Path:
        return self.root / "predictions/faces.parquet"

    @property
    def audit(self) -> Path:
        return self.root / "audit/faces.parquet"

    @property
    def decisions(self) -> Path:
        return self.root / "decisions.sqlite"

    @property
    def plan(self) -> Path:
        return self.root / "plans/rare.yaml"

    @property
    def results(self) -> Path:
        return self.root / "runs" / self._experiment_config().name / "results.json"

    @property
    def report(self) -> Path:
        return self.root / "report.html"

    def manifest(self, name: str) -> Path:
        return self.root / f"manifests/{name}.parquet"

    def judge(self, name: str) -> Classifier:
        """A classifier that was trained on real faces only."""
        return load_classifier(self.root / f"runs/judge-{name}")

    def import_faces(self) -> str:
        adapter = find_adapter(self.config.dataset)
        votes = self.votes or _votes_beside(self.data)
        arguments = {"votes": votes.resolve()} if votes else {}
        options = build(adapter.Options, {**self.config.options, **arguments}, "options of the import")
        out = self.manifest("raw")
        result = import_dataset(adapter, self.data, out, options, replace=True, reporter=self.reporter)
        lines = [manifest.describe_counts(result.manifest.metadata).replace("\n", "\n  ")]
        if result.rejections:
            lines.append(f"{len(result.rejections):,} rows set aside, the first: {result.rejections[0].sentence()}")
        return "\n  ".join([*lines, *(f"! {note}" for note in result.notes)])

    def choose_faces(self) -> str:
        raw, out = manifest.read(self.manifest("raw")), self.manifest("faces")
        chosen = stratified_subset(raw, out, count=self.config.subset or len(raw), seed=0, replace=True)
        page = describe(chosen, out.with_suffix(".html"))
        share = "" if len(chosen) == len(raw) else f" of {len(raw):,}, chosen by (split, label)"
        return f"{len(chosen):,} faces{share}; {page}"

    def predict(self) -> str:
        faces = manifest.read(self.manifest("faces"))
        run = self.root / "runs/predict"
        predict_out_of_fold(faces, self.config.predict, self.predictions, run, self.reporter, replace=True)
        count = len(tables.read_table(self.predictions)[0])
        return f"probabilities for {count:,} training faces, each by a classifier that did not see it"

    def audit_labels(self) -> str:
        faces = manifest.read(self.manifest("faces"))
        label_audit.audit(faces, self.predictions, self.config.audit, self.audit, replace=True)
        audit_page.write_audit_page(faces, self.audit, self.audit.with_suffix(".html"))
        return "\n  ".join(label_audit.read_summary(self.audit).lines())

    def review(self) -> str:
        faces = manifest.read(self.manifest("faces"))
        rule = default_rule(faces)
        budget = round(self.config.review_share * int((faces.frame["split"] == "train").sum()))
        with closing(DecisionLog(self.decisions)) as log:
            counts = simulate_review(faces, self.audit, log, budget, rule=rule)
            apply(faces, log, self.manifest("clean"), replace=True)
        return (
            f"simulated:{rule} looked at {counts['looked_at']:,} faces: {counts['relabel']:,} relabelled, "
            f"{counts['drop']:,} dropped, {counts['keep']:,} kept"
        )

    def train_judges(self) -> str:
        clean = manifest.read(self.manifest("clean"))
        for name, config in self.config.judges.items():
            run = self.root / f"runs/judge-{name}"
            train_manifest(clean, config, run, self.reporter, title=f"judge, {name}")
        return f"{' and '.join(self.config.judges) or 'none'}, trained on real faces only"

    def make_plan(self) -> str:
        plan = balance.make_plan(manifest.read(self.manifest("clean")), self.config.plan)
        balance.write_plan(plan, self.plan, replace=True)
        return f"{sum(cell.count for cell in plan.cells):,} faces asked for in {len(plan.cells)} cells"

    def train_generator(self, kind: str) -> str:
        clean = manifest.read(self.manifest("clean"))
        train_generator(kind, clean, self._generator_config(kind), self.root / "runs" / kind, self.reporter)
        return f"samples: {self.root / 'runs' / kind / 'sheet.png'}"

    def generate(self, kind: str) -> str:
        plan, clean = balance.read_plan(self.plan), manifest.read(self.manifest("clean"))
        checkpoint = self.root / "runs" / kind / "checkpoint"
        out = self.manifest(f"{kind}-synthetic")
        made = generate(plan, [checkpoint], out, self.config.sampling, self.reporter, replace=True)
        judge = self.judge("screening")
        out = self.manifest(f"{kind}-screened")
        kept, _ = screen(made, clean, judge, out, self.config.screening, self.reporter, replace=True)
        merging.merge([clean, kept], self.manifest(f"{kind}-balanced"), plan=plan, replace=True)
        return f"{len(made):,} made, {len(kept):,} kept"

    def compare(self) -> str:
        config = self._experiment_config()
        run_experiment(config, self.root, self.results.parent, self.reporter)
        return f"{len(config.arms)} arms, {len(config.seeds)} seeds each"

    def write_report(self) -> str:
        faces, clean = manifest.read(self.manifest("faces")), manifest.read(self.manifest("clean"))
        asked, judge = sum(cell.count for cell in balance.read_plan(self.plan).cells), self.judge("measuring")
        shown = [sheets.relabelled(faces, clean, SHEET_FACES), sheets.dropped(faces, clean, SHEET_FACES)]
        sources = []
        for kind in self.config.generators:
            made, kept = (manifest.read(self.manifest(f"{kind}-{name}")) for name in ("synthetic", "screened"))
            sources.append(describe_source(Source(made, kept, asked), faces, judge))
            shown.append(sheets.generated(made, SHEET_FACES, f"Generated by {kind}, before screening"))
        synthesis = {"note": self.config.note, "sources": sources} if sources else None
        parts = finished_parts(self._experiment_config(), self.root, self.results.parent)
        write_report(
            self.results,
            self.report,
            synthesis=synthesis,
            sheets=shown,
            heat_maps=collect_heat_maps(parts),
            stage_seconds=self.seconds,
        )
        return f"{answer(read_json(self.results))}\n  {self.report}"

    def _generator_config(self, kind: str) -> GeneratorConfig:
        given, of_kind = self.config.generators[kind], generator_kind(kind).config
        return resolve(of_kind, given) if isinstance(given, str) else build(of_kind, given, f"generators.{kind}")

    def _experiment_config(self) -> ExperimentConfig:
        given = self.config.experiment
        return (
            resolve(ExperimentConfig, given) if isinstance(given, str) else build(ExperimentConfig, given, "experiment")
        )

    def _source(self) -> Any:
        """What tells whether the data is still the same without reading all of it."""
        if self.data is None:
            return None
        if not self.data.exists():
            raise FerError(f"{self.data} is missing; expected a FER-2013 download, check DATA=")
        if self.data.is_file():
            return [str(self.data.resolve()), sha256_file(self.data)]
        names = sorted(path.relative_to(self.data).as_posix() for path in self.data.rglob("*"))
        return [str(self.data.resolve()), names]


def _votes_beside(data: Path | None) -> Path | None:
    """FER+ votes in the folder of a csv: people unpack both into one place."""
    if data is None:
        return None
    votes = (data if data.is_dir() else data.parent) / "fer2013new.csv"
    return votes if votes.is_file() else None


def _fer() -> str:
    """How this user calls the command: by name where an environment is active, else by its path."""
    beside = Path(sys.executable).with_name("fer")
    return "fer" if shutil.which("fer") or not beside.exists() else str(beside)
