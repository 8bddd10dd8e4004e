"""Optimisers: SGD, AdamW, and Muon for kernels. Weight decay spares biases and norms."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from classifier.models import FaceClassifier
from classifier.recipe import TrainConfig


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
    return [KernelMuon(kernels, rate, decay), adamw] if kernels else [adamw]


def set_learning_rate(optimisers: Sequence[Optimizer], rate: float) -> None:
    """Give every group of parameters this learning rate."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = rate


def inner_kernels(model: FaceClassifier) -> list[nn.Parameter]:
    """Kernels of convolutions and linear layers of the body, but for its first layer."""
    layers = [layer for layer in model.body.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    return [layer.weight for layer in layers[1:]]


class KernelMuon(torch.optim.Muon):
    """PyTorch's Muon, which takes matrices only, for kernels of convolutions.

    A kernel is the matrix [outputs, inputs * height * width] that shares its memory. Jordan et al., "Muon: An optimizer
    for hidden layers in neural networks", 2024, with the step size that Liu et al., "Muon is Scalable for LLM
    Training", 2025, section 2.2, match to Adam's: the learning rates of AdamW serve.

    Args:
        kernels: parameters of two or four dimensions that stay where they are in memory.
        lr: learning rate.
        weight_decay: decoupled, times the learning rate.
    """

    def __init__(self, kernels: Iterable[nn.Parameter], lr: float, weight_decay: float) -> None:
        self._kernels = list(kernels)
        matrices = [nn.Parameter(_as_matrix(kernel.detach(), kernel)) for kernel in self._kernels]
        super().__init__(matrices, lr, weight_decay, adjust_lr_fn="match_rms_adamw")

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Move every kernel that has a gradient."""
        for kernel, matrix in zip(self._kernels, self.param_groups[0]["params"], strict=True):
            matrix.grad = None if kernel.grad is None else _as_matrix(kernel.grad, kernel)
        return super().step(closure)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of the kernels."""
        super().zero_grad(set_to_none)
        for kernel in self._kernels:
            kernel.grad = None


def _as_matrix(values: Tensor, kernel: nn.Parameter) -> Tensor:
    """Values shaped as a kernel, as a matrix whose columns stand in the order in which the kernel lies in memory."""
    if kernel.ndim == 4 and not kernel.is_contiguous():  # channels last
        values = values.permute(0, 2, 3, 1)
    return values.flatten(1)


def _groups(parameters: Sequence[nn.Parameter], decay: float) -> list[dict[str, Any]]:
    decayed = [value for value in parameters if value.ndim > 1]
    spared = [value for value in parameters if value.ndim <= 1]
    return [{"params": decayed, "weight_decay": decay}, {"params": spared, "weight_decay": 0.0}]
