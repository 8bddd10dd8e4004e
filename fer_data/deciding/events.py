"""The events of the decision log, what stands of them, and how they are written into files."""

import csv
import datetime
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from fer_data import tables
from fer_data.errors import FerError
from fer_data.files import atomic_file, refuse_existing, sha256_json

EVENT_VERSION = 1  # of one event; the form of the database has a version of its own: `schema.SCHEMA_VERSION`
ACTIONS = ("keep", "relabel", "drop", "unsure", "accept", "reject", "undo")
SCOPES = ("sample", "group")

_LONGEST_MS = 2**31 - 1  # what every database's INTEGER holds: 24 days


class RefusedDecisionError(FerError):
    """A decision that no retry will save: it makes no sense, or contradicts what the log holds."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One event of the log.

    Attributes:
        event_id: made by whoever decides, so that sending it again does not double it.
        sample_id: the face; of an undo, the face of the decision that it takes back.
        pixel_sha256: the picture that was seen; `apply` refuses the decision for another picture.
        manifest_sha256: the manifest that was open.
        action: one of ACTIONS; accept and reject are for synthetic faces.
        reviewer: who decided; `simulated:<rule>` where a program did.
        time: when, UTC, ISO 8601.
        label: the new label of a `relabel`, else None.
        undoes: event_id of the decision that an `undo` takes back, else None.
        elapsed_ms: how long the reviewer looked, milliseconds, or None.
        queue: name of the queue it came from.
        shown: what the reviewer saw: `label` (given), `suggestion`, `blind`; JSON-able.
        note: the reviewer's words, or None.
        scope: what it is about; one of SCOPES. A group is every face of the manifest with the same picture.
    """

    event_id: str
    sample_id: str
    pixel_sha256: str
    manifest_sha256: str
    action: str
    reviewer: str
    time: str
    label: str | None = None
    undoes: str | None = None
    elapsed_ms: int | None = None
    queue: str = ""
    shown: Mapping[str, Any] = field(default_factory=dict)
    note: str | None = None
    scope: str = "sample"
    schema_version: int = EVENT_VERSION

    def __post_init__(self) -> None:
        where = f"decision {self.event_id!r} on {self.sample_id!r}"
        if self.action not in ACTIONS:
            raise RefusedDecisionError(f"{where}: expected an action of {', '.join(ACTIONS)}, found {self.action!r}")
        if self.scope not in SCOPES:
            raise RefusedDecisionError(f"{where}: expected a scope of {', '.join(SCOPES)}, found {self.scope!r}")
        if (self.action == "relabel") != (self.label is not None):
            found = f"{self.action} {self.label!r}"
            raise RefusedDecisionError(f"{where}: expected a label with relabel and only there, found {found}")
        if (self.action == "undo") != (self.undoes is not None):
            found = f"{self.action} {self.undoes!r}"
            raise RefusedDecisionError(f"{where}: expected undoes with undo and only there, found {found}")
        if not (self.event_id and self.sample_id and self.reviewer.strip()):
            raise RefusedDecisionError(
                f"{where}: expected an event id, a sample id and a reviewer's name, found an empty one"
            )
        if self.elapsed_ms is not None and not 0 <= self.elapsed_ms <= _LONGEST_MS:
            raise RefusedDecisionError(f"{where}: expected 0 to {_LONGEST_MS} ms of looking, found {self.elapsed_ms}")
        for name in _TEXTS:
            if (text := getattr(self, name)) is not None and not _is_storable(text):
                found = f"{text!r} as its {name}"
                raise RefusedDecisionError(f"{where}: expected text that every database holds, found {found}")


_NAMES = tuple(column.name for column in fields(Decision))
_TEXTS = tuple(name for name in _NAMES if name not in ("elapsed_ms", "shown", "schema_version"))


def new_event_id() -> str:
    """A fresh id for an event that a person is about to make."""
    return str(uuid.uuid4())


def utc_now() -> str:
    """The present moment as events write it: UTC, ISO 8601, milliseconds."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def undo_of(decision: Decision, **changes: Any) -> Decision:
    """The event that takes `decision` back, made now by the same reviewer."""
    fresh: dict[str, Any] = {"event_id": new_event_id(), "time": utc_now(), "note": None, "elapsed_ms": None}
    return replace(decision, action="undo", label=None, undoes=decision.event_id, **{**fresh, **changes})


def not_undone(events: Sequence[Decision]) -> list[Decision]:
    """The decisions (no undos) that nothing takes back, in the order given, which is the log's order."""
    taken_back: set[str] = set()
    alive = []
    for event in reversed(events):  # an undo comes after what it undoes, so it is known by the time it matters
        if event.event_id in taken_back:
            continue
        if event.undoes is not None:
            taken_back.add(event.undoes)
        else:
            alive.append(event)
    return alive[::-1]


def standing(events: Sequence[Decision]) -> dict[tuple[str, str], Decision]:
    """What stands: (sample_id, reviewer) → that reviewer's last decision on it that was not undone; oldest first."""
    last: dict[tuple[str, str], Decision] = {}
    for event in not_undone(events):
        last.pop((event.sample_id, event.reviewer), None)
        last[event.sample_id, event.reviewer] = event
    return last


def log_sha256(events: Sequence[Decision]) -> str:
    """Identity of what a log says, whatever database it lies in: SHA-256 of its events in order."""
    return sha256_json([asdict(event) for event in events])


def export(events: Sequence[Decision], out: Path, *, replace: bool = False) -> Path:
    """Write events as `.csv` or `.parquet` (a table of kind `decisions`); `shown` is JSON text in both.

    Raises:
        FerError: another ending, or `out` exists and `replace` is false.
    """
    refuse_existing(out, replace=replace)
    rows = [{**asdict(event), "shown": json.dumps(dict(event.shown), sort_keys=True)} for event in events]
    if out.suffix == ".parquet":
        whole = {"elapsed_ms": pa.int64(), "schema_version": pa.int64()}
        schema = pa.schema([(name, whole.get(name, pa.string())) for name in _NAMES])
        facts = tables.provenance("decisions", "export", log_sha256=log_sha256(events))
        return tables.write_table(out, pa.Table.from_pylist(rows, schema), facts, replace=replace)
    if out.suffix != ".csv":
        raise FerError(f"{out}: expected a name that ends in .csv or .parquet, found {out.suffix or 'no ending'!r}")
    with atomic_file(out) as partial, partial.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, _NAMES)
        writer.writeheader()
        writer.writerows(rows)
    return out


def _is_storable(text: str) -> bool:
    """Whether each database takes it as it is: no NUL (PostgreSQL), no half of a surrogate pair (UTF-8)."""
    try:
        return "\0" not in text.encode().decode()
    except UnicodeEncodeError:
        return False
