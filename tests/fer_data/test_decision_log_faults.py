"""Killed writers, a crashed database, a full disk: nothing that the log acknowledged is lost or doubled."""

import resource
import subprocess
import sys
from contextlib import closing

import log_writer
import pytest
from decisions_made import plain
from log_writer import LONG_S, WRITER, saved, start_writer

from fer_data.decision_log import DecisionLog
from fer_data.errors import FerError


@pytest.mark.slow
def test_killed_between_saving_and_saying_so_a_retry_is_written_once(place):
    writer = start_writer(place, "ada", 10, "--die-at", 4)
    told = saved(writer.communicate(timeout=LONG_S)[0].splitlines())
    assert writer.returncode == -9 and told == [f"ada-{number}" for number in range(4)]
    with closing(DecisionLog(place)) as log:
        assert [event.event_id for event in log.events()] == [*told, "ada-4"]
        again = start_writer(place, "ada", 10)  # the browser sends all that was not acknowledged, and more
        assert len(saved(again.communicate(timeout=LONG_S)[0].splitlines())) == 10
        assert log.events() == [log_writer.decision("ada", number) for number in range(10)]


@pytest.mark.slow
def test_whenever_a_writer_is_killed_what_it_acknowledged_is_there(place):
    with closing(DecisionLog(place)) as log:
        for round_ in range(2):
            writer = start_writer(place, f"ada{round_}", 100_000)
            lines = [writer.stdout.readline() for _ in range(5 + 7 * round_)]
            writer.kill()
            lines += writer.communicate(timeout=LONG_S)[0].splitlines()
            told = saved(line for line in lines if line.startswith("saved ") and "-" in line)
            kept = [event.event_id for event in log.events(f"ada{round_}")]
            assert kept[: len(told)] == told and len(kept) <= len(told) + 1


@pytest.mark.slow
def test_a_crash_of_the_database_loses_nothing_that_was_acknowledged(postgresql):
    place = postgresql.new_database()
    with closing(DecisionLog(place)) as log:
        writer = start_writer(place, "ada", 100_000)
        lines = [writer.stdout.readline() for _ in range(20)]
        postgresql.stop("immediate")
        lines += writer.communicate(timeout=LONG_S)[0].splitlines()
        with pytest.raises(FerError, match="NOT saved"):
            log.append([plain(1)])
        postgresql.start()
        told = saved(lines)
        assert [event.event_id for event in log.events()][: len(told)] == told and len(told) >= 20
        assert lines[-1].startswith("NOT ") and "decisions were NOT saved" in lines[-1]
        assert log.append([plain(1)]) == 1


@pytest.mark.slow
def test_a_full_disk_saves_nothing_and_says_so_and_with_room_it_goes_on(tmp_path):
    """A file system of 512 KiB in a name space of its own; the writer fills it, then someone makes room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    script = f"""
        set -e
        mount -t tmpfs -o size=512k tmpfs {disk}
        head -c 150000 /dev/zero > {disk}/ballast
        {sys.executable} {WRITER} {disk}/log.sqlite ada 100000
        echo FULL
        {sys.executable} {WRITER} {disk}/log.sqlite ben 1
        rm {disk}/ballast
        {sys.executable} {WRITER} {disk}/log.sqlite eve 3
        cp {disk}/log.sqlite* {tmp_path}
    """
    done = subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "bash", "-c", script],
                          capture_output=True, text=True, timeout=LONG_S)  # fmt: skip
    if done.returncode and "Operation not permitted" in done.stderr:
        pytest.skip("this machine lets no user mount a file system in a name space of his own")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    told = saved(lines)
    refused = [line for line in lines if line.startswith("NOT ")]
    assert len(refused) == 2 and all("database or disk is full" in line for line in refused)
    assert told[-3:] == ["eve-0", "eve-1", "eve-2"] and len(told) > 8
    with closing(DecisionLog(tmp_path / "log.sqlite")) as log:
        assert [event.event_id for event in log.events()] == told


def test_a_file_that_may_not_grow_saves_nothing_and_says_so(tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    command = [sys.executable, str(WRITER), str(tmp_path / "log.sqlite"), "ada", "100000"]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit, timeout=LONG_S)
    lines = done.stdout.splitlines()
    assert lines[-1].startswith("NOT ") and "decisions were NOT saved" in lines[-1] and len(lines) > 5
    with closing(DecisionLog(tmp_path / "log.sqlite")) as log:
        assert [event.event_id for event in log.events()] == saved(lines)
        assert log.append([plain(1)]) == 1
