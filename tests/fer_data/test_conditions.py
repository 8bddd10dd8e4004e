"""Covering and relighting faces, and telling the light: by seed, in place, and refused where it cannot be."""

from itertools import pairwise

import numpy as np
import pytest

from fer_data.conditions import (
    SEVERITIES,
    CoverableFace,
    estimate_landmarks,
    measure_light,
    occlude,
    relight,
    symmetry_axis,
)
from fer_data.drawn.face import Face, Pose
from fer_data.drawn.population import sample_face, sample_identity
from fer_data.drawn.rendering import render
from fer_data.errors import FerError
from fer_data.expressions import LIGHTS, OCCLUSIONS
from fer_data.low_light import EXPOSURES


@pytest.fixture(scope="module")
def faces():
    return [render(Face(sample_identity(seed), {}, Pose(scale=0.43, centre_y=0.37), "normal", "none", seed), 48)
                for seed in range(12)]  # fmt: skip


@pytest.mark.parametrize("kind", OCCLUSIONS[1:])
def test_occlusion_by_seed_and_in_place(faces, kind):
    image = faces[0].image
    covered = occlude(image, kind, 7)
    assert covered.shape == image.shape and covered.dtype == np.uint8
    assert np.array_equal(covered, occlude(image, kind, 7))
    assert not np.array_equal(covered, occlude(image, kind, 8))
    changed = np.abs(covered.astype(int) - image) > 12
    assert 0.02 < changed.mean() < 0.7


def test_a_mask_covers_the_mouth_and_sunglasses_the_eyes(faces):
    for drawing in faces:
        image = drawing.image.astype(int)
        for given in (None, drawing.landmarks):
            mask = np.abs(occlude(drawing.image, "mask", 1, given) - image)
            glasses = np.abs(occlude(drawing.image, "sunglasses", 1, given) - image)
            assert mask[34:44, 16:32].mean() > 4 * mask[12:20, 12:36].mean()
            assert glasses[14:22, 10:38].mean() > 4 * glasses[36:46, 12:36].mean()


def test_landmarks_decide_where_things_go(faces):
    image, points = faces[1].image, faces[1].landmarks
    shifted = points + np.array([0, -12])
    high, low = occlude(image, "mask", 0, shifted), occlude(image, "mask", 0, points.ravel())
    rows = np.arange(48)[:, None]

    def middle_row(covered):
        weight = np.abs(covered.astype(int) - image)
        return (weight * rows).sum() / weight.sum()

    assert middle_row(low) - middle_row(high) > 6


def test_colour_pictures_stay_in_colour(faces):
    colour = np.stack([faces[0].image, faces[0].image // 2, faces[0].image // 3], axis=2)
    for covered in (
        occlude(colour, "patch", 0),
        relight(colour, "low", 0),
        relight(colour, "side", 0),
        relight(colour, "back", 0),
    ):
        assert covered.shape == (48, 48, 3) and covered.dtype == np.uint8


@pytest.mark.parametrize("kind", LIGHTS[1:])
def test_relighting_by_seed(faces, kind):
    image = faces[2].image
    lit = relight(image, kind, 3)
    assert lit.shape == image.shape and lit.dtype == np.uint8
    assert np.array_equal(lit, relight(image, kind, 3))
    assert not np.array_equal(lit, relight(image, kind, 4))


def test_nothing_asked_nothing_done(faces):
    image = faces[0].image
    for same in (occlude(image, "none", 0), relight(image, "normal", 0)):
        assert np.array_equal(same, image) and same is not image


def test_relit_faces_are_measured_as_such(faces):
    for kind, least in (("low", 0.8), ("side", 0.8), ("back", 0.6), ("normal", 0.8)):
        measured = measure_light([relight(drawing.image, kind, seed) for seed, drawing in enumerate(faces)])
        assert np.mean([name == kind for name in measured]) >= least, kind


def test_drawn_light_is_measured_far_above_chance():
    hits = []
    for seed in range(80):
        kind = LIGHTS[seed % 4]
        face = sample_face(seed, "neutral", sample_identity(seed), light=kind)
        hits.append(measure_light([render(face, 48).image]) == [kind])
    assert np.mean(hits) > 0.65  # chance is 0.25


def test_a_constant_picture_has_no_light():
    assert measure_light([np.full((48, 48), 40, np.uint8)]) == [None]
    assert measure_light(np.zeros((2, 48, 48), np.uint8)) == [None, None]


def test_the_axis_of_a_symmetric_picture_is_found():
    rng = np.random.default_rng(0)
    for shift in (-3, -1, 0, 2):
        half = rng.integers(0, 256, (48, 24), dtype=np.uint8)
        whole = np.hstack([half[:, ::-1], half])
        moved = np.roll(whole, shift, axis=1)
        assert symmetry_axis(moved) == 24 + shift


def test_estimated_landmarks_are_near_the_true_ones(faces):
    errors = [np.abs(estimate_landmarks(drawing.image) - drawing.landmarks)[17:].mean() for drawing in faces]
    assert np.mean(errors) < 2.5  # pixels of 48


@pytest.mark.parametrize("act", [lambda image: occlude(image, "mask", 0), lambda image: relight(image, "low", 0),
                                 lambda image: measure_light([image]), estimate_landmarks, symmetry_axis])  # fmt: skip
def test_what_is_no_picture_is_refused(act):
    with pytest.raises(FerError, match=r"expected uint8 \[H, W\]"):
        act(np.zeros((48, 48)))
    with pytest.raises(FerError, match=r"expected uint8 \[H, W\]"):
        act(np.zeros((48, 48, 4), np.uint8))
    with pytest.raises(FerError, match="at least 16x16"):
        act(np.zeros((8, 48), np.uint8))


def test_unknown_kinds_and_broken_landmarks_are_refused(faces):
    with pytest.raises(FerError, match="occlusion 'hat' is unknown"):
        occlude(faces[0].image, "hat", 0)
    with pytest.raises(FerError, match="light 'dusk' is unknown"):
        relight(faces[0].image, "dusk", 0)
    with pytest.raises(FerError, match="expected 68 finite points"):
        occlude(faces[0].image, "mask", 0, np.zeros((5, 2)))
    with pytest.raises(FerError, match="expected 68 finite points"):
        occlude(faces[0].image, "mask", 0, np.full((68, 2), np.nan))


@pytest.mark.parametrize("kind", OCCLUSIONS[1:])
def test_a_higher_severity_covers_more_of_a_face(faces, kind):
    for number, drawing in enumerate(faces):
        face = CoverableFace(drawing.image)
        changed = [
            np.abs(face.cover(kind, number, severity).astype(int) - drawing.image) > 8 for severity in SEVERITIES
        ]
        areas = np.array([one.mean() for one in changed])
        assert (np.diff(areas) > 0).all(), (number, areas)
        assert areas[0] < 0.25 < areas[-1]


def test_a_higher_severity_is_darker_and_noisier():
    grey = np.full((64, 64), 150, np.uint8)
    dark = [relight(grey, "low", 3, severity).astype(float) for severity in SEVERITIES]
    means = [picture.mean() for picture in dark]
    assert all(later < earlier for earlier, later in pairwise(means))
    noise = [picture.std() / picture.mean() for picture in dark]
    assert all(later > earlier for earlier, later in pairwise(noise))


def test_the_dark_is_that_of_a_camera():
    """The mean light of many exposures is gain · level^gamma, and its noise that of counting and reading electrons."""
    grey = np.full((400, 400), 180, np.uint8)
    exposure = EXPOSURES[2]
    light = (relight(grey, "low", 0, 3) / 255) ** 2.2
    expected = (exposure.gain * (180 / 255) ** exposure.gamma) ** 2.2
    assert light.mean() == pytest.approx(expected, rel=0.02)
    counted = expected * exposure.electrons + 2.0**2
    assert light.std() * exposure.electrons == pytest.approx(np.sqrt(counted), rel=0.1)


def test_severities_by_seed_and_in_the_same_place(faces):
    image = faces[3].image
    for severity in SEVERITIES:
        assert np.array_equal(
            occlude(image, "hair", 4, severity=severity), CoverableFace(image).cover("hair", 4, severity)
        )
        assert np.array_equal(relight(image, "low", 4, severity), relight(image, "low", 4, severity))
        assert not np.array_equal(relight(image, "low", 4, severity), relight(image, "low", 5, severity))
    assert np.array_equal(relight(image, "normal", 0, 3), image)


def test_severities_that_are_none_are_refused(faces):
    image = faces[0].image
    with pytest.raises(FerError, match="expected one of 1, 2, 3, 4, 5, found 6"):
        occlude(image, "mask", 0, severity=6)
    with pytest.raises(FerError, match="found 0"):
        relight(image, "low", 0, 0)
    with pytest.raises(FerError, match="'side' has no severities"):
        relight(image, "side", 0, 1)
