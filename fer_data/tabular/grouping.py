"""The groups that a split keeps whole: as they are, found anew, or joined by person; and what follows from them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from fer_data import links
from fer_data.errors import FerError
from fer_data.manifest import Manifest
from fer_data.tabular.columns import mixed, repeated, value_codes, word_codes
from fer_data.tabular.together import linked_rows, same_persons, same_pictures

Disjoint = Literal["groups", "pictures", "subjects"]

_MOST_FOLDS = 2**15  # a fold is an int16


def groups_for(
    manifest: Manifest, disjoint: Disjoint, link_tables: Sequence[Path] = (), kinds: Sequence[str] | None = None
) -> NDArray[np.int64]:
    """The group of every row, int64 [N]; synthetic rows keep theirs.

    Args:
        disjoint: "groups" takes them as they are; "pictures" finds them anew over identical pictures, frames of one
            sequence and faces in one photograph; "subjects" joins these by person too.
        link_tables: tables of links that join groups further, and which `kinds` of links count.

    Raises:
        FerError: groups by person are asked for and no person is known.
    """
    table = manifest.table
    ids = table["sample_id"]
    groups: NDArray[np.int64] = table["group_id"].to_numpy()
    together = [linked_rows(ids, path, kinds) for path in link_tables]
    if disjoint != "groups":
        facts = manifest.facts_table(["sequence_id", "subject_id", "file"])
        # Frames of a sequence, and faces in one photograph, are told apart within their source as persons are.
        together += [same_pictures(manifest), *(same_persons(ids, facts[name]) for name in ("sequence_id", "file"))]
    if disjoint == "subjects":
        persons = same_persons(ids, facts["subject_id"])
        if not len(persons.rows):
            raise FerError(f"{manifest.path}: expected subject_id among the facts, found none; set disjoint=groups")
        together.append(persons)
    if not together:
        return groups
    real = word_codes(table["origin"], ("synthetic",)) != 0
    if disjoint == "pictures":
        groups = _apart(groups, ids, real)
    return links.joined_groups(groups, ids, [part.within(real) for part in together])


def follow_kept(
    groups: NDArray[np.int64], before: NDArray[np.int64], kept: NDArray[np.bool_], none: int
) -> NDArray[np.int64]:
    """Where rows go that share a group with rows that keep their split.

    A row that had a split keeps it too: whatever leaked before leaks still, and nothing is added to an official
    test split. A row that had none joins the split in which most of its group's rows are.

    Args:
        groups: int64 [N].
        before: int64 [N], the split each row had; `none` where it had none.
        kept: bool [N], the rows that keep their split.

    Returns:
        int64 [N]: a split, or -1 for rows whose group has no kept row.
    """
    after = np.full(len(groups), -1, dtype=np.int64)
    if not kept.any():
        return after
    rows = repeated(mixed(groups))
    stay = rows[kept[rows]]
    if not len(stay):
        return after
    counts = pd.crosstab(groups[stay], before[stay])
    most = counts.columns.to_numpy()[counts.to_numpy().argmax(axis=1)]
    place = counts.index.get_indexer(pd.Index(groups[rows]))
    bound = rows[place >= 0]
    after[bound] = np.where(before[bound] != none, before[bound], most[place[place >= 0]])
    return after


def fold_by_person(manifest: Manifest, groups: NDArray[np.int64], rows: NDArray[np.bool_]) -> NDArray[np.int64]:
    """One fold for each person among some rows, int64 [M], numbered by source and name.

    Persons whose pictures share a group share a fold.

    Raises:
        FerError: the person of a row is unknown, or there are fewer than two, or more than an int16 can number.
    """
    subjects, names = value_codes(manifest.facts_table(["subject_id"], rows)["subject_id"])
    ids = manifest.table["sample_id"].filter(pa.array(rows))
    unknown = np.flatnonzero(subjects < 0)
    if len(unknown):
        raise FerError(
            f"{manifest.path}: expected the person of every row, found {len(unknown):,} rows without (first: "
            f"{ids[int(unknown[0])]}); leave them out with fer filter --where 'subject_id is not null'"
        )
    persons = same_persons(ids, pa.chunked_array([pa.array(np.array(names, dtype=object)[subjects])]))
    joined = links.joined_groups(groups[rows], ids, [persons])
    order = pd.DataFrame({"group": joined, "subject": subjects, "row": pd.Series(ids.to_pandas())})
    first = order.groupby("group")[["subject", "row"]].min().sort_values(["subject", "row"])
    if not 2 <= len(first) < _MOST_FOLDS:
        raise FerError(f"{manifest.path}: expected 2 to {_MOST_FOLDS - 1:,} persons, found {len(first):,}")
    return first.index.get_indexer(pd.Index(joined)).astype(np.int64)


def _apart(groups: NDArray[np.int64], ids: pa.ChunkedArray, real: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Every real row in a group of its own."""
    rows = repeated(mixed(groups))
    rows = rows[real[rows]]
    apart = groups.copy()
    apart[rows] = links.group_ids(ids.take(pa.array(rows)).to_pylist(), np.empty((0, 2), dtype=np.int64))
    return apart
