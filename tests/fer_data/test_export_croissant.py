"""`croissant.json` of every format passes Croissant's own validator, and its reader finds every face."""

import hashlib
import json

import numpy as np
import pytest
from export_faces import all_sorts, noise, write_faces

from fer_data.errors import FerError
from fer_data.export.exporting import export
from fer_data.export.registry import EXPORTS
from fer_data.expressions import BASIC7
from fer_data.samples import Sample


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """mlcroissant unpacks archives into a cache that knows them by name; each test has its own."""
    from etils import epath
    from mlcroissant._src.operation_graph.operations import extract

    monkeypatch.setattr(extract, "EXTRACT_PATH", epath.Path(tmp_path / "croissant"))


def opened(folder):
    import mlcroissant

    dataset = mlcroissant.Dataset(str(folder / "croissant.json"))
    assert not dataset.metadata.issues.errors, dataset.metadata.issues.report()
    assert not dataset.metadata.issues.warnings, dataset.metadata.issues.report()
    return dataset


def text(value):
    return value.decode() if isinstance(value, bytes) else value


@pytest.mark.parametrize("to", EXPORTS)
def test_the_validator_is_silent_and_the_reader_finds_every_face(project, to):
    faces = all_sorts(project)
    folder = export(faces, to, project / "out", EXPORTS[to].Options()).folder
    dataset = opened(folder)
    frame = faces.frame.set_index("sample_id")
    records = {text(record["faces/sample_id"]): record for record in dataset.records("faces")}
    assert sorted(records) == sorted(frame.index)
    for name, record in records.items():
        label = frame.loc[name, "label"]
        label = label if isinstance(label, str) else None
        if to == "hf":
            assert record["faces/label"] == (None if label is None else BASIC7.index(label))
        else:
            assert text(record["faces/label"]) == label
        split = {"val": "validation"}.get(frame.loc[name, "split"], frame.loc[name, "split"]) if to == "hf" else None
        if isinstance(split, str):
            assert text(record["faces/split"]) == split
        pixels = faces.stores[frame.loc[name, "store"]].image(frame.loc[name, "store_row"])
        found = np.asarray(record["faces/image"].convert("RGB"))
        np.testing.assert_array_equal(found, pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, 2))
        votes = faces.facts(["votes"])["votes"].to_numpy()[frame.index.get_loc(name)]
        assert record["faces/votes"] is None if votes is None else list(record["faces/votes"]) == list(votes)
    assert [text(row["labels/name"]) for row in dataset.records("labels")] == list(BASIC7)


def test_a_shard_that_was_altered_is_noticed_by_its_hash(project):
    folder = export(all_sorts(project), "webdataset", project / "out", EXPORTS["webdataset"].Options()).folder
    described = json.loads((folder / "croissant.json").read_text())
    for entry in described["distribution"]:
        if entry["@type"] == "cr:FileObject":
            data = (folder / entry["contentUrl"]).read_bytes()
            assert entry["sha256"] == hashlib.sha256(data).hexdigest()
            assert entry["contentSize"] == f"{len(data)} B"
    (shard,) = (folder / "train").glob("*.tar")
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    with pytest.raises(Exception, match="sequential generation"):
        list(opened(folder).records("faces"))


def test_several_shards_are_read_as_one(project):
    samples = [Sample(f"{i:03d}", noise(i, size_px=128, colour=True), "fear", None, "train", "") for i in range(30)]
    faces = write_faces(project, samples)
    for to in ("hf", "webdataset"):
        folder = export(faces, to, project / to, EXPORTS[to].Options(shard_mb=1)).folder
        names = {text(record["faces/sample_id"]) for record in opened(folder).records("faces")}
        assert len(names) == 30


def test_references_are_described_without_pictures(project):
    options = EXPORTS["csv"].Options(pictures="reference")
    folder = export(all_sorts(project), "csv", project / "out", options).folder
    records = list(opened(folder).records("faces"))
    assert len(records) == 24 and "faces/image" not in records[0]


def test_the_responsible_ai_fields_say_what_rows_and_lineage_say(project):
    faces = all_sorts(project)
    options = EXPORTS["hf"].Options(title="T", creator="Some lab", url="https://example.org/faces")
    folder = export(faces, "hf", project / "out", options).folder
    metadata = opened(folder).metadata
    assert metadata.name == "T" and metadata.url == "https://example.org/faces"
    assert metadata.license == ["https://spdx.org/licenses/Apache-2.0.html"]
    assert metadata.creators[0].name == "Some lab"
    assert metadata.data_biases[0].startswith("Shares of the labels: ") and "anger 33.3 %" in metadata.data_biases[0]
    assert metadata.annotations_per_item.startswith("9 to 15 votes for each of 19 faces")
    assert metadata.data_annotation_protocol == ["24 labels: source"]
    assert any("nothing of what the person felt" in limit for limit in metadata.data_limitations)
    assert "fer import faces" in metadata.data_preprocessing_protocol
    assert metadata.personal_sensitive_information and metadata.data_use_cases
    assert metadata.version.startswith("1.0.0+") and metadata.date_published is not None


def test_an_unlisted_format_points_to_croissant():
    from fer_data.export.registry import find_format

    with pytest.raises(FerError, match=r"croissant\.json is written beside each"):
        find_format("croissant")
