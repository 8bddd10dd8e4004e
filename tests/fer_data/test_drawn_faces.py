"""Drawn faces: same seed, same picture; truth that fits the pixels; expressions, lights and covers that show."""

import numpy as np
import pytest

from fer_data.drawn import geometry, occluders
from fer_data.drawn.action_units import PROTOTYPES, UNITS, sample_action_units
from fer_data.drawn.face import Face, Pose
from fer_data.drawn.geometry import MIRROR, View, intensities, place_landmarks, rest_landmarks
from fer_data.drawn.population import sample_face, sample_identity
from fer_data.drawn.rendering import render
from fer_data.errors import FerError
from fer_data.expressions import BASIC7, LIGHTS, OCCLUSIONS


@pytest.fixture(scope="module")
def person():
    return sample_identity(4)


def frontal(person, units, light="normal", occlusion="none", seed=0):
    return Face(person, units, Pose(), light, occlusion, seed)


def test_same_seed_gives_the_same_picture_alone_and_among_others(person):
    faces = [sample_face(seed, BASIC7[seed % 7], person) for seed in range(6)]
    batch = [render(face, 48).image for face in faces]
    alone = render(sample_face(4, BASIC7[4], sample_identity(4)), 48).image
    assert np.array_equal(alone, batch[4])
    assert np.array_equal(render(faces[0], 48).image, batch[0])
    assert len({image.tobytes() for image in batch}) == len(batch)


@pytest.mark.parametrize("size_px", [16, 48, 97, 128])
def test_pictures_are_grey_bytes_and_landmarks_scale_with_them(person, size_px):
    face = sample_face(3, "fear", person)
    drawing = render(face, size_px)
    assert drawing.image.shape == (size_px, size_px) and drawing.image.dtype == np.uint8
    assert drawing.landmarks.shape == (68, 2) and drawing.landmarks.dtype == np.float32
    np.testing.assert_allclose(drawing.landmarks / size_px, render(face, 64).landmarks / 64, atol=1e-5)


def test_landmarks_lie_on_what_they_name(person):
    mouth_open = render(frontal(person, {"AU26": 1.0, "AU27": 0.8}), 96)
    inside = mouth_open.landmarks[geometry.INNER_LIPS]
    column, row = inside[2] * 0.35 + inside[6] * 0.65
    cheek_column, cheek_row = mouth_open.landmarks[31] * 0.5 + mouth_open.landmarks[3] * 0.5
    dark, skin = mouth_open.image[int(row), int(column)], mouth_open.image[int(cheek_row), int(cheek_column)]
    assert dark < 0.6 * skin
    for eye in geometry.EYES:
        column, row = mouth_open.landmarks[eye].mean(axis=0)
        assert mouth_open.image[int(row) - 1 : int(row) + 2, int(column) - 1 : int(column) + 2].min() < 0.6 * skin


def test_landmarks_of_typical_faces_stay_in_the_picture():
    for seed in range(60):
        face = sample_face(seed, BASIC7[seed % 7], sample_identity(seed))
        points = render(face, 48).landmarks
        features = points[17:]  # the jaw may leave a tight crop, brows, eyes, nose and mouth may not
        assert features.min() > 0 and features.max() < 48


def test_mirror_names_the_landmark_on_the_other_side():
    assert np.array_equal(MIRROR[MIRROR], np.arange(68))
    rest = rest_landmarks(View(Pose(centre_x=0.5), 1))
    mirrored = rest[MIRROR] * [-1, 1] + [1, 0]
    np.testing.assert_allclose(mirrored, rest, atol=1e-9)


def test_every_action_unit_moves_the_face(person):
    still = place_landmarks(person, np.zeros(len(UNITS)))
    for index, unit in enumerate(UNITS):
        moved = place_landmarks(person, np.eye(len(UNITS))[index])
        assert np.abs(moved - still).max() > 0.005, unit


@pytest.mark.parametrize(
    ("unit", "landmark", "axis", "sign"),
    [
        ("AU1", 21, 1, -1),  # inner brow up
        ("AU2", 17, 1, -1),  # outer brow up
        ("AU4", 21, 1, +1),  # brow down
        ("AU4", 21, 0, +1),  # and to the middle
        ("AU5", 37, 1, -1),  # upper lid up
        ("AU9", 33, 1, -1),  # nose up
        ("AU12", 54, 1, -1),  # corner of the mouth up
        ("AU15", 54, 1, +1),  # and down
        ("AU20", 54, 0, +1),  # and out
        ("AU26", 8, 1, +1),  # chin down
    ],
)
def test_action_units_move_what_they_are_named_for(person, unit, landmark, axis, sign):
    full = place_landmarks(person, intensities({unit: 1.0}, {}))
    half = place_landmarks(person, intensities({unit: 0.5}, {}))
    still = place_landmarks(person, intensities({}, {}))
    assert sign * (full - still)[landmark, axis] > 0.03
    assert sign * (full - half)[landmark, axis] > 0


def test_lids_and_lips_never_cross():
    rng = np.random.default_rng(0)
    for seed in range(40):
        points = place_landmarks(sample_identity(seed), rng.random(len(UNITS)))
        for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46), (61, 67), (62, 66), (63, 65), (51, 62), (66, 57)):
            assert points[upper, 1] < points[lower, 1]


def test_full_expressions_show_their_prototype():
    rng = np.random.default_rng(0)
    for label, prototype in PROTOTYPES.items():
        shown = [sample_action_units(label, rng, strength=1.0) for _ in range(60)]
        for unit, share in prototype.items():
            seen = np.mean([unit in units for units in shown])
            assert seen == 1 if share == 1 else abs(seen - share) < 0.25, (label, unit)
        assert all(0 < value <= 1 for units in shown for value in units.values())
        assert all(set(units) <= {*prototype, "AU27"} for units in shown)


def test_look_alikes_share_action_units_more_than_others():
    rng = np.random.default_rng(1)
    index = {unit: place for place, unit in enumerate(UNITS)}

    def mean_units(label):
        total = np.zeros(len(UNITS))
        for _ in range(300):
            for unit, value in sample_action_units(label, rng).items():
                total[index[unit]] += value
        return total / 300

    means = {label: mean_units(label) for label in BASIC7}

    def distance(a, b):
        return np.linalg.norm(means[a] - means[b])

    assert distance("fear", "surprise") < distance("fear", "happiness")
    assert distance("anger", "disgust") < distance("anger", "happiness")
    assert distance("sadness", "neutral") < distance("happiness", "neutral")


def test_light_shows_in_the_picture(person):
    pictures = {
        light: np.stack([render(frontal(person, {}, light, seed=seed), 48).image for seed in range(8)]).astype(float)
        for light in LIGHTS
    }
    assert pictures["low"].mean() < 0.5 * pictures["normal"].mean()
    halves = {
        light: (faces[:, 10:40, 8:24].mean((1, 2)), faces[:, 10:40, 24:40].mean((1, 2)))
        for light, faces in pictures.items()
    }
    uneven = {light: np.mean(np.abs(left - right) / (left + right)) for light, (left, right) in halves.items()}
    assert uneven["side"] > 2 * uneven["normal"]
    corners = pictures["back"][:, :4, :4].mean()
    assert pictures["back"][:, 20:30, 18:30].mean() < 0.6 * max(corners, pictures["back"].max(axis=(1, 2)).mean())


@pytest.mark.parametrize("kind", OCCLUSIONS[1:])
def test_occluders_cover_what_they_are_named_for(person, kind):
    landmarks = render(frontal(person, {}), 96).landmarks
    for seed in range(5):
        rng = np.random.default_rng(seed)
        alpha, tone = occluders.draw_occluder(kind, landmarks, (96, 96), 0.6, 0.1, rng)
        assert alpha.shape == tone.shape == (96, 96)
        assert alpha.min() >= 0 and alpha.max() <= 1 and 0.03 < alpha.mean() < 0.6

        def covered(points, alpha=alpha):
            columns, rows = points.mean(axis=0).astype(int)
            return alpha[rows, columns] > 0.5

        eyes = [covered(landmarks[eye]) for eye in geometry.EYES]
        mouth = covered(landmarks[geometry.LIPS])
        expected = {
            "mask": not any(eyes) and mouth,
            "sunglasses": all(eyes) and not mouth,
            "hand_mouth": not any(eyes) and mouth,
            "hand_eyes": all(eyes) and not mouth,
            "hair": sum(eyes) == 1,
            "patch": True,
        }
        assert expected[kind], seed


def test_occlusion_changes_the_picture_only_where_something_is(person):
    for kind in OCCLUSIONS[1:]:
        covered = render(frontal(person, {}, occlusion=kind), 48).image
        assert not np.array_equal(covered, render(frontal(person, {}), 48).image)


def test_what_cannot_be_drawn_is_refused(person):
    with pytest.raises(FerError, match="at least 16, found 12"):
        render(frontal(person, {}), 12)
    with pytest.raises(FerError, match="light 'dusk' is unknown"):
        render(frontal(person, {}, light="dusk"), 48)
    with pytest.raises(FerError, match="occlusion 'hat' is unknown"):
        render(frontal(person, {}, occlusion="hat"), 48)
    with pytest.raises(FerError, match="label 'contempt' has no action-unit prototype"):
        sample_face(0, "contempt", person)
    with pytest.raises(FerError, match="occlusion 'none' cannot be drawn"):
        occluders.draw_occluder("none", np.zeros((68, 2)), (48, 48), 0.5, 0.1, np.random.default_rng(0))
