"""Folders and files of a training run: safetensors and JSON, each appearing complete or not at all.

run.json            which configuration and which data this run is of
state.safetensors   all that a killed run needs to go on; gone when the run is finished
history.json        losses and validation scores, one entry per evaluation
checkpoint/         model.safetensors and classifier.json, and dynamics.safetensors where margins are kept; there when
                    the run is finished
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim import Optimizer

from classifier.dynamics import Dynamics
from classifier.recipe import completed
from fer_data.errors import FerError
from fer_data.files import atomic_file, atomic_folder, read_json, write_json

IDENTITY = ("configuration", "labels", "train_sha256", "val_sha256", "weights_sha256")  # keys of run.json
_STATE = "state.safetensors"


def checkpoint_folder(run_dir: Path) -> Path:
    """Where a finished run's classifier lies."""
    return run_dir / "checkpoint"


def open_run(run_dir: Path, identity: Mapping[str, Any], *, replace: bool) -> bool:
    """Make `run_dir` the folder of the run with this identity, or go on in it.

    Args:
        identity: JSON-able; equal for runs that must give the same result.
        replace: throw away what another run left in the folder.

    Returns:
        Whether the run is finished.

    Raises:
        FerError: the folder holds a run with another identity, or things that no run wrote.
    """
    file = run_dir / "run.json"
    if file.is_file():
        found = _with_new_keys(read_json(file))
        if found == _with_new_keys(json.loads(json.dumps(identity))):
            return checkpoint_folder(run_dir).is_dir()
        if not replace:
            raise FerError(
                f"{run_dir} holds a run with another {_difference(found, identity)}; "
                "choose another run_dir or add --replace"
            )
        shutil.rmtree(run_dir)
    elif run_dir.exists() and any(run_dir.iterdir()):
        raise FerError(
            f"{run_dir}: expected a training run or an empty folder, found other files; choose another run_dir"
        )
    write_json(file, identity)
    return False


def save_state(
    run_dir: Path,
    networks: Mapping[str, Mapping[str, Tensor]],
    optimisers: Sequence[Optimizer],
    progress: Mapping[str, Any],
) -> None:
    """Write all that a resumed run needs as one file in one rename.

    Args:
        networks: name → state dict ("model", "averaged", "best").
        progress: JSON-able facts, kept in the file's header.
    """
    tensors = {f"{name}/{key}": value for name, state in networks.items() for key, value in state.items()}
    for number, optimiser in enumerate(optimisers):
        for index, state in optimiser.state_dict()["state"].items():
            known = {key: value for key, value in state.items() if value is not None}
            tensors |= {f"optimiser {number}/{index}/{key}": value for key, value in known.items()}
    own = {key: value.detach().contiguous().cpu() for key, value in tensors.items()}
    with atomic_file(run_dir / _STATE) as partial:
        save_file(own, partial, metadata={"progress": json.dumps(progress)})


def load_state(
    run_dir: Path, optimisers: Sequence[Optimizer]
) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]] | None:
    """Read what `save_state` wrote, give the optimisers their parts, and return networks and progress.

    Returns:
        None where the run has not saved yet.

    Raises:
        FerError: the file is damaged, or another optimiser's.
    """
    file = run_dir / _STATE
    if not file.is_file():
        return None
    try:
        with safe_open(file, "pt") as stored:
            progress = json.loads(stored.metadata()["progress"])
            tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, TypeError) as error:
        raise FerError(
            f"{file}: expected the state of a run, found a damaged file ({error}); delete it to begin anew"
        ) from None
    parts: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, _, rest = key.partition("/")
        parts.setdefault(name, {})[rest] = value
    for number, optimiser in enumerate(optimisers):
        _restore(optimiser, parts.pop(f"optimiser {number}", {}), file)
    return parts, progress


def _restore(optimiser: Optimizer, moments: Mapping[str, Tensor], file: Path) -> None:
    """Give an optimiser its state, index of the parameter / name → tensor, in the memory order it had."""
    state: dict[int, dict[str, Tensor]] = {}
    parameters = [value for group in optimiser.param_groups for value in group["params"]]
    for key, value in moments.items():
        index, _, name = key.partition("/")
        parameter = parameters[int(index)]
        if value.shape == parameter.shape:  # fused kernels read a moment in its parameter's memory order
            value = torch.empty_like(parameter).copy_(value)
        elif value.numel() > 1:
            raise FerError(
                f"{file}: expected the state of {type(optimiser).__name__}, found {name} of shape {list(value.shape)} "
                f"for a parameter of shape {list(parameter.shape)}; another version wrote it; delete it to begin anew"
            )
        state.setdefault(int(index), {})[name] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def write_checkpoint(
    run_dir: Path, state: Mapping[str, Tensor], description: Mapping[str, Any], dynamics: Dynamics | None = None
) -> Path:
    """Finish a run: its classifier appears, with the margins that were kept; its state for resuming goes."""
    folder = checkpoint_folder(run_dir)
    with atomic_folder(folder) as partial:
        tensors = {key: value.detach().contiguous().cpu() for key, value in state.items()}
        save_file(tensors, partial / "model.safetensors")
        write_json(partial / "classifier.json", description)
        if dynamics is not None:
            dynamics.write(partial)
    (run_dir / _STATE).unlink(missing_ok=True)
    return folder


def read_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights and the description of a classifier.

    Raises:
        FerError: the folder is no finished classifier, or its files are damaged.
    """
    if not (folder / "classifier.json").is_file():
        raise FerError(f"{folder}: expected a classifier (classifier.json), found none; train one, or check the path")
    description = read_json(folder / "classifier.json")
    try:
        return load_file(folder / "model.safetensors"), description
    except (SafetensorError, OSError) as error:
        raise FerError(f"{folder / 'model.safetensors'} cannot be read ({error}); train again") from None


def _with_new_keys(identity: Mapping[str, Any]) -> dict[str, Any]:
    return {**identity, "configuration": completed(identity.get("configuration", {}))}


def _difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """What differs first between two identities, in words."""
    before, after = found.get("configuration", {}), dict(wanted["configuration"])
    for key, value in after.items():
        if before.get(key) != value:
            return f"configuration ({key}: {before.get(key)!r} there, {value!r} here)"
    return "set of labels" if found.get("labels") != list(wanted["labels"]) else "set of training or validation faces"
