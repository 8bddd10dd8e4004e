import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fer_data import images, licenses, manifest, parallel
from fer_data.downloads.opening import open_source
from fer_data.errors import FerError
from fer_data.project import LOCAL, dataset_root, project_root, relative, remember_dataset_root
from fer_data.samples import Sample
from fer_data.store import ARROW, FACTS, Store, stored_pictures
from fer_data.store_writer import StoreWriter
from fer_data.views import View


def faces(count=5, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8), dtype=np.uint8)


def write(project, pictures, *, name="drawn", facts=None, files=None, **options):
    with StoreWriter(name, project, licence=licenses.DRAWN.as_dict(), source="x", files=files, **options) as writer:
        for index, picture in enumerate(pictures):
            key = f"{index}.png" if files else str(index)
            writer.add(Sample(key, picture, None, "happy", None, f"row {index}", facts or {}))
        return writer.close()


@pytest.fixture
def download(tmp_path_factory):
    """A folder with `faces()` as 0.png … 4.png."""
    root = tmp_path_factory.mktemp("download")
    for index, picture in enumerate(faces()):
        Image.fromarray(picture).save(root / f"{index}.png")
    return root


def packed(download, kind):
    """The folder, or an archive of it."""
    if kind == "folder":
        return download
    return Path(shutil.make_archive(str(download.with_name(f"{download.name}-packed")), kind, download))


def test_pictures_and_facts_come_back(project):
    pictures = faces()
    facts = {
        "subject_id": "s1",
        "votes": [1, 2],
        "action_units": {"AU12": 0.5},
        "face_box": [0.0, 0.0, 8.0, 8.0],
    }
    store = write(project, pictures, facts=facts)
    assert all((store.image(row) == picture).all() for row, picture in enumerate(pictures))
    table = store.facts()
    assert table.schema.names == FACTS.names
    row = table.to_pylist()[0]
    assert row["votes"] == [1, 2] and dict(row["action_units"]) == {"AU12": 0.5} and row["subject_id"] == "s1"
    assert store.check(full=True) == []


def test_hugging_face_datasets_opens_the_images(project):
    datasets = pytest.importorskip("datasets")
    store = write(project, faces())
    loaded = datasets.load_from_disk(str(store.path / "images"))
    assert (np.asarray(loaded[2]["image"]) == faces()[2]).all()


def test_the_same_content_is_the_same_store(project):
    first, again = write(project, faces()), write(project, faces())
    other = write(project, faces(seed=1))
    assert first.path == again.path != other.path
    assert not [name for name in os.listdir(project / "stores") if name.startswith(".")]


def test_a_failed_write_leaves_nothing(project):
    with (
        pytest.raises(FerError, match="row 9: expected an image"),
        StoreWriter("x", project, licence={}, source="x") as writer,
    ):
        writer.add(Sample("9", b"no image", None, None, None, "row 9"))
    assert os.listdir(project / "stores") == []


def test_facts_without_a_column_are_a_programming_error(project):
    with pytest.raises(ValueError, match="mood"), StoreWriter("x", project, licence={}, source="x") as writer:
        writer.add(Sample("9", faces()[0], None, None, None, "row 9", {"mood": 1}))


def test_in_place_pictures_are_read_where_they_lie(project, download):
    store = write(project, [None] * 5, files=open_source(download, []))
    assert store.info["kind"] == "in_place" and not (store.path / "images").exists()
    assert (store.image(3) == faces()[3]).all()
    assert store.check(full=True) == []
    Image.fromarray(faces()[0]).save(download / "3.png")
    assert "3.png: its bytes changed" in store.check(full=True)[0]
    (download / "3.png").unlink()
    with pytest.raises(FerError, match=r"3\.png cannot be read"):
        store.image(3)
    assert "cannot be read" in store.check(full=True)[0]
    with pytest.raises(FerError, match=r"3\.png cannot be read"):
        write(project, [None] * 5, files=_Unchecked(download), name="again")


class _Unchecked:
    """A source that still names a file which is gone."""

    kind = "in_place"

    def __init__(self, path):
        self.path, self._source = path, open_source(path, [])

    def read(self, name):
        return self._source.read(name)


@pytest.mark.parametrize(("kind", "stored"), [("zip", "archive"), ("tar", "archive"), ("gztar", "embedded")])
def test_archives_are_read_as_they_are(project, download, kind, stored):
    archive = packed(download, kind)
    store = write(project, [None] * 5, files=open_source(archive, []))
    assert store.info["kind"] == stored and (store.path / "images").exists() == (stored == "embedded")
    assert all((Store(store.path, project).image(row) == picture).all() for row, picture in enumerate(faces()))
    assert store.check(full=True) == []
    archive.unlink()
    if stored == "embedded":
        assert (Store(store.path, project).image(0) == faces()[0]).all()
    else:
        with pytest.raises(FerError, match="which is gone"):
            Store(store.path, project)


def test_files_are_embedded_on_request(project, download):
    source = open_source(download, [])
    in_place, embedded = (write(project, [None] * 5, files=source, embed=embed) for embed in (False, True))
    assert in_place.path != embedded.path and embedded.info["root_key"] is None
    expected = [(download / f"{row}.png").read_bytes() for row in range(5)]
    shutil.rmtree(download)
    assert [embedded.encoded(row) for row in range(5)] == expected
    assert embedded.facts(["file_sha256"]) == in_place.facts(["file_sha256"])


@pytest.mark.parametrize("kind", ["folder", "zip", "embedded"])
def test_a_view_cuts_pictures_whenever_they_are_read(project, download, kind):
    source = open_source(packed(download, "zip" if kind == "zip" else "folder"), [])
    view = View(crop="box")
    facts = {"face_box": [2.0, 1.0, 7.0, 5.0]}
    store = write(project, [None] * 5, files=source, embed=kind == "embedded", view=view, facts=facts)
    cut = faces()[:, 1:5, 2:7]
    opened = Store(store.path, project)
    assert all((opened.image(row) == cut[row]).all() for row in range(5))
    stated = store.facts(["width_px", "height_px", "pixel_sha256"]).to_pylist()
    assert stated[4] == {"width_px": 5, "height_px": 4, "pixel_sha256": images.pixel_sha256(cut[4])}
    assert (images.decode(opened.encoded(4), "file") == faces()[4]).all()  # the file stays whole
    whole = write(project, [None] * 5, files=source, embed=kind == "embedded", facts=facts)
    assert whole.path != store.path
    with (
        pytest.raises(FerError, match="row 0: expected a face box to cut by, found none"),
        StoreWriter("x", project, licence={}, source="x", files=source, view=view) as writer,
    ):
        writer.add(Sample("0.png", None, None, None, None, "row 0"))


def test_several_faces_of_one_file_are_told_apart_by_their_boxes(project, download):
    with StoreWriter(
        "people", project, licence={}, source="x", files=open_source(download, []), view=View(crop="box")
    ) as writer:
        for face, left in enumerate((0, 4)):
            facts = {"face_box": [left, 0, left + 4, 8]}
            writer.add(Sample(f"2.png#{face}", None, None, None, None, "row", facts, file="2.png"))
        store = writer.close()
    assert (np.hstack([store.image(0), store.image(1)]) == faces()[2]).all()
    assert store.facts(["key", "file"]).to_pylist() == [
        {"key": "2.png#0", "file": "2.png"},
        {"key": "2.png#1", "file": "2.png"},
    ]
    assert store.file_names() == ["2.png", "2.png"] and store.check(full=True) == []


def test_another_download_under_the_same_name_leaves_a_store_its_own(project, download, tmp_path_factory):
    first = write(project, [None] * 5, files=open_source(download, []))
    other = tmp_path_factory.mktemp("other")
    for index, picture in enumerate(faces(seed=1)):
        Image.fromarray(picture).save(other / f"{index}.png")
    second = write(project, [None] * 5, files=open_source(other, []))
    assert (Store(first.path, project).image(0) == faces()[0]).all()
    assert (Store(second.path, project).image(0) == faces(seed=1)[0]).all()


def test_a_sample_without_a_picture_or_a_source_is_a_programming_error(project):
    with (
        pytest.raises(ValueError, match="brings no picture"),
        StoreWriter("x", project, licence={}, source="x") as writer,
    ):
        writer.add(Sample("9", None, None, None, None, "row 9"))


def test_many_samples_keep_their_order_and_errors_their_place(project):
    pictures = faces(200)
    samples = [
        Sample(str(row), picture if row % 7 else b"broken", None, None, None, f"row {row}")
        for row, picture in enumerate(pictures)
    ]
    with StoreWriter("many", project, licence={}, source="x") as writer:
        results = list(writer.add_all(iter(samples)))
        store = writer.close()
    assert [sample.key for sample, _ in results] == [str(row) for row in range(200)]
    good = [row for row in range(200) if row % 7]
    assert [stored for _, stored in results if isinstance(stored, int)] == list(range(len(good)))
    assert all(str(stored).startswith(f"{sample.where}: expected an image") for sample, stored in results[::7])
    assert all((store.image(place) == pictures[row]).all() for place, row in enumerate(good))
    with StoreWriter("many", project, licence={}, source="x") as writer:
        for row in good:
            writer.add(samples[row])
        assert writer.close().path == store.path  # one at a time or together: the same store


def test_a_store_is_the_same_on_one_core_and_on_many(project, monkeypatch):
    names = []
    for cores in (1, 4):
        monkeypatch.setattr(parallel, "cores", lambda cores=cores: cores)
        with StoreWriter("x", project, licence={}, source="x") as writer:
            samples = (Sample(str(row), face, None, None, None, "row") for row, face in enumerate(faces(150)))
            assert [row for _, row in writer.add_all(samples)] == list(range(150))
            names.append(writer.close().path)
    assert names[0] == names[1]


@pytest.mark.parametrize("threads", [1, 3])
def test_ordered_map_stops_where_an_item_fails(monkeypatch, threads):
    monkeypatch.setattr(parallel, "cores", lambda: threads)
    taken = []

    def divide(number):
        return 12 // number

    def numbers():
        for number in (4, 3, 2, 1, 0, *range(1, 90)):
            taken.append(number)
            yield number

    results = []
    with pytest.raises(ZeroDivisionError):
        results.extend(parallel.ordered_map(divide, numbers()))
    assert results == [3, 4, 6, 12] and len(taken) < 20
    assert list(parallel.batched(range(5), 2)) == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize(
    "changed",
    [
        {"subject_id": "s2"},
        {"votes": [1, 3]},
        {"votes": [1, 2, 0]},
        {"votes": None},
        {"action_units": {"AU12": 0.25}},
        {"action_units": {"AU1": 0.5, "AU2": 0.5}},
        {"slices": ["ab", "c"]},
        {"slices": ["a", "bc", None]},
        {"valence": 0.5},
        {"seed": 8},
    ],
)
def test_every_fact_is_part_of_the_id(project, changed):
    facts = {
        "subject_id": "s1",
        "votes": [1, 2],
        "action_units": {"AU12": 0.5},
        "slices": ["a", "bc"],
        "valence": None,
        "seed": 7,
    }
    first, other, again = (write(project, faces(2), facts=given) for given in (facts, {**facts, **changed}, facts))
    assert first.path == again.path != other.path


def test_facts_come_back_whole_from_several_row_groups(project, monkeypatch):
    monkeypatch.setattr("fer_data.facts._ROWS_IN_MEMORY", 4)
    given = [{"subject_id": f"s{row}"} if row % 3 else {"votes": [row], "age": None} for row in range(10)]
    with StoreWriter("x", project, licence={}, source="x") as writer:
        for row, face in enumerate(faces(10)):
            writer.add(Sample(str(row), face, None, None, None, "row", given[row]))
        store = writer.close()
    assert pq.read_metadata(store.path / "facts.parquet").num_row_groups == 3
    for row, facts in enumerate(store.facts().to_pylist()):
        assert facts["store_row"] == row and facts["key"] == str(row)
        assert facts["subject_id"] == given[row].get("subject_id") and facts["votes"] == given[row].get("votes")


def test_pictures_come_from_any_batch(project, monkeypatch):
    monkeypatch.setattr("fer_data.store_writer._BATCH_ROWS", 7)
    pictures = faces(150)
    store = Store(write(project, pictures).path, project)
    rows = np.random.default_rng(0).permutation(150)
    assert (store.pictures(rows, 8, 1)[:, 0] == pictures[rows]).all()
    assert store.pictures(rows[:0], 8, 3).shape == (0, 3, 8, 8)
    for outside in (-1, 150):
        with pytest.raises(FerError, match=f"expected rows 0 to 149, found row {outside}"):
            store.pictures(np.array([0, outside]), 8, 1)
    other = write(project, faces(seed=1), name="other")
    names = [f"stores/{path.name}" for path in (store.path, other.path, store.path)]
    mixed = stored_pictures(names, np.array([1, 2, 3]), project, 8, 1)
    assert (mixed[:, 0] == [pictures[1], faces(seed=1)[2], pictures[3]]).all()


FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from fer_data.errors import FerError
from fer_data.samples import Sample
from fer_data.store_writer import StoreWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
noise = np.random.default_rng(0).integers(0, 256, (300, 48, 48), dtype=np.uint8)
try:
    with StoreWriter("x", Path.cwd(), licence={}, source="x") as writer:
        list(writer.add_all(Sample(str(row), face, None, None, None, "row") for row, face in enumerate(noise)))
        writer.close()
except FerError as error:
    print(error)
"""


@pytest.mark.parametrize("room", [100, 20_000, 300_000])
def test_a_store_without_room_is_one_sentence_and_leaves_nothing(project, room):
    done = subprocess.run([sys.executable, "-c", FULL, str(room)], capture_output=True, text=True)
    assert "a file grew too large; make room and run the command again" in done.stdout, done.stderr
    assert os.listdir(project / "stores") == []


def test_a_damaged_store_is_written_again_by_the_same_import(project):
    store = write(project, faces())
    arrow = store.path / ARROW
    arrow.write_bytes(arrow.read_bytes()[:100])
    assert write(project, faces()).check(full=True) == []
    (store.path / "facts.parquet").unlink()
    assert write(project, faces()).check(full=True) == []
    assert os.listdir(project / "stores") == [store.path.name]


def test_a_store_that_is_gone_or_altered_is_told(project):
    store = write(project, faces())
    with pytest.raises(FerError, match="is gone"):
        Store(project / "stores" / "none", project)
    arrow = next((store.path / "images").glob("*.arrow"))
    content = arrow.read_bytes()
    arrow.write_bytes(content[:-50] + bytes(50))
    assert "expected SHA-256" in store.check(full=True)[0]
    arrow.write_bytes(b"x")
    with pytest.raises(FerError, match="cannot be read"):
        Store(store.path, project).image(0)
    info = json.loads((store.path / "store.json").read_text())
    (store.path / "store.json").write_text(json.dumps({**info, "rows": 4}))
    with pytest.raises(FerError, match="expected 4 rows, found 5"):
        Store(store.path, project).facts()
    (store.path / "facts.parquet").unlink()
    with pytest.raises(FerError, match="facts.parquet is gone"):
        Store(store.path, project).facts()


def test_roots_are_per_machine(project, tmp_path_factory):
    folder = tmp_path_factory.mktemp('with "quotes"')
    remember_dataset_root("a", folder, project)
    remember_dataset_root("b", folder, project)
    assert dataset_root("a", project) == dataset_root("b", project) == folder
    with pytest.raises(FerError, match="does not say where 'c' lies"):
        dataset_root("c", project)
    folder.rmdir()
    with pytest.raises(FerError, match="which is gone"):
        dataset_root("a", project)
    assert (project / LOCAL).exists()


def test_project_root_is_the_marked_folder_or_the_current_one(project, tmp_path_factory):
    (project / "a" / "b").mkdir(parents=True)
    assert project_root(project / "a" / "b") == project
    assert project_root(tmp_path_factory.mktemp("elsewhere")) == project  # the current folder
    assert relative(project / "a", project) == "a"
    assert relative(project.parent / "z", project) == str(project.parent / "z")


def test_manifest_rows_meet_their_facts_and_pictures(noise_manifest):
    facts = [{"subject_id": f"s{index}"} for index in range(4)]
    opened = noise_manifest(["anger"] * 4, ["train"] * 4, facts=facts)
    shuffled = manifest.Manifest(opened.path, opened.frame.iloc[[2, 0, 3]], opened.metadata)
    assert shuffled.facts(["subject_id"])["subject_id"].tolist() == ["s2", "s0", "s3"]
    assert shuffled.facts(["subject_id"], np.array([True, False, True]))["subject_id"].tolist() == [
        "s2",
        "s3",
    ]
    every = opened.pictures(12, 1)
    assert (shuffled.pictures(12, 1) == every[[2, 0, 3]]).all()
    assert every.shape == (4, 1, 12, 12) and every.dtype == np.uint8
    empty = opened.facts(["subject_id"], np.zeros(4, bool))
    assert len(empty) == 0 and list(empty.columns) == ["subject_id"]
