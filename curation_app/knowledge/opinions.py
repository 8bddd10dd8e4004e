"""What a model thinks of the labels: the audit's table, seen from the rows of the manifest."""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation_app.knowledge.side_tables import SideTable
from fer_data.errors import FerError
from fer_data.manifest import Manifest


class Opinions:
    """An audit of a manifest. Scores are 0..1, low = bad.

    Attributes:
        table: the audit's own columns.
        is_outdated: the manifest was written anew since it was audited.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        """Align an audit with a manifest.

        Raises:
            FerError: the audit is of other faces, or lacks a column for a label of the manifest.
        """
        self.table = SideTable(path, "label_audit", manifest)
        if self.table.elsewhere and not self.table.known.any():
            raise FerError(f"{path}: none of its faces is in {manifest.path}; give the audit of this manifest")
        self._labels = [f"p_{label}" for label in manifest.labels]
        missing = [name for name in self._labels if name not in self.table.columns]
        if missing:
            raise FerError(
                f"{path}: expected the columns {', '.join(self._labels)}, {missing[0]} is missing; audit again"
            )
        parents = self.table.metadata.get("parents")
        self.is_outdated = parents is not None and manifest.sha256 not in parents.values()

    @property
    def known(self) -> NDArray[np.bool_]:
        """The rows that were audited, bool [N]."""
        return self.table.known

    @cached_property
    def is_issue(self) -> NDArray[np.bool_]:
        """The rows whose label is suspect, bool [N]."""
        return self.table.numbers("is_label_issue", False)

    @cached_property
    def review_order(self) -> NDArray[np.int32]:
        """Which face to look at first, int32 [N], 1 = next, 0 where nothing is known."""
        name = "review_rank" if "review_rank" in self.table.columns else "rank"
        return self.table.numbers(name, 0).astype(np.int32)

    @cached_property
    def scores(self) -> NDArray[np.float32]:
        """How well the given label fits, float32 [N], NaN where nothing is known."""
        return self.table.numbers("label_score", np.nan).astype(np.float32)

    def suggestions(self) -> tuple[NDArray[np.int32], tuple[str, ...]]:
        """The suggested labels: codes int32 [N], -1 where nothing is known, and their names."""
        return self.table.words("suggested_label")

    def flag(self, name: str) -> NDArray[np.bool_]:
        """A flag of the audit, bool [N]; false where nothing is known, or the audit has no such flag."""
        return self._numbers(name, False)

    def score_of(self, name: str) -> NDArray[np.float64]:
        """One of the audit's scores, [N]; 1 where nothing is known, or the audit has no such score."""
        return self._numbers(name, 1.0)

    def kind_is(self, kind: str) -> NDArray[np.bool_]:
        """The rows that are suspect for this reason, bool [N]; a kind of `fer_data.auditing.reasons.KINDS`."""
        if "kind" not in self.table.columns:
            return np.zeros(len(self.known), dtype=bool)
        codes, words = self.table.words("kind")
        return codes == words.index(kind) if kind in words else np.zeros(len(codes), dtype=bool)

    def score(self, row: int) -> float | None:
        """How well the given label of one face fits, or None."""
        return float(self.scores[row]) if self.known[row] else None

    def probabilities(self, row: int) -> NDArray[np.float32] | None:
        """Probabilities of one face, float32 [K] in the order of the manifest's labels, or None."""
        if not self.known[row]:
            return None
        return np.array([self.table.value(name, row) for name in self._labels], dtype=np.float32)

    def neighbours(self, row: int) -> list[str] | None:
        """Ids of the nearest faces with another label, nearest first, or None."""
        return self.table.value("neighbours", row)  # type: ignore[no-any-return]

    def _numbers(self, name: str, missing: Any) -> NDArray[Any]:
        if name not in self.table.columns:
            return np.full(len(self.known), missing)
        return self.table.numbers(name, missing)
