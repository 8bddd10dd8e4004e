"""Pretrained weights from a file on this machine: nothing is downloaded."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from fer_data.errors import FerError

_LEAST_SHARE = 0.9  # of a body's tensors that a file must fill


def load_body(body: nn.Module, file: Path) -> None:
    """Fill a body from a safetensors file as torchvision, timm or this project names its tensors.

    A stem made for colour is summed over its channels where the body sees grey; one made for grey is spread evenly
    over three. A stem of another kernel stays as it was drawn, and a head is not taken.

    Raises:
        FerError: no such file, not safetensors, fewer than nine tenths of the body's tensors fit, or weights
            that are not finite.
    """
    try:
        stored = load_file(file)
    except (OSError, SafetensorError) as error:
        raise FerError(f"weights {file}: expected a safetensors file, found {error}; check the path") from None
    own = body.state_dict()
    found: dict[str, Tensor] = {}
    for key, value in stored.items():
        key = key.removeprefix("body.")
        if key in own:
            value = _recoloured(value, own[key])
            if value.shape == own[key].shape:
                found[key] = value
    if len(found) < _LEAST_SHARE * len(own):
        raise FerError(
            f"weights {file}: expected the tensors of this model, found {len(found)} of {len(own)} that fit; "
            "choose the model that the file was trained with"
        )
    broken = [key for key, value in found.items() if not torch.isfinite(value).all()]
    if broken:
        raise FerError(
            f"weights {file}: expected finite numbers, found others in {len(broken)} tensors (first: {broken[0]}); "
            "use another file"
        )
    body.load_state_dict({**own, **found})


def _recoloured(value: Tensor, own: Tensor) -> Tensor:
    """A kernel for the colours that the body sees, where it is one for others."""
    if value.ndim != 4 or own.ndim != 4:
        return value
    seen, wanted = value.shape[1], own.shape[1]
    if (seen, wanted) == (3, 1):
        return value.sum(dim=1, keepdim=True)
    if (seen, wanted) == (1, 3):
        return value.expand(-1, 3, -1, -1) / 3
    return value
