import numpy as np
import pytest

from generators.checks.picture_faults import clipping, contrast, detail

CHECKERBOARD = np.indices((24, 24)).sum(axis=0) % 2 * 2 - 1


def smooth_picture(channels=1):
    row = 128 + 60 * np.sin(np.arange(24) / 5)
    return np.broadcast_to(row, (1, channels, 24, 24)).astype(np.uint8)


def test_a_checkerboard_and_noise_have_much_detail_a_gradient_has_none():
    noise = np.random.default_rng(0).integers(0, 256, (20, 1, 24, 24), dtype=np.uint8)
    checkered = np.clip(smooth_picture() + 30 * CHECKERBOARD, 0, 255).astype(np.uint8)
    assert detail(smooth_picture()) == pytest.approx([0], abs=1e-6)
    assert detail(noise) == pytest.approx(np.ones(20), abs=0.1)  # four independent pixels, halved
    assert detail(checkered)[0] > 0.8
    assert detail((128 + 40 * CHECKERBOARD).astype(np.uint8)[None, None]) == pytest.approx([2])


def test_detail_does_not_depend_on_how_strong_the_contrast_is():
    picture = np.random.default_rng(1).normal(128, 40, (1, 1, 24, 24)).clip(60, 200)
    weaker = 128 + (picture - 128) / 2
    assert detail(weaker.astype(np.uint8)) == pytest.approx(detail(picture.astype(np.uint8)), rel=0.05)


def test_a_flat_picture_has_no_contrast_and_no_detail():
    flat = np.full((1, 3, 24, 24), 77, np.uint8)
    assert contrast(flat) == detail(flat) == clipping(flat) == 0


def test_contrast_and_clipping_are_plain_statistics():
    pictures = np.zeros((2, 3, 24, 24), np.uint8)
    pictures[0, :, :6] = 255
    pictures[1] = 100
    pictures[1, :, 0, :12] = 254
    assert contrast(pictures)[0] == pytest.approx(pictures[0].std())
    assert clipping(pictures) == pytest.approx([1, 12 / 576])
