"""What the page reads of an audit's metadata. Every key may be missing: then the page does not speak of it.

Keys of `metadata["summary"]`:

    noise         `NoiseEstimate.as_dict`: labels; error_rate, error_rates, conditional, each with value, low, high
    guarded       [label]: classes of which nothing is decided without a person
    expected      {label: {precision, recall}}: of the faces marked, as estimated on planted noise
    kinds         {kind: faces}
    policies      [{name, rule, relabelled, dropped, softened, expected_precision, interval: [low, high]}]
    overlapping   [{labels: [a, b], share, low, high, faces, of_rarer}], `Overlap.as_dict`
    other         {issue: {count, sentence, rows: [{column: value}]}}, `OtherIssues.summary`
    history       [entry], see `fer_data.auditing.history`
    weights       [{part, weight}]: what each part contributes to the combined score

An audit made before these has error_rate, error_rates and true_given in their place: numbers without intervals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Rate:
    """An estimated share with its 95 % interval, 0..1; low and high are None where they are not known."""

    value: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        """As a percentage: "12.3 % (11.0 to 13.7)"."""
        between = "" if self.low is None or self.high is None else f" ({100 * self.low:.1f} to {100 * self.high:.1f})"
        return f"{100 * self.value:.1f} %{between}"


@dataclass(frozen=True)
class Noise:
    """How given and true labels go together.

    Attributes:
        labels: K names.
        error_rate: of all labels, None if unknown; `error_rates`: per label, of those that faces have.
        conditional: float64 [K, K], P(true | given), NaN where unknown; `low` and `high`: its intervals, NaN likewise.
    """

    labels: tuple[str, ...]
    error_rate: Rate | None
    error_rates: Mapping[str, Rate]
    conditional: Floats
    low: Floats
    high: Floats


def read_noise(summary: Mapping[str, Any], labels: Sequence[str]) -> Noise:
    """The noise estimate of an audit of any version.

    Args:
        labels: the label set, for an audit that does not name it.
    """
    noise = summary.get("noise")
    if noise is None:
        noise = {key: summary[key] for key in ("labels", "error_rate", "error_rates") if key in summary}
        noise["conditional"] = {"value": summary.get("true_given")}
    names = tuple(noise.get("labels", labels))
    rates = {label: rate for label in names if (rate := read_rate(noise.get("error_rates", {}).get(label)))}
    matrices = [_matrix(noise.get("conditional", {}).get(part), len(names)) for part in ("value", "low", "high")]
    return Noise(names, read_rate(noise.get("error_rate")), rates, *matrices)


def read_rate(told: Any) -> Rate | None:
    """A rate as an audit holds it: a number, or value, low and high; None where it is unknown."""
    if isinstance(told, Mapping):
        return None if told.get("value") is None else Rate(told["value"], told.get("low"), told.get("high"))
    return None if told is None else Rate(float(told))


def _matrix(rows: Sequence[Sequence[float | None] | None] | None, size: int) -> Floats:
    """Rows of numbers as float64 [size, size]; a row or number that is None becomes NaN."""
    empty: list[float | None] = [None] * size
    return np.array([row or empty for row in rows or [empty] * size], dtype=np.float64).reshape(size, size)
