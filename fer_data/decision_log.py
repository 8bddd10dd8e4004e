"""The decision log: what reviewers decided, as events that are appended and never changed.

A log is an SQLite file (WAL, `synchronous=FULL`) or, for a team, another database named by a SQLAlchemy URL.
Undo is an event too, and undoing an undo brings the decision back. What stands is folded from the events.
"""

import csv
import datetime
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from fer_data import tables
from fer_data.errors import FerError
from fer_data.files import atomic_file, refuse_existing, sha256_json
from fer_data.manifest import Manifest

SCHEMA_VERSION = 1
ACTIONS = ("keep", "relabel", "drop", "unsure", "accept", "reject", "undo")
SCOPES = ("sample", "group")


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
        shown: what the reviewer saw: `label` (given), `suggestion`, `blind`.
        note: the reviewer's words, or None.
        scope: what it is about; one of SCOPES.
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
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        where = f"decision {self.event_id} on {self.sample_id}"
        if self.action not in ACTIONS:
            raise FerError(f"{where}: expected an action of {', '.join(ACTIONS)}, found {self.action!r}")
        if self.scope not in SCOPES:
            raise FerError(f"{where}: expected a scope of {', '.join(SCOPES)}, found {self.scope!r}")
        if (self.action == "relabel") != (self.label is not None):
            raise FerError(f"{where}: expected a label with relabel and only there, found {self.action} {self.label!r}")
        if (self.action == "undo") != (self.undoes is not None):
            raise FerError(f"{where}: expected undoes with undo and only there, found {self.action} {self.undoes!r}")
        if not (self.event_id and self.sample_id and self.reviewer.strip()):
            raise FerError(f"{where}: expected an event id, a sample id and a reviewer's name, found an empty one")


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
    """What stands: (sample_id, reviewer) → that reviewer's last decision on it that was not undone."""
    return {(event.sample_id, event.reviewer): event for event in not_undone(events)}


_METADATA = sa.MetaData()
_TEXT = sa.Text
_EVENTS = sa.Table(
    "decisions",
    _METADATA,
    sa.Column("position", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("event_id", _TEXT, nullable=False, unique=True),
    sa.Column("sample_id", _TEXT, nullable=False, index=True),
    sa.Column("pixel_sha256", _TEXT, nullable=False),
    sa.Column("manifest_sha256", _TEXT, nullable=False),
    sa.Column("action", _TEXT, nullable=False),
    sa.Column("reviewer", _TEXT, nullable=False, index=True),
    sa.Column("time", _TEXT, nullable=False),
    sa.Column("label", _TEXT),
    sa.Column("undoes", _TEXT),
    sa.Column("elapsed_ms", sa.Integer),
    sa.Column("queue", _TEXT, nullable=False),
    sa.Column("shown", sa.JSON, nullable=False),
    sa.Column("note", _TEXT),
    sa.Column("scope", _TEXT, nullable=False),
    sa.Column("schema_version", sa.Integer, nullable=False),
)
_INFO = sa.Table("decision_log", _METADATA, sa.Column("schema_version", sa.Integer, primary_key=True))
for _verb in ("UPDATE", "DELETE"):
    sa.event.listen(
        _EVENTS,
        "after_create",
        sa.DDL(  # type: ignore[no-untyped-call]
            f"CREATE TRIGGER decisions_no_{_verb.lower()} BEFORE {_verb} ON decisions "
            "BEGIN SELECT RAISE(ABORT, 'the decision log is append-only'); END"
        ).execute_if(dialect="sqlite"),
    )
_NAMES = tuple(column.name for column in fields(Decision))
# A program that decides again (a simulated reviewer) or a client that sends again may have another clock.
_SAME = tuple(name for name in _NAMES if name not in ("time", "elapsed_ms"))
_BATCH = 500  # ids in one query: below SQLite's limit on variables


class DecisionLog:
    """An opened log. Safe to share between threads; several processes may append to one log at once."""

    def __init__(self, place: str | Path, *, must_exist: bool = False) -> None:
        """Open a log, or begin one.

        Args:
            place: path of an SQLite file, or a SQLAlchemy URL.
            must_exist: refuse a file that is not there instead of beginning an empty log.

        Raises:
            FerError: the file is missing, is no decision log, or was written by a newer version.
        """
        text = str(place)
        url = sa.make_url(text) if "://" in text else sa.URL.create("sqlite", database=text)
        self.name = url.render_as_string(hide_password=True) if "://" in text else text
        if url.get_backend_name() == "sqlite" and url.database:
            if must_exist and not Path(url.database).is_file():
                raise FerError(f"decision log {self.name} is missing; check the path, or decide first: fer curate")
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        self._engine = sa.create_engine(url)
        if url.get_backend_name() == "sqlite":
            _make_durable(self._engine)
        try:
            with self._engine.begin() as connection:
                _METADATA.create_all(connection)
                version = connection.scalar(sa.select(_INFO.c.schema_version))
                if version is None:
                    connection.execute(_INFO.insert().values(schema_version=SCHEMA_VERSION))
        except SQLAlchemyError as error:
            raise FerError(f"decision log {self.name} cannot be opened ({_reason(error)}); check the path") from None
        if version is not None and version > SCHEMA_VERSION:
            raise FerError(
                f"decision log {self.name}: expected schema version {SCHEMA_VERSION}, found {version}; "
                "open it with the version of fer-data-studio that wrote it"
            )

    def append(self, events: Iterable[Decision]) -> int:
        """Append events in one transaction. When this returns they are on the disk.

        Returns:
            How many were new; an event whose id is in the log already is not written again.

        Raises:
            FerError: nothing was written: the disk refused, an id is taken by another decision, or an undo
                takes back what this reviewer never decided.
        """
        events = list(events)
        rows = [{name: getattr(event, name) for name in _NAMES} for event in events]
        for row in rows:
            row["shown"] = dict(row["shown"])
        dialect = postgresql if self._engine.dialect.name == "postgresql" else sqlite
        insert = dialect.insert(_EVENTS).on_conflict_do_nothing(index_elements=["event_id"])
        try:
            with self._engine.begin() as connection:
                known = _find(connection, [name for event in events for name in (event.event_id, event.undoes)])
                fresh = _fresh(events, known)
                if fresh:
                    connection.execute(insert, [row for row in rows if row["event_id"] in fresh])
        except SQLAlchemyError as error:
            raise FerError(
                f"decision log {self.name}: {len(events)} decisions were NOT saved ({_reason(error)}); "
                "free some disk space or close what locks the file, then decide again"
            ) from None
        return len(fresh)

    def events(self, reviewer: str | None = None) -> list[Decision]:
        """All events, or one reviewer's, in the order in which they were appended."""
        query = sa.select(*(_EVENTS.c[name] for name in _NAMES)).order_by(_EVENTS.c.position)
        if reviewer is not None:
            query = query.where(_EVENTS.c.reviewer == reviewer)
        try:
            with self._engine.connect().execution_options(fer_reads=True) as connection:
                return [Decision(**row) for row in connection.execute(query).mappings()]
        except SQLAlchemyError as error:
            raise FerError(f"decision log {self.name} cannot be read ({_reason(error)}); check the file") from None

    def close(self) -> None:
        """Close the connections; appended decisions are safe without it."""
        self._engine.dispose()


def default_log(manifest: Manifest) -> Path:
    """Where decisions lie if the user names no place: one log per project."""
    return manifest.root / "decisions.sqlite"


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


def _make_durable(engine: sa.Engine) -> None:
    """WAL with a synced log at each commit, and one writer at a time who waits for his turn."""

    @sa.event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # else the driver begins transactions of its own
        for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=FULL"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        reads = connection.get_execution_options().get("fer_reads", False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _find(connection: sa.Connection, ids: Iterable[str | None]) -> dict[str, Decision]:
    wanted = sorted({name for name in ids if name is not None})
    columns = [_EVENTS.c[name] for name in _NAMES]
    found: dict[str, Decision] = {}
    for start in range(0, len(wanted), _BATCH):
        query = sa.select(*columns).where(_EVENTS.c.event_id.in_(wanted[start : start + _BATCH]))
        found.update({row["event_id"]: Decision(**row) for row in connection.execute(query).mappings()})
    return found


def _fresh(events: Sequence[Decision], known: dict[str, Decision]) -> set[str]:
    """Ids of the events that are not in the log yet; a contradiction raises FerError."""
    known = dict(known)
    fresh = set()
    for event in events:
        before = known.get(event.event_id)
        if before is not None:
            if any(getattr(before, name) != getattr(event, name) for name in _SAME):
                raise FerError(
                    f"decision {event.event_id}: another decision has this id; nothing was saved, make a new one"
                )
            continue
        if event.undoes is not None:
            target = known.get(event.undoes)
            if target is None or (target.sample_id, target.reviewer) != (event.sample_id, event.reviewer):
                raise FerError(
                    f"undo {event.event_id}: expected an earlier decision by {event.reviewer} on {event.sample_id}"
                    f" under {event.undoes}, found {'none' if target is None else 'another one'}; nothing was saved"
                )
        known[event.event_id] = event
        fresh.add(event.event_id)
    return fresh


def _reason(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]
