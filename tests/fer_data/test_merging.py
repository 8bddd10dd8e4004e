"""Merging: ids, groups, licences, plans, and generators that saw what the merged manifest tests with."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fer_data import licenses, manifest, tables
from fer_data.balance import Cell, Plan
from fer_data.errors import FerError
from fer_data.manifest import Manifest
from fer_data.merging import merge
from fer_data.samples import Sample
from fer_data.store import StoreWriter

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
    with pytest.raises(FerError, match="expected the label set basic7 of one.parquet, found basic8"):
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
