"""Weights that are averaged, kept and restored: safetensors and JSON, nothing pickled."""

import contextlib
import copy
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from fer_data.errors import FerError
from fer_data.files import atomic_file


def averaged_copy(network: nn.Module) -> nn.Module:
    """A copy that `average_into` will move; it is in evaluation mode and takes no gradient."""
    return copy.deepcopy(network).eval().requires_grad_(False)


def decay(progress: float) -> float:
    """Factor of the learning rate: 1 until 60 % of the budget is spent, then falling evenly to 2 %."""
    return min(1.0, 2.45 * (1 - progress) + 0.02)


@torch.no_grad()
def average_into(average: nn.Module, network: nn.Module, keep: float, step: int) -> None:
    """One step of an exponential moving average of weights; the first steps forget faster than `keep` says."""
    keep = min(keep, (1 + step) / (10 + step))
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - keep)
    for mean, current in zip(average.buffers(), network.buffers(), strict=True):
        mean.copy_(current)


def network_tensors(prefix: str, network: nn.Module) -> dict[str, Tensor]:
    """The tensors of a network, named `prefix.<name>`."""
    return {f"{prefix}.{name}": tensor.detach() for name, tensor in network.state_dict().items()}


def restore_network(prefix: str, network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """The inverse of `network_tensors`."""
    network.load_state_dict(_inside(prefix, tensors))


def optimiser_tensors(prefix: str, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state of an Adam-like optimiser (all of it tensors), named `prefix.<parameter>.<name>`."""
    state = optimiser.state_dict()["state"]
    return {f"{prefix}.{index}.{name}": tensor for index, values in state.items() for name, tensor in values.items()}


def restore_optimiser(prefix: str, optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """The inverse of `optimiser_tensors`."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _inside(prefix, tensors).items():
        index, key = name.split(".")
        state.setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


@contextlib.contextmanager
def os_errors() -> Iterator[None]:
    """Inside, what the system refused safetensors to write is an OSError with its number, as of Python's own files."""
    try:
        yield
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), str(error)) from error


def write_tensors(path: Path, tensors: Mapping[str, Tensor], note: Mapping[str, Any]) -> None:
    """Write tensors and a JSON-able note as one safetensors file, in one rename.

    Raises:
        FerError: the disk is full; the file that was there stays.
    """
    with atomic_file(path) as partial, os_errors():
        contiguous = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
        save_file(contiguous, partial, metadata={"fer": json.dumps(note)})


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_tensors` wrote.

    Raises:
        FerError: the file is missing or is not such a file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            note = json.loads((file.metadata() or {})["fer"])
            return {name: file.get_tensor(name) for name in file.keys()}, note  # noqa: SIM118
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise FerError(
            f"{path}: expected tensors that fer-data-studio wrote ({error}); delete it to begin anew"
        ) from None


def _inside(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}
