"""Balance without new pictures: repeat rare training faces, drop common ones, or weigh them.

These are the controls that synthesis must beat.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field, model_validator

from fer_data import manifest
from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.files import refuse_existing
from fer_data.manifest import Manifest, derive
from fer_data.tabular.attributes import attributes
from fer_data.tabular.columns import mixed, value_codes, word_codes
from fer_data.tabular.dealing import by_rank
from fer_data.tabular.rows import with_columns

Level = Literal["largest", "median", "smallest"]


class RebalanceConfig(Configuration):
    """How the training split is evened out."""

    method: Literal["repeat", "drop", "weight"] = "repeat"
    by: tuple[str, ...] = ("label",)  # attributes whose combinations are evened out; unknown is one of their values
    # Faces that every combination shall have, for repeat (default the largest) and drop (default the smallest).
    target: Level | Annotated[int, Field(ge=1)] | None = None
    weights: Literal["inverse_frequency", "effective_number"] = "inverse_frequency"  # for weight
    beta: Annotated[float, Field(ge=0, lt=1)] = 0.9999  # of the effective number
    seed: int = 0  # which faces are dropped or repeated once more

    @model_validator(mode="after")
    def _meant(self) -> "RebalanceConfig":
        if not self.by:
            raise ValueError("expected at least one attribute in by")
        if self.method == "weight" and self.target is not None:
            raise ValueError("target belongs to repeat and drop; leave it out")
        return self


def rebalance(source: Manifest, config: RebalanceConfig, out: str | Path, *, replace: bool = False) -> Manifest:
    """Write a manifest whose training split is even over labels or other attributes.

    Only labelled rows of train change. `repeat`: every combination ends with the target number of faces, or its own
    if it has more; rows are repeated equally often, those with the smallest keys once more. `drop`: rows beyond the
    target leave. `weight`: rows weigh what `class_weights` says. Which rows are chosen depends on the picture they
    point to and the seed, not on the order of the rows. The footer tells under `rebalance` what each combination had
    and has.

    Raises:
        FerError: train has no labelled rows, or rows that are repeated or weighted already, an attribute is unknown,
            or `out` exists.
    """
    out = manifest.manifest_path(out).absolute()
    refuse_existing(out, replace=replace)
    rows = _trained_on(source)
    cells, names = _cells(source, config.by, rows)
    counts = np.bincount(cells, minlength=len(names))
    table = source.table
    changed: tuple[str, ...] = (config.method,)
    if config.method == "weight":
        weights = np.asarray(pc.fill_null(table["weight"], 1).to_numpy(), dtype=np.float32).copy()
        weights[rows] = class_weights(counts, config.weights, config.beta)[cells]
        table, reached = with_columns(table, weight=weights), counts
    else:
        target = _target(counts, config)
        copies = _copies(_keys(source, rows, config.seed), cells, counts, target, config.method)
        reached = np.bincount(cells, weights=copies, minlength=len(names)).astype(np.int64)
        if config.method == "repeat":
            repeat = np.array(table["repeat"].to_numpy(), dtype=np.int32)
            repeat[rows] = copies
            table = with_columns(table, repeat=repeat)
        else:
            kept = np.ones(len(table), dtype=bool)
            kept[rows] = copies > 0
            table, changed = table.filter(pa.array(kept)), ()
    return derive(
        source,
        table,
        out,
        command="fer rebalance",
        configuration=config.model_dump(mode="json"),
        changed=changed,
        replace=replace,
        rebalance=[
            {**dict(zip(config.by, name, strict=True)), "had": int(had), "has": int(has)}
            for name, had, has in zip(names, counts, reached, strict=True)
        ],
    )


def class_weights(
    counts: NDArray[np.int64], rule: Literal["inverse_frequency", "effective_number"], beta: float = 0.9999
) -> NDArray[np.float64]:
    """What one face of each class weighs so that classes count alike; the mean over all faces is 1.

    `inverse_frequency`: in inverse proportion to the class's n faces. `effective_number`: to (1 - beta^n) / (1 - beta),
    Cui et al., "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019, equations 2 and 12.

    Args:
        counts: int64 [C], faces of each class, at least 1.
        beta: in [0, 1); 0 weighs all alike, towards 1 it becomes the inverse frequency.

    Returns:
        float64 [C].
    """
    faces = counts.astype(np.float64)
    if rule == "effective_number":
        faces = -np.expm1(counts * np.log(beta)) / (1 - beta) if beta > 0 else np.ones(len(counts))
    return np.asarray(counts.sum() / (counts / faces).sum() / faces, dtype=np.float64)


def describe_rebalance(metadata: Mapping[str, Any]) -> list[str]:
    """What each combination had and has, for the terminal."""
    cells: Sequence[Mapping[str, Any]] = metadata["rebalance"]
    named = [(", ".join(_told(cell, name) for name in cell if name not in ("had", "has")), cell) for cell in cells]
    return [f"{name:<24} {cell['had']:>9,} → {cell['has']:,}" for name, cell in named]


def _told(cell: Mapping[str, Any], name: str) -> str:
    value = cell[name]
    return f"unknown {name}" if value is None else str(value)


def _trained_on(source: Manifest) -> NDArray[np.int64]:
    """The labelled rows of train, none of them repeated or weighted yet."""
    table = source.table
    mask = (word_codes(table["split"], ("train",)) == 0) & (word_codes(table["label"], source.labels) >= 0)
    rows = np.flatnonzero(mask)
    if not len(rows):
        raise FerError(f"{source.path}: expected labelled faces in the training split, found none; split it first")
    for name in ("repeat", "weight"):
        touched = int(np.count_nonzero(table[name].to_numpy()[rows] != 1))
        if touched:
            raise FerError(
                f"{source.path}: expected {name} 1 in the training split, found {touched:,} rows with another; "
                "rebalance the manifest that this one was made from"
            )
    return rows


def _cells(
    source: Manifest, by: Sequence[str], rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], list[tuple[Any, ...]]]:
    """Which combination of attributes each row has, int64 [M], 0..C-1, and the combinations that occur."""
    combined = np.zeros(len(rows), dtype=np.int64)
    words = []
    for codes, values in attributes(source, by):
        combined = combined * (len(values) + 1) + codes[rows] + 1
        words.append((None, *values))
    shape = tuple(len(values) for values in words)
    total = int(np.prod(shape))
    if total <= len(rows):  # counting is faster than sorting where few combinations are possible
        found = np.flatnonzero(np.bincount(combined, minlength=total))
        place = np.zeros(total, dtype=np.int64)
        place[found] = np.arange(len(found))
        cells = place[combined]
    else:
        found, cells = np.unique(combined, return_inverse=True)
    at = np.unravel_index(found, shape)
    names = [tuple(values[code] for values, code in zip(words, codes, strict=True)) for codes in zip(*at, strict=True)]
    return cells, names


def _keys(source: Manifest, rows: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """A pseudo-random key of every row, from the picture it points to."""
    stores, names = value_codes(source.table["store"])
    named = np.array(
        [int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True) for name in names],
        dtype=np.int64,
    )
    return mixed(mixed(named, seed)[stores[rows]] + source.table["store_row"].to_numpy()[rows].astype(np.uint64))


def _target(counts: NDArray[np.int64], config: RebalanceConfig) -> int:
    level = config.target or ("largest" if config.method == "repeat" else "smallest")
    if isinstance(level, int):
        return level
    return int({"largest": counts.max(), "median": np.median(counts), "smallest": counts.min()}[level])


def _copies(
    keys: NDArray[np.uint64], cells: NDArray[np.int64], counts: NDArray[np.int64], target: int, method: str
) -> NDArray[np.int32]:
    """How often each row shall count, int32 [M]."""
    order = np.argsort(cells.astype(np.uint16) if len(counts) <= 2**16 else cells, kind="stable")
    copies = np.ones(len(cells), dtype=np.int32)
    end = 0
    for count in counts.tolist():
        begin, end = end, end + count
        rows = order[begin:end]
        if method == "repeat" and count < target:
            once_more = target % count
            copies[rows] = target // count + (by_rank(keys[rows], np.array([once_more, count - once_more])) == 0)
        elif method == "drop" and count > target:
            copies[rows] = by_rank(keys[rows], np.array([target, count - target])) == 0
    return copies
