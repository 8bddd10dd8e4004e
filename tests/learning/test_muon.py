"""Muon: directions of equal strength, momentum, decay, and a state that can be kept."""

import numpy as np
import pytest
import torch
from torch import nn

from learning.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(8, 30), (30, 8), (12, 12)])
def test_orthogonal_keeps_directions_and_evens_out_strengths(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    found = orthogonal(matrix[None])[0]
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    strengths = torch.linalg.svdvals(found)
    assert strengths.min() > 0.4
    assert strengths.max() < 1.3
    agreement = torch.trace((left @ right).T @ found) / (found.norm() * (left @ right).norm())
    assert agreement > 0.97  # against the exact polar factor


def test_kernels_in_one_optimiser_move_as_each_would_alone():
    shapes = [(8, 2, 3, 3), (4, 2, 3, 3), (8, 2, 3, 3), (8, 18), (30, 4)]
    together = [nn.Parameter(torch.ones(shape)) for shape in shapes]
    alone = [nn.Parameter(torch.ones(shape)) for shape in shapes]
    optimisers = [Muon(together, lr=0.1), *(Muon([kernel], lr=0.1) for kernel in alone)]
    for step in range(3):
        for place, kernels in enumerate(zip(together, alone, strict=True)):
            seed = torch.Generator().manual_seed(10 * step + place)
            gradient = torch.randn(shapes[place], generator=seed)
            for kernel in kernels:
                kernel.grad = gradient.clone()
        for optimiser in optimisers:
            optimiser.step()
    for kernel, expected in zip(together, alone, strict=True):
        torch.testing.assert_close(kernel, expected, rtol=1e-6, atol=1e-6)


def test_a_step_follows_the_stated_rule():
    kernel = nn.Parameter(torch.ones(4, 2, 3, 3))
    gradient = torch.randn(4, 2, 3, 3, generator=torch.Generator().manual_seed(2))
    kernel.grad = gradient.clone()
    Muon([kernel], lr=0.1, momentum=0.9, weight_decay=0.5).step()
    direction = orthogonal((1.9 * gradient).flatten(1)[None]).view(4, 2, 3, 3)
    expected = 1 - 0.1 * 0.5 - 0.1 * 0.2 * 18**0.5 * direction
    np.testing.assert_allclose(kernel.detach(), expected, rtol=1e-5, atol=1e-6)


def test_a_kept_state_continues_to_the_last_bit():
    def fresh() -> tuple[nn.Parameter, Muon]:
        kernel = nn.Parameter(torch.zeros(6, 3, 3, 3))
        return kernel, Muon([kernel], lr=0.01)

    def learn(kernel: nn.Parameter, optimiser: Muon, steps: range) -> None:
        for step in steps:
            kernel.grad = torch.randn(kernel.shape, generator=torch.Generator().manual_seed(step))
            optimiser.step()

    whole, optimiser = fresh()
    learn(whole, optimiser, range(6))
    part, first = fresh()
    learn(part, first, range(3))
    again, second = fresh()
    with torch.no_grad():
        again.copy_(part)
    second.load_state_dict(first.state_dict())
    learn(again, second, range(3, 6))
    assert torch.equal(whole, again)


def test_parameters_without_gradient_stay():
    kernel = nn.Parameter(torch.ones(4, 4))
    loss = Muon([kernel], lr=0.1).step(lambda: 3.0)
    assert loss == 3.0
    assert torch.equal(kernel, torch.ones(4, 4))


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("gradient_layout", [torch.channels_last, torch.contiguous_format])
def test_a_kernel_moves_as_pytorchs_matrix_does_whatever_the_layouts(layout, gradient_layout):
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(8, 4, 3, 3, generator=generator)
    kernel = nn.Parameter(start.clone(memory_format=layout))
    matrix = nn.Parameter(start.flatten(1).clone())
    ours = Muon([kernel], 0.02, weight_decay=0.1)
    theirs = torch.optim.Muon([matrix], 0.02, 0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(3):
        gradient = torch.randn(8, 4, 3, 3, generator=generator)
        kernel.grad, matrix.grad = gradient.clone(memory_format=gradient_layout), gradient.flatten(1)
        ours.step()
        theirs.step()
    torch.testing.assert_close(kernel.detach().flatten(1), matrix.detach(), rtol=0.02, atol=2e-3)  # theirs: bf16
    assert not torch.allclose(kernel.detach(), start, atol=1e-2)
    ours.zero_grad()
    assert kernel.grad is None
