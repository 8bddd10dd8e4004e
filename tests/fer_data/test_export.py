"""What holds for every export format: complete or not at all, the same bytes again, documents that say where from."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from export_faces import all_sorts, encoded, noise, write_faces
from hypothesis import given
from hypothesis import strategies as st

from fer_data import manifest
from fer_data.downloads.opening import open_source
from fer_data.errors import FerError
from fer_data.export import huggingface
from fer_data.export.contract import ExportConfig
from fer_data.export.exporting import export
from fer_data.export.pictures import read_picture
from fer_data.export.registry import EXPORTS, find_format
from fer_data.export.rows import file_name, select_rows
from fer_data.images import decode
from fer_data.samples import Sample
from fer_data.views import View

DEFAULTS = ExportConfig()


def files_of(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("to", EXPORTS)
def test_every_format_offers_what_the_contract_says_and_writes_its_documents(project, to):
    chosen, faces = EXPORTS[to], all_sorts(project)
    assert to == chosen.NAME and chosen.TITLE and issubclass(chosen.Options, ExportConfig)
    told = []
    result = export(faces, to, project / "out", chosen.Options(title="Some faces"), reporter=Counting(told))
    assert sum(told) == 24
    assert {name for name in files_of(result.folder) if "/" not in name} >= {
        "README.md", "LICENCE.txt", "provenance.json", "croissant.json",
    }  # fmt: skip
    assert result.counts["train"] == {"anger": 4, "happiness": 3, "fear": 4, "unlabelled": 1}
    assert sum(sum(per_label.values()) for per_label in result.counts.values()) == 24
    assert result.counts["unassigned"] and not result.local_use and str(result.folder) in result.loading
    assert result.total_bytes == sum(path.stat().st_size for path in result.folder.rglob("*") if path.is_file())
    header, text = (result.folder / "README.md").read_text().removeprefix("---\n").split("\n---\n", 1)
    assert yaml.safe_load(header)["license"] == "apache-2.0"
    assert "# Some faces" in text and "neutral, happiness, surprise" in text and "not-for-redistribution" not in header
    assert not list(project.glob(".*partial"))


class Counting:
    """A reporter that keeps what it is told."""

    def __init__(self, told):
        self.told = told

    def stage(self, name, total):
        assert total == 24
        return self

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def advance(self, amount=1, note=""):
        self.told.append(amount)


@pytest.mark.parametrize("to", EXPORTS)
def test_the_same_manifest_makes_the_same_files(project, to):
    faces = all_sorts(project)
    first = export(faces, to, project / "a", EXPORTS[to].Options())
    again = export(faces, to, project / "b", EXPORTS[to].Options())
    assert files_of(first.folder) == files_of(again.folder)


def test_provenance_names_manifest_stores_and_lineage_and_no_folder_of_this_machine(project):
    faces = all_sorts(project)
    parents = {str(faces.path): faces.sha256}
    derived = manifest.write(
        faces.frame, project / "manifests" / "derived", label_set="basic7", command="fer split",
        licence=faces.metadata["licence"], parents=parents, configuration={"votes": str(project / "secret" / "v.csv")},
    )  # fmt: skip
    folder = export(derived, "csv", project / "out", EXPORTS["csv"].Options()).folder
    facts = json.loads((folder / "provenance.json").read_text())
    assert facts["manifest"]["sha256"] == derived.sha256 and facts["manifest"]["labels"] == list(derived.labels)
    assert [entry["command"] for entry in facts["lineage"]] == ["fer split", "fer import faces"]
    assert facts["lineage"][0]["configuration"] == {"votes": "v.csv"}
    assert [(entry["source"], entry["rows"]) for entry in facts["stores"]] == [("faces", 24)]
    for name in ("README.md", "LICENCE.txt", "provenance.json", "croissant.json"):
        assert str(project) not in (folder / name).read_text(), name
    assert "Barsoum" in (folder / "LICENCE.txt").read_text()


def test_an_existing_folder_is_refused_and_only_an_export_is_replaced(project):
    faces, options = all_sorts(project), EXPORTS["csv"].Options()
    out = project / "out"
    out.mkdir()
    export(faces, "csv", out, options)  # an empty folder is no loss
    before = files_of(out)
    with pytest.raises(FerError, match="out exists; choose another --out or add --replace"):
        export(faces, "csv", out, options)
    assert files_of(out) == before
    export(faces, "hf", out, EXPORTS["hf"].Options(), replace=True)
    assert (out / "data").is_dir() and not (out / "samples.csv").exists()
    thesis = project / "thesis"
    thesis.mkdir()
    (thesis / "chapter.txt").write_text("years of work")
    with pytest.raises(FerError, match="expected a folder that an export wrote, found another"):
        export(faces, "csv", thesis, options, replace=True)
    for other in ("[]", '{"kind": "slsa"}'):  # another tool's file of that name
        (thesis / "provenance.json").write_text(other)
        with pytest.raises(FerError, match="found another"):
            export(faces, "csv", thesis, options, replace=True)
    assert (thesis / "chapter.txt").read_text() == "years of work"
    with pytest.raises(FerError, match="expected a folder that an export wrote"):
        export(faces, "csv", thesis / "chapter.txt", options, replace=True)


def test_a_failure_leaves_nothing_behind(project, monkeypatch):
    faces = all_sorts(project)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(huggingface, "_as_table", full)
    with pytest.raises(FerError, match="out was not written: the disk is full"):
        export(faces, "hf", project / "out", EXPORTS["hf"].Options())
    assert {path.name for path in project.iterdir() if not path.name.endswith(".lock")} == {
        "fer.toml", "manifests", "stores",
    }  # fmt: skip


def test_unknown_formats_and_facts_are_named(project):
    with pytest.raises(FerError, match="'zip' is unknown; expected one of hf, folders, webdataset, csv"):
        find_format("zip")
    faces = all_sorts(project)
    for fact in ("mood", "store_row", "file"):
        with pytest.raises(FerError, match=f"found '{fact}'"):
            select_rows(faces, [fact], "keep", None)


def test_facts_travel_with_their_rows_across_stores(project):
    one = write_faces(
        project, [Sample(f"a{i}", noise(i), "fear", None, "train", "", {"age": f"{i}"}) for i in range(4)]
    )
    two = write_faces(
        project,
        [Sample(f"b{i}", noise(9 + i), "fear", None, "test", "", {"action_units": {"AU12": 0.5}}) for i in range(3)],
        name="two",
    )
    mixed = one.frame.iloc[[3, 0]], two.frame.iloc[[2]], one.frame.iloc[[1]], two.frame.iloc[[0]]
    both = manifest.write(
        pd.concat(mixed, ignore_index=True),
        project / "manifests" / "both",
        label_set="basic7",
        command="test",
        licence=one.metadata["licence"],
    )
    rows = select_rows(both, ["age", "action_units"], "keep", None)
    assert rows.table["sample_id"].to_pylist() == [f"faces/{key}" for key in ("a3", "a0", "b2", "a1", "b0")]
    assert rows.table["age"].to_pylist() == ["3", "0", None, "1", None]
    assert rows.table["action_units"].to_pylist() == [None, None, '{"AU12": 0.5}', None, '{"AU12": 0.5}']
    batches = list(rows.batches(np.arange(5)))
    pictures = [decode(picture.data, "") for batch in batches for picture in batch.pictures]
    for picture, seed in zip(pictures, (3, 0, 11, 1, 9), strict=True):
        np.testing.assert_array_equal(picture, noise(seed))


def test_repeats_are_kept_or_applied_and_shuffling_is_by_seed(project):
    faces = all_sorts(project)
    kept = select_rows(faces, [], "keep", None)
    assert len(kept) == 24 and kept.left_out == 0 and kept.table["repeat"].to_pylist()[:3] == [0, 3, 1]
    applied = select_rows(faces, [], "apply", None)
    assert len(applied) == 25 and applied.left_out == 1
    assert applied.table["name"].to_pylist()[:4] == ["faces__0001", "faces__0001--r2", "faces__0001--r3", "faces__0002"]
    assert set(applied.table["repeat"].to_pylist()) == {1}
    shuffled = [select_rows(faces, [], "apply", seed).table["name"].to_pylist() for seed in (1, 1, 2)]
    assert shuffled[0] == shuffled[1] != shuffled[2]
    assert sorted(shuffled[0]) == sorted(applied.table["name"].to_pylist())
    result = export(faces, "csv", project / "out", EXPORTS["csv"].Options(repeats="apply"))
    assert result.left_out == {"rows whose repeat is 0": 1}
    nothing = manifest.write(
        faces.frame.assign(repeat=np.int32(0)), project / "manifests" / "none", label_set="basic7", command="test",
        licence=faces.metadata["licence"],
    )  # fmt: skip
    with pytest.raises(FerError, match="expected faces to export, found none"):
        select_rows(nothing, [], "apply", None)


def test_batches_end_with_the_picture_that_fills_them(project):
    rows = select_rows(all_sorts(project), [], "keep", None)
    sizes = [len(batch.pictures) for batch in rows.batches(np.arange(24), most_bytes=1)]
    assert sizes == [1] * 24
    whole = next(rows.batches(np.arange(24)))
    assert len(whole.pictures) == len(whole.table) == 24


@given(st.lists(st.text(min_size=1, max_size=150), unique=True, max_size=30))
def test_file_names_are_unique_and_safe_whatever_the_ids(ids):
    names = [file_name(sample_id) for sample_id in ids]
    assert len({name.lower() for name in names}) == len(ids)
    for name in names:
        assert 0 < len(name) <= 100 and set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_")


def test_file_names_keep_plain_ids_and_never_mix_two_up():
    assert file_name("fer2013/00001") == "fer2013__00001"
    ids = ["a-b/c", "a/b-c", "a/b/c", "a_b/c", "a/b_c", "A/b/c", "a__b/c", "a--b/c", "a/../b", "a\0b", "x" * 300]
    assert len({file_name(sample_id) for sample_id in ids}) == len(ids)
    # Two ids that differ only in case are two files where the file system folds case, too.
    assert file_name("raf/Train_1.jpg").startswith("raf-train-1-jpg--")


def test_bytes_are_passed_through_where_every_reader_sees_the_same_picture(project):
    grey, colour = noise(1), noise(2, colour=True)
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # orientation 6: turn right
    through = {
        "grey.png": encoded(grey, "PNG"),
        "colour.png": encoded(colour, "PNG"),
        "grey.jpg": encoded(grey, "JPEG"),
        "colour.jpg": encoded(colour, "JPEG"),
    }
    rewritten = {
        "turned.jpg": encoded(colour, "JPEG", exif=exif),
        "cmyk.jpg": encoded(colour, "JPEG", mode="CMYK"),
        "palette.png": encoded(colour, "PNG", mode="P"),
        "alpha.png": encoded(colour, "PNG", mode="RGBA"),
        "x.bmp": encoded(grey, "BMP"),
        "x.webp": encoded(colour, "WEBP", lossless=True),
        "deep.png": encoded((grey.astype(np.uint16) << 8), "PNG"),
    }
    every = {**through, **rewritten}
    samples = [Sample(key, data, "fear", None, "train", key) for key, data in every.items()]
    store = next(iter(write_faces(project, samples).stores.values()))
    for row, (key, data) in enumerate(every.items()):
        picture = read_picture(store, row, None)
        assert (picture.data == data) is (key in through), key
        assert picture.suffix == (key[-3:] if key in through else "png")
        np.testing.assert_array_equal(decode(picture.data, key), store.image(row))


def test_a_picture_that_changed_since_the_import_is_refused(project):
    folder = project / "raw"
    folder.mkdir()
    for index in range(3):
        (folder / f"{index}.png").write_bytes(encoded(noise(index), "PNG"))
    samples = [Sample(f"{index}.png", None, "fear", None, "train", f"row {index}") for index in range(3)]
    faces = write_faces(project, samples, files=open_source(folder, []))
    export(faces, "folders", project / "whole", EXPORTS["folders"].Options())
    (folder / "1.png").write_bytes(encoded(noise(99), "PNG"))
    with pytest.raises(FerError, match=r"row 1: expected the picture that was imported .* found other bytes"):
        export(faces, "folders", project / "out", EXPORTS["folders"].Options())
    assert not (project / "out").exists()


def test_a_view_is_what_is_exported(project):
    folder = project / "raw"
    folder.mkdir()
    (folder / "0.png").write_bytes(encoded(noise(0, size_px=40), "PNG"))
    sample = Sample("0.png", None, "fear", None, "train", "row 0", {"face_box": [10, 10, 26, 26]})
    faces = write_faces(project, [sample], files=open_source(folder, []), view=View(crop="box", size_px=16))
    result = export(faces, "folders", project / "out", EXPORTS["folders"].Options())
    (file,) = result.folder.glob("train/fear/*.png")
    np.testing.assert_array_equal(decode(file.read_bytes(), "file"), noise(0, size_px=40)[10:26, 10:26])
    with pytest.raises(FerError, match="face_box is in pixels of the picture before"):
        select_rows(faces, ["face_box"], "keep", None)
    provenance = json.loads((result.folder / "provenance.json").read_text())
    assert provenance["stores"][0]["view"]["size_px"] == 16
