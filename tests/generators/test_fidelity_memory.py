import numpy as np
import pytest
from PIL import Image
from scipy.spatial.distance import cdist
from sklearn.metrics import roc_auc_score

from fer_data.similarity.fingerprints import gradient_histograms, thumbnails
from generators.fidelity.copy_detection import copy_threshold, fit_search
from generators.fidelity.memorisation import View, is_exact_copy, measure_memory, nearest


def points(count, seed=0, width=4):
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def smooth_faces(count, seed=0):
    """Pictures uint8 [N, 48, 48] of random broad blobs, all different."""
    random = np.random.default_rng(seed)
    coarse = random.normal(size=(count, 8, 8))
    fine = np.kron(coarse, np.ones((6, 6)))
    blurred = (fine + np.roll(fine, 2, 1) + np.roll(fine, 2, 2) + np.roll(fine, -2, 1)) / 4
    return np.clip(128 + 45 * blurred, 0, 255).astype(np.uint8)


def looked_at(pictures):
    small = thumbnails(pictures)
    return small, gradient_histograms(small)


def test_memory_against_brute_force():
    faces, training, held_out = points(30, 1), points(101, 2), points(25, 3)
    usual = np.linspace(0.2, 2, 40)
    found = measure_memory(View(faces), training, held_out, 0, usual)
    to_training, elsewhere = cdist(faces, training), cdist(faces, held_out).min(axis=1)
    nearness = to_training.min(axis=1) / elsewhere
    assert found.nearest.tolist() == to_training.argmin(axis=1).tolist()
    assert found.nearness == pytest.approx(nearness, rel=1e-3)
    between = cdist(training, training)
    np.fill_diagonal(between, np.inf)
    assert found.is_authentic.tolist() == (to_training.min(axis=1) > between.min(axis=1)[found.nearest]).tolist()
    parts = np.random.default_rng(0).permutation(101)[:100].reshape(4, 25)
    ratios = np.sqrt(np.median([to_training[:, part].min(axis=1) ** 2 for part in parts], axis=0)) / elsewhere
    assert found.distance_ratio == pytest.approx(ratios, rel=1e-3)
    summary = found.summary(np.arange(30))
    area = roc_auc_score(np.repeat([1, 0], [30, 40]), -np.concatenate([nearness, usual]))
    assert summary["nearer_training"].value == pytest.approx(area)
    assert summary["unusually_near"].value == pytest.approx((nearness < np.quantile(usual, 0.01)).mean())
    assert summary["distance_ratio"].value == pytest.approx(np.median(ratios), rel=1e-3)


def test_fresh_samples_show_no_memory_and_copies_do_the_more_there_are():
    training, held_out, real, fresh = (points(count, seed) for seed, count in enumerate((600, 100, 100, 100)))
    usual = measure_memory(View(real), training, held_out, 0).usual
    found = []
    for copied in (0, 20, 60):
        faces = fresh.copy()
        faces[:copied] = training[:copied] + 1e-3
        found.append(measure_memory(View(faces), training, held_out, 0, usual).summary(np.arange(100)))
    none = found[0]["nearer_training"]
    assert none.low < 0.5 < none.high
    for name, rising in (("nearer_training", 1), ("unusually_near", 1), ("distance_ratio", -1), ("authenticity", -1)):
        values = [rising * summary[name].value for summary in found]
        assert values[0] < values[2], name
        assert values[0] <= values[1] <= values[2], name
    assert found[2]["unusually_near"].value >= 0.6


def test_real_faces_beside_themselves_are_one_half():
    training, held_out, real = points(300, 1), points(60, 2), points(60, 3)
    found = measure_memory(View(real), training, held_out, 0).summary(np.arange(60))
    assert found["nearer_training"].value == pytest.approx(0.5)


def test_of_a_face_and_its_mirror_image_the_nearer_counts():
    plain, flipped, others = points(600, 1), points(600, 2), points(40, 3)
    distances, rows = nearest(View(plain, flipped), others)
    expected = np.minimum(cdist(plain, others), cdist(flipped, others))
    assert rows.tolist() == expected.argmin(axis=1).tolist()
    assert np.sqrt(distances) == pytest.approx(expected.min(axis=1), rel=1e-3)


def test_exact_copies_also_mirrored():
    random = np.random.default_rng(0)
    training = random.integers(0, 256, size=(5, 3, 8, 8), dtype=np.uint8)
    faces = np.stack([training[2], training[3][..., ::-1], training[1] ^ 1])
    assert is_exact_copy(faces, training).tolist() == [True, True, False]


def test_a_grey_copy_of_a_coloured_face_is_exact_too_and_the_other_way_round():
    training = np.random.default_rng(0).integers(0, 256, size=(3, 3, 8, 8), dtype=np.uint8)
    grey = np.stack([np.asarray(Image.fromarray(face.transpose(1, 2, 0)).convert("L"))[None] for face in training])
    asked = np.stack([grey[1], grey[2][..., ::-1], grey[0] ^ 1])
    assert is_exact_copy(asked, training).tolist() == [True, True, False]
    assert is_exact_copy(training[:1], grey[1:]).tolist() == [False]
    assert is_exact_copy(np.repeat(asked, 3, axis=1), grey).tolist() == [True, True, False]


@pytest.mark.parametrize("known", [40, 300])
def test_the_copy_detector_finds_altered_copies_and_leaves_others_alone(known):
    training, others = smooth_faces(known), smooth_faces(60, seed=1)
    search = fit_search(*looked_at(training), candidates=4, seed=0)
    strangers = search.similarity(*looked_at(others))
    threshold = copy_threshold(strangers, 0.01)
    moved = np.roll(training[:20], 1, axis=2).astype(float) * 0.8 + 30
    noisy = moved + np.random.default_rng(2).normal(0, 2, moved.shape)
    copies = np.clip(noisy, 0, 255).astype(np.uint8)
    copies[10:] = copies[10:, :, ::-1]
    found = search.similarity(*looked_at(copies))
    assert (found >= threshold).mean() >= 0.9
    assert (found > 0.9).mean() >= 0.9
    assert np.median(strangers) < 0.8


def test_a_face_that_shows_nothing_copies_nothing():
    training = smooth_faces(20)
    training[0] = 128
    search = fit_search(*looked_at(training), candidates=4, seed=0)
    flat = np.full((1, 48, 48), 128, dtype=np.uint8)
    assert search.similarity(*looked_at(flat)).tolist() == [-1]


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_the_threshold_flags_no_more_than_its_share_of_real_faces(share):
    likeness = np.random.default_rng(0).normal(size=200)
    flagged = (likeness >= copy_threshold(likeness, share)).mean()
    assert flagged <= share
    assert flagged >= share - 0.01
