"""One record a finished run: `<out>/records/<arm>-seed<seed>.json`, taken again only for the same identity."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fer_data.errors import FerError
from fer_data.files import read_json


def record_path(out: Path, arm: str, seed: int) -> Path:
    """Where the record of one run lies."""
    return out / "records" / f"{arm}-seed{seed}.json"


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
    if found == identity:
        return record
    way_out = "give the experiment another name, or delete this record to train the run again"
    if found.get("train_rows_sha256") != identity["train_rows_sha256"]:
        raise FerError(f"{path}: the manifest of arm {arm} changed since seed {seed} was trained; {way_out}")
    if found.get("judged_rows_sha256") != identity["judged_rows_sha256"]:
        raise FerError(f"{path}: the val or test rows of evaluate_on changed since arm {arm} was judged; {way_out}")
    before, now = found.get("train", {}), identity["train"]
    keys = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
    raise FerError(f"{path}: made with another train configuration ({', '.join(keys)}); {way_out}")
