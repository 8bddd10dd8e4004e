"""Picture quality: closed forms for the measures, order for the scores, flags by threshold."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from fer_data import tables
from fer_data.configuration import build
from fer_data.drawn.population import sample_face, sample_identity
from fer_data.drawn.rendering import render
from fer_data.errors import FerError
from fer_data.quality import ISSUES, QualityConfig, mark_quality, measure_quality, score_pictures, write_quality


def batch(*images):
    return np.stack(images)[:, None]


@pytest.fixture(scope="module")
def face():
    return render(sample_face(5, "surprise", sample_identity(1)), 48).image


def test_scores_of_constant_pictures():
    black, grey, white = (np.full((48, 48), tone, np.uint8) for tone in (0, 128, 255))
    scores = score_pictures(batch(black, grey, white))
    assert scores["brightness_score"].tolist() == [0, 1, 0]
    for issue in ("contrast", "sharpness", "blankness"):
        assert scores[f"{issue}_score"].tolist() == [0, 0, 0]


def test_scores_agree_with_closed_forms():
    # Two halves of 0.4 ± 0.1: mean 0.4, standard deviation 0.1, range 0.2.
    image = np.full((48, 48), 77, np.uint8)
    image[:, 24:] = 128
    scores = score_pictures(batch(image)).iloc[0]
    spread = (128 - 77) / 2 / 255
    assert scores["brightness_score"] == 1
    assert scores["contrast_score"] == pytest.approx(spread / 0.18, abs=1e-5)
    assert scores["blankness_score"] == pytest.approx(1.0)
    edge = 51 / 255 * np.sqrt(2 / 46)  # the Laplacian is ±51 in two of the 46 inner columns
    assert scores["sharpness_score"] == pytest.approx(min(1, edge / spread / 0.5), abs=1e-5)


def test_every_score_falls_with_its_defect(face):
    bad = {
        "brightness": (face * 0.08).astype(np.uint8),
        "contrast": (120 + (face.astype(float) - 120) * 0.05).astype(np.uint8),
        "sharpness": np.asarray(Image.fromarray(face).filter(ImageFilter.GaussianBlur(3))),
        "blankness": (120 + (face.astype(float) - 120) * 0.02).astype(np.uint8),
    }
    good = mark_quality(score_pictures(batch(face)), QualityConfig()).iloc[0]
    for issue in ISSUES:
        spoiled = mark_quality(score_pictures(batch(bad[issue])), QualityConfig()).iloc[0]
        assert spoiled[f"{issue}_score"] < good[f"{issue}_score"]
        assert spoiled[f"is_{issue}"] and not good[f"is_{issue}"], issue


def test_thresholds_only_move_the_flags(face):
    scores = score_pictures(batch(face, np.zeros((48, 48), np.uint8)))
    none = mark_quality(scores, build(QualityConfig, dict.fromkeys(ISSUES, 0.0), "test"))
    assert not none.filter(like="is_").to_numpy().any()
    assert none[scores.columns].equals(scores)


def test_a_table_for_a_manifest(picture_manifest, tmp_path):
    manifest = picture_manifest([0, 1, 2], ["fear", "anger", None], ["train", "val", "test"])
    scores = measure_quality(manifest)
    assert scores["sample_id"].tolist() == manifest.frame["sample_id"].tolist()
    expected = score_pictures(manifest.pictures(48, 1))
    assert scores.drop(columns="sample_id").equals(expected)
    path = write_quality(manifest, QualityConfig(), tmp_path / "quality.parquet")
    table, metadata = tables.read_table(path, kind="quality")
    assert table["sample_id"].to_pylist() == scores["sample_id"].tolist()
    assert list(metadata["parents"].values()) == [manifest.sha256]
    assert metadata["rows"] == 3 and set(metadata["counts"]) == set(ISSUES)
    with pytest.raises(FerError, match="exists"):
        write_quality(manifest, QualityConfig(), path)


def test_an_empty_batch_and_wrong_pixels():
    assert list(score_pictures(np.empty((0, 1, 48, 48), np.uint8)).columns) == [f"{issue}_score" for issue in ISSUES]
    with pytest.raises(FerError, match="expected grey pictures"):
        score_pictures(np.zeros((1, 3, 48, 48), np.uint8))
    with pytest.raises(FerError, match="expected grey pictures"):
        score_pictures(np.zeros((1, 1, 48, 48)))
