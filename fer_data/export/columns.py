"""The columns of an export: what each means, and its type in Hugging Face features and in Croissant."""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import pyarrow as pa

MEANING = MappingProxyType(
    {
        "image": "the face",
        "path": "the picture's file, relative to this folder",
        "shard": "the tar file that holds the face, relative to this folder",
        "name": "the name that the members of a face share",
        "store": "the store of the project that holds the picture",
        "store_row": "its row there",
        "file_sha256": "SHA-256 of the picture's file when it was imported",
        "sha256": "SHA-256 of the picture's file",
        "label": "the expression shown, as `label_origin` says; empty where no label is known",
        "sample_id": "source data set and key: unique in the manifest and stable",
        "split": "train, val, test, or unassigned where the manifest gives none",
        "fold": "cross-validation fold",
        "group_id": "faces that must share a split: the same picture, person or sequence",
        "origin": "real, derived (made from a real picture) or synthetic (generated)",
        "label_origin": "who says so: the source, votes, reviewers' decisions, a policy, or the generator",
        "target": "soft label, one probability per name of the label set; empty means that the label is certain",
        "weight": "weight of the face in a training loss",
        "repeat": "how often an epoch shows the face; 0 leaves it out",
        "votes": "how many voters named each class",
        "source_label": "the label as the source data set wrote it",
        "occlusion": "what covers the face; empty is unknown",
        "light": "how the face is lit; empty is unknown",
        "pose": "head pose as the data set names it; empty is unknown",
        "slices": "published test slices that list the face",
        "condition_source": "where occlusion, light and pose come from",
    }
)
# Arrow writes these as "float" and "double".
_DTYPES = MappingProxyType({pa.float32(): "float32", pa.float64(): "float64"})


def meaning(column: str, votes_labels: Sequence[str]) -> str:
    """One line on a column; for votes, with the order of the counts."""
    text = MEANING.get(column, f"{column.replace('_', ' ')}, as the source data set states it")
    return f"{text}, in the order {', '.join(votes_labels)}" if column == "votes" and votes_labels else text


def feature(kind: pa.DataType) -> dict[str, Any]:
    """The Hugging Face feature of an Arrow type, as its JSON in the Parquet schema metadata."""
    if pa.types.is_list(kind):
        return {"feature": feature(kind.value_type), "_type": "Sequence"}
    return {"dtype": _DTYPES.get(kind, str(kind)), "_type": "Value"}


def card_feature(name: str, value: dict[str, Any]) -> dict[str, Any]:
    """The same feature as the YAML header of a data set card writes it."""
    if value["_type"] == "Image":
        return {"name": name, "dtype": "image"}
    if value["_type"] == "ClassLabel":
        return {"name": name, "dtype": {"class_label": {"names": {str(i): n for i, n in enumerate(value["names"])}}}}
    if value["_type"] == "Sequence":
        return {"name": name, "sequence": value["feature"]["dtype"]}
    return {"name": name, "dtype": value["dtype"]}


def croissant_type(kind: pa.DataType) -> tuple[str, bool]:
    """The Croissant data type of an Arrow type, and whether a value is a list of them."""
    if pa.types.is_list(kind):
        return croissant_type(kind.value_type)[0], True
    if pa.types.is_integer(kind):
        return "sc:Integer", False
    return ("sc:Float" if pa.types.is_floating(kind) else "sc:Text"), False
