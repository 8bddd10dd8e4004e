"""SFEW, AFEW and CAER-S: files that lie where they should, files that do not, boxes from elsewhere."""

import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from layouts import afew as afew_layout
from layouts import caer_s as caer_layout
from layouts import sfew as sfew_layout
from layouts.reading import by_key, only, read_all

from fer_data.adapters import afew, caer_s, sfew
from fer_data.errors import FerError
from fer_data.importing import PicturesConfig, import_dataset


def test_sfew_has_labelled_splits_and_a_test_without_labels(tmp_path):
    reading, samples, _ = read_all(sfew, sfew_layout.write(tmp_path))
    for sample in samples:
        split, *middle, _ = sample.key.split("/")[1:]
        assert sample.split == split.lower()
        assert sample.source_label == (middle[0] if middle else None)
        assert sample.label == (sfew_layout.CLASSES[middle[0]] if middle else None)
    assert any("train 14 instead of 958, val 7 instead of 436, test 3 instead of 372" in note for note in reading.notes)
    assert any("1 files that are no pictures passed over" in note for note in reading.notes)


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("SFEW2.0/Train/Bored", "expected a folder Train/ with one of Angry, Disgust, Fear, .*found Train/Bored"),
        ("SFEW2.0/Train/Angry/more", "expected a folder Train/ with one of .*found Train/Angry/more"),
        ("SFEW2.0/Train", "expected a folder Train/ with one of .*found Train;"),
        ("SFEW2.0/Extra/Angry", "expected a folder named train, val, test above it, found none"),
    ],
)
def test_a_picture_that_lies_elsewhere_is_set_aside(tmp_path, place, sentence):
    sfew_layout.write(tmp_path)
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    shutil.copy(tmp_path / "SFEW2.0" / "Test" / "00000.png", tmp_path / place / "odd.png")
    _, samples, rejections = read_all(sfew, tmp_path)
    assert len(samples) == 24
    told = only(rejections)
    assert told.startswith(f"{place}/odd.png: ") and told.endswith("the file was set aside")
    assert re.search(sentence, told)


@pytest.mark.parametrize(("adapter", "example"), [(sfew, "Train/Angry"), (afew, "clip.avi"), (caer_s, "train/Anger")])
def test_pictures_without_any_split_folder_are_refused(tmp_path, adapter, example):
    (tmp_path / "Angry").mkdir()
    (tmp_path / "Angry" / "a.png").write_bytes(b"")
    with pytest.raises(FerError, match=f"expected files as .*{example}.* found Angry"):
        read_all(adapter, tmp_path)


def test_afew_clips_become_evenly_spaced_frames(tmp_path):
    reading, samples, rejections = read_all(afew, afew_layout.write(tmp_path), frames=3)
    assert rejections == []
    places = {}
    for sample in samples:
        clip, _, number = sample.key.rpartition("#")
        places.setdefault(clip.removeprefix("AFEW/"), []).append(int(number))
        drawn = afew_layout.frames(clip.removeprefix("AFEW/"))[int(number)]
        assert sample.image.shape == drawn.shape, "grey stays grey"
        assert np.abs(sample.image.astype(int) - drawn).mean() < 12, "the right frame: codecs change pixels a little"
        assert sample.facts == {
            "sequence_id": Path(clip).stem,
            "frame": int(number),
            "timestamp_s": pytest.approx(int(number) / 25),
        }
    assert places == {
        "Train_AFEW/Angry/000046280.avi": [1, 4, 7],
        "Train_AFEW/Happy/000149120.avi": [0, 2, 3],
        "Val_AFEW/Sad/000046280.avi": [1, 3, 5],
        "Test_vid_Distribute/000222000.avi": [0, 2, 4],
    }
    notes = " ".join(reading.notes)
    assert "1 clip names occur in more than one split (000046280): a leak" in notes
    assert "train 2 instead of 773, val 1 instead of 383" in notes
    assert "1 files that are no clips (.avi) passed over" in notes


def test_a_short_clip_gives_all_its_frames_and_a_broken_one_is_set_aside(tmp_path):
    afew_layout.write(tmp_path)
    clip = tmp_path / "AFEW" / "Train_AFEW" / "Angry" / "000046280.avi"
    clip.write_bytes(clip.read_bytes()[:700])
    _, samples, rejections = read_all(afew, tmp_path, frames=8)
    assert only(rejections).startswith("AFEW/Train_AFEW/Angry/000046280.avi: expected a whole AVI video")
    assert len(samples) == 4 + 6 + 5


def test_afew_faces_get_the_label_of_their_clip(tmp_path):
    root = afew_layout.write_faces(tmp_path)
    reading, samples, rejections = read_all(afew, root, pictures="faces", frames=2)
    assert reading.form == "faces" and rejections == []
    assert any("12 other faces of the clips passed over" in note for note in reading.notes)
    told = {(s.split, s.facts["sequence_id"], s.facts["frame"], s.label, s.source_label) for s in samples}
    assert told == {
        ("train", "000046280", 2, "anger", "Angry"),
        ("train", "000046280", 4, "anger", "Angry"),
        ("train", "000149120", 2, "happiness", "Happy"),
        ("train", "000149120", 4, "happiness", "Happy"),
        ("val", "000046280", 2, "sadness", "Sad"),
        ("val", "000046280", 4, "sadness", "Sad"),
        ("test", "000222000", 2, None, None),
        ("test", "000222000", 4, None, None),
    }
    (root / "AFEW" / "Train_AFEW" / "Happy" / "000149120.avi").unlink()
    _, samples, rejections = read_all(afew, root, pictures="faces")
    assert only(rejections).endswith(
        "expected a clip 000149120.avi in a class folder of train, found none; 5 faces were set aside"
    )
    assert len(samples) == 15


def test_afew_without_faces_says_so(tmp_path):
    with pytest.raises(FerError, match=r"expected faces as Faces/Train/clip/001.jpg, found none; set pictures=frames"):
        read_all(afew, afew_layout.write(tmp_path), pictures="faces")


def test_afew_says_when_pyav_is_missing(tmp_path, monkeypatch):
    afew_layout.write(tmp_path)
    monkeypatch.setitem(sys.modules, "av", None)
    _, samples, rejections = read_all(afew, tmp_path)
    assert samples == [] and len(rejections) == 4
    assert "expected PyAV to read videos with" in rejections[0].found


def test_caer_s_takes_boxes_from_the_list_of_others(tmp_path, project):
    root = caer_layout.write(tmp_path / "d")
    boxes = caer_layout.write_boxes(root)
    reading, samples, rejections = read_all(caer_s, root, boxes=boxes)
    assert rejections == []
    with_box = [sample for sample in samples if "face_box" in sample.facts]
    assert len(with_box) == 19
    assert all(s.facts["face_box"] == list(caer_layout.box(int(s.key[-8:-4]))) for s in with_box)
    assert any("2 pictures have no face box in the list" in note for note in reading.notes)
    pictures = PicturesConfig(crop="box", size_px=24)
    result = import_dataset(caer_s, root, "manifests/m", caer_s.Options(boxes=boxes), pictures)
    assert len(result.manifest) == 19 and len(result.rejections) == 2
    without, _, _ = read_all(caer_s, root)
    assert any("give the lists of CAERS-Annotation with --set boxes=FOLDER" in note for note in without.notes)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("test/Anger/0001.png,0,1,2,3", "expected 6 fields: picture, class, left, top, right, bottom"),
        ("test/Anger/0001.png,0,1,2,x,4", "expected a box of whole pixels"),
        ("test/Anger/0001.png,0,5,2,3,4", "expected a box left, top, right, bottom"),
        ("test/Disgust/0001.png,0,1,2,3,4", "expected a picture once, found test/Disgust/0001.png again"),
    ],
)
def test_a_wrong_line_of_the_boxes_is_set_aside(tmp_path, line, sentence):
    root = caer_layout.write(tmp_path / "d")
    boxes = caer_layout.write_boxes(root)
    table = boxes / "test.txt"
    table.write_text("\n".join([*table.read_text().splitlines()[1:], line]))
    _, samples, rejections = read_all(caer_s, root, boxes=boxes)
    assert only(rejections).startswith(f"test.txt row 5: {sentence}")
    assert len(samples) == 21 and sum("face_box" in sample.facts for sample in samples) == 18


def test_boxes_without_lists_are_refused_and_boxes_of_no_picture_counted(tmp_path):
    root = caer_layout.write(tmp_path / "d")
    with pytest.raises(FerError, match=r"expected train.txt and test.txt with face boxes, found d"):
        read_all(caer_s, root, boxes=tmp_path)
    boxes = caer_layout.write_boxes(root)
    (root / "CAER-S" / "test" / "Anger" / "0001.png").unlink()
    reading, _, _ = read_all(caer_s, root, boxes=boxes)
    assert any("1 face boxes are of pictures that are not there" in note for note in reading.notes)
    assert by_key(read_all(caer_s, root)[1]).keys() == {s.key for s in read_all(caer_s, root, boxes=boxes)[1]}
