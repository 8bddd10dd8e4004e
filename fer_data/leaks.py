"""What a test may give away: which held-out faces have a twin on the other side, and which one it is."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from fer_data.manifest import SPLITS, Manifest
from fer_data.tabular.columns import mixed, repeated, word_codes
from fer_data.tabular.together import Together, same_persons, same_pictures

_SIDES = (("test", "train"), ("test", "val"), ("val", "train"))  # held out, and what came before it


def leaking_pairs(manifest: Manifest) -> pd.DataFrame:
    """Which held-out row twins which row of another split, to look at.

    Every row of test that has a twin in train, and in val, and every row of val that has one in train, is named once
    for that split, with the first of its twins there and the strongest reason.

    Returns:
        Columns sample_id, split, label, twin_id, twin_split, twin_label and because: "picture" (identical pixels),
        "sequence", "subject" (one person) or "group" (a near duplicate, or made from it); test before val, in
        manifest order. Labels are None where unlabelled.
    """
    split = word_codes(manifest.table["split"], SPLITS)
    rows: list[NDArray[np.int64]] = []
    twins: list[NDArray[np.int64]] = []
    reasons: list[str] = []
    taken = {side: np.zeros(len(manifest), dtype=bool) for side in _SIDES}
    for reason, together in _reasons(manifest):
        for side in _SIDES:
            held, found = _across(together, split, *(SPLITS.index(name) for name in side))
            new = ~taken[side][held]
            taken[side][held] = True
            rows.append(held[new])
            twins.append(found[new])
            reasons += [reason] * int(new.sum())
    row: NDArray[np.int64] = np.concatenate(rows)
    twin: NDArray[np.int64] = np.concatenate(twins)
    order = np.lexsort((split[twin], row, -split[row]))
    return pd.DataFrame(
        {
            **_shown(manifest, row[order], "sample_id", "split", "label"),
            **_shown(manifest, twin[order], "twin_id", "twin_split", "twin_label"),
            "because": np.array(reasons, dtype=object)[order],
        },
        dtype=object,
    )


def describe_leaks(pairs: pd.DataFrame) -> list[str]:
    """The pairs of `leaking_pairs` counted, for the terminal: one line per side and reason."""
    counts = pairs.groupby(["split", "twin_split", "because"], sort=False).size().reset_index()
    words = {"picture": "the very picture", "sequence": "the sequence", "subject": "the person", "group": "the group"}
    return [
        f"{count:,} {split} faces share {words[because]} of a {other} face"
        for split, other, because, count in counts.itertuples(index=False, name=None)
    ]


def _reasons(manifest: Manifest) -> Iterator[tuple[str, Together]]:
    """What rows may have in common, the strongest first."""
    yield "picture", same_pictures(manifest)
    facts = manifest.facts_table(["sequence_id", "subject_id"])
    ids = manifest.table["sample_id"]
    yield "sequence", same_persons(ids, facts["sequence_id"])
    yield "subject", same_persons(ids, facts["subject_id"])
    groups = manifest.table["group_id"].to_numpy()
    rows = repeated(mixed(groups))
    yield "group", Together(rows, pd.factorize(groups[rows])[0].astype(np.int64))


def _across(
    together: Together, split: NDArray[np.int32], held: int, other: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of one split that have something in common with another, and the first such row there."""
    there = split[together.rows] == other
    first = np.full(int(together.codes.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, together.codes[there], together.rows[there])
    leaking = (split[together.rows] == held) & (first[together.codes] < np.iinfo(np.int64).max)
    return together.rows[leaking], first[together.codes[leaking]]


def _shown(manifest: Manifest, rows: NDArray[np.int64], *names: str) -> dict[str, list[str | None]]:
    taken = manifest.table.select(["sample_id", "split", "label"]).take(pa.array(rows))
    return {name: column.to_pylist() for name, column in zip(names, taken.columns, strict=True)}
