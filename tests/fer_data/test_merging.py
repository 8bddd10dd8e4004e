"""Merging: ids, groups, licences, plans, and generators that saw what the merged manifest tests with."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fer_data import licenses, manifest, tables
from fer_data.balance import Cell, Plan
from fer_data.configuration import resolve
from fer_data.errors import FerError
from fer_data.manifest import Manifest
from fer_data.merging import MergeConfig, describe_merge, merge
from fer_data.samples import Sample
from fer_data.store_writer import StoreWriter

Make = Callable[..., Manifest]


@pytest.fixture
def make(project: Path) -> Make:
    """`make(name, shades, labels, …)`: one flat picture per shade, so that equal shades are identical pictures."""

    def made(
        name, shades, labels, *, split="train", facts=None, licence=licenses.DRAWN, generation=None, root=project,
        label_set="basic7", **columns,
    ) -> Manifest:  # fmt: skip
        with StoreWriter(name, root, licence=licence.as_dict(), source=name, generation=generation) as writer:
            for row, shade in enumerate(shades):
                pixels = np.full((6, 6), shade, dtype=np.uint8)
                writer.add(Sample(str(row), pixels, None, None, None, "", facts[row] if facts else {}))
            store = writer.close()
        frame = manifest.new_rows(
            len(shades),
            **{
                "sample_id": [f"{name}/{row}" for row in range(len(shades))],
                "store": f"stores/{store.path.name}",
                "store_row": np.arange(len(shades)),
                "label": labels,
                "split": split,
                "group_id": np.arange(len(shades)) + 1000 * len(name),
                **columns,
            },
        )
        licence_facts = licence.as_dict()
        out = root / "manifests" / name
        return manifest.write(frame, out, label_set=label_set, command="test", licence=licence_facts)

    return made


def synthetic(make: Make, project: Path, *, name="made", seen=("real/0",), facts=None, count=6, **more) -> Manifest:
    """A synthetic manifest whose generator saw the samples `seen`."""
    table = pa.table({"sample_id": list(seen), "group_id": np.arange(len(seen)) - 5})
    tables.write_table(project / f"{name}.seen.parquet", table, tables.provenance("seen", "test"))
    return make(
        name,
        range(100, 100 + count),
        ["fear"] * count,
        facts=facts,
        generation={"seen": f"{name}.seen.parquet"},
        origin="synthetic",
        label_origin="generated",
        **more,
    )


def test_rows_are_kept_and_the_footer_tells_their_parents(make, project):
    one = make("one", [1, 2], ["fear", None], split=["train", None])
    other = make("other", [3, 4, 5], ["anger"] * 3, split="test", licence=licenses.FER2013, fold=[0, 1, 2])
    merged = merge([one, other], project / "manifests/both")
    assert merged.frame["sample_id"].tolist() == ["one/0", "one/1", "other/0", "other/1", "other/2"]
    untouched = ["label", "split", "store", "store_row", "label_origin", "origin", "weight", "repeat"]
    for part in (one, other):
        kept = merged.frame[merged.frame["sample_id"].isin(part.frame["sample_id"])].reset_index(drop=True)
        for column in untouched:
            assert kept[column].fillna("null").tolist() == part.frame[column].fillna("null").tolist()
    assert merged.frame["fold"].isna().all()
    assert merged.metadata["parents"] == {
        "manifests/one.parquet": one.sha256, "manifests/other.parquet": other.sha256,
    }  # fmt: skip
    assert merged.metadata["licence"] == licenses.combine([licenses.DRAWN.as_dict(), licenses.FER2013.as_dict()])
    assert not merged.metadata["licence"]["redistribute"]
    assert manifest.validate(merged, full=True) == []
    assert "plan" not in merged.metadata
    np.testing.assert_array_equal(merged.pictures(6, 1)[:, 0, 0, 0], [1, 2, 3, 4, 5])


def test_groups_join_identical_pictures_persons_and_former_groups(make, project):
    one = make(
        "one", [1, 2, 3, 4, 5], ["fear"] * 5,
        facts=[{}, {}, {"subject_id": "S1"}, {"subject_id": "S1"}, {}], group_id=[7, 8, 9, 10, 7],
    )  # fmt: skip
    other = make("other", [2, 60, 5], ["fear"] * 3, facts=[{}, {"subject_id": "S1"}, {}], group_id=[20, 21, 22])
    groups = merge([one, other], "manifests/both").frame.set_index("sample_id")["group_id"]
    components = [
        {"one/0", "one/4", "other/2"},  # former group, then the same picture
        {"one/1", "other/0"},  # the same picture
        {"one/2", "one/3"},  # one person of one source
        {"other/1"},  # a person called S1 elsewhere is another person
    ]
    assert sorted(map(sorted, groups.groupby(groups).groups.values())) == sorted(map(sorted, components))
    swapped = merge([other, one], "manifests/swapped").frame.set_index("sample_id")["group_id"]
    assert swapped.loc[groups.index].tolist() == groups.tolist()


def test_synthetic_rows_keep_their_own_groups(make, project):
    real = make("real", [1, 2], ["fear"] * 2)
    made = synthetic(make, project, group_id=[5, 5, 5, -6, -6, 8])
    merged = merge([real, made], "manifests/both")
    assert merged.frame["group_id"].tolist()[2:] == [5, 5, 5, -6, -6, 8]
    assert merged.metadata["counts"]["synthetic"] == 6


def test_a_plan_takes_the_first_faces_of_each_cell_and_no_more(make, project):
    real = make("real", [1, 2], ["fear"] * 2)
    masked, dark = {"occlusion": "mask", "light": "normal"}, {"occlusion": "mask", "light": "low"}
    made = synthetic(make, project, facts=[dark, masked, masked, {}, masked, dark])
    more = synthetic(make, project, name="more", count=1, facts=[dark])
    plan = Plan(
        "basic7",
        (
            Cell("fear", "mask", "normal", 0, 2, 2),
            Cell("fear", "mask", "low", 0, 5, 5),
            Cell("fear", "hair", "low", 0, 1, 1),
            Cell("anger", None, None, 4, 4, 0),
        ),
        manifest="manifests/real.parquet",
    )
    merged = merge([real, made, more], "manifests/both", plan=plan)
    assert merged.frame["sample_id"].tolist() == [
        "real/0", "real/1", "made/0", "made/1", "made/2", "made/5", "more/0",
    ]  # fmt: skip
    cells = merged.metadata["plan"]["cells"]
    told = [(c["label"], c["occlusion"], c["light"], c["asked"], c["got"], c["left_out"]) for c in cells]
    assert told == [
        ("fear", "mask", "normal", 2, 2, 1),
        ("fear", "mask", "low", 5, 3, 0),
        ("fear", "hair", "low", 1, 0, 0),
        ("fear", None, None, 0, 0, 1),
    ]
    assert (merged.metadata["plan"]["asked"], merged.metadata["plan"]["manifest"]) == (8, "manifests/real.parquet")


def test_a_merge_that_adds_no_synthetic_face_says_why(make, project):
    real = make("real", [1, 2], ["fear"] * 2)
    made = synthetic(make, project, facts=[{"occlusion": "mask", "light": "low"}] * 6)
    nothing = synthetic(make, project, name="dropped", count=0)
    asked, other = (Plan("basic7", (Cell("fear", "mask", light, 0, 4, 4),)) for light in ("low", "normal"))
    added = merge([real, made], "manifests/added", plan=asked)
    assert describe_merge(added.metadata) == []
    assert describe_merge(merge([real], "manifests/alone").metadata) == []
    why = "! no synthetic face was added: "
    elsewhere = merge([real, made], "manifests/elsewhere", plan=other)
    assert describe_merge(elsewhere.metadata) == [why + "the 6 given are in no cell that the plan asks for"]
    without = merge([real], "manifests/without", plan=asked)
    assert describe_merge(without.metadata) == [why + "none was given; the plan asks for 4"]
    empty = merge([real, nothing], "manifests/empty")
    assert describe_merge(empty.metadata) == [why + "manifests/dropped.parquet holds no row"]
    planned = merge([real, nothing], "manifests/planned", plan=asked)
    assert describe_merge(planned.metadata) == [why + "manifests/dropped.parquet holds no row; the plan asks for 4"]


def test_synthetic_faces_that_a_merge_drops_are_told_to_be_missing(make, project):
    real = make("real", [100, 2], ["anger", "fear"])
    same = synthetic(make, project, count=1)  # the picture of real/0 under another label
    merged = merge([real, same], "manifests/both", MergeConfig(conflicts="drop"))
    assert merged.metadata["counts"]["synthetic"] == 0
    assert describe_merge(merged.metadata)[-1] == (
        "! no synthetic face was added: the 1 given were left out for their labels or pictures"
    )


def test_a_generator_that_saw_a_tested_group_is_refused_and_nothing_is_written(make, project):
    train = make("real", [1, 2], ["fear"] * 2)
    tested = make("tested", [2, 3], ["fear"] * 2, split="test")
    made = synthetic(make, project, seen=["real/1"])
    with pytest.raises(FerError, match="expected that the generator of"):
        merge([train, tested, made], "manifests/both")
    assert not (project / "manifests/both.parquet").exists()
    unseen = synthetic(make, project, name="unseen", seen=["real/0"])
    assert len(merge([train, tested, unseen], "manifests/both")) == 10


def test_what_cannot_be_merged_is_refused(make, project, tmp_path_factory):
    one = make("one", [1], ["fear"])
    with pytest.raises(FerError, match="expected manifests to merge, found none"):
        merge([], "manifests/both")
    with pytest.raises(FerError, match=r"found 1 in two \(first: one/0\)"):
        merge([one, one], "manifests/both")
    other = make("other", [1], ["contempt"], label_set="basic8")
    with pytest.raises(FerError, match="expected one label set, found basic7 and basic8; say how"):
        merge([one, other], "manifests/both")
    with pytest.raises(FerError, match="expected the plan's label set basic8, found basic7"):
        merge([one], "manifests/both", plan=Plan("basic8", ()))
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "fer.toml").write_text("")
    foreign = make("foreign", [1], ["fear"], root=elsewhere)
    with pytest.raises(FerError, match="store paths are relative to the project"):
        merge([one, foreign], "manifests/both")


def test_an_existing_manifest_is_replaced_only_when_asked(make):
    one = make("one", [1], ["fear"])
    merge([one], "manifests/both")
    with pytest.raises(FerError, match="--replace"):
        merge([one], "manifests/both")
    assert len(merge([one], "manifests/both", replace=True)) == 1


def test_only_synthetic_rows_can_be_merged_too(make, project):
    make("real", [1], ["fear"])
    merged = merge([synthetic(make, project), synthetic(make, project, name="more", count=2)], "manifests/both")
    assert len(merged) == 8


EIGHT = [0.1, 0, 0, 0, 0, 0.3, 0.4, 0.2]  # of basic8: a fifth of it contempt


def test_label_sets_are_joined_by_name(make):
    seven = make("seven", [1, 2], ["fear", None], target=[None, [0.5, 0, 0.5, 0, 0, 0, 0]])
    eight = make("eight", [3, 4, 5], ["contempt", "neutral", "fear"], label_set="basic8", target=[None, EIGHT, None])
    union = merge([seven, eight], "manifests/union", MergeConfig(labels="union"))
    assert union.label_set == "basic8"
    assert union.frame["label"].fillna("null").tolist() == ["fear", "null", "contempt", "neutral", "fear"]
    np.testing.assert_allclose(union.frame["target"][1], [0.5, 0, 0.5, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(union.frame["target"][3], EIGHT, rtol=1e-6)
    assert (union.metadata["merge"]["outside"], union.metadata["merge"]["renormalised"]) == (0, 0)
    narrow = MergeConfig(labels="intersection", outside="null")
    nulled = merge([seven, eight], "manifests/nulled", narrow)
    assert nulled.label_set == "basic7"
    assert nulled.frame["label"].fillna("null").tolist() == ["fear", "null", "null", "neutral", "fear"]
    np.testing.assert_allclose(nulled.frame["target"][3], np.array(EIGHT[:7]) / 0.8, rtol=1e-6)
    assert nulled.frame["target"].isna().tolist() == [True, False, True, False, True]
    assert describe_merge(nulled.metadata) == [
        "1 rows with a label outside the set, 1 soft labels scaled to the set",
    ]
    dropped = merge([seven, eight], "manifests/dropped", MergeConfig(labels="basic7", outside="drop"))
    assert dropped.frame["sample_id"].tolist() == ["seven/0", "seven/1", "eight/1", "eight/2"]
    assert manifest.structural_faults(dropped.frame, "basic7") == []


def test_labels_outside_the_set_are_refused_with_their_counts(make):
    eight = make("eight", [1, 2, 3], ["contempt", "contempt", "fear"], label_set="basic8")
    seven = make("seven", [4], ["fear"])
    with pytest.raises(FerError, match=r"expected labels of basic7, found 2 contempt, .*choose outside=null"):
        merge([seven, eight], "manifests/both", MergeConfig(labels="basic7"))
    soft = make("soft", [5], ["fear"], label_set="basic8", target=[[0, 0, 0.9, 0, 0, 0, 0, 0.1]])
    with pytest.raises(FerError, match="found 1 soft labels with others"):
        merge([seven, soft], "manifests/both", MergeConfig(labels="basic7"))
    compound = make("compound", [6], ["sadly angry"], label_set="compound11")
    for rule, words in (("union", "the union of basic7 and compound11"), ("intersection", "no label at all")):
        with pytest.raises(FerError, match=words):
            merge([seven, compound], "manifests/both", MergeConfig(labels=rule))
    with pytest.raises(FerError, match="label set 'basic9' is unknown"):
        merge([seven], "manifests/both", MergeConfig(labels="basic9"))


def test_a_soft_label_that_lies_outside_entirely_is_outside(make):
    one = make("one", [1, 2], [None, None], label_set="basic8", target=[[0] * 7 + [1], EIGHT])
    made = merge([one], "manifests/seven", MergeConfig(labels="basic7", outside="drop"))
    assert made.frame["sample_id"].tolist() == ["one/1"]


@pytest.fixture
def disputed(make):
    """Pictures 2 and 3 lie in both, 3 under two labels; `one` has a duplicate of its own under two labels."""
    one = make("one", [1, 2, 3, 9, 9], ["fear", "fear", "fear", "fear", "anger"])
    other = make("other", [2, 3, 4, 3], ["fear", "anger", "sadness", None], target=[None, HALF, None, None])
    return [one, other]


HALF = [0.5, 0.5, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, {"other/0": "fear", "other/1": "anger", "other/2": "sadness", "other/3": None}),
        ({"same_picture": "first"}, {"other/2": "sadness"}),
        ({"conflicts": "first"}, {"other/0": "fear", "other/1": "fear", "other/2": "sadness", "other/3": "fear"}),
        (
            {"conflicts": "null"},
            {"one/2": None, "other/0": "fear", "other/1": None, "other/2": "sadness", "other/3": None},
        ),
        ({"conflicts": "drop"}, {"one/2": "gone", "other/0": "fear", "other/2": "sadness"}),
        ({"conflicts": "drop", "same_picture": "first"}, {"one/2": "gone", "other/2": "sadness"}),
    ],
)  # fmt: skip
def test_pictures_in_two_manifests(disputed, config, expected):
    merged = merge(disputed, "manifests/both", MergeConfig(**config))
    of_one = {f"one/{row}": label for row, label in enumerate(["fear", "fear", "fear", "fear", "anger"])}
    wanted = {key: label for key, label in {**of_one, **expected}.items() if label != "gone"}
    found = dict(zip(merged.frame["sample_id"], merged.frame["label"].astype(object), strict=True))
    assert {key: None if label != label else label for key, label in found.items()} == wanted
    told = merged.metadata["merge"]
    assert (told["same_pictures"], told["conflicts"], told["dropped"]) == (2, 1, 9 - len(wanted))
    assert manifest.validate(merged) == []
    groups = merged.frame.set_index("sample_id")["group_id"]
    assert groups["one/3"] == groups["one/4"]
    if "other/0" in groups:
        assert groups["one/1"] == groups["other/0"]
    origins = merged.frame.set_index("sample_id")["label_origin"]
    assert origins["one/0"] == "source"
    if config.get("conflicts") == "first":
        assert origins["other/1"] == "policy:merge_first"
        assert merged.frame["target"].isna().all()
        assert told["relabelled"] == 2
    if config.get("conflicts") == "null":
        assert origins["one/2"] == "policy:merge_conflict"


def test_pictures_in_two_manifests_can_be_refused(disputed):
    with pytest.raises(FerError, match=r"2 pictures lie in two of the manifests \(first: one/1, one/2, other/0\)"):
        merge(disputed, "manifests/both", MergeConfig(same_picture="refuse"))
    with pytest.raises(FerError, match=r"1 pictures carry two labels \(first: one/2, other/1, other/3\)"):
        merge(disputed, "manifests/both", MergeConfig(conflicts="refuse"))
    assert len(merge(disputed[:1], "manifests/one-only", MergeConfig(same_picture="refuse", conflicts="refuse"))) == 5


def test_tables_of_near_duplicates_join_groups(make, project):
    one, other = make("one", [1, 2], ["fear"] * 2), make("other", [3, 4], ["fear"] * 2)
    pairs = pa.table(
        {"a": ["one/0", "one/1", "gone/1"], "b": ["other/1", "other/0", "one/0"], "kind": ["near", "x", "near"]}
    )
    path = tables.write_table(project / "near.parquet", pairs, tables.provenance("links", "test"))
    merged = merge([one, other], "manifests/both", link_tables=[path])
    groups = merged.frame.set_index("sample_id")["group_id"]
    assert groups["one/0"] == groups["other/1"] != groups["one/1"] == groups["other/0"]
    assert "near.parquet" in merged.metadata["parents"]
    some = merge([one, other], "manifests/some", MergeConfig(link_kinds=("near",)), link_tables=[path])
    assert some.frame["group_id"].nunique() == 3
    with pytest.raises(FerError, match=r"none\.parquet is missing"):
        merge([one, other], "manifests/none", link_tables=[project / "none.parquet"])


def test_a_group_that_nothing_joins_keeps_its_name(make):
    one, other = make("one", [1, 2], ["fear"] * 2), make("other", [2, 4], ["fear"] * 2)
    merged = merge([one, other], "manifests/both").frame.set_index("sample_id")["group_id"]
    assert merged["one/0"] == one.frame["group_id"][0]
    assert merged["other/1"] == other.frame["group_id"][1]
    expected = int.from_bytes(hashlib.sha256(b"one/1").digest()[:8], "big", signed=True)
    assert merged["one/1"] == merged["other/0"] == expected


@pytest.mark.parametrize("setting", ["outside=keep", "same_picture=last", "conflicts=vote", "label=union"])
def test_configurations_that_mean_nothing_are_refused(setting):
    with pytest.raises(FerError, match=setting.partition("=")[0]):
        resolve(MergeConfig, settings=[setting])
