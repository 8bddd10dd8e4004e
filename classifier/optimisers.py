"""Optimisers: SGD, AdamW, and Muon for kernels. Weight decay spares biases and norms."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from classifier.models import FaceClassifier
from classifier.recipe import TrainConfig
from learning.muon import Muon


def build_optimisers(model: FaceClassifier, config: TrainConfig) -> list[Optimizer]:
    """What moves the weights of a model, step by step, all at the same learning rate.

    `sgd` has Nesterov momentum 0.9. `muon` moves the kernels between the first layer and the head; AdamW moves the
    rest, as Muon's authors advise.
    """
    rate, decay = config.learning_rate, config.weight_decay
    parameters = list(model.parameters())
    if config.optimizer == "sgd":
        return [torch.optim.SGD(_groups(parameters, decay), rate, momentum=0.9, nesterov=True, fused=True)]
    if config.optimizer == "adamw":
        return [torch.optim.AdamW(_groups(parameters, decay), rate, fused=True)]
    kernels = inner_kernels(model)
    chosen = {id(kernel) for kernel in kernels}
    others = [value for value in parameters if id(value) not in chosen]
    adamw = torch.optim.AdamW(_groups(others, decay), rate, fused=True)
    return [Muon(kernels, rate, weight_decay=decay), adamw] if kernels else [adamw]


def set_learning_rate(optimisers: Sequence[Optimizer], rate: float) -> None:
    """Give every group of parameters this learning rate."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = rate


def inner_kernels(model: FaceClassifier) -> list[nn.Parameter]:
    """Kernels of convolutions and linear layers of the body, but for its first layer."""
    layers = [layer for layer in model.body.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    return [layer.weight for layer in layers[1:]]


def _groups(parameters: Sequence[nn.Parameter], decay: float) -> list[dict[str, Any]]:
    decayed = [value for value in parameters if value.ndim > 1]
    spared = [value for value in parameters if value.ndim <= 1]
    return [{"params": decayed, "weight_decay": decay}, {"params": spared, "weight_decay": 0.0}]
