"""What the parts of a description look at, each thing read or measured once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_data import pages
from fer_data.duplicates import DuplicateReport, find_duplicates
from fer_data.leaks import leaking_pairs
from fer_data.manifest import Manifest
from fer_data.pages import Html
from fer_data.progress import SILENT, Reporter
from fer_data.quality import QualityConfig, mark_quality, measure_quality
from fer_data.tabular.rows import SPLITS

UNLABELLED = "unlabelled"
NO_SPLIT = "no split"
UNKNOWN = "unknown"

ATTRIBUTES = ("gender", "age", "race", "occlusion", "light", "pose")
_FACTS = (
    "width_px", "height_px", "mode", "pixel_sha256", "subject_id", "sequence_id", "votes", "valence", "arousal",
    "planted", "condition_source", "seed", *ATTRIBUTES,
)  # fmt: skip


@dataclass(frozen=True)
class Material:
    """A manifest and what is read of it.

    Attributes:
        faces: whether the page may show faces; without, it names their ids instead.
        thresholds: below which scores a picture has a quality issue.
    """

    manifest: Manifest
    faces: bool = True
    thresholds: QualityConfig = field(default_factory=QualityConfig)
    reporter: Reporter = SILENT

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The manifest's rows; index 0..N-1."""
        return self.manifest.frame.reset_index(drop=True)

    @cached_property
    def facts(self) -> pd.DataFrame:
        """Facts of the rows; index 0..N-1."""
        return self.manifest.facts(_FACTS)

    @cached_property
    def quality(self) -> pd.DataFrame:
        """Scores and flags of every picture, as `fer_data.quality` gives them; index 0..N-1."""
        return mark_quality(measure_quality(self.manifest, self.reporter), self.thresholds)

    @cached_property
    def duplicates(self) -> DuplicateReport:
        return find_duplicates(self.manifest)

    @cached_property
    def leaks(self) -> pd.DataFrame:
        """Held-out rows and a twin of each in an earlier split, as `fer_data.leaks` finds them."""
        return leaking_pairs(self.manifest)

    @cached_property
    def label(self) -> "pd.Series[str]":
        """Label of each row, `UNLABELLED` where null."""
        return self.frame["label"].fillna(UNLABELLED)

    @cached_property
    def split(self) -> "pd.Series[str]":
        """Split of each row, `NO_SPLIT` where null."""
        return self.frame["split"].fillna(NO_SPLIT)

    @cached_property
    def source(self) -> "pd.Series[str]":
        """The data set that each row comes from, as its store names it."""
        names = {name: str(store.info["source"]) for name, store in self.manifest.stores.items()}
        return self.frame["store"].map(names)

    @cached_property
    def labels(self) -> list[str]:
        """The label set's names, and `UNLABELLED` where rows have none."""
        return [*self.manifest.labels, *([UNLABELLED] if (self.label == UNLABELLED).any() else [])]

    @cached_property
    def present(self) -> list[str]:
        """Those of `labels` that rows have."""
        there = set(self.label)
        return [label for label in self.labels if label in there]

    @cached_property
    def splits(self) -> list[str]:
        """The splits that occur, and `NO_SPLIT` where rows have none."""
        there = set(self.split)
        return [name for name in (*SPLITS, NO_SPLIT) if name in there]

    def counts(self, columns: "pd.Series[str]", order: Sequence[str]) -> pd.DataFrame:
        """Rows per label (index: `labels`) and value of `columns` (in the given order)."""
        counts = pd.crosstab(self.label, columns)
        return counts.reindex(index=self.labels, columns=list(order), fill_value=0).astype(np.int64)

    def sheet(
        self,
        positions: Sequence[int],
        columns: int,
        captions: Sequence[str | Sequence[str]] | None = None,
        scale_px: int = 96,
    ) -> Html:
        """Faces of some rows, as `pages.face_sheet` shows them; only the captions where faces are not shown."""
        if not self.faces:
            lines = [line if isinstance(line, str) else " · ".join(line) for line in captions or ()]
            return pages.bullets(lines) if lines else Html("")
        images = pages.stored_faces(self.manifest, positions)
        return pages.face_sheet(images, columns, captions, scale_px)

    def key(self, position: int) -> str:
        """A row's id without its source, where all rows have the same."""
        sample_id = str(self.frame["sample_id"].iat[position])
        return sample_id.partition("/")[2] if self.source.nunique() == 1 else sample_id


def spread(rows: NDArray[np.integer[Any]], count: int) -> NDArray[np.integer[Any]]:
    """At most `count` of the rows, at even distances."""
    return rows if len(rows) <= count else rows[np.linspace(0, len(rows) - 1, count).astype(np.int64)]


def told(values: "pd.Series[Any] | Sequence[str]", most: int = 12) -> str:
    """Distinct values with their counts, the most frequent first: "anger 3, fear 1"."""
    counts = pd.Series(values).value_counts()
    parts = [f"{value} {count:,}" for value, count in counts.head(most).items()]
    return ", ".join(parts + [f"{len(counts) - most:,} more"] * (len(counts) > most))


def sentence(clause: str) -> str:
    """A clause with a capital and a full stop."""
    return f"{clause[:1].upper()}{clause[1:]}."
