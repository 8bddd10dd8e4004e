"""A copy of the whole log, as it is at one moment, while others go on appending to it."""

import contextlib
import sqlite3
from pathlib import Path

import sqlalchemy as sa

from fer_data.deciding.databases import reading
from fer_data.deciding.schema import EVENTS, migrate
from fer_data.files import atomic_file


def back_up(engine: sa.Engine, out: Path) -> int:
    """Write the log into one SQLite file, which appears complete or not at all.

    Returns:
        How many events it holds.

    Raises:
        FerError: there is no room for it on the disk.
        SQLAlchemyError, sqlite3.Error: the log cannot be read, or the copy not written.
    """
    with atomic_file(out) as partial:
        (_copy_file if engine.dialect.name == "sqlite" else _copy_events)(engine, partial)
        with contextlib.closing(sqlite3.connect(partial)) as copy:
            (count,) = copy.execute("SELECT count(*) FROM decisions").fetchone()
    return int(count)


def _copy_file(engine: sa.Engine, out: Path) -> None:
    """By SQLite's online backup, in one step: what is committed at its start, and no writer waits for it."""
    source = engine.raw_connection()
    with contextlib.closing(source), contextlib.closing(sqlite3.connect(out)) as target:
        source.driver_connection.backup(target)  # type: ignore[union-attr]
        target.execute("PRAGMA journal_mode=DELETE")  # one file, with no companions


def _copy_events(engine: sa.Engine, out: Path) -> None:
    """One query is one snapshot; the schema is written anew."""
    copy = sa.create_engine(sa.URL.create("sqlite", database=str(out)))
    with reading(engine) as source, copy.begin() as target:
        migrate(target, 0)
        rows = source.execute(sa.select(EVENTS).order_by(EVENTS.c.position)).mappings()
        for part in rows.partitions(10_000):
            target.execute(EVENTS.insert(), [dict(row) for row in part])
    copy.dispose()
