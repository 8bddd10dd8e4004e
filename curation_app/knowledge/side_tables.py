"""Tables beside a manifest: found by its name, aligned with its rows, read a column or a value at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from curation_app.knowledge.row_groups import RowGroups
from fer_data import tables
from fer_data.manifest import Manifest
from fer_data.tabular.columns import value_codes

_FEW = 8  # ids are few where there are this many times as many others


@dataclass(frozen=True)
class TablePaths:
    """Where the tables of a manifest lie; None for those that nobody has made.

    Attributes:
        audit: kind `label_audit`, what `fer audit` wrote.
        duplicates: kind `duplicates`, what `fer duplicates` wrote.
        quality: kind `quality`, what `fer quality` wrote.
        screening: kind `screening`, what `fer screen` or `fer generate` wrote.
        features: kind `repeat`, the first of what `fer predict` keeps of its classifiers.
        heat_maps: kind `heat_maps`, what `fer predict --explain` wrote.
    """

    audit: Path | None = None
    duplicates: Path | None = None
    quality: Path | None = None
    screening: Path | None = None
    features: Path | None = None
    heat_maps: Path | None = None


def find_tables(manifest: Manifest, **given: Path | None) -> TablePaths:
    """Find the tables of a manifest where the verbs put them.

    What is true of a picture or a pair of them holds for every manifest of these faces: such tables are looked for
    under the names of the manifests that this one was made of, too, nearest first. An audit speaks of labels, and
    holds for the very manifest only.

    Args:
        given: by field of `TablePaths`, a table to take instead; None finds it.
    """
    names = [field.name for field in fields(TablePaths)]
    places = {name: list(_places(manifest.root, manifest.path, manifest.metadata, name)) for name in names}
    for path, metadata in _ancestors(manifest):
        for name in names:
            if name != "audit":
                places[name] += _places(manifest.root, path, metadata, name)
    found = {name: next((place for place in places[name] if place.is_file()), None) for name in names}
    return TablePaths(**{**found, **{name: path for name, path in given.items() if path is not None}})


def _places(root: Path, path: Path, metadata: Any, table: str) -> Iterator[Path]:
    if table == "screening" and "screening" in metadata:
        yield root / str(metadata["screening"])
    yield {
        "audit": root / f"audit/{path.stem}.parquet",
        "duplicates": root / f"audit/{path.stem}.duplicates.parquet",
        "quality": root / f"audit/{path.stem}.quality.parquet",
        "screening": path.with_suffix(".screening.parquet"),
        "features": root / f"predictions/{path.stem}.repeats/0.parquet",
        "heat_maps": root / f"predictions/{path.stem}.heat_maps.parquet",
    }[table]


def _ancestors(manifest: Manifest) -> Iterator[tuple[Path, Any]]:
    """The manifests that a manifest was made of, nearest first, with their metadata; those that are gone are not."""
    waiting = list(manifest.metadata.get("parents", {}))
    seen = set()
    while waiting:
        path = manifest.root / waiting.pop(0)
        if path in seen or not path.is_file():
            continue
        seen.add(path)
        metadata = tables.read_metadata(path)
        if metadata["kind"] == "manifest":
            yield path, metadata
            waiting += list(metadata.get("parents", {}))


class SideTable:
    """A table keyed by sample_id, seen from the rows of a manifest. Whole columns are read whenever they are asked for.

    Attributes:
        path, metadata: the file and its footer.
        columns: names of its columns.
        place: int32 [N], the row in the table of each row of the manifest, -1 where it has none.
        known: bool [N], the rows of the manifest that the table speaks of.
        elsewhere: how many of its faces are not in the manifest.
    """

    def __init__(self, path: Path, kind: str, manifest: Manifest, *, parts: int = 1 << 12) -> None:
        """Align a table with a manifest.

        Args:
            parts: of columns that `value` keeps in memory.

        Raises:
            FerError: the table is missing or of another kind.
        """
        ids, self.metadata = tables.read_table(path, kind=kind, columns=["sample_id"])
        self.path = path
        self.columns = frozenset(pq.read_schema(path).names)
        rows = positions(ids["sample_id"].cast(pa.string()), manifest.table["sample_id"])
        here = np.flatnonzero(rows >= 0)
        self.place = np.full(len(manifest), -1, dtype=np.int32)
        self.place[rows[here]] = here
        self.known: NDArray[np.bool_] = self.place >= 0
        self.elsewhere = len(rows) - len(here)
        self._values = RowGroups(path, most=parts)
        pa.default_memory_pool().release_unused()  # an index of all ids was made and thrown away

    def numbers(self, name: str, missing: Any) -> NDArray[Any]:
        """A column of numbers or flags for every row of the manifest, [N], `missing` where it says nothing."""
        column = self._column(name)
        return self._aligned((column.fill_null(missing) if column.null_count else column).to_numpy(), missing)

    def words(self, name: str) -> tuple[NDArray[np.int32], tuple[str, ...]]:
        """A column of few distinct words for every row of the manifest: codes int32 [N], -1 for none, and the words."""
        codes, words = value_codes(self._column(name, dictionaries=[name]))
        return self._aligned(codes, -1), words

    def value(self, name: str, row: int) -> Any:
        """One value of any column as a Python object, None where the table says nothing."""
        place = int(self.place[row])
        return None if place < 0 else self._values.value(name, place)

    def vectors(self, name: str) -> NDArray[np.float32]:
        """A column of lists of one length as it lies in the table, float32 [T, L]; it is not kept."""
        lists = self._column(name).combine_chunks()
        return np.asarray(lists.flatten().to_numpy(zero_copy_only=False), dtype=np.float32).reshape(len(lists), -1)

    def _column(self, name: str, dictionaries: Sequence[str] = ()) -> pa.ChunkedArray:
        column = tables.read_table(self.path, columns=[name], dictionaries=dictionaries)[0][name]
        pa.default_memory_pool().release_unused()
        return column

    def _aligned(self, values: NDArray[Any], missing: Any) -> NDArray[Any]:
        aligned = values[np.maximum(self.place, 0)] if len(values) else np.full(len(self.place), missing)
        aligned[~self.known] = missing
        return aligned


def positions(ids: pa.ChunkedArray, among: pa.ChunkedArray) -> NDArray[np.int64]:
    """Where each id stands among others, int64 [M], -1 where it is not; on one core, and in little memory."""
    if ids.equals(among):
        return np.arange(len(ids))
    if len(ids) > len(among) // _FEW:
        found: NDArray[np.int64] = pc.fill_null(pc.index_in(ids, value_set=among), -1).to_numpy().astype(np.int64)
        return found
    here = np.flatnonzero(pc.is_in(among, value_set=ids).to_numpy())  # so that no index of all others is made
    place = pc.fill_null(pc.index_in(ids, value_set=among.take(pa.array(here))), -1).to_numpy()
    rows: NDArray[np.int64] = np.append(here, -1)[place]
    return rows
