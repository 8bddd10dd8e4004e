"""Single values of a Parquet file, of which only parts are in memory."""

import hashlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation_app.knowledge.row_groups import RowGroups
from fer_data.errors import FerError


@pytest.fixture
def file(tmp_path):
    sums = [hashlib.sha256(bytes([row])).hexdigest() for row in range(10)]
    table = pa.table({"number": range(10), "word": [None, *"abcdefghi"], "pixel_sha256": sums})
    pq.write_table(table, tmp_path / "values.parquet", row_group_size=3)
    return tmp_path / "values.parquet"


def test_values_come_from_their_group(file):
    groups = RowGroups(file)
    assert [groups.value("number", row) for row in range(10)] == list(range(10))
    assert [groups.value("word", row) for row in (0, 9, 3)] == [None, "i", "c"]
    assert groups.value("pixel_sha256", 7) == hashlib.sha256(bytes([7])).hexdigest()
    assert groups.value("elsewhere", 0) is None


def test_sums_that_are_not_all_there_are_words_like_others(tmp_path):
    pq.write_table(pa.table({"pixel_sha256": ["00" * 32, None]}), tmp_path / "old.parquet")
    groups = RowGroups(tmp_path / "old.parquet")
    assert [groups.value("pixel_sha256", row) for row in (0, 1)] == ["00" * 32, None]


def test_no_more_parts_are_kept_than_were_asked_for(file):
    groups = RowGroups(file, most=2)
    assert [groups.value("number", row) for row in (0, 3, 6, 9)] == [0, 3, 6, 9]
    file.unlink()
    assert [groups.value("number", row) for row in (8, 9)] == [8, 9]  # the last two
    with pytest.raises(FerError, match=r"values.parquet cannot be read .*; restore it or make it again"):
        groups.value("number", 0)


def test_a_file_that_is_gone_or_none_is_told(tmp_path):
    with pytest.raises(FerError, match="cannot be read"):
        RowGroups(tmp_path / "gone.parquet").value("number", 0)
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(FerError, match="cannot be read"):
        RowGroups(tmp_path / "text.parquet").value("number", 0)
