"""Covered and dark faces: the same for everyone, kept, harder by severity, and scored as the paper says."""

import numpy as np
import pytest
from sklearn import metrics as reference

from classifier import robustness
from classifier.robustness import CONDITIONS, RobustnessSet
from fer_data import conditions, licenses, manifest
from fer_data.drawn.face import Face, Pose
from fer_data.drawn.population import sample_identity
from fer_data.drawn.rendering import render
from fer_data.errors import FerError
from fer_data.expressions import BASIC7, OCCLUSIONS
from fer_data.manifest import Manifest
from fer_data.samples import Sample
from fer_data.store_writer import StoreWriter

FACES = 5


class Brightness:
    """Reads the mean brightness of a picture as one of seven labels."""

    labels, size_px, channels = BASIC7, 48, 1

    def probabilities(self, images):
        label = np.clip(images.mean(axis=(1, 2, 3)) / 256 * 7, 0, 6).astype(int)
        return np.eye(7, dtype=np.float32)[label]


@pytest.fixture
def drawn(project) -> Manifest:
    """Drawn faces, one of them with landmarks, one in another split."""
    with StoreWriter("drawn", project, licence=licenses.DRAWN.as_dict(), source="drawn") as writer:
        for seed in range(FACES + 1):
            face = Face(sample_identity(seed), {}, Pose(scale=0.43, centre_y=0.37), "normal", "none", seed)
            drawing = render(face, 48)
            facts = {"landmarks": drawing.landmarks.ravel().tolist()} if seed == 0 else {}
            writer.add(Sample(str(seed), drawing.image, "fear", "fear", None, f"row {seed}", facts))
        store = writer.close()
    frame = manifest.new_rows(
        FACES + 1,
        sample_id=[f"drawn/{seed}" for seed in range(FACES + 1)],
        store=f"stores/{store.path.name}",
        store_row=np.arange(FACES + 1),
        label="fear",
        split=["test"] * FACES + ["train"],
        group_id=np.arange(FACES + 1),
    )
    out = project / "manifests/drawn"
    return manifest.write(frame, out, label_set="basic7", command="test", licence=licenses.DRAWN.as_dict())


def open_set(drawn, cache, **asked) -> RobustnessSet:
    return RobustnessSet.open(drawn, (drawn.frame["split"] == "test").to_numpy(bool), 48, 1, cache, **asked)


def test_every_face_is_covered_and_darkened_by_its_own_seed(drawn, tmp_path):
    faces = open_set(drawn, tmp_path / "cache")
    plain = drawn.pictures(48, 1)[:FACES]
    assert faces.conditions == CONDITIONS and faces.faces == FACES
    for condition in CONDITIONS:
        milder = faces.pictures(condition, 1)
        assert milder.shape == (FACES, 1, 48, 48) and milder.dtype == np.uint8
        changes = [np.abs(faces.pictures(condition, severity).astype(int) - plain).mean() for severity in (1, 3, 5)]
        assert changes[0] < changes[1] < changes[2], condition
    again = open_set(drawn, tmp_path / "other", conditions=["hair"])
    assert np.array_equal(again.pictures("hair", 4), faces.pictures("hair", 4))
    other = open_set(drawn, tmp_path / "other", conditions=["hair"], seed=1)
    assert other.key != faces.key and not np.array_equal(other.pictures("hair", 4), faces.pictures("hair", 4))


def test_pictures_are_what_the_data_set_layer_makes(drawn, tmp_path):
    """Landmarks are used where they are known; "both" is one of the occlusions, darkened."""
    faces = open_set(drawn, tmp_path, conditions=["mask", "both"])
    image, points = drawn.pictures(48, 1)[0, 0], drawn.facts(["landmarks"])["landmarks"][0]
    seed = robustness.step_seed(0, "robustness of drawn/0", 0)
    assert np.array_equal(faces.pictures("mask", 3)[0, 0], conditions.occlude(image, "mask", seed, points, 3))
    assert not np.array_equal(faces.pictures("mask", 3)[0, 0], conditions.occlude(image, "mask", seed, None, 3))
    kind = OCCLUSIONS[1 + seed % 6]
    both = conditions.relight(conditions.occlude(image, kind, seed, points, 2), "low", seed, 2)
    assert np.array_equal(faces.pictures("both", 2)[0, 0], both)


def test_pictures_are_brought_to_what_a_classifier_looks_at(drawn, tmp_path):
    rows = (drawn.frame["split"] == "test").to_numpy(bool)
    large = RobustnessSet.open(drawn, rows, 64, 3, tmp_path, conditions=["patch"]).pictures("patch", 5)
    plain = open_set(drawn, tmp_path, conditions=["patch"]).pictures("patch", 5)
    assert large.shape == (FACES, 3, 64, 64) and (large[:, 0] == large[:, 2]).all()
    assert abs(large.mean() - plain.mean()) < 3


def test_pictures_are_made_once_and_again_where_they_are_damaged(drawn, tmp_path, monkeypatch):
    faces = open_set(drawn, tmp_path, conditions=["low"])
    path = tmp_path / f"{faces.key}-low.npy"
    before, kept = faces.pictures("low", 5), path.stat().st_mtime_ns
    open_set(drawn, tmp_path, conditions=["low"])
    assert path.stat().st_mtime_ns == kept
    path.write_bytes(path.read_bytes()[:-7])
    assert np.array_equal(open_set(drawn, tmp_path, conditions=["low"]).pictures("low", 5), before)
    monkeypatch.setattr(robustness, "_open", lambda path, shape: None)
    with pytest.raises(FerError, match="the pictures that were just written"):
        open_set(drawn, tmp_path, conditions=["low"])


def test_answers_are_packed_small_and_whole(drawn, tmp_path):
    faces = open_set(drawn, tmp_path, conditions=["mask", "low"])
    told = robustness.judge(Brightness(), faces)
    assert (told["set"], told["faces"], list(told["predicted"])) == (faces.key, FACES, ["mask", "low"])
    for condition, packed in told["predicted"].items():
        for severity, found in enumerate(robustness.unpack_predictions(packed), 1):
            expected = Brightness().probabilities(faces.pictures(condition, severity)).argmax(axis=1)
            assert np.array_equal(found, expected)
    many = np.random.default_rng(0).choice(7, (5, 3572), p=[0.6, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05])
    packed = robustness.pack_predictions(many)
    assert np.array_equal(robustness.unpack_predictions(packed), many)
    assert len(packed["deflate_base64"]) < many.size * 0.45


def test_scores_of_conditions_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 5, 80)  # two classes have no face
    truth[::9] = -1
    predicted = np.where(rng.random((5, 80)) < 0.6, truth, rng.integers(0, 7, (5, 80))).clip(0)
    judged = {"faces": 80, "severities": [1, 2, 3, 4, 5], "predicted": {"mask": robustness.pack_predictions(predicted)}}
    rows = robustness.score_conditions(truth, judged, BASIC7)["mask"]
    known = truth >= 0
    for row, found in zip(rows, predicted, strict=True):
        seen = found[known]
        assert row["accuracy"] == pytest.approx(reference.accuracy_score(truth[known], seen))
        recall = reference.recall_score(truth[known], seen, labels=np.unique(truth[known]), average="macro")
        assert row["balanced_accuracy"] == pytest.approx(recall)
        f1 = reference.f1_score(truth[known], seen, labels=np.unique(truth[known]), average="macro")
        assert row["macro_f1"] == pytest.approx(f1)
    with pytest.raises(FerError, match="the truth of the 80 faces"):
        robustness.score_conditions(truth[:5], judged, BASIC7)
    with pytest.raises(FerError, match="found 80 of which 0 are"):
        robustness.score_conditions(np.full(80, -1), judged, BASIC7)


def rows_of(*accuracies):
    return [{"severity": number, "accuracy": value} for number, value in enumerate(accuracies, 1)]


def test_corruption_errors_by_hand():
    own = {"mask": rows_of(0.7, 0.6), "low": rows_of(0.5, 0.3)}
    base = {"mask": rows_of(0.6, 0.4), "low": rows_of(0.5, 0.3)}
    found = robustness.corruption_errors(own, 0.8, base, 0.7)
    assert found["per_condition"]["mask"]["ce"] == pytest.approx((0.3 + 0.4) / (0.4 + 0.6))
    assert found["per_condition"]["mask"]["relative_ce"] == pytest.approx((0.7 - 0.4) / (1.0 - 0.6))
    assert found["per_condition"]["low"] == pytest.approx({"ce": 1.0, "relative_ce": (1.2 - 0.4) / (1.2 - 0.6)})
    assert found["mce"] == pytest.approx((0.7 + 1) / 2)
    assert found["relative_mce"] == pytest.approx((0.75 + 0.8 / 0.6) / 2)
    itself = robustness.corruption_errors(base, 0.7, base, 0.7)
    assert (itself["mce"], itself["relative_mce"]) == pytest.approx((1, 1))


def test_errors_relative_to_none_are_not_told():
    perfect = {"mask": rows_of(1.0, 1.0)}
    found = robustness.corruption_errors({"mask": rows_of(0.9, 0.8)}, 0.9, perfect, 1.0)
    assert found == {"mce": None, "relative_mce": None, "per_condition": {"mask": {"ce": None, "relative_ce": None}}}


def test_really_covered_and_dark_faces_are_those_that_the_data_set_names(noise_manifest):
    facts = [
        {"slices": ["ran_occlusion", "ran_pose30"]},
        {"light": "low", "condition_source": "dataset"},
        {"light": "low", "condition_source": "applied"},
        {"occlusion": "none", "light": "normal", "pose": "frontal", "condition_source": "dataset"},
        {},
    ]
    made = noise_manifest(["fear"] * 5, ["test"] * 4 + ["train"], facts=facts)
    found = robustness.real_slices(made, np.array([True] * 4 + [False]))
    assert {name: rows.tolist() for name, rows in found.items()} == {
        "ran_occlusion": [True, False, False, False],
        "ran_pose30": [True, False, False, False],
        "light: low": [False, True, False, False],
    }


def test_what_cannot_be_covered_is_refused(drawn, tmp_path):
    with pytest.raises(FerError, match="expected faces to cover and darken, found none"):
        RobustnessSet.open(drawn, np.zeros(FACES + 1, dtype=bool), 48, 1, tmp_path)
    with pytest.raises(FerError, match="found hat"):
        open_set(drawn, tmp_path, conditions=["mask", "hat"])
    with pytest.raises(FerError, match="found none"):
        open_set(drawn, tmp_path, conditions=[])

    class Broken(Brightness):
        def probabilities(self, images):
            return np.full((len(images), 7), np.nan, dtype=np.float32)

    with pytest.raises(FerError, match="expected probabilities, found others for low"):
        robustness.judge(Broken(), open_set(drawn, tmp_path, conditions=["low"]))
