"""Between pictures (uint8) and the tensors that networks draw: scale, folding, one noise per seed, fixed batches."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

SAMPLE_BATCH = 32


def to_float(pictures: Tensor) -> Tensor:
    """uint8 [N, C, S, S] to float32 in -1..1."""
    return pictures.float() / 127.5 - 1


def to_uint8(images: Tensor) -> NDArray[np.uint8]:
    """float32 [N, C, S, S] in about -1..1 to uint8, rounded and clipped."""
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu().numpy()


def fold(images: Tensor) -> Tensor:
    """[N, C, S, S] to [N, 4C, S/2, S/2]: 2x2 pixels become channels, which makes a network four times cheaper."""
    return F.pixel_unshuffle(images, 2)


def unfold(folded: Tensor) -> Tensor:
    """The inverse of `fold`."""
    return F.pixel_shuffle(folded, 2)


def noise(seeds: NDArray[np.int64], shape: tuple[int, ...]) -> Tensor:
    """Standard normal noise float32 [N, *shape], each row from its own generator seeded with its own seed."""
    rows = [torch.randn(shape, generator=torch.Generator().manual_seed(int(seed))) for seed in seeds]
    return torch.stack(rows) if rows else torch.zeros(0, *shape)


@torch.inference_mode()
def draw_in_batches(
    draw: Callable[..., Tensor],
    conditions: NDArray[np.int64],
    seeds: NDArray[np.int64],
    noise_shape: tuple[int, ...],
    picture_shape: tuple[int, int, int],
    *given: Tensor,
    batch: int = SAMPLE_BATCH,
) -> NDArray[np.uint8]:
    """Call `draw(noise, conditions, *given)` on batches of always `batch` rows; uint8 [N, *picture_shape].

    What else is `given` to draw has N rows too.

    A matrix product picks its algorithm by batch size and rounds accordingly. With padded batches of one size, a
    seed gives the same picture alone or in a batch, to the last bit.
    """
    out = np.empty((len(seeds), *picture_shape), dtype=np.uint8)
    for start in range(0, len(seeds), batch):
        rows = np.arange(start, start + batch).clip(max=len(seeds) - 1)
        inputs = torch.from_numpy(conditions[rows]), *(each[rows] for each in given)
        images = draw(noise(seeds[rows], noise_shape), *inputs)
        taken = min(batch, len(seeds) - start)
        out[start : start + taken] = to_uint8(images)[:taken]
    return out
