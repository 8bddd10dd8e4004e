"""Views of held-out faces: which faces of a split are judged, and whose labels are taken for true."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from fer_data.expressions import label_indices
from fer_data.links import related_across, twins_across
from fer_data.manifest import Manifest
from fer_data.votes import reference_labels

Rows = NDArray[np.bool_]

# From the most faces to the fewest, each within the one before.
SPLITS = ("official", "no_copies", "leak_free")
PRIMARY_SPLIT = "leak_free"
SHORT_NAMES: Mapping[str, str] = MappingProxyType(
    {"official": "official", "no_copies": "without copies", "leak_free": "without twins"}
)
BEFORE: Mapping[str, Sequence[str]] = MappingProxyType({"val": ("train",), "test": ("train", "val")})
_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "official": "official {split}",
        "no_copies": "{split} without pictures that are also in {before}",
        "leak_free": "{split} without twins in {before}",
    }
)


@dataclass(frozen=True)
class View:
    """Some held-out faces under one kind of label.

    Attributes:
        split: one of `SPLITS`: all faces; those whose very picture is in no split before; those that are not one with
            any face of the splits before, over identical pictures, groups and links.
        labels: "given" (the manifest's own) or "reference" (planted truth, votes' majority).
        labels_name: what these labels are, in words.
        truth: class indices of the split's rows, int64 [T]; -1 where a face is not in this view.
        left_out: faces of the split without a clear truth among the labels.
    """

    split: str
    labels: str
    labels_name: str
    truth: NDArray[np.int64]
    left_out: int

    @property
    def key(self) -> str:
        return f"{self.split}/{self.labels}"

    @property
    def rows(self) -> Rows:
        """Which of the split's rows are in the view, bool [T]."""
        return self.truth >= 0


def build_views(manifest: Manifest, leaked: Rows | None = None, of: str = "test") -> list[View]:
    """{official, without copies, leak-free} x {given, reference} labels; reference only where there is one.

    Rows are those of the split in manifest order.

    Args:
        leaked: rows of the manifest that leak, bool [N]; None for those of the split that are one with rows of the
            splits before it, over identical pictures and groups (`fer_data.links.related_across`).
        of: the split, "test", or "val", which may be one with "test".
    """
    rows = (manifest.frame["split"] == of).to_numpy(dtype=bool)
    kinds = [("given", "given labels", list(manifest.frame.loc[rows, "label"]))]
    labels, name = reference_labels(manifest, rows)
    if any(label is not None for label in labels):
        kinds.append(("reference", name, list(labels)))
    views = []
    for split, inside in divide(manifest, leaked, of).items():
        for kind, words, values in kinds:
            truth = np.where(inside, label_indices(values, manifest.label_set), -1)
            views.append(View(split, kind, words, truth, int(np.sum(inside & (truth < 0)))))
    return views


def divide(manifest: Manifest, leaked: Rows | None = None, of: str = "test") -> dict[str, Rows]:
    """Name of each part of a split that is judged → which of the split's rows are in it, bool [T].

    The part without copies is left out where it is no other than one of its neighbours: where no picture lies in two
    splits, or where only pictures do.

    Args:
        leaked, of: as for `build_views`.
    """
    rows = (manifest.frame["split"] == of).to_numpy(dtype=bool)
    leaked = (related_across(manifest, of, BEFORE[of]) if leaked is None else leaked)[rows]
    copied = twins_across(manifest, of, BEFORE[of])[rows] & leaked
    parts = {"official": np.ones(len(leaked), dtype=bool), "no_copies": ~copied, "leak_free": ~leaked}
    if not copied.any() or copied.sum() == leaked.sum():
        del parts["no_copies"]
    return parts


def split_name(split: str, of: str = "test") -> str:
    """A part of a split in words: "test split without twins in train or val"."""
    name = {"test": "test split", "val": "validation split"}[of]
    return _NAMES[split].format(split=name, before=" or ".join(BEFORE[of]))


def preference(split: str, labels: str) -> tuple[int, bool]:
    """By what the view is chosen that details are told of, highest best: fewest twins, then the reference labels."""
    return SPLITS.index(split), labels == "reference"
