"""Conditional diffusion on `diffusers`: flow matching on folded pixels, with classifier-free guidance.

A straight path leads from a face x to noise e, x_s = (1 - s) x + s e, and a `UNet2DModel` learns its velocity e - x
(Lipman et al., "Flow Matching for Generative Modeling", ICLR 2023). Noise levels s are drawn logit-normally (Esser
et al., "Scaling Rectified Flow Transformers", ICML 2024, section 3.1). Sampling follows the velocity in few steps.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UNet2DModel
from numpy.typing import NDArray
from pydantic import Field, model_validator
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

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

_TIMES = 1000  # the time scale that the scheduler and the UNet's time embedding share


class DiffusionSampling(Configuration):
    """How faces are drawn."""

    steps: int = Field(16, ge=1)
    guidance: float = Field(3.0, ge=1)  # 1 is none; more is closer to the label and less varied


class DiffusionConfig(GeneratorConfig):
    """A conditional diffusion model."""

    widths: tuple[int, ...] = (32, 64, 128)  # channels per resolution of the UNet, the first at half the picture's size
    layers: int = Field(1, ge=1)  # residual blocks per resolution
    warmup_steps: int = Field(100, ge=1)
    sampling: DiffusionSampling = DiffusionSampling()

    @model_validator(mode="after")
    def _size_fits(self) -> "DiffusionConfig":
        require_fit(self.size_px, self.widths)
        return self


class _Velocity(nn.Module):
    """UNet and condition embedding: the velocity of folded pixels at noise levels in 0..1."""

    def __init__(self, unet: UNet2DModel, embedding: ConditionEmbedding) -> None:
        super().__init__()
        self.unet, self.embedding = unet, embedding

    def forward(self, folded: Tensor, levels: Tensor, conditions: Tensor) -> Tensor:
        return self.unet(folded, levels * _TIMES, class_labels=self.embedding(conditions)).sample


class Diffusion:
    """A trained diffusion model; see `generators.contract.Generator`."""

    def __init__(
        self, network: _Velocity, vocabulary: Vocabulary, size_px: int, channels: int, sampling: DiffusionSampling
    ) -> None:
        self.vocabulary, self.size_px, self.channels = vocabulary, size_px, channels
        self.sampling: Mapping[str, Any] = {"sampler": "flow_euler", **sampling.model_dump()}
        self._network, self._options = network, sampling

    def sample(self, conditions: NDArray[np.int64], seeds: NDArray[np.int64]) -> NDArray[np.uint8]:
        shape = (self.channels, self.size_px, self.size_px)
        return draw_in_batches(self._draw, conditions, seeds, shape, shape)

    def _draw(self, noise: Tensor, conditions: Tensor) -> Tensor:
        scheduler = FlowMatchEulerDiscreteScheduler(num_train_timesteps=_TIMES)
        scheduler.set_timesteps(self._options.steps)
        folded = fold(noise)
        unknown = torch.tensor(self.vocabulary.unknown).expand(len(conditions), 3)
        for time in scheduler.timesteps:
            level = (time / _TIMES).expand(len(folded))
            velocity = self._network(folded, level, conditions)
            if self._options.guidance != 1:
                free = self._network(folded, level, unknown)
                velocity = free + self._options.guidance * (velocity - free)
            folded = scheduler.step(velocity, time, folded).prev_sample
        return unfold(folded)


class DiffusionLearner:
    """A diffusion model in training; see `generators.contract.Learner`."""

    def __init__(self, config: DiffusionConfig, vocabulary: Vocabulary) -> None:
        self._config, self._vocabulary = config, vocabulary
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self._network = _build(config, vocabulary)
        self._average = averaged_copy(self._network)
        self._optimiser = torch.optim.AdamW(
            self._network.parameters(), lr=config.learning_rate, betas=(0.9, 0.99), weight_decay=0.01
        )
        self._steps = 0

    def step(self, images: Tensor, conditions: Tensor, progress: float, generator: torch.Generator) -> dict[str, float]:
        config = self._config
        faces = fold(images)
        conditions = drop_conditions(conditions, self._vocabulary, config.condition_dropout, generator)
        levels = torch.sigmoid(torch.randn(len(faces), generator=generator))
        noise = torch.randn(faces.shape, generator=generator)
        mixed = torch.lerp(faces, noise, levels[:, None, None, None])
        loss = F.mse_loss(self._network(mixed, levels, conditions), noise - faces)
        warmth = min(1.0, (self._steps + 1) / config.warmup_steps)
        for group in self._optimiser.param_groups:
            group["lr"] = config.learning_rate * warmth * decay(progress)
        self._optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._network.parameters(), 1.0)
        self._optimiser.step()
        self._steps += 1
        average_into(self._average, self._network, config.ema_decay, self._steps)
        return {"loss": loss.item()}

    def state(self) -> dict[str, Tensor]:
        return {
            **network_tensors("network", self._network),
            **network_tensors("average", self._average),
            **optimiser_tensors("optimiser", self._optimiser),
            "steps": torch.tensor(self._steps),
        }

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        restore_network("network", self._network, tensors)
        restore_network("average", self._average, tensors)
        restore_optimiser("optimiser", self._optimiser, tensors)
        self._steps = int(tensors["steps"])

    def generator(self) -> Diffusion:
        config = self._config
        return Diffusion(self._average, self._vocabulary, config.size_px, config.channels, config.sampling)

    def save(self, folder: Path) -> None:
        """`unet/` and `scheduler/`, which `diffusers` loads by itself, and our embedding."""
        self._average.unet.save_pretrained(folder / "unet")
        FlowMatchEulerDiscreteScheduler(num_train_timesteps=_TIMES).save_pretrained(folder / "scheduler")
        save_file(self._average.embedding.state_dict(), folder / "embedding.safetensors")


def load_diffusion(
    folder: Path, config: DiffusionConfig, vocabulary: Vocabulary, sampling: DiffusionSampling
) -> Diffusion:
    """Open what `DiffusionLearner.save` wrote."""
    unet = UNet2DModel.from_pretrained(folder / "unet", local_files_only=True, use_safetensors=True)
    embedding = ConditionEmbedding(vocabulary, config.widths[0] * 4)
    embedding.load_state_dict(load_file(folder / "embedding.safetensors"))
    network = averaged_copy(_Velocity(unet, embedding))
    return Diffusion(network, vocabulary, config.size_px, config.channels, sampling)


def _build(config: DiffusionConfig, vocabulary: Vocabulary) -> _Velocity:
    """Attention only at the lowest resolution, where it is cheap and sees the whole face."""
    levels = len(config.widths)
    unet = UNet2DModel(
        sample_size=config.size_px // 2,
        in_channels=4 * config.channels,
        out_channels=4 * config.channels,
        block_out_channels=config.widths,
        down_block_types=("DownBlock2D",) * (levels - 1) + ("AttnDownBlock2D",),
        up_block_types=("AttnUpBlock2D",) + ("UpBlock2D",) * (levels - 1),
        layers_per_block=config.layers,
        norm_num_groups=8,
        attention_head_dim=config.widths[-1] // max(1, config.widths[-1] // 32),  # about 32
        class_embed_type="identity",
        resnet_time_scale_shift="scale_shift",
    )
    return _Velocity(unet, ConditionEmbedding(vocabulary, config.widths[0] * 4))
