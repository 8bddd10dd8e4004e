"""The form of the log's database, and the steps that bring a log of an earlier form to the present one.

A step that is published is never edited: a new log takes all of them, an older one those that it lacks.
"""

from collections.abc import Mapping
from types import MappingProxyType

import sqlalchemy as sa

EVENTS = sa.Table(
    "decisions",
    sa.MetaData(),
    sa.Column("position", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("event_id", sa.Text, nullable=False, unique=True),
    sa.Column("sample_id", sa.Text, nullable=False, index=True),
    sa.Column("pixel_sha256", sa.Text, nullable=False),
    sa.Column("manifest_sha256", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("reviewer", sa.Text, nullable=False, index=True),
    sa.Column("time", sa.Text, nullable=False),
    sa.Column("label", sa.Text),
    sa.Column("undoes", sa.Text),
    sa.Column("elapsed_ms", sa.Integer),
    sa.Column("queue", sa.Text, nullable=False),
    sa.Column("shown", sa.JSON, nullable=False),
    sa.Column("note", sa.Text),
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("schema_version", sa.Integer, nullable=False),
)
VERSION = sa.Table("decision_log", sa.MetaData(), sa.Column("schema_version", sa.Integer, primary_key=True))

_COLUMNS = """
    event_id TEXT NOT NULL UNIQUE, sample_id TEXT NOT NULL, pixel_sha256 TEXT NOT NULL, manifest_sha256 TEXT NOT NULL,
    action TEXT NOT NULL, reviewer TEXT NOT NULL, time TEXT NOT NULL, label TEXT, undoes TEXT, elapsed_ms INTEGER,
    queue TEXT NOT NULL, shown JSON NOT NULL, note TEXT, scope TEXT NOT NULL, schema_version INTEGER NOT NULL
"""
_BOTH_1 = (
    "CREATE TABLE decision_log (schema_version INTEGER NOT NULL PRIMARY KEY)",
    "CREATE INDEX ix_decisions_sample_id ON decisions (sample_id)",
    "CREATE INDEX ix_decisions_reviewer ON decisions (reviewer)",
)
_ONLY = "the decision log is append-only"
_SQLITE_1 = (
    f"CREATE TABLE decisions (position INTEGER NOT NULL PRIMARY KEY, {_COLUMNS})",
    *_BOTH_1,
    f"CREATE TRIGGER decisions_no_update BEFORE UPDATE ON decisions BEGIN SELECT RAISE(ABORT, '{_ONLY}'); END",
    f"CREATE TRIGGER decisions_no_delete BEFORE DELETE ON decisions BEGIN SELECT RAISE(ABORT, '{_ONLY}'); END",
)
# INSERT OR REPLACE takes a row away without a trigger on DELETE ever hearing of it.
_SQLITE_2 = (
    "CREATE TRIGGER decisions_no_replace BEFORE INSERT ON decisions "
    "WHEN EXISTS (SELECT 1 FROM decisions WHERE event_id = NEW.event_id OR position = NEW.position) "
    f"BEGIN SELECT RAISE(ABORT, '{_ONLY}'); END",
)
_POSTGRESQL_1 = (f"CREATE TABLE decisions (position BIGSERIAL PRIMARY KEY, {_COLUMNS})", *_BOTH_1)
_POSTGRESQL_2 = (
    "CREATE FUNCTION refuse_change_of_decisions() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$ BEGIN RAISE EXCEPTION '{_ONLY}'; END $$",
    "CREATE TRIGGER decisions_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON decisions "
    "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_decisions()",
)
# Dialect → the statements that lead to version 1, 2, …
STEPS: Mapping[str, tuple[tuple[str, ...], ...]] = MappingProxyType(
    {"sqlite": (_SQLITE_1, _SQLITE_2), "postgresql": (_POSTGRESQL_1, _POSTGRESQL_2)}
)
SCHEMA_VERSION = 2


def version_of(connection: sa.Connection) -> int:
    """The version of the log in a database; 0 where there is none yet."""
    if not sa.inspect(connection).has_table(VERSION.name):
        return 0
    version: int | None = connection.scalar(sa.select(sa.func.max(VERSION.c.schema_version)))
    return version or 0


def migrate(connection: sa.Connection, found: int) -> None:
    """Take the steps from version `found` to the present one, within the caller's transaction."""
    for step in STEPS[connection.dialect.name][found:]:
        for statement in step:
            connection.exec_driver_sql(statement)
    connection.execute(VERSION.delete())
    connection.execute(VERSION.insert().values(schema_version=SCHEMA_VERSION))
