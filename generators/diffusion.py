"""Conditional diffusion on `diffusers`: flow matching on folded pixels, with classifier-free guidance.

A straight path leads from a face x to noise e, x_s = (1 - s) x + s e, and a `UNet2DModel` learns its velocity e - x
(Lipman et al., "Flow Matching for Generative Modeling", ICLR 2023). Noise levels s are drawn logit-normally (Esser
et al., "Scaling Rectified Flow Transformers", ICML 2024, section 3.1).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UNet2DModel
from pydantic import Field, model_validator
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from generators.condition import ConditionEmbedding, Vocabulary, drop_conditions
from generators.contract import GeneratorConfig, require_fit
from generators.devices import Devices, drawing_device
from generators.diffusion_sampling import TIMES, Diffusion, DiffusionSampling
from generators.pixels import fold, unfold
from generators.weights import (
    average_into,
    averaged_copy,
    decay,
    network_tensors,
    optimiser_tensors,
    restore_network,
    restore_optimiser,
)
from learning.muon import Muon


class DiffusionConfig(GeneratorConfig):
    """A conditional diffusion model."""

    widths: tuple[int, ...] = (32, 64, 128)  # channels per resolution of the UNet, the first at half the picture's size
    layers: int = Field(1, ge=1)  # residual blocks per resolution
    batch_size: int = Field(32, ge=2)
    # Muon for the kernels between the first and the last layer reached AdamW's loss in half the steps; "adamw" is for
    # comparisons. What Muon does not take (embeddings, norms, biases, first and last layer) learns at `adam_rate`.
    optimiser: Literal["muon", "adamw"] = "muon"
    learning_rate: float = Field(1.5e-3, gt=0)
    adam_rate: float = Field(5e-4, gt=0)
    warmup_steps: int = Field(100, ge=1)
    sampling: DiffusionSampling = DiffusionSampling()

    @model_validator(mode="after")
    def _size_fits(self) -> "DiffusionConfig":
        require_fit(self.size_px, self.widths)
        return self


class _Velocity(nn.Module):
    """UNet and condition embedding; see `generators.diffusion_sampling.Velocity`."""

    def __init__(self, unet: UNet2DModel, embedding: ConditionEmbedding) -> None:
        super().__init__()
        self.unet, self.embedding = unet, embedding

    def forward(self, images: Tensor, levels: Tensor, conditions: Tensor) -> Tensor:
        return unfold(self.unet(fold(images), levels * TIMES, class_labels=self.embedding(conditions)).sample)


class DiffusionLearner:
    """A diffusion model in training; see `generators.contract.Learner`."""

    def __init__(self, config: DiffusionConfig, vocabulary: Vocabulary, devices: Devices | None = None) -> None:
        self._config, self._vocabulary, self._devices = config, vocabulary, devices or Devices()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self._network = _build(config, vocabulary).to(self._devices.device)
        self._average = averaged_copy(self._network)
        self._optimisers = _optimisers(self._network, config)
        self._steps = 0

    def step(self, images: Tensor, conditions: Tensor, progress: float, generator: torch.Generator) -> dict[str, float]:
        config = self._config
        conditions = drop_conditions(conditions, self._vocabulary, config.condition_dropout, generator)
        levels = draw_levels(len(images), generator)
        noise = torch.randn(images.shape, generator=generator)
        images, noise, levels, conditions = self._devices.share(images, noise, levels, conditions)
        mixed = torch.lerp(images, noise, levels[:, None, None, None])
        with self._devices.autocast():
            velocity = self._network(mixed, levels, conditions)
        loss = F.mse_loss(velocity.float(), noise - images)
        self._learn(loss, progress)
        self._steps += 1
        average_into(self._average, self._network, config.ema_decay, self._steps)
        return self._devices.average({"loss": loss.item()})

    def _learn(self, loss: Tensor, progress: float) -> None:
        warmth = min(1.0, (self._steps + 1) / self._config.warmup_steps)
        for optimiser in self._optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * warmth * decay(progress)
        self._devices.descend(loss, *self._optimisers.values(), clip=1.0)

    def state(self) -> dict[str, Tensor]:
        return {
            **network_tensors("network", self._network),
            **network_tensors("average", self._average),
            **{
                name: tensor
                for prefix, optimiser in self._optimisers.items()
                for name, tensor in optimiser_tensors(prefix, optimiser).items()
            },
            **self._devices.state(),
            "steps": torch.tensor(self._steps),
        }

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        restore_network("network", self._network, tensors)
        restore_network("average", self._average, tensors)
        for prefix, optimiser in self._optimisers.items():
            restore_optimiser(prefix, optimiser, tensors)
        self._devices.load_state(tensors)
        self._steps = int(tensors["steps"])

    def generator(self) -> Diffusion:
        config = self._config
        device = self._devices.device
        return Diffusion(self._average, self._vocabulary, config.size_px, config.channels, config.sampling, device)

    def save(self, folder: Path) -> None:
        """`unet/` and `scheduler/`, which `diffusers` loads by itself, and our embedding."""
        self._average.unet.save_pretrained(folder / "unet")
        FlowMatchEulerDiscreteScheduler(num_train_timesteps=TIMES).save_pretrained(folder / "scheduler")
        save_file(self._average.embedding.state_dict(), folder / "embedding.safetensors")


def load_diffusion(
    folder: Path, config: DiffusionConfig, vocabulary: Vocabulary, sampling: DiffusionSampling
) -> Diffusion:
    """Open what `DiffusionLearner.save` wrote."""
    unet = UNet2DModel.from_pretrained(folder / "unet", local_files_only=True, use_safetensors=True)
    embedding = ConditionEmbedding(vocabulary, config.widths[0] * 4)
    embedding.load_state_dict(load_file(folder / "embedding.safetensors"))
    device = drawing_device()
    network = averaged_copy(_Velocity(unet, embedding)).to(device)
    return Diffusion(network, vocabulary, config.size_px, config.channels, sampling, device)


def draw_levels(count: int, generator: torch.Generator) -> Tensor:
    """Noise levels in 0..1, logit-normal, one from each of `count` equally likely strata; float32 [N].

    Strata keep a small batch from seeing easy levels only, as by the low-discrepancy times of Kingma et al.,
    "Variational Diffusion Models" (NeurIPS 2021), appendix I.
    """
    places = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    shuffled = places[torch.randperm(count, generator=generator)]
    return torch.sigmoid(torch.special.ndtri(shuffled.clamp(1e-6, 1 - 1e-6)))


def _optimisers(network: _Velocity, config: DiffusionConfig) -> dict[str, torch.optim.Optimizer]:
    """By name; each group remembers the peak of its learning rate."""
    inside = _kernels_inside(network.unet) if config.optimiser == "muon" else []
    taken = {id(parameter) for parameter in inside}
    rest = [parameter for parameter in network.parameters() if id(parameter) not in taken]
    rate = config.adam_rate if inside else config.learning_rate
    optimisers: dict[str, torch.optim.Optimizer] = {
        "adamw": torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.99), weight_decay=0.01)
    }
    if inside:
        optimisers["muon"] = Muon(inside, lr=config.learning_rate)
    for optimiser in optimisers.values():
        for group in optimiser.param_groups:
            group["peak"] = group["lr"]
    return optimisers


def _kernels_inside(unet: UNet2DModel) -> list[nn.Parameter]:
    """Kernels of convolutions and linear layers, but for the first and the last layer."""
    return [
        parameter
        for name, parameter in unet.named_parameters()
        if parameter.ndim >= 2 and not name.startswith(("conv_in.", "conv_out."))
    ]


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
