"""Train a generator: one loop for every kind, resumable to the last bit, with sample sheets on the way.

run_dir/run.json          what is trained on what: another configuration in the same folder is refused
run_dir/state.safetensors where a killed run goes on
run_dir/history.json      losses over steps
run_dir/sheet.png         every class under some conditions, as the generator stands
run_dir/checkpoint/       the finished generator; see `generators.models`
"""

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from fer_data import tables
from fer_data.errors import FerError
from fer_data.files import atomic_folder, read_json, sha256_json, write_json
from fer_data.manifest import Manifest
from fer_data.progress import SILENT, Reporter, Stage
from fer_data.project import relative
from generators.contract import GeneratorConfig, Learner
from generators.models import DESCRIPTION, SEEN, generator_kind
from generators.pixels import to_float
from generators.sheet import write_sheet
from generators.training_faces import Selection, TrainingFaces, load_faces, select_faces
from generators.weights import read_tensors, write_tensors

_RECORD_EVERY = 50  # steps between entries of the history


def train_generator(
    kind: str, manifest: Manifest, config: GeneratorConfig, run_dir: Path, reporter: Reporter = SILENT
) -> Path:
    """Train a generator on the training split of a manifest.

    Faces whose group or picture is also in validation or test, unlabelled and synthetic ones are left out and
    counted in `generator.json`. The same command again goes on where a killed run was, or returns at once.

    Args:
        kind: a name of `generators.models.GENERATORS`.
        config: of that kind's configuration class.

    Returns:
        The checkpoint folder, `run_dir / "checkpoint"`.

    Raises:
        FerError: an unknown kind; a class with too few faces; `run_dir` holds another run; the loss diverged.
    """
    learner_of = generator_kind(kind).learner
    selection = select_faces(manifest, config.minimum_per_class)
    identity = {"kind": kind, "config": config.model_dump(mode="json"), "training_sha256": selection.sha256}
    _claim(run_dir, identity)
    checkpoint = run_dir / "checkpoint"
    if (checkpoint / DESCRIPTION).is_file():
        return checkpoint
    faces = load_faces(selection, config, reporter)
    learner = learner_of(config, faces.vocabulary)
    run = _Run(learner, faces, config, run_dir / "state.safetensors")
    left_out = sum(selection.left_out.values())
    note = f"{len(selection.frame)} faces" + (f", {left_out} training rows left out" if left_out else "")
    total = config.steps if config.steps is not None else 60 * (config.minutes or 0)
    with reporter.stage(f"training {kind} on {note}", total) as stage:
        run.finish(stage, run_dir)
    write_json(run_dir / "history.json", run.history)
    write_sheet(run_dir / "sheet.png", learner.generator())
    with atomic_folder(checkpoint) as folder:
        learner.save(folder)
        _write_seen(folder / SEEN, selection)
        write_json(folder / DESCRIPTION, _description(identity, selection, faces, run.steps))
    return checkpoint


class _Run:
    """The loop and what it must remember to be resumed: the learner's tensors, steps, seconds and history."""

    def __init__(self, learner: Learner, faces: TrainingFaces, config: GeneratorConfig, state: Path) -> None:
        self._learner, self._faces, self._config, self._state = learner, faces, config, state
        self.steps, self.seconds = 0, 0.0
        self.history: list[dict[str, float]] = []
        self._since_record: list[dict[str, float]] = []
        if state.is_file():
            tensors, note = read_tensors(state)
            learner.load_state(tensors)
            self.steps, self.seconds = note["steps"], note["seconds"]
            self.history, self._since_record = note["history"], note["since_record"]

    def progress(self) -> float:
        """Share of the budget that is spent, 0..1."""
        if self._config.steps is not None:
            return min(1.0, self.steps / self._config.steps)
        return min(1.0, self.seconds / (60 * (self._config.minutes or 0)))

    def finish(self, stage: Stage, run_dir: Path) -> None:
        """Train until the budget is spent."""
        by_steps = self._config.steps is not None
        stage.advance(self.steps if by_steps else self.seconds, "resumed" if self.steps else "")
        while self.progress() < 1:
            started = time.monotonic()
            losses = self._step()
            if self.steps % self._config.sheet_every == 0:
                write_sheet(run_dir / "sheet.png", self._learner.generator())
            took = time.monotonic() - started
            self.seconds += took
            if self.steps % self._config.keep_every == 0:
                self._keep()
            told = "  ".join(f"{name} {value:.3f}" for name, value in losses.items())
            stage.advance(1 if by_steps else took, told)

    def _step(self) -> dict[str, float]:
        pictures, conditions = self._faces.batch(self.steps, self._config)
        seed = np.random.SeedSequence([self._config.seed, self.steps]).generate_state(1, np.uint64)[0] >> 1
        random = torch.Generator().manual_seed(int(seed))
        losses = self._learner.step(to_float(pictures), conditions, self.progress(), random)
        if not all(math.isfinite(value) for value in losses.values()):
            raise FerError(
                f"training diverged at step {self.steps + 1}: expected finite losses, found {losses}; "
                "start again in another folder with a lower learning_rate"
            )
        self.steps += 1
        self._since_record.append(losses)
        if len(self._since_record) == _RECORD_EVERY:
            means = {name: float(np.mean([entry[name] for entry in self._since_record])) for name in losses}
            self.history.append({"step": self.steps, **means})
            self._since_record.clear()
        return losses

    def _keep(self) -> None:
        note = {
            "steps": self.steps,
            "seconds": self.seconds,
            "history": self.history,
            "since_record": self._since_record,
        }
        write_tensors(self._state, self._learner.state(), note)


def _claim(run_dir: Path, identity: dict[str, Any]) -> None:
    """Write what this folder trains, or refuse where it trains something else."""
    path = run_dir / "run.json"
    if not path.is_file():
        write_json(path, identity)
        return
    found = read_json(path)
    if sha256_json(found) == sha256_json(identity):
        return
    if found.get("training_sha256") != identity["training_sha256"] or found.get("kind") != identity["kind"]:
        what = f"{found.get('kind')} on other training faces"
    else:
        before, now = found["config"], identity["config"]
        keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
        what = ", ".join(f"{key} = {before.get(key)!r} (now {now.get(key)!r})" for key in keys)
    raise FerError(f"{run_dir} holds another run: {what}; choose another folder, or the same configuration to go on")


def _write_seen(path: Path, selection: Selection) -> None:
    columns = selection.frame[["sample_id", "group_id"]]
    table = pa.Table.from_pandas(columns, preserve_index=False)
    tables.write_table(
        path, table, tables.provenance("seen", "train-generator", manifest_sha256=selection.manifest.sha256)
    )


def _description(identity: dict[str, Any], selection: Selection, faces: TrainingFaces, steps: int) -> dict[str, Any]:
    manifest, config = selection.manifest, identity["config"]
    return {
        **identity,
        "size_px": config["size_px"],
        "channels": config["channels"],
        "label_set": manifest.label_set,
        "vocabulary": faces.vocabulary.as_dict(),
        "steps": steps,
        "faces": {name: int(count) for name, count in selection.frame["label"].value_counts().items()},
        "left_out": selection.left_out,
        "licence": dict(manifest.metadata["licence"]),
        "manifest": relative(manifest.path, manifest.root),
        "manifest_sha256": manifest.sha256,
        "code_version": tables.code_version(),
    }
