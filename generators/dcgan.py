"""Conditional DCGAN: projection discriminator, spectral norm, hinge loss, augmentation, averaged weights.

Miyato & Koyama, "cGANs with Projection Discriminator" (ICLR 2018); Miyato et al., "Spectral Normalization for GANs"
(ICLR 2018); Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training" (NeurIPS 2020); the label's
cross-entropy: Odena et al., "Conditional Image Synthesis with Auxiliary Classifier GANs" (ICML 2017). Norms look at
one picture at a time, never at the batch, so that a picture does not depend on what is drawn beside it.
"""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from fer_data.configuration import Configuration
from generators.condition import ConditionEmbedding, Vocabulary, drop_conditions
from generators.contract import GeneratorConfig, require_fit
from generators.pixels import draw_in_batches, fold, unfold
from generators.weights import (
    average_into,
    averaged_copy,
    decay,
    network_tensors,
    optimiser_tensors,
    restore_network,
    restore_optimiser,
)


class DcganSampling(Configuration):
    """How faces are drawn."""

    spread: float = Field(1.0, gt=0, le=2)  # scale of the noise: less is more typical and less varied


class DcganConfig(GeneratorConfig):
    """A conditional DCGAN."""

    noise_width: int = Field(64, ge=1)
    widths: tuple[int, ...] = (96, 64, 32)  # channels from the coarsest map up to half the size of the picture
    learning_rate: float = Field(8e-4, gt=0)
    discriminator_rate: float = Field(1.0, gt=0)  # its learning rate, in learning rates of the generator
    label_weight: float = Field(0.2, ge=0)  # of telling labels apart, beside telling real from drawn
    diversity: float = Field(1.0, ge=0)  # of two faces of one condition differing as much as two real faces do
    # Share of the pictures that the critic sees shifted and cut. Many passes over few faces need it; a training of
    # a minute or two drew better faces without.
    augment: float = Field(0.3, ge=0, le=1)
    sampling: DcganSampling = DcganSampling()

    @model_validator(mode="after")
    def _size_fits(self) -> "DcganConfig":
        require_fit(self.size_px, self.widths)
        return self


class _DrawBlock(nn.Module):
    """Twice the size, a convolution, and a per-picture norm whose scale and shift come from noise and condition."""

    def __init__(self, inside: int, outside: int, style: int, *, upsample: bool) -> None:
        super().__init__()
        self.upsample = upsample
        self.convolve = nn.Conv2d(inside, outside, 3, padding=1)
        self.norm = nn.GroupNorm(8, outside, affine=False)
        self.style = nn.Linear(style, 2 * outside)

    def forward(self, maps: Tensor, style: Tensor) -> Tensor:
        if self.upsample:
            maps = F.interpolate(maps, scale_factor=2, mode="nearest")
        scale, shift = self.style(style)[:, :, None, None].chunk(2, dim=1)
        return F.leaky_relu(self.norm(self.convolve(maps)) * (1 + scale) + shift, 0.2)


class _Drawer(nn.Module):
    """Noise float32 [N, noise_width] and conditions to pictures in -1..1; the last doubling unfolds channels."""

    def __init__(self, config: DcganConfig, vocabulary: Vocabulary) -> None:
        super().__init__()
        style = 2 * config.noise_width
        self.start = config.size_px // 2 ** len(config.widths)
        self.embedding = ConditionEmbedding(vocabulary, config.noise_width)
        self.first = nn.Linear(style, config.widths[0] * self.start**2)
        pairs = zip((config.widths[0], *config.widths), config.widths, strict=False)
        self.blocks = nn.ModuleList(
            _DrawBlock(inside, outside, style, upsample=index > 0) for index, (inside, outside) in enumerate(pairs)
        )
        self.last = nn.Conv2d(config.widths[-1], 4 * config.channels, 3, padding=1)

    def forward(self, noise: Tensor, conditions: Tensor) -> Tensor:
        style = torch.cat([noise, self.embedding(conditions)], dim=1)
        maps = self.first(style).unflatten(1, (-1, self.start, self.start))
        for block in self.blocks:
            maps = block(maps, style)
        return torch.tanh(unfold(self.last(maps)))


class _Critic(nn.Module):
    """Scores pictures: what looks real, plus how well its features agree with the condition (projection)."""

    def __init__(self, config: DcganConfig, vocabulary: Vocabulary) -> None:
        super().__init__()
        widths = config.widths[::-1]
        layers: list[nn.Module] = [spectral_norm(nn.Conv2d(4 * config.channels, widths[0], 3, padding=1))]
        for inside, outside in itertools.pairwise(widths):
            layers += [nn.LeakyReLU(0.2), spectral_norm(nn.Conv2d(inside, outside, 4, stride=2, padding=1))]
        layers += [nn.LeakyReLU(0.2), spectral_norm(nn.Conv2d(widths[-1], widths[-1], 3, padding=1)), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)
        start = config.size_px // 2 ** len(widths)
        self.features = spectral_norm(nn.Linear(widths[-1] * start**2, 2 * widths[-1]))
        self.real = spectral_norm(nn.Linear(2 * widths[-1], 1))
        self.embedding = ConditionEmbedding(vocabulary, 2 * widths[-1])

    def look(self, images: Tensor) -> Tensor:
        """Features of pictures, float32 [N, F]."""
        return F.leaky_relu(self.features(self.layers(fold(images)).flatten(1)), 0.2)

    def judge(self, features: Tensor, conditions: Tensor) -> Tensor:
        """Scores float32 [N]: above 0 is real and agrees with the condition."""
        agreement = (self.embedding(conditions) * features).sum(dim=1) / features.shape[1] ** 0.5
        return self.real(features)[:, 0] + agreement

    def label_loss(self, features: Tensor, conditions: Tensor) -> Tensor:
        """Cross-entropy of the label among all labels by their projections; pictures without a label do not count."""
        table = self.embedding.tables["label"].weight
        return F.cross_entropy(features @ table[:-1].T, conditions[:, 0], ignore_index=len(table) - 1)


class Dcgan:
    """A trained DCGAN; see `generators.contract.Generator`."""

    def __init__(self, network: _Drawer, config: DcganConfig, vocabulary: Vocabulary, sampling: DcganSampling) -> None:
        self.vocabulary, self.size_px, self.channels = vocabulary, config.size_px, config.channels
        self.sampling: Mapping[str, Any] = {"sampler": "dcgan", **sampling.model_dump()}
        self._network, self._noise_width, self._spread = network, config.noise_width, sampling.spread

    def sample(self, conditions: NDArray[np.int64], seeds: NDArray[np.int64]) -> NDArray[np.uint8]:
        shape = (self.channels, self.size_px, self.size_px)
        return draw_in_batches(self._draw, conditions, seeds, (self._noise_width,), shape)

    def _draw(self, noise: Tensor, conditions: Tensor) -> Tensor:
        return self._network(noise * self._spread, conditions)


class DcganLearner:
    """A DCGAN in training; see `generators.contract.Learner`."""

    def __init__(self, config: DcganConfig, vocabulary: Vocabulary) -> None:
        self._config, self._vocabulary = config, vocabulary
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self._drawer, self._critic = _Drawer(config, vocabulary), _Critic(config, vocabulary)
        self._average = averaged_copy(self._drawer)
        self._rates = (config.learning_rate, config.learning_rate * config.discriminator_rate)
        self._optimisers = tuple(
            torch.optim.Adam(network.parameters(), lr=rate, betas=(0.0, 0.99))
            for network, rate in zip((self._drawer, self._critic), self._rates, strict=True)
        )
        self._steps = 0

    def step(self, images: Tensor, conditions: Tensor, progress: float, generator: torch.Generator) -> dict[str, float]:
        conditions = drop_conditions(conditions, self._vocabulary, self._config.condition_dropout, generator)
        for optimiser, rate in zip(self._optimisers, self._rates, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * decay(progress)
        losses = {
            "critic": self._teach_critic(images, conditions, generator),
            "drawer": self._teach_drawer(images, conditions, generator),
        }
        self._steps += 1
        average_into(self._average, self._drawer, self._config.ema_decay, self._steps)
        return losses

    def _teach_critic(self, images: Tensor, conditions: Tensor, generator: torch.Generator) -> float:
        with torch.no_grad():
            drawn = self._drawer(self._noise(len(images), generator), conditions)
        real, fake = self._critic.look(augment(torch.cat([images, drawn]), self._config.augment, generator)).chunk(2)
        loss = (
            F.relu(1 - self._critic.judge(real, conditions)).mean()
            + F.relu(1 + self._critic.judge(fake, conditions)).mean()
            + self._config.label_weight * self._critic.label_loss(real, conditions)
        )
        self._move(1, loss)
        return loss.item()

    def _teach_drawer(self, images: Tensor, conditions: Tensor, generator: torch.Generator) -> float:
        conditions = conditions[: len(conditions) // 2].repeat(2, 1)  # pairs that differ in their noise alone
        drawn = self._drawer(self._noise(len(conditions), generator), conditions)
        self._critic.requires_grad_(False)
        seen = self._critic.look(augment(drawn, self._config.augment, generator))
        loss = -self._critic.judge(seen, conditions).mean()
        loss = loss + self._config.label_weight * self._critic.label_loss(seen, conditions)
        loss = loss + self._config.diversity * sameness(drawn, images)
        self._move(0, loss)
        self._critic.requires_grad_(True)
        return loss.item()

    def _move(self, which: int, loss: Tensor) -> None:
        self._optimisers[which].zero_grad()
        loss.backward()
        self._optimisers[which].step()

    def _noise(self, rows: int, generator: torch.Generator) -> Tensor:
        return torch.randn(rows, self._config.noise_width, generator=generator)

    def state(self) -> dict[str, Tensor]:
        return {
            **network_tensors("drawer", self._drawer),
            **network_tensors("critic", self._critic),
            **network_tensors("average", self._average),
            **optimiser_tensors("drawer_optimiser", self._optimisers[0]),
            **optimiser_tensors("critic_optimiser", self._optimisers[1]),
            "steps": torch.tensor(self._steps),
        }

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        restore_network("drawer", self._drawer, tensors)
        restore_network("critic", self._critic, tensors)
        restore_network("average", self._average, tensors)
        restore_optimiser("drawer_optimiser", self._optimisers[0], tensors)
        restore_optimiser("critic_optimiser", self._optimisers[1], tensors)
        self._steps = int(tensors["steps"])

    def generator(self) -> Dcgan:
        return Dcgan(self._average, self._config, self._vocabulary, self._config.sampling)

    def save(self, folder: Path) -> None:
        save_file(self._average.state_dict(), folder / "generator.safetensors")


def load_dcgan(folder: Path, config: DcganConfig, vocabulary: Vocabulary, sampling: DcganSampling) -> Dcgan:
    """Open what `DcganLearner.save` wrote."""
    network = _Drawer(config, vocabulary)
    network.load_state_dict(load_file(folder / "generator.safetensors"))
    return Dcgan(averaged_copy(network), config, vocabulary, sampling)


def sameness(drawn: Tensor, real: Tensor) -> Tensor:
    """How much less the pairs (i, i + N/2) of drawn pictures differ than real ones do: 0 not at all, 1 are the same.

    Mode seeking (Mao et al., CVPR 2019), bounded by what is usual among real pictures so that it does not make noise.
    """
    first, second = drawn.chunk(2)
    usual = (real - real.roll(1, dims=0)).abs().mean()
    return F.relu(1 - (first - second).abs().mean(dim=(1, 2, 3)) / usual).mean()


def augment(images: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Shift by up to an eighth and cut out a square of half the size, in a share of the pictures, differentiably.

    Args:
        images: float32 [N, C, S, S].
        share: probability of each picture, 0..1.

    No brightness or contrast, which the paper also changes: light is one of our conditions.
    """
    if not share:
        return images
    count, _, size, _ = images.shape
    reach = max(1, size // 8)
    shift = torch.randint(-reach, reach + 1, (count, 2), generator=generator)
    padded = F.pad(images, (reach,) * 4)
    place = torch.arange(size)
    rows = (place + reach + shift[:, :1])[:, :, None]
    columns = (place + reach + shift[:, 1:])[:, None, :]
    shifted = padded[torch.arange(count)[:, None, None], :, rows, columns].permute(0, 3, 1, 2)
    centre = torch.randint(0, size, (count, 2), generator=generator)
    near = (place - centre[:, :, None]).abs() < size // 4  # [N, 2, S]
    hole = near[:, 0, :, None] & near[:, 1, None, :]
    chosen = torch.rand(count, generator=generator) < share
    return torch.where(chosen[:, None, None, None], shifted * ~hole[:, None], images)
