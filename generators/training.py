"""Train a generator: one loop for every kind, resumable to the last bit, with sample sheets on the way.

run_dir/run.json    what is trained on what: another configuration in the same folder is refused
run_dir/checkpoint/ the finished generator; see `generators.models`
run_dir/…           what is written on the way; see `generators.training_run`

`accelerate launch --num_processes N -m fer_cli train-generator …` shares each step among N GPUs; on CPUs it is
`ACCELERATE_USE_CPU=true torchrun --nproc_per_node N -m fer_cli train-generator …`.
"""

import contextlib
from pathlib import Path
from typing import Any

import pyarrow as pa

from fer_data import tables
from fer_data.errors import FerError
from fer_data.files import atomic_folder, read_json, sha256_json, write_json
from fer_data.locks import name_lock
from fer_data.manifest import Manifest
from fer_data.progress import SILENT, Reporter
from fer_data.project import relative
from generators.contract import GeneratorConfig
from generators.devices import computing, open_devices
from generators.models import DESCRIPTION, SEEN, generator_kind
from generators.training_faces import Selection, TrainingFaces, load_faces, select_faces
from generators.training_run import TrainingRun
from generators.weights import os_errors


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
        FerError: an unknown kind; a class with too few faces; `run_dir` holds another run; the loss diverged; the disk
            is full; a precision that the device does not have; a batch that does not divide among the processes;
            another process trains in `run_dir`.
    """
    learner_of = generator_kind(kind).learner
    selection = select_faces(manifest, config.minimum_per_class)
    identity = {"kind": kind, "config": config.identity(), "training_sha256": selection.sha256}
    devices = open_devices(config.mixed_precision)
    with name_lock(run_dir) if devices.is_main else contextlib.nullcontext():
        if devices.is_main:
            _claim(run_dir, identity)
        devices.wait()
        checkpoint = run_dir / "checkpoint"
        if (checkpoint / DESCRIPTION).is_file():
            return checkpoint
        reporter = reporter if devices.is_main else SILENT
        faces = load_faces(selection, config, reporter)
        learner = learner_of(config, faces.vocabulary, devices)

        def publish(folder: Path, steps: int) -> None:
            with atomic_folder(folder) as partial, os_errors():
                learner.save(partial)
                _write_seen(partial / SEEN, selection)
                write_json(partial / DESCRIPTION, _description(kind, config, selection, faces, steps))

        run = TrainingRun(learner, faces, config, run_dir, devices, publish)
        left_out = sum(selection.left_out.values())
        note = f"{len(selection.frame)} faces" + (f", {left_out} training rows left out" if left_out else "")
        total = config.steps if config.steps is not None else 60 * (config.minutes or 0)
        with computing(config.threads), reporter.stage(f"training {kind} on {note}", total) as stage:
            run.finish(stage)
        if devices.is_main:
            publish(checkpoint, run.steps)
        devices.wait()
        return checkpoint


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


def _description(
    kind: str, config: GeneratorConfig, selection: Selection, faces: TrainingFaces, steps: int
) -> dict[str, Any]:
    manifest = selection.manifest
    return {
        "kind": kind,
        "config": config.model_dump(mode="json"),
        "training_sha256": selection.sha256,
        "size_px": config.size_px,
        "channels": config.channels,
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
