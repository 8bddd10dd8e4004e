"""Which real face is given another expression: training faces that the generator saw, each chosen by a seed.

A rare expression on an existing head is what a rare class lacks. A face of validation or test, or one that shares
its group or its very picture with one of them, is never taken.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_data import conditions as real_conditions
from fer_data import images, tables
from fer_data.errors import FerError
from fer_data.manifest import Manifest
from fer_data.plans import Cell, Key
from generators.training_faces import Selection

_TRIES = 64  # faces drawn at random in search of one that is lit as the cell asks, before all are looked at


class ParentFaces:
    """Training faces that may be re-expressed."""

    def __init__(self, selection: Selection, seen: Path, labels: tuple[str, ...] | None = None) -> None:
        """Args:
            selection: what a generator may learn from.
            seen: the table of rows that the generator was trained on; no other face is taken.
            labels: take faces of these labels only; None takes those of any.

        Raises:
            FerError: an unknown label, or the generator saw none of the faces.
        """
        training = selection.manifest
        strange = [label for label in labels or () if label not in training.labels]
        if strange:
            raise FerError(
                f"parents_of: expected labels of {training.label_set} ({', '.join(training.labels)}), "
                f"found {strange[0]!r}; correct it"
            )
        known = tables.read_table(seen, kind="seen", columns=["sample_id"])[0]["sample_id"].to_pylist()
        allowed = selection.frame["sample_id"].isin(known).to_numpy()
        self._faces, self._rows = selection.frame[allowed], np.flatnonzero(selection.rows)[allowed]
        if not len(self._faces):
            raise FerError(
                f"{training.path}: expected the faces that {seen.parent} was trained on, found none of them; "
                "give the manifest that the generator was trained on"
            )
        self._training, self._labels = training, labels or training.labels
        self._has_light = self._faces["light"].notna().to_numpy()
        self._pools: dict[Key, NDArray[np.int64]] = {}
        self._measured: dict[int, str | None] = {}  # light by place

    def parent_of(self, cell: Cell, seed: int) -> int:
        """The manifest's row of the face that becomes a face of `cell`; it depends on the cell and the seed alone.

        It shows another label, and nothing that the cell does not ask for: it is unoccluded and in normal light, or
        under the cell's own occlusion and light. Where the cell states a light and no fact tells the face's, the
        light is measured. Labels come in proportion to their faces.

        Raises:
            FerError: there is no such face.
        """
        pool = self._pool(cell)
        random = np.random.default_rng([seed, 2])
        for place in _in_any_order(pool, random):
            if self._is_lit_for(cell, place):
                return int(self._rows[place])
        raise FerError(
            f"{self._training.path}: expected training faces that can become {cell.label} under occlusion "
            f"{cell.occlusion or 'unknown'} and light {cell.light or 'unknown'}, found none among "
            f"{len(pool)} of {', '.join(self._labels)}; widen parents_of, or start from noise"
        )

    def _pool(self, cell: Cell) -> NDArray[np.int64]:
        """Places among the faces, int64 [M], that the stated facts allow."""
        if cell.key not in self._pools:
            faces = self._faces
            allowed = faces["label"].isin(self._labels) & (faces["label"] != cell.label)
            for fact, plain, asked in (("occlusion", "none", cell.occlusion), ("light", "normal", cell.light)):
                allowed &= faces[fact].isna() | faces[fact].isin([plain, asked])
            self._pools[cell.key] = np.flatnonzero(allowed.to_numpy())
        return self._pools[cell.key]

    def _is_lit_for(self, cell: Cell, place: int) -> bool:
        if cell.light is None or self._has_light[place]:
            return True
        if place not in self._measured:
            picture = _stored_picture(self._training, int(self._rows[place]))
            self._measured[place] = real_conditions.measure_light([picture])[0]
        return self._measured[place] in ("normal", cell.light)


def _in_any_order(pool: NDArray[np.int64], random: np.random.Generator) -> Iterator[int]:
    """Some of a pool one by one, and then, for whom none of these will do, all of it."""
    for _ in range(_TRIES if len(pool) else 0):
        yield int(pool[random.integers(len(pool))])
    yield from random.permutation(pool).tolist()


def pictures_of(manifest: Manifest, rows: NDArray[np.int64], size_px: int, channels: int) -> NDArray[np.uint8]:
    """Pictures of a manifest's rows, which may repeat: uint8 [N, channels, size_px, size_px]."""
    out = np.empty((len(rows), channels, size_px, size_px), dtype=np.uint8)
    for place, row in enumerate(rows):
        out[place] = images.as_view(_stored_picture(manifest, int(row)), size_px, channels)
    return out


def _stored_picture(manifest: Manifest, row: int) -> NDArray[np.uint8]:
    store = manifest.stores[manifest.table["store"][row].as_py()]
    return store.image(manifest.table["store_row"][row].as_py())
