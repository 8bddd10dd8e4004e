import json
import os

import numpy as np
import pytest
from PIL import Image

from fer_data import licenses, manifest
from fer_data.errors import FerError
from fer_data.project import LOCAL, dataset_root, project_root, relative, remember_dataset_root
from fer_data.samples import Sample
from fer_data.store import FACTS, Store, StoreWriter


def faces(count=5, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8), dtype=np.uint8)


def write(project, pictures, *, name="drawn", in_place_root=None, facts=None):
    with StoreWriter(
        name, project, licence=licenses.DRAWN.as_dict(), source="x", in_place_root=in_place_root
    ) as writer:
        for index, picture in enumerate(pictures):
            key = f"{index}.png" if in_place_root else str(index)
            writer.add(Sample(key, picture, None, "happy", None, f"row {index}", facts or {}))
        return writer.close()


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


def test_in_place_pictures_are_read_where_they_lie(project, tmp_path_factory):
    root = tmp_path_factory.mktemp("download")
    for index, picture in enumerate(faces()):
        Image.fromarray(picture).save(root / f"{index}.png")
    store = write(project, [None] * 5, in_place_root=root)
    assert store.info["kind"] == "in_place" and not (store.path / "images").exists()
    assert (store.image(3) == faces()[3]).all()
    assert store.check(full=True) == []
    Image.fromarray(faces()[0]).save(root / "3.png")
    assert "3.png: its bytes changed" in store.check(full=True)[0]
    (root / "3.png").unlink()
    with pytest.raises(FerError, match=r"3\.png cannot be read"):
        store.image(3)
    assert "cannot be read" in store.check(full=True)[0]
    with pytest.raises(FerError, match="expected a readable image"):
        write(project, [None] * 5, in_place_root=root, name="again")


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
