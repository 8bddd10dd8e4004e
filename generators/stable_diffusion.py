"""A Stable Diffusion pipeline on this machine, frozen: faces to latents and back, prompts to embeddings.

Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models" (CVPR 2022). Nothing is fetched: the
user names a folder in `diffusers`' layout, and only its safetensors and JSON are read.
"""

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from fer_data.errors import FerError
from fer_data.files import read_json, sha256_file, sha256_json

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_PARTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
_READ = (".safetensors", ".json", ".txt")


class StableDiffusion:
    """The frozen parts of a pipeline and its UNet, to which adapters may be added.

    Attributes:
        unet: `UNet2DConditionModel`, without gradients.
        device: where everything lies.
        scheduler: as the folder configures it; only its configuration is used.
        sha256: identity of everything that was read from the folder.
        resolution_px: side of the pictures that are encoded and decoded.
        latent_shape: (channels, side, side) of their latents.
    """

    def __init__(self, folder: Path, resolution_px: int | None, device: torch.device) -> None:
        self.sha256 = pipeline_sha256(folder)
        self._pipeline = _open(folder).to(device)
        self.unet: Any = self._pipeline.unet
        self.scheduler: Any = self._pipeline.scheduler
        for part in (self.unet, self._pipeline.vae, self._pipeline.text_encoder):
            part.eval().requires_grad_(False)
        self.device, factor = device, self._pipeline.vae_scale_factor
        native = self.unet.config.sample_size * factor
        self.resolution_px = native if resolution_px is None else resolution_px
        step = factor * 2 ** (len(self.unet.config.block_out_channels) - 1)
        if self.resolution_px % step:
            raise FerError(
                f"resolution_px: expected a multiple of {step} for {folder}, found {self.resolution_px}; "
                f"it was made for {native}"
            )
        side = self.resolution_px // factor
        self.latent_shape = (int(self.unet.config.in_channels), side, side)
        self._embeddings: dict[str, Tensor] = {}

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Latents float32 [N, *latent_shape] of pictures float32 [N, C, S, S] in -1..1, C = 1 or 3, of any size.

        One at a time, so that a latent does not depend on what is encoded beside it; the posterior's mean.
        """
        vae, size = self._pipeline.vae, (self.resolution_px,) * 2
        latents = []
        for image in images.to(self.device).expand(-1, 3, -1, -1):
            large = F.interpolate(image[None], size, mode="bicubic", antialias=True).clamp(-1, 1)
            latents.append(vae.encode(large).latent_dist.mode())
        scale: float = vae.config.scaling_factor
        return torch.cat(latents) * scale

    def decode(self, latents: Tensor, size_px: int, channels: int) -> Tensor:
        """Pictures float32 [N, channels, size_px, size_px] in about -1..1 of latents [N, *latent_shape]."""
        vae = self._pipeline.vae
        large = vae.decode(latents / vae.config.scaling_factor).sample
        pictures = F.interpolate(large, (size_px, size_px), mode="bicubic", antialias=True)
        if channels == 1:
            luma = torch.tensor(_LUMA, device=pictures.device).view(1, 3, 1, 1)
            pictures = (pictures * luma).sum(dim=1, keepdim=True)
        return pictures

    @torch.inference_mode(False)  # what is kept must serve training too, wherever it was first needed
    @torch.no_grad()
    def embed(self, prompts: Sequence[str]) -> Tensor:
        """What the text encoder makes of prompts, float32 [N, tokens, width]; each prompt is encoded once.

        Raises:
            FerError: a prompt that is longer than the text encoder reads.
        """
        for prompt in dict.fromkeys(prompts):
            if prompt not in self._embeddings:
                self._require_short(prompt)
                self._embeddings[prompt] = self._pipeline.encode_prompt(prompt, self.device, 1, False)[0]
        return torch.cat([self._embeddings[prompt] for prompt in prompts])

    @contextmanager
    def using(self, adapter: str) -> Iterator[None]:
        """Let the UNet draw through one of its adapters, then put back the one that it had."""
        before = self.unet.active_adapters()
        self.unet.set_adapter(adapter)
        try:
            yield
        finally:
            self.unet.set_adapter(before)

    def load_adapter(self, folder: Path, name: str) -> None:
        """Add the adapter that `StableDiffusionPipeline.save_lora_weights` wrote into a folder."""
        with _quietly():
            self._pipeline.load_lora_weights(folder, adapter_name=name, local_files_only=True, use_safetensors=True)
        self.unet.requires_grad_(False)

    def _require_short(self, prompt: str) -> None:
        longest, found = self._pipeline.tokenizer.model_max_length, len(self._pipeline.tokenizer(prompt).input_ids)
        if found > longest:
            raise FerError(f"prompt {prompt!r}: expected at most {longest} tokens, found {found}; shorten its phrases")


def require_packages() -> None:
    """Raise FerError where a package that this route needs is not installed."""
    missing = [name for name in ("peft", "transformers") if importlib.util.find_spec(name) is None]
    if missing:
        raise FerError(
            f"lora: expected the packages peft and transformers, found no {' and no '.join(missing)}; "
            "install fer-data-studio[pretrained]"
        )


def pipeline_sha256(folder: Path) -> str:
    """Identity of a pipeline: every file that is read from it.

    Raises:
        FerError: the folder is no Stable Diffusion pipeline.
    """
    index = folder / "model_index.json"
    if not index.is_file():
        raise FerError(
            f"{folder}: expected a Stable Diffusion pipeline in diffusers' layout (model_index.json), found none; "
            "name the folder of one that lies on this machine, nothing is downloaded"
        )
    found = read_json(index)
    if not isinstance(found, dict) or found.get("_class_name") != "StableDiffusionPipeline":
        name = found.get("_class_name") if isinstance(found, dict) else None
        raise FerError(f"{index}: expected a StableDiffusionPipeline, found {name}; name another folder")
    files = sorted(path for part in _PARTS for path in (folder / part).rglob("*") if path.suffix in _READ)
    hashes = {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}
    return sha256_json(hashes)


def _open(folder: Path) -> Any:
    """The pipeline without its safety checker: what is drawn are faces, screened by a judge of faces."""
    require_packages()
    from diffusers import StableDiffusionPipeline

    try:
        with _quietly():
            return StableDiffusionPipeline.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                safety_checker=None,
                feature_extractor=None,
                requires_safety_checker=False,
            )
    except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:  # each of its parts has its own
        told = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise FerError(f"{folder}: this pipeline cannot be read ({told}); check that its parts are complete") from None


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the bars and hints of `diffusers` and `transformers`: progress is told by our reporter."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    both = (diffusers_logging, transformers_logging)
    before = [(logs, logs.get_verbosity(), logs.is_progress_bar_enabled()) for logs in both]
    try:
        for logs in both:
            logs.set_verbosity_error()
            logs.disable_progress_bar()
        yield
    finally:
        for logs, verbosity, bars in before:
            logs.set_verbosity(verbosity)
            if bars:
                logs.enable_progress_bar()
