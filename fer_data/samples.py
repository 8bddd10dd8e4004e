"""What an adapter hands over: one sample, or one rejection, at a time."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from fer_data.licenses import Licence
    from fer_data.sources import Source


@dataclass(slots=True)
class Sample:
    """One face as a dataset states it.

    Attributes:
        key: unique within the dataset and stable; for file-based forms the path relative to the dataset's root.
        image: pixels (uint8 [H, W] or [H, W, 3]), the bytes of an encoded image, or None where the image is a
            file of the download (`Reading.source`).
        label: canonical label name, or None (unlabelled, or a class outside the label set).
        source_label: the label as the dataset wrote it.
        split: "train", "val", "test" or None where the dataset has no splits.
        where: file and row, for messages.
        facts: further columns of `fer_data.store.FACTS`.
        file: name of that file within the source, where it is not the key (several faces in one picture).
        target: soft label, probabilities over `Reading.label_set` that sum to 1; None for one-hot.
    """

    key: str
    image: NDArray[np.uint8] | bytes | None
    label: str | None
    source_label: str | None
    split: str | None
    where: str
    facts: dict[str, Any] = field(default_factory=dict)
    file: str | None = None
    target: list[float] | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """One row or file that was set aside: told to the user, written to the `rejects` table, never dropped."""

    where: str
    expected: str
    found: str
    action: str = "the row was set aside"

    def sentence(self) -> str:
        return f"{self.where}: expected {self.expected}, found {self.found}; {self.action}"


@dataclass
class Reading:
    """An opened dataset.

    Attributes:
        form: which of the dataset's forms this is ("csv", "class folders").
        label_set: name of the label set that its labels belong to.
        total_images: how many samples and rejections will come, as far as known; for progress only.
        samples: the samples; while it runs it appends to the `rejections` list given to `read`.
        source: the folder or archive that samples without an image are read from; None where all bring theirs.
        votes_labels: names of the counts in the `votes` fact, in order.
        label_rule: where the labels come from, as `label_origin` in the manifest says it: "source" for the
            dataset's own labels, "votes:<rule>" where the adapter made them from votes.
        licence: as the user states it, where the adapter's own does not hold.
        notes: warnings for the user, one sentence each; complete once `samples` is exhausted.
    """

    form: str
    label_set: str
    total_images: int
    samples: Iterator[Sample]
    source: "Source | None" = None
    votes_labels: tuple[str, ...] = ()
    label_rule: str = "source"
    licence: "Licence | None" = None
    notes: list[str] = field(default_factory=list)
