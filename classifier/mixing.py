"""Two faces in one: mixup and CutMix over a whole batch.

Every face keeps at least half of itself: mixing with a face at random is symmetric, so the larger share may as well be
its own, and what is recorded of a face during training (`classifier/dynamics.py`) still speaks of that face.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def mix(
    images: Tensor, targets: Tensor, weights: Tensor, *, mixup: float, cutmix: float, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """A batch whose faces are mixed with each other; where both ways are on, each batch takes one of them.

    The loss of a mixed face is the weighted mean of the losses of both, whatever their weights.

    Args:
        images: float32 [N, C, S, S].
        targets: float32 [N, K], rows sum to 1.
        weights: float32 [N], factor of each face's loss.
        mixup: alpha of Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018; 0 for none.
        cutmix: alpha of Yun et al., "CutMix", ICCV 2019; 0 for none.
        rng: from which partners, shares and places are drawn.

    Returns:
        Images, targets and weights of the same shapes.
    """
    if not (mixup or cutmix):
        return images, targets, weights
    cutting = cutmix > 0 and (mixup == 0 or rng.random() < 0.5)
    alpha = cutmix if cutting else mixup
    partners = torch.from_numpy(rng.permutation(len(images))).to(images.device)
    draws = rng.beta(alpha, alpha, len(images))
    own = np.maximum(draws, 1 - draws)
    if cutting:
        hole = _holes(1 - own, images.shape[2], images.shape[3], rng)
        own = 1 - hole.mean(axis=(1, 2))
        images = torch.where(torch.from_numpy(hole).unsqueeze(1).to(images.device), images[partners], images)
    share = torch.from_numpy(own.astype(np.float32)).to(images.device)
    if not cutting:
        images = torch.lerp(images[partners], images, share.view(-1, 1, 1, 1))
    mine, theirs = share * weights, (1 - share) * weights[partners]
    mixed = mine + theirs
    part = torch.where(mixed > 0, mine / mixed, share).unsqueeze(1)
    return images, torch.lerp(targets[partners], targets, part), mixed


def _holes(areas: NDArray[np.float64], height: int, width: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Rectangles shaped as the picture, bool [N, height, width], of about these shares of it; cut off at the border."""
    sides = np.sqrt(areas)
    places = rng.random((2, len(areas)))
    inside = []
    for length, centre in zip((height, width), places, strict=True):
        lines = (np.arange(length) + 0.5) / length
        inside.append(np.abs(lines - centre[:, None]) < sides[:, None] / 2)
    return inside[0][:, :, None] & inside[1][:, None, :]
