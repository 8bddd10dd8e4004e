import io
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from layouts.faces import face, png
from layouts.table import LABELS, WORDS, write_boxes, write_bytes, write_paths, write_pixels

from fer_data import images
from fer_data.adapters import table
from fer_data.adapters.shared import table_rows
from fer_data.configuration import build
from fer_data.errors import FerError
from fer_data.importing import PicturesConfig, import_dataset

SAID = {"2": "contempt"}


def read_all(place, /, **options):
    rejections = []
    reading = table.read(place, table.Options(**options), rejections)
    return reading, list(reading.samples), rejections


def write_csv(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def found(rejections):
    return [(one.where, one.expected, one.found) for one in rejections]


def test_a_csv_with_paths_as_pandas_reads_it(tmp_path):
    root = write_paths(tmp_path)
    options = {"path": "file", "label": "mood", "labels": SAID, "split": "set", "subject": "who"}
    reading, samples, rejections = read_all(root, **options)
    assert rejections == [] and reading.notes == ["1 faces have no label"]
    theirs = pd.read_csv(root / "lists" / "faces.csv", skipinitialspace=True, dtype=str, keep_default_na=False)
    theirs.columns = theirs.columns.str.strip()
    assert [sample.key for sample in samples] == ["lists/" + path.replace("\\", "/") for path in theirs["file"]]
    assert [sample.source_label or "" for sample in samples] == list(theirs["mood"])
    assert [sample.facts["subject_id"] for sample in samples] == list(theirs["who"])
    assert [sample.split for sample in samples] == ["train", "test", "train", "test"]
    alone, again, _ = read_all(root / "lists" / "faces.csv", **options)
    assert [sample.key for sample in again] == [sample.key.removeprefix("lists/") for sample in samples]
    assert alone.form == "csv table" and alone.label_set == "basic8"


def test_pictures_may_lie_elsewhere(tmp_path):
    (tmp_path / "a").mkdir()
    root = write_paths(tmp_path / "a")
    shutil.move(root / "lists" / "img", tmp_path / "img")
    options = {"path": "file", "root": tmp_path}
    for place in (root, root / "lists" / "faces.csv"):
        reading, samples, rejections = read_all(place, **options)
        assert not rejections and [sample.key for sample in samples] == [f"img/ü {row}.jpg" for row in range(4)]
        assert reading.source.path == tmp_path
        assert {sample.label for sample in samples} == {None}


def test_boxes_are_cut_at_the_import(project):
    (project / "d").mkdir()
    options = table.Options(path="path", box=("x", "y", "w", "h"), box_form="size", label="mood", labels=SAID)
    result = import_dataset(table, write_boxes(project / "d"), "manifests/m", options, PicturesConfig(crop="box"))
    facts = result.manifest.facts(["key", "face_box", "width_px", "height_px"])
    assert facts["key"].tolist() == [f"party.png#{number}" for number in (1, 2, 3, 4)]
    assert [list(box) for box in facts["face_box"]] == [[8.0 * row, 2.0, 8.0 * row + 20, 32.5] for row in range(4)]
    assert facts["width_px"].tolist() == [20] * 4


def test_bytes_of_a_parquet_table(tmp_path):
    options = {"bytes": "picture", "label": "mood", "labels": {0: "joy", 1: "Sad", 2: "contempt"}}
    reading, samples, rejections = read_all(write_bytes(tmp_path), **options)
    assert rejections == [] and reading.form == "Parquet table"
    assert [sample.source_label for sample in samples] == ["0", "1", "2", None]  # floats in the file, for the null
    np.testing.assert_array_equal(images.decode(samples[1].image, "here"), face(None, 1, 32))
    path = tmp_path / "odd.parquet"
    pq.write_table(pa.table({"picture": [b"x", None]}), path)
    _, samples, rejections = read_all(path, bytes="picture")
    assert [sample.key for sample in samples] == ["0000000"]
    assert found(rejections) == [("odd.parquet row 1", "the bytes of a picture", "NoneType")]


def test_pixels_are_pictures(tmp_path):
    options = {"pixels": "pixels", "width_px": 32, "delimiter": ";", "label": "mood", "labels": SAID}
    _, samples, _ = read_all(write_pixels(tmp_path), **options)
    for row, sample in enumerate(samples):
        np.testing.assert_array_equal(sample.image, face(None, row, 32)[:30])


def test_pixels_of_fer2013_itself_read_as_a_table(tmp_path):
    from fer2013_forms import CSV_ORDER, csv_lines, pictures, write_lines

    path = write_lines(tmp_path / "fer2013.csv", csv_lines())
    options = {"pixels": "pixels", "label": "emotion", "labels": dict(enumerate(CSV_ORDER)), "split": "Usage"}
    _, samples, rejections = read_all(path, **options)
    assert not rejections and [sample.label for sample in samples] == [CSV_ORDER[row % 7] for row in range(80)]
    assert [sample.split for sample in samples][:3] == ["train", "val", "test"]
    np.testing.assert_array_equal([sample.image for sample in samples], pictures())


@pytest.mark.parametrize(
    ("value", "width", "shape"),
    [
        ("1 2 3 4", None, (2, 2)),
        ("[1, 2, 3, 4]", None, (2, 2)),
        ("1 2 3 4", 4, (1, 4)),
        ([1, 2, 3, 4, 5, 6], 3, (2, 3)),
        ([[1, 2, 3], [4, 5, 6]], None, (2, 3)),
    ],
)
def test_pixels_in_their_spellings(value, width, shape):
    picture, fault = table.parse_pixels(value, width)
    assert fault is None and picture.dtype == np.uint8 and picture.shape == shape
    assert picture.ravel().tolist() == list(range(1, picture.size + 1))


@pytest.mark.parametrize(
    ("value", "width", "expected", "seen"),
    [
        ("1 2 -3 4", None, "whole numbers 0 to 255", "'1 2 -3 4'"),
        ("1 2 3 2560", None, "whole numbers 0 to 255", "'1 2 3 2560'"),
        ("1 2 3 256", None, "whole numbers 0 to 255", "1 to 256"),
        ("1 2 ٣ 4", None, "whole numbers 0 to 255", "'1 2 ٣ 4'"),
        ([0.5, 1.0], None, "whole numbers 0 to 255", "[0.5, 1.0]"),
        ([1, None], None, "whole numbers 0 to 255", "[1, None]"),
        (None, None, "whole numbers 0 to 255", "None"),
        ([[[1]]], None, "whole numbers 0 to 255", "[[[1]]]"),
        ([-1, 0], 2, "whole numbers 0 to 255", "-1 to 0"),
        ([[1, 2], [3]], None, "rows of one length", "others"),
        ("1 2 3", None, "a square number of pixels", "3"),
        ("", None, "a square number of pixels", "0"),
        ("1 2 3", 2, "a multiple of 2 pixels", "3"),
        (np.zeros((0, 4), np.uint8), None, "1 to 40000000 pixels", "0"),
    ],
)
def test_what_is_no_picture_of_pixels_is_told(value, width, expected, seen):
    picture, fault = table.parse_pixels(value, width)
    assert picture is None and fault == (expected, seen)


def test_rows_that_lead_nowhere_are_set_aside(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.png").write_bytes(png(face(None, 0, 32)))
    (tmp_path / "in" / "a.png").write_bytes(png(face(None, 0, 32)))
    (tmp_path / "in" / "b.png").write_bytes(png(face(None, 1, 32)))
    paths = ["a.png", "../secret.png", "/etc/passwd", "C:\\a.png", "x/../../secret.png", "gone.png", "", "./a.png"]
    path = write_csv(tmp_path / "in" / "t.csv", "p,q", *(f"{name},1" for name in paths), "a.png", "a.png,1,2")
    reading, samples, rejections = read_all(path, path="p")
    assert [sample.key for sample in samples] == ["a.png"]
    inside = "a path inside the download"
    assert found(rejections) == [
        ("t.csv row 1", inside, "'../secret.png'"),
        ("t.csv row 2", inside, "'/etc/passwd'"),
        ("t.csv row 3", inside, "'C:\\\\a.png'"),
        ("t.csv row 4", inside, "'x/../../secret.png'"),
        ("t.csv row 5", "a picture of the download", "'gone.png', which is no file of it"),
        ("t.csv row 6", "the path of a picture", "none"),
        ("t.csv row 7", "a picture once, or boxes that tell its faces apart", "a.png again"),
        (f"{path} row 8 (line 10)", "2 fields", "1"),
        (f"{path} row 9 (line 11)", "2 fields", "3"),
    ]
    assert "1 pictures beside the table are in no row of it and were passed over" in reading.notes


@pytest.mark.parametrize(
    ("fields", "expected", "seen"),
    [
        ("1,2,x,4", "four numbers for the face box", "1, 2, x, 4"),
        ("1,2,,4", "four numbers for the face box", "1, 2, , 4"),
        ("5,2,5,4", "a face box with an area", "5, 2, 5, 4"),
        ("nan,2,3,4", "a face box with an area", "nan, 2, 3, 4"),
        ("1,2,inf,4", "a face box with an area", "1, 2, inf, 4"),
    ],
)
def test_boxes_that_are_none_are_told(tmp_path, fields, expected, seen):
    (tmp_path / "a.png").write_bytes(b"x")
    path = write_csv(tmp_path / "t.csv", "p,l,t,r,b", f"a.png,{fields}", "a.png,,,,", "a.png,1,2,3,4")
    _, samples, rejections = read_all(path, path="p", box=("l", "t", "r", "b"))
    assert [(sample.key, sample.file, sample.facts) for sample in samples] == [
        ("a.png", None, {}),
        ("a.png#2", "a.png", {"face_box": [1.0, 2.0, 3.0, 4.0]}),
    ]
    assert len(rejections) == 1 and rejections[0].expected.startswith(expected) and seen in rejections[0].found


def test_words_that_nobody_explained_are_refused_with_their_list(tmp_path):
    path = write_csv(tmp_path / "t.csv", "p,mood,set", "a.png,7,train", "b.png,8,x", "c.png,7,x")
    with pytest.raises(FerError, match=r"found '7' \(2\), '8' \(1\); say what each means: --set labels.7=anger"):
        read_all(path, path="p", label="mood")
    with pytest.raises(FerError, match="expected names of splits .*found 'x'"):
        read_all(path, path="p", split="set")


def test_columns_and_tables_are_asked_for_by_name(tmp_path):
    path = write_csv(tmp_path / "t.csv", "p,mood", "a.png,happy")
    with pytest.raises(FerError, match=r"t.csv: expected the column 'file', found p, mood"):
        read_all(path, path="file")
    write_csv(tmp_path / "u.csv", "p,mood")
    with pytest.raises(FerError, match=r"expected one table .*, found t.csv, u.csv"):
        read_all(tmp_path, path="p")
    assert read_all(tmp_path, path="p", file="u.csv")[0].total_images == 0
    with pytest.raises(FerError, match=r"expected one table .* v.csv, found t.csv, u.csv"):
        read_all(tmp_path, path="p", file="v.csv")


def test_one_picture_column_is_needed():
    for given, seen in (({}, "none"), ({"path": "a", "pixels": "b"}, "path and pixels")):
        with pytest.raises(FerError, match=f"expected one of path, bytes and pixels, found {seen}"):
            build(table.Options, given, "configuration")


def test_encodings_are_said_not_guessed(tmp_path):
    (tmp_path / "é.png").write_bytes(b"x")
    path = tmp_path / "t.csv"
    path.write_bytes("p\né.png\n".encode("latin-1"))
    with pytest.raises(FerError, match=r"expected text in utf-8.*--set encoding=latin-1"):
        read_all(path, path="p")
    assert read_all(path, path="p", encoding="latin-1")[1][0].key == "é.png"
    path.write_text("p\né.png\n", encoding="utf-16")
    assert read_all(path, path="p", encoding="utf-16")[1][0].key == "é.png"
    with pytest.raises(FerError, match="expected text in klingon"):
        read_all(path, path="p", encoding="klingon")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "expected a header that names every column once, found an empty file"),
        ("p,p\n1,2\n", "found 'p' twice"),
        ('p,q\n"a"b,2\n', "a line that cannot be told apart"),
        ("p,q\n" + "x" * 200_000 + ",2\n", "a line that cannot be told apart"),
    ],
)
def test_what_is_no_csv_is_one_sentence(tmp_path, content, message):
    path = tmp_path / "t.csv"
    path.write_text(content)
    with pytest.raises(FerError, match=message):
        read_all(path, path="p")


@pytest.mark.parametrize("row", ["x" * 1000, '"a\n",' * 500])
def test_a_row_without_an_end_does_not_fill_the_memory(tmp_path, monkeypatch, row):
    monkeypatch.setattr(table_rows, "MAX_ROW_CHARACTERS", 1000)
    path = write_csv(tmp_path / "t.csv", "p", *["short"] * 300, row)
    with pytest.raises(FerError, match="expected rows of at most 1,000 characters"):
        read_all(path, path="p")


def test_unreadable_tables_are_one_sentence(tmp_path, monkeypatch):
    path = write_csv(tmp_path / "t.csv", "p", "a.png")

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(io, "TextIOWrapper", refuse)
    with pytest.raises(FerError, match=r"t.csv cannot be read \(Permission denied\)"):
        read_all(path, path="p")


def test_a_parquet_table_with_a_column_twice_is_refused(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["p", "p"]), path)
    with pytest.raises(FerError, match="expected every column once, found 'p' twice"):
        read_all(path, path="p")


def test_labels_of_the_fixture_are_all_used():
    assert sum(LABELS.values()) == len(WORDS)
