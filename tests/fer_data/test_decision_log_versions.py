"""Logs of other versions: earlier ones are brought to this one, in one transaction or not at all."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from decisions_made import plain, raw

from fer_data.deciding.schema import EVENTS, SCHEMA_VERSION, STEPS
from fer_data.decision_log import DecisionLog
from fer_data.errors import FerError

COLUMNS_1 = """
    event_id TEXT NOT NULL, sample_id TEXT NOT NULL, pixel_sha256 TEXT NOT NULL, manifest_sha256 TEXT NOT NULL,
    action TEXT NOT NULL, reviewer TEXT NOT NULL, time TEXT NOT NULL, label TEXT, undoes TEXT, elapsed_ms INTEGER,
    queue TEXT NOT NULL, shown JSON NOT NULL, note TEXT, scope TEXT NOT NULL, schema_version INTEGER NOT NULL,
    PRIMARY KEY (position), UNIQUE (event_id)"""
COMMON_1 = (
    "CREATE INDEX ix_decisions_reviewer ON decisions (reviewer)",
    "CREATE INDEX ix_decisions_sample_id ON decisions (sample_id)",
    "INSERT INTO decision_log VALUES (1)",
)
REFUSES_1 = "BEGIN SELECT RAISE(ABORT, 'the decision log is append-only'); END"
VERSION_1 = {  # as version 0.1.0 began its logs
    "sqlite": (
        "CREATE TABLE decision_log (schema_version INTEGER NOT NULL, PRIMARY KEY (schema_version))",
        f"CREATE TABLE decisions (position INTEGER NOT NULL, {COLUMNS_1})",
        f"CREATE TRIGGER decisions_no_update BEFORE UPDATE ON decisions {REFUSES_1}",
        f"CREATE TRIGGER decisions_no_delete BEFORE DELETE ON decisions {REFUSES_1}",
        *COMMON_1,
    ),
    "postgresql": (
        "CREATE TABLE decision_log (schema_version SERIAL NOT NULL, PRIMARY KEY (schema_version))",
        f"CREATE TABLE decisions (position BIGSERIAL NOT NULL, {COLUMNS_1})",
        *COMMON_1,
    ),
}


@pytest.fixture
def old_log(place):
    """A place where a log of version 1 lies, with two events."""
    engine = sa.create_engine(place if "://" in str(place) else f"sqlite:///{place}")
    with engine.begin() as connection:
        for statement in VERSION_1[engine.dialect.name]:
            connection.exec_driver_sql(statement)
        names = [column.name for column in EVENTS.columns if column.name != "position"]
        rows = [{name: getattr(plain(number), name) for name in names} for number in (1, 2)]
        connection.execute(EVENTS.insert(), rows)
    engine.dispose()
    return place


def form(log):
    """Tables, columns, types, indexes and what watches over them, as the database tells."""
    with raw(log) as connection:
        inspector = sa.inspect(connection)
        columns = {
            name: [(column["name"], str(column["type"]), column["nullable"]) for column in inspector.get_columns(name)]
            for name in inspector.get_table_names()
        }
        table = "sqlite_master WHERE type = 'trigger'" if log._engine.dialect.name == "sqlite" else "pg_trigger"
        name = "name" if log._engine.dialect.name == "sqlite" else "tgname"
        triggers = sorted(connection.exec_driver_sql(f"SELECT {name} FROM {table}").scalars())
        return columns, sorted(index["name"] for index in inspector.get_indexes("decisions")), triggers


def test_a_log_of_an_earlier_version_becomes_one_of_this_version(old_log, new_place, tmp_path):
    with closing(DecisionLog(old_log)) as log, closing(DecisionLog(new_place())) as fresh:
        assert log.events() == [plain(1), plain(2)]
        assert log.append([plain(2), plain(3)]) == 1
        assert form(log) == form(fresh)
        with raw(log) as other, pytest.raises(sa.exc.DBAPIError, match="append-only"):
            other.exec_driver_sql("DELETE FROM decisions")
    if isinstance(old_log, Path):
        kept = old_log.with_name(f"{old_log.stem}.schema-1.sqlite")
        with sqlite3.connect(kept) as copy:
            assert copy.execute("SELECT schema_version FROM decision_log").fetchall() == [(1,)]
            assert copy.execute("SELECT event_id FROM decisions").fetchall() == [("e1",), ("e2",)]
        before = kept.stat().st_mtime_ns
        DecisionLog(old_log).close()
        assert kept.stat().st_mtime_ns == before  # what is of this version is not copied again


def test_a_migration_that_fails_changes_nothing(old_log):
    engine = sa.create_engine(old_log if "://" in str(old_log) else f"sqlite:///{old_log}")
    last = STEPS[engine.dialect.name][-1][-1]
    obstacle = "decisions_no_replace" if engine.dialect.name == "sqlite" else "decisions_no_change"
    assert obstacle in last
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql(f"CREATE TRIGGER {obstacle} AFTER INSERT ON decisions BEGIN SELECT 1; END")
        else:
            connection.exec_driver_sql(
                "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$"
            )
            connection.exec_driver_sql(
                f"CREATE TRIGGER {obstacle} AFTER INSERT ON decisions EXECUTE FUNCTION nothing()"
            )
    with pytest.raises(FerError, match="cannot be opened .*already exists"):
        DecisionLog(old_log)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT schema_version FROM decision_log").scalar() == 1
        assert connection.exec_driver_sql("SELECT count(*) FROM decisions").scalar() == 2
        if engine.dialect.name == "postgresql":  # the step's first statement is gone too
            named = "SELECT count(*) FROM pg_proc WHERE proname = 'refuse_change_of_decisions'"
            assert connection.exec_driver_sql(named).scalar() == 0
    engine.dispose()


def test_a_log_of_a_newer_version_is_refused(place):
    with closing(DecisionLog(place)) as log, raw(log) as other:
        other.exec_driver_sql("UPDATE decision_log SET schema_version = 99")
    with pytest.raises(FerError, match=f"expected schema version {SCHEMA_VERSION}, found 99"):
        DecisionLog(place)
