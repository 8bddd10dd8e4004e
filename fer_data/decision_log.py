"""The decision log: what reviewers decided, as events that are appended and never changed.

A log is an SQLite file (WAL, `synchronous=FULL`) or, for a team, a PostgreSQL database named by a SQLAlchemy URL.
Undo is an event too, and undoing an undo brings the decision back. What stands is folded from the events.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from fer_data.deciding.backup import back_up
from fer_data.deciding.databases import connect, database_url, reading, reason, shown, writing
from fer_data.deciding.events import (
    ACTIONS,
    SCOPES,
    Decision,
    RefusedDecisionError,
    export,
    log_sha256,
    new_event_id,
    not_undone,
    standing,
    undo_of,
    utc_now,
)
from fer_data.deciding.schema import EVENTS, SCHEMA_VERSION, migrate, version_of
from fer_data.errors import FerError
from fer_data.files import refuse_existing
from fer_data.manifest import Manifest

__all__ = [
    "ACTIONS",
    "LOG_NAME",
    "SCHEMA_VERSION",
    "SCOPES",
    "Decision",
    "DecisionLog",
    "RefusedDecisionError",
    "default_log",
    "export",
    "log_sha256",
    "new_event_id",
    "not_undone",
    "standing",
    "undo_of",
    "utc_now",
]

LOG_NAME = "decisions.sqlite"

_NAMES = tuple(column.name for column in fields(Decision))
_COLUMNS = tuple(EVENTS.c[name] for name in _NAMES)
# What makes a decision the same when it is sent again: clocks and what the server adds may have changed meanwhile.
_SAME = ("sample_id", "pixel_sha256", "action", "reviewer", "label", "undoes", "note", "scope")
_BATCH = 500  # ids in one query: below SQLite's limit on variables


class DecisionLog:
    """An opened log. Safe to share between threads; several processes may append to one log at once."""

    def __init__(self, place: str | Path, *, must_exist: bool = False) -> None:
        """Open a log, or begin one. A log of an earlier version is brought to the present one.

        Before that an SQLite file is copied beside itself, as `<name>.schema-<version>.sqlite`.

        Args:
            place: path of an SQLite file, or a SQLAlchemy URL.
            must_exist: refuse a place where no log is, instead of beginning an empty one there.

        Raises:
            FerError: the log is missing or cannot be opened, or was written by a newer version.
        """
        url = database_url(place)
        self.name = shown(url)
        self._file = Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None
        if self._file is not None:
            if must_exist and not self._file.is_file():
                raise FerError(f"decision log {self.name} is missing; check the path, or decide first: fer curate")
            self._file.parent.mkdir(parents=True, exist_ok=True)
        self._engine = connect(url)
        self._turn = threading.Lock()  # threads queue up here; SQLite would let them try again and again
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(self.close)
            self._prepare(must_exist)
            on_failure.pop_all()

    def append(self, events: Iterable[Decision]) -> int:
        """Append events in one transaction. When this returns they are on the disk.

        Returns:
            How many were new; an event whose id is in the log already is not written again.

        Raises:
            RefusedDecisionError: nothing was written: an id is taken by another decision, or an undo takes back what
                this reviewer never decided. Sending them again is of no use.
            FerError: nothing was written: the database refused. They may be sent again.
        """
        events = list(events)
        try:
            with self._turn, writing(self._engine) as connection:
                known = _find(connection, [name for event in events for name in (event.event_id, event.undoes)])
                fresh = _fresh(events, known)
                if fresh:
                    connection.execute(EVENTS.insert(), [_row(event) for event in fresh])
        except SQLAlchemyError as error:
            raise FerError(
                f"decision log {self.name}: {len(events)} decisions were NOT saved ({reason(error)}); see that the "
                "disk has room and that the log answers and is not locked, then decide again"
            ) from None
        return len(fresh)

    def events(self, reviewer: str | None = None) -> list[Decision]:
        """All events, or one reviewer's, in the order in which they were appended."""
        return self._read(sa.true() if reviewer is None else EVENTS.c.reviewer == reviewer)

    def events_on(self, sample_ids: Sequence[str]) -> list[Decision]:
        """What anybody decided on some samples, undos too, in the order in which it was appended."""
        return self._read(EVENTS.c.sample_id.in_(sample_ids)) if sample_ids else []

    def events_on_shared(self) -> list[Decision]:
        """What was decided, undos too, on samples that two reviewers or more ever decided on, in order."""
        reviewers = sa.func.count(sa.distinct(EVENTS.c.reviewer))
        shared = sa.select(EVENTS.c.sample_id).group_by(EVENTS.c.sample_id).having(reviewers > 1)
        return self._read(EVENTS.c.sample_id.in_(shared))

    def last_position(self) -> int:
        """Where the log ends: the position of its last event, 0 while it is empty."""
        with self._telling(), reading(self._engine) as connection:
            last: int | None = connection.scalar(sa.select(sa.func.max(EVENTS.c.position)))
        return last or 0

    def events_after(self, position: int, until: int | None = None) -> list[Decision]:
        """What was appended after a position, in order.

        A session that follows the log asks `last = log.last_position()`, then `log.events_after(seen, last)`, and goes
        on from `last`: so it is told everything once, whoever appends meanwhile.

        Args:
            position: of the last event that is known already; 0 for none.
            until: no event after this position; None for all.
        """
        later = EVENTS.c.position > position
        return self._read(later if until is None else sa.and_(later, EVENTS.c.position <= until))

    def backup(self, out: Path, *, replace: bool = False) -> int:
        """Copy the log, as it is at one moment, into an SQLite file while others go on appending.

        The copy is a log like any other. To bring it back, put it where the log was; or append its events to
        another log: `log.append(copy.events())`.

        Returns:
            How many events it holds.

        Raises:
            FerError: `out` exists and `replace` is false, there is no room for it, or the log cannot be read.
        """
        refuse_existing(out, replace=replace)
        with self._telling():
            return back_up(self._engine, out)

    def close(self) -> None:
        """Close the connections; appended decisions are safe without it."""
        self._engine.dispose()

    def _read(self, condition: sa.ColumnElement[bool]) -> list[Decision]:
        query = sa.select(*_COLUMNS).where(condition).order_by(EVENTS.c.position)
        with self._telling(), reading(self._engine) as connection:
            return [Decision(**row) for row in connection.execute(query).mappings()]

    def _prepare(self, must_exist: bool) -> None:
        try:
            with reading(self._engine) as connection:
                version = version_of(connection)
            if version < SCHEMA_VERSION and (version or not must_exist):
                self._migrate()
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise FerError(f"decision log {self.name} cannot be opened ({reason(error)}); check the path") from None
        if not version and must_exist:
            raise FerError(f"decision log {self.name}: expected a log, found none in it; check the path or the URL")
        if version > SCHEMA_VERSION:
            raise FerError(
                f"decision log {self.name}: expected schema version {SCHEMA_VERSION}, found {version}; "
                "open it with the version of fer-data-studio that wrote it"
            )

    def _migrate(self) -> None:
        """Take the steps that the log lacks, all in one transaction and, of a file, after a copy of what it was."""
        with writing(self._engine) as connection:
            found = version_of(connection)  # another process may have been faster
            if found and found < SCHEMA_VERSION and self._file is not None:
                back_up(self._engine, self._file.with_name(f"{self._file.stem}.schema-{found}.sqlite"))
            if found < SCHEMA_VERSION:
                migrate(connection, found)

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise FerError(f"decision log {self.name} cannot be read ({reason(error)}); check it") from None


def default_log(manifest: Manifest) -> Path:
    """Where decisions lie if the user names no place: one log per project."""
    return manifest.root / LOG_NAME


def _row(event: Decision) -> dict[str, Any]:
    return {**{name: getattr(event, name) for name in _NAMES}, "shown": dict(event.shown)}


def _find(connection: sa.Connection, ids: Iterable[str | None]) -> dict[str, Decision]:
    wanted = sorted({name for name in ids if name is not None})
    found: dict[str, Decision] = {}
    for start in range(0, len(wanted), _BATCH):
        query = sa.select(*_COLUMNS).where(EVENTS.c.event_id.in_(wanted[start : start + _BATCH]))
        found.update({row["event_id"]: Decision(**row) for row in connection.execute(query).mappings()})
    return found


def _fresh(events: Sequence[Decision], known: Mapping[str, Decision]) -> list[Decision]:
    """The events that are not in the log yet, each once; a contradiction raises RefusedDecisionError."""
    by_id = dict(known)
    fresh = []
    for event in events:
        before = by_id.get(event.event_id)
        if before is not None:
            if any(getattr(before, name) != getattr(event, name) for name in _SAME):
                raise RefusedDecisionError(
                    f"decision {event.event_id}: another decision has this id; nothing was saved, make a new one"
                )
            continue
        if event.undoes is not None:
            target = by_id.get(event.undoes)
            if target is None or (target.sample_id, target.reviewer) != (event.sample_id, event.reviewer):
                raise RefusedDecisionError(
                    f"undo {event.event_id}: expected an earlier decision by {event.reviewer} on {event.sample_id}"
                    f" under {event.undoes}, found {'none' if target is None else 'another one'}; nothing was saved"
                )
        by_id[event.event_id] = event
        fresh.append(event)
    return fresh
