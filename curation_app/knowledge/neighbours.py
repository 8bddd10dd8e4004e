"""The faces nearest to a face in feature space."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from curation_app.knowledge.side_tables import SideTable
from fer_data import tables
from fer_data.manifest import Manifest

MOST_NUMBERS = 1 << 24  # 64 MB; larger sets show the neighbours that their audit names


class Features:
    """Features of faces as classifiers see them, of which those of one fold can be compared."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        """Read the features of a manifest's faces.

        Raises:
            FerError: the table is missing or of another kind.
        """
        table = SideTable(path, "repeat", manifest)
        rows = np.flatnonzero(table.known)
        fold = table.numbers("fold", -1)[rows]
        order = np.argsort(fold, kind="stable")
        self._rows = rows[order]  # fold after fold, so that those of one are a slice
        self._starts = np.unique(fold[order], return_index=True)[1]
        vectors = table.vectors("features")[table.place[self._rows]]
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        self._directions = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
        self._place = np.full(len(manifest), -1, dtype=np.int64)
        self._place[self._rows] = np.arange(len(self._rows))

    def nearest(self, row: int, count: int, but: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """The faces whose features have the largest cosine with a face's, nearest first.

        Args:
            count: how many, at most.
            but: rows that do not count: copies of the face.

        Returns:
            int64 [<= count] rows, or None where the face has no features.
        """
        place = int(self._place[row])
        if place < 0:
            return None
        fold = int(np.searchsorted(self._starts, place, side="right")) - 1
        ends = np.append(self._starts, len(self._rows))
        among = slice(int(ends[fold]), int(ends[fold + 1]))
        cosine = self._directions[among] @ self._directions[place]
        left_out = np.append(self._place[but], place)
        left_out = left_out[(left_out >= among.start) & (left_out < among.stop)] - among.start
        cosine[left_out] = -np.inf
        best = np.argpartition(-cosine, min(count, len(cosine) - 1))[:count]
        best = best[np.argsort(-cosine[best], kind="stable")]
        return np.asarray(self._rows[among][best[np.isfinite(cosine[best])]])


def read_features(path: Path | None, manifest: Manifest) -> Features | None:
    """The features of a manifest's faces; None where there are none, or too many to hold.

    Raises:
        FerError: as `Features`.
    """
    if path is None:
        return None
    tables.read_metadata(path, kind="repeat")
    schema = pq.read_schema(path)
    kind = schema.field("features").type if "features" in schema.names else None
    if kind is None or not pa.types.is_fixed_size_list(kind):
        return None
    fits = pq.read_metadata(path).num_rows * kind.list_size <= MOST_NUMBERS
    return Features(path, manifest) if fits else None
