"""What every kind of generator has in common: its configuration, how it learns, how it is asked for pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor

from fer_data.configuration import Configuration
from generators.condition import Vocabulary


class GeneratorConfig(Configuration):
    """How a generator is trained; each kind adds its own keys."""

    size_px: int = Field(48, ge=8, multiple_of=4)
    channels: int = 1  # 1 grey, 3 colour
    seed: int = 0
    # Budget: steps give the same weights on every run, minutes end when the user said so. Exactly one of them.
    steps: int | None = Field(None, ge=1)
    minutes: float | None = Field(None, gt=0)
    batch_size: int = Field(64, ge=2)
    learning_rate: float = Field(1e-3, gt=0)
    ema_decay: float = Field(0.999, ge=0, lt=1)
    balance: float = Field(0.5, ge=0, le=1)  # a class is drawn in proportion to count**(1 - balance)
    minimum_per_class: int = Field(10, ge=1)  # fewer training faces than this in a class: refused
    derive: float = Field(0.4, ge=0, le=1)  # share of training draws that we occluded or relit
    derived_faces: int = Field(6000, ge=0)  # how many such copies are made before training starts
    condition_dropout: float = Field(0.1, ge=0, lt=1)
    keep_every: int = Field(250, ge=1)  # steps between the states that a killed run resumes from
    sheet_every: int = Field(1000, ge=1)  # steps between sample sheets

    @model_validator(mode="after")
    def _one_budget(self) -> "GeneratorConfig":
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("give either steps or minutes (set the other to null)")
        if self.channels not in (1, 3):
            raise ValueError("channels must be 1 or 3")
        return self


def require_fit(size_px: int, widths: tuple[int, ...]) -> None:
    """Raise ValueError where a picture cannot be halved once per width, or a width has no 8 groups to normalise."""
    if not widths or size_px % 2 ** len(widths):
        raise ValueError(f"with {len(widths)} widths size_px must be a multiple of {2 ** max(1, len(widths))}")
    if any(width < 8 or width % 8 for width in widths):
        raise ValueError("widths must be multiples of 8")


class Generator(Protocol):
    """A trained generator.

    Attributes:
        vocabulary: the conditions that it knows.
        size_px, channels: of the pictures that it draws.
        sampling: the resolved sampling options, JSON-able.
    """

    vocabulary: Vocabulary
    size_px: int
    channels: int
    sampling: Mapping[str, Any]

    def sample(self, conditions: NDArray[np.int64], seeds: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Draw one picture per row.

        Args:
            conditions: int64 [N, 3], indices of the vocabulary (label, occlusion, light).
            seeds: int64 [N], not negative; the same seed and condition give the same picture alone or in a batch.

        Returns:
            uint8 [N, channels, size_px, size_px].
        """
        ...


class Learner(Protocol):
    """A generator in training. Its whole state is `state()`: randomness comes from outside, step by step."""

    def step(self, images: Tensor, conditions: Tensor, progress: float, generator: torch.Generator) -> dict[str, float]:
        """One optimiser step.

        Args:
            images: float32 [N, C, S, S] in -1..1.
            conditions: int64 [N, 3].
            progress: share of the budget that is spent, 0..1; schedules follow it.
            generator: all randomness of this step.

        Returns:
            The losses, by name.
        """
        ...

    def state(self) -> dict[str, Tensor]:
        """Everything that a resumed run needs, by name."""
        ...

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue exactly where `state` was taken."""
        ...

    def generator(self) -> Generator:
        """The generator as it stands, with averaged weights."""
        ...

    def save(self, folder: Path) -> None:
        """Write the averaged weights into an existing folder, as safetensors and JSON."""
        ...
