"""Tables between rooms: how they lie in the file."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fer_data import tables


@pytest.mark.parametrize(("size", "groups"), [(None, 1), (2, 3)])
def test_rows_that_are_read_together_lie_together(tmp_path, size, groups):
    table = pa.table({"sample_id": list("abcde")})
    path = tables.write_table(tmp_path / "t.parquet", table, tables.provenance("test", "test"), row_group_size=size)
    assert pq.read_metadata(path).num_row_groups == groups
    assert tables.read_table(path, kind="test")[0].equals(table)
