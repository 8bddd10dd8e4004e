"""Do judges see what was asked for: the expression, and the occlusion and light that a face claims?"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fer_data.errors import FerError
from fer_data.intervals import wilson
from generators.contract import Judge


class ConditionJudge(Protocol):
    """A trained classifier of conditions, made apart from the code that generators and screening use.

    Attributes:
        occlusions, lights: the words that it knows, in the order of its probabilities.
        learnt_from: sample_ids of the real faces that it learnt from; what it says of these measures nothing.
    """

    @property
    def learnt_from(self) -> Collection[str]: ...

    @property
    def occlusions(self) -> Sequence[str]: ...

    @property
    def lights(self) -> Sequence[str]: ...

    def probabilities(self, images: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float32]]:
        """uint8 [N, C, S, S] to float32 [N, K] under "occlusion" and under "light", rows sum to 1."""
        ...


@dataclass(frozen=True)
class Agreement:
    """Share of faces in which the judge's first choice is what was asked for.

    Attributes:
        value: the share, 0..1; low and high are its 95 % Wilson interval.
        chance: the share expected of a judge that answers with the same frequencies without looking.
        count: number of faces.
    """

    value: float
    low: float
    high: float
    chance: float
    count: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Answers:
    """What was asked of N faces and what a judge saw.

    Attributes:
        asked: int64 [N], index of a word; -1 where nothing was asked that the judge knows.
        seen: int64 [N].
    """

    asked: NDArray[np.int64]
    seen: NDArray[np.int64]

    def agreement(self, rows: NDArray[np.int64]) -> Agreement | None:
        """Agreement over some of the faces; None where nothing was asked of them."""
        known = rows[self.asked[rows] >= 0]
        if not len(known):
            return None
        everywhere = self.seen[self.asked >= 0]
        frequencies = np.bincount(everywhere, minlength=int(self.asked.max()) + 1) / len(everywhere)
        hits = self.asked[known] == self.seen[known]
        low, high = wilson(int(hits.sum()), len(hits))
        chance = float(frequencies[self.asked[known]].mean())
        return Agreement(float(hits.mean()), float(low), float(high), chance, len(hits))


def answers(asked: Sequence[str | None], words: Sequence[str], probabilities: NDArray[np.float32]) -> Answers:
    """Pair N asked words with the judge's first choices.

    Args:
        asked: null, or a word outside `words`, is not asked.
        probabilities: float32 [N, K] over the K words.
    """
    place = {word: index for index, word in enumerate(words)}
    indices = np.fromiter((place.get(word, -1) if word else -1 for word in asked), dtype=np.int64)
    return Answers(indices, probabilities.argmax(axis=1))


def label_agreement(judge: Judge, pictures: NDArray[np.uint8], labels: Sequence[str]) -> dict[str, Agreement]:
    """Agreement of a judge with asked labels, over all faces ("all") and per label that occurs.

    Args:
        pictures: uint8 [N, C, S, S].
        labels: N labels, names of the judge's classes.

    Raises:
        FerError: no faces, or a label that the judge does not know.
    """
    names = list(judge.labels)
    require_known(labels, names)
    told = answers(labels, names, judge.probabilities(pictures))
    groups = {"all": np.arange(len(labels))}
    groups |= {name: np.flatnonzero(told.asked == index) for index, name in enumerate(names)}
    found = {name: told.agreement(rows) for name, rows in groups.items()}
    return {name: agreement for name, agreement in found.items() if agreement is not None}


def require_known(labels: Sequence[str], names: Sequence[str]) -> None:
    """Refuse no faces, and faces labelled with what a judge does not know.

    Raises:
        FerError: so.
    """
    strange = sorted(set(labels) - set(names))
    if strange or not len(labels):
        found = f"label {strange[0]!r}" if strange else "no faces"
        raise FerError(
            f"label agreement: expected faces labelled {', '.join(names)}, found {found}; ask a judge that was trained "
            "on the labels of these faces"
        )
