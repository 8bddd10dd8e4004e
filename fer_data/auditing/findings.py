"""What one check of a data set found: a score and a flag per face, and what is said of the whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Finding:
    """One issue.

    Attributes:
        sentence: what a person should know.
        count: faces that have it, or findings where it concerns the whole.
        rows: a small table to show, mappings of equal keys.
        score: float64 [N], 0..1, low = bad, NaN where unknown; None where it concerns the whole.
        flag: bool [N], the faces that have it; None where it concerns the whole.
    """

    sentence: str
    count: int
    rows: Sequence[Mapping[str, Any]] = ()
    score: NDArray[np.float64] | None = None
    flag: NDArray[np.bool_] | None = None

    def columns(self, issue: str) -> dict[str, NDArray[Any]]:
        """`<issue>_score` and `is_<issue>`; nothing where the issue concerns the whole."""
        return (
            {} if self.score is None or self.flag is None else {f"{issue}_score": self.score, f"is_{issue}": self.flag}
        )

    def as_dict(self) -> dict[str, Any]:
        """What a table's metadata holds."""
        return {"count": self.count, "sentence": self.sentence, "rows": [dict(row) for row in self.rows]}


def counted(count: int, one: str, many: str) -> str:
    """A number with what is counted: "1 face", "1,200 faces"."""
    return f"{count:,} {one if count == 1 else many}"
