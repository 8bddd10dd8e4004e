"""Is one way of drawing as good as another? The difference of their KIDs, with an interval, for sampling_speed.py.

Both are measured against the same real faces, and face i of both is asked for the same condition. What the real faces
and the conditions happen to be moves both KIDs alike, so the difference is known far better than either of them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from generators.fidelity.estimates import Estimate, around

Features = NDArray[np.float32]
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class _Sums:
    """Kernel values summed per face.

    Attributes:
        within: float64 [N], over the other drawn faces.
        across: float64 [N], over the real faces.
        of_real: float64 [M], of each real face over the drawn ones.
    """

    within: Doubles
    across: Doubles
    of_real: Doubles


def kid_difference(real: Features, ours: Features, peer: Features) -> Estimate:
    """KID of `ours` minus KID of `peer`, both to the same real faces, with a jackknife's 95 % interval.

    The statistic is that of Bounliphone et al., "A Test of Relative Similarity for Model Selection in Generative
    Models" (ICLR 2016), with KID's kernel (x·y / F + 1)³. Each real face is left out in turn, and each pair of drawn
    faces in turn; the two variances add (Efron & Stein, Annals of Statistics 9, 1981).

    Args:
        real: float32 [M, F], M at least 3.
        ours, peer: float32 [N, F] each, N at least 3; row i of both was asked for the same.

    Raises:
        ValueError: `ours` and `peer` are not equally many.
    """
    if ours.shape != peer.shape:
        raise ValueError(f"expected as many faces of ours as of the peer, found {len(ours)} and {len(peer)}")
    m, n = len(real), len(ours)
    one, other = (_sums(real.astype(np.float64), drawn.astype(np.float64)) for drawn in (ours, peer))
    within, across, of_real = one.within - other.within, one.across - other.across, one.of_real - other.of_real
    inside, between = within.sum(), across.sum()
    value = inside / (n * (n - 1)) - 2 * between / (m * n)
    without_pair = (inside - 2 * within) / ((n - 1) * (n - 2)) - 2 * (between - across) / (m * (n - 1))
    without_real = inside / (n * (n - 1)) - 2 * (between - of_real) / ((m - 1) * n)
    variance = (n - 1) * np.var(without_pair) + (m - 1) * np.var(without_real)
    return around(float(value), float(variance) ** 0.5, n)


def _sums(real: Doubles, drawn: Doubles) -> _Sums:
    among, towards = _kernel(drawn, drawn), _kernel(drawn, real)
    return _Sums(among.sum(axis=1) - among.diagonal(), towards.sum(axis=1), towards.sum(axis=0))


def _kernel(x: Doubles, y: Doubles) -> Doubles:
    kernel: Doubles = (x @ y.T / x.shape[1] + 1) ** 3
    return kernel
