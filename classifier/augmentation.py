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
    gamma: float = Field(0.0, ge=0, le=4)  # 0.5: exponents between 1 / 1.5 and 1.5, evenly by ratio
    erasing: float = Field(0.1, ge=0, le=1)  # share of the faces that lose a rectangle
    erased_side: float = Field(0.4, gt=0, le=1)  # its longest side, as a share of the face's


def augment(
    images: Tensor, config: AugmentationConfig, generator: torch.Generator, size_px: int | None = None
) -> Tensor:
    """Varied copies of a batch.

    Args:
        images: grey levels 0..255, uint8 [N, C, S, S].
        generator: on the CPU; each picture draws its own numbers from it.
        size_px: side of the copies, P; None for S.

    Returns:
        float32 [N, C, P, P] in 0..255.
    """
    varied = move(images.float(), config, generator, size_px)
    varied = relight(varied, config, generator)
    return erase(varied, config, generator)


def move(images: Tensor, config: AugmentationConfig, generator: torch.Generator, size_px: int | None = None) -> Tensor:
    """Mirror, shift, rotate, zoom and resize in one resampling; what comes in from outside repeats the border."""
    side_px = size_px or images.shape[-1]
    resized = side_px != images.shape[-1]
    if not (config.mirror or config.shift or config.rotation_degrees or config.zoom or resized):
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
    grid = affine_places(affine.to(images.device), side_px)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def affine_places(affine: Tensor, side_px: int) -> Tensor:
    """Where each pixel of the result comes from: `F.affine_grid` for squares, in a tenth of its time.

    Args:
        affine: float32 [N, 2, 3].
        side_px: side of the result, S.

    Returns:
        float32 [N, S, S, 2], x and y in -1..1.
    """
    line = (2 * torch.arange(side_px, device=affine.device) + 1) / side_px - 1
    places = torch.empty(len(affine), side_px, side_px, 2, device=affine.device)
    for axis in (0, 1):
        along = torch.addcmul(affine[:, axis, 2, None], affine[:, axis, 0, None], line)
        down = affine[:, axis, 1, None] * line
        torch.add(along[:, None, :], down[:, :, None], out=places[..., axis])
    return places


def relight(images: Tensor, config: AugmentationConfig, generator: torch.Generator) -> Tensor:
    """Scale each picture's contrast around its mean, add brightness, then bend its grey levels by a gamma."""
    if not (config.brightness or config.contrast or config.gamma):
        return images
    count = len(images)
    contrast = 1 + config.contrast * _symmetric(count, generator)
    brightness = 255 * config.brightness * _symmetric(count, generator)
    contrast, brightness = (value.view(-1, 1, 1, 1).to(images.device) for value in (contrast, brightness))
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    lit = torch.addcmul(mean * (1 - contrast) + brightness, images, contrast).clamp_(0, 255)
    if not config.gamma:
        return lit
    exponents = (1 + config.gamma) ** _symmetric(count, generator)
    return lit.div_(255).pow_(exponents.view(-1, 1, 1, 1).to(images.device)).mul_(255)


def erase(images: Tensor, config: AugmentationConfig, generator: torch.Generator) -> Tensor:
    """Random erasing: Zhong et al., AAAI 2020; the rectangle gets one random grey level."""
    if not config.erasing:
        return images
    count, _, height, width = images.shape
    sides = config.erased_side * torch.rand(count, 2, generator=generator)
    starts = torch.rand(count, 2, generator=generator) * (1 - sides)
    level = 255 * torch.rand(count, 1, 1, 1, generator=generator)
    hit = (torch.rand(count, generator=generator) < config.erasing).nonzero().squeeze(1)
    rows = _inside(height, starts[hit, 0], sides[hit, 0])
    columns = _inside(width, starts[hit, 1], sides[hit, 1])
    hole = (rows[:, :, None] & columns[:, None, :]).unsqueeze(1).to(images.device)
    level, hit = level[hit].to(images.device), hit.to(images.device)
    return images.index_copy(0, hit, torch.where(hole, level, images[hit]))


def _inside(length: int, start: Tensor, side: Tensor) -> Tensor:
    """Which of `length` lines lie in each picture's interval, bool [N, length]."""
    places = (torch.arange(length) + 0.5) / length
    return (places >= start[:, None]) & (places < (start + side)[:, None])


def _symmetric(count: int, generator: torch.Generator) -> Tensor:
    """Uniform in -1..1, float32 [count]."""
    return 2 * torch.rand(count, generator=generator) - 1
