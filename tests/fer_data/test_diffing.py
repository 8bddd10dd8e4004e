import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_data import manifest
from fer_data.diffing import CHANGES, diff


def written(rows, name, label_set="basic7"):
    return manifest.write(rows, name, label_set=label_set, command="test", licence={}, replace=True)


def rows(ids, **columns):
    base = {"store": "stores/a", "store_row": np.arange(len(ids)), "group_id": np.arange(len(ids))}
    return manifest.new_rows(len(ids), **{"sample_id": list(ids), **base, **columns})


@pytest.fixture
def before(project):
    return written(
        rows("abcdef", label=["fear", "fear", "anger", None, "fear", "sadness"],
             split=["train", "train", "val", None, "test", "train"], group_id=[1, 1, 2, 3, 4, 5]),
        "manifests/before",
    )  # fmt: skip


def test_every_kind_of_change_is_counted_and_shown(before):
    half = [0.5, 0.5, 0, 0, 0, 0, 0]
    after = written(
        rows("fbcdeg", label=["anger", "anger", "anger", "fear", "fear", None],
             split=["train", "train", "test", None, "test", None], group_id=[5, 9, 2, 2, 4, 6],
             store_row=[5, 1, 2, 3, 40, 6], weight=np.array([1, 2, 1, 1, 1, 1], np.float32),
             repeat=np.array([1, 1, 1, 3, 1, 1], np.int32), target=[None, half, None, None, None, None]),
        "manifests/after",
    )  # fmt: skip
    found = diff(before, after)
    assert (found.a, found.b) == ("manifests/before.parquet", "manifests/after.parquet")
    assert (found.rows_a, found.rows_b, found.both, found.only_a, found.only_b) == (6, 6, 5, 1, 1)
    assert found.relabelled.to_dict("records") == [
        {"from": None, "to": "fear", "count": 1},
        {"from": "fear", "to": "anger", "count": 1},
        {"from": "sadness", "to": "anger", "count": 1},
    ]
    assert found.moved.to_numpy().tolist() == [["val", "test", 1]]
    assert (found.reweighted, found.retargeted, found.regrouped, found.repointed) == (2, 1, 2, 1)
    assert list(found.total_changes()) == list(CHANGES)
    shown = found.examples.set_index(["what", "sample_id"])
    assert shown.loc[("only in a", "a")].tolist() == ["fear, train", None]
    assert shown.loc[("only in b", "g")].tolist() == [None, None]
    assert shown.loc[("relabelled", "d")].tolist() == [None, "fear"]
    assert shown.loc[("reweighted", "d")].tolist() == ["1, 1", "1, 3"]
    assert shown.loc[("retargeted", "b")].tolist() == [None, "0.500 0.500 0.000 0.000 0.000 0.000 0.000"]
    assert shown.loc[("repointed", "e")].tolist() == ["stores/a, 4", "stores/a, 40"]
    assert found.counts_b["splits"]["test"] == {"anger": 1, "fear": 1, "unlabelled": 0}
    assert found.lines()[0].startswith("1 only in a · 1 only in b · 3 relabelled · 1 moved")
    assert found.lines()[2] == "split: val → test 1"
    assert found.summary()["changes"]["relabelled"] == 3
    assert len(diff(before, after, examples=1).examples) == len(CHANGES)


def test_the_same_rows_in_another_order_and_groups_of_other_names_are_the_same(before):
    moved = before.frame.iloc[::-1].assign(group_id=lambda frame: frame["group_id"] + 100)
    found = diff(before, written(moved, "manifests/moved"))
    assert found.same
    assert found.lines() == ["6 rows, nothing differs"]
    assert found.examples.empty
    assert found.relabelled.empty


def test_many_kinds_of_relabelling_are_cut_short_in_the_lines(project):
    labels = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]
    one = written(rows("abcdefg", label=labels), "manifests/one")
    other = written(rows("abcdefg", label=[*labels[1:], "anger"]), "manifests/other")
    assert diff(one, other).lines()[1].endswith("and 2 more kinds")


ROW = st.tuples(st.integers(0, 11), st.sampled_from(["fear", "anger", None]), st.sampled_from(["train", "test", None]))


@settings(max_examples=25, deadline=None)
@given(st.lists(ROW, max_size=12, unique_by=lambda r: r[0]), st.lists(ROW, max_size=12, unique_by=lambda r: r[0]))
def test_counts_are_those_of_a_pandas_join(tmp_path_factory, one, other):
    folder = tmp_path_factory.mktemp("d")
    frames = [
        rows(
            [f"s/{key}" for key, _, _ in part],
            label=pd.Series([label for _, label, _ in part], dtype="str"),
            split=pd.Series([split for _, _, split in part], dtype="str"),
            store_row=np.array([key for key, _, _ in part], np.int64),
            group_id=np.array([key for key, _, _ in part], np.int64),
        )
        for part in (one, other)
    ]
    found = diff(*(written(frame, folder / str(number)) for number, frame in enumerate(frames)))
    a, b = ({key: (label, split) for key, label, split in part} for part in (one, other))
    both = set(a) & set(b)
    assert (found.both, found.only_a, found.only_b) == (len(both), len(set(a) - both), len(set(b) - both))
    changed = pd.Series([(a[key][0], b[key][0]) for key in both if a[key][0] != b[key][0]], dtype=object)
    assert {(r[0], r[1]): r[2] for r in found.relabelled.to_numpy().tolist()} == changed.value_counts().to_dict()
    assert found.moved["count"].sum() == sum(a[key][1] != b[key][1] for key in both)
    assert (found.regrouped, found.repointed, found.reweighted) == (0, 0, 0)
