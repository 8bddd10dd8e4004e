"""The real held-out faces that judge, as they are and under each occlusion and light."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from experiments.identity import rows_sha256
from experiments.usefulness.design import TrialConfig, judged_rows
from fer_data import conditions, images
from fer_data.errors import FerError
from fer_data.expressions import LIGHTS, OCCLUSIONS, label_indices
from fer_data.files import atomic_file, sha256_json
from fer_data.manifest import Manifest
from fer_data.progress import SILENT, Reporter
from fer_data.votes import reference_labels

PLAIN = "as they are"
CONDITIONS = (*OCCLUSIONS[1:], *LIGHTS[1:])
Pixels = NDArray[np.uint8]
_JUDGED = 1  # begins the seeds of what is put in front of faces that judge, apart from those that teach


@dataclass(frozen=True)
class Yardstick:
    """Real held-out faces.

    Attributes:
        manifest: where they lie.
        rows: bool over its rows, N of them.
        truth: class indices int64 [N].
        views: under which conditions they are judged, `PLAIN` and names of `CONDITIONS`.
        seed: of what is put in front of them.
    """

    manifest: Manifest
    rows: NDArray[np.bool_]
    truth: NDArray[np.int64]
    views: Sequence[str]
    seed: int

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """`group_id` of the faces, int64 [N]."""
        return self.manifest.frame["group_id"].to_numpy()[self.rows]

    @cached_property
    def sha256(self) -> str:
        """Identity of everything that judges."""
        rows = rows_sha256(self.manifest, self.rows)
        return sha256_json([rows, self.truth.tolist(), list(self.views), self.seed])

    def pictures(self, view: str, size_px: int, channels: int, cache: Path, reporter: Reporter = SILENT) -> Pixels:
        """The faces in one view, uint8 [N, channels, size_px, size_px]; what was made once is kept in `cache`."""
        if view == PLAIN:
            return self.manifest.pictures(size_px, channels, self.rows)
        name = sha256_json([rows_sha256(self.manifest, self.rows), self.seed, size_px, channels])[:16]
        kept = cache / f"{view}-{name}.npy"
        if not kept.is_file():
            occlusion, light = (view, None) if view in OCCLUSIONS else (None, view)
            index = np.flatnonzero(self.rows)
            made = changed_pictures(
                self.manifest,
                index,
                [occlusion] * len(index),
                [light] * len(index),
                [_JUDGED, self.seed, CONDITIONS.index(view)],
                (size_px, channels),
                reporter,
            )
            with atomic_file(kept) as partial, partial.open("wb") as file:
                np.save(file, made, allow_pickle=False)
        pictures: Pixels = np.load(kept, allow_pickle=False)
        return pictures


def open_yardstick(real: Manifest, config: TrialConfig, *, under_conditions: bool) -> Yardstick:
    """The faces that judge: all of the held-out split, or for conditions at most `judged_per_class` of each class.

    Raises:
        FerError: no face has a label of the wanted kind.
    """
    rows = judged_rows(real, config.held_out)
    labels = real.frame["label"].to_numpy(dtype=object)
    if config.labels == "reference":
        labels, _ = reference_labels(real)
    truth = np.where(rows, label_indices(list(labels), real.label_set), -1)
    if not (truth >= 0).any():
        raise FerError(
            f"{real.path}: expected {config.labels} labels of {config.held_out} faces, found none; set labels: given"
        )
    chosen = np.flatnonzero(truth >= 0)
    if under_conditions:
        order = pd.Series(np.random.default_rng([config.seed, 3]).permutation(chosen))
        place = order.groupby(truth[order]).cumcount()
        chosen = np.sort(order[place < config.judged_per_class].to_numpy())
    taken = np.zeros(len(rows), dtype=bool)
    taken[chosen] = True
    views = (PLAIN, *CONDITIONS) if under_conditions else (PLAIN,)
    return Yardstick(real, taken, truth[chosen], views, config.seed)


def changed_pictures(
    manifest: Manifest,
    index: NDArray[np.int64],
    occlusions: Sequence[str | None],
    lights: Sequence[str | None],
    seed: Sequence[int],
    view: tuple[int, int],
    reporter: Reporter = SILENT,
) -> Pixels:
    """Real faces occluded and relit at the size at which they are stored.

    Args:
        index: rows of the manifest, int64 [N]; a row may come more than once.
        occlusions, lights: N words; None changes nothing.
        seed: the i-th face draws from `[*seed, i]`.
        view: (size_px, channels) of the result.

    Returns:
        uint8 [N, channels, size_px, size_px].
    """
    size_px, channels = view
    stores, store_rows = (manifest.frame[name].to_numpy()[index] for name in ("store", "store_row"))
    needed = np.zeros(len(manifest), dtype=bool)
    needed[index] = True
    landmarks = manifest.facts(["landmarks"], needed)["landmarks"]
    points = landmarks.iloc[np.searchsorted(np.flatnonzero(needed), index)].tolist()
    out = np.empty((len(index), channels, size_px, size_px), dtype=np.uint8)
    with reporter.stage("occluding and relighting real faces", len(index)) as stage:
        for place, (occlusion, light) in enumerate(zip(occlusions, lights, strict=True)):
            random = np.random.default_rng([*seed, place])
            picture = manifest.stores[stores[place]].image(int(store_rows[place]))
            if occlusion is not None:
                picture = conditions.occlude(picture, occlusion, int(random.integers(2**31)), points[place])
            if light is not None:
                picture = conditions.relight(picture, light, int(random.integers(2**31)))
            out[place] = images.as_view(picture, size_px, channels)
            stage.advance()
    return out
