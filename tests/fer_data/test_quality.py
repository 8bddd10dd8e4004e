"""Picture quality: closed forms for the measures, order for the scores, flags by threshold, nothing measured twice."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageFilter

from fer_data import licenses, manifest, quality, tables
from fer_data.configuration import build
from fer_data.drawn.population import sample_face, sample_identity
from fer_data.drawn.rendering import render
from fer_data.errors import FerError
from fer_data.quality import ISSUES, MEASURED, QualityConfig, mark_quality, measure_quality, score_pictures
from fer_data.samples import Sample
from fer_data.store import Store
from fer_data.store_writer import StoreWriter
from fer_data.votes import FERPLUS_COLUMNS


def batch(*images):
    return np.stack(images)[:, None]


def scores_of(image: np.ndarray) -> pd.Series:
    return score_pictures(batch(image)).iloc[0]


@pytest.fixture(scope="module")
def face():
    return render(sample_face(5, "surprise", sample_identity(1)), 48).image


def test_constant_pictures_are_blank_and_black_and_white_ones_dark_and_bright():
    black, grey, white = (np.full((48, 48), tone, np.uint8) for tone in (0, 128, 255))
    scores = score_pictures(batch(black, grey, white))
    assert scores["brightness"].tolist() == pytest.approx([0, 128 / 255, 1])
    assert scores["dark_score"].tolist() == pytest.approx([0, 128 / 255, 1])
    assert scores["bright_score"].tolist() == pytest.approx([1, 127 / 255, 0])
    for name in ("contrast", "sharpness", "blank"):
        assert scores[f"{name}_score"].tolist() == [0, 0, 0]


def test_scores_agree_with_closed_forms_on_two_halves():
    low, high = 77, 128
    image = np.full((48, 48), low, np.uint8)
    image[:, 24:] = high
    scores = scores_of(image)
    a, b = low / 255, high / 255
    assert scores["brightness"] == pytest.approx((a + b) / 2)
    assert scores["dark_score"] == pytest.approx(b)
    assert scores["bright_score"] == pytest.approx(1 - a + (b - a) / 2)
    assert scores["contrast_score"] == pytest.approx((b - a) / (a + b + 0.4))
    assert scores["blank_score"] == pytest.approx(0.5)
    # In two of the 28 middle columns the Laplacian is ±51 and the central difference 25.5; 95 % of the pixels of the
    # middle include such columns, as they are 7 % of it.
    sudden, strong = 51 / 25.5, (51 / 255) / (b - a)
    assert scores["sharpness_score"] == pytest.approx(min(1.0, np.sqrt(sudden * strong)))


def test_quantiles_agree_with_numpy():
    tones = np.random.default_rng(0).integers(0, 256, (5, 100), dtype=np.int64)
    counts = quality._tones(tones, 256)
    assert counts[:, -1].tolist() == [100] * 5
    for share in (0.02, 0.05, 0.25, 0.95, 1.0):
        expected = np.quantile(tones, share, axis=1, method="inverted_cdf")
        assert quality._quantile(counts, share).tolist() == expected.tolist()


def test_sharpness_agrees_with_scipy_on_noise():
    ndimage = pytest.importorskip("scipy.ndimage")
    image = np.random.default_rng(3).normal(128, 20, (48, 48))
    image = ndimage.gaussian_filter(image, 2.0) * 4 - 384  # soft enough not to reach 1
    image = np.clip(image, 0, 255).round().astype(np.uint8)
    inner = image[8:40, 10:38].astype(float)
    laplacian = np.abs(ndimage.laplace(image.astype(float), mode="nearest"))[8:40, 10:38]
    rows = ndimage.correlate1d(image.astype(float), [-1, 0, 1], axis=0)[8:40, 10:38]
    columns = ndimage.correlate1d(image.astype(float), [-1, 0, 1], axis=1)[8:40, 10:38]
    gradient = np.hypot(rows, columns) / 2
    low, high = np.quantile(inner, (0.02, 0.98), method="inverted_cdf")
    strong = np.quantile(laplacian, 0.95, method="inverted_cdf") / (high - low)
    expected = np.sqrt(laplacian.mean() / gradient.mean() * strong)
    assert expected < 1
    assert scores_of(image)["sharpness_score"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("issue", "spoil"),
    [
        ("dark", lambda face: (face * 0.08).astype(np.uint8)),
        ("bright", lambda face: (235 + face * 0.07).astype(np.uint8)),
        ("low_contrast", lambda face: (120 + (face.astype(float) - 120) * 0.1).astype(np.uint8)),
        ("blurred", lambda face: np.asarray(Image.fromarray(face).filter(ImageFilter.GaussianBlur(3)))),
        ("blank", lambda face: (120 + (face.astype(float) - 120) * 0.02).astype(np.uint8)),
    ],
)
def test_every_score_falls_with_its_defect(face, issue, spoil):
    unknown = {"square_score": 1.0, "face_score": np.nan}
    good, bad = (
        mark_quality(score_pictures(batch(image)).assign(**unknown), QualityConfig()).iloc[0]
        for image in (face, spoil(face))
    )
    assert bad[ISSUES[issue]] < good[ISSUES[issue]]
    assert bad[f"is_{issue}"]
    assert not any(good[f"is_{name}"] for name in ISSUES)


def test_a_face_against_the_light_is_dark_and_a_dark_background_is_not(face):
    against = face.copy()
    against[:8] = against[:, :9] = against[:, 39:] = 255
    against[8:, 9:39] = face[8:, 9:39] // 6
    before = face.copy()
    before[:8] = before[:, :9] = before[:, 39:] = 0
    assert scores_of(against)["dark_score"] < QualityConfig().dark < scores_of(before)["dark_score"]


def test_a_constant_picture_as_noisy_jpeg_is_still_blank():
    noisy = np.clip(np.random.default_rng(0).normal(200, 2, (48, 48)), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noisy).save(buffer, "JPEG", quality=60)
    assert scores_of(np.asarray(Image.open(buffer)))["blank_score"] < 0.02


def test_thresholds_only_move_the_flags(face):
    scores = score_pictures(batch(face, np.zeros((48, 48), np.uint8))).assign(square_score=1.0, face_score=0.4)
    none = mark_quality(scores, build(QualityConfig, dict.fromkeys(ISSUES, 0.0), "test"))
    assert not none.filter(like="is_").to_numpy().any()
    assert none[scores.columns].equals(scores)
    assert mark_quality(scores, QualityConfig())["is_not_a_face"].all()


def test_shape_and_votes_are_scored_and_what_nobody_said_is_unknown(project):
    votes = [[0] * 9 + [6], [10] + [0] * 9, None, [0] * 10]
    sizes = [(12, 12), (12, 30), (24, 12), (12, 12)]
    with StoreWriter(
        "s", project, licence=licenses.DRAWN.as_dict(), source="s", votes_labels=FERPLUS_COLUMNS
    ) as writer:
        for row, (counts, size) in enumerate(zip(votes, sizes, strict=True)):
            facts = {"votes": counts} if counts else {}
            writer.add(Sample(f"{row}", np.full(size, row, np.uint8), None, None, None, "row", facts))
        store = writer.close()
    frame = manifest.new_rows(
        4, sample_id=list("abcd"), store=f"stores/{store.path.name}", store_row=np.arange(4), group_id=np.arange(4)
    )
    made = manifest.write(frame, project / "m", label_set="basic7", command="test", licence=licenses.DRAWN.as_dict())
    scores = measure_quality(made)
    assert scores["square_score"].tolist() == pytest.approx([1, 0.4, 0.5, 1])
    assert scores["face_score"].tolist() == pytest.approx([0, 1, np.nan, np.nan], nan_ok=True)
    marked = mark_quality(scores, QualityConfig())
    assert marked["is_not_a_face"].tolist() == [True, False, False, False]
    assert marked["is_not_square"].tolist() == [False, True, True, False]


def test_a_table_for_a_manifest(noise_manifest, tmp_path):
    made = noise_manifest(["fear", "anger", None], ["train", "val", "test"])
    scores = measure_quality(made)
    assert scores["sample_id"].tolist() == made.frame["sample_id"].tolist()
    expected = score_pictures(made.pictures(48, 1))
    assert scores[["brightness", *MEASURED]].equals(expected)
    path = quality.write_quality(made, QualityConfig(), tmp_path / "quality.parquet")
    table, metadata = tables.read_table(path, kind="quality")
    assert table["sample_id"].to_pylist() == scores["sample_id"].tolist()
    assert list(metadata["parents"].values()) == [made.sha256]
    assert metadata["rows"] == 3
    assert metadata["counts"] == {issue: int(np.sum(table[f"is_{issue}"].to_pylist())) for issue in ISSUES}
    with pytest.raises(FerError, match="exists"):
        quality.write_quality(made, QualityConfig(), path)


def test_what_was_measured_is_not_read_again(noise_manifest, monkeypatch):
    made = noise_manifest(["fear"] * 6, ["train"] * 6)
    read: list[int] = []
    reading = Store.pictures

    def counting(store, rows, *rest):
        read.extend(int(row) for row in rows)
        return reading(store, rows, *rest)

    monkeypatch.setattr(Store, "pictures", counting)
    part = manifest.write(
        made.frame.iloc[[4, 1]].reset_index(drop=True),
        made.path.with_name("part"),
        label_set="basic7",
        command="test",
        licence=made.metadata["licence"],
    )
    first = measure_quality(part)
    assert read == [1, 4]
    everything = measure_quality(made)
    assert read == [1, 4, 0, 2, 3, 5]
    assert measure_quality(made).equals(everything)
    assert len(read) == 6
    assert everything.iloc[[4, 1]].reset_index(drop=True).equals(first)


@pytest.mark.parametrize("damage", ["other version", "not a table"])
def test_a_cache_that_does_not_fit_is_made_again(noise_manifest, damage):
    made = noise_manifest(["fear"] * 3, ["train"] * 3)
    expected = measure_quality(made)
    (path,) = (made.root / "cache" / "quality").iterdir()
    if damage == "not a table":
        path.write_bytes(b"PAR1")
    else:
        table, metadata = tables.read_table(path)
        zeros = table.set_column(1, "brightness", table["sharpness_score"])
        tables.write_table(path, zeros, {**metadata, "version": "0"}, replace=True)
    assert measure_quality(made).equals(expected)


def test_an_empty_batch_and_wrong_pixels():
    assert list(score_pictures(np.empty((0, 1, 48, 48), np.uint8)).columns) == ["brightness", *MEASURED]
    for wrong in (np.zeros((1, 3, 48, 48), np.uint8), np.zeros((1, 1, 48, 48)), np.zeros((1, 1, 8, 8), np.uint8)):
        with pytest.raises(FerError, match="expected grey pictures"):
            score_pictures(wrong)
