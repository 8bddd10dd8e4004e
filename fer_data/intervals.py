"""Intervals of shares, and p values of several looks."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def wilson(hits: Any, total: Any, confidence: float = 0.95) -> tuple[Array, Array]:
    """Wilson's score interval of shares (Wilson, JASA 22, 1927); 0 to 1 where `total` is 0.

    Args:
        hits: how many of `total`, numbers or arrays; means and weighted counts need not be whole.
        total: 0 or more.
        confidence: 0..1.

    Returns:
        Low and high, float64 of the shape of `hits` and `total`.
    """
    from scipy.special import ndtri

    known = np.asarray(total) > 0
    number = np.where(known, np.asarray(total, dtype=np.float64), 1.0)
    z = float(ndtri(0.5 + confidence / 2))
    share = np.asarray(hits, dtype=np.float64) / number
    spread = 1 + z**2 / number
    middle = (share + z**2 / (2 * number)) / spread
    half = z / spread * np.sqrt(share * (1 - share) / number + z**2 / (4 * number**2))
    # Never on the wrong side of the share itself, which rounding could bring about at 0 and 1.
    low = np.where(known, np.minimum(np.maximum(middle - half, 0), share), 0.0)
    high = np.where(known, np.maximum(np.minimum(middle + half, 1), share), 1.0)
    return low[()], high[()]  # of numbers, numbers


def holm(p_values: Array) -> Array:
    """P values adjusted for looking at several (Holm, Scandinavian Journal of Statistics 6, 1979), [M]; NaN stays."""
    adjusted = np.full(len(p_values), np.nan)
    known = np.flatnonzero(np.isfinite(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    steps = p_values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(steps)) if len(order) else steps
    return adjusted
