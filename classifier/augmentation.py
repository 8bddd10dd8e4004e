"""Augmentation of a whole batch by tensor operations, drawn from one explicit generator."""

import math

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from fer_data.configuration import Configuration


class AugmentationConfig(Configuration):
    """How far training faces may differ from the stored ones. Zero switches an operation off."""

    mirror: bool = True  # half of the faces are mirrored
    shift: float = Field(0.06, ge=0, le=0.5)  # share of the side
    rotation_degrees: float = Field(10.0, ge=0, le=90)
    zoom: float = Field(0.08, ge=0, lt=1)  # 0.08: between 0.92 and 1.08 times
    brightness: float = Field(0.1, ge=0, le=1)  # share of the full range, added or taken away
    contrast: float = Field(0.2, ge=0, lt=1)  # 0.2: between 0.8 and 1.2 times
    erasing: float = Field(0.1, ge=0, le=1)  # share of the faces that lose a rectangle
    erased_side: float = Field(0.4, gt=0, le=1)  # its longest side, as a share of the face's


def augment(images: Tensor, config: AugmentationConfig, generator: torch.Generator) -> Tensor:
    """Varied copies of a batch.

    Args:
        images: grey levels 0..255, uint8 [N, C, S, S].
        generator: on the CPU; each picture draws its own numbers from it.

    Returns:
        float32 [N, C, S, S] in 0..255.
    """
    varied = move(images.float(), config, generator)
    varied = relight(varied, config, generator)
    return erase(varied, config, generator)


def move(images: Tensor, config: AugmentationConfig, generator: torch.Generator) -> Tensor:
    """Mirror, shift, rotate and zoom in one resampling; what comes in from outside repeats the border."""
    if not (config.mirror or config.shift or config.rotation_degrees or config.zoom):
        return images
    count = len(images)
    angle = math.radians(config.rotation_degrees) * _symmetric(count, generator)
    scale = 1 / (1 + config.zoom * _symmetric(count, generator))
    side = torch.where(torch.rand(count, generator=generator) < 0.5 * config.mirror, -1.0, 1.0)
    # From a place in the result to the place in the picture it comes from; the picture spans -1..1.
    affine = torch.empty(count, 2, 3)
    affine[:, 0, 0] = side * scale * torch.cos(angle)
    affine[:, 0, 1] = -scale * torch.sin(angle)
    affine[:, 1, 0] = side * scale * torch.sin(angle)
    affine[:, 1, 1] = scale * torch.cos(angle)
    affine[:, 0, 2] = 2 * config.shift * _symmetric(count, generator)
    affine[:, 1, 2] = 2 * config.shift * _symmetric(count, generator)
    grid = F.affine_grid(affine.to(images.device), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def relight(images: Tensor, config: AugmentationConfig, generator: torch.Generator) -> Tensor:
    """Scale each picture's contrast around its mean, then add brightness."""
    if not (config.brightness or config.contrast):
        return images
    count = len(images)
    contrast = 1 + config.contrast * _symmetric(count, generator)
    brightness = 255 * config.brightness * _symmetric(count, generator)
    contrast, brightness = (value.view(-1, 1, 1, 1).to(images.device) for value in (contrast, brightness))
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return ((images - mean) * contrast + mean + brightness).clamp_(0, 255)


def erase(images: Tensor, config: AugmentationConfig, generator: torch.Generator) -> Tensor:
    """Random erasing: Zhong et al., AAAI 2020; the rectangle gets one random grey level."""
    if not config.erasing:
        return images
    count, _, height, width = images.shape
    sides = config.erased_side * torch.rand(count, 2, generator=generator)
    starts = torch.rand(count, 2, generator=generator) * (1 - sides)
    level = 255 * torch.rand(count, 1, 1, 1, generator=generator)
    hit = torch.rand(count, generator=generator) < config.erasing
    rows = _inside(height, starts[:, 0], sides[:, 0])
    columns = _inside(width, starts[:, 1], sides[:, 1])
    hole = (hit[:, None, None] & rows[:, :, None] & columns[:, None, :]).unsqueeze(1)
    return torch.where(hole.to(images.device), level.to(images.device), images)


def _inside(length: int, start: Tensor, side: Tensor) -> Tensor:
    """Which of `length` lines lie in each picture's interval, bool [N, length]."""
    places = (torch.arange(length) + 0.5) / length
    return (places >= start[:, None]) & (places < (start + side)[:, None])


def _symmetric(count: int, generator: torch.Generator) -> Tensor:
    """Uniform in -1..1, float32 [count]."""
    return 2 * torch.rand(count, generator=generator) - 1
