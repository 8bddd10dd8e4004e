"""Each format is opened by the library that it is for, and by a second one that knows nothing of it."""

import io
import json
import tarfile

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from export_faces import all_sorts, encoded, noise, write_faces
from PIL import Image

from fer_data.export.exporting import export
from fer_data.export.registry import EXPORTS
from fer_data.expressions import BASIC7, LABEL_SETS
from fer_data.images import decode
from fer_data.samples import Sample

SPLITS = {"train": "train", "validation": "val", "test": "test", "unassigned": None}


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """`datasets` asks no server and keeps its cache in the test's folder."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    return tmp_path / "cache"


def expected(faces):
    """Rows and pictures by sample_id, straight from the manifest and its stores."""
    frame = faces.frame.set_index("sample_id")
    pictures = {
        name: faces.stores[store].image(row)
        for name, store, row in zip(frame.index, frame["store"], frame["store_row"], strict=True)
    }
    return frame, pictures


def plain(value):
    return None if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)) else value


def test_hf_loads_with_datasets(project, offline):
    from datasets import ClassLabel, load_dataset
    from datasets import Image as ImageFeature

    faces = all_sorts(project)
    result = export(faces, "hf", project / "out", EXPORTS["hf"].Options())
    loaded = load_dataset(str(result.folder), cache_dir=str(offline))
    frame, pictures = expected(faces)
    facts = faces.facts(["votes", "slices", "occlusion", "source_label"]).set_index(frame.index)
    assert set(loaded) == set(SPLITS)
    assert sum(len(part) for part in loaded.values()) == len(faces)
    for name, part in loaded.items():
        assert isinstance(part.features["image"], ImageFeature)
        assert part.features["label"] == ClassLabel(names=list(BASIC7))
        for row in part:
            truth, fact = frame.loc[row["sample_id"]], facts.loc[row["sample_id"]]
            assert plain(truth["split"]) == SPLITS[name]
            np.testing.assert_array_equal(np.asarray(row["image"]), pictures[row["sample_id"]])
            label = plain(truth["label"])
            assert row["label"] == (None if label is None else BASIC7.index(label))
            assert (row["votes"] is None) == (fact["votes"] is None)
            assert row["votes"] is None or row["votes"] == list(fact["votes"])
            assert row["slices"] == (None if fact["slices"] is None else list(fact["slices"]))
            assert row["occlusion"] == plain(fact["occlusion"]) and row["source_label"] == fact["source_label"]
            assert (row["target"] is None) == (truth["target"] is None)
            assert row["group_id"] == truth["group_id"] and row["fold"] == plain(truth["fold"])
            assert row["weight"] == pytest.approx(truth["weight"]) and row["repeat"] == truth["repeat"]
    assert "5 faces" not in " ".join(result.notes) and "1 faces have no label; `datasets` shows None" in result.notes
    namespace = {}
    exec(result.loading, namespace)  # the lines that the user is told
    assert len(namespace["faces"]) == len(loaded["train"])


def test_hf_card_and_shards_agree(project, offline):
    from datasets import load_dataset

    samples = [Sample(f"{i:03d}", noise(i, size_px=128, colour=True), "fear", None, "train", "") for i in range(50)]
    faces = write_faces(project, samples)
    folder = export(faces, "hf", project / "out", EXPORTS["hf"].Options(shard_mb=1, facts=())).folder
    shards = sorted(path.name for path in (folder / "data").iterdir())
    assert len(shards) > 1 and shards == [f"train-{i:05d}-of-{len(shards):05d}.parquet" for i in range(len(shards))]
    assert all(path.stat().st_size <= 1_000_000 for path in (folder / "data").iterdir())
    loaded = load_dataset(str(folder), split="train", cache_dir=str(offline))
    assert loaded["sample_id"][:] == [f"faces/{i:03d}" for i in range(50)]
    assert loaded.info.splits["train"].num_examples == 50  # from the card, and checked by `datasets` when it loads
    # The Parquet alone says the features too, to whoever reads it without the card.
    features = json.loads(pq.read_schema(folder / "data" / shards[0]).metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"} and features["label"]["names"] == list(BASIC7)


def test_folders_load_with_image_folder(project):
    from torchvision.datasets import ImageFolder

    faces = all_sorts(project)
    result = export(faces, "folders", project / "out", EXPORTS["folders"].Options())
    frame, pictures = expected(faces)
    table = pd.read_parquet(result.folder / "samples.parquet").set_index("path")
    assert sorted(table["sample_id"]) == sorted(frame.index)
    for split in ("train", "val", "test"):
        loaded = ImageFolder(result.folder / split)
        assert loaded.classes == ["anger", "fear", "happiness"]
        assert len(loaded) == ((frame["split"] == split) & frame["label"].notna()).sum()
        for path, index in loaded.samples:
            row = table.loc[str(path).removeprefix(f"{result.folder}/")]
            assert frame.loc[row["sample_id"], "label"] == loaded.classes[index] == row["label"]
            with Image.open(path) as image:
                np.testing.assert_array_equal(np.asarray(image), pictures[row["sample_id"]])
    assert len(list((result.folder / "unlabelled" / "train").iterdir())) == 1
    assert result.left_out == {"unlabelled faces, in the folder unlabelled/": 1}
    assert len(list((result.folder / "unassigned").rglob("*.*"))) == 2
    notes = " | ".join(result.notes)
    assert "2 faces have a repeat other than 1" in notes and "1 faces have soft labels" in notes
    assert "24 faces have a weight other than 1" in notes
    namespace = {}
    exec(result.loading, namespace)
    assert namespace["faces"].root == f"{result.folder}/train"


def test_folders_of_all_splits_number_the_classes_alike(project):
    from torchvision.datasets import ImageFolder

    labels = ["happily surprised", "sadly angry", "sadly angry", "happily surprised"]
    samples = [Sample(f"{i}", noise(i), label, None, "train", "") for i, label in enumerate(labels)]
    samples.append(Sample("4", noise(4), "sadly angry", None, "test", ""))
    faces = write_faces(project, samples, label_set="compound11")
    result = export(faces, "folders", project / "out", EXPORTS["folders"].Options())
    assert "happily surprised" in LABEL_SETS["compound11"]
    train = ImageFolder(result.folder / "train")
    test = ImageFolder(result.folder / "test", allow_empty=True)
    assert train.class_to_idx == test.class_to_idx == {"happily_surprised": 0, "sadly_angry": 1}
    assert [index for _, index in test.samples] == [1]
    assert result.notes[0].startswith("test has no face of happily surprised: open it with ImageFolder(")
    with pytest.raises(FileNotFoundError, match="happily_surprised"):  # told, where it would number them otherwise
        ImageFolder(result.folder / "test")


def test_webdataset_shards_load_with_webdataset(project):
    import webdataset

    faces = all_sorts(project)
    result = export(faces, "webdataset", project / "out", EXPORTS["webdataset"].Options())
    frame, pictures = expected(faces)
    assert (result.folder / "classes.txt").read_text().split("\n") == [*BASIC7, ""]
    seen = []
    for split in ("train", "val", "test", "unassigned"):
        (url,) = (result.folder / split).glob("*.tar")
        for row in webdataset.WebDataset(str(url), shardshuffle=False, empty_check=False).decode("pil"):
            facts = row["json"]
            name, truth = facts["sample_id"], frame.loc[facts["sample_id"]]
            seen.append(name)
            image = row["png"] if "png" in row else row["jpg"]
            # `decode("pil")` shows every picture in colour.
            np.testing.assert_array_equal(np.asarray(image.convert("RGB")), as_colour(pictures[name]))
            assert facts["split"] == split and facts["label"] == plain(truth["label"])
            assert ("cls" in row) == (facts["label"] is not None)
            assert "cls" not in row or BASIC7[row["cls"]] == facts["label"]
    assert sorted(seen) == sorted(frame.index)
    assert result.notes == ["1 faces have no label and so no member .cls"]


def as_colour(pixels):
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels


def test_webdataset_shards_are_bounded_whole_and_the_same_everywhere(project):
    samples = [Sample(f"{i:03d}", noise(i, size_px=128, colour=True), "fear", None, "train", "") for i in range(50)]
    faces = write_faces(project, samples)
    result = export(faces, "webdataset", project / "out", EXPORTS["webdataset"].Options(shard_mb=1))
    shards = sorted((result.folder / "train").iterdir())
    assert [path.name[-10:] for path in shards] == [f"{i:06d}.tar" for i in range(3)]
    assert "-{000000..000002}.tar" in result.loading
    other = export(faces, "webdataset", project / "other", EXPORTS["webdataset"].Options(shard_mb=2)).folder
    assert not {path.name for path in (other / "train").iterdir()} & {path.name for path in shards}
    table = pd.read_csv(result.folder / "samples.csv", dtype={"name": str}).set_index("name")
    names = []
    for path in shards:
        assert path.stat().st_size <= 1_000_000
        with tarfile.open(path) as tar:
            members = tar.getmembers()
            assert {(info.mtime, info.uid, info.gid, info.uname, info.gname, info.mode) for info in members} == {
                (0, 0, 0, "", "", 0o644)
            }
            triples = [tuple(info.name.split(".")) for info in members]
            assert [ending for _, ending in triples] == ["png", "cls", "json"] * (len(triples) // 3)
            for name in dict.fromkeys(name for name, _ in triples):
                assert table.loc[name, "shard"] == f"train/{path.name}"
                names.append(name)
                data = tar.extractfile(f"{name}.png").read()
                np.testing.assert_array_equal(decode(data, name), noise(int(name[-3:]), size_px=128, colour=True))
    assert names == [f"faces__{i:03d}" for i in range(50)]
    namespace = {}
    exec(result.loading, namespace)
    image, label, facts = next(iter(namespace["faces"]))
    assert image.size == (128, 128) and label == BASIC7.index("fear") and facts["sample_id"] == "faces/000"


def test_csv_and_parquet_say_the_same_and_lead_to_the_pictures(project):
    faces = all_sorts(project)
    result = export(faces, "csv", project / "out", EXPORTS["csv"].Options())
    frame, pictures = expected(faces)
    typed = pd.read_parquet(result.folder / "samples.parquet")
    text = pd.read_csv(result.folder / "samples.csv", dtype=str, keep_default_na=False)
    assert list(typed.columns) == list(text.columns) and len(typed) == len(text) == len(faces)
    for row, words in zip(typed.to_dict("records"), text.to_dict("records"), strict=True):
        with Image.open(result.folder / row["path"]) as image:
            np.testing.assert_array_equal(np.asarray(image), pictures[row["sample_id"]])
        assert words["path"] == row["path"] and words["sample_id"] == row["sample_id"]
        assert words["label"] == (plain(row["label"]) or "") == (plain(frame.loc[row["sample_id"], "label"]) or "")
        votes = row["votes"]
        assert words["votes"] == ("" if votes is None else ";".join(map(str, votes)))
    assert text.loc[text["sample_id"] == "faces/0008", "target"].item() == "0.5;0.0;0.5;0.0;0.0;0.0;0.0"


def test_references_lead_back_to_the_store_and_copy_nothing(project):
    faces = all_sorts(project)
    result = export(faces, "csv", project / "out", EXPORTS["csv"].Options(pictures="reference"))
    table = pd.read_parquet(result.folder / "samples.parquet")
    assert table["store"].tolist() == faces.frame["store"].tolist()
    assert table["store_row"].tolist() == list(range(24)) and table["sample_id"].tolist() == list(
        faces.frame["sample_id"]
    )
    assert not list(result.folder.rglob("*.png")) and "path" not in table
    assert "not copied" in result.notes[0]


def test_pictures_in_the_export_are_the_files_that_came_in(project):
    jpeg = encoded(noise(3, colour=True), "JPEG", quality=70)
    faces = write_faces(project, [Sample("a", jpeg, "fear", None, "train", "a")])
    result = export(faces, "webdataset", project / "out", EXPORTS["webdataset"].Options())
    with tarfile.open(next((result.folder / "train").iterdir())) as tar:
        assert tar.extractfile("faces__a.jpg").read() == jpeg
    shard = pq.read_table(export(faces, "hf", project / "hf", EXPORTS["hf"].Options()).folder / "data")
    assert shard["image"][0].as_py() == {"bytes": jpeg, "path": "faces__a.jpg"}
    assert Image.open(io.BytesIO(jpeg)).format == "JPEG"
