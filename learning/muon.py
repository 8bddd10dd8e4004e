"""Muon for convolutions: momentum whose matrices are made orthogonal, so that no direction starves.

Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024), with the step size that Liu et al.,
"Muon is Scalable for LLM Training" (2025), section 2.2, match to Adam's. `torch.optim.Muon` takes matrices only, and
computes in bfloat16; the kernel of a convolution is a matrix of [outputs, inputs * height * width] here.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # Jordan's quintic: five rounds bring singular values to about 0.7..1.2
_ROUNDS = 5


class Muon(torch.optim.Optimizer):
    """Muon for the parameters of at least two dimensions that it is given.

    Args:
        parameters: kernels of convolutions and linear layers between the first and the last layer.
        lr: learning rate, of the size that Adam wants.
        momentum: of the gradients, 0..1, with Nesterov's look ahead.
        weight_decay: decoupled, times the learning rate.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, momentum: float = 0.95, weight_decay: float = 0.01
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            moved = [parameter for parameter in group["params"] if parameter.grad is not None]
            if moved:
                self._move(moved, [parameter.grad for parameter in moved], group)
        return loss

    def _move(self, parameters: list[Tensor], gradients: list[Tensor], group: dict[str, Any]) -> None:
        for parameter in parameters:
            if "momentum" not in self.state[parameter]:
                self.state[parameter]["momentum"] = torch.zeros_like(parameter)
        means = [self.state[parameter]["momentum"] for parameter in parameters]
        torch._foreach_mul_(means, group["momentum"])
        torch._foreach_add_(means, gradients)
        ahead = torch._foreach_add(gradients, means, alpha=group["momentum"])
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        for places in _alike(ahead):
            matrices = torch.stack([ahead[place].flatten(1) for place in places])
            step = 0.2 * max(matrices.shape[1:]) ** 0.5
            for place, matrix in zip(places, orthogonal(matrices), strict=True):
                parameters[place].add_(matrix.view_as(parameters[place]), alpha=-group["lr"] * step)


def orthogonal(matrices: Tensor) -> Tensor:
    """The nearest matrices with orthonormal rows or columns, about: singular values 0.7..1.2; float32 [B, M, N].

    A matrix comes out the same alone or in a batch; a batch spares a GPU most of its many small steps.
    """
    a, b, c = _NEWTON_SCHULZ
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(_ROUNDS):
        square = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def _alike(kernels: Sequence[Tensor]) -> list[list[int]]:
    """Places of kernels that are matrices of the same shape."""
    places: dict[tuple[int, int], list[int]] = {}
    for place, kernel in enumerate(kernels):
        places.setdefault((kernel.shape[0], kernel[0].numel()), []).append(place)
    return list(places.values())
