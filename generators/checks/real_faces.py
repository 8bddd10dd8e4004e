"""What synthetic faces are held against: real training faces, and held-out ones that show what is usual.

A mask hides the mouth, the dark brings noise: what is usual among bare faces in good light is not usual there. What
a cell of a plan asks for is therefore held against real faces that were occluded and relit in the same way.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_data import links
from fer_data.errors import FerError
from fer_data.expressions import label_indices
from fer_data.manifest import Manifest
from fer_data.plans import Key
from generators.checks.copies import Views, look
from generators.contract import Judge
from generators.drawing.requests import put_on

Condition = tuple[str | None, str | None]

_PLAIN = (None, "none", "normal")


@dataclass(frozen=True)
class View:
    """How pictures are looked at: their side in pixels, and 1 (grey) or 3 channels."""

    size_px: int
    channels: int


@dataclass(frozen=True)
class RealFaces:
    """M training faces, and which rows of the manifest are held out.

    Attributes:
        manifest: where they lie.
        view: how they are looked at.
        rows: int64 [M], their rows in the manifest.
        labels: int64 [M], indices of the label set, -1 for none.
        views: as the judge and as pixels, with their groups.
        apart: bool [rows of the manifest], validation faces that share neither group nor picture with training.
    """

    manifest: Manifest
    view: View
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    views: Views
    apart: NDArray[np.bool_]

    @property
    def sample_ids(self) -> NDArray[np.object_]:
        """Their ids, object [M]."""
        return self.manifest.frame["sample_id"].to_numpy(dtype=object)[self.rows]

    def pictures(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Pictures uint8 [N, C, S, S] of ascending rows of the manifest."""
        chosen = np.zeros(len(self.manifest), dtype=bool)
        chosen[rows] = True
        return self.manifest.pictures(self.view.size_px, self.view.channels, chosen)

    def held_out(self, judge: Judge, most: int, fewest: float) -> tuple[Views, str]:
        """Faces that are no copies of training faces, at most `most`, and what they are.

        Training faces, to be compared with those of other groups, where fewer than `fewest` are held out.
        """
        random = np.random.default_rng([0, int(self.apart.sum())])
        if self.apart.sum() >= fewest:
            rows = some(np.flatnonzero(self.apart), most, random)
            return look(self.pictures(rows), judge.features), "validation"
        chosen = some(np.arange(len(self.rows)), most, random)
        return self.views.take(chosen), "training faces against those of other groups"

    def of_label(self, label: int, most: int) -> NDArray[np.int64]:
        """Rows of the manifest with held-out faces of a label, ascending; training faces make up what lacks."""
        random = np.random.default_rng([1, label])
        codes = label_indices(self.manifest.frame["label"], self.manifest.label_set)
        apart = some(np.flatnonzero(self.apart & (codes == label)), most, random)
        more = some(self.rows[self.labels == label], most - len(apart), random)
        return np.sort(np.concatenate([apart, more]))


def read_real_faces(manifest: Manifest, judge: Judge, view: View) -> RealFaces:
    """Look at the training faces of a manifest.

    Raises:
        FerError: it has fewer than two.
    """
    frame = manifest.frame
    real = (frame["origin"] != "synthetic").to_numpy()
    in_train = (frame["split"] == "train").to_numpy() & real
    if in_train.sum() < 2:
        raise FerError(f"{manifest.path}: expected training faces to compare with, found {in_train.sum()}")
    rows = np.flatnonzero(in_train)
    views = look(manifest.pictures(view.size_px, view.channels, in_train), judge.features)
    twins = links.twins_across(manifest, "val", ("train",)) | links.crossing_groups(manifest)
    return RealFaces(
        manifest,
        view,
        rows,
        label_indices(frame["label"], manifest.label_set)[rows],
        views.with_groups(frame["group_id"].to_numpy()[rows]),
        (frame["split"] == "val").to_numpy() & real & ~twins,
    )


def stated(occlusion: str | None, light: str | None) -> Condition:
    """What has to be put on a bare face in good light, null for nothing."""
    return (None if occlusion in _PLAIN else occlusion), (None if light in _PLAIN else light)


def stated_keys(cells: Iterable[Key]) -> list[Key]:
    """The different (label, occlusion, light) of cells, in order, plain conditions as null."""
    return list(dict.fromkeys((label, *stated(occlusion, light)) for label, occlusion, light in cells))


def under(pictures: NDArray[np.uint8], condition: Condition) -> NDArray[np.uint8]:
    """Real faces uint8 [N, C, S, S], occluded and relit as stated, each from its own seed."""
    if condition == (None, None):
        return pictures
    return put_on(pictures, [condition] * len(pictures), np.arange(len(pictures)))


def some(rows: NDArray[np.int64], count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """At most `count` of the rows, at random, ascending where they were."""
    return rows if len(rows) <= count else np.sort(random.choice(rows, max(count, 0), replace=False))
