import numpy as np
import pandas as pd
import pytest

from fer_data import manifest
from fer_data.errors import FerError
from fer_data.filtering import filter_manifest, matching_rows
from fer_data.store import Store

FACTS = [
    {"light": "low", "votes": [3, 7], "ratings": {"fear": 4.5}},
    {"light": "normal", "votes": [9, 1]},
    {"light": "low", "subject_id": "S1"},
    {},
    {"light": "low"},
]


@pytest.fixture
def faces(picture_manifest):
    labels, splits = ["fear", "anger", "fear", None, "neutral"], ["train", "train", "test", None, "val"]
    return picture_manifest(range(5), labels, splits, facts=FACTS, weight=np.array([1, 2, 1, 1, 0.5], np.float32))


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("label = 'fear'", [0, 2]),
        ("LABEL = 'fear' AND Light = 'low'", [0, 2]),
        ("label = 'fear' and light = 'low' and split <> 'test'", [0]),
        ("label is null or weight > 1", [1, 3]),
        ("votes[1] >= 9", [1]),
        ("list_sum(votes) = 10", [0, 1]),
        ("ratings['fear'] > 4", [0]),
        ("subject_id is not null", [2]),
        ("split in ('val', 'test')", [2, 4]),
        ("label like 'ne%' or regexp_matches(label, '^ang')", [1, 4]),
        ("case when label = 'fear' then light = 'low' else false end", [0, 2]),
        ("store_row between 1 and 2", [1, 2]),
        ("split is distinct from 'train'", [2, 3, 4]),
        ("not (label = 'fear')", [1, 4]),  # null stays unknown
        ("label = 'fear' -- the rare one", [0, 2]),
        ("cast(store_row as varchar) = '3'", [3]),
        ("label = 'it''s'", []),
        ("true", [0, 1, 2, 3, 4]),
    ],
)
def test_a_condition_selects_rows(faces, where, expected):
    found = matching_rows(faces, where)
    assert found.dtype == np.bool_
    assert np.flatnonzero(found).tolist() == expected


def test_facts_are_read_only_where_the_condition_names_them(faces, monkeypatch):
    monkeypatch.setattr(Store, "facts", lambda *_: pytest.fail("facts were read"))
    assert matching_rows(faces, "label = 'fear'").sum() == 2


def test_facts_of_several_stores_are_joined_row_by_row(picture_manifest, project):
    one = picture_manifest([1, 2], ["fear"] * 2, ["train"] * 2, source="one", facts=[{"light": "low"}, {}])
    other = picture_manifest([3, 4], ["fear"] * 2, ["train"] * 2, source="other", facts=[{}, {"light": "low"}])
    frame = pd.concat([one.frame.iloc[[1]], other.frame]).iloc[[2, 0, 1]].reset_index(drop=True)
    both = manifest.write(frame, "both", label_set="basic7", command="test", licence={})
    assert np.flatnonzero(matching_rows(both, "light = 'low'")).tolist() == [0]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("lable = 'fear'", "there is no column lable; near it are label"),
        ("label = fear", "there is no column fear; .*words stand in single quotes: 'fear'"),
        ("rows.label = 'fear'", "there is no column rows.label"),
        ("label", "expected a condition that is true or false, found VARCHAR"),
        ("null", "true or false, found"),
        ("", "expected a condition, found nothing"),
        ("label = 3", "Could not convert string"),
        ("label > [1]", "--where label > "),
        ("label =", "expected a condition, syntax error"),
        ("true; drop table rows", "expected a condition, syntax error"),
        ("true) from rows; select (true", "found 2 statements"),
        ("true); drop table rows; select (true", "expected a condition, "),
        ("true) from read_csv('/etc/passwd') where (true", "found a whole query"),
        ("true), (false", "found a whole query"),
        ("true) union select (true", "found a whole query"),
        ("true) order by (1", "found a whole query"),
        ("true) limit (1", "found a whole query"),
        ("(select true)", "found a subquery"),
        ("label in (select label from rows)", "found a subquery"),
        ("exists (from read_text('/etc/passwd'))", "found a subquery"),
        ("lower(label) over () = 'x'", "found a window"),
        ("*", "found a star"),
        ("label = $1", "found a parameter"),
        ("list_filter(votes, x -> x > 1) is null", "list_filter is not allowed|found a lambda"),
        ("read_text('/etc/passwd') = ''", "the function read_text is not allowed"),
        ("getenv('HOME') = ''", "the function getenv is not allowed"),
        ("count(*) > 1", "is not allowed"),
        ("repeat('x', 1000000000) = ''", "the function repeat is not allowed"),
        ("contain(label, 'x')", "near it are .*contains"),
        ("current_setting('threads') = '1'", "is not allowed"),
        ("regexp_matches(label, '[')", "missing ]"),
        ("label = '" + "x" * 10_000 + "'", "at most 10,000 characters"),
    ],
)
def test_what_is_no_plain_condition_is_refused(faces, where, message):
    with pytest.raises(FerError, match=message):
        matching_rows(faces, where)


def test_deep_nesting_is_refused_and_does_not_crash(faces):
    with pytest.raises(FerError, match="--where"):
        matching_rows(faces, "(" * 4000 + "true" + ")" * 4000)


def test_a_filtered_manifest_keeps_rows_as_they_were(faces, project):
    kept = filter_manifest(faces, "label = 'fear' and light = 'low'", "manifests/dark")
    assert kept.frame.equals(faces.frame.iloc[[0, 2]].reset_index(drop=True))
    assert kept.metadata["parents"] == {"manifests/set.parquet": faces.sha256}
    assert kept.metadata["configuration"] == {"where": "label = 'fear' and light = 'low'"}
    assert kept.metadata["filter"] == {"kept": 2, "left_out": 3}
    assert kept.metadata["licence"] == faces.metadata["licence"]
    assert manifest.read(kept.path).frame.equals(kept.frame)
    assert manifest.validate(kept) == []
    with pytest.raises(FerError, match="--replace"):
        filter_manifest(faces, "true", "manifests/dark")
    assert len(filter_manifest(faces, "true", "manifests/dark", replace=True)) == 5


def test_an_empty_result_is_refused(faces, project):
    with pytest.raises(FerError, match="expected rows with label = 'Fear', found none among 5"):
        filter_manifest(faces, "label = 'Fear'", "manifests/none")
    assert not (project / "manifests/none.parquet").exists()
