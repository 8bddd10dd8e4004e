"""The faces under review: an opened manifest, its pictures by row, and what a model thinks of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_data import manifest as manifests
from fer_data import tables
from fer_data.errors import FerError
from fer_data.images import Pixels

_CONDITIONS = ("occlusion", "light")


@dataclass(frozen=True)
class Face:
    """One face as the reviewer meets it.

    Attributes:
        row: its position in the manifest.
        label: the given label, or None.
        suggestion: the label that the model would give, or None without an opinion.
        score: how well the model's opinion fits the given label, 0 (badly) .. 1, or None.
        probabilities: float32 [K] in the order of the manifest's labels, or None.
        occlusion, light: conditions, or None where unknown.
    """

    row: int
    sample_id: str
    pixel_sha256: str
    label: str | None
    suggestion: str | None
    score: float | None
    probabilities: NDArray[np.float32] | None
    split: str | None
    origin: str
    occlusion: str | None
    light: str | None


class Collection:
    """Faces by row. Columns are held as arrays; pictures are read when they are asked for."""

    def __init__(self, manifest: manifests.Manifest, audit: Path | None = None) -> None:
        """Align the opinions in `audit` with the manifest.

        Raises:
            FerError: the audit is of other faces, or lacks a label of the manifest.
        """
        self.manifest = manifest
        frame = manifest.frame
        facts = manifest.facts(["pixel_sha256", *_CONDITIONS])
        self._ids = pd.Index(frame["sample_id"])
        self._columns = {
            **{name: frame[name].astype(object).to_numpy() for name in ("label", "split", "origin", "store")},
            **{name: facts[name].astype(object).to_numpy() for name in facts.columns},
        }
        self._store_rows = frame["store_row"].to_numpy()
        self.probabilities: NDArray[np.float32] | None = None
        self.rank = np.zeros(len(frame), dtype=np.int64)  # 1 = worst; 0 where no opinion is known
        self.is_issue = np.zeros(len(frame), dtype=bool)
        self._score = np.full(len(frame), np.nan)
        self._suggestion = np.full(len(frame), None, dtype=object)
        self.opinions_elsewhere = 0
        if audit is not None:
            self._read_opinions(audit)

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the manifest's label set, in order."""
        return self.manifest.labels

    def column(self, name: str) -> NDArray[np.object_]:
        """`label`, `split` or `origin` of all rows, object [N], None or NaN where unknown."""
        return self._columns[name]

    def suggestions(self) -> NDArray[np.object_]:
        """Suggested labels of all rows, object [N], None without an opinion."""
        return self._suggestion

    def rows_of(self, sample_ids: Sequence[str]) -> NDArray[np.int64]:
        """Positions of samples, int64 [M]; -1 for those that are not here."""
        return self._ids.get_indexer(pd.Index(sample_ids, dtype=object)).astype(np.int64)

    def face(self, row: int) -> Face:
        """All that is known of one face, but its picture."""
        known = {
            name: None if pd.isna(self._columns[name][row]) else str(self._columns[name][row])
            for name in ("label", "split", *_CONDITIONS)
        }
        judged = self.probabilities is not None and not np.isnan(self._score[row])
        return Face(
            row=row,
            sample_id=str(self._ids[row]),
            pixel_sha256=str(self._columns["pixel_sha256"][row]),
            suggestion=self._suggestion[row],
            score=float(self._score[row]) if judged else None,
            probabilities=self.probabilities[row] if judged else None,
            origin=str(self._columns["origin"][row]),
            **known,
        )

    def picture(self, row: int) -> Pixels:
        """One picture, uint8 [H, W] or [H, W, 3], as stored.

        Raises:
            FerError: it cannot be read.
        """
        return self.manifest.stores[self._columns["store"][row]].image(int(self._store_rows[row]))

    def _read_opinions(self, audit: Path) -> None:
        table, _ = tables.read_table(audit, kind="label_audit")
        names = [f"p_{label}" for label in self.labels]
        missing = [name for name in names if name not in table.column_names]
        if missing:
            raise FerError(f"{audit}: expected the columns {', '.join(names)}, {missing[0]} is missing; audit again")
        rows = self.rows_of(table["sample_id"].to_pylist())
        here = rows >= 0
        if len(rows) and not here.any():
            raise FerError(f"{audit}: none of its faces is in {self.manifest.path}; give the audit of this manifest")
        self.opinions_elsewhere = int((~here).sum())
        found = table.to_pandas()[here]
        rows = rows[here]
        self.rank[rows] = found["rank"].to_numpy()
        self.is_issue[rows] = found["is_label_issue"].to_numpy(bool)
        self._score[rows] = found["label_score"].to_numpy()
        suggested = found["suggested_label"].astype(object)
        self._suggestion[rows] = suggested.where(suggested.notna(), None).to_numpy()
        self.probabilities = np.full((len(self), len(names)), np.nan, dtype=np.float32)
        self.probabilities[rows] = found[names].to_numpy(np.float32)
