"""How stored pictures are cut and aligned."""

import numpy as np
import pytest
from layouts.faces import drawn
from pydantic import ValidationError

from fer_data.errors import FerError
from fer_data.images import encode_png
from fer_data.importing import PicturesConfig
from fer_data.samples import Sample
from fer_data.store_writer import StoreWriter
from fer_data.views import TEMPLATE, View, five_points, look, similarity


def gradient(height=40, width=60):
    return (np.arange(height)[:, None] * 3 + np.arange(width)[None] * 2).astype(np.uint8)


def test_a_box_is_cut_without_touching_its_pixels():
    picture = gradient()
    cut = look(picture, View(crop="box"), [10, 5, 30, 25], None, "here")
    assert (cut == picture[5:25, 10:30]).all()
    wider = look(picture, View(crop="box", margin=0.25), [10, 5, 30, 25], None, "here")
    assert (wider == picture[0:30, 5:35]).all()
    colour = np.stack([picture] * 3, axis=-1)
    assert look(colour, View(crop="box", size_px=16), [10, 5, 30, 25], None, "here").shape == (16, 16, 3)
    edge = look(picture, View(crop="box"), [50, 30, 99, 99], None, "here")
    assert (edge == picture[30:, 50:]).all()
    thin = look(picture, View(crop="box"), [10.2, 5.2, 10.4, 5.4], None, "here")
    assert thin.shape == (1, 1)


@pytest.mark.parametrize("box", [None, [1, 2, 3], [5, 5, 5, 9], [9, 5, 5, 9], [70, 0, 80, 9], [0, 0, float("nan"), 9]])
def test_a_box_that_cannot_be_used_is_told(box):
    with pytest.raises(FerError, match="here: expected a face box"):
        look(gradient(), View(crop="box"), box, None, "here")


def test_similarity_recovers_turn_scale_and_shift():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(5, 2)) * 20
    angle, scale, shift = 0.3, 1.7, np.array([4.0, -9.0])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = similarity(points, points @ turn.T + shift)
    assert found == pytest.approx(np.column_stack([turn, shift]))
    # least squares: no other similarity near it does better on noisy points
    noisy = points @ turn.T + shift + rng.normal(size=(5, 2))
    best = similarity(points, noisy)

    def error(matrix):
        return ((points @ matrix[:, :2].T + matrix[:, 2] - noisy) ** 2).sum()

    for _ in range(50):
        a, b, x, y = rng.normal(scale=0.01, size=4)
        assert error(best + np.array([[a, -b, x], [b, a, y]])) >= error(best)


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.0])
def test_alignment_puts_the_landmarks_on_the_template(scale):
    """Five bright dots, turned, scaled and shifted, come to lie where the template says."""
    angle, size_px = 0.4, 112
    side = int(size_px / scale * 2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / scale
    points = (TEMPLATE * size_px - size_px / 2) @ turn.T + side / 2
    rows, columns = np.mgrid[:side, :side]
    spread = 2 / scale
    dots = sum(np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * spread**2)) for x, y in points)
    picture = (np.clip(dots, 0, 1) * 255).astype(np.uint8)
    aligned = look(picture, View(crop="align", size_px=size_px), None, points.ravel().tolist(), "here").astype(float)
    assert aligned.shape == (size_px, size_px)
    for x, y in TEMPLATE * size_px:
        left, top = round(x) - 6, round(y) - 6
        window = aligned[top : top + 13, left : left + 13]
        weights = window / window.sum()
        assert (weights.sum(0) @ np.arange(13)) + left == pytest.approx(x, abs=0.35)
        assert (weights.sum(1) @ np.arange(13)) + top == pytest.approx(y, abs=0.35)


def test_68_points_become_five():
    _, landmarks = drawn("neutral", 3, 64)
    points = five_points(landmarks.ravel().tolist(), "here")
    left, right, nose, mouth_left, mouth_right = points
    assert left[0] < nose[0] < right[0] and mouth_left[0] < mouth_right[0]
    assert max(left[1], right[1]) < nose[1] < min(mouth_left[1], mouth_right[1])
    assert (five_points(points.ravel().tolist(), "here") == points).all()


@pytest.mark.parametrize("landmarks", [None, [1.0] * 8, [float("nan")] * 10])
def test_landmarks_that_cannot_be_used_are_told(landmarks):
    with pytest.raises(FerError, match="here: expected 5 or 68 landmarks"):
        look(gradient(), View(crop="align"), None, landmarks, "here")


def test_a_store_shows_its_pictures_through_its_view(project):
    picture = gradient()
    with StoreWriter("x", project, licence={}, source="x", view=View(crop="box")) as writer:
        for number, box in enumerate([[0, 0, 10, 10], [10, 5, 30, 25]]):
            writer.add(Sample(f"1#{number}", encode_png(picture), None, None, None, "row", {"face_box": box}))
        with pytest.raises(FerError, match="expected a face box"):
            writer.add(Sample("2", encode_png(picture), None, None, None, "row 2"))
        store = writer.close()
    assert (store.image(1) == picture[5:25, 10:30]).all()
    facts = store.facts(["width_px", "pixel_sha256", "file_sha256"]).to_pydict()
    assert facts["width_px"] == [10, 20]
    assert len(set(facts["pixel_sha256"])) == 2 and len(set(facts["file_sha256"])) == 1
    assert store.check(full=True) == []


def test_size_without_a_crop_is_refused():
    with pytest.raises(ValidationError, match="belong to a crop"):
        PicturesConfig(size_px=48)
    assert PicturesConfig().view() is None
    assert PicturesConfig(crop="align", size_px=64).view() == View(crop="align", size_px=64)
