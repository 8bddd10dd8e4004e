"""Attributes of rows as small integers: columns of the manifest, or facts of the pictures behind it."""

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fer_data.errors import FerError
from fer_data.manifest import SCHEMA, Manifest
from fer_data.store import FACTS
from fer_data.tabular.columns import value_codes

_MOST_CELLS = 2**20  # more values than this are counted only where they occur


Attribute = tuple[NDArray[np.int32], tuple[Any, ...]]


def attributes(manifest: Manifest, names: Sequence[str]) -> list[Attribute]:
    """What every row has of some attributes.

    Returns:
        For each attribute codes, int32 [N], -1 where it is unknown, and the values that occur, sorted.

    Raises:
        FerError: there is no such attribute, or its values are lists.
    """
    known = (*SCHEMA.names, *FACTS.names)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
            raise FerError(f"there is no attribute {name!r}" + (f"; near it are {', '.join(near)}" if near else ""))
        kind = (SCHEMA if name in SCHEMA.names else FACTS).field(name).type
        if pa.types.is_nested(kind):
            raise FerError(f"{name}: expected an attribute with one value for each face, found {kind}")
    wanted = [name for name in names if name not in SCHEMA.names]
    facts = manifest.facts_table(wanted) if wanted else pa.table({})
    return [value_codes(facts[name] if name in wanted else manifest.table[name]) for name in names]


def strata(manifest: Manifest, names: Sequence[str]) -> NDArray[np.int64]:
    """Which combination of attributes every row has, int64 [N], 0..S-1; unknown is a value of its own."""
    combined = np.zeros(len(manifest), dtype=np.int64)
    total = 1
    for codes, values in attributes(manifest, names):
        combined *= len(values) + 1
        combined += codes + 1
        total *= len(values) + 1
        if total > _MOST_CELLS:
            combined = np.unique(combined, return_inverse=True)[1]
            total = int(combined.max(initial=0)) + 1
    return combined
