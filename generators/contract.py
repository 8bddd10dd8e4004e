"""What every kind of generator has in common: its configuration, how it learns, how it is asked for pictures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor

from fer_data.configuration import Configuration
from generators.condition import Vocabulary
from learning.precision import GPUPrecision


class GeneratorConfig(Configuration):
    """How a generator is trained; each kind adds its own keys."""

    size_px: int = Field(48, ge=8, multiple_of=4)
    channels: int = 1  # 1 grey, 3 colour
    seed: int = Field(0, ge=0)
    # Budget: steps give the same weights on every run, minutes end when the user said so. Exactly one of them.
    steps: int | None = Field(None, ge=1)
    minutes: float | None = Field(None, gt=0)
    # Precision of the layers: bf16 is about 1.5 times faster where the processor computes in it (AVX-512 BF16, AMX,
    # GPUs since Ampere) and far slower elsewhere; `auto` tells the two apart; fp16 needs a GPU.
    mixed_precision: GPUPrecision = "no"
    threads: int = Field(0, ge=0)  # of the CPU; 0 is PyTorch's choice
    batch_size: int = Field(64, ge=2)  # of a step, shared by all processes
    learning_rate: float = Field(1e-3, gt=0)
    ema_decay: float = Field(0.999, ge=0, lt=1)
    balance: float = Field(0.5, ge=0, le=1)  # a class is drawn in proportion to count**(1 - balance)
    minimum_per_class: int = Field(10, ge=1)  # fewer training faces than this in a class: refused
    derive: float = Field(0.4, ge=0, le=1)  # share of training draws that we occluded or relit
    derived_faces: int = Field(6000, ge=0)  # how many such copies are made before training starts
    condition_dropout: float = Field(0.1, ge=0, lt=1)
    keep_every: int = Field(250, ge=1)  # steps between the states that a killed run resumes from
    sheet_every: int = Field(1000, ge=1)  # steps between sample sheets
    snapshots: tuple[float, ...] = ()  # shares of the budget, between 0 and 1, after which a checkpoint is kept

    @model_validator(mode="after")
    def _keys_agree(self) -> "GeneratorConfig":
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("give either steps or minutes (set the other to null)")
        if self.channels not in (1, 3):
            raise ValueError("channels must be 1 or 3")
        if not all(0 < share < 1 for share in self.snapshots):
            raise ValueError("snapshots must lie between 0 and 1")
        return self

    def identity(self) -> dict[str, Any]:
        """What is trained, JSON-able: a file that the configuration names counts by its contents, wherever it lies.

        Raises:
            FerError: such a file is not there.
        """
        return self.without_places(self.model_dump(mode="json"))

    @classmethod
    def without_places(cls, dumped: Mapping[str, Any]) -> dict[str, Any]:
        """A dumped configuration without what only says where files lie on this machine."""
        return dict(dumped)


def require_fit(size_px: int, widths: tuple[int, ...]) -> None:
    """Raise ValueError where a picture cannot be halved once per width, or a width has no 8 groups to normalise."""
    if not widths or size_px % 2 ** len(widths):
        raise ValueError(f"with {len(widths)} widths size_px must be a multiple of {2 ** max(1, len(widths))}")
    if any(width < 8 or width % 8 for width in widths):
        raise ValueError("widths must be multiples of 8")


# Steers sampling towards a label: pictures float32 [N, C, S, S] in -1..1, which may require a gradient, and label
# indices int64 [N] of the vocabulary to the logarithm of the label's probability, float32 [N]. Made by whoever has a
# classifier, so that this room imports none.
Guide = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class GuideSource:
    """Where a guide comes from, so that every process that draws can make its own.

    Attributes:
        make: makes the guide. What several processes shall draw with must pickle: a function of a module, or a
            `functools.partial` of one with a path; with another, one process draws.
        sha256: identity of the guide, its checkpoint's for one; the faces' provenance states it.
    """

    make: Callable[[], Guide]
    sha256: str


class Judge(Protocol):
    """A trained classifier of expressions.

    Attributes:
        labels: its classes, in the order of its probabilities.
    """

    @property
    def labels(self) -> Sequence[str]: ...

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 [N, C, S, S] to float32 [N, K], rows sum to 1."""
        ...

    def features(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 [N, C, S, S] to float32 [N, F]."""
        ...


class Generator(Protocol):
    """A trained generator.

    Attributes:
        vocabulary: the conditions that it knows.
        size_px, channels: of the pictures that it draws.
        sampling: the resolved sampling options, JSON-able.
        starts_from_faces: whether it can re-express a given face.
    """

    vocabulary: Vocabulary
    size_px: int
    channels: int
    sampling: Mapping[str, Any]
    starts_from_faces: bool

    def sample(
        self, conditions: NDArray[np.int64], seeds: NDArray[np.int64], faces: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """Draw one picture per row.

        Args:
            conditions: int64 [N, 3], indices of the vocabulary (label, occlusion, light).
            seeds: int64 [N], not negative; the same seed and condition give the same picture alone or in a batch.
            faces: uint8 [N, channels, size_px, size_px], real faces to re-express in place; None starts from noise.

        Returns:
            uint8 [N, channels, size_px, size_px].

        Raises:
            FerError: faces for a generator that cannot start from them.
        """
        ...


@runtime_checkable
class Steerable(Protocol):
    """A generator that a guide can steer."""

    def guided(self, guide: Guide) -> Generator:
        """The same generator, steered."""
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
