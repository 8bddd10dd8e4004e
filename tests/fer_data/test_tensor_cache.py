"""Kept pictures are the pictures, whoever made them, whatever changed since, and however little room there is."""

import errno
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from fer_data import licenses, manifest, tensor_cache
from fer_data.downloads.opening import open_source
from fer_data.errors import FerError
from fer_data.samples import Sample
from fer_data.store_writer import StoreWriter
from fer_data.tensor_cache import cached_pictures

COUNT = 40


def noise(seed=0, count=COUNT):
    return np.random.default_rng(seed).integers(0, 256, (count, 9, 9), dtype=np.uint8)


def write(project, pictures, name="x", **options):
    with StoreWriter(name, project, licence=licenses.DRAWN.as_dict(), source="x", **options) as writer:
        for row, picture in enumerate(pictures):
            writer.add(Sample(f"{row}.png", picture, None, None, None, "row"))
        return writer.close()


@pytest.fixture
def reading(project, monkeypatch):
    """Reads rows of stores through the cache: `reading({"a": store}, ["a", …], rows, size_px=9, channels=1)`."""

    monkeypatch.setattr(tensor_cache, "MIN_ARRAY_BYTES", 1)

    def read(stores, names, rows, size_px=9, channels=1):
        names = pa.chunked_array([pa.array(names, pa.string())])
        return cached_pictures(stores, names, np.asarray(rows), project, size_px, channels)

    return read


def kept(project):
    folder = project / ".cache" / "tensors"
    return sorted(name for name in os.listdir(folder)) if folder.is_dir() else []


def test_pictures_are_read_once(project, reading, monkeypatch):
    store = write(project, noise())
    first = reading({"a": store}, ["a"] * COUNT, range(COUNT))
    assert first.dtype == np.uint8 and (first[:, 0] == noise()).all() and len(kept(project)) == 1

    def unread(self, *arguments):
        raise RuntimeError("read again")

    monkeypatch.setattr(type(store), "pictures", unread)
    rows = np.random.default_rng(1).integers(0, COUNT, 100)
    assert (reading({"a": store}, ["a"] * COUNT, range(COUNT)) == first).all()
    assert (reading({"a": store}, ["a"] * 100, rows)[:, 0] == noise()[rows]).all()
    assert reading({}, [], []).shape == (0, 1, 9, 9)
    with pytest.raises(RuntimeError, match="read again"):
        reading({"a": store}, ["a"] * COUNT, range(COUNT), size_px=8)


@pytest.mark.parametrize(("size_px", "channels"), [(9, 1), (9, 3), (6, 1), (12, 3)])
def test_every_view_is_kept_apart_and_equals_what_the_store_shows(project, reading, size_px, channels):
    store = write(project, noise())
    expected = store.pictures(np.arange(COUNT), size_px, channels)
    for _ in range(2):
        assert (reading({"a": store}, ["a"] * COUNT, range(COUNT), size_px, channels) == expected).all()
    reading({"a": store}, ["a"] * COUNT, range(COUNT), 5, 1)
    assert len(kept(project)) == 2


def test_rows_of_several_stores_come_in_the_order_asked_for(project, reading):
    stores = {"a": write(project, noise(0)), "b": write(project, noise(1), "y")}
    names = ["a", "b"] * COUNT
    rows = np.repeat(np.arange(COUNT)[::-1], 2)
    for _ in range(2):
        found = reading(stores, names, rows)[:, 0]
        assert (found[::2] == noise(0)[::-1]).all() and (found[1::2] == noise(1)[::-1]).all()
    assert len(kept(project)) == 2


def test_what_is_written_into_the_pictures_never_reaches_the_file(project, reading):
    store = write(project, noise())
    for _ in range(3):
        found = reading({"a": store}, ["a"] * COUNT, range(COUNT))
        assert (found[:, 0] == noise()).all()
        found[:] = 0


def test_few_rows_small_stores_and_too_large_ones_are_not_kept(project, reading, monkeypatch):
    store = write(project, noise())
    assert (reading({"a": store}, ["a"] * 3, [3, 1, 2])[:, 0] == noise()[[3, 1, 2]]).all()
    for bound, value in (("MIN_ARRAY_BYTES", COUNT * 81 + 1), ("MAX_ARRAY_BYTES", COUNT * 81 - 1)):
        with monkeypatch.context() as context:
            context.setattr(tensor_cache, bound, value)
            assert (reading({"a": store}, ["a"] * COUNT, range(COUNT))[:, 0] == noise()).all()
    assert kept(project) == []
    with pytest.raises(FerError, match="found row 40"):
        reading({"a": store}, ["a"], [40])
    reading({"a": store}, ["a"] * COUNT, range(COUNT))
    with pytest.raises(FerError, match="found row 40"):
        reading({"a": store}, ["a"], [40])


@pytest.mark.parametrize("kind", ["in_place", "archive", "embedded"])
def test_files_that_change_are_read_again(project, reading, tmp_path_factory, kind):
    download = tmp_path_factory.mktemp("download")

    def put(seed):
        import zipfile

        for row, picture in enumerate(noise(seed)):
            Image.fromarray(picture).save(download / f"{row}.png")
        if kind == "archive":
            with zipfile.ZipFile(download.with_suffix(".zip"), "w") as archive:
                for row in range(COUNT):
                    archive.write(download / f"{row}.png", f"{row}.png")

    put(0)
    root = download.with_suffix(".zip") if kind == "archive" else download
    store = write(project, [None] * COUNT, files=open_source(root, []), embed=kind == "embedded")
    assert store.info["kind"] == kind
    assert (reading({"a": store}, ["a"] * COUNT, range(COUNT))[:, 0] == noise(0)).all()
    put(1)
    again = type(store)(store.path, project)
    expected = noise(0 if kind == "embedded" else 1)
    assert (reading({"a": again}, ["a"] * COUNT, range(COUNT))[:, 0] == expected).all()


def test_a_file_that_is_not_whole_is_made_again(project, reading):
    store = write(project, noise())
    reading({"a": store}, ["a"] * COUNT, range(COUNT))
    (name,) = kept(project)
    path = project / ".cache" / "tensors" / name
    good = path.read_bytes()
    other_shape = project / "other.npy"
    np.save(other_shape, np.zeros((COUNT, 1, 9, 8), np.uint8))
    for damaged in (b"", b"x" * 500, good[:-1], other_shape.read_bytes()):
        path.write_bytes(damaged)
        assert (reading({"a": store}, ["a"] * COUNT, range(COUNT))[:, 0] == noise()).all()
        assert path.read_bytes() == good


def test_a_full_disk_costs_time_and_nothing_else(project, reading, monkeypatch):
    store = write(project, noise())

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(np, "save", full)
    assert (reading({"a": store}, ["a"] * COUNT, range(COUNT))[:, 0] == noise()).all()
    assert kept(project) == []


def test_a_damaged_picture_matters_only_to_who_asks_for_it(project, reading, tmp_path_factory):
    download = tmp_path_factory.mktemp("download")
    for row, picture in enumerate(noise()):
        Image.fromarray(picture).save(download / f"{row}.png")
    store = write(project, [None] * COUNT, files=open_source(download, []))
    broken = download / "7.png"
    broken.write_bytes(b"broken")
    others = [row for row in range(COUNT) if row != 7]
    assert (reading({"a": store}, ["a"] * len(others), others)[:, 0] == noise()[others]).all()
    with pytest.raises(FerError, match="row 7: expected an image"):
        reading({"a": store}, ["a"] * COUNT, range(COUNT))
    broken.unlink()
    assert (reading({"a": store}, ["a"] * len(others), others)[:, 0] == noise()[others]).all()
    with pytest.raises(FerError, match=r"7\.png cannot be read"):
        reading({"a": store}, ["a"] * COUNT, range(COUNT))
    assert kept(project) == []


def test_the_arrays_used_longest_ago_make_room(project, reading):
    store = write(project, noise())
    for size_px in (5, 6, 7):
        reading({"a": store}, ["a"] * COUNT, range(COUNT), size_px)
    folder = project / ".cache" / "tensors"
    by_size = sorted(folder.iterdir(), key=lambda path: path.stat().st_size)
    for age, path in enumerate(by_size):
        os.utime(path, (1000 - age, 1000 - age))
    reading({"a": store}, ["a"] * COUNT, range(COUNT), 6)  # used again
    total = sum(path.stat().st_size for path in by_size)
    tensor_cache._remove_oldest(folder, keep=by_size[0], limit=total)
    assert len(kept(project)) == 3
    tensor_cache._remove_oldest(folder, keep=by_size[0], limit=total - 1)
    assert kept(project) == sorted(path.name for path in by_size[:2])
    tensor_cache._remove_oldest(folder, keep=by_size[0], limit=0)
    assert kept(project) == [by_size[0].name]


PROCESS = """
import sys
from pathlib import Path
import numpy as np, pyarrow as pa
from fer_data import tensor_cache
from fer_data.store import Store
from fer_data.tensor_cache import cached_pictures
tensor_cache.MIN_ARRAY_BYTES = 1
root, path = map(Path, sys.argv[1:])
store = Store(path, root)
rows = np.arange(len(store))
names = pa.chunked_array([pa.array(["a"] * len(rows))])
for size_px in range(4, 12):
    print(int(cached_pictures({"a": store}, names, rows, root, size_px, 1).sum()))
"""


def test_two_processes_at_once_see_the_same(project):
    store = write(project, noise())
    command = [sys.executable, "-c", PROCESS, str(project), str(store.path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate()[0].split() for process in running]
    sums = [str(store.pictures(np.arange(COUNT), size_px, 1).astype(int).sum()) for size_px in range(4, 12)]
    assert told == [sums, sums] and len(kept(project)) == 8
    assert all(name.endswith(".npy") and not name.startswith(".") for name in kept(project))


def test_manifests_of_one_store_share_what_is_kept(noise_manifest, monkeypatch, project):
    monkeypatch.setattr(tensor_cache, "MIN_ARRAY_BYTES", 1)
    opened = noise_manifest(["anger"] * 30, ["train"] * 30)
    every = opened.pictures(12, 1)
    shuffled = manifest.Manifest(opened.path, opened.frame.iloc[::-1], opened.metadata)
    assert (shuffled.pictures(12, 1) == every[::-1]).all()
    assert (opened.pictures(12, 1, np.arange(30) % 2 == 0) == every[::2]).all()
    assert len(kept(project)) == 1
