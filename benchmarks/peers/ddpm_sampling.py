"""Ancestral sampling in 1,000 steps with `diffusers`' own DDPMScheduler, on a velocity that flow matching learnt.

Ho, Jain & Abbeel, "Denoising Diffusion Probabilistic Models" (NeurIPS 2020), algorithm 2. Flow matching mixes
x_s = (1 - s) x + s e. Divided by √((1 - s)² + s²) that is the variance-preserving mixture √ᾱ x + √(1 - ᾱ) e of DDPM
with ᾱ = (1 - s)² / ((1 - s)² + s²), and the network's velocity v = e - x tells the noise as e = x_s + (1 - s) v. So the
same weights serve; the schedule is the one whose levels s are even between the ends of the flow's path.
"""

from collections.abc import Callable

import numpy as np
import torch
from diffusers import DDPMScheduler
from numpy.typing import NDArray
from torch import Tensor

STEPS = 1000

# Pictures float32 [N, C, S, S], their noise level float32 [] and conditions int64 [N, 3] to velocities; see
# `generators.diffusion_sampling.Diffusion.velocity`.
Velocity = Callable[[Tensor, Tensor, Tensor], Tensor]


def even_betas(steps: int = STEPS) -> NDArray[np.float64]:
    """The variances of DDPM's steps, float64 [steps], for even levels 1 / (steps + 1) … steps / (steps + 1)."""
    levels = np.arange(1, steps + 1) / (steps + 1)
    kept = (1 - levels) ** 2 / ((1 - levels) ** 2 + levels**2)
    return 1 - kept / np.concatenate([[1.0], kept[:-1]])


@torch.inference_mode()
def draw_ddpm(velocity: Velocity, noise: Tensor, conditions: Tensor, seed: int, steps: int = STEPS) -> Tensor:
    """Draw pictures float32 [N, C, S, S] in about -1..1.

    Args:
        noise: float32 [N, C, S, S], where the path starts.
        conditions: int64 [N, 3].
        seed: of the noise that is added on the way.
    """
    scheduler = DDPMScheduler(num_train_timesteps=steps, trained_betas=even_betas(steps))
    scheduler.set_timesteps(steps)
    random = torch.Generator().manual_seed(seed)
    images = noise
    for time in scheduler.timesteps:
        kept = scheduler.alphas_cumprod[time]
        ratio = ((1 - kept) / kept).sqrt()
        level = ratio / (1 + ratio)
        mixed = images * ((1 - level) ** 2 + level**2).sqrt()
        predicted = mixed + (1 - level) * velocity(mixed, level, conditions)
        images = scheduler.step(predicted, time, images, generator=random).prev_sample
    return images
