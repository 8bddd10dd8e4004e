"""Faces for a report: what was relabelled, what was dropped, what was generated."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_data.manifest import Manifest
from fer_data.pages import stored_faces


@dataclass(frozen=True)
class Sheet:
    """Faces with their captions.

    Attributes:
        title: what they are.
        note: one sentence about them, how many there are in all.
        images: uint8 [N, C, S, S].
        captions: N lists of lines.
        columns: faces in a row.
    """

    title: str
    note: str
    images: NDArray[np.uint8]
    captions: Sequence[Sequence[str]]
    columns: int = 8


def relabelled(before: Manifest, after: Manifest, count: int, seed: int = 0) -> Sheet:
    """Faces whose label in `after` is another than in `before`, at most `count`, drawn at random."""
    new = after.frame.set_index("sample_id")["label"].reindex(before.frame["sample_id"])
    old = before.frame["label"].to_numpy(dtype=object)
    changed = new.notna().to_numpy() & (new.to_numpy(dtype=object) != old)
    rows = _choose(changed, count, seed)
    captions = [[str(new.iloc[row]), f"was {old[row]}"] for row in rows]
    note = f"{len(rows)} of {int(changed.sum()):,} faces, drawn at random; the new label above the old one."
    return Sheet("Relabelled", note, stored_faces(before, rows.tolist()), captions)


def dropped(before: Manifest, after: Manifest, count: int, seed: int = 0) -> Sheet:
    """Faces of `before` that `after` does not hold, at most `count`, drawn at random."""
    gone = ~before.frame["sample_id"].isin(after.frame["sample_id"]).to_numpy(dtype=bool)
    rows = _choose(gone, count, seed)
    captions = [[f"was {before.frame['label'].iloc[row]}"] for row in rows]
    note = f"{len(rows)} of {int(gone.sum()):,} pictures, drawn at random."
    return Sheet("Dropped", note, stored_faces(before, rows.tolist()), captions)


def generated(manifest: Manifest, count: int, title: str = "Generated", seed: int = 0) -> Sheet:
    """Synthetic faces of a manifest, at most `count`, as evenly over the labels as there are faces."""
    synthetic = (manifest.frame["origin"] == "synthetic").to_numpy(dtype=bool)
    order = np.random.default_rng(seed).permutation(np.flatnonzero(synthetic))
    labels = manifest.frame["label"].iloc[order]
    turn = labels.groupby(labels).cumcount().to_numpy()
    position = pd.Categorical(labels, categories=manifest.labels).codes
    chosen = order[np.lexsort((position, turn))][:count]  # one of each label, then the next of each
    codes = pd.Categorical(manifest.frame["label"].iloc[chosen], categories=manifest.labels).codes
    rows = chosen[np.argsort(codes, kind="stable")]
    conditions = manifest.facts(["occlusion", "light"])
    captions = []
    for row in rows:
        found = conditions.loc[row].tolist()
        words = [word for word in found if isinstance(word, str) and word not in ("none", "normal")]
        captions.append([str(manifest.frame["label"].iloc[row]), *([", ".join(words)] if words else [])])
    note = f"{len(rows)} of {int(synthetic.sum()):,} faces, drawn at random, as evenly over the labels as they allow."
    return Sheet(title, note, stored_faces(manifest, rows.tolist()), captions)


def _choose(mask: NDArray[np.bool_], count: int, seed: int) -> NDArray[np.int64]:
    rows = np.flatnonzero(mask)
    return np.sort(np.random.default_rng(seed).permutation(rows)[:count])
