"""Which samples belong together: identical pictures, one person, one group, and what may not cross a split.

`group_id` is the connected component over the links that must share a split. It is derived from the smallest
sample_id of the component, so that the same samples get the same id wherever they are grouped.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fer_data import tables
from fer_data.errors import FerError
from fer_data.manifest import Manifest

HELD_OUT_SPLITS = ("val", "test")


def exact_twins(manifest: Manifest) -> pd.DataFrame:
    """The rows that have at least one identical picture (equal `pixel_sha256`) in the manifest.

    Returns:
        Columns sample_id, pixel_sha256 and twin_group (int64, from the picture's hash and so the same in
        every manifest); in manifest order, the index holds row positions 0..N-1 of the manifest.
    """
    hashes = _picture_hashes(manifest)
    twins = hashes[hashes.duplicated(keep=False) & hashes.notna()]
    leading = b"".join(bytes.fromhex(digest[:16]) for digest in twins)
    return pd.DataFrame(
        {
            "sample_id": manifest.frame["sample_id"].to_numpy()[twins.index],
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
    hashes = _picture_hashes(manifest)
    split = manifest.frame["split"].reset_index(drop=True)
    elsewhere = hashes[split.isin(list(others))].dropna().unique()
    return ((split == of) & hashes.isin(elsewhere)).to_numpy(dtype=bool)


def identity_edges(
    sample_ids: Sequence[str], pixel_sha256: Sequence[str | None], subject_id: Sequence[str | None]
) -> NDArray[np.int64]:
    """Links between rows with the same picture and between rows that show the same person.

    A subject is known by its id within its source (the part of the sample_id before the first "/"): two
    datasets may both call a person "S005". Nulls link nothing.

    Args:
        sample_ids: N ids.
        pixel_sha256: N picture hashes.
        subject_id: N names of persons.

    Returns:
        int64 [E, 2], pairs of row positions; each set of k equal rows is linked by a chain of k - 1 edges.
    """
    persons = np.empty(len(sample_ids), dtype=object)
    for row, (sample_id, subject) in enumerate(zip(sample_ids, subject_id, strict=True)):
        if pd.notna(subject):
            persons[row] = (sample_id.partition("/")[0], subject)
    return np.concatenate([_chains(np.array(pixel_sha256, dtype=object)), _chains(persons)])


def group_ids(sample_ids: Sequence[str], edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Connected components, named so that the name does not depend on the order of rows.

    Args:
        sample_ids: N unique ids.
        edges: int64 [E, 2], pairs of row positions 0..N-1.

    Returns:
        int64 [N]: the first 8 bytes (signed) of the SHA-256 of the component's smallest sample_id.
    """
    ids = list(sample_ids)
    roots = _components(len(ids), np.asarray(edges, dtype=np.int64).reshape(-1, 2))
    smallest = np.arange(len(ids))
    joined = np.flatnonzero(np.bincount(roots, minlength=len(ids))[roots] > 1)
    order = joined[pc.sort_indices(pa.array([ids[row] for row in joined], pa.string())).to_numpy()]
    smallest[roots[order[::-1]]] = order[::-1]  # where indices repeat, the last assignment, the smallest id, stays
    named = np.flatnonzero(roots == np.arange(len(ids)))
    digests = b"".join(hashlib.sha256(ids[row].encode()).digest()[:8] for row in smallest[named])
    names = np.empty(len(ids), dtype=np.int64)
    names[named] = np.frombuffer(digests, dtype=">i8")
    return names[roots]


def crossing_groups(manifest: Manifest) -> NDArray[np.bool_]:
    """Rows, bool [N], whose group also has members in another split; rows without a split cross nothing."""
    frame = manifest.frame.reset_index(drop=True)
    splits = frame.drop_duplicates(["group_id", "split"]).dropna(subset=["split"])
    crossing = splits["group_id"][splits["group_id"].duplicated()].unique()
    return (frame["group_id"].isin(crossing) & frame["split"].notna()).to_numpy(dtype=bool)


def refuse_seen_groups(manifest: Manifest) -> None:
    """Refuse generated rows whose generator was trained on a group that this manifest tests with.

    Every store that tells a generation names the table of samples that its generator saw (`seen`, relative
    to the project; columns sample_id and group_id). A seen sample stands for the group it has in this
    manifest, or for the group it had then where it is no longer in it.

    Raises:
        FerError: a seen group has members in val or test, or a generation does not tell what was seen.
    """
    frame = manifest.frame
    held_out = frame[frame["split"].isin(HELD_OUT_SPLITS)]
    here = pd.Index(frame["sample_id"])
    current = frame["group_id"].to_numpy()
    for name, store in manifest.stores.items():
        generation = store.info["generation"]
        if not generation:
            continue
        if not generation.get("seen"):
            raise FerError(
                f"{name}: expected its generation to name the table of samples that the generator saw, "
                "found none; generate the faces again"
            )
        table, _ = tables.read_table(manifest.root / generation["seen"], columns=["sample_id", "group_id"])
        place = here.get_indexer(pd.Index(table["sample_id"].to_pandas()))
        then = table["group_id"].to_numpy()
        leaked = held_out[held_out["group_id"].isin(np.where(place >= 0, current[place], then))]
        if len(leaked):
            first = ", ".join(leaked["sample_id"].head(3))
            raise FerError(
                f"{manifest.path}: expected that the generator of {name} saw no group of val or test, found "
                f"{len(leaked)} rows in {leaked['group_id'].nunique()} such groups (first: {first}); train "
                "the generator on this manifest's training split, or leave its faces out"
            )


def _picture_hashes(manifest: Manifest) -> "pd.Series[str]":
    return manifest.facts(["pixel_sha256"])["pixel_sha256"].reset_index(drop=True)


def _chains(keys: NDArray[np.object_]) -> NDArray[np.int64]:
    """Edges int64 [E, 2] that chain the positions of equal, non-null keys."""
    codes, _ = pd.factorize(keys)
    order = np.argsort(codes, kind="stable")
    equal = (codes[order[1:]] == codes[order[:-1]]) & (codes[order[1:]] >= 0)
    return np.stack([order[:-1][equal], order[1:][equal]], axis=1).astype(np.int64)


def _components(count: int, edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """The smallest row of each row's component, int64 [count].

    Hooking and pointer jumping on whole arrays, after Shiloach and Vishkin, "An O(log n) parallel
    connectivity algorithm", Journal of Algorithms 3, 1982: every root hooks onto its smallest neighbouring
    root, then every row jumps to its root, until no edge joins two roots.
    """
    roots = np.arange(count, dtype=np.int64)
    ends = edges.T
    while ends.shape[1]:
        low, high = np.minimum(*ends), np.maximum(*ends)
        np.minimum.at(roots, high, low)
        while True:
            jumped = roots[roots]
            if np.array_equal(jumped, roots):
                break
            roots = jumped
        ends = roots[ends]
        ends = ends[:, ends[0] != ends[1]]
    return roots
