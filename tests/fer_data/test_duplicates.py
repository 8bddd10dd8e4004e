import pytest

from fer_data import tables
from fer_data.duplicates import EXACT, LINKS, find_duplicates, write_duplicates
from fer_data.errors import FerError

PICTURES = [1, 1, 1, 2, 2, 3, 4, 4, 5, 5]
LABELS = ["fear", "fear", "surprise", "anger", "anger", "anger", "sadness", None, "fear", "disgust"]
SPLITS = ["train", "train", "test", "train", "val", "test", "val", "test", None, "train"]


def test_groups_leaks_and_conflicts(picture_manifest):
    report = find_duplicates(picture_manifest(PICTURES, LABELS, SPLITS))
    assert (report.groups, report.rows, report.surplus_rows, report.largest_group) == (4, 9, 5, 3)
    assert report.conflicting_groups == 2
    assert report.leaks == {
        ("train", "val"): 1,
        ("train", "test"): 2,
        ("val", "train"): 1,
        ("val", "test"): 1,
        ("test", "train"): 1,
        ("test", "val"): 1,
    }
    rows = report.table.set_index("sample_id")
    assert len(rows) == 9
    assert "set/0005" not in rows.index
    assert rows["is_leak"].to_dict() == {
        **{f"set/{row:04d}": True for row in (0, 1, 2, 3, 4, 6, 7)},
        "set/0008": False,  # a row without a split leaks nowhere
        "set/0009": False,
    }
    assert rows.index[rows["is_conflict"]].tolist() == ["set/0000", "set/0001", "set/0002", "set/0008", "set/0009"]
    assert report.table["sample_id"].iloc[:3].tolist() == ["set/0000", "set/0001", "set/0002"]  # the largest group


def test_the_sentence_names_what_a_user_must_know(picture_manifest):
    sentence = find_duplicates(picture_manifest(PICTURES, LABELS, SPLITS)).sentence()
    assert sentence == (
        "4 groups of identical pictures (5 surplus faces), 1 val faces are identical to train faces, "
        "1 test faces are identical to train faces, 1 test faces are identical to val faces, "
        "2 groups carry conflicting labels"
    )


def test_a_manifest_without_duplicates(picture_manifest):
    report = find_duplicates(picture_manifest([1, 2, 3], ["fear"] * 3, ["train"] * 3))
    assert report.summary() == {
        "groups": 0,
        "rows": 0,
        "surplus_rows": 0,
        "conflicting_groups": 0,
        "largest_group": 0,
        "leaks": [],
    }
    assert report.sentence() == "no two pictures are identical"


def test_the_table_keeps_rows_and_figures(picture_manifest, project):
    made = picture_manifest(PICTURES, LABELS, SPLITS)
    report = find_duplicates(made)
    path = write_duplicates(made, report, project / "audit" / "duplicates.parquet")
    table, metadata = tables.read_table(path, kind="duplicates")
    assert table.schema.names == LINKS.names
    assert set(table["kind"].to_pylist()) == {EXACT}
    ends = [(a[-1], b[-1]) for a, b in zip(table["a"].to_pylist(), table["b"].to_pylist(), strict=True)]
    assert sorted(ends) == [("0", "1"), ("0", "2"), ("3", "4"), ("6", "7"), ("8", "9")]
    links = {end: row for end, row in zip(ends, table.to_pylist(), strict=True)}
    assert (links["0", "1"]["is_leak"], links["0", "1"]["is_conflict"]) == (False, False)
    assert (links["0", "2"]["is_leak"], links["0", "2"]["is_conflict"]) == (True, True)
    assert (links["6", "7"]["label_b"], links["6", "7"]["is_conflict"]) == (None, False)
    assert (links["8", "9"]["split_a"], links["8", "9"]["is_leak"]) == (None, False)
    assert links["0", "1"]["group"] == links["0", "2"]["group"] != links["3", "4"]["group"]
    assert {row["score"] for row in links.values()} == {1.0}
    assert metadata["conflicting_groups"] == 2
    assert metadata["parents"] == {"manifests/set.parquet": made.sha256}
    with pytest.raises(FerError, match="exists"):
        write_duplicates(made, report, path)
    write_duplicates(made, report, path, replace=True)


def test_an_empty_table_is_written_too(picture_manifest, project):
    made = picture_manifest([1, 2], ["fear"] * 2, ["train"] * 2)
    path = write_duplicates(made, find_duplicates(made), project / "none.parquet")
    assert len(tables.read_table(path, kind="duplicates")[0]) == 0
