"""What a generator is asked for: (label, occlusion, light), each of them possibly unknown.

A condition is three indices. The embedding is the sum of one learned vector per facet, so that a combination that
no training face showed (disgust behind sunglasses in the dark) still has a place: the sum of what was seen apart.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fer_data.errors import FerError

FACETS = ("label", "occlusion", "light")


@dataclass(frozen=True)
class Vocabulary:
    """The words that a generator knows, per facet; the index behind the last word means "unknown".

    Attributes:
        label: the label set's names, in its order.
        occlusion: the occlusions that training faces showed, a subset of `fer_data.expressions.OCCLUSIONS`.
        light: likewise of `LIGHTS`.
    """

    label: tuple[str, ...]
    occlusion: tuple[str, ...]
    light: tuple[str, ...]

    @property
    def sizes(self) -> tuple[int, int, int]:
        """How many indices each facet has, "unknown" included."""
        return len(self.label) + 1, len(self.occlusion) + 1, len(self.light) + 1

    @property
    def unknown(self) -> tuple[int, int, int]:
        """The index of "unknown" in each facet."""
        return len(self.label), len(self.occlusion), len(self.light)

    def encode(
        self,
        labels: Sequence[str | None],
        occlusions: Sequence[str | None],
        lights: Sequence[str | None],
        where: str,
    ) -> NDArray[np.int64]:
        """Conditions int64 [N, 3] of N words per facet; a null becomes "unknown".

        Args:
            where: what the words belong to, for the message.

        Raises:
            FerError: a word that the vocabulary lacks.
        """
        columns = (
            _indices(words, facet, getattr(self, facet), where)
            for facet, words in zip(FACETS, (labels, occlusions, lights), strict=True)
        )
        return np.stack(list(columns), axis=1)

    def as_dict(self) -> dict[str, list[str]]:
        return {facet: list(words) for facet, words in asdict(self).items()}

    @classmethod
    def from_dict(cls, words: Mapping[str, Iterable[str]]) -> "Vocabulary":
        return cls(**{facet: tuple(words[facet]) for facet in FACETS})


class ConditionEmbedding(nn.Module):
    """Sums one learned vector per facet: conditions int64 [N, 3] to float32 [N, width].

    The vector of "unknown" is learned too: it is what condition dropout trains and what guidance steers away from
    (Ho & Salimans, "Classifier-Free Diffusion Guidance", 2022).
    """

    def __init__(self, vocabulary: Vocabulary, width: int) -> None:
        super().__init__()
        self.tables = nn.ModuleDict(
            {facet: nn.Embedding(size, width) for facet, size in zip(FACETS, vocabulary.sizes, strict=True)}
        )

    def forward(self, conditions: Tensor) -> Tensor:
        vectors = [self.tables[facet](conditions[:, column]) for column, facet in enumerate(FACETS)]
        return torch.stack(vectors).sum(dim=0)


def drop_conditions(
    conditions: Tensor, vocabulary: Vocabulary, probability: float, generator: torch.Generator
) -> Tensor:
    """Replace conditions int64 [N, 3] by "unknown" at random, for classifier-free guidance.

    With `probability` all three facets of a row are dropped (what guidance needs), and independently with the same
    probability each of occlusion and light (so that a cell with unknown occlusion can be asked for).
    """
    chance = torch.rand(len(conditions), 3, generator=generator) < probability
    dropped = chance[:, :1] | torch.cat([torch.zeros_like(chance[:, :1]), chance[:, 1:]], dim=1)
    return torch.where(dropped, torch.tensor(vocabulary.unknown), conditions)


def _indices(words: Sequence[str | None], facet: str, known: Sequence[str], where: str) -> NDArray[np.int64]:
    position = {word: index for index, word in enumerate(known)}
    found = []
    for word in words:
        if word is None or word != word:  # pandas writes a null word as NaN
            found.append(len(known))
        elif word in position:
            found.append(position[word])
        else:
            raise FerError(
                f"{where}: {facet} {word!r} is not known to the generator; "
                f"it knows {', '.join(known) or 'none'}; ask for one of these, or train on faces that show it"
            )
    return np.asarray(found, dtype=np.int64)
