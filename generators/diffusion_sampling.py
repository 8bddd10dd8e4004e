"""Drawing faces with a trained velocity: few-step solvers of `diffusers`, guidance, and starting from a real face.

The learner's straight path x_s = (1 - s) x + s e is followed from noise (s = 1) to a face (s = 0). The schedulers of
`diffusers` disagree about the levels in between (some start at .999, some spend their last step on the last
thousandth, two round the time to whole numbers), so every solver is given the same levels here, and the network is
told the level that the solver stands at.

Guidance between labelled and unlabelled prediction: Ho & Salimans, "Classifier-Free Diffusion Guidance" (2022), inside
an interval of noise levels only: Kynkäänniemi et al., "Applying Guidance in a Limited Interval Improves Sample and
Distribution Quality in Diffusion Models" (NeurIPS 2024); one scale for the label and another for the conditions:
Brooks et al., "InstructPix2Pix" (CVPR 2023), section 3.2.1. Steering by a classifier that sees the predicted clean
picture: Bansal et al., "Universal Guidance for Diffusion Models" (CVPR workshops 2023); Yu et al., "FreeDoM" (ICCV
2023); as feedback for rare classes: Askari-Hemmat et al., "Feedback-guided Data Synthesis for Imbalanced
Classification" (arXiv 2310.00158, 2023).
"""

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    UniPCMultistepScheduler,
)
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor

from fer_data.configuration import Configuration
from fer_data.errors import FerError
from generators.condition import Vocabulary
from generators.contract import Guide
from generators.pixels import draw_in_batches, to_float

_GUIDE_SCALE = 0.1
TIMES = 1000  # the time scale that the schedulers and the UNet's time embedding share

# Pictures float32 [N, C, S, S], noise levels float32 [N] in 0..1 and conditions int64 [N, 3] to the velocity of the
# path through each picture, noise minus face, shaped as the pictures.
Velocity = Callable[[Tensor, Tensor, Tensor], Tensor]

# By name, a scheduler of `diffusers` and what makes it follow such a path. They share no typed base class.
_ON_FLOWS = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}
_SOLVERS: Mapping[str, tuple[Any, Mapping[str, Any]]] = {
    "euler": (FlowMatchEulerDiscreteScheduler, {}),
    "heun": (FlowMatchHeunDiscreteScheduler, {}),
    "dpm": (DPMSolverMultistepScheduler, _ON_FLOWS),
    "unipc": (UniPCMultistepScheduler, _ON_FLOWS),
}


class DiffusionSampling(Configuration):
    """How faces are drawn."""

    solver: Literal["euler", "heun", "dpm", "unipc"] = "dpm"
    # From noise to face; heun asks the network twice in each but the last. 12 of dpm were as good as 1,000 of DDPM.
    steps: int = Field(12, ge=1)
    guidance: float = Field(3.0, ge=1)  # 1 is none; more is closer to the label and less varied
    # The same for occlusion and light. At the label's own scale low light came out black; null takes that scale, and
    # asks the network twice in a step instead of three times where a condition is stated.
    condition_guidance: float | None = Field(1.0, ge=1)
    guidance_interval: tuple[float, float] = (0.0, 1.0)  # noise levels above .. up to which guidance and guide act
    # How far a guide moves a picture per unit of noise level, RMS in -1..1; null is 0.1 where there is a guide. It drew
    # rare labels as clearly as twice the guidance did, and more varied (benchmarks/fidelity_fer2013.py).
    guide_scale: float | None = Field(None, ge=0)
    strength: float = Field(0.6, gt=0, le=1)  # from a face: noise level that it is mixed with; 1 forgets the face
    shift: float = Field(1.0, gt=0)  # above 1: more of the steps at high noise (Esser et al. 2024)

    @model_validator(mode="after")
    def _interval_in_order(self) -> "DiffusionSampling":
        low, high = self.guidance_interval
        if not 0 <= low <= high <= 1:
            raise ValueError(f"guidance_interval must hold two noise levels in order in 0..1, found {low:g}, {high:g}")
        return self


class Diffusion:
    """A trained diffusion model; see `generators.contract.Generator`.

    Args:
        velocity: the trained network.
        sampling: how faces are drawn.
        device: where the network lies.
    """

    starts_from_faces = True

    def __init__(
        self,
        velocity: Velocity,
        vocabulary: Vocabulary,
        size_px: int,
        channels: int,
        sampling: DiffusionSampling,
        device: torch.device | str = "cpu",
    ) -> None:
        self.vocabulary, self.size_px, self.channels = vocabulary, size_px, channels
        self.sampling: Mapping[str, Any] = sampling.model_dump(mode="json")
        self._network, self._options, self._device = velocity, sampling, device
        self._guide: Guide | None = None

    def guided(self, guide: Guide) -> "Diffusion":
        """The same model, steered towards the label unless `guide_scale` is 0.

        That costs a forward and a backward pass of the guide at every noise level inside the interval.
        """
        other = copy.copy(self)
        other._guide = guide
        if self._options.guide_scale is None:
            other._options = self._options.model_copy(update={"guide_scale": _GUIDE_SCALE})
            other.sampling = other._options.model_dump(mode="json")
        return other

    def sample(
        self, conditions: NDArray[np.int64], seeds: NDArray[np.int64], faces: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """See `generators.contract.Generator.sample`.

        Raises:
            FerError: `guide_scale` is above 0 and there is no guide.
        """
        if self._options.guide_scale and self._guide is None:
            raise FerError(
                f"sampling: guide_scale {self._options.guide_scale:g} expects a guide, found none; "
                "give the guide's checkpoint, or set guide_scale to 0"
            )
        shape = (self.channels, self.size_px, self.size_px)
        given = [] if faces is None else [torch.from_numpy(faces.copy())]  # which may be read-only
        return draw_in_batches(self._draw, conditions, seeds, shape, shape, *given)

    def velocity(self, images: Tensor, level: Tensor, conditions: Tensor) -> Tensor:
        """The velocity that sampling follows, guidance included.

        Args:
            images: float32 [N, C, S, S], faces mixed with noise.
            level: their noise level, float32 [] in 0..1.
            conditions: int64 [N, 3].

        Returns:
            float32 [N, C, S, S].
        """
        options = self._options
        levels = level.to(images.device).expand(len(images))
        velocity = self._network(images, levels, conditions)
        low, high = options.guidance_interval
        if not low < float(level) <= high:
            return velocity
        if options.guidance != 1:
            unknown = torch.tensor(self.vocabulary.unknown, device=images.device).expand(len(images), -1)
            free = self._network(images, levels, unknown)
            if options.condition_guidance is None:
                velocity = free + options.guidance * (velocity - free)
            else:
                bare = torch.cat([conditions[:, :1], unknown[:, 1:]], dim=1)
                labelled = velocity if torch.equal(bare, conditions) else self._network(images, levels, bare)
                towards_condition = options.condition_guidance * (velocity - labelled)
                velocity = free + options.guidance * (labelled - free) + towards_condition
        if options.guide_scale and self._guide is not None:
            known = conditions[:, 0] < len(self.vocabulary.label)
            towards = _towards_label(self._guide, images - level * velocity, conditions[:, 0] * known)
            velocity = velocity - options.guide_scale * towards * known[:, None, None, None]
        return velocity

    def _draw(self, noise: Tensor, conditions: Tensor, faces: Tensor | None = None) -> Tensor:
        """Follow the path from noise, or from faces uint8 [N, C, S, S] mixed with noise, to pictures."""
        options = self._options
        start = 1.0 if faces is None else options.strength
        images = (noise if faces is None else torch.lerp(to_float(faces), noise, start)).to(self._device)
        conditions = conditions.to(self._device)
        scheduler = scheduler_at(options.solver, noise_levels(options.steps, start, options.shift))
        for time, level in zip(scheduler.timesteps, scheduler.sigmas, strict=False):  # the last level is the face's
            images = scheduler.step(self.velocity(images, level, conditions), time, images).prev_sample
        return images.cpu()


def noise_levels(steps: int, start: float = 1.0, shift: float = 1.0) -> Tensor:
    """Levels float32 [n + 1] that fall from `start` in 0..1 to 0.

    From noise n is `steps`; a path that starts further on takes its share of them. The levels are even where `shift`
    is 1; else s = shift t / (1 + (shift - 1) t) of even t (Esser et al., "Scaling Rectified Flow Transformers for
    High-Resolution Image Synthesis", ICML 2024, section 5.3.2).
    """
    first = start / (shift - (shift - 1) * start)  # the even time of level `start`
    even = torch.linspace(first, 0, max(1, math.ceil(steps * first - 1e-9)) + 1, dtype=torch.float64)
    return (shift * even / (1 + (shift - 1) * even)).float()


def scheduler_at(solver: str, levels: Tensor) -> Any:
    """A scheduler of `diffusers` that steps through given noise levels.

    `timesteps` and `sigmas` name the time and the noise level at which it wants each velocity.

    Args:
        solver: euler, heun (2 n - 1 velocities), dpm (DPM-Solver++ of second order) or unipc.
        levels: float32 [n + 1], falling to 0.
    """
    kind, settings = _SOLVERS[solver]
    scheduler = kind(num_train_timesteps=TIMES, **settings)
    scheduler.set_timesteps(len(levels) - 1)
    if solver == "unipc":
        levels = levels.clamp(max=1 - 1e-6)  # its corrector takes the logarithm of 1 - level
    if solver == "heun":
        levels = torch.cat([levels[:1], levels[1:-1].repeat_interleave(2), levels[-1:]])
    scheduler.sigmas, scheduler.timesteps = levels, levels[:-1] * TIMES
    scheduler.set_begin_index(0)
    return scheduler


def _towards_label(guide: Guide, clean: Tensor, labels: Tensor) -> Tensor:
    """Where the guide sees more of the label: its gradient with an RMS of one minus the label's probability.

    A picture that the guide is sure of is left alone, so that it does not become a caricature. Only the guide is
    differentiated, not the network that predicted the clean pictures, which costs a fraction of it.

    Args:
        clean: float32 [N, C, S, S], predicted clean pictures.
        labels: int64 [N], indices of the vocabulary.
    """
    with torch.inference_mode(False), torch.enable_grad():
        seen = clean.clone().requires_grad_(True)
        logarithm = guide(seen, labels.clone())
        (gradient,) = torch.autograd.grad(logarithm.sum(), seen)
    doubt = 1 - logarithm.detach().exp().clamp(0, 1)
    size = gradient.square().mean(dim=(1, 2, 3)).sqrt().clamp(min=1e-12)
    return gradient * (doubt / size)[:, None, None, None]
