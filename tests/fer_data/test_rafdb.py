"""RAF-DB: the official download in both subsets, and the copies that go round."""

import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from layouts import rafdb as layout
from layouts.faces import face, jpeg

from fer_data import images
from fer_data.adapters import rafdb
from fer_data.errors import FerError
from fer_data.importing import PicturesConfig, import_dataset
from fer_data.views import View, look

STEM = "train_00003"
MANUAL, BOX = f"Annotation/manual/{STEM}_manu_attri.txt", f"Annotation/boundingbox/{STEM}_boundingbox.txt"


def read(root, **options):
    rejections = []
    reading = rafdb.read(root, rafdb.Options(**options), rejections)
    return reading, list(reading.samples), rejections


def stems(samples):
    return [sample.key.rpartition("/")[2].removesuffix(".jpg").removesuffix("_aligned") for sample in samples]


@pytest.fixture
def basic(tmp_path):
    return layout.write_basic_alone(tmp_path)


@pytest.mark.parametrize(("subset", "words"), [("basic", layout.BASIC), ("compound", layout.COMPOUND)])
def test_labels_splits_and_attributes_are_those_of_the_files(tmp_path, subset, words):
    reading, samples, rejections = read(layout.write_official(tmp_path), subset=subset)
    assert rejections == []
    assert reading.label_set == {"basic": "basic7", "compound": "compound11"}[subset]
    listing = layout.listing(subset)
    assert stems(samples) == [stem for stem, _ in listing]
    assert [sample.label for sample in samples] == [words[code - 1] for _, code in listing]
    assert [sample.split for sample in samples] == [stem.partition("_")[0] for stem, _ in listing]
    assert all(f"/{subset}/" in sample.key and "_aligned.jpg" in sample.key for sample in samples)
    for row, sample in enumerate(samples):
        gender, race, age = layout.attributes(row)
        assert sample.facts == {
            "gender": layout.GENDERS[gender],
            "race": layout.RACES[race],
            "age": layout.AGES[age],
        }


def test_public_readers_see_the_same(basic):
    """The list as yaoing/DAN `rafdb.py` reads it, the attributes as readers with readlines do."""
    table = pd.read_csv(basic / "EmoLabel" / "list_patition_label.txt", sep=" ", header=None, names=["name", "label"])
    _, samples, _ = read(basic)
    for split in ("train", "test"):
        some = table[table["name"].str.startswith(split)]
        ours = [sample for sample in samples if sample.split == split]
        files = [name.split(".")[0] + "_aligned.jpg" for name in some["name"]]
        assert [sample.key.rpartition("/")[2] for sample in ours] == files
        # 0:Surprise, 1:Fear, 2:Disgust, 3:Happiness, 4:Sadness, 5:Anger, 6:Neutral
        theirs = [layout.BASIC[label] for label in some["label"].to_numpy() - 1]
        assert [sample.label for sample in ours] == theirs
    lines = (basic / MANUAL).read_text().splitlines()
    assert [int(line) for line in lines[5:8]] == list(layout.attributes(2))


def test_original_pictures_come_with_landmarks_and_boxes(basic):
    reading, samples, rejections = read(basic, image="original")
    assert rejections == []
    assert reading.form == "official, basic, original"
    for row, sample in enumerate(samples):
        assert sample.key.startswith("Image/original/")
        points = np.reshape(sample.facts["landmarks"], (5, 2))
        np.testing.assert_allclose(points, layout.landmarks("basic", row), atol=0.0006)
        assert sample.facts["face_box"] == layout.box(row)


def test_faces_are_cut_by_the_box_and_aligned_by_the_landmarks(project):
    download = project / "download"
    download.mkdir()
    layout.write_basic_alone(download)
    options = rafdb.Options(image="original")
    for crop in ("box", "align"):
        result = import_dataset(rafdb, download, f"manifests/{crop}", options, PicturesConfig(crop=crop, size_px=32))
        assert result.rejections == []
        assert set(result.manifest.facts(["width_px"])["width_px"]) == {32}
    row = int(result.manifest.frame["store_row"][0])
    original = images.decode((download / "Image/original/train_00001.jpg").read_bytes(), "original")
    assert result.manifest.frame["sample_id"][0].endswith("train_00001.jpg")
    view = View(crop="align", size_px=32)
    points = layout.landmarks("basic", row).round(3).astype(np.float32).ravel()
    store = next(iter(result.manifest.stores.values()))
    np.testing.assert_array_equal(store.image(row), look(original, view, None, points, "original"))


def test_notes_say_what_was_passed_over_and_what_differs(basic):
    (basic / "Annotation" / "manual" / f"{STEM}_manu_attri.txt").unlink()
    reading, samples, _ = read(basic)
    assert reading.notes == [
        "21 other files passed over (first: Image/original/test_0001.jpg)",
        "landmarks and boxes are about the original pictures; aligned faces are read without them",
        f"1 pictures have no manual attributes ({STEM})",
        "counts differ from the published RAF-DB basic: total 21 instead of 15,339, train 14 instead of 12,271, "
        "test 7 instead of 3,068",
    ]
    assert samples[2].facts == {}


def test_a_list_with_dos_line_ends_and_blank_lines_reads_the_same(basic):
    before = [(sample.key, sample.label) for sample in read(basic)[1]]
    path = basic / "EmoLabel" / "list_patition_label.txt"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b" \r\n\r\n"))
    _, samples, rejections = read(basic)
    assert rejections == []
    assert [(sample.key, sample.label) for sample in samples] == before


@pytest.mark.parametrize(
    ("old", "new", "expected", "found"),
    [
        ("train_00003.jpg 3", "train_00003.jpg 0", "a label 1 to 7", "'0'"),
        ("train_00003.jpg 3", "train_00003.jpg 8", "a label 1 to 7", "'8'"),
        ("train_00003.jpg 3", "train_00003.jpg three", "a label 1 to 7", "'three'"),
        ("train_00003.jpg 3", "train_00002.jpg 3", "train_00002.jpg once", "it again, after line 2"),
        ("train_00003.jpg 3", "train_00003.jpg", "a name as train_00001.jpg and a label", "'train_00003.jpg'"),
        ("train_00003.jpg 3", "face.jpg 3", "a name as train_00001.jpg and a label", "'face.jpg 3'"),
    ],
)
def test_a_faulty_line_is_told_and_its_picture_too(basic, old, new, expected, found):
    path = basic / "EmoLabel" / "list_patition_label.txt"
    path.write_text(path.read_text().replace(old, new))
    _, samples, rejections = read(basic)
    line, picture = rejections
    where = "EmoLabel/list_patition_label.txt line 3"
    assert (line.where, line.expected, line.found, line.action) == (where, expected, found, "the line was set aside")
    assert (picture.where, picture.expected) == (f"Image/aligned/{STEM}_aligned.jpg", "a line with its label")
    assert len(samples) == 20 and STEM not in stems(samples)


def test_a_line_without_picture_is_told(basic):
    (basic / "Image" / "aligned" / f"{STEM}_aligned.jpg").unlink()
    _, samples, (rejection,) = read(basic)
    assert rejection.sentence() == (
        "EmoLabel/list_patition_label.txt line 3: expected the picture of train_00003, found none; "
        "the line was set aside"
    )
    assert len(samples) == 20


def test_a_second_copy_of_a_picture_is_told(basic):
    copies = basic / "Image" / "more"
    copies.mkdir()
    shutil.copy(basic / "Image" / "aligned" / f"{STEM}_aligned.jpg", copies)
    _, samples, (rejection,) = read(basic)
    assert rejection.expected == f"{STEM}_aligned.jpg once"
    assert len(samples) == 21


POINTS = "1.0\t2.0\n" * 5


@pytest.mark.parametrize(
    ("file", "content", "expected", "lost"),
    [
        (MANUAL, POINTS + "0\n1\n", "5 lines x y, gender 0 to 2, race 0 to 2, age 0 to 4", "gender"),
        (MANUAL, POINTS + "3\n1\n1\n", "5 lines x y, gender 0 to 2, race 0 to 2, age 0 to 4", "gender"),
        (MANUAL, POINTS + "0\n1\n0.5\n", "5 lines x y, gender 0 to 2, race 0 to 2, age 0 to 4", "age"),
        (MANUAL, POINTS + "0\n1\n5\n", "5 lines x y, gender 0 to 2, race 0 to 2, age 0 to 4", "age"),
        (MANUAL, "1.0\n" * 5 + "0\n1\n1\n", "5 lines x y, gender 0 to 2, race 0 to 2, age 0 to 4", "landmarks"),
        (MANUAL, POINTS + "male\n1\n1\n", "lines of numbers", "gender"),
        (MANUAL, "nan 1\n" * 5 + "0\n1\n1\n", "numbers below 1,000,000", "landmarks"),
        (MANUAL, "\udcff", "lines of numbers", "race"),
        (BOX, "1 2 3", "left top right bottom", "face_box"),
        (BOX, "30 2 3 40", "left top right bottom", "face_box"),
        (BOX, "left", "lines of numbers", "face_box"),
    ],
)
def test_a_faulty_side_file_is_told(basic, file, content, expected, lost):
    (basic / file).write_bytes(content.encode("utf-8", "surrogateescape"))
    _, samples, (rejection,) = read(basic, image="original")
    assert (rejection.where, rejection.expected) == (file, expected)
    assert len(samples) == 21
    assert [stem for stem, sample in zip(stems(samples), samples, strict=True) if lost not in sample.facts] == [STEM]


def test_the_other_subset_is_not_mistaken(tmp_path):
    layout.write_subset(tmp_path / "basic", "basic")
    with pytest.raises(FerError, match=r"expected one EmoLabel/.* of the compound subset, found basic/EmoLabel"):
        read(tmp_path, subset="compound")
    with pytest.raises(FerError, match="expected labels 1 to 11, found none above 7, which is the basic subset"):
        read(tmp_path / "basic", subset="compound")
    layout.write_subset(tmp_path / "compound", "compound")
    with pytest.raises(FerError, match=r"found 8 lines with labels up to 11; this is the compound subset, import it"):
        read(tmp_path / "compound")


def test_pictures_of_the_kind_asked_for_must_be_there(basic):
    shutil.rmtree(basic / "Image" / "original")
    with pytest.raises(FerError, match=r"expected pictures train_00001\.jpg under Image, found none"):
        read(basic, image="original")


def test_class_folders_and_their_csv_agree(tmp_path):
    reading, samples, rejections = read(layout.write_folders(tmp_path))
    assert rejections == []
    labels = dict(layout.listing("basic"))
    assert all(
        sample.label == layout.BASIC[labels[stem] - 1] for stem, sample in zip(stems(samples), samples, strict=True)
    )
    assert all(sample.split == stem.partition("_")[0] for stem, sample in zip(stems(samples), samples, strict=True))
    assert "counts differ from the published RAF-DB basic" in reading.notes[-1]


@pytest.mark.parametrize(
    ("old", "new", "where", "expected"),
    [
        (
            "train_00003_aligned.jpg,3",
            "train_00003_aligned.jpg,4",
            ["DATASET/train/3/train_00003_aligned.jpg"],
            "label 3 in train_labels.csv, as its folder says",
        ),
        (
            "train_00003_aligned.jpg,3",
            "train_09999_aligned.jpg,3",
            ["DATASET/train/3/train_00003_aligned.jpg", "train_labels.csv row 2"],
            "a line in train_labels.csv",
        ),
        (
            "train_00003_aligned.jpg,3",
            "train_00003_aligned.jpg,3,3",
            ["train_labels.csv row 2", "DATASET/train/3/train_00003_aligned.jpg"],
            "2 fields, image,label",
        ),
        (
            "train_00004_aligned.jpg,4",
            "train_00003_aligned.jpg,3",
            ["train_labels.csv row 3", "DATASET/train/4/train_00004_aligned.jpg"],
            "train_00003_aligned.jpg once",
        ),
    ],
)
def test_where_folders_and_csv_differ_the_picture_is_set_aside(tmp_path, old, new, where, expected):
    table = layout.write_folders(tmp_path) / "train_labels.csv"
    table.write_text(table.read_text().replace(old, new))
    _, samples, rejections = read(tmp_path)
    assert [rejection.where for rejection in rejections] == where
    assert rejections[0].expected == expected
    assert len(samples) == 20


def test_class_folders_need_no_csv_but_the_right_split(tmp_path):
    layout.write_folders(tmp_path)
    for split in ("train", "test"):
        (tmp_path / f"{split}_labels.csv").unlink()
    (tmp_path / "DATASET" / "train" / "1" / "mine.jpg").write_bytes(jpeg(face("surprise", 90, 48)))
    (tmp_path / "DATASET" / "train" / "1" / "test_0009_aligned.jpg").write_bytes(jpeg(face("surprise", 91, 48)))
    (tmp_path / "notes.txt").write_text("")
    reading, samples, (rejection,) = read(tmp_path)
    assert (rejection.expected, rejection.found) == ("a picture of train", "one named as test")
    assert len(samples) == 22
    assert reading.notes[:2] == [
        "1 pictures are not named as RAF-DB's are (DATASET/train/1/mine.jpg)",
        "1 other files passed over (first: notes.txt)",
    ]


def test_folders_that_count_from_0_and_odd_csv_files_are_refused(tmp_path):
    layout.write_folders(tmp_path)
    table = tmp_path / "train_labels.csv"
    good = table.read_text()
    for wrong in ("", "file,class\n"):
        table.write_text(wrong)
        with pytest.raises(FerError, match="expected the header image,label, found"):
            read(tmp_path)
    table.write_text(good)
    shutil.copy(table, tmp_path / "DATASET")
    with pytest.raises(FerError, match=r"expected one train_labels\.csv, found DATASET/train_labels\.csv, train_"):
        read(tmp_path)
    (tmp_path / "DATASET" / "train" / "7").rename(tmp_path / "DATASET" / "train" / "0")
    with pytest.raises(FerError, match="expected folders 1 to 7, found 0; copies that number otherwise"):
        read(tmp_path)


def test_parquet_mirrors_are_read_by_numbers_or_by_names(tmp_path):
    reading, samples, rejections = read(layout.write_parquet(tmp_path))
    assert rejections == []
    assert [sample.split for sample in samples] == ["test"] * 7 + ["train"] * 14
    assert [sample.label for sample in samples] == list(layout.BASIC) * 3
    assert reading.total_images == 21
    alphabetical = ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"]
    named = layout.write_shard(tmp_path / "named.parquet", "test", alphabetical, shift=-1)
    notes, found, _ = read(named)
    assert [sample.source_label for sample in found] == alphabetical
    assert [sample.label for sample in found][:2] == ["anger", "disgust"]
    assert notes.notes[0] == "files whose name tells no split, left without one: named.parquet"


def test_faulty_rows_of_a_parquet_mirror_are_told(tmp_path):
    path = layout.write_shard(
        tmp_path / "test.parquet", "test", ["anger", "disgust", "fear", "happy", "sad", "surprise"]
    )
    table = pq.read_table(path)
    images = [{"bytes": None, "path": "gone.jpg"}, *table["image"].to_pylist()[1:]]
    pq.write_table(table.set_column(0, "image", pa.array(images, table.schema.field("image").type)), path)
    _, samples, rejections = read(path)
    assert [(rejection.where, rejection.expected, rejection.found) for rejection in rejections] == [
        ("test.parquet row 0", "the bytes of a picture", "null"),
        ("test.parquet row 5", "a label 0 to 5", "6"),
        ("test.parquet row 6", "a label 0 to 5", "7"),
    ]
    assert len(samples) == 4


def test_parquet_files_that_tell_too_little_are_refused(tmp_path):
    file = layout.write_shard(tmp_path / "test.parquet", "test", shift=-1)
    with pytest.raises(FerError, match=r"expected each of RAF-DB's labels 1 to 7 and no other, found 0, 1, 2, 3"):
        read(file)
    layout.write_shard(file, "test", ["a", "b"])
    with pytest.raises(FerError, match="expected labels named after the expressions of basic7, found 'a', 'b'"):
        read(file)
    layout.write_shard(tmp_path / "train.parquet", "train")
    with pytest.raises(FerError, match="expected the same label names in all files, found none and a, b"):
        read(tmp_path)
    for columns in ({"image": ["a.jpg"], "label": [1]}, {"image": [b""], "label": [[1]]}, {"picture": [b""]}):
        pq.write_table(pa.table(columns), file)
        with pytest.raises(FerError, match="a column image with the bytes of pictures and a column label of numbers"):
            read(file)
    file.write_bytes(b"PAR1 and no more")
    with pytest.raises(FerError, match="expected a parquet file, found"):
        read(file)


def test_several_forms_are_named_and_one_can_be_chosen(tmp_path):
    layout.write_parquet(layout.write_folders(tmp_path))
    with pytest.raises(FerError, match=r"found several: class folders 1 to 7 \(folders\), parquet files \(parquet\)"):
        read(tmp_path)
    assert read(tmp_path, form="folders")[0].form == "class folders"
    assert read(tmp_path, form="parquet")[0].form == "parquet mirror"
    with pytest.raises(FerError, match=r"\(form official\), found DATASET, data"):
        read(tmp_path, form="official")


@pytest.mark.parametrize("write", [layout.write_folders, layout.write_parquet, layout.write_parquet_alone])
@pytest.mark.parametrize("option", [{"subset": "compound"}, {"image": "original"}])
def test_copies_hold_the_aligned_faces_of_the_basic_subset_only(tmp_path, write, option):
    ((name, value),) = option.items()
    with pytest.raises(FerError, match=f"{name}: expected (basic|aligned), which is all that .* hold, found {value}"):
        read(write(tmp_path), **option)


def write_ran_lists(folder):
    folder.mkdir()
    (folder / "rafdb_occlusion_list.txt").write_bytes(b"test_0003_aligned 3 4\r\ntest_0005_aligned 5 1\r\n")
    (folder / "val_raf_db_list.txt").write_text("2/test_0003_aligned.jpg\n")
    (folder / "val_raf_db_list_45.txt").write_text("0/test_3068_aligned.jpg\n")
    return folder


@pytest.mark.parametrize("write", [layout.write_basic_alone, layout.write_folders])
def test_ran_lists_name_slices_of_the_test_split(tmp_path, write):
    (tmp_path / "download").mkdir()
    lists = write_ran_lists(tmp_path / "RAF_DB_dir")
    reading, samples, rejections = read(write(tmp_path / "download"), ran=lists)
    assert rejections == []
    slices = {stem: sample.facts["slices"] for stem, sample in zip(stems(samples), samples, strict=True)
              if "slices" in sample.facts}  # fmt: skip
    assert slices == {"test_0003": ["ran_occlusion", "ran_pose30"], "test_0005": ["ran_occlusion"]}
    assert any("1 of 3 listed pictures are not in this download" in note for note in reading.notes)


def test_ran_lists_belong_to_named_files_of_the_basic_subset(tmp_path):
    lists = write_ran_lists(tmp_path / "lists")
    with pytest.raises(FerError, match="ran: expected files .* found the compound subset; leave the lists out"):
        read(layout.write_official(tmp_path), subset="compound", ran=lists)
    with pytest.raises(FerError, match="ran: expected files .* found parquet files; leave the lists out"):
        read(layout.write_parquet_alone(tmp_path), ran=lists)


def test_torchvision_reads_the_same_class_folders(tmp_path):
    from torchvision.datasets import ImageFolder

    _, samples, _ = read(layout.write_folders(tmp_path))
    for split in ("train", "test"):
        folders = ImageFolder(tmp_path / "DATASET" / split)
        theirs = {(f"DATASET/{split}/{file[-2]}/{file[-1]}", layout.BASIC[int(folders.classes[code]) - 1])
                  for path, code in folders.samples for file in [path.split("/")]}  # fmt: skip
        assert theirs == {(sample.key, sample.label) for sample in samples if sample.split == split}
