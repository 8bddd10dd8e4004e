"""The pretrained route: a LoRA on a Stable Diffusion pipeline that the user names by its folder.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (ICLR 2022), on the attention projections of the UNet.
The condition is a prompt, so that words which no training face carried keep the meaning that the pipeline gives them.
Only the adapter is trained, averaged, kept and saved; `StableDiffusionPipeline.load_lora_weights` reads it.
"""

import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.files import read_json, write_json
from generators.condition import Vocabulary, drop_conditions
from generators.contract import GeneratorConfig
from generators.devices import Devices, drawing_device
from generators.pixels import draw_in_batches, to_float
from generators.prompts import Prompts
from generators.stable_diffusion import StableDiffusion, pipeline_sha256
from generators.weights import (
    average_into,
    decay,
    network_tensors,
    optimiser_tensors,
    restore_network,
    restore_optimiser,
)

BASE = "base.json"
_TRAINED, _AVERAGE = "trained", "average"  # the two adapters of a UNet in training


class LoraSampling(Configuration):
    """How faces are drawn."""

    steps: int = Field(25, ge=1)
    guidance: float = Field(5.0, ge=1)  # 1 is none
    strength: float = Field(0.6, gt=0, le=1)  # of re-expression: 1 leaves nothing of the given face
    batch: int = Field(8, ge=1)  # faces drawn together: memory
    pretrained: str | None = None  # the pipeline's folder, where it lies elsewhere now than in training


class LoraGeneratorConfig(GeneratorConfig):
    """A LoRA on a Stable Diffusion pipeline."""

    pretrained: str  # folder of a StableDiffusionPipeline (safetensors), on this machine
    resolution_px: int | None = Field(None, ge=8)  # faces are enlarged to this; null: what the pipeline was made for
    rank: int = Field(8, ge=1)
    alpha: int = Field(8, ge=1)  # the adapter counts alpha / rank times
    modules: tuple[str, ...] = Field(("to_q", "to_k", "to_v", "to_out.0"), min_length=1)  # layers that are adapted
    phrases: dict[str, str] = {}  # what a word is called in prompts: {disgust: with a wrinkled nose}
    learning_rate: float = Field(1e-4, gt=0)
    batch_size: int = Field(8, ge=2)
    sampling: LoraSampling = LoraSampling()

    def identity(self) -> dict[str, Any]:
        return {**super().identity(), "pipeline_sha256": pipeline_sha256(Path(self.pretrained))}

    @classmethod
    def without_places(cls, dumped: Mapping[str, Any]) -> dict[str, Any]:
        kept = {key: value for key, value in dumped.items() if key != "pretrained"}
        return {**kept, "sampling": {key: value for key, value in dumped["sampling"].items() if key != "pretrained"}}


class Lora:
    """A trained LoRA; see `generators.contract.Generator`."""

    starts_from_faces = True

    def __init__(
        self, base: StableDiffusion, adapter: str, prompts: Prompts, vocabulary: Vocabulary, config: LoraGeneratorConfig
    ) -> None:
        self.vocabulary, self.size_px, self.channels = vocabulary, config.size_px, config.channels
        self._base, self._adapter, self._prompts = base, adapter, prompts
        self._options = config.sampling
        told = config.sampling.model_dump(exclude={"pretrained"})
        self.sampling: Mapping[str, Any] = {"sampler": "lora_dpm_solver++", **told}

    def sample(
        self, conditions: NDArray[np.int64], seeds: NDArray[np.int64], faces: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        shape = (self.channels, self.size_px, self.size_px)
        given = [] if faces is None else [self._base.encode(to_float(torch.from_numpy(faces)))]
        with self._base.using(self._adapter):
            return draw_in_batches(
                self._draw, conditions, seeds, self._base.latent_shape, shape, *given, batch=self._options.batch
            )

    def _draw(self, noise: Tensor, conditions: Tensor, start: Tensor | None = None) -> Tensor:
        from diffusers import DPMSolverMultistepScheduler

        options, noise = self._options, noise.to(self._base.device)
        scheduler = DPMSolverMultistepScheduler.from_config(self._base.scheduler.config)
        scheduler.set_timesteps(options.steps, device=noise.device)
        first = 0 if start is None else options.steps - max(1, round(options.steps * options.strength))
        times = scheduler.timesteps[first:]
        if start is None:
            latents = noise * scheduler.init_noise_sigma
        else:
            scheduler.set_begin_index(first)
            latents = scheduler.add_noise(start, noise, times[:1])
        asked = self._base.embed([self._prompts(row) for row in conditions.tolist()])
        free = self._base.embed([""] * len(conditions))
        for time in times:
            predicted = self._base.unet(latents, time, asked).sample
            if options.guidance != 1:
                unasked = self._base.unet(latents, time, free).sample
                predicted = unasked + options.guidance * (predicted - unasked)
            latents = scheduler.step(predicted, time, latents).prev_sample
        return self._base.decode(latents, self.size_px, self.channels).cpu()


class LoraLearner:
    """A LoRA in training; see `generators.contract.Learner`."""

    def __init__(self, config: LoraGeneratorConfig, vocabulary: Vocabulary, devices: Devices | None = None) -> None:
        from diffusers import DDPMScheduler

        self._config, self._vocabulary, self._devices = config, vocabulary, devices or Devices()
        self._prompts = Prompts(vocabulary, config.phrases)
        self._base = StableDiffusion(Path(config.pretrained), config.resolution_px, self._devices.device)
        self._noising = DDPMScheduler.from_config(self._base.scheduler.config)
        self._trained, self._average = _add_adapters(self._base.unet, config)
        self._optimiser = torch.optim.AdamW(self._trained.parameters(), lr=config.learning_rate, weight_decay=0.01)
        self._latents: dict[bytes, Tensor] = {}
        self._steps = 0

    def step(self, images: Tensor, conditions: Tensor, progress: float, generator: torch.Generator) -> dict[str, float]:
        config, noising = self._config, self._noising
        conditions = drop_conditions(conditions, self._vocabulary, config.condition_dropout, generator)
        noise = torch.randn(len(images), *self._base.latent_shape, generator=generator)
        times = torch.randint(noising.config.num_train_timesteps, (len(images),), generator=generator)
        images, conditions, noise, times = self._devices.share(images, conditions, noise, times)
        latents = self._encode(images)
        prompts = self._base.embed([self._prompts(row) for row in conditions.tolist()])
        with self._devices.autocast():
            predicted = self._base.unet(noising.add_noise(latents, noise, times), times, prompts).sample
        loss = F.mse_loss(predicted.float(), self._target(latents, noise, times))
        for group in self._optimiser.param_groups:
            group["lr"] = config.learning_rate * decay(progress)
        self._devices.descend(loss, self._optimiser, clip=1.0)
        self._steps += 1
        average_into(self._average, self._trained, config.ema_decay, self._steps)
        return self._devices.average({"loss": loss.item()})

    def _target(self, latents: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """What the pipeline's UNet was trained to predict."""
        if self._noising.config.prediction_type == "v_prediction":
            return self._noising.get_velocity(latents, noise, times)
        return latents if self._noising.config.prediction_type == "sample" else noise

    def _encode(self, images: Tensor) -> Tensor:
        """Latents of a batch. A face and its mirror image are encoded once each and kept in half precision."""
        rows = []
        for image, pixels in zip(images, images.cpu().numpy(), strict=True):
            key = hashlib.blake2b(pixels.tobytes(), digest_size=16).digest()
            if key not in self._latents:
                self._latents[key] = self._base.encode(image[None]).half().cpu()
            rows.append(self._latents[key])
        return torch.cat(rows).float().to(images.device)

    def state(self) -> dict[str, Tensor]:
        return {
            **network_tensors("trained", self._trained),
            **network_tensors("average", self._average),
            **optimiser_tensors("optimiser", self._optimiser),
            **self._devices.state(),
            "steps": torch.tensor(self._steps),
            "base_sha256": _as_tensor(self._base.sha256),
        }

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        if not torch.equal(tensors["base_sha256"], _as_tensor(self._base.sha256)):
            raise FerError(
                f"{self._config.pretrained}: expected the pipeline that this training began with, found another; "
                "put it back, or train in another folder"
            )
        restore_network("trained", self._trained, tensors)
        restore_network("average", self._average, tensors)
        restore_optimiser("optimiser", self._optimiser, tensors)
        self._devices.load_state(tensors)
        self._steps = int(tensors["steps"])

    def generator(self) -> Lora:
        return Lora(self._base, _AVERAGE, self._prompts, self._vocabulary, self._config)

    def save(self, folder: Path) -> None:
        """`pytorch_lora_weights.safetensors`, and which pipeline it belongs to."""
        from diffusers import StableDiffusionPipeline
        from diffusers.utils import convert_state_dict_to_diffusers
        from peft import get_peft_model_state_dict

        unet = self._base.unet
        layers = convert_state_dict_to_diffusers(get_peft_model_state_dict(unet, adapter_name=_AVERAGE))
        StableDiffusionPipeline.save_lora_weights(
            folder, unet_lora_layers=layers, unet_lora_adapter_metadata=_metadata(unet.peft_config[_AVERAGE])
        )
        write_json(folder / BASE, {"sha256": self._base.sha256})


def load_lora(folder: Path, config: LoraGeneratorConfig, vocabulary: Vocabulary, sampling: LoraSampling) -> Lora:
    """Open what `LoraLearner.save` wrote.

    Raises:
        FerError: the pipeline is not there, or is another than the one that the adapter was trained on.
    """
    pretrained = Path(sampling.pretrained or config.pretrained)
    base = StableDiffusion(pretrained, config.resolution_px, drawing_device())
    expected = read_json(folder / BASE)["sha256"]
    if base.sha256 != expected:
        raise FerError(
            f"{pretrained}: expected the pipeline that {folder} was trained on ({expected[:12]}…), found another "
            f"({base.sha256[:12]}…); name its folder by sampling.pretrained"
        )
    base.load_adapter(folder, _AVERAGE)
    resolved = config.model_copy(update={"sampling": sampling})
    return Lora(base, _AVERAGE, Prompts(vocabulary, config.phrases), vocabulary, resolved)


def _add_adapters(unet: Any, config: LoraGeneratorConfig) -> tuple[nn.ParameterList, nn.ParameterList]:
    """Give a UNet the adapter that is trained and the one that averages it; their tensors, in the same order.

    Raises:
        FerError: the UNet has no layer of the names that are to be adapted.
    """
    from peft import LoraConfig

    plan = LoraConfig(
        r=config.rank, lora_alpha=config.alpha, target_modules=list(config.modules), init_lora_weights="gaussian"
    )
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Already found a `peft_config`")  # there are two on purpose
            torch.manual_seed(config.seed)
            unet.add_adapter(plan, _AVERAGE)
            unet.add_adapter(plan, _TRAINED)  # the one that was added last is active
    except ValueError as error:
        raise FerError(
            f"modules: expected layers of {config.pretrained}'s UNet, found {', '.join(config.modules)} ({error})"
        ) from None
    trained, average = (
        nn.ParameterList([tensor for name, tensor in unet.named_parameters() if f".{adapter}." in name])
        for adapter in (_TRAINED, _AVERAGE)
    )
    average.load_state_dict(trained.state_dict())
    return trained, average


def _metadata(plan: Any) -> dict[str, Any]:
    """A LoRA's configuration as JSON, which a reader needs to know alpha."""
    return {key: sorted(value) if isinstance(value, set) else value for key, value in plan.to_dict().items()}


def _as_tensor(sha256: str) -> Tensor:
    return torch.frombuffer(bytearray.fromhex(sha256), dtype=torch.uint8)
