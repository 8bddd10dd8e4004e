"""One record a finished run: `<records>/<arm>-seed<seed>.json`, taken again only for the same identity.

A record is small and holds no picture: a later call, on another machine too, goes on from it.
"""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.recipe import completed
from fer_data.errors import FerError
from fer_data.files import read_json

WAY_OUT = "give the experiment another name, or delete this record to train the run again"


def record_path(records: Path, arm: str, seed: int) -> Path:
    """Where the record of one run lies."""
    return records / f"{arm}-seed{seed}.json"


def kept_record(path: Path, identity: Mapping[str, Any], arm: str, seed: int) -> dict[str, Any] | None:
    """A finished run's record, or None where it is still to be made.

    Args:
        identity: all that decides the result: train_rows_sha256, judged_rows_sha256 and train, a configuration.

    Raises:
        FerError: the record is of a run with another identity.
    """
    if not path.is_file():
        return None
    record: dict[str, Any] = read_json(path)
    found = record.get("identity", {})
    if same_identity(found, identity):
        return record
    if found.get("train_rows_sha256") != identity["train_rows_sha256"]:
        raise FerError(f"{path}: the manifest of arm {arm} changed since seed {seed} was trained; {WAY_OUT}")
    if found.get("judged_rows_sha256") != identity["judged_rows_sha256"]:
        raise FerError(f"{path}: the val or test rows of evaluate_on changed since arm {arm} was judged; {WAY_OUT}")
    before, now = completed(found.get("train", {})), completed(identity["train"])
    keys = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
    raise FerError(f"{path}: made with another train configuration ({', '.join(keys)}); {WAY_OUT}")


def same_identity(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two identities are of one run; a setting that one of them does not know yet has its default there."""
    return {**one, "train": completed(one.get("train", {}))} == {**other, "train": completed(other.get("train", {}))}


def pack(probabilities: NDArray[np.float32]) -> dict[str, Any]:
    """Probabilities [N, K] as JSON: little-endian float16, row by row, base64."""
    data = np.ascontiguousarray(probabilities, dtype="<f2").tobytes()
    return {"dtype": "float16", "shape": list(probabilities.shape), "base64": base64.b64encode(data).decode()}


def unpack(packed: Mapping[str, Any]) -> NDArray[np.float32]:
    """The probabilities [N, K] that `pack` wrote, as float32."""
    values = np.frombuffer(base64.b64decode(packed["base64"]), dtype="<f2")
    return values.reshape(packed["shape"]).astype(np.float32)
