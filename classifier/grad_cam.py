"""Which parts of a face spoke for a label: Grad-CAM heat maps.

Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", ICCV 2017,
equations 1 and 2: the maps of a convolutional stage, each weighted by the mean gradient of the label's logit in it,
summed, and what speaks against the label cut off.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from classifier.data import to_input
from classifier.models import FaceClassifier
from fer_data.errors import FerError

_BATCH = 256
_LEAST_PLACES = 3  # what a last pooling leaves tells nothing apart


def heat_maps(model: FaceClassifier, images: Tensor, classes: Tensor, *, mirror: bool) -> Tensor:
    """How much each place of a face spoke for a class, float32 [N, S, S] on the CPU, 0..1.

    Each map has its largest value at 1, or is all 0 where nothing spoke for the class. It is as fine as the last
    convolutional stage, 3x3 places for a thin ResNet that sees 48 px.

    Args:
        images: uint8 [N, C, S, S] of the model's size and channels.
        classes: int64 [N], which class is explained.
        mirror: average with the map of the mirror image, for a model that judges by both.

    Raises:
        FerError: the network has no such stage.
    """
    training = model.training
    model.eval()
    device = model.head.weight.device
    maps = torch.empty(len(images), *images.shape[2:])
    stage = _find_stage(model, to_input(images[:1].to(device))) if len(images) else model.body
    for start in range(0, len(images), _BATCH):
        batch = to_input(images[start : start + _BATCH].to(device))
        wanted = classes[start : start + _BATCH].to(device)
        weighted = _weighted_maps(model, stage, batch, wanted)
        if mirror:
            weighted = weighted + _weighted_maps(model, stage, batch.flip(3), wanted).flip(2)
        maps[start : start + _BATCH] = _at_size(weighted, images.shape[2:]).cpu()
    model.train(training)
    return maps


def _find_stage(model: FaceClassifier, one: Tensor) -> nn.Module:
    """The part of the body that is the last to give out maps of enough places.

    Raises:
        FerError: there is none.
    """
    found: list[nn.Module] = []

    def look(part: nn.Module, _: Any, out: Any) -> None:
        if isinstance(out, Tensor) and out.ndim == 4 and min(out.shape[2:]) >= _LEAST_PLACES:
            found.append(part)

    hooks = [part.register_forward_hook(look) for part in model.body.modules()]
    try:
        with torch.no_grad():
            model(one)
    finally:
        for hook in hooks:
            hook.remove()
    if not found:
        raise FerError(
            f"heat maps: expected a network with convolutions that tell {_LEAST_PLACES}x{_LEAST_PLACES} places of a "
            f"face of {one.shape[3]} px apart, found none; explain the predictions of another model"
        )
    return found[-1]


def _weighted_maps(model: FaceClassifier, stage: nn.Module, batch: Tensor, classes: Tensor) -> Tensor:
    """Equation 2 without its upsampling, float32 [N, s, s] >= 0. Only what follows the stage is differentiated."""
    held: list[Tensor] = []

    def hold(_: nn.Module, __: Any, out: Tensor) -> Tensor:
        held.append(out.detach().requires_grad_())
        return held[-1].clone()  # what follows may work in place

    hook = stage.register_forward_hook(hold)
    try:
        with torch.enable_grad():
            logits = model(batch)
            spoken = logits.gather(1, classes[:, None]).sum()
            gradients = torch.autograd.grad(spoken, held[0])[0]
    finally:
        hook.remove()
    with torch.no_grad():
        weights = gradients.mean(dim=(2, 3), keepdim=True)
        return F.relu((weights * held[0]).sum(dim=1)).float()


def _at_size(maps: Tensor, size: torch.Size) -> Tensor:
    """Maps as fine as the picture, each divided by its largest value."""
    smooth = F.interpolate(maps[:, None], tuple(size), mode="bilinear", align_corners=False)[:, 0]
    largest = smooth.amax(dim=(1, 2), keepdim=True)
    return torch.where(largest > 0, smooth / largest.clamp(min=torch.finfo(smooth.dtype).tiny), 0)
