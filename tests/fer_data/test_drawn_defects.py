"""What spoils a data set: near copies, blanks, no faces."""

import numpy as np
import pytest

from fer_data.drawn import defects
from fer_data.drawn.geometry import MIRROR
from fer_data.drawn.population import sample_face, sample_identity
from fer_data.drawn.rendering import render


@pytest.fixture(scope="module")
def drawing():
    return render(sample_face(0, "happiness", sample_identity(0)), 48)


def test_near_duplicates_are_the_same_face_but_never_the_same_pixels(drawing):
    image = drawing.image.astype(float)
    for seed in range(30):
        copy, landmarks = defects.near_duplicate(drawing.image, drawing.landmarks, np.random.default_rng(seed))
        assert copy.shape == (48, 48) and copy.dtype == np.uint8 and landmarks.shape == (68, 2)
        assert not np.array_equal(copy, drawing.image)
        shifted = [
            np.roll(version, (down, right), (0, 1))
            for version in (image, image[:, ::-1])
            for down in range(-2, 3)
            for right in range(-2, 3)
        ]
        likeness = max(np.corrcoef(version[4:-4, 4:-4].ravel(), copy[4:-4, 4:-4].ravel())[0, 1] for version in shifted)
        assert likeness > 0.97


def test_landmarks_follow_a_mirrored_or_shifted_copy(drawing):
    seen = set()
    for seed in range(40):
        copy, landmarks = defects.near_duplicate(drawing.image, drawing.landmarks, np.random.default_rng(seed))
        if np.array_equal(copy, drawing.image[:, ::-1]):
            seen.add("mirror")
            expected = drawing.landmarks[MIRROR] * [-1, 1] + [48, 0]
            np.testing.assert_allclose(landmarks, expected, atol=1e-4)
        elif not np.array_equal(landmarks, drawing.landmarks):
            seen.add("shift")
            right, down = np.round((landmarks - drawing.landmarks)[0]).astype(int)
            assert np.array_equal(np.roll(copy, (-down, -right), (0, 1))[4:-4, 4:-4], drawing.image[4:-4, 4:-4])
    assert seen == {"mirror", "shift"}


def test_a_symmetric_picture_still_gets_another_copy():
    flat = np.full((48, 48), 90, dtype=np.uint8)
    for seed in range(10):
        copy, _ = defects.near_duplicate(flat, np.zeros((68, 2), np.float32), np.random.default_rng(seed))
        assert not np.array_equal(copy, flat)


def test_blanks_hold_nothing_and_no_faces_hold_something():
    blanks = [defects.blank(48, np.random.default_rng(seed)) for seed in range(12)]
    things = [defects.not_a_face(48, np.random.default_rng(seed)) for seed in range(24)]
    assert max(image.std() for image in blanks) < 3
    assert min(image.std() for image in things) > 5
    assert any(image.std() == 0 for image in blanks)
    for image in (*blanks, *things):
        assert image.shape == (48, 48) and image.dtype == np.uint8
    assert np.array_equal(defects.not_a_face(48, np.random.default_rng(5)), things[5])
