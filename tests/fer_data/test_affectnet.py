"""What is particular to AffectNet: lists with and without header, null labels, numbers in hostile arrays."""

import io

import numpy as np
import pandas as pd
import pytest
from layouts import affectnet as layout
from layouts.reading import by_key, only, read_all

from fer_data.adapters import affectnet
from fer_data.adapters.affectnet_npy import read_numbers
from fer_data.errors import FerError
from fer_data.importing import PicturesConfig, import_dataset

LISTS = "AffectNet/Manually_Annotated_file_lists"
IMAGES = "AffectNet/Manually_Annotated/Manually_Annotated_Images"


def read(root, **options):
    return read_all(affectnet, root, **options)


def relist(folder, change, name="training.csv"):
    """Rewrite a list line by line, `change` from lines to lines."""
    file = folder / LISTS / name
    file.write_text("\n".join(change(file.read_text().splitlines())) + "\n")


def change_field(folder, row, field, value):
    def change(lines):
        fields = lines[row].split(",")
        fields[field] = value
        return [*lines[:row], ",".join(fields), *lines[row + 1 :]]

    relist(folder, change)


def test_every_fact_of_the_lists_is_kept(tmp_path):
    reading, samples, rejections = read(layout.write_csv(tmp_path))
    assert (reading.form, reading.label_set, rejections) == ("csv edition", "basic8", [])
    found = by_key(samples)
    for split, faces in (("train", layout.TRAIN), ("val", layout.VAL)):
        for code, number in faces:
            _, name, points = layout.picture(code, number)
            sample = found[f"{IMAGES}/{name}"]
            word, label = layout.CLASSES[code]
            assert (sample.label, sample.source_label, sample.split) == (label, word, split)
            if code < 8:
                assert (sample.facts["valence"], sample.facts["arousal"]) == (code / 10, -code / 20)
            else:
                assert not {"valence", "arousal"} & set(sample.facts)
            if code == 10:
                assert sample.facts == {}
            else:
                side = layout.SIZE_PX
                assert sample.facts["face_box"] == [6, 4, 6 + side, 4 + side]
                assert sample.facts["landmarks"] == points
    notes = " ".join(reading.notes)
    assert "faces without a label: No-Face 1, None 2, Uncertain 2" in notes
    assert "val is what papers call AffectNet's test" in notes
    assert "1 faces have no box" in notes
    assert "train 16 instead of 287,651, val 8 instead of 4,000" in notes


def test_pandas_reads_the_same_rows(tmp_path):
    """How public loaders read the lists: with the header of training.csv, and with given names where it is missing."""
    layout.write_csv(tmp_path)
    names = layout.HEADER.split(",")
    tables = [
        pd.read_csv(tmp_path / LISTS / "training.csv"),
        pd.read_csv(tmp_path / LISTS / "validation.csv", names=names, header=None),
    ]
    found = by_key(read(tmp_path)[1])
    rows = pd.concat(tables)
    assert len(rows) == len(found)
    for row in rows.itertuples():
        sample = found[f"{IMAGES}/{row.subDirectory_filePath}"]
        assert (sample.label is None) == (row.expression > 7)
        assert sample.facts.get("valence", -2) == row.valence and sample.facts.get("arousal", -2) == row.arousal
        box = [row.face_x, row.face_y, row.face_x + row.face_width, row.face_y + row.face_height]
        assert sample.facts.get("face_box") == (box if row.face_width > 0 else None)


def test_faces_are_cut_and_aligned_by_the_lists(tmp_path, project):
    layout.write_csv(tmp_path / "d")
    whole = import_dataset(affectnet, tmp_path / "d", "manifests/whole", affectnet.Options())
    assert len(whole.manifest) == len(layout.TRAIN) + len(layout.VAL)
    for crop in ("box", "align"):
        pictures = PicturesConfig(crop=crop, size_px=24)
        result = import_dataset(affectnet, tmp_path / "d", f"manifests/{crop}", affectnet.Options(), pictures)
        facts = result.manifest.facts(["width_px", "height_px"])
        assert set(facts["width_px"]) == set(facts["height_px"]) == {24}
        assert [r.found for r in result.rejections] == ["none"], "the picture without a face has nothing to cut by"


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        (6, "11", "expected an expression 0 to 10, found 11"),
        (6, "1.5", "expected an expression 0 to 10, found 1.5"),
        (6, "joy", "expected numbers, found 'joy;"),
        (7, "1.25", "expected valence -1 to 1, or -2 for unknown, found 1.25"),
        (8, "nan", "expected arousal -1 to 1, or -2 for unknown, found nan"),
        (1, "left", "expected numbers, found 'left;4;32;32'"),
        (5, "1;2;3", "expected 68 landmarks x;y;…, found 3 numbers"),
        (5, ";".join(["inf"] * 136), "expected 68 landmarks x;y;…, found 136 numbers"),
        (5, "1;b", "expected numbers, found '1;b'"),
        (0, "1/none.jpg", "expected the picture '1/none.jpg', found no such file"),
        (8, "0,0", "expected 9 fields, found 10"),
    ],
)
def test_a_wrong_row_is_set_aside_by_name(tmp_path, field, value, sentence):
    layout.write_csv(tmp_path)
    change_field(tmp_path, 3, field, value)
    _, samples, rejections = read(tmp_path)
    told = [rejection.sentence() for rejection in rejections]
    assert told[0].startswith(f"{LISTS}/training.csv row 3: {sentence}")
    assert len(told) == 2 and "a good row of a list, found none; the picture was set aside" in told[1]
    assert len(samples) == len(layout.TRAIN) + len(layout.VAL) - 1


def test_a_row_twice_and_a_row_that_is_no_text(tmp_path):
    layout.write_csv(tmp_path)
    relist(tmp_path, lambda lines: [*lines, "", lines[1]])
    assert "every picture once" in only(read(tmp_path)[2])
    file = tmp_path / LISTS / "training.csv"
    file.write_bytes(file.read_bytes() + b"1/\xff\xfe.jpg,1\n")
    told = [rejection.sentence() for rejection in read(tmp_path)[2]]
    assert len(told) == 2 and "expected text in UTF-8" in told[1]


def test_a_wrong_header_and_lists_twice_are_refused(tmp_path):
    layout.write_csv(tmp_path)
    relist(tmp_path, lambda lines: ["file,x,y,label", *lines[1:]])
    with pytest.raises(FerError, match="expected the columns subDirectory_filePath,.* found 'file,x,y,label'"):
        read(tmp_path)
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "training.csv").write_text("")
    with pytest.raises(FerError, match=r"expected one training.csv, found .* and "):
        read(tmp_path)


def test_one_list_alone_is_read_and_the_rest_is_counted(tmp_path):
    layout.write_csv(tmp_path)
    (tmp_path / LISTS / "training.csv").unlink()
    (tmp_path / LISTS / "readme.txt").write_text("AffectNet")
    reading, samples, rejections = read(tmp_path)
    assert {sample.split for sample in samples} == {"val"} and rejections == []
    notes = " ".join(reading.notes)
    assert "training.csv is not there" in notes
    assert f"{len(layout.TRAIN)} pictures that the list does not name passed over" in notes
    assert "1 files that are neither list nor picture passed over" in notes


def test_the_same_picture_in_two_folders_is_told(tmp_path):
    layout.write_csv(tmp_path)
    _, name, _ = layout.picture(0, 1)
    copy = tmp_path / "Manually_Annotated_Images" / name
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"")
    assert "expected every picture once" in only(read(tmp_path)[2])


def test_both_editions_or_the_wrong_one_are_refused(tmp_path):
    layout.write_csv(tmp_path)
    with pytest.raises(FerError, match=r"\(form npy\), found AffectNet"):
        read(tmp_path, form="npy")
    layout.write_npy(tmp_path)
    with pytest.raises(FerError, match="found the csv and the npy edition; choose with form"):
        read(tmp_path)
    assert len(read(tmp_path, form="npy")[1]) == 20


def test_ran_lists_mark_slices_of_the_csv_edition_only(tmp_path):
    layout.write_csv(tmp_path / "d")
    lists = tmp_path / "lists"
    lists.mkdir()
    name = layout.picture(3, 3)[1]
    stem = name.partition("/")[2].removesuffix(".jpg")
    (lists / "occlusion_affectnet_list.txt").write_text(f"val/3/{stem}/\n")
    (lists / "pose_30_affectnet_list.txt").write_text(f"3/{stem}.jpg\n")
    (lists / "pose_45_affectnet_list.txt").write_text("")
    _, samples, rejections = read(tmp_path / "d", ran=lists)
    marked = {sample.key: sample.facts["slices"] for sample in samples if "slices" in sample.facts}
    assert marked == {f"{IMAGES}/{name}": ["ran_occlusion", "ran_pose30"]} and rejections == []
    with pytest.raises(FerError, match="expected the csv edition"):
        read(layout.write_npy(tmp_path / "n"), ran=lists)


def test_the_npy_edition_has_every_number(tmp_path):
    reading, samples, _ = read(layout.write_npy(tmp_path))
    assert (reading.form, reading.label_set) == ("npy edition", "basic8")
    sample = by_key(samples)["val_set/images/3.jpg"]
    _, points = layout.drawn("surprise", 3, layout.SIZE_PX)
    assert (sample.label, sample.source_label, sample.split) == ("surprise", "Surprise", "val")
    assert (sample.facts["valence"], sample.facts["arousal"]) == (0.3, -0.15)
    np.testing.assert_allclose(sample.facts["landmarks"], points.ravel())
    assert "face_box" not in sample.facts
    assert sum(sample.split == "train" for sample in samples) == 12


def test_faults_of_the_npy_edition_are_told(tmp_path):
    layout.write_npy(tmp_path)
    annotations = tmp_path / "train_set" / "annotations"
    (annotations / "0_exp.npy").unlink()
    (annotations / "1_exp.npy").write_bytes(layout.npy([1, 2]))
    (annotations / "2_lnd.npy").write_bytes(layout.npy([1.0, 2.0]))
    (annotations / "3_val.npy").write_bytes(np.lib.format.MAGIC_PREFIX + b"junk")
    (annotations / "99_exp.npy").write_bytes(layout.npy(1))
    (tmp_path / "notes.txt").write_text("")
    reading, samples, rejections = read(tmp_path)
    told = " | ".join(rejection.sentence() for rejection in rejections)
    assert len(samples) == 16 and len(rejections) == 5
    for part in (
        "0_exp.npy is missing",
        "expected one number, found 2",
        "expected 68 landmarks x;y;…, found 2 numbers",
        "3_val.npy: expected a small npy array of numbers",
        "99_exp.npy: expected a picture that it is about, found none; the file was set aside",
    ):
        assert part in told
    assert any("neither picture nor annotation" in note for note in reading.notes)


def test_sets_alone_and_twice(tmp_path):
    layout.write_npy(tmp_path)
    copy = tmp_path / "copy" / "val_set" / "images"
    copy.mkdir(parents=True)
    (copy / "0.jpg").write_bytes(b"")
    with pytest.raises(FerError, match="expected one val_set, found "):
        read(tmp_path)
    reading, samples, _ = read(tmp_path / "copy")
    assert samples == [] and any("train_set is not there" in note for note in reading.notes)


class Payload:
    """Unpickling it would call a function."""

    def __reduce__(self):
        return (pytest.fail, ("it was unpickled",))


def pickled():
    buffer = io.BytesIO()
    np.save(buffer, np.array([Payload()], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def claiming(shape, dtype="<f8"):
    """An npy header that claims a shape, and no data."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (64 - (len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (pickled(), "an array"),
        (claiming("(100000000000,)"), "an array"),
        (claiming("(1,)", "<U1000000"), "an array"),
        (claiming("(1,)"), ""),
        (claiming("(-1,)"), ""),
        (b"\x93NUMPY\x03\x00" + b"\x00" * 20, "version"),
        (b"", ""),
        (b"GIF89a", ""),
        (b"\x93NUMPY\x01\x00" + b"\x00" * (64 << 10), "bytes"),
        (claiming("(1"), ""),
        (layout.npy("joy"), "could not convert"),
        (layout.npy("3")[:-4] + b"\xff\xff\xff\x7f", "character"),
    ],
)
def test_hostile_arrays_are_refused(data, found):
    with pytest.raises(FerError, match=f"here: expected a small npy array of numbers, found .*{found}"):
        read_numbers(data, "here")


def test_numbers_that_are_not_finite_are_refused():
    with pytest.raises(FerError, match="expected finite numbers"):
        read_numbers(layout.npy([1.0, np.nan]), "here")


@pytest.mark.parametrize(
    "array",
    [
        np.array([[1, 2], [3, 4]], np.uint8),
        np.asfortranarray([[1.5, 2], [3, 4], [5, 6]]),
        np.array(3, ">i4"),
        np.array(["-0.5", "0.25"]),
        np.zeros((0, 2)),
    ],
)
def test_arrays_read_as_numpy_reads_them(array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    loaded = np.load(io.BytesIO(buffer.getvalue()), allow_pickle=False)
    assert read_numbers(buffer.getvalue(), "here") == [float(value) for value in loaded.ravel()]
