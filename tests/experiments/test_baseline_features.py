"""HOG and LBP against slow, plain versions of their definitions."""

import math

import numpy as np
import pytest

from experiments.baselines import features
from fer_data.errors import FerError


@pytest.fixture
def faces() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (3, 24, 24), dtype=np.uint8)


def plain_hog(face: np.ndarray) -> np.ndarray:
    """Dalal & Triggs, pixel by pixel."""
    grey = np.sqrt(face.astype(float))
    side = len(grey)
    cells = np.zeros((side // 8, side // 8, 9))
    for row in range(side):
        for column in range(side):
            down = grey[row + 1, column] - grey[row - 1, column] if 0 < row < side - 1 else 0.0
            right = grey[row, column + 1] - grey[row, column - 1] if 0 < column < side - 1 else 0.0
            degrees = math.degrees(math.atan2(down, right)) % 180
            low = int(degrees // 20) % 9
            share = degrees / 20 - degrees // 20
            strength = math.hypot(down, right)
            cells[row // 8, column // 8, low] += strength * (1 - share)
            cells[row // 8, column // 8, (low + 1) % 9] += strength * share
    blocks = []
    for row in range(side // 8 - 1):
        for column in range(side // 8 - 1):
            block = cells[row : row + 2, column : column + 2].ravel()
            block = np.minimum(block / math.sqrt((block**2).sum() + 1e-6), 0.2)
            blocks.append(block / math.sqrt((block**2).sum() + 1e-6))
    return np.concatenate(blocks)


def plain_lbp(face: np.ndarray) -> list[dict[str, int]]:
    """How often each pattern of bits comes, cell by cell; "other" for those that change more than twice."""
    padded = np.pad(face.astype(int), 1, mode="edge")
    cells = [{} for _ in range((len(face) // 8) ** 2)]
    around = [(-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1)]
    for row in range(len(face)):
        for column in range(len(face)):
            bits = [int(padded[row + 1 + r, column + 1 + c] >= face[row, column]) for r, c in around]
            changes = sum(bits[i] != bits[i - 1] for i in range(8))
            name = "".join("01"[bit] for bit in bits) if changes <= 2 else "other"
            cell = cells[row // 8 * (len(face) // 8) + column // 8]
            cell[name] = cell.get(name, 0) + 1
    return cells


def test_hog_is_what_its_authors_describe(faces):
    found = features.hog(faces)
    assert found.shape == (3, 2 * 2 * 36) and found.dtype == np.float32
    for face, values in zip(faces, found, strict=True):
        np.testing.assert_allclose(values, plain_hog(face), atol=2e-5)


def test_hog_of_a_real_size_has_900_numbers_and_stripes_fall_into_one_bin():
    stripes = np.broadcast_to(np.where(np.arange(48) // 3 % 2, 40, 200).astype(np.uint8), (1, 48, 48))  # upright
    values = features.hog(stripes).reshape(25, 4, 9)
    assert values.size == 900
    assert (values[..., 1:].max(axis=(0, 1)) == 0).all() and (values[..., 0] > 0.4).all()


def test_lbp_counts_the_uniform_patterns_of_every_cell(faces):
    found = features.lbp(faces)
    assert found.shape == (3, 9 * 59) and found.dtype == np.float32
    np.testing.assert_allclose((found**2).reshape(3, 9, 59).sum(axis=2), 1, atol=1e-6)
    for face, values in zip(faces, found, strict=True):
        counts = np.rint(values.reshape(9, 59) ** 2 * 64).astype(int)
        for cell, expected in zip(counts, plain_lbp(face), strict=True):
            assert cell[58] == expected.pop("other", 0)
            assert sorted(cell[:58][cell[:58] > 0]) == sorted(expected.values())


def test_uniform_patterns_are_58_each_with_a_number_of_its_own():
    codes = features.uniform_codes()
    assert sorted(np.bincount(codes))[-1] == 256 - 58 and np.bincount(codes)[58] == 256 - 58
    assert (np.bincount(codes)[:58] == 1).all()
    assert codes[0b01010101] == 58 and codes[0b00011100] < 58 and codes[0b10000001] < 58  # the bits are a ring


def test_chunks_change_nothing(faces, monkeypatch):
    whole = features.hog(faces), features.lbp(faces)
    monkeypatch.setattr(features, "_CHUNK", 2)
    np.testing.assert_array_equal(features.hog(faces), whole[0])
    np.testing.assert_array_equal(features.lbp(faces), whole[1])


def test_pixels_are_grey_levels_between_0_and_1(faces):
    found = features.pixels(faces)
    assert found.shape == (3, 576) and found.max() <= 1
    np.testing.assert_allclose(found[1] * 255, faces[1].ravel(), rtol=1e-6)


def test_faces_that_fit_no_cells_are_refused():
    with pytest.raises(FerError, match=r"S a multiple of 8, found \[2, 20, 20\]"):
        features.lbp(np.zeros((2, 20, 20), dtype=np.uint8))
    with pytest.raises(FerError, match="expected grey faces"):
        features.hog(np.zeros((2, 1, 24, 24), dtype=np.uint8))
    with pytest.raises(FerError, match="at least 16 px, found 8"):
        features.hog(np.zeros((2, 8, 8), dtype=np.uint8))
