import json
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_data import manifest, tables
from fer_data.errors import FerError
from fer_data.expressions import BASIC7
from fer_data.tabular.rows import WORDS, target_column, target_matrix, with_columns


def rows(**columns):
    base = {
        "sample_id": ["a/0", "a/1", "a/2"],
        "store": "stores/a",
        "store_row": [0, 1, 2],
        "label": ["anger", "fear", None],
        "split": ["train", "val", "test"],
        "group_id": [0, 1, 2],
    }
    return manifest.new_rows(3, **{**base, **columns})


def test_round_trip(noise_manifest):
    opened = noise_manifest(["anger", None, "fear"], ["train", "val", None])
    assert list(opened.frame.columns) == manifest.SCHEMA.names
    assert opened.labels == BASIC7
    assert opened.metadata["counts"]["splits"] == {
        "train": {"anger": 1, "fear": 0, "unlabelled": 0},
        "val": {"anger": 0, "fear": 0, "unlabelled": 1},
        "none": {"anger": 0, "fear": 1, "unlabelled": 0},
    }
    assert manifest.read(opened.path.with_suffix("")).frame.equals(opened.frame)
    assert json.loads(opened.path.with_suffix(".json").read_text()) == opened.metadata
    assert manifest.validate(opened, full=True) == []
    manifest.require_valid(opened, full=True)


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"sample_id": ["a", "a", "b"]}, "2 rows: sample_id is not unique"),
        ({"label": ["anger", "angry", None]}, "1 rows: label is not in basic7"),
        ({"split": ["train", "dev", None]}, "split is not one of"),
        ({"origin": ["real", "fake", "real"]}, "origin is not one of"),
        ({"origin": ["real", "synthetic", "real"]}, "synthetic rows must be in train"),
        ({"weight": [1, -1, np.nan]}, "weight is"),
        ({"repeat": [1, -1, 1]}, "repeat is negative"),
        ({"target": [[1.0] * 7, None, None]}, "target is not 7 probabilities"),
        ({"target": [[0.5, 0.5], None, None]}, "target is not 7 probabilities"),
        ({"target": [None, [2, -1, 0, 0, 0, 0, 0], None]}, "1 rows: target is not 7 probabilities"),
        ({"target": [None, [1, np.nan, 0, 0, 0, 0, 0], None]}, "1 rows: target is not 7 probabilities"),
        ({"store": [None, "s", "s"]}, "store is null"),
    ],
)
def test_every_rule_is_held_when_writing(project, columns, rule):
    with pytest.raises(FerError, match=rule):
        manifest.write(rows(**columns), "m", label_set="basic7", command="test", licence={})
    assert not (project / "m.parquet").exists()


def test_a_missing_column_is_told():
    assert "columns are missing: fold" in manifest.structural_faults(rows().drop(columns="fold"), "basic7")[0]


def test_manifests_are_immutable(noise_manifest):
    opened = noise_manifest(["anger"], ["train"])
    arguments = {"label_set": "basic7", "command": "test", "licence": {}}
    with pytest.raises(FerError, match="exists; choose another --out or add --replace"):
        manifest.write(opened.frame, opened.path, **arguments)
    manifest.write(opened.frame.assign(label="fear"), opened.path, **arguments, replace=True)
    assert manifest.read(opened.path).frame["label"].tolist() == ["fear"]


def test_what_is_no_manifest_is_told(project):
    with pytest.raises(FerError, match="is missing"):
        manifest.read("none")
    (project / "text.parquet").write_text("no parquet")
    with pytest.raises(FerError, match="expected a Parquet table"):
        manifest.read("text")
    pq.write_table(pa.table({"a": [1]}), "foreign.parquet")
    with pytest.raises(FerError, match="not one that fer-data-studio wrote"):
        manifest.read("foreign")
    tables.write_table(project / "other.parquet", pa.table({"a": [1]}), tables.provenance("audit", "x"))
    with pytest.raises(FerError, match="expected a table of kind 'manifest', found 'audit'"):
        manifest.read("other")
    facts = tables.provenance("manifest", "x", schema_version=manifest.SCHEMA_VERSION)
    tables.write_table(project / "columns.parquet", pa.table({"a": [1]}), facts)
    with pytest.raises(FerError, match="expected the columns"):
        manifest.read("columns")
    tables.write_table(project / "newer.parquet", pa.table({"a": [1]}), {**facts, "schema_version": 99})
    with pytest.raises(FerError, match="schema version 1, found 99"):
        manifest.read("newer")
    assert tables.read_metadata(project / "newer.parquet")["schema_version"] == 99


def test_pointers_must_resolve(noise_manifest):
    opened = noise_manifest(["anger", "fear"], ["train", "train"])
    moved = opened.frame.assign(store_row=[0, 7])
    broken = manifest.write(moved, "broken", label_set="basic7", command="t", licence={})
    assert "1 rows point outside" in manifest.validate(broken)[0]
    synthetic = manifest.write(
        opened.frame.assign(origin="synthetic"), "synthetic", label_set="basic7", command="t", licence={}
    )
    assert "tells no generation" in manifest.validate(synthetic)[0]
    shutil.rmtree(opened.root / "stores")
    with pytest.raises(FerError, match="2 rows: store .* is gone"):
        manifest.require_valid(opened)


def test_a_file_whose_rows_are_spoilt_is_told_and_its_footer_still_reads(noise_manifest):
    opened = noise_manifest(["anger"] * 50, ["train"] * 50)
    content = bytearray(opened.path.read_bytes())
    start = content.find(bytes.fromhex("28b52ffd"))  # a zstd frame begins
    content[start : start + 12] = b"\xff" * 12
    opened.path.write_bytes(content)
    assert tables.read_metadata(opened.path, kind="manifest")["label_set"] == "basic7"
    with pytest.raises(FerError, match="expected a Parquet table, found .*; make it again"):
        manifest.read(opened.path)


def test_rows_that_point_outside_their_store_have_no_facts(noise_manifest):
    opened = noise_manifest(["anger", "fear"], ["train", "train"])
    for rows, found in (([0, 7], "found row 7"), ([-1, 0], "found row -1")):
        moved = manifest.Manifest(opened.path, opened.frame.assign(store_row=rows), opened.metadata)
        with pytest.raises(FerError, match=f"expected rows 0 to 1 of stores/noise.*{found}; see fer validate"):
            moved.facts(["mode"])


def test_a_manifest_derived_from_another_names_it_and_validates_what_changed(noise_manifest, project):
    parent = noise_manifest(["anger", "fear"], ["train", "train"])
    child = manifest.derive(
        parent, parent.table.slice(1), project / "manifests/child", command="fer x", configuration={"a": 1},
        parents={"links.parquet": "0" * 64}, note="kept",
    )  # fmt: skip
    assert child.frame["sample_id"].tolist() == ["noise/00001"]
    assert child.metadata["parents"] == {"manifests/noise.parquet": parent.sha256, "links.parquet": "0" * 64}
    assert (child.metadata["note"], child.metadata["licence"]) == ("kept", parent.metadata["licence"])
    assert child.metadata["counts"]["rows"] == 1
    broken = with_columns(parent.table, split=pa.array(["train", "dev"]))
    with pytest.raises(FerError, match="split is not one of"):
        manifest.derive(parent, broken, "manifests/b", command="x", configuration={}, changed=("split",))


def test_words_are_dictionaries_in_memory_and_plain_strings_in_the_file_and_in_pandas(noise_manifest):
    opened = noise_manifest(["anger", None], ["train", None])
    for found in (opened, manifest.read(opened.path)):
        assert all(pa.types.is_dictionary(found.table[name].type) for name in WORDS)
        assert found.frame["label"].dtype == pd.StringDtype(na_value=np.nan)
    assert pq.read_schema(opened.path).field("label").type == pa.string()
    again = manifest.Manifest(opened.path, opened.frame, opened.metadata)
    assert again.frame is opened.frame
    assert again.table.equals(opened.table.unify_dictionaries())


def test_targets_survive_as_a_matrix():
    targets = np.array([[0.5, 0.5], [1, 0]], np.float32)
    column = pa.chunked_array([target_column(4, np.array([0, 2]), targets)])
    assert column.to_pylist() == [[0.5, 0.5], None, [1.0, 0.0], None]
    rows, found = target_matrix(pa.chunked_array([column.chunk(0), column.chunk(0).slice(2)]), 2)
    assert rows.tolist() == [0, 2, 4]
    assert found.tolist() == [[0.5, 0.5], [1, 0], [1, 0]]


def test_lineage_tells_parents_and_what_became_of_them(noise_manifest, project):
    parent = noise_manifest(["anger", "fear"], ["train", "train"])
    arguments = {"label_set": "basic7", "command": "fer apply", "licence": {}}
    parents = {"manifests/noise.parquet": parent.sha256, "manifests/gone.parquet": "0" * 64}
    child = manifest.write(parent.frame, project / "manifests" / "child", parents=parents, **arguments)
    states = [(entry["path"], entry["state"]) for entry in manifest.lineage(child)]
    assert states[1:] == [("manifests/noise.parquet", "as it was"), ("manifests/gone.parquet", "gone")]
    manifest.write(parent.frame.assign(label="fear"), parent.path, **arguments, replace=True)
    assert manifest.lineage(child)[1]["state"] == "altered since"


def test_counts_are_told_in_two_lines(noise_manifest):
    opened = noise_manifest(["anger", "anger", "fear", "fear"], ["train", "train", "train", "test"])
    assert manifest.describe_counts(opened.metadata) == "train 3 · test 1\nanger 2 (50.0 %)  fear 2 (50.0 %)"


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([*BASIC7, None]),
            st.sampled_from([*manifest.SPLITS, None]),
            st.floats(0, 10, width=32),
            st.integers(0, 5),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_any_valid_rows_come_back_as_they_went(tmp_path_factory, values):
    folder = tmp_path_factory.mktemp("m")
    label, split, weight, repeat = zip(*values, strict=True)
    frame = manifest.new_rows(
        len(values),
        sample_id=[f"x/{index}" for index in range(len(values))],
        store="s",
        store_row=np.arange(len(values)),
        label=pd.Series(label, dtype="str"),
        split=pd.Series(split, dtype="str"),
        group_id=np.arange(len(values)),
        weight=np.asarray(weight, np.float32),
        repeat=np.asarray(repeat, np.int32),
    )
    found = manifest.write(frame, folder / "m", label_set="basic7", command="t", licence={}).frame
    for name in ("sample_id", "weight", "repeat", "store_row"):
        assert found[name].tolist() == frame[name].tolist()
    assert [None if pd.isna(value) else value for value in found["label"]] == list(label)
    assert manifest.counts(found, "basic7")["rows"] == len(values)
