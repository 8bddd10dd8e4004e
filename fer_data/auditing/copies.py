"""Copies of a picture that contradict each other, and copies that lie in two splits."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fer_data import tables
from fer_data.auditing.evidence import Labels
from fer_data.auditing.findings import Finding, counted
from fer_data.leaks import describe_leaks, leaking_pairs
from fer_data.manifest import Manifest
from fer_data.tabular.columns import value_codes
from fer_data.tabular.together import Together, linked_rows, same_pictures

_SHOWN = 10  # rows of a table


def identical_conflicts(manifest: Manifest, rows: Labels) -> Finding:
    """Faces whose very picture carries another label elsewhere in the manifest.

    Args:
        rows: int64 [N], the faces' positions in the manifest.
    """
    return _conflicts(manifest, rows, same_pictures(manifest), "identical pictures")


def linked_conflicts(manifest: Manifest, rows: Labels, links: Path) -> Finding:
    """Faces that a table of links joins with a picture of another label; arguments as for `identical_conflicts`.

    Raises:
        FerError: the table is missing or is none of links.
    """
    together = linked_rows(manifest.table["sample_id"], links)
    return _conflicts(manifest, rows, together, "pictures that show the same photograph")


def known_links(manifest: Manifest) -> Path | None:
    """The table that `fer duplicates` wrote of this very manifest where it puts it; None where there is none."""
    path = manifest.root / "audit" / f"{manifest.name}.duplicates.parquet"
    if not path.is_file():
        return None
    parents = tables.read_metadata(path, kind="duplicates").get("parents", {})
    return path if manifest.sha256 in parents.values() else None


def leaks(manifest: Manifest, rows: Labels) -> Finding:
    """Faces that share picture, sequence, person or group with a face of another split.

    The score is 0 for both faces of such a pair, 1 for all others; arguments as for `identical_conflicts`.
    """
    pairs = leaking_pairs(manifest)
    ids = pa.array(pd.concat([pairs["sample_id"], pairs["twin_id"]]).unique(), pa.string())
    flag = pc.is_in(manifest.table["sample_id"], value_set=ids).to_numpy()[rows]
    lines = describe_leaks(pairs)
    sentence = f"{'; '.join(lines)}." if lines else "No face shares picture, person or group with another split."
    counts = pairs.groupby(["split", "twin_split", "because"], sort=False).size().reset_index()
    table = [
        {"held out": split, "also in": other, "because": because, "faces": int(faces)}
        for split, other, because, faces in counts.itertuples(index=False, name=None)
    ]
    return Finding(sentence, int(flag.sum()), table, np.where(flag, 0.0, 1.0), flag)


def _conflicts(manifest: Manifest, rows: Labels, together: Together, what: str) -> Finding:
    """The score is the share of a picture's copies, the face itself included, that carry the face's label."""
    codes, names = value_codes(manifest.table["label"])
    labelled = together.within(codes >= 0)
    label, sets, classes = codes[labelled.rows], int(labelled.codes.max(initial=-1)) + 1, len(names)
    counts = np.bincount(labelled.codes * classes + label, minlength=sets * classes).reshape(sets, classes)
    agreement = np.ones(len(manifest))
    agreement[labelled.rows] = counts[labelled.codes, label] / counts.sum(axis=1)[labelled.codes]
    flag = agreement[rows] < 1
    count = int(flag.sum())
    mixed = (counts > 0).sum(axis=1) > 1
    carry = counted(count, "face carries", "faces carry")
    sentence = f"{carry} another label than one of the {what}." if count else f"No {what} carry different labels."
    return Finding(sentence, count, _pairs_of_labels(counts[mixed], names), agreement[rows], flag)


def _pairs_of_labels(counts: NDArray[np.int64], names: Sequence[str]) -> list[dict[str, Any]]:
    """In how many sets of copies, given labels counted as int64 [S, K], two labels meet; the most frequent first."""
    there = (counts > 0).astype(np.int64)
    both = np.triu(there.T @ there, k=1)
    order = np.argsort(-both, axis=None, kind="stable")[:_SHOWN]
    places = [(int(a), int(b)) for a, b in zip(*np.unravel_index(order, both.shape), strict=True)]
    return [{"labels": f"{names[a]}, {names[b]}", "sets": int(both[a, b])} for a, b in places if both[a, b]]
