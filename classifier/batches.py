"""What each step of a training sees: rows drawn, pictures varied and mixed, the same for the same step in every run."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from classifier.augmentation import augment
from classifier.data import BalancedOrder, Faces, ShuffledOrder, step_seed, to_input
from classifier.losses import even_out, smooth
from classifier.mixing import mix
from classifier.recipe import TrainConfig

_MEMORY_SHARE = 0.25  # of a GPU's free memory that the pictures may take


class Batch(NamedTuple):
    """Faces of one step, on the device that learns from them.

    Attributes:
        rows: int64 [B], which faces they are.
        images: float32 [B, C, S, S], as networks take them.
        targets: float32 [B, K], rows sum to 1.
        weights: float32 [B], factor of each face's loss.
    """

    rows: Tensor
    images: Tensor
    targets: Tensor
    weights: Tensor


class Batches:
    """Batches by the number of their step.

    Pictures stay bytes in memory, on a GPU where they fit, and are varied as a batch: no worker process reads,
    decodes or copies anything.

    Args:
        faces: N faces.
        config: what is drawn and how it is varied.
        steps: of the whole training.
        device: where batches are wanted.
        rank: of this process; it gets every `ranks`-th face of a batch.
    """

    def __init__(
        self, faces: Faces, config: TrainConfig, steps: int, device: torch.device, rank: int = 0, ranks: int = 1
    ) -> None:
        self._config, self._steps, self._device, self._rank, self._ranks = config, steps, device, rank, ranks
        self._images = faces.images.to(device) if _fits(faces.images, device) else faces.images
        distributed = config.targets == "distribution"  # a likelihood says itself how far a label may be wrong
        self._targets = smooth(faces.targets, config.label_smoothing) if distributed else faces.targets
        self._weights = even_out(faces, config.effective_number) if config.effective_number else faces.weights
        self._order = (
            BalancedOrder(faces.classes, config.batch_size, config.seed)
            if config.balanced_sampling
            else ShuffledOrder(len(faces), config.batch_size, config.seed)
        )

    def __call__(self, step: int) -> Batch:
        """The batch of step number `step`, counted from 0."""
        config, device = self._config, self._device
        rows = self._order(step)[self._rank :: self._ranks]
        generator = torch.Generator().manual_seed(step_seed(config.seed, f"augmentation {self._rank}", step))
        pictures = self._images[rows.to(self._images.device)].to(device, non_blocking=True)
        images = augment(pictures, config.augmentation, generator, self.size_px(step))
        targets, weights = self._targets[rows].to(device), self._weights[rows].to(device)
        if config.mixup or config.cutmix:
            rng = np.random.default_rng(step_seed(config.seed, f"mixing {self._rank}", step))
            images, targets, weights = mix(images, targets, weights, mixup=config.mixup, cutmix=config.cutmix, rng=rng)
        return Batch(rows.to(device), to_input(images), targets, weights)

    def size_px(self, step: int) -> int:
        """The side of the pictures at a step: from `start_px` evenly up to `size_px`, in multiples of 4."""
        config = self._config
        full_at = config.grown_by * self._steps
        if config.start_px is None or step >= full_at:
            return config.size_px
        side = config.start_px + (config.size_px - config.start_px) * step / full_at
        return min(4 * round(side / 4), config.size_px)


def _fits(images: Tensor, device: torch.device) -> bool:
    if device.type != "cuda":
        return False
    return images.nbytes < _MEMORY_SHARE * torch.cuda.mem_get_info(device)[0]
