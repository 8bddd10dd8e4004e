import contextlib
import errno
import fcntl
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from fer_data import files, locks
from fer_data.errors import FerError


def test_atomic_file_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "deep" / "a.txt"
    with files.atomic_file(target) as partial:
        partial.write_text("one")
        assert not target.exists()
    assert target.read_text() == "one"
    with pytest.raises(RuntimeError), files.atomic_file(target) as partial:
        partial.write_text("two")
        raise RuntimeError
    assert target.read_text() == "one"
    assert os.listdir(target.parent) == ["a.txt"]


def test_atomic_folder_replaces_only_when_told(tmp_path):
    target = tmp_path / "run"
    with files.atomic_folder(target) as partial:
        (partial / "a").write_text("one")
    with pytest.raises(FerError, match="exists"), files.atomic_folder(target):
        pass
    with files.atomic_folder(target, replace=True) as partial:
        (partial / "b").write_text("two")
    assert os.listdir(target) == ["b"]
    with pytest.raises(RuntimeError), files.atomic_folder(tmp_path / "other"):
        raise RuntimeError
    assert os.listdir(tmp_path) == ["run"]


def test_json_round_trip_and_faults(tmp_path):
    files.write_json(tmp_path / "a.json", {"b": 1, "a": "é"})
    assert files.read_json(tmp_path / "a.json") == {"b": 1, "a": "é"}
    with pytest.raises(FerError, match="missing"):
        files.read_json(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(FerError, match="expected JSON"):
        files.read_json(tmp_path / "bad.json")


def test_json_hash_ignores_the_order_of_keys():
    assert files.sha256_json({"a": 1, "b": [1, 2]}) == files.sha256_json({"b": [1, 2], "a": 1})
    assert files.sha256_json({"a": 1}) != files.sha256_json({"a": 2})


def partial_names(folder):
    return sorted(name for name in os.listdir(folder) if name.endswith(".partial"))


KILLED = """
import os, signal, sys
from pathlib import Path
from fer_data import files
folder = Path(sys.argv[1])
with files.atomic_file(folder / "a.txt") as partial, files.staging_folder(folder, "b") as staging:
    partial.write_text("half")
    (staging / "x").write_text("half")
    print("ready", flush=True)
    sys.stdin.read()
"""


def start(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    return process


def test_what_a_killed_run_left_the_next_one_removes(tmp_path):
    bystander = tmp_path / ".a.txt.bak.partial.txt"
    bystander.write_text("another program's")
    process = start(tmp_path)
    left = partial_names(tmp_path)
    assert len(left) == 2
    files.write_json(tmp_path / "a.txt", 1)
    with files.staging_folder(tmp_path, "b"):
        assert set(left) < set(partial_names(tmp_path))  # a live run's are left alone
    process.kill()
    process.communicate()
    assert partial_names(tmp_path) == left
    with files.atomic_file(tmp_path / "c.txt") as partial:
        partial.write_text("another name")
    assert partial_names(tmp_path) == left
    files.write_json(tmp_path / "a.txt", 2)
    with files.staging_folder(tmp_path, "b"):
        pass
    assert sorted(os.listdir(tmp_path)) == sorted([bystander.name, "a.txt", "c.txt"])


def test_all_names_are_cleaned_where_that_is_asked_for(tmp_path):
    process = start(tmp_path)
    locks.remove_abandoned(tmp_path)
    assert len(partial_names(tmp_path)) == 2
    process.kill()
    process.communicate()
    locks.remove_abandoned(tmp_path)
    assert os.listdir(tmp_path) == []


def test_without_file_locks_nothing_is_taken_for_abandoned(tmp_path, monkeypatch):
    def unsupported(descriptor, operation):
        raise OSError(errno.ENOTSUP, "no locks here")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    (tmp_path / ".a.txt.12345678.partial").write_text("someone's")
    files.write_json(tmp_path / "a.txt", 1)
    assert files.read_json(tmp_path / "a.txt") == 1 and len(partial_names(tmp_path)) == 1
    with locks.name_lock(tmp_path / "a.txt"):
        pass


def test_a_staging_name_that_vanishes_before_it_is_claimed_is_made_again(tmp_path, monkeypatch):
    made = []

    def claim(path):
        made.append(path)
        if len(made) == 1:
            path.unlink()
        return locks.claim(path)

    monkeypatch.setattr(files, "claim", claim)
    files.write_json(tmp_path / "a.json", 1)
    assert len(made) == 2 and os.listdir(tmp_path) == ["a.json"]


def test_a_name_is_written_by_one_run_at_a_time(tmp_path):
    target = tmp_path / "deep" / "m.parquet"
    with locks.name_lock(target):
        with pytest.raises(FerError, match=r"m\.parquet is being written by another run"), locks.name_lock(target):
            pass
        with locks.name_lock(tmp_path / "deep" / "other"):
            pass
    with locks.name_lock(target), contextlib.suppress(RuntimeError):
        raise RuntimeError
    with locks.name_lock(target):
        pass
    assert os.listdir(target.parent) == []


def test_who_waits_for_a_name_gets_it_in_turn(tmp_path):
    counter = tmp_path / "count"
    counter.write_text("0")

    def count(_):
        with locks.name_lock(counter, wait=True):
            value = int(counter.read_text())
            counter.write_text("")
            counter.write_text(str(value + 1))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(200)))
    assert counter.read_text() == "200" and os.listdir(tmp_path) == ["count"]


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_is_replaced_whole(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(files, "_exchanged", lambda one, other: False)
    target = tmp_path / "run"
    for content in ("one", "two"):
        with files.atomic_folder(target, replace=True) as partial:
            (partial / content).write_text(content)
        assert os.listdir(target) == [content] and os.listdir(tmp_path) == ["run"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_one_sentence(tmp_path, code):
    with (
        pytest.raises(FerError, match=r"a\.txt was not written: .*; make room and run the command again"),
        files.atomic_file(tmp_path / "a.txt"),
    ):
        raise OSError(code, os.strerror(code))
    with pytest.raises(FerError, match="run was not written"), files.atomic_folder(tmp_path / "run"):
        raise OSError(code, os.strerror(code))
    with pytest.raises(PermissionError), files.atomic_file(tmp_path / "a.txt"):
        raise PermissionError(errno.EACCES, "not that")
    assert os.listdir(tmp_path) == []


def test_hidden_folders_are_those_of_one_output(tmp_path):
    for name in (
        ".a.0123456789abcdef.chunks",
        ".a.v2.0123456789abcdef.chunks",
        ".a.0123456789abcdef.filling",
        ".a.x.chunks",
    ):
        (tmp_path / name).mkdir()
    found = files.hidden_folders(tmp_path / "a.parquet", "chunks")
    assert [folder.name for folder in found] == [".a.0123456789abcdef.chunks"]
    (tmp_path / ".[a].0123456789abcdef.chunks").mkdir()
    assert len(files.hidden_folders(tmp_path / "[a].parquet", "chunks")) == 1
