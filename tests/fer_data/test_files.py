import os

import pytest

from fer_data import files
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
