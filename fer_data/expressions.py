"""The words of the field: label sets, occlusions, lights, and the names that datasets use for them.

Labels travel by name. An integer code never leaves the adapter that knows its table; an index is made from a
label set only where a tensor is made.
"""

from collections.abc import Iterable, Sized
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_data.errors import FerError

BASIC7 = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")

LABEL_SETS = MappingProxyType(
    {
        "basic7": BASIC7,
        "basic8": (*BASIC7, "contempt"),
        # RAF-DB, compound classes 1-11: Li & Deng, "Reliable Crowdsourcing and Deep Locality-Preserving Learning
        # for Unconstrained Facial Expression Recognition", IEEE TIP 2019, Table II.
        "compound11": (
            "happily surprised", "happily disgusted", "sadly fearful", "sadly angry", "sadly surprised",
            "sadly disgusted", "fearfully angry", "fearfully surprised", "angrily surprised",
            "angrily disgusted", "disgustedly surprised",
        ),
    }
)  # fmt: skip

OCCLUSIONS = ("none", "mask", "sunglasses", "hand_mouth", "hand_eyes", "hair", "patch")
LIGHTS = ("normal", "low", "side", "back")

SYNONYMS = MappingProxyType(
    {
        "angry": "anger",
        "disgusted": "disgust",
        "fearful": "fear",
        "afraid": "fear",
        "happy": "happiness",
        "joy": "happiness",
        "sad": "sadness",
        "surprised": "surprise",
    }
)


def label_names(label_set: str) -> tuple[str, ...]:
    """The labels of a set, in the order in which tensors and tables number them.

    Raises:
        FerError: the set has no such name.
    """
    if label_set not in LABEL_SETS:
        raise FerError(f"label set {label_set!r} is unknown; expected one of {', '.join(LABEL_SETS)}")
    return LABEL_SETS[label_set]


def canonical(name: str, label_set: str) -> str | None:
    """The canonical label for a name as a dataset spells it ("Happy", "joy"), or None if the set has none."""
    word = name.strip().lower()
    word = SYNONYMS.get(word, word)
    return word if word in label_names(label_set) else None


def label_indices(labels: Iterable[str | None], label_set: str) -> NDArray[np.int64]:
    """Indices into `label_names(label_set)`, int64 [N]; -1 where the label is null.

    Raises:
        FerError: a label is not in the set.
    """
    names = label_names(label_set)
    column = pd.Series(labels if isinstance(labels, Sized) else list(labels), dtype=object)
    indices = np.asarray(pd.Categorical(column, categories=names).codes, dtype=np.int64)
    unknown = (indices < 0) & column.notna().to_numpy()
    if unknown.any():
        first = column[unknown].iloc[0]
        raise FerError(f"label {first!r} is not in the label set {label_set}: {', '.join(names)}")
    return indices
