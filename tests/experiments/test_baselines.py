"""Classic classifiers within a cap of time, the networks' configurations, and the figures of a test split."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, recall_score

from experiments.baselines import classic
from experiments.baselines.classic import CLASSIC, affordable, fit
from experiments.baselines.judging import averaging_shifts, microseconds_per_face, score_test
from experiments.baselines.literature import REPORTED
from experiments.baselines.networks import NETWORKS, network_config
from fer_data import manifest as manifests
from fer_data.errors import FerError


@pytest.fixture(scope="module")
def stripes() -> tuple[np.ndarray, np.ndarray]:
    """240 noisy faces whose class is the direction of their stripes."""
    rng = np.random.default_rng(0)
    classes = np.arange(240) % 4
    rows, columns = np.mgrid[:24, :24]
    waves = [np.sin(0.9 * (rows * np.sin(k * np.pi / 4) + columns * np.cos(k * np.pi / 4))) for k in classes]
    return np.clip(127 + 70 * np.stack(waves) + rng.normal(0, 15, (240, 24, 24)), 0, 255).astype(np.uint8), classes


@pytest.fixture
def small(monkeypatch):
    """Fewer components than there are faces here, and forests that grow in no time."""
    monkeypatch.setattr(classic, "COMPONENTS", 20)
    monkeypatch.setattr(classic, "TREES", 30)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", CLASSIC)
def test_every_row_learns_and_tells_its_size(name, stripes):
    images, truth = stripes
    fitted = fit(CLASSIC[name], images[:160], truth[:160], images[160:200], truth[160:200], seconds=60)
    judged = fitted.probabilities(images[200:], 7)
    assert judged.shape == (40, 7) and judged.dtype == np.float32
    np.testing.assert_allclose(judged.sum(axis=1), 1, rtol=1e-5)
    assert (judged[:, 4:] == 0).all()  # classes without a training face
    assert (judged.argmax(axis=1) == truth[200:]).mean() > (0.4 if name == "tree_pixels" else 0.9)
    size, unit = CLASSIC[name].size(fitted.model)
    assert size > 0 and unit in ("support vectors", "stored faces", "nodes")
    assert fitted.training_faces == 160 and len(fitted.tried) == len(CLASSIC[name].candidates)
    assert max(one["accuracy"] for one in fitted.tried) == next(
        one["accuracy"] for one in fitted.tried if one["settings"] == fitted.settings
    )


@pytest.mark.usefixtures("small")
def test_sizes_are_what_the_classifiers_hold(stripes):
    images, truth = stripes
    given = images[:160], truth[:160], images[160:], truth[160:]
    assert CLASSIC["knn_hog"].size(fit(CLASSIC["knn_hog"], *given, seconds=60).model) == (160, "stored faces")
    svm = fit(CLASSIC["svm_hog"], *given, seconds=60).model
    assert CLASSIC["svm_hog"].size(svm) == (len(svm[-1].support_), "support vectors")
    forest = fit(CLASSIC["forest_lbp"], *given, seconds=60).model
    nodes = sum(int((tree.tree_.feature >= -2).sum()) for tree in forest.estimators_)
    assert CLASSIC["forest_lbp"].size(forest) == (nodes, "nodes")


@pytest.mark.usefixtures("small")
def test_without_time_one_candidate_is_tried_and_few_faces_are_fitted(stripes, monkeypatch):
    monkeypatch.setattr(classic, "_TIMED_FACES", 50)
    images, truth = stripes
    fitted = fit(CLASSIC["svm_hog"], images[:160], truth[:160], images[160:], truth[160:], seconds=0)
    assert len(fitted.tried) == 1 and fitted.training_faces == 50
    again = fit(CLASSIC["svm_hog"], images[:160], truth[:160], images[160:], truth[160:], seconds=0)
    np.testing.assert_array_equal(fitted.probabilities(images, 4), again.probabilities(images, 4))


def test_how_many_faces_a_fit_can_take():
    assert affordable(1000, 100, 1.0, 2.0, 25.0) == 500  # five times the faces, 25 times the time
    assert affordable(1000, 100, 1.0, 1.0, 3.0) == 300
    assert affordable(1000, 100, 1.0, 2.0, 1e9) == 1000
    assert affordable(1000, 100, 1.0, 2.0, -5.0) == 100
    assert affordable(60, 100, 0.0, 2.0, 1.0) == 60


def test_no_faces_are_refused(stripes):
    images, truth = stripes
    with pytest.raises(FerError, match="expected training and validation faces, found 240 and 0"):
        fit(CLASSIC["knn_hog"], images, truth, images[:0], truth[:0], seconds=1)


def test_networks_are_configurations_of_the_one_loop():
    for row in NETWORKS:
        config = network_config(row, 3, 1)
        assert (config.seed, config.threads, config.dynamics, config.trackers) == (3, 1, 0, ())
    assert not set(NETWORKS) & set(CLASSIC)
    assert set(REPORTED) <= {*NETWORKS, *CLASSIC}
    assert str(REPORTED["svm_hog"][0]) == "62–68" and str(REPORTED["mlp"][0]) == "40.7"


def test_figures_are_scikit_learns_on_both_test_splits(project):
    faces = manifests.read(project / "manifests/faces")
    truth = np.array([faces.labels.index(label) for label in faces.frame.loc[faces.frame["split"] == "test", "label"]])
    judged = np.random.default_rng(0).dirichlet(np.ones(7), len(truth)).astype(np.float32)
    found = score_test(faces, lambda pictures: judged[: len(pictures)], size_px=16)
    predicted = judged.argmax(axis=1)
    official = found["official/given"]
    assert official["count"] == len(truth)
    assert official["accuracy"] == round(accuracy_score(truth, predicted), 4)
    assert official["macro_f1"] == round(f1_score(truth, predicted, average="macro"), 4)
    recall = recall_score(truth, predicted, average=None)
    assert list(official["recall"].values()) == [round(value, 4) for value in recall]
    assert found["leak_free/given"]["count"] == len(truth) - 2  # the two twins of training faces
    assert "official/reference" in found


def test_a_manifest_without_test_faces_is_refused(noise_manifest):
    alone = noise_manifest(["anger", "fear"], ["train", "val"])
    with pytest.raises(FerError, match="expected test faces, found none"):
        score_test(alone, lambda pictures: pictures, size_px=12)


def test_the_time_of_a_face_is_the_time_of_all_by_their_number(project):
    faces = manifests.read(project / "manifests/faces")
    seen = []

    def answer(pictures: np.ndarray) -> np.ndarray:
        seen.append(pictures.shape)
        return np.zeros((len(pictures), 7), dtype=np.float32)

    microseconds = microseconds_per_face(faces, answer, size_px=16)
    assert 0 <= microseconds < 1e5
    assert seen == [(70, 1, 16, 16)] * 3


def test_shifts_are_by_one_pixel_along_the_diagonals():
    pictures = np.random.default_rng(0).integers(0, 256, (2, 1, 6, 6), dtype=np.uint8)
    seen = []

    def answer(views: np.ndarray) -> np.ndarray:
        seen.append(views.copy())
        return views[:, 0, :2, 0].astype(np.float32)

    judged = averaging_shifts(answer)(pictures)
    np.testing.assert_array_equal(seen[0], pictures)
    np.testing.assert_array_equal(seen[1][:, :, 1:, 1:], pictures[:, :, :-1, :-1])
    np.testing.assert_array_equal(seen[4][:, :, :-1, :-1], pictures[:, :, 1:, 1:])
    np.testing.assert_array_equal(seen[2][:, :, 1:, :-1], pictures[:, :, :-1, 1:])
    np.testing.assert_array_equal(seen[3][:, :, :-1, 1:], pictures[:, :, 1:, :-1])
    np.testing.assert_array_equal(seen[1][:, :, 0, 0], pictures[:, :, 0, 0])  # the border repeats
    np.testing.assert_allclose(judged, np.mean([view[:, 0, :2, 0] for view in seen], axis=0))
