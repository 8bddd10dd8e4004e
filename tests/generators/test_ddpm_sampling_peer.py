"""The 1,000-step DDPM that few-step sampling is compared with is a correct one."""

import numpy as np
import pytest
import torch

from benchmarks.peers.ddpm_sampling import draw_ddpm, even_betas
from generators.pixels import noise


def test_the_schedule_has_the_levels_of_the_flow():
    kept = np.cumprod(1 - even_betas(1000))
    ratio = np.sqrt((1 - kept) / kept)
    assert np.allclose(ratio / (1 + ratio), np.arange(1, 1001) / 1001)


def test_gaussian_pixels_come_out_with_their_mean_and_spread():
    spread = 0.2

    def velocity(images, level, conditions):
        mean = conditions[:, 0].float()[:, None, None, None] * 0.4 - 0.2
        variance = ((1 - level) * spread) ** 2 + level**2
        return -mean + (level - (1 - level) * spread**2) / variance * (images - (1 - level) * mean)

    conditions = torch.tensor([[0, 0, 0], [1, 0, 0]])
    start = noise(np.arange(2), (1, 64, 64))
    pictures = draw_ddpm(velocity, start, conditions, seed=0)
    for picture, mean in zip(pictures, (-0.2, 0.2), strict=True):
        assert picture.mean().item() == pytest.approx(mean, abs=0.015)
        assert picture.std().item() == pytest.approx(spread, abs=0.01)
    assert abs(np.corrcoef(pictures.ravel(), start.ravel())[0, 1]) < 0.1  # the start is forgotten on the way
    assert torch.equal(draw_ddpm(velocity, start, conditions, seed=0), pictures)
    assert not torch.equal(draw_ddpm(velocity, start, conditions, seed=1), pictures)
