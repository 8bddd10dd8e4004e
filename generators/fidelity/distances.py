"""Distances between two sets of faces in a feature space: kernel distances (KID) and Fréchet distances (FD).

KID is unbiased and so can be compared between classes of any size, and may be negative. FD is biased upwards, the more
the fewer the faces: it compares at equal counts only, and its extrapolation to infinitely many only roughly otherwise.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fer_data.errors import FerError
from generators.fidelity.estimates import Doubles, Estimate, Floats, around, jackknife_error

_BLOCK = 1024
_SIZES = 6  # points on the line that FD is extrapolated along
_PARTS = 6  # that the jackknife leaves out in turn
_DRAWS = 4  # random choices of faces that FD is averaged over


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


def polynomial_mmd2(real: Doubles, synthetic: Doubles) -> float:
    """Unbiased squared maximum mean discrepancy with the kernel (x·y / F + 1)³.

    Bińkowski et al., "Demystifying MMD GANs", ICLR 2018, equation 4; the kernel of section 4.

    Args:
        real, synthetic: float64 [M, F] and [N, F], M and N at least 2.
    """
    within = [_kernel_sums(x, x) - _diagonal(x) for x in (real, synthetic)]
    m, n = len(real), len(synthetic)
    across = _kernel_sums(real, synthetic).sum()
    return float(within[0].sum() / (m * (m - 1)) + within[1].sum() / (n * (n - 1)) - 2 * across / (m * n))


def kid(
    real: Floats,
    synthetic: Floats,
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


def kernel_distance(real: Floats, synthetic: Floats) -> Estimate:
    """The same squared discrepancy over all faces at once, which varies least, with the interval of a jackknife.

    Leaving out one face changes the sums by its own row of kernel values only, so that every face is left out in turn
    (Efron & Stein, "The Jackknife Estimate of Variance", Annals of Statistics 9, 1981; both samples' variances add).

    Args:
        real, synthetic: float32 [M, F] and [N, F], M and N at least 3.
    """
    x, y = real.astype(np.float64), synthetic.astype(np.float64)
    m, n = len(x), len(y)
    within = [_kernel_sums(z, z) - _diagonal(z) for z in (x, y)]
    across = _kernel_sums(x, y), _kernel_sums(y, x)
    total = across[0].sum()
    value = within[0].sum() / (m * (m - 1)) + within[1].sum() / (n * (n - 1)) - 2 * total / (m * n)
    variance = 0.0
    for inside, between, own, other in ((within[0], across[0], m, n), (within[1], across[1], n, m)):
        left = (inside.sum() - 2 * inside) / ((own - 1) * (own - 2)) - 2 * (total - between) / ((own - 1) * other)
        variance += (own - 1) * float(np.var(left))
    return around(float(value), variance**0.5, min(m, n))


def frechet_distance(real: Floats, synthetic: Floats) -> float:
    """Squared Fréchet distance between the normal distributions with the two sets' means and covariances.

    Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", NeurIPS 2017, equation 6; the trace of the root is
    the sum of the singular values of the product of the covariances' triangular roots.

    Args:
        real, synthetic: float32 [M, F] and [N, F], M and N at least 2; fewer than F is allowed.
    """
    x, y = real.astype(np.float64), synthetic.astype(np.float64)
    roots = [
        np.linalg.qr(z - z.mean(axis=0), mode="r") / np.sqrt(len(z) - 1)  # R'R is the covariance
        for z in (x, y)
    ]
    shared = np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum()
    spread = sum(float((root**2).sum()) for root in roots)
    return float(((x.mean(axis=0) - y.mean(axis=0)) ** 2).sum() + spread - 2 * shared)


def frechet_estimates(real: Floats, synthetic: Floats, count: int, seed: int) -> tuple[Estimate, Estimate]:
    """FD over `count` faces a side, and FD extrapolated to infinitely many faces on both sides.

    Each is the mean over a few random choices of the faces. FD over n faces a side exceeds its limit by about c / n: a
    line in 1 / n over prefixes of one random order, from half of the faces to all, ends at 1 / n = 0 (Chong & Forsyth,
    "Effectively Unbiased FID and Inception Score and where to find them", CVPR 2020, section 3, where only the
    generated side grows). The intervals come from a jackknife over the first choice, which leaves out a part of both
    sides at a time; they are those of one choice, so rather wide where there are many more faces than `count`.

    Args:
        real, synthetic: float32 [M, F] and [N, F].
        count: at least 8, at most min(M, N).
    """
    random = np.random.default_rng(seed)
    chosen = [
        (real[random.permutation(len(real))[:count]], synthetic[random.permutation(len(synthetic))[:count]])
        for _ in range(_DRAWS)
    ]
    found = np.mean([_plain_and_limit(x, y, _SIZES) for x, y in chosen], axis=0)
    x, y = chosen[0]
    errors = [
        jackknife_error(statistic, count, _PARTS, random)
        for statistic in (
            lambda rows: frechet_distance(x[rows], y[rows]),
            lambda rows: _plain_and_limit(x[rows], y[rows], 3)[1],
        )
    ]
    return around(float(found[0]), errors[0], count), around(float(found[1]), errors[1], count)


def _plain_and_limit(x: Floats, y: Floats, sizes: int) -> tuple[float, float]:
    """FD of all faces of float32 [N, F] each, and the end of the line along so many prefixes."""
    counts = np.unique(np.linspace(len(x) / 2, len(x), sizes).astype(int))
    found = [frechet_distance(x[:size], y[:size]) for size in counts]
    return found[-1], float(np.polyfit(1 / counts, found, 1)[1])


def _kernel_sums(x: Doubles, y: Doubles) -> Doubles:
    """Σ_j k(x_i, y_j) for every i, float64 [M]; few rows of the kernel are in memory at once."""
    parts = [
        ((x[start : start + _BLOCK] @ y.T / x.shape[1] + 1) ** 3).sum(axis=1) for start in range(0, len(x), _BLOCK)
    ]
    return np.concatenate(parts)


def _diagonal(x: Doubles) -> Doubles:
    """k(x_i, x_i), float64 [M]."""
    return np.asarray(((x**2).sum(axis=1) / x.shape[1] + 1) ** 3)
