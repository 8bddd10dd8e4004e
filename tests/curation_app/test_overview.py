"""Counts of the overview, and the map: what lies where, what is selected."""

import numpy as np
import pyarrow as pa
import pytest

from curation_app import feature_map
from curation_app.collection import Collection
from curation_app.feature_map import FeatureMap, is_polygon, make_map, principal
from curation_app.overview import count_by, count_conditions, worth
from fer_data import tables


def test_faces_are_counted_by_two_columns(collection):
    assert count_by(collection, "label", "split").to_dict() == {"train": {"disgust": 4, "fear": 10}}
    assert count_by(collection, "source", "origin").to_dict("index") == {
        "made": {"real": 0, "synthetic": 4},
        "real": {"real": 10, "synthetic": 0},
    }
    suggested = count_by(collection, "label", "suggestion")
    assert suggested.loc["disgust", "unknown"] == 4 and suggested.loc["fear", "surprise"] == 3


def test_conditions_that_are_known_are_counted(collection):
    assert count_conditions(collection).to_numpy().tolist() == [
        ["occlusion", "mask", 14],
        ["occlusion", "unknown", 0],
    ]


def test_balanced_classes_are_worth_their_number():
    assert worth(np.array([5, 5, 5])) == pytest.approx(3)
    assert worth(np.array([7, 0])) == 1 and 1 < worth(np.array([99, 1])) < 1.1


def test_components_are_those_of_the_singular_value_decomposition():
    vectors = np.random.default_rng(0).normal(size=(50, 5)) * [9, 5, 2, 1, 0.5]
    centred = vectors - vectors.mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(principal(vectors, 2)), np.abs(left * values)[:, :2], atol=1e-9)
    assert principal(vectors[:, :1], 2).shape == (50, 2)


def test_without_features_the_map_is_made_of_the_audit_and_without_both_there_is_none(collection, project):
    made = make_map(collection)
    assert made.source == "probabilities of the audit" and made.rows.tolist() == [0, 1, 2, 3, 4, 5]
    assert make_map(Collection(project)) is None


def write_features(project, turned):
    """Two groups of faces in two folds; the second fold's classifier turned and moved the features."""
    rng = np.random.default_rng(0)
    ids = project.frame["sample_id"].tolist()
    far = np.array([0] * 10 + [1] * 4)
    fold = np.arange(len(ids)) % 2
    vectors = rng.normal(size=(len(ids), 12)) * 0.1
    vectors[:, 0] += 5 * far
    vectors[fold == 1] = vectors[fold == 1] @ turned + 3
    columns = {
        "sample_id": ids,
        "fold": pa.array(fold, pa.int16()),
        "features": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel().astype(np.float16)), 12),
    }
    path = project.root / "predictions/faces.repeats/0.parquet"
    path.parent.mkdir(parents=True)
    tables.write_table(path, pa.table(columns), tables.provenance("repeat", "test"))


def test_features_of_folds_are_laid_over_each_other(project, audit):
    turned = np.linalg.qr(np.random.default_rng(1).normal(size=(12, 12)))[0]
    write_features(project, turned)
    made = make_map(Collection(project, audit))
    assert made.source.startswith("features") and len(made.rows) == len(project)
    across = made.places[:, 0].astype(float)
    near, far = across[:10], across[10:]
    assert max(near.max() - near.min(), far.max() - far.min()) < abs(near.mean() - far.mean())


def test_of_many_faces_some_are_drawn_by_lot(collection, monkeypatch):
    monkeypatch.setattr(feature_map, "MOST_POINTS", 4)
    made = make_map(collection)
    assert len(made.rows) == 4 and made.total == 6 and (np.diff(made.rows) > 0).all()
    monkeypatch.setattr(feature_map, "_MOST_NUMBERS", 1)
    assert make_map(collection).source == "probabilities of the audit"


def test_a_lasso_holds_what_lies_inside_also_where_it_is_not_convex():
    places = np.array([[10, 10], [50, 50], [50, 90], [90, 10]], dtype=np.uint16)
    made = FeatureMap(np.array([2, 3, 5, 7]), places, 4, "test")
    assert made.inside([[0, 0], [100, 0], [100, 100], [0, 100]]).tolist() == [2, 3, 5, 7]
    notch = [[0, 0], [100, 0], [100, 20], [20, 20], [20, 100], [0, 100]]
    assert made.inside(notch).tolist() == [2, 7]


@pytest.mark.parametrize(
    "value", [None, [], [[0, 0], [1, 1]], [[0, 0], [1, 1], [2]], [[0, 0], [1, 1], ["x", 2]], [[0, 0], [1, 1], [1e9, 2]]]
)
def test_what_is_no_polygon_selects_nothing(value):
    assert not is_polygon(value)


def test_a_polygon_is_one():
    assert is_polygon([[0, 0], [1.5, 1], [2, 0]])
