"""Which samples belong together: identical pictures, one person, one group, and what may not cross a split.

`group_id` is the connected component over the links that must share a split. It is derived from the smallest
sample_id of the component, so that the same samples get the same id wherever they are grouped.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fer_data import tables
from fer_data.errors import FerError
from fer_data.manifest import SPLITS, Manifest
from fer_data.tabular.columns import mixed, rows_among, shared_values, word_codes
from fer_data.tabular.together import Together, components, linked_rows, same_pictures

HELD_OUT_SPLITS = ("val", "test")


def exact_twins(manifest: Manifest) -> pd.DataFrame:
    """The rows that have at least one identical picture (equal `pixel_sha256`) in the manifest.

    Returns:
        Columns sample_id, pixel_sha256 and twin_group (int64, from the picture's hash and so the same in
        every manifest); in manifest order, the index holds row positions 0..N-1 of the manifest.
    """
    rows = np.sort(same_pictures(manifest).rows)
    mask = np.zeros(len(manifest), dtype=bool)
    mask[rows] = True
    twins = manifest.facts(["pixel_sha256"], mask)["pixel_sha256"].set_axis(rows)
    leading = b"".join(bytes.fromhex(digest[:16]) for digest in twins)
    return pd.DataFrame(
        {
            "sample_id": manifest.table["sample_id"].take(pa.array(rows)).to_pandas().to_numpy(),
            "pixel_sha256": twins,
            "twin_group": np.frombuffer(leading, dtype=">i8").astype(np.int64),
        },
        index=twins.index,
    )


def twins_across(manifest: Manifest, of: str, others: Sequence[str]) -> NDArray[np.bool_]:
    """Rows of split `of` whose very picture also lies in one of the splits `others`.

    Returns:
        bool [N] over the manifest's rows; False for every row outside `of`.
    """
    twins = same_pictures(manifest)
    split = word_codes(manifest.table["split"], (of, *others))[twins.rows]
    elsewhere = np.zeros(int(twins.codes.max(initial=-1)) + 1, dtype=bool)
    elsewhere[twins.codes[(split > 0) & (split <= len(others))]] = True
    found = np.zeros(len(manifest), dtype=bool)
    found[twins.rows[(split == 0) & elsewhere[twins.codes]]] = True
    return found


def related_groups(manifest: Manifest, link_tables: Sequence[Path] = ()) -> NDArray[np.int64]:
    """The group of every row, int64 [N], joined over identical pictures and over tables of near duplicates.

    Args:
        link_tables: tables of near duplicates, columns a and b (sample_ids).

    Raises:
        FerError: a table is missing or has no such columns.
    """
    ids = manifest.table["sample_id"]
    together = [same_pictures(manifest), *(linked_rows(ids, path) for path in link_tables)]
    return joined_groups(manifest.table["group_id"].to_numpy(), ids, together)


def related_across(
    manifest: Manifest, of: str, others: Sequence[str], link_tables: Sequence[Path] = ()
) -> NDArray[np.bool_]:
    """Rows of split `of` that a chain of groups, identical pictures and links joins to one of the splits `others`.

    The chain may go through any rows, those of a third split and those without one too.

    Returns:
        bool [N] over the manifest's rows; False for every row outside `of`.

    Raises:
        FerError: as `related_groups`.
    """
    groups = related_groups(manifest, link_tables)
    split = word_codes(manifest.table["split"], (of, *others))
    elsewhere = (split > 0) & (split <= len(others))
    return np.asarray((split == 0) & np.isin(groups, groups[elsewhere]))


def chains(together: Iterable[Together]) -> NDArray[np.int64]:
    """Edges that join the rows that belong together, int64 [E, 2]: k rows are chained by k - 1 edges."""
    return np.concatenate([np.empty((0, 2), dtype=np.int64), *map(_chains, together)])


def group_ids(sample_ids: Sequence[str], edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Connected components, named so that the name does not depend on the order of rows.

    Args:
        sample_ids: N unique ids.
        edges: int64 [E, 2], pairs of row positions 0..N-1.

    Returns:
        int64 [N]: the first 8 bytes (signed) of the SHA-256 of the component's smallest sample_id.
    """
    ids = list(sample_ids)
    roots = components(len(ids), np.asarray(edges, dtype=np.int64).reshape(-1, 2))
    smallest = np.arange(len(ids))
    joined = np.flatnonzero(np.bincount(roots, minlength=len(ids))[roots] > 1)
    order = joined[pc.sort_indices(pa.array([ids[row] for row in joined], pa.string())).to_numpy()]
    smallest[roots[order[::-1]]] = order[::-1]  # where indices repeat, the last assignment, the smallest id, stays
    named = np.flatnonzero(roots == np.arange(len(ids)))
    names = np.empty(len(ids), dtype=np.int64)
    names[named] = _names([ids[row] for row in smallest[named]])
    return names[roots]


def joined_groups(
    groups: NDArray[np.int64], sample_ids: pa.ChunkedArray, links: Iterable[Together]
) -> NDArray[np.int64]:
    """Groups that links have joined further.

    Only what is joined gets a new name, that of its smallest sample_id: the cost is that of the rows concerned.

    Args:
        groups: int64 [N], the group of every row so far.
        sample_ids: N ids.
        links: rows that must share a group.

    Returns:
        int64 [N].
    """
    pairs = [np.empty((2, 0), dtype=np.int64)]
    for rows, codes in links:
        own = groups[rows]
        one = np.empty(int(codes.max(initial=-1)) + 1, dtype=np.int64)
        one[codes] = own  # any one of the groups that belong together stands for them
        different = one[codes] != own
        pairs.append(np.stack([one[codes[different]], own[different]]))
    ends = np.concatenate(pairs, axis=1)
    if not ends.shape[1]:
        return groups.copy()
    names, places = np.unique(ends, return_inverse=True)
    roots = components(len(names), places.reshape(2, -1).T)
    rows = rows_among(groups, names)
    component = roots[np.searchsorted(names, groups[rows])]
    ids = sample_ids.take(pa.array(rows))
    order = pc.sort_indices(ids).to_numpy()
    first = order[np.unique(component[order], return_index=True)[1]]
    named = np.empty(len(names), dtype=np.int64)
    named[np.unique(component)] = _names(ids.take(pa.array(first)).to_pylist())
    joined = groups.copy()
    joined[rows] = named[component]
    return joined


def crossing_groups(manifest: Manifest) -> NDArray[np.bool_]:
    """Rows, bool [N], whose group also has members in another split; rows without a split cross nothing."""
    groups = manifest.table["group_id"].to_numpy()
    rows = shared_values(groups, mixed(groups))
    mask = np.zeros(len(manifest), dtype=bool)
    mask[crossing_rows(groups, word_codes(manifest.table["split"], SPLITS), rows)] = True
    return mask


def crossing_rows(groups: NDArray[np.int64], split: NDArray[np.int32], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of the rows that share their group with others, int64 [M], those whose group lies in two splits.

    Args:
        groups: int64 [N].
        split: int32 [N], -1 for none.
        rows: int64 [M], as `columns.shared_values(groups, …)` finds them.
    """
    rows = rows[split[rows] >= 0]
    found = pd.DataFrame({"group": groups[rows], "split": split[rows]}).drop_duplicates()
    crossing = found["group"][found["group"].duplicated()].unique()
    return rows[np.isin(groups[rows], crossing)]


def refuse_seen_groups(manifest: Manifest) -> None:
    """Refuse generated rows whose generator was trained on a group that this manifest tests with.

    Every store that tells a generation names the table of samples that its generator saw (`seen`, relative
    to the project; columns sample_id and group_id). A seen sample stands for the group it has in this
    manifest, or for the group it had then where it is no longer in it.

    Raises:
        FerError: a seen group has members in val or test, or a generation does not tell what was seen.
    """
    generations = {name: store.info["generation"] for name, store in manifest.stores.items()}
    if not any(generations.values()):
        return
    ids, current = manifest.table["sample_id"], manifest.table["group_id"].to_numpy()
    split = word_codes(manifest.table["split"], HELD_OUT_SPLITS)
    held_out = np.flatnonzero((split >= 0) & (split < len(HELD_OUT_SPLITS)))
    for name, generation in generations.items():
        if not generation:
            continue
        if not generation.get("seen"):
            raise FerError(
                f"{name}: expected its generation to name the table of samples that the generator saw, "
                "found none; generate the faces again"
            )
        table, _ = tables.read_table(manifest.root / generation["seen"], columns=["sample_id", "group_id"])
        seen = pc.fill_null(pc.index_in(table["sample_id"].cast(pa.string()), value_set=ids), -1).to_numpy()
        seen_groups = np.where(seen >= 0, current[seen], table["group_id"].to_numpy())
        leaked = held_out[np.isin(current[held_out], seen_groups)]
        if len(leaked):
            first = ", ".join(ids.take(pa.array(leaked[:3])).to_pylist())
            raise FerError(
                f"{manifest.path}: expected that the generator of {name} saw no group of val or test, found "
                f"{len(leaked)} rows in {len(np.unique(current[leaked]))} such groups (first: {first}); train "
                "the generator on this manifest's training split, or leave its faces out"
            )


def _chains(together: Together) -> NDArray[np.int64]:
    """Edges int64 [E, 2] that chain the rows that belong together."""
    order = np.argsort(together.codes, kind="stable")
    equal = together.codes[order[1:]] == together.codes[order[:-1]]
    rows = together.rows[order]
    return np.stack([rows[:-1][equal], rows[1:][equal]], axis=1)


def _names(sample_ids: Iterable[str]) -> NDArray[np.int64]:
    digests = b"".join(hashlib.sha256(sample_id.encode()).digest()[:8] for sample_id in sample_ids)
    return np.frombuffer(digests, dtype=">i8").astype(np.int64)
