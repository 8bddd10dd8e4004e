"""Identities that are the same on every machine: of what a run learns from and is judged by, not of files."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from fer_data.manifest import Manifest


def rows_sha256(manifest: Manifest, rows: NDArray[np.bool_] | None = None) -> str:
    """Identity of some rows of a manifest, or of all: their pictures, labels, targets, weights and order.

    Paths, stores, groups and the bytes of files have no part in it: the same faces imported or made again are the same.

    Args:
        rows: bool over the manifest.
    """
    frame = manifest.frame if rows is None else manifest.frame[rows]
    pictures = manifest.facts(["pixel_sha256"], rows)["pixel_sha256"]
    digest = hashlib.sha256("\0".join(manifest.labels).encode())
    for column in (frame["sample_id"], pictures, frame["label"], frame["split"]):
        words = column.astype(object)
        digest.update("\0".join(words.where(words.notna(), "").tolist()).encode())
    targets = frame["target"]
    digest.update(b"".join(b"-" if target is None else np.asarray(target, dtype="<f4").tobytes() for target in targets))
    digest.update(np.ascontiguousarray(frame["weight"].to_numpy(), dtype="<f4").tobytes())
    digest.update(np.ascontiguousarray(frame["repeat"].to_numpy(), dtype="<i8").tobytes())
    return digest.hexdigest()
