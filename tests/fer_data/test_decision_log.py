"""The decision log on SQLite and on PostgreSQL: appending, reading, copying, and what cannot be done."""

import shutil
import threading
import time
from contextlib import closing
from dataclasses import replace

import pytest
import sqlalchemy as sa
from decisions_made import histories, plain, raw
from hypothesis import HealthCheck, given, settings
from log_writer import LONG_S, saved, start_writer

from fer_data import decision_log
from fer_data.deciding.schema import EVENTS
from fer_data.decision_log import DecisionLog, RefusedDecisionError, undo_of
from fer_data.errors import FerError


@pytest.fixture
def log(place):
    with closing(DecisionLog(place)) as opened:
        yield opened


# -- appending and reading -------------------------------------------------------------------------------------


def test_shared_samples_are_those_that_two_reviewers_ever_decided_on(log):
    alone, first = plain(1, sample_id="s/1"), plain(2, sample_id="s/2")
    other = plain(3, sample_id="s/2", reviewer="ben")
    log.append([alone, first, plain(4, sample_id="s/1"), other])
    assert log.events_on_shared() == [first, other]
    log.append([undo := undo_of(other)])
    assert log.events_on_shared() == [first, other, undo]


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(events=histories())
def test_the_log_returns_what_was_appended_in_order_whatever_is_sent_twice(new_place, events):
    with closing(DecisionLog(new_place())) as log:
        assert log.append(events) == len(events)
        assert log.append(events[::-1]) == 0
        assert log.events() == events
        assert log.events("ada") == [event for event in events if event.reviewer == "ada"]


def test_decisions_are_there_for_another_process_the_moment_append_returns(log):
    log.append([plain(1, note="Müller <b>", shown={"label": "fear"}, elapsed_ms=800)])
    with raw(log) as other:
        told = other.execute(sa.select(EVENTS.c.event_id, EVENTS.c.note, EVENTS.c.elapsed_ms, EVENTS.c.shown))
        assert told.all() == [("e1", "Müller <b>", 800, {"label": "fear"})]


def test_every_commit_is_on_the_disk(log):
    with log._engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        else:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"


def test_the_database_itself_refuses_to_change_what_was_decided(log):
    own = {
        "sqlite": "INSERT OR REPLACE INTO decisions SELECT * FROM decisions",
        "postgresql": "TRUNCATE decisions",
    }
    log.append([plain(1), plain(2)])
    for change in ("DELETE FROM decisions", "UPDATE decisions SET note = 'other'", own[log._engine.dialect.name]):
        with raw(log) as other, pytest.raises(sa.exc.DBAPIError, match="append-only"):
            other.exec_driver_sql(change)
    assert log.events() == [plain(1), plain(2)]


def test_a_reviewer_of_a_team_needs_the_right_to_add_and_no_other(postgresql):
    url = sa.make_url(postgresql.new_database())
    DecisionLog(str(url)).close()
    grants = (
        "CREATE ROLE reviewer LOGIN",
        "GRANT SELECT ON decisions, decision_log TO reviewer",
        "GRANT INSERT ON decisions TO reviewer",
        "GRANT USAGE ON SEQUENCE decisions_position_seq TO reviewer",
    )
    with sa.create_engine(url).begin() as owner:
        for grant in grants:
            owner.exec_driver_sql(grant)
    with closing(DecisionLog(str(url.set(username="reviewer")), must_exist=True)) as log:
        assert log.append([plain(1), plain(2)]) == 2
        assert log.append([undo_of(plain(1))]) == 1
        assert len(log.events()) == 3
        with raw(log) as reviewer, pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
            reviewer.exec_driver_sql("UPDATE decisions SET action = 'drop'")


def test_two_logs_on_one_place_are_one_log(place):
    first, second = DecisionLog(place), DecisionLog(place)
    first.append([plain(1)])
    second.append([plain(2), plain(3)])
    assert [event.event_id for event in first.events()] == ["e1", "e2", "e3"]
    first.close(), second.close()


def test_a_retry_with_other_surroundings_is_the_same_decision_and_another_decision_under_its_id_is_refused(log):
    log.append([plain(1)])
    later = replace(plain(1), time="2027-01-01T00:00:00+00:00", elapsed_ms=5, manifest_sha256="n", queue="all")
    assert log.append([later, later]) == 0
    assert log.append([plain(2), plain(2)]) == 1
    with pytest.raises(RefusedDecisionError, match="another decision has this id"):
        log.append([plain(3), plain(1, "drop")])
    assert log.events() == [plain(1), plain(2)]


def test_an_undo_of_nothing_or_of_someone_elses_decision_is_refused(log):
    log.append([plain(1)])
    with pytest.raises(RefusedDecisionError, match="found none"):
        log.append([undo_of(plain(7))])
    with pytest.raises(RefusedDecisionError, match="found another one"):
        log.append([undo_of(plain(1), reviewer="ben")])
    assert len(log.events()) == 1


def test_a_session_hears_what_was_appended_since_it_last_asked(log):
    assert log.last_position() == 0 and log.events_after(0) == []
    log.append([plain(1), plain(2)])
    last = log.last_position()
    assert log.events_after(0) == [plain(1), plain(2)] and log.events_after(last) == []
    log.append([plain(3), plain(4)])
    assert log.events_after(last) == [plain(3), plain(4)]
    assert log.events_after(last, until=log.last_position() - 1) == [plain(3)]


@pytest.mark.slow
def test_several_processes_append_at_once_and_a_reader_hears_each_event_once(place):
    with closing(DecisionLog(place)) as log:
        writers = [start_writer(place, reviewer, 15) for reviewer in ("ada", "ben", "eve", "eve")]  # eve sends twice
        heard, seen = [], 0
        while any(writer.poll() is None for writer in writers) or seen < log.last_position():
            last = log.last_position()
            heard += log.events_after(seen, last)
            seen = last
            time.sleep(0.01)
        for writer in writers:
            assert len(saved(writer.communicate(timeout=LONG_S)[0].splitlines())) == 15
        ids = [event.event_id for event in heard]
        assert sorted(ids) == sorted(f"{name}-{number}" for name in ("ada", "ben", "eve") for number in range(15))
        assert heard == log.events()


def test_a_log_that_several_open_at_once_begins_once(new_place):
    place = new_place()
    opened, failed = [], []

    def begin(number):
        try:
            log = DecisionLog(place)
            log.append([plain(number)])
            opened.append(log)
        except FerError as error:
            failed.append(error)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert {event.event_id for event in opened[0].events()} == {f"e{number}" for number in range(8)}
    for log in opened:
        log.close()


# -- what cannot be done is told -------------------------------------------------------------------------------


def test_what_cannot_be_written_or_read_is_told_in_a_sentence(log, tmp_path):
    log.append([plain(1)])
    with raw(log) as other:
        other.exec_driver_sql("ALTER TABLE decisions RENAME TO gone")
    with pytest.raises(FerError, match="NOT saved") as told:
        log.append([plain(2)])
    assert not isinstance(told.value, RefusedDecisionError)
    with pytest.raises(FerError, match="cannot be read"):
        log.events()
    with pytest.raises(FerError, match="cannot be read"):
        log.last_position()
    with pytest.raises(FerError, match="cannot be read"):
        log.backup(tmp_path / "copy.sqlite")
    assert not (tmp_path / "copy.sqlite").exists()


def test_a_place_that_holds_no_log_is_told(tmp_path):
    with pytest.raises(FerError, match="is missing"):
        DecisionLog(tmp_path / "nowhere.sqlite", must_exist=True)
    (tmp_path / "empty.sqlite").touch()
    with pytest.raises(FerError, match="expected a log, found none in it"):
        DecisionLog(tmp_path / "empty.sqlite", must_exist=True)
    (tmp_path / "text.sqlite").write_text("this is no database, and long enough to be seen as none at all" * 9)
    with pytest.raises(FerError, match="cannot be opened"):
        DecisionLog(tmp_path / "text.sqlite")


def test_a_database_without_a_log_is_told_and_stays_as_it_is(postgresql):
    url = postgresql.new_database()
    with pytest.raises(FerError, match="found none in it"):
        DecisionLog(url, must_exist=True)
    with sa.create_engine(url).connect() as connection:
        assert sa.inspect(connection).get_table_names() == []
    with pytest.raises(FerError, match="cannot be opened"):
        DecisionLog(url.replace("log_", "no_"))


def test_urls_that_name_no_log_are_told_without_their_password(tmp_path):
    with pytest.raises(FerError, match="is missing") as told:
        DecisionLog(f"sqlite://reviewer:secret@/{tmp_path}/nowhere/log.sqlite?mode=ro", must_exist=True)
    assert "secret" not in str(told.value)
    with pytest.raises(FerError, match="expected a database of sqlite or postgresql, found mysql") as told:
        DecisionLog("mysql://reviewer:secret@host/faces")
    assert "secret" not in str(told.value)
    with pytest.raises(FerError, match="a URL that cannot be read") as told:
        DecisionLog("postgresql://reviewer:secret@host:port/faces")
    assert "secret" not in str(told.value)
    with pytest.raises(FerError, match=r"driver is not installed .*fer-data-studio\[postgres\]") as told:
        DecisionLog("postgresql+nodriver://reviewer:secret@host/faces")
    assert "secret" not in str(told.value)


# -- backup  -----------------------------------------------------------------------------------------


def test_a_backup_made_while_reviewers_work_holds_what_was_saved_by_then(place, new_place, tmp_path):
    copies = [tmp_path / f"copy-{number}.sqlite" for number in range(3)]
    with closing(DecisionLog(place)) as log:
        writer = start_writer(place, "ada", 60)
        for copy in copies:
            for _ in range(10):
                writer.stdout.readline()
            before = log.events()
            count = log.backup(copy)
            after = log.events()
            assert set(tmp_path.glob("*copy*")) == set(copies[: copies.index(copy) + 1])  # and nothing beside them
            with closing(DecisionLog(copy)) as opened:
                kept = opened.events()
            assert len(before) <= count == len(kept) <= len(after) and kept == after[: len(kept)]
        writer.communicate(timeout=LONG_S)
        with closing(DecisionLog(new_place())) as restored:  # a backup comes back by being appended
            with closing(DecisionLog(copies[-1])) as copy:
                restored.append(copy.events())
            restored.append(log.events())
            assert decision_log.log_sha256(restored.events()) == decision_log.log_sha256(log.events())
    assert len(kept) >= 30


def test_a_backup_does_not_replace_a_file_unless_told(log, tmp_path):
    log.append([plain(1)])
    (tmp_path / "copy.sqlite").write_text("mine")
    with pytest.raises(FerError, match="--replace"):
        log.backup(tmp_path / "copy.sqlite")
    assert log.backup(tmp_path / "copy.sqlite", replace=True) == 1
    shutil.copy(tmp_path / "copy.sqlite", tmp_path / "moved.sqlite")  # it is one file, and needs no other
    with closing(DecisionLog(tmp_path / "moved.sqlite", must_exist=True)) as copy:
        assert copy.events() == [plain(1)]
