"""Every form of FER-2013, written small here with noise for faces, and lent for real where there is real data."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fer2013_forms import (
    ALPHABETICAL,
    COUNT,
    CSV_ORDER,
    SPLITS,
    csv_lines,
    jpeg,
    pictures,
    png,
    votes_lines,
    votes_table,
    write_ferplus,
    write_folders,
    write_lines,
    write_parquet,
)

from fer_data import images
from fer_data.adapters import fer2013
from fer_data.adapters.fer2013_csv import PIXELS, parse_pixels
from fer_data.errors import FerError
from fer_data.importing import import_dataset
from fer_data.samples import Reading, Rejection, Sample
from fer_data.votes import FERPLUS_COLUMNS


def read_all(root: Path, **options) -> tuple[Reading, list[Sample], list[Rejection]]:
    rejections: list[Rejection] = []
    reading = fer2013.read(root, fer2013.Options(**options), rejections)
    return reading, list(reading.samples), rejections


@pytest.mark.parametrize(
    ("name", "order", "form"),
    [
        ("fer2013.csv", "emotion,pixels,Usage", "csv"),
        ("icml_face_data.csv", "emotion, Usage, pixels", "icml csv"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_both_csv_files_give_exact_pixels_labels_and_splits(tmp_path, name, order, form, end):
    write_lines(tmp_path / name, csv_lines(order=order), end)
    reading, samples, rejections = read_all(tmp_path)
    assert (reading.form, reading.label_set, reading.source, rejections) == (form, "basic7", None, [])
    assert reading.total_images == len(samples) == COUNT
    np.testing.assert_array_equal(np.stack([sample.image for sample in samples]), pictures())
    assert [sample.label for sample in samples] == [CSV_ORDER[row % 7] for row in range(COUNT)]
    assert [sample.split for sample in samples] == [SPLITS[row % 3] for row in range(COUNT)]
    assert [sample.key for sample in samples] == [f"{row:05d}" for row in range(COUNT)]
    assert samples[4].source_label == "sad"
    assert samples[70].where == f"{name} row 70 (line 72)"


def test_the_same_rows_have_the_same_keys_in_both_csv_files(tmp_path):
    one = read_all(write_lines(tmp_path / "fer2013.csv", csv_lines()))[1]
    other = read_all(write_lines(tmp_path / "a.csv", csv_lines(order="emotion, Usage, pixels")))[1]
    assert [(a.key, a.label, a.split) for a in one] == [(b.key, b.label, b.split) for b in other]


def test_a_byte_order_mark_quotes_blank_lines_and_wide_spaces_are_read(tmp_path):
    lines = csv_lines(3)
    lines[0] = '\ufeff"emotion","pixels","Usage"'
    code, pixels, usage = lines[2].split(",")
    lines[2:3] = ["", f'"{code}","{pixels.replace(" ", "  ")}","{usage}"']
    _, samples, rejections = read_all(write_lines(tmp_path / "fer2013.csv", lines))
    assert rejections == []
    np.testing.assert_array_equal(np.stack([sample.image for sample in samples]), pictures(3))


def spoil(row: int, change: Callable[[list[str]], list[str]]) -> list[str]:
    """The lines of a csv with one row's fields changed."""
    lines = csv_lines()
    lines[row + 1] = ",".join(change(lines[row + 1].split(",")))
    return lines


def pixel(text: str) -> Callable[[list[str]], list[str]]:
    """Replaces the pixel at position 5."""

    def change(fields: list[str]) -> list[str]:
        numbers = fields[1].split()
        numbers[5] = text
        return [fields[0], " ".join(numbers), fields[2]]

    return change


@pytest.mark.parametrize(
    ("change", "expected", "found"),
    [
        (lambda f: [f[0], f[1].rsplit(" ", 1)[0], f[2]], "2304 pixels", "2303"),
        (lambda f: [f[0], f[1] + " 7", f[2]], "2304 pixels", "2305"),
        (lambda f: [f[0], "", f[2]], "2304 pixels", "0"),
        (pixel("256"), "pixels 0 to 255", "'256' at pixel 5"),
        (pixel("-1"), "pixels 0 to 255", "'-1' at pixel 5"),
        (pixel("x"), "pixels 0 to 255", "'x' at pixel 5"),
        (pixel("1.5"), "pixels 0 to 255", "'1.5' at pixel 5"),
        (pixel("1000"), "pixels 0 to 255", "'1000' at pixel 5"),
        (lambda f: ["7", f[1], f[2]], "an emotion 0 to 6", "'7'"),
        (lambda f: ["happy", f[1], f[2]], "an emotion 0 to 6", "'happy'"),
        (lambda f: [f[0], f[1], "Testing"], "a Usage Training, PublicTest, PrivateTest", "'Testing'"),
        (lambda f: [f[0], f[1]], "3 fields, emotion,pixels,Usage", "2: "),
        (lambda f: [*f, "0"], "3 fields, emotion,pixels,Usage", "4: "),
    ],
)
@pytest.mark.parametrize("row", [0, 66, COUNT - 1])
def test_a_faulty_row_is_set_aside_and_named_and_the_others_are_kept(tmp_path, row, change, expected, found):
    _, samples, rejections = read_all(write_lines(tmp_path / "fer2013.csv", spoil(row, change)))
    assert len(rejections) == 1
    assert rejections[0].where == f"fer2013.csv row {row} (line {row + 2})"
    assert rejections[0].expected == expected
    assert rejections[0].found.startswith(found)
    assert [int(sample.key) for sample in samples] == [other for other in range(COUNT) if other != row]
    kept = np.delete(pictures(), row, axis=0)
    np.testing.assert_array_equal(np.stack([sample.image for sample in samples]), kept)


def test_a_truncated_csv_loses_only_its_last_row(tmp_path):
    whole = write_lines(tmp_path / "fer2013.csv", csv_lines()).read_bytes()
    (tmp_path / "fer2013.csv").write_bytes(whole[:-4000])
    _, samples, rejections = read_all(tmp_path)
    assert len(samples) == COUNT - 1
    assert rejections[0].where == f"fer2013.csv row {COUNT - 1} (line {COUNT + 1})"
    assert rejections[0].found.startswith("2: ")


def test_an_icml_file_that_may_be_cut_inside_its_last_pixel_is_told(tmp_path):
    path = write_lines(tmp_path / "icml_face_data.csv", csv_lines(order="emotion, Usage, pixels"))
    path.write_bytes(path.read_bytes()[:-1])
    assert any("cut short" in note for note in read_all(tmp_path)[0].notes)


def test_pixels_agree_with_numpy_on_every_width_of_number():
    rng = np.random.default_rng(5)
    expected = rng.choice([0, 7, 9, 10, 42, 99, 100, 199, 255], (40, PIXELS))
    fields = [" ".join(map(str, row)).encode() for row in expected]
    np.testing.assert_array_equal(parse_pixels(fields), expected)
    assert parse_pixels([fields[0], fields[1] + b" ", fields[2]]) is None
    assert parse_pixels([fields[0] + b" 1", fields[1].rsplit(b" ", 1)[0]]) is None


def test_votes_join_by_row_position(tmp_path):
    write_lines(tmp_path / "fer2013.csv", spoil(3, lambda f: ["9", f[1], f[2]]))
    votes = write_lines(tmp_path / "fer2013new.csv", votes_lines())
    reading, samples, rejections = read_all(tmp_path, votes=votes)
    assert reading.votes_labels == FERPLUS_COLUMNS
    assert len(rejections) == 1
    table = votes_table()
    for sample in samples:
        assert sample.facts["votes"] == table[int(sample.key)].tolist()
        assert sample.facts["votes_source"] == "FER+ fer2013new.csv"
    assert any("votes" in note for note in read_all(tmp_path)[0].notes), "votes left unused are pointed at"


def test_rows_with_other_than_ten_votes_are_told(tmp_path):
    write_lines(tmp_path / "fer2013.csv", csv_lines())
    lines = votes_lines()
    lines[8] = lines[8].rsplit(",", 10)[0] + ",9,0,0,0,0,0,0,0,0,0"
    reading = read_all(tmp_path, votes=write_lines(tmp_path / "v.csv", lines))[0]
    assert "1 rows of v.csv have other than 10 votes (first: row 7)" in reading.notes


@pytest.mark.parametrize(
    ("spoiled", "message"),
    [
        (lambda lines: lines[:-1], f"expected {COUNT} rows, as many as fer2013.csv has, found {COUNT - 1}"),
        (lambda lines: [lines[0], *lines[2:], lines[1]], "row 0: expected Usage Training as in fer2013.csv"),
        (lambda lines: [lines[0].replace("NF", "none"), *lines[1:]], "expected the header Usage,Image name"),
        (lambda lines: [*lines[:-1], lines[-1] + "0x"], f"row {COUNT - 1}: expected 10 vote counts"),
        (lambda lines: [*lines[:-1], lines[-1] + ",1"], f"row {COUNT - 1}: expected 10 vote counts"),
        (lambda lines: [], "found an empty file"),
    ],
)
def test_votes_that_do_not_fit_are_refused(tmp_path, spoiled, message):
    write_lines(tmp_path / "fer2013.csv", csv_lines())
    lines = spoiled(votes_lines())
    (tmp_path / "v.csv").write_text("\n".join(lines))
    with pytest.raises(FerError, match=message):
        read_all(tmp_path, votes=tmp_path / "v.csv")


def test_votes_that_cannot_be_read_are_refused(tmp_path):
    write_lines(tmp_path / "fer2013.csv", csv_lines(3))
    with pytest.raises(FerError, match="nowhere.csv is missing; expected a file"):
        read_all(tmp_path, votes=tmp_path / "nowhere.csv")
    (tmp_path / "v.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FerError, match=r"v.csv: expected text in UTF-8"):
        read_all(tmp_path, votes=tmp_path / "v.csv")


def test_votes_are_refused_for_forms_without_rows(tmp_path):
    with pytest.raises(FerError, match="join by row position"):
        read_all(write_folders(tmp_path / "d"), votes=tmp_path / "v.csv")


def test_class_folders_are_read_in_place_and_file_names_tell_no_split(tmp_path):
    root = write_folders(tmp_path / "d")
    (root / "train" / "happy" / ".DS_Store").write_text("")
    for stray in (root / "train" / "happy" / "inner" / "x.jpg", root / "extra" / "y.jpg"):
        stray.parent.mkdir()
        stray.write_bytes(b"")
    (root / "train" / "happy" / "a\nb.jpg").write_text("")
    reading, samples, rejections = read_all(root)
    assert (reading.form, reading.source.path, reading.total_images) == ("class folders", root, 28)
    assert Counter(sample.split for sample in samples) == {"train": 14, "test": 14}
    assert Counter(sample.label for sample in samples) == dict.fromkeys(CSV_ORDER, 4)
    assert [rejection.expected for rejection in rejections] == ["a file name of printable text"]
    for sample in samples:
        assert sample.image is None
        assert sample.key.split("/")[1] == sample.source_label
        assert (root / sample.key).is_file()
    assert any("no val split" in note for note in reading.notes)
    assert any(note.endswith("lie in no split: extra, train/happy/inner") for note in reading.notes)


def test_class_folders_may_spell_expressions_otherwise_but_must_be_expressions(tmp_path):
    names = ["Anger", "disgusted", "afraid", "joy", "Neutral", "sadness", "surprised"]
    samples = read_all(write_folders(tmp_path / "d", names))[1]
    assert Counter(sample.label for sample in samples) == dict.fromkeys(CSV_ORDER, 4)
    (tmp_path / "d" / "test" / "bored").mkdir()
    (tmp_path / "d" / "test" / "bored" / "1.jpg").write_bytes(jpeg(pictures(1)[0]))
    with pytest.raises(FerError, match="found 'bored'"):
        read_all(tmp_path / "d")


def test_ferplus_folders_have_votes_but_no_label_of_fer2013(tmp_path):
    reading, samples, rejections = read_all(write_ferplus(tmp_path / "d"))
    assert (reading.form, reading.label_set, reading.label_rule, rejections) == (
        "FER+ folders", "basic7", "source", [],
    )  # fmt: skip
    assert Counter(sample.split for sample in samples) == dict.fromkeys(SPLITS, 10)
    assert samples[0].facts["face_box"] == [0, 0, 48, 48]
    assert {sample.label for sample in samples} == {sample.source_label for sample in samples} == {None}
    assert any("fer import ferplus" in note for note in reading.notes)


def test_faults_of_ferplus_folders_are_set_aside(tmp_path):
    root = write_ferplus(tmp_path / "d")
    (root / "FER2013Train" / "fer0000003.png").unlink()
    (root / "FER2013Train" / "stray.png").write_bytes(png(pictures(1)[0]))
    table = root / "FER2013Train" / "label.csv"
    lines = table.read_text().splitlines()
    lines[2] = lines[2].replace("(0, 0, 48, 48)", "(0, 0)")
    lines[6] = lines[6].replace("(0, 0, 48, 48)", "(0, 0, 48, \x1d48)")  # blanks that only some readers strip
    lines[3] = lines[3] + "0"
    lines[4] = lines[4].rsplit(",", 1)[0] + ",x"
    lines += [lines[0], "short,line", lines[0].replace("fer0000000.png", "../../etc/passwd")]
    lines[5] = lines[5].rsplit(",", 1)[0] + ",1000"
    write_lines(table, lines)
    _, samples, rejections = read_all(root)
    told = {rejection.where: (rejection.expected, rejection.found) for rejection in rejections}
    where = "FER2013Train/label.csv row"
    assert told[f"{where} 1"] == ("the picture 'fer0000003.png'", "no such file")
    assert told[f"{where} 2"] == ("a face box (left, top, right, bottom)", "'(0, 0)'")
    assert told[f"{where} 4"][0] == told[f"{where} 5"][0] == "ten vote counts"
    assert told[f"{where} 10"] == ("a picture once", "fer0000000.png again")
    assert told[f"{where} 11"] == ("12 fields, name, box and ten votes", "2")
    assert told[f"{where} 12"] == ("the picture '../../etc/passwd'", "no such file")
    assert told["FER2013Train/stray.png"] == ("a good line of votes in label.csv", "none")
    kept = [sample.key for sample in samples if sample.split == "train"]
    assert len(kept) == 6
    assert set(told) >= {f"FER2013Train/fer{row:07d}.png" for row in (6, 12, 15)}


def test_a_ferplus_folder_without_votes_is_refused(tmp_path):
    root = write_ferplus(tmp_path / "d")
    (root / "FER2013Test" / "label.csv").unlink()
    with pytest.raises(FerError, match=r"FER2013Test/label.csv is missing"):
        read_all(root)


@pytest.mark.parametrize("names", [ALPHABETICAL, ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]])
def test_label_codes_of_a_mirror_mean_what_its_own_metadata_says(tmp_path, names):
    codes = [row % 7 for row in range(21)]
    write_parquet(tmp_path / "data" / "train-00000-of-00002.parquet", names, codes)
    write_parquet(tmp_path / "data" / "train-00001-of-00002.parquet", names, codes[:7])
    write_parquet(tmp_path / "data" / "test-00000-of-00001.parquet", names, codes)
    write_parquet(tmp_path / "data" / "elsewhere.parquet", names, codes[:2])
    reading, samples, rejections = read_all(tmp_path)
    assert rejections == []
    assert reading.total_images == len(samples) == 51
    assert Counter(sample.split for sample in samples) == {"train": 28, "test": 21, None: 2}
    words = {"angry": "anger", "happy": "happiness", "sad": "sadness"}
    for sample in samples:
        row = int(sample.key.rsplit("/")[-1])
        assert sample.source_label == names[row % 7]
        assert sample.label == words.get(names[row % 7], names[row % 7])
    np.testing.assert_array_equal(images.decode(samples[0].image, "here"), pictures(1)[0])
    assert any("elsewhere.parquet" in note for note in reading.notes)
    assert len({sample.key for sample in samples}) == 51


def test_a_mirror_split_may_be_named_by_its_folder(tmp_path):
    write_parquet(tmp_path / "validation" / "0000.parquet", ALPHABETICAL, [0, 1])
    assert [sample.split for sample in read_all(tmp_path)[1]] == ["val", "val"]
    assert [sample.split for sample in read_all(tmp_path / "validation" / "0000.parquet")[1]] == ["val", "val"]


def test_faulty_rows_of_a_mirror_are_set_aside(tmp_path):
    data = [png(pictures(1)[0]), None, *(png(picture) for picture in pictures(3))]
    path = write_parquet(tmp_path / "train.parquet", ALPHABETICAL, [0, 1, 7, -1, None], data)
    _, samples, rejections = read_all(path)
    assert [sample.key for sample in samples] == ["train.parquet/00000"]
    assert [(r.where, r.expected, r.found) for r in rejections] == [
        ("train.parquet row 1", "the bytes of a picture", "null"),
        ("train.parquet row 2", "a label 0 to 6", "7"),
        ("train.parquet row 3", "a label 0 to 6", "-1"),
        ("train.parquet row 4", "a label 0 to 6", "None"),
    ]


def test_a_mirror_that_does_not_name_its_labels_is_refused(tmp_path):
    with pytest.raises(FerError, match="they are never guessed"):
        read_all(write_parquet(tmp_path / "a.parquet", None, [0]))
    with pytest.raises(FerError, match="found no names"):
        read_all(write_parquet(tmp_path / "b.parquet", [], [0]))
    with pytest.raises(FerError, match="found 'cat', 'dog'"):
        read_all(write_parquet(tmp_path / "c.parquet", ["cat", "dog"], [0]))
    (tmp_path / "d.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(FerError, match=r"d.parquet: expected a parquet file"):
        read_all(tmp_path / "d.parquet")


def test_a_mirror_without_pictures_inside_is_refused(tmp_path):
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ALPHABETICAL}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    schema = pa.schema([("image", pa.string()), ("label", pa.int64())], metadata=metadata)
    pq.write_table(pa.table({"image": ["1.png"], "label": [0]}, schema=schema), tmp_path / "a.parquet")
    with pytest.raises(FerError, match="expected pictures inside the file"):
        read_all(tmp_path / "a.parquet")
    schema = pa.schema([("label", pa.int64())], metadata=metadata)
    pq.write_table(pa.table({"label": [0]}, schema=schema), tmp_path / "b.parquet")
    with pytest.raises(FerError, match="expected one Image column, found none"):
        read_all(tmp_path / "b.parquet")


def test_what_is_no_download_of_fer2013_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(FerError, match="found none; give the file or folder"):
        read_all(None)
    with pytest.raises(FerError, match=r"nowhere is missing"):
        read_all(tmp_path / "nowhere")
    with pytest.raises(FerError, match="found an empty folder"):
        read_all(tmp_path)
    (tmp_path / "archive.zip").write_text("")
    with pytest.raises(FerError, match=r"found archive.zip"):
        read_all(tmp_path)
    with pytest.raises(FerError, match=r"found archive.zip"):
        read_all(tmp_path / "archive.zip")


@pytest.mark.parametrize(
    ("content", "found"),
    [("", "an empty file"), ("0,1 2 3,Training\n", "'0,1 2 3,Training'"), ("pixels\n", "'pixels'")],
)
def test_a_csv_with_another_header_is_refused(tmp_path, content, found):
    (tmp_path / "fer2013.csv").write_text(content)
    with pytest.raises(FerError, match=f"expected the header emotion,pixels,Usage .*found {found}"):
        read_all(tmp_path)


def test_a_folder_with_several_forms_asks_which(tmp_path):
    write_lines(tmp_path / "fer2013.csv", csv_lines(3))
    write_folders(tmp_path)
    with pytest.raises(FerError, match=r"found several: fer2013.csv \(csv\), .* \(folder\)"):
        read_all(tmp_path)
    assert read_all(tmp_path, form="csv")[0].form == "csv"
    assert read_all(tmp_path, form="folder")[0].form == "class folders"
    with pytest.raises(FerError, match=r"\(form hf\)"):
        read_all(tmp_path, form="hf")


def test_a_line_without_an_end_does_not_fill_the_memory(tmp_path):
    (tmp_path / "fer2013.csv").write_bytes(b"emotion,pixels,Usage\n0," + b"1 " * (1 << 20))
    with pytest.raises(FerError, match="fer2013.csv line 2: expected a line of less than 1,048,576 bytes"):
        read_all(tmp_path)


def test_counts_that_differ_from_the_published_ones_are_a_note(tmp_path):
    reading, _, _ = read_all(write_lines(tmp_path / "fer2013.csv", csv_lines()))
    assert any(
        "train 27 instead of 28,709, val 27 instead of 3,589, test 26 instead of 3,589" in n for n in reading.notes
    )
    merged, _, _ = read_all(write_folders(tmp_path / "d"))
    assert any("test 14 instead of 7,178" in note for note in merged.notes)
    path = write_parquet(tmp_path / "train.parquet", ALPHABETICAL, [0, 1])
    assert read_all(path)[0].notes == [
        "counts differ from the published FER-2013: train 2 instead of 28,709, val 0 instead of 3,589, "
        "test 0 instead of 3,589"
    ]


def test_an_import_sets_pictures_aside_that_do_not_decode(project):
    root = write_folders(project / "d")
    (root / "train" / "happy" / "broken.jpg").write_bytes(jpeg(pictures(1)[0])[:200])
    (root / "train" / "happy" / "Thumbs.db").write_bytes(b"not a picture")
    result = import_dataset(fer2013, root, project / "manifests/a", fer2013.Options())
    assert {rejection.where for rejection in result.rejections} == {
        "train/happy/broken.jpg", "train/happy/Thumbs.db",
    }  # fmt: skip
    assert len(result.manifest) == 28
    data = [png(pictures(1)[0]), png(pictures(1)[0])[:100]]
    path = write_parquet(project / "train.parquet", ALPHABETICAL, [0, 1], data)
    result = import_dataset(fer2013, path, project / "manifests/b", fer2013.Options())
    assert [rejection.where for rejection in result.rejections] == ["train.parquet row 1"]
    assert result.manifest.frame["label"].tolist() == ["anger"]


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("form", "splits"),
    [
        ("csv", {"train": 140, "val": 140, "test": 140}),
        ("icml", {"train": 140, "val": 140, "test": 140}),
        ("folder", {"train": 140, "test": 280}),
        ("ferplus", {"train": 140, "val": 140, "test": 140}),
        ("hf", {"train": 140, "test": 280}),
    ],
)
def test_real_faces_in_every_form(tmp_path, real_data, form, splits):
    script = [sys.executable, str(real_data / "materialize.py"), form, str(tmp_path), "--limit", "20"]
    subprocess.run(script, check=True, capture_output=True)
    _, samples, rejections = read_all(tmp_path)
    assert rejections == []
    assert Counter(sample.split for sample in samples) == splits
    if form != "ferplus":
        assert Counter(sample.label for sample in samples) == dict.fromkeys(CSV_ORDER, 60)
