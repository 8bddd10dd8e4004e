import numpy as np

from generators.checks.copies import fit_detector, look


def pictures_of(count, seed):
    return np.random.default_rng(seed).integers(0, 256, (count, 1, 16, 16), dtype=np.uint8)


def test_a_judge_that_averages_over_mirror_images_looks_once():
    asked = []

    def averaging(images):
        asked.append(len(images))
        flat = images.astype(np.float32)
        return (flat + flat[..., ::-1]).reshape(len(images), -1)

    views = look(pictures_of(50, 0), averaging)
    assert sorted(asked) == [2, 2, 50]  # two pictures of noise, mirrored too, tell that it averages
    assert views.mirrored_features is views.features

    def one_sided(images):
        asked.append(len(images))
        return images[..., :8].astype(np.float32).reshape(len(images), -1)

    asked.clear()
    views = look(pictures_of(50, 0), one_sided)
    assert sorted(asked) == [2, 2, 50, 50]
    assert not np.allclose(views.mirrored_features, views.features)


def test_what_was_kept_before_counts_as_an_earlier_sibling():
    def features(images):
        return images.astype(np.float32).reshape(len(images), -1)

    everything = pictures_of(60, 1)
    detector = fit_detector(look(everything[:30], features), look(everything[30:50], features), 0.05)
    before = look(everything[50:53], features)
    samples = look(everything[[54, 51, 55, 54]], features)
    distance, sibling = detector.earlier_sibling(samples, np.ones(4, dtype=bool), before)
    assert detector.is_copy(distance).tolist() == [False, True, False, True]
    assert sibling[[1, 3]].tolist() == [1, 3]  # the second kept before; then the first of the samples
    assert len(before.followed_by(samples)) == 7
    assert np.isinf(detector.earlier_sibling(samples, np.ones(4, dtype=bool))[0][0])


def test_fresh_faces_are_flagged_no_more_often_than_promised():
    """Over many draws of held-out faces, fresh faces of the same kind are taken for copies at the stated rate."""

    def features(images):
        return images.astype(np.float32).reshape(len(images), -1)

    faces = look(pictures_of(40, 0), features)
    rates = []
    for draw in range(30):
        held_out, fresh = look(pictures_of(39, 2 * draw + 1), features), look(pictures_of(100, 2 * draw + 2), features)
        detector = fit_detector(faces, held_out, 0.05)
        rates.append(detector.is_copy(detector.nearest_face(fresh)[0]).mean())
    assert abs(np.mean(rates) - 0.05) < 3 * np.std(rates) / np.sqrt(len(rates))
