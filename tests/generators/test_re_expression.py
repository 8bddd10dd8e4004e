import numpy as np
import pyarrow as pa
import pytest

from fer_data import tables
from fer_data.balance import Cell
from fer_data.errors import FerError
from fer_data.expressions import BASIC7
from generators.drawing.re_expression import ParentFaces, pictures_of
from generators.training_faces import select_faces

PLAIN = Cell("disgust", "none", "normal", 0, 1, 1)
ANY = Cell("disgust", None, None, 0, 1, 1)


@pytest.fixture
def open_parents(tmp_path):
    def open_them(manifest, labels=None, seen=None):
        selection = select_faces(manifest, 0)
        path = tmp_path / "checkpoint" / "seen.parquet"
        path.parent.mkdir(exist_ok=True)
        table = pa.table({"sample_id": list(selection.frame["sample_id"] if seen is None else seen)})
        tables.write_table(path, table, tables.provenance("seen", "test"), replace=True)
        return ParentFaces(selection, path, labels)

    return open_them


def rows_of(parents, cell, count=300):
    return [parents.parent_of(cell, seed) for seed in range(count)]


def test_parents_show_another_label_in_proportion_to_its_faces(training, open_parents):
    rows = rows_of(open_parents(training), PLAIN)
    frame = training.frame.iloc[rows]
    assert set(frame["split"]) == {"train"}
    shares = frame["label"].value_counts(normalize=True)
    assert set(shares.index) == set(BASIC7) - {"disgust"}
    assert shares.max() < 0.27  # six labels of equal size
    assert len(set(rows)) == 36


def test_a_seed_always_takes_the_same_parent(training, open_parents):
    assert rows_of(open_parents(training), PLAIN, 20) == rows_of(open_parents(training), PLAIN, 20)


def test_parents_may_be_kept_to_some_labels(training, open_parents):
    rows = rows_of(open_parents(training, ("neutral", "disgust")), PLAIN, 60)
    assert set(training.frame["label"].iloc[rows]) == {"neutral"}
    with pytest.raises(FerError, match=r"parents_of: expected labels of basic7 .*, found 'joy'"):
        open_parents(training, ("joy",))
    with pytest.raises(FerError, match="can become disgust under occlusion none and light normal, found none among 0"):
        open_parents(training, ("disgust",)).parent_of(PLAIN, 0)


def test_parents_are_faces_that_the_generator_saw(training, open_parents):
    seen = training.frame["sample_id"].iloc[[30, 31]].tolist()
    assert set(rows_of(open_parents(training, seen=seen), PLAIN, 40)) == {30, 31}
    with pytest.raises(FerError, match="expected the faces that .*checkpoint was trained on, found none of them"):
        open_parents(training, seen=["others/0001"])


def test_parents_show_nothing_that_the_cell_does_not_ask_for(make_manifest, open_parents):
    conditions = [("none", "normal"), ("mask", "normal"), ("none", "low"), ("mask", "low"), (None, "normal")]
    faces = [
        {"label": "fear", "split": "train", "facts": {"occlusion": occlusion, "light": light}}
        for occlusion, light in conditions
    ]
    parents = open_parents(make_manifest("conditioned", faces))
    assert set(rows_of(parents, PLAIN)) == {0, 4}
    assert set(rows_of(parents, Cell("disgust", "mask", "normal", 0, 1, 1))) == {0, 1, 4}
    assert set(rows_of(parents, Cell("disgust", "mask", "low", 0, 1, 1))) == {0, 1, 2, 3, 4}
    assert set(rows_of(parents, Cell("disgust", None, "low", 0, 1, 1))) == {0, 2, 4}


def test_light_is_measured_where_it_matters_and_no_fact_states_it(make_manifest, open_parents):
    dark = np.random.default_rng(0).integers(0, 50, size=(16, 16), dtype=np.uint8)
    faces = [{"label": "fear", "split": "train", "facts": {}} for _ in range(3)]
    faces += [{"label": "fear", "split": "train", "facts": {}, "image": dark + step} for step in range(3)]
    parents = open_parents(make_manifest("unlit", faces))
    assert set(rows_of(parents, PLAIN)) == {0, 1, 2}
    assert set(rows_of(parents, Cell("disgust", None, "low", 0, 1, 1))) == {0, 1, 2, 3, 4, 5}
    assert set(rows_of(parents, ANY)) == {0, 1, 2, 3, 4, 5}
    only_dark = open_parents(make_manifest("dark", faces[3:]))
    with pytest.raises(FerError, match="light normal, found none among 3 of"):
        only_dark.parent_of(PLAIN, 0)


def test_the_only_face_that_will_do_is_found_by_every_seed(make_manifest, open_parents):
    dark = np.random.default_rng(0).integers(0, 50, size=(16, 16), dtype=np.uint8)
    faces = [{"label": "fear", "split": "train", "facts": {}, "image": dark + step % 20} for step in range(400)]
    faces[123].pop("image")
    parents = open_parents(make_manifest("one-bright", faces))
    assert set(rows_of(parents, PLAIN, 20)) == {123}


def test_pictures_come_in_the_order_asked_and_may_repeat(training):
    rows = np.array([5, 2, 5])
    found = pictures_of(training, rows, 16, 1)
    assert np.array_equal(found, training.pictures(16, 1)[rows])
    assert pictures_of(training, rows, 24, 3).shape == (3, 3, 24, 24)
