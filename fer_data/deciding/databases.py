"""The databases that a log lies in: durable at each commit, one writer at a time, whose commits come in order.

SQLite has one writer at a time by itself. PostgreSQL hands out positions before commits, so that a reader could see a
later event first and never hear of the earlier one; an advisory lock makes its writers take turns as well.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from fer_data.deciding.schema import STEPS
from fer_data.errors import FerError

_WAIT_S = 30  # for the writers ahead
_CONNECT_S = 10
_TURN = 0x6665725F6C6F67  # "fer_log": key of the advisory lock


def database_url(place: str | Path) -> sa.URL:
    """The URL of a log: `place` itself, or that of the SQLite file which it names.

    Raises:
        FerError: a URL that cannot be read, or of a database that logs do not lie in.
    """
    text = str(place)
    if "://" not in text:
        return sa.URL.create("sqlite", database=text)
    try:
        url = sa.make_url(text)
    except (ArgumentError, ValueError):
        raise FerError(
            "decision log: expected a file or a URL like postgresql+psycopg://user@host/database, found a URL that "
            "cannot be read"  # which may hold a password, so it is not told
        ) from None
    if url.get_backend_name() not in STEPS:
        raise FerError(
            f"decision log {shown(url)}: expected a database of {' or '.join(STEPS)}, found {url.get_backend_name()}"
        )
    return url


def shown(url: sa.URL) -> str:
    """How messages name a log: a file by its path, another database without its password."""
    is_file = url.drivername == "sqlite" and url.database and not url.query
    return str(url.database) if is_file else url.render_as_string(hide_password=True)


def connect(url: sa.URL) -> sa.Engine:
    """An engine whose every commit is on the disk when it returns.

    Raises:
        FerError: the database's driver is not installed.
    """
    wait = {"connect_timeout": _CONNECT_S} if url.get_backend_name() == "postgresql" else {}
    try:
        engine = sa.create_engine(url, connect_args=wait, pool_pre_ping=bool(wait))
    except (ImportError, NoSuchModuleError) as error:
        raise FerError(
            f"decision log {shown(url)}: its driver is not installed ({error}); for postgresql+psycopg:// "
            "pip install 'fer-data-studio[postgres]'"
        ) from None
    (_configure_postgresql if wait else _configure_sqlite)(engine)
    return engine


@contextlib.contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection to read with; it waits for no writer."""
    with engine.connect().execution_options(fer_reads=True) as connection:
        yield connection


@contextlib.contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that no other writer is beside; committed to the disk at the end, or not at all."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_TURN)))
        yield connection


def reason(error: Exception) -> str:
    """What the database said, in its first line."""
    return str(getattr(error, "orig", None) or error).splitlines()[0]


def _configure_sqlite(engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # else the driver begins transactions of its own
        for pragma in (f"busy_timeout={1000 * _WAIT_S}", "journal_mode=WAL", "synchronous=FULL"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        reads = connection.get_execution_options().get("fer_reads", False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _configure_postgresql(engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        connection.execute("SET synchronous_commit = on")  # whatever the server or the role says
        connection.execute(f"SET lock_timeout = '{_WAIT_S}s'")
        connection.commit()
