"""Near duplicates: each step against a plain reference, and planted copies found among drawn faces."""

import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageFilter

from fer_data import licenses, manifest, tables
from fer_data.adapters.procedural import Options, read
from fer_data.configuration import resolve
from fer_data.duplicates import EXACT, LINKS, NEAR
from fer_data.errors import FerError
from fer_data.near_duplicates import (
    FEW_ROWS,
    NearDuplicateConfig,
    find_near_duplicates,
    is_flat,
    near_pairs,
)
from fer_data.samples import Sample
from fer_data.similarity import fingerprints, neighbours
from fer_data.similarity.alignment import align
from fer_data.store_writer import StoreWriter
from fer_data.tabular.together import linked_rows

STRICT = NearDuplicateConfig(threshold=0.97)  # drawn faces are more alike than photographs


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    """150 drawn faces without copies, uint8 [150, 48, 48]."""
    options = Options(count=150, seed=11, subjects=150, exact_duplicates=0, near_duplicates=0, blank=0, not_a_face=0)
    return np.stack([sample.image for sample in read(None, options, []).samples])


@pytest.fixture
def face_manifest(project):
    """Makes manifests of given pictures: `face_manifest(pictures, labels, splits, name)`."""

    def make(pictures, labels=None, splits=None, name="faces"):
        labels, splits = labels or ["fear"] * len(pictures), splits or ["train"] * len(pictures)
        with StoreWriter(name, project, licence=licenses.DRAWN.as_dict(), source=name) as writer:
            for row, (pixels, label) in enumerate(zip(pictures, labels, strict=True)):
                writer.add(Sample(f"{row:03d}", np.ascontiguousarray(pixels), label, label, None, f"row {row}"))
            store = writer.close()
        frame = manifest.new_rows(
            len(pictures),
            sample_id=[f"{name}/{row:03d}" for row in range(len(pictures))],
            store=f"stores/{store.path.name}",
            store_row=np.arange(len(pictures)),
            label=np.array(labels, dtype=object),
            split=np.array(splits, dtype=object),
            group_id=np.arange(len(pictures)),
        )
        licence = licenses.DRAWN.as_dict()
        return manifest.write(frame, project / "manifests" / name, label_set="basic7", command="test", licence=licence)

    return make


def resized(pixels, size, box=None):
    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC, box=box))


def as_jpeg(pixels, quality=50):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def relit(pixels, gain, offset):
    return np.clip(pixels * gain + offset, 0, 255).astype(np.uint8)


def shifted(pixels, right, down):
    padded = np.pad(pixels, 4, mode="edge")
    return padded[4 - down : 52 - down, 4 - right : 52 - right]


COPIES = {
    "mirrored": lambda face: face[:, ::-1],
    "shifted": lambda face: shifted(face, 3, -4),
    "cropped": lambda face: resized(face, 48, (1, 3, 45, 47)),
    "brighter": lambda face: relit(face, 1.0, 30),
    "flatter": lambda face: relit(face, 0.6, 40),
    "compressed": as_jpeg,
    "blurred": lambda face: np.asarray(Image.fromarray(face).filter(ImageFilter.GaussianBlur(1.2))),
    "larger": lambda face: resized(face, 100),
    "in colour": lambda face: np.stack([face] * 3, axis=2),
    "mirrored and shifted": lambda face: shifted(face[:, ::-1], -2, 3),
    "compressed and darker": lambda face: relit(as_jpeg(face), 0.8, -10),
}


def test_thumbnails_are_binomial_means(faces):
    weights = np.array([1, 3, 3, 1])
    padded = np.pad(faces[0], 1, mode="edge").astype(int)
    small = fingerprints.thumbnails(faces[:3])
    for y, x in ((0, 0), (5, 17), (23, 23), (0, 11)):
        window = padded[2 * y : 2 * y + 4, 2 * x : 2 * x + 4]
        assert small[0, y, x] == weights @ window @ weights
    assert (fingerprints.thumbnails(np.full((1, 48, 48), 255, np.uint8)) == 255 * fingerprints.UNIT).all()


def test_histograms_cancel_brightness_and_know_the_mirror_image(faces):
    plain = fingerprints.gradient_histograms(fingerprints.thumbnails(faces[:9]))
    np.testing.assert_allclose(np.linalg.norm(plain, axis=1), 1, rtol=1e-5)
    flipped = fingerprints.gradient_histograms(fingerprints.thumbnails(faces[:9, :, ::-1]))
    np.testing.assert_allclose(fingerprints.mirrored(plain), flipped, atol=1e-5)
    half = fingerprints.gradient_histograms(fingerprints.thumbnails(faces[:9] // 2 * 2)[:, :] // 2)
    np.testing.assert_allclose(plain, half, atol=0.03)


def test_fingerprints_of_copies_are_nearer_than_those_of_others(faces):
    small = fingerprints.thumbnails(faces)
    copies = fingerprints.thumbnails(np.stack([shifted(as_jpeg(face), 3, 2) for face in faces]))
    project = fingerprints.fit_projection(small, seed=0)
    cosines = project(fingerprints.gradient_histograms(small)) @ project(fingerprints.gradient_histograms(copies)).T
    assert (cosines.argmax(axis=1) == np.arange(len(faces))).mean() > 0.9
    again = fingerprints.fit_projection(small, seed=0)
    assert np.array_equal(project.axes, again.axes)


def unit_points(count, seed=0):
    points = np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def test_close_pairs_are_those_of_a_plain_comparison(monkeypatch):
    points = unit_points(700)
    i, j, cosine = neighbours.close_pairs(points, points, 0.9, 1000, seed=0)
    expected = np.argwhere(np.triu(points @ points.T, 1) >= 0.9)
    assert sorted(zip(i.tolist(), j.tolist(), strict=True)) == sorted(map(tuple, expected.tolist()))
    np.testing.assert_allclose(cosine, np.einsum("nd,nd->n", points[i], points[j]), rtol=1e-5)
    monkeypatch.setattr(neighbours, "EXHAUSTIVE_ROWS", 100)
    probed = set(
        zip(*(end.tolist() for end in neighbours.close_pairs(points, points, 0.9, 1000, seed=0)[:2]), strict=True)
    )
    assert probed <= set(map(tuple, expected.tolist()))
    assert len(probed) > 0.95 * len(expected)


def test_the_best_partners_are_kept():
    points = unit_points(300)
    i, j, cosine = neighbours.close_pairs(points, points, 0.5, 2, seed=0)
    assert np.bincount(i).max() == 2
    first = np.sort(points[0] @ points[1:].T)[::-1][:2]
    np.testing.assert_allclose(np.sort(cosine[i == 0])[::-1], first, rtol=1e-5)
    assert (i < j).all()


def test_strangers_are_bounded_in_large_sets(monkeypatch):
    points = unit_points(2000)
    assert neighbours.close_enough(points, points, 0.5, 4.0, seed=0) == 0.5
    monkeypatch.setattr(neighbours, "EXHAUSTIVE_ROWS", 1000)
    threshold = neighbours.close_enough(points, points, 0.5, 4.0, seed=0)
    per_picture = (np.triu(points @ points.T, 1) >= threshold).sum() / len(points)
    assert per_picture == pytest.approx(4.0, rel=0.15)
    assert neighbours.close_enough(points, points, 0.99, 4.0, seed=0) == 0.99
    assert neighbours.close_enough(points, points, -1.0, 1e6, seed=0) == -1.0


@pytest.mark.parametrize("probes", [1, 5])
def test_no_close_pairs_at_all(probes):
    points = np.eye(8, dtype=np.float32)
    assert len(neighbours.probed_pairs(points, points, 0.5, 10, 0, probes)[0]) == 0
    assert len(neighbours.close_pairs(points, points, 0.5, 10, 0)[0]) == 0


def test_alignment_measures_shift_and_zoom(faces):
    larger = np.stack([resized(face, 48, (3, 2, 47, 46)) for face in faces[:20]])
    moved = np.stack([shifted(face, 4, -3) for face in faces[:20]])
    small = fingerprints.thumbnails(np.concatenate([faces[:20], moved, larger, faces[:20, :, ::-1]]))
    row = np.arange(20)
    fit = align(small, row, row + 20, np.zeros(20, bool))
    np.testing.assert_allclose(np.median(fit.shift_px, axis=0), [4, -3], atol=0.25)
    np.testing.assert_allclose(np.median(fit.zoom, axis=0), 1, atol=0.02)
    fit = align(small, row, row + 40, np.zeros(20, bool))
    np.testing.assert_allclose(np.median(fit.zoom, axis=0), 48 / 44, atol=0.02)
    centre = (24 - 3) * 48 / 44 - 24, (24 - 2) * 48 / 44 - 24  # where the middle of the first lies in the second
    np.testing.assert_allclose(np.median(fit.shift_px, axis=0), centre, atol=0.4)
    fit = align(small, row, row + 60, np.ones(20, bool))
    np.testing.assert_allclose(fit.similarity, 1, atol=4e-3)
    np.testing.assert_allclose(fit.shift_px, 0, atol=0.1)
    assert len(align(small, row[:0], row[:0], np.zeros(0, bool)).similarity) == 0


@pytest.mark.parametrize("kind", COPIES)
def test_copies_of_every_kind_are_found(kind, faces, face_manifest):
    copies = [COPIES[kind](face) for face in faces[:25]]
    found = find_near_duplicates([face_manifest([*faces[:40], *copies])], STRICT).links
    pairs = set(zip(found["a"], found["b"], strict=True))
    planted = {(f"faces/{row:03d}", f"faces/{40 + row:03d}") for row in range(25)}
    assert len(pairs & planted) >= 24
    assert len(pairs - planted) <= 2
    if "mirrored" in kind:
        of_planted = found[[pair in planted for pair in zip(found["a"], found["b"], strict=True)]]
        assert of_planted["mirrored"].mean() > 0.9


def test_fingerprints_lead_to_the_copies_among_many(faces):
    assert len(faces) + 40 > FEW_ROWS
    kinds = [kind for kind in COPIES if kind not in ("larger", "in colour")]
    copies = np.stack([COPIES[kinds[row % len(kinds)]](faces[row]) for row in range(40)])
    small = fingerprints.thumbnails(np.concatenate([faces, copies]))
    pairs = near_pairs(small, STRICT)
    found = set(zip(pairs.i.tolist(), pairs.j.tolist(), strict=True))
    planted = {(row, 150 + row) for row in range(40)}
    assert len(found & planted) >= 38
    again = near_pairs(small, STRICT)
    assert all(np.array_equal(one, other) for one, other in zip(pairs, again, strict=True))
    assert (pairs.i < pairs.j).all()
    assert len(found) == len(pairs.i)


def test_pictures_that_show_nothing_are_no_near_duplicates(faces, face_manifest):
    rng = np.random.default_rng(0)
    blanks = [np.full((48, 48), 20 * number, np.uint8) for number in range(5)]
    grainy = [np.clip(rng.normal(90, 2, (48, 48)), 0, 255).astype(np.uint8) for _ in range(5)]
    report = find_near_duplicates([face_manifest([*blanks, *grainy, blanks[0], *faces[:5]])])
    assert report.flat_rows == 11
    assert report.links["kind"].tolist() == [EXACT]
    assert is_flat(fingerprints.thumbnails(np.stack([*blanks, faces[0]])), 4.0).tolist() == [True] * 5 + [False]


@pytest.fixture
def searched(faces, face_manifest):
    """Rows 0 and 1 identical, 2 a copy of them, 3 a copy of 2; 4 and 5 a copy; 6 to 9 others."""
    pictures = [
        faces[0],
        faces[0],
        shifted(faces[0], 2, 1),
        shifted(faces[0], 3, 1),
        faces[4],
        relit(faces[4], 0.9, 20),
    ]
    labels = ["fear", "fear", "surprise", None, "anger", "anger", *["fear"] * 4]
    splits = ["train", "train", "test", "val", "train", None, *["train"] * 4]
    return face_manifest([*pictures, *faces[6:10]], labels, splits)


def test_groups_leaks_and_conflicts_of_both_kinds(searched):
    report = find_near_duplicates([searched], STRICT)
    assert (report.exact.groups, report.exact.rows) == (1, 2)
    assert (report.together.groups, report.together.rows, report.together.largest_group) == (2, 6, 4)
    assert report.together.conflicting_groups == 1
    assert report.together.leaks["test", "train"] == 1
    assert report.together.leaks["train", "test"] == 2
    links = report.links.set_index(["a", "b"])
    assert links.loc[("faces/000", "faces/001"), "kind"] == EXACT
    pair = links.loc[("faces/000", "faces/002")]
    assert (pair["kind"], pair["is_leak"], pair["is_conflict"], pair["mirrored"]) == (NEAR, True, True, False)
    assert pair["shift_x_px"] == pytest.approx(2, abs=0.4)
    assert not links.loc[("faces/004", "faces/005"), ["is_leak", "is_conflict"]].any()
    assert report.links["group"].nunique() == 2
    assert report.pairs_to_look_at(1)[["a", "b"]].to_numpy().tolist() == [["faces/000", "faces/002"]]
    assert (
        report.summary()["near_pairs_across_splits"] == (report.links["is_leak"] & (report.links["kind"] == NEAR)).sum()
    )
    assert report.sentence() == (
        "1 groups of identical pictures (1 surplus faces); 2 groups of the same photograph, near duplicates included, "
        "(4 surplus faces), 1 val faces are the same photograph as train faces, 1 test faces are the same photograph "
        "as train faces, 1 test faces are the same photograph as val faces, 1 groups carry conflicting labels"
    )


def test_the_table_is_read_as_links(searched, project):
    report = find_near_duplicates([searched], STRICT)
    path = report.write(project / "audit" / "duplicates.parquet")
    table, metadata = tables.read_table(path, kind="duplicates")
    assert table.schema.names == LINKS.names
    assert metadata["parents"] == {"manifests/faces.parquet": searched.sha256}
    assert metadata["configuration"]["threshold"] == 0.97
    assert metadata["near_pairs"] == table["kind"].to_pylist().count(NEAR)
    together = linked_rows(searched.table["sample_id"], path, [EXACT])
    assert together.rows.tolist() == [0, 1]
    with pytest.raises(FerError, match="exists"):
        report.write(path)
    report.write(path, replace=True)


def groups_of(together):
    rows = {}
    for row, code in zip(together.rows.tolist(), together.codes.tolist(), strict=True):
        rows.setdefault(code, set()).add(row)
    return {frozenset(group) for group in rows.values()}


def test_links_keep_copies_together(searched, project):
    path = find_near_duplicates([searched], STRICT).write(project / "links.parquet")
    together = linked_rows(searched.table["sample_id"], path)
    assert groups_of(together) == {frozenset({0, 1, 2, 3}), frozenset({4, 5})}


def test_rows_stay_together_when_what_linked_them_is_gone(searched, project):
    path = find_near_duplicates([searched], STRICT).write(project / "links.parquet")
    left = searched.table["sample_id"].take(pa.array([1, 3, 8]))
    assert groups_of(linked_rows(left, path)) == {frozenset({0, 1})}
    with pytest.raises(FerError, match="found no a"):
        linked_rows(left, searched.path)


def test_copies_are_found_across_manifests(faces, face_manifest):
    ours = face_manifest(list(faces[:6]), splits=["train"] * 6, name="ours")
    theirs = face_manifest([resized(faces[2], 100), *faces[20:24]], splits=["test"] * 5, name="theirs")
    report = find_near_duplicates([ours, theirs], STRICT)
    assert report.links[["a", "b"]].to_numpy().tolist() == [["ours/002", "theirs/000"]]
    assert report.together.leaks == {("train", "test"): 1, ("test", "train"): 1}
    assert find_near_duplicates([ours, ours], STRICT).together.rows == 0  # the same samples, not copies of them


def test_what_cannot_be_searched_is_refused(faces, face_manifest):
    with pytest.raises(FerError, match="at least one manifest"):
        find_near_duplicates([])
    ours = face_manifest(list(faces[:3]), name="ours")
    frame = ours.frame.assign(store_row=[1, 0, 2])
    swapped = manifest.Manifest(ours.path, frame, ours.metadata)
    with pytest.raises(FerError, match="names one picture in all manifests"):
        find_near_duplicates([ours, swapped])


def test_the_configuration_is_checked():
    assert resolve(NearDuplicateConfig, settings=["threshold=0.9"]).threshold == 0.9
    with pytest.raises(FerError, match="threshold"):
        resolve(NearDuplicateConfig, settings=["threshold=2"])
    with pytest.raises(FerError, match="did you mean 'neighbours'"):
        resolve(NearDuplicateConfig, settings=["neighbors=3"])
