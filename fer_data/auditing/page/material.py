"""What the parts of an audit's page look at, each thing read once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from fer_data.auditing.page.summary import Noise, read_noise
from fer_data.manifest import Manifest
from fer_data.project import relative


@dataclass(frozen=True)
class Material:
    """An audit and the manifest that it judged.

    Attributes:
        audit: rows of the table; every sample_id is in the manifest.
        metadata: the table's footer.
        place: the table's path as a command would name it.
    """

    manifest: Manifest
    audit: pd.DataFrame
    metadata: Mapping[str, Any]
    place: str

    @cached_property
    def summary(self) -> Mapping[str, Any]:
        """What the audit says of the whole; keys in `fer_data.auditing.page.summary`."""
        summary: Mapping[str, Any] = self.metadata.get("summary", {})
        return summary

    @cached_property
    def config(self) -> Mapping[str, Any]:
        config: Mapping[str, Any] = self.metadata.get("configuration", {})
        return config

    @cached_property
    def noise(self) -> Noise:
        return read_noise(self.summary, self.manifest.labels)

    @cached_property
    def faces(self) -> pd.DataFrame:
        """The audit's rows, the worst first, index 0..N-1, with `position` in the manifest and `picture`, its hash."""
        frame = self.audit.sort_values("rank", ignore_index=True)
        position = self.positions(frame["sample_id"].tolist())
        return frame.assign(position=position, picture=self.pictures[position])

    @cached_property
    def pictures(self) -> "np.ndarray[tuple[int], np.dtype[np.object_]]":
        """Hash of the picture of each row of the manifest."""
        return np.asarray(self.manifest.facts(["pixel_sha256"])["pixel_sha256"], dtype=object)

    @cached_property
    def given(self) -> "pd.Series[int]":
        """Faces per given label, in the order of the label set; labels that no face has are left out."""
        counts = self.audit["given_label"].value_counts()
        present: pd.Series[int] = counts.reindex([label for label in self.manifest.labels if label in counts.index])
        return present

    @cached_property
    def marked(self) -> "pd.Series[int]":
        """Marked faces per given label, index as `given`."""
        own = self.audit.loc[self.audit["is_label_issue"], "given_label"]
        counts: pd.Series[int] = own.value_counts().reindex(self.given.index, fill_value=0)
        return counts

    @cached_property
    def agreement(self) -> float:
        """Share of the faces whose most probable label is the given one, 0..1."""
        columns = [f"p_{label}" for label in self.manifest.labels]
        likeliest = np.asarray(self.manifest.labels, dtype=object)[self.audit[columns].to_numpy().argmax(axis=1)]
        return float((likeliest == self.audit["given_label"].to_numpy()).mean())

    @cached_property
    def guarded(self) -> frozenset[str]:
        """Classes of which nothing is decided without a person."""
        return frozenset(self.summary.get("guarded", ()))

    @property
    def scores_are_probabilities(self) -> bool:
        """Whether 1 - label_score estimates how likely the label is wrong."""
        return bool(self.config.get("score") == "combined")

    @property
    def manifest_place(self) -> str:
        """The manifest as a command would name it."""
        return relative(self.manifest.path, self.manifest.root).removesuffix(".parquet")

    @property
    def uses_votes(self) -> bool:
        return bool(self.config.get("use_votes"))

    def positions(self, sample_ids: Sequence[str]) -> "np.ndarray[tuple[int], np.dtype[np.intp]]":
        """Rows of the manifest, -1 for an id that it does not have."""
        return self._ids.get_indexer(pd.Index(sample_ids, dtype=object))

    def key(self, sample_id: str) -> str:
        """An id without its source, where all faces have the same."""
        return sample_id.partition("/")[2] if self._one_source else sample_id

    @cached_property
    def _ids(self) -> "pd.Index[str]":
        ids: pd.Index[str] = pd.Index(self.manifest.frame["sample_id"], dtype=object)
        return ids

    @cached_property
    def _one_source(self) -> bool:
        return self.manifest.frame["sample_id"].str.partition("/")[0].nunique() == 1
