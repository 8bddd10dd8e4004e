"""Which test faces are judged: all, those whose picture is new, those that are not one with any other."""

import itertools

import numpy as np
import pyarrow as pa
import pytest

from experiments.views import SPLITS, build_views, divide, preference, split_name
from fer_data import manifest as manifests
from fer_data import tables
from fer_data.links import related_across


@pytest.fixture
def faces(project):
    """Seventy test faces, two of them training pictures, and a table that links a third to a training face."""
    made = manifests.read(project / "manifests/faces")
    frame = made.frame
    test, train = (frame["sample_id"][frame["split"] == split].tolist() for split in ("test", "train"))
    links = pa.table({"a": [test[40]], "b": [train[3]], "score": [0.9]})
    tables.write_table(project / "links.parquet", links, {"kind": "duplicates"})
    return made


def test_faces_whose_picture_is_elsewhere_are_between_all_and_those_without_twins(faces):
    near = related_across(faces, "test", ("train", "val"), [faces.root / "links.parquet"])
    views = {view.key: view for view in build_views(faces, near)}
    assert list(views) == [f"{split}/{labels}" for split in SPLITS for labels in ("given", "reference")]
    assert [int(views[f"{split}/given"].rows.sum()) for split in SPLITS] == [70, 68, 67]
    pictures = faces.facts(["pixel_sha256"])["pixel_sha256"]
    held_out = (faces.frame["split"] == "test").to_numpy()
    new = ~pictures[held_out].isin(pictures[~held_out]).to_numpy()  # plainly: no other split has this picture
    np.testing.assert_array_equal(views["no_copies/given"].rows, new)
    for labels in ("given", "reference"):
        sizes = [views[f"{split}/{labels}"].rows for split in SPLITS]
        assert all((inner <= outer).all() for outer, inner in itertools.pairwise(sizes))


def test_a_part_that_is_no_other_than_its_neighbour_is_left_out(faces):
    assert list(divide(faces)) == ["official", "leak_free"]  # only pictures leak
    near = np.zeros(len(faces), dtype=bool)
    near[np.flatnonzero(faces.frame["split"] == "test")[40]] = True
    assert list(divide(faces, near)) == ["official", "leak_free"]  # no picture is among what leaks
    related = related_across(faces, "test", ("train", "val"))
    rest = faces.frame[~related].reset_index(drop=True)
    alone = manifests.write(
        rest, faces.path.with_name("alone"), label_set="basic7", command="test", licence=faces.metadata["licence"]
    )
    parts = divide(alone)
    assert list(parts) == ["official", "leak_free"] and parts["leak_free"].all()  # nothing leaks


def test_parts_have_names():
    assert split_name("official", "val") == "official validation split"
    assert split_name("no_copies") == "test split without pictures that are also in train or val"
    assert split_name("leak_free", "val") == "validation split without twins in train"


def test_details_are_told_of_the_fewest_twins_and_the_reference():
    views = [("official", "reference"), ("leak_free", "given"), ("no_copies", "reference"), ("leak_free", "reference")]
    ordered = sorted(views, key=lambda view: preference(*view))
    assert ordered == [views[0], views[2], views[1], views[3]]
