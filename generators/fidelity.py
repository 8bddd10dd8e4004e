"""How true synthetic faces are: does a judge see the label that was asked for, and are they spread as real ones are."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_data.errors import FerError
from fer_data.intervals import wilson
from generators.screening import Judge


@dataclass(frozen=True)
class Agreement:
    """Share of faces in which the judge's first choice is the label that was asked for.

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
class Kid:
    """Kernel inception distance over subsets.

    Attributes:
        value: mean over subsets; low and high are the 2.5 % and 97.5 % quantiles of the subsets' values.
        subset_size, subsets: how it was measured.
    """

    value: float
    low: float
    high: float
    subset_size: int
    subsets: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def label_agreement(judge: Judge, pictures: NDArray[np.uint8], labels: Sequence[str]) -> dict[str, Agreement]:
    """Agreement of a judge with asked labels, over all faces ("all") and per label that occurs.

    Args:
        pictures: uint8 [N, C, S, S].
        labels: N labels, names of the judge's classes.

    Raises:
        FerError: no faces, or a label that the judge does not know.
    """
    names = list(judge.labels)
    strange = sorted(set(labels) - set(names))
    if strange or not len(labels):
        found = f"label {strange[0]!r}" if strange else "no faces"
        raise FerError(f"label agreement: expected faces labelled {', '.join(names)}, found {found}")
    asked = np.asarray([names.index(label) for label in labels])
    answered = judge.probabilities(pictures).argmax(axis=1)
    frequencies = np.bincount(answered, minlength=len(names)) / len(answered)
    found = {"all": _agreement(asked == answered, float(frequencies[asked].mean()))}
    for index, name in enumerate(names):
        rows = asked == index
        if rows.any():
            found[name] = _agreement(answered[rows] == index, float(frequencies[index]))
    return found


def polynomial_mmd2(real: NDArray[np.float64], synthetic: NDArray[np.float64]) -> float:
    """Unbiased squared maximum mean discrepancy with the kernel (x·y / F + 1)³.

    Bińkowski et al., "Demystifying MMD GANs" (ICLR 2018), section 4: the estimator behind KID. It may be negative.

    Args:
        real, synthetic: float64 [M, F] and [N, F], M and N at least 2.
    """

    def kernel(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((x @ y.T / x.shape[1] + 1) ** 3)

    def within(x: NDArray[np.float64]) -> float:
        values = kernel(x, x)
        return float((values.sum() - np.trace(values)) / (len(x) * (len(x) - 1)))

    return within(real) + within(synthetic) - 2 * float(kernel(real, synthetic).mean())


def kid(
    real: NDArray[np.float32],
    synthetic: NDArray[np.float32],
    *,
    subset_size: int = 100,
    subsets: int = 100,
    seed: int = 0,
) -> Kid:
    """Kernel inception distance in given features, averaged over random subsets.

    Args:
        real, synthetic: float32 [M, F] and [N, F].
        subset_size: faces of each in a subset, drawn without replacement; at most min(M, N) are used.

    Raises:
        FerError: fewer than 2 faces on a side.
    """
    size = min(subset_size, len(real), len(synthetic))
    if size < 2:
        raise FerError(
            f"KID: expected at least 2 faces on each side, found {len(real)} real and {len(synthetic)} synthetic"
        )
    random = np.random.default_rng(seed)
    values = [
        polynomial_mmd2(
            real[random.choice(len(real), size, replace=False)].astype(np.float64),
            synthetic[random.choice(len(synthetic), size, replace=False)].astype(np.float64),
        )
        for _ in range(subsets)
    ]
    low, high = np.quantile(values, [0.025, 0.975])
    return Kid(float(np.mean(values)), float(low), float(high), size, subsets)


def _agreement(agreed: NDArray[np.bool_], chance: float) -> Agreement:
    low, high = wilson(int(agreed.sum()), len(agreed))
    return Agreement(float(agreed.mean()), low, high, chance, len(agreed))
