"""Fill a plan: draw, screen, and draw again, until every cell has what it asks for or the budget is spent.

The screening judge drops; the guide may steer; the measuring judge is not opened here, so that what it says later is
said of faces that were not chosen to please it.
"""

import contextlib
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from classifier.prediction import Classifier, load_classifier
from experiments.fill_budget import BudgetConfig, next_round
from experiments.filled import Filled, Round, drawn_path, join_kept, read_filled, tally, write_filled
from experiments.guides import classifier_sha256, guide_source
from fer_data import manifest as manifests
from fer_data.errors import FerError
from fer_data.expressions import label_names
from fer_data.files import hidden_folders, read_json, refuse_existing, sha256_json, write_json
from fer_data.locks import name_lock
from fer_data.manifest import Manifest, manifest_path
from fer_data.plans import Plan, require_same_labels
from fer_data.progress import SILENT, Reporter, Stage
from generators.checks.real_faces import View
from generators.checks.thresholds import Thresholds, fit_thresholds
from generators.contract import GuideSource
from generators.models import checkpoint_sha256, describe_checkpoint
from generators.sampling import GenerateConfig, generate
from generators.screening import ScreenConfig, screen, table_path


class FillConfig(BudgetConfig):
    """How a plan is filled."""

    generate: GenerateConfig = GenerateConfig()
    screen: ScreenConfig = ScreenConfig()


def fill_plan(
    plan: Plan,
    checkpoints: Sequence[Path],
    training: Manifest,
    judges: Path,
    out: str | Path,
    config: FillConfig,
    reporter: Reporter = SILENT,
    *,
    replace: bool = False,
) -> Filled:
    """Draw faces in rounds and keep those that screening passes, until the plan is full or the budget is spent.

    Rounds lie in a folder beside the output while they are made. The same command again goes on after a kill, and
    ends with the same faces as an undisturbed run where no limit of minutes is set; once it has ended it
    reads what is there.

    Args:
        checkpoints: generators of the plan's label set, which share its faces.
        training: the manifest that they were trained on.
        judges: folder of `fer judges`: `screening` drops faces, `guide` steers unless `guide_scale` is 0.
        out: the manifest of kept faces; all that were drawn go to `<out>-drawn`, why to `<out>.screening.parquet`.

    Raises:
        FerError: another output exists and `replace` is false; plan, checkpoints, training faces and judge do not
            share a label set; whatever `generate` and `screen` refuse.
    """
    out = manifest_path(out)
    require_same_labels(plan, training)
    if not plan.asked:
        raise FerError(
            "the plan asks for no faces; expected a cell whose count is above 0, make another with fer balance"
        )
    work = _Work(plan, tuple(checkpoints), training, judges, config, reporter)
    if not replace and (finished := read_filled(out, work.filling)):
        return finished
    folder = out.with_name(f".{out.stem}.{work.identity}.filling")
    if not folder.is_dir():  # else a killed run may have come as far as writing them
        for path in (out, drawn_path(out), table_path(out)):
            refuse_existing(path, replace=replace)
    with name_lock(out):
        rounds = work.do_rounds(folder)
        filled = write_filled(plan, rounds, training, judges, out, config.model_dump(mode="json"), work.filling)
        for leftover in hidden_folders(out, "filling"):  # of this run, and of others nobody went on with
            shutil.rmtree(leftover)
    return filled


@dataclass(frozen=True)
class _Work:
    """What `fill_plan` was asked for, and what its rounds share."""

    plan: Plan
    checkpoints: tuple[Path, ...]
    training: Manifest
    judges: Path
    config: FillConfig
    reporter: Reporter

    @cached_property
    def identity(self) -> str:
        """Names what decides which faces are drawn and kept; how many at most may change between two runs."""
        config = self.config.model_dump(
            mode="json", exclude={"budget_faces": True, "minutes": True, "generate": {"processes", "chunk"}}
        )
        decisive = {
            "plan": [[*cell.key, cell.count] for cell in self.plan.cells],
            "checkpoints": [checkpoint_sha256(checkpoint) for checkpoint in self.checkpoints],
            "training": self.training.sha256,
            "judge": classifier_sha256(self.judges / "screening"),
            "guide": self.guide.sha256 if self.guide is not None else None,
            "config": config,
        }
        return sha256_json(decisive)[:16]

    @property
    def filling(self) -> dict[str, Any]:
        """Names what was asked for, how many at most included."""
        return {"id": self.identity, "budget_faces": self.config.budget_faces, "minutes": self.config.minutes}

    @cached_property
    def judge(self) -> Classifier:
        """Drops faces."""
        return _of_labels(load_classifier(self.judges / "screening"), self.judges / "screening", self.plan)

    @cached_property
    def guide(self) -> GuideSource | None:
        """Steers the sampling of generators that can be steered, unless the sampling options say 0."""
        given = self.config.generate.sampling
        scales = [
            {**describe_checkpoint(path)["config"].get("sampling", {}), **given}.get("guide_scale", 0)
            for path in self.checkpoints
        ]
        if any(scale == 0 for scale in scales):
            return None
        _of_labels(load_classifier(self.judges / "guide"), self.judges / "guide", self.plan)
        return guide_source(self.judges / "guide")

    @cached_property
    def thresholds(self) -> Thresholds:
        """What real faces are like, learnt once for all rounds."""
        configs = [describe_checkpoint(path)["config"] for path in self.checkpoints]
        view = View(
            self.config.screen.size_px or max(config["size_px"] for config in configs),
            max(config["channels"] for config in configs),
        )
        asked = [cell.key for cell in self.plan.cells if cell.count]
        return fit_thresholds(self.training, self.judge, asked, view, self.config.screen, self.reporter)

    def do_rounds(self, folder: Path) -> list[Round]:
        """Draw and screen until nothing is missing or the budget is spent; rounds that were done are read."""
        rounds: list[Round] = []
        seconds = 0.0
        while True:
            note = folder / f"round-{len(rounds):03d}.json"
            if not note.is_file():
                if self.config.minutes is not None and seconds >= 60 * self.config.minutes:
                    return rounds
                counts = next_round(self.plan, tally(self.plan, rounds), self.config)
                if not counts.any():
                    return rounds
                write_json(note, {"counts": counts.tolist(), "seconds": None})
            told = read_json(note)
            if told["seconds"] is None:
                start = time.monotonic()
                self._do_round(note, rounds, told["counts"])
                told["seconds"] = time.monotonic() - start
                write_json(note, told)
            seconds += told["seconds"]
            rounds.append(Round(*(manifests.read(path) for path in (_drawn(note), _kept(note)))))

    def _do_round(self, note: Path, rounds: Sequence[Round], counts: Sequence[int]) -> None:
        reporter = _InRound(self.reporter, len(rounds) + 1)
        drawn_before = tally(self.plan, rounds).drawn.tolist()
        cells = [replace(cell, count=count) for cell, count in zip(self.plan.cells, counts, strict=True)]
        drawn = _drawn(note)
        if not drawn.is_file():
            made = generate(
                replace(self.plan, cells=tuple(cells)),
                self.checkpoints,
                drawn,
                self.config.generate,
                reporter,
                training=self.training,
                guide=self.guide,
                first=drawn_before,
            )
        else:
            made = manifests.read(drawn)
        earlier = join_kept(rounds, note.with_name("earlier.parquet")) if rounds else None
        screen(
            made,
            self.training,
            self.judge,
            _kept(note),
            self.config.screen,
            reporter,
            earlier=earlier,
            thresholds=self.thresholds,
            replace=True,
        )


@dataclass(frozen=True)
class _InRound:
    """Says which round a stage belongs to."""

    reporter: Reporter
    number: int

    def stage(self, name: str, total: float) -> contextlib.AbstractContextManager[Stage]:
        return self.reporter.stage(f"round {self.number}: {name}", total)


def _of_labels(classifier: Classifier, path: Path, plan: Plan) -> Classifier:
    expected = label_names(plan.label_set)
    if classifier.labels != expected:
        raise FerError(
            f"{path}: expected a classifier of the plan's labels ({', '.join(expected)}), "
            f"found one of {', '.join(classifier.labels)}; train the judges on this label set"
        )
    return classifier


def _drawn(note: Path) -> Path:
    return drawn_path(_kept(note))


def _kept(note: Path) -> Path:
    return note.with_suffix(".parquet")
