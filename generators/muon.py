"""Muon for convolutions: momentum whose matrices are made orthogonal, so that no direction starves.

Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024), with the step size that Liu et al.,
"Muon is Scalable for LLM Training" (2025), section 2.2, match to Adam's. `torch.optim.Muon` takes matrices only; the
UNets here are convolutions, whose kernels are matrices of [outputs, inputs * height * width].
"""

from collections.abc import Callable, Iterable
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
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group)
        return loss

    def _move(self, parameter: nn.Parameter, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        mean = state["momentum"].mul_(group["momentum"]).add_(gradient)
        ahead = gradient.add(mean, alpha=group["momentum"]).flatten(1)
        step = 0.2 * max(ahead.shape) ** 0.5
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(orthogonal(ahead).view_as(parameter), alpha=-group["lr"] * step)


def orthogonal(matrix: Tensor) -> Tensor:
    """The nearest matrix with orthonormal rows or columns, about: singular values 0.7..1.2; float32 [M, N]."""
    a, b, c = _NEWTON_SCHULZ
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(_ROUNDS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if tall else x
