"""Conditional DCGAN: projection discriminator, spectral norm, hinge loss, augmentation, averaged weights.

Miyato & Koyama, "cGANs with Projection Discriminator" (ICLR 2018); Miyato et al., "Spectral Normalization for GANs"
(ICLR 2018); the label's cross-entropy: Odena et al., "Conditional Image Synthesis with Auxiliary Classifier GANs"
(ICML 2017); as much augmentation as keeps the critic uncertain: Karras et al., "Training Generative Adversarial
Networks with Limited Data" (NeurIPS 2020); R1: Mescheder et al., "Which Training Methods for GANs do actually
Converge?" (ICML 2018). Norms look at one picture at a time, never at the batch, so that a picture does not depend on
what is drawn beside it.
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
from fer_data.errors import FerError
from generators.augmentation import augment, draw_changes
from generators.condition import ConditionEmbedding, Vocabulary, drop_conditions
from generators.contract import GeneratorConfig, require_fit
from generators.devices import Devices, drawing_device
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

_ADAPTING_FACES = 20_000  # faces that the critic sees while the share of augmented ones goes from 0 to 1
_MOST_AUGMENTED = 0.8  # where every picture is changed, changes appear in what is drawn (Karras et al., section 2.2)
_R1_EVERY = 16  # steps; R1 is weighted that much more in return (Karras et al., "StyleGAN2", 2020, appendix B)


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
    # Where set, `augment` is where that share starts; it then follows how certain the critic is of real faces (-1..1),
    # so that it stays about so certain: the less it has learnt by heart, the less is augmented. 0.6 is usual.
    certainty: float | None = Field(None, gt=-1, lt=1)
    r1: float = Field(0.0, ge=0)  # of a critic that is flat at real faces, beside its other losses
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
        """Cross-entropy of the label among all labels by their projections; pictures without a label count as 0."""
        table = self.embedding.tables["label"].weight
        unknown = len(table) - 1
        return F.cross_entropy(features @ table[:-1].T, conditions[:, 0], ignore_index=unknown, reduction="none").mean()


class Dcgan:
    """A trained DCGAN; see `generators.contract.Generator`."""

    starts_from_faces = False

    def __init__(self, network: _Drawer, config: DcganConfig, vocabulary: Vocabulary, sampling: DcganSampling) -> None:
        self.vocabulary, self.size_px, self.channels = vocabulary, config.size_px, config.channels
        self.sampling: Mapping[str, Any] = {"sampler": "dcgan", **sampling.model_dump()}
        self._network, self._noise_width, self._spread = network, config.noise_width, sampling.spread

    def sample(
        self, conditions: NDArray[np.int64], seeds: NDArray[np.int64], faces: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        if faces is not None:
            raise FerError("dcgan: cannot start from faces; set source to noise, or give a checkpoint of diffusion")
        shape = (self.channels, self.size_px, self.size_px)
        return draw_in_batches(self._draw, conditions, seeds, (self._noise_width,), shape)

    def _draw(self, noise: Tensor, conditions: Tensor) -> Tensor:
        device = self._network.first.weight.device
        return self._network((noise * self._spread).to(device), conditions.to(device))


class DcganLearner:
    """A DCGAN in training; see `generators.contract.Learner`."""

    def __init__(self, config: DcganConfig, vocabulary: Vocabulary, devices: Devices | None = None) -> None:
        self._config, self._vocabulary, self._devices = config, vocabulary, devices or Devices()
        pairs = self._devices.processes
        if config.batch_size < 2 * pairs:
            raise FerError(
                f"training on {pairs} processes: expected a batch_size of at least {2 * pairs}, since a dcgan draws "
                f"faces in pairs, found {config.batch_size}; raise it"
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self._drawer, self._critic = _Drawer(config, vocabulary), _Critic(config, vocabulary)
        for network in (self._drawer, self._critic):
            network.to(self._devices.device)
        self._average = averaged_copy(self._drawer)
        self._rates = (config.learning_rate, config.learning_rate * config.discriminator_rate)
        self._optimisers = tuple(
            torch.optim.Adam(network.parameters(), lr=rate, betas=(0.0, 0.99))
            for network, rate in zip((self._drawer, self._critic), self._rates, strict=True)
        )
        self._share = torch.tensor(config.augment, dtype=torch.float64)  # of the pictures that are augmented
        self._steps = 0

    def step(self, images: Tensor, conditions: Tensor, progress: float, generator: torch.Generator) -> dict[str, float]:
        conditions = drop_conditions(conditions, self._vocabulary, self._config.condition_dropout, generator)
        for optimiser, rate in zip(self._optimisers, self._rates, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * decay(progress)
        critic, certainty = self._teach_critic(images, conditions, generator)
        drawer = self._teach_drawer(images, conditions, generator)
        told = self._devices.average({"critic": critic, "drawer": drawer, "certainty": certainty})
        if self._config.certainty is not None:
            change = len(images) / _ADAPTING_FACES * (1 if told["certainty"] > self._config.certainty else -1)
            self._share = (self._share + change).clamp(0, _MOST_AUGMENTED)
        self._steps += 1
        average_into(self._average, self._drawer, self._config.ema_decay, self._steps)
        return told

    def _teach_critic(self, images: Tensor, conditions: Tensor, generator: torch.Generator) -> tuple[float, float]:
        """The loss, and how certain the critic is of real faces: the mean sign of its scores, -1..1."""
        noise = self._noise(len(images), generator)
        changes = [draw_changes(len(images), self._config.size_px, generator) for _ in range(2)]
        images, conditions, noise = self._devices.share(images, conditions, noise)
        own = [torch.cat(pair) for pair in zip(*(self._devices.share(*change) for change in changes), strict=True)]
        with self._devices.autocast():
            with torch.no_grad():
                drawn = self._drawer(noise, conditions)
            seen = self._critic.look(augment(torch.cat([images, drawn]), float(self._share), *own))
        real, fake = seen.float().chunk(2)
        score = self._critic.judge(real, conditions)
        loss = (
            F.relu(1 - score).mean()
            + F.relu(1 + self._critic.judge(fake, conditions)).mean()
            + self._config.label_weight * self._critic.label_loss(real, conditions)
        )
        if self._config.r1 and self._steps % _R1_EVERY == 0:
            loss = loss + self._config.r1 * _R1_EVERY / 2 * self._steepness(images, conditions)
        self._devices.descend(loss, self._optimisers[1])
        return loss.item(), score.detach().sign().mean().item()

    def _teach_drawer(self, images: Tensor, conditions: Tensor, generator: torch.Generator) -> float:
        """Pictures are drawn in pairs that differ in their noise alone."""
        pairs = len(images) // 2 // self._devices.processes * self._devices.processes
        noise = self._noise(2 * pairs, generator).unflatten(0, (2, pairs)).transpose(0, 1)
        changes = (
            change.unflatten(0, (2, pairs)).transpose(0, 1)
            for change in draw_changes(2 * pairs, self._config.size_px, generator)
        )
        conditions, *own = self._devices.share(conditions[:pairs], noise, *changes)
        conditions = conditions.repeat(2, 1)
        noise, *own = (tensor.transpose(0, 1).flatten(0, 1) for tensor in own)
        self._critic.requires_grad_(False)
        with self._devices.autocast():
            drawn = self._drawer(noise, conditions)
            seen = self._critic.look(augment(drawn, float(self._share), *own))
        seen, drawn = seen.float(), drawn.float()
        loss = -self._critic.judge(seen, conditions).mean()
        loss = loss + self._config.label_weight * self._critic.label_loss(seen, conditions)
        loss = loss + self._config.diversity * sameness(drawn, usual_difference(images))
        self._devices.descend(loss, self._optimisers[0])
        self._critic.requires_grad_(True)
        return loss.item()

    def _steepness(self, images: Tensor, conditions: Tensor) -> Tensor:
        """R1: the squared norm of the score's gradient at real faces, a mean over them."""
        images = images.detach().requires_grad_()
        score = self._critic.judge(self._critic.look(images), conditions).sum()
        (gradient,) = torch.autograd.grad(score, images, create_graph=True)
        return gradient.square().sum(dim=(1, 2, 3)).mean()

    def _noise(self, rows: int, generator: torch.Generator) -> Tensor:
        return torch.randn(rows, self._config.noise_width, generator=generator)

    def state(self) -> dict[str, Tensor]:
        return {
            **network_tensors("drawer", self._drawer),
            **network_tensors("critic", self._critic),
            **network_tensors("average", self._average),
            **optimiser_tensors("drawer_optimiser", self._optimisers[0]),
            **optimiser_tensors("critic_optimiser", self._optimisers[1]),
            **self._devices.state(),
            "share": self._share,
            "steps": torch.tensor(self._steps),
        }

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        restore_network("drawer", self._drawer, tensors)
        restore_network("critic", self._critic, tensors)
        restore_network("average", self._average, tensors)
        restore_optimiser("drawer_optimiser", self._optimisers[0], tensors)
        restore_optimiser("critic_optimiser", self._optimisers[1], tensors)
        self._devices.load_state(tensors)
        self._share, self._steps = tensors["share"], int(tensors["steps"])

    def generator(self) -> Dcgan:
        return Dcgan(self._average, self._config, self._vocabulary, self._config.sampling)

    def save(self, folder: Path) -> None:
        save_file(self._average.state_dict(), folder / "generator.safetensors")


def load_dcgan(folder: Path, config: DcganConfig, vocabulary: Vocabulary, sampling: DcganSampling) -> Dcgan:
    """Open what `DcganLearner.save` wrote."""
    network = _Drawer(config, vocabulary)
    network.load_state_dict(load_file(folder / "generator.safetensors"))
    return Dcgan(averaged_copy(network).to(drawing_device()), config, vocabulary, sampling)


def usual_difference(real: Tensor) -> Tensor:
    """By how much a real picture differs from the next one: the mean over pictures [N, C, S, S] and pixels."""
    shapes = _without_light(real)
    return (shapes - shapes.roll(1, dims=0)).abs().mean()


def sameness(drawn: Tensor, usual: Tensor) -> Tensor:
    """How much less the pairs (i, i + N/2) of drawn pictures differ than is usual: 0 not at all, 1 are the same.

    Mode seeking (Mao et al., CVPR 2019), bounded by what is usual among real pictures so that it does not make noise.
    """
    first, second = _without_light(drawn).chunk(2)
    return F.relu(1 - (first - second).abs().mean(dim=(1, 2, 3)) / usual.to(drawn.device)).mean()


def _without_light(images: Tensor) -> Tensor:
    """Pictures of mean 0 and about unit spread: else one face, brighter and darker, passes for two."""
    centred = images - images.mean(dim=(1, 2, 3), keepdim=True)
    return centred / (centred.square().mean(dim=(1, 2, 3), keepdim=True) + 1e-2).sqrt()
