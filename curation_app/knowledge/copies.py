"""Which faces show one picture: the groups that identical pictures and near duplicates make."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation_app.knowledge.side_tables import TablePaths
from fer_data import tables
from fer_data.manifest import Manifest
from fer_data.tabular.together import Together, components, linked_rows, same_pictures


class Copies:
    """Groups of rows that show one picture.

    Attributes:
        rows: int64 [M], the rows that share a picture with another, group after group, ascending within each.
        groups: int64 [M], the group of each, 0..K-1, ascending; groups are numbered by their first rows.
    """

    def __init__(self, together: Together) -> None:
        firsts = np.full(int(together.codes.max(initial=-1)) + 1, np.iinfo(np.int64).max)
        np.minimum.at(firsts, together.codes, together.rows)
        number = np.empty(len(firsts), dtype=np.int64)
        number[np.argsort(firsts)] = np.arange(len(firsts))
        groups = number[together.codes]
        order = np.lexsort((together.rows, groups))
        self.rows, self.groups = together.rows[order], groups[order]
        self._by_row = np.argsort(self.rows)

    def of(self, row: int) -> NDArray[np.int64]:
        """The other rows that show the picture of `row`, int64 [C], ascending."""
        at = int(np.searchsorted(self.rows, row, sorter=self._by_row))
        if at == len(self.rows) or self.rows[self._by_row[at]] != row:
            return np.empty(0, dtype=np.int64)
        group = self.groups[self._by_row[at]]
        members = self.rows[np.searchsorted(self.groups, group) : np.searchsorted(self.groups, group, side="right")]
        return np.asarray(members[members != row])

    def one_of_each(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Some rows, int64 [<= M], without those that show the picture of one before them."""
        shown: set[int] = set()
        kept = []
        for row in rows.tolist():
            if row not in shown:
                kept.append(row)
                shown.update(self.of(row).tolist())
        return np.array(kept, dtype=np.int64)

    def disagreeing(self, codes: NDArray[np.signedinteger[Any]]) -> NDArray[np.bool_]:
        """The places, bool [M], of groups whose known rows do not all have one code.

        Args:
            codes: [N], one for each row of the manifest, -1 for unknown.
        """
        of_place = codes[self.rows]
        count = int(self.groups.max(initial=-1)) + 1
        least, greatest = np.full(count, np.iinfo(np.int32).max), np.full(count, -1)
        known = of_place >= 0
        np.minimum.at(least, self.groups[known], of_place[known])
        np.maximum.at(greatest, self.groups[known], of_place[known])
        return np.asarray((least < greatest)[self.groups])


def find_copies(manifest: Manifest, paths: TablePaths) -> Copies:
    """Groups of identical pictures, and of what the table that `fer duplicates` wrote links.

    Raises:
        FerError: the table is none of links.
    """
    if paths.duplicates is None:
        return Copies(same_pictures(manifest))
    linked = linked_rows(manifest.table["sample_id"], paths.duplicates)
    searched = tables.read_metadata(paths.duplicates).get("parents", {})
    if manifest.sha256 in searched.values():  # then it links identical pictures, too
        return Copies(linked)
    return Copies(_joined(same_pictures(manifest), linked))


def _joined(*found: Together) -> Together:
    """Rows that one or another set of groups joins."""
    rows, place = np.unique(np.concatenate([together.rows for together in found]), return_inverse=True)
    parts = np.split(place, np.cumsum([len(together.rows) for together in found])[:-1])
    edges = []
    for together, own in zip(found, parts, strict=True):
        first = np.zeros(int(together.codes.max(initial=-1)) + 1, dtype=np.int64)
        first[together.codes] = own
        edges.append(np.stack([first[together.codes], own], axis=1))
    codes = np.unique(components(len(rows), np.concatenate(edges)), return_inverse=True)[1]
    return Together(rows, codes.astype(np.int64))
