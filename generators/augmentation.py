"""Pictures that a critic sees shifted and cut, so that it does not learn few faces by heart; gradients pass through.

Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training" (NeurIPS 2020). No brightness or contrast,
which the paper also changes: light is one of our conditions.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def draw_changes(count: int, size_px: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """How `augment` changes pictures: shifts and centres of holes, int64 [N, 2], and chances in 0..1, [N]."""
    reach = max(1, size_px // 8)
    shift = torch.randint(-reach, reach + 1, (count, 2), generator=generator)
    return shift, torch.randint(0, size_px, (count, 2), generator=generator), torch.rand(count, generator=generator)


def augment(images: Tensor, share: float, shift: Tensor, centre: Tensor, chance: Tensor) -> Tensor:
    """Shift by up to an eighth and cut out a square of half the size, in a share of the pictures, differentiably.

    Args:
        images: float32 [N, C, S, S].
        share: probability of each picture, 0..1.
        shift, centre, chance: N rows of what `draw_changes` draws.
    """
    if not share:
        return images
    size = images.shape[-1]
    reach = max(1, size // 8)
    padded = F.pad(images, (reach,) * 4)
    place = torch.arange(size, device=images.device)
    rows = (place + reach + shift[:, :1])[:, :, None]
    columns = (place + reach + shift[:, 1:])[:, None, :]
    pictures = torch.arange(len(images), device=images.device)[:, None, None]
    shifted = padded[pictures, :, rows, columns].permute(0, 3, 1, 2)
    near = (place - centre[:, :, None]).abs() < size // 4  # [N, 2, S]
    hole = near[:, 0, :, None] & near[:, 1, None, :]
    return torch.where((chance < share)[:, None, None, None], shifted * ~hole[:, None], images)
