"""What is particular to Oulu-CASIA: lighting, two cameras, cropped faces, the end of a sequence."""

import re
import shutil

import pytest
from layouts import oulu_casia as layout
from layouts.reading import only, read_all

from fer_data.adapters import oulu_casia
from fer_data.errors import FerError

ROOT = "OriginalImg/VL"


def read(root, **options):
    return read_all(oulu_casia, root, **options)


def test_every_fact_is_in_the_path(tmp_path):
    reading, samples, _ = read(layout.write(tmp_path), peak_frames=2, first_neutral=True)
    assert reading.form == "original sequences"
    for sample in samples:
        camera, light, person, shown, file = sample.key.removeprefix("OriginalImg/").split("/")
        number = int(file.removesuffix(".jpeg"))
        assert sample.facts == {
            "subject_id": person,
            "sequence_id": f"{camera}/{light}/{person}/{shown}",
            "frame": number,
            "light": {"Strong": "normal", "Weak": "low", "Dark": "low"}[light],
            "condition_source": "dataset",
        }
        assert (sample.label, sample.source_label) == ("neutral" if number == 0 else shown.lower(), shown)
        assert number in (0, 2, 3)
    assert len(samples) == 54
    notes = " ".join(reading.notes)
    assert "the last 2 frames of each sequence carry its label, the first is neutral" in notes
    assert "people 6 instead of 80, VL Strong 6 instead of 480, VL Weak 6 instead of 480" in notes
    assert "1 files that are no pictures passed over" in notes


def test_cameras_are_chosen_and_the_other_is_counted(tmp_path):
    layout.write_both(tmp_path)
    reading, samples, _ = read(tmp_path)
    assert {sample.key.split("/")[2] for sample in samples} == {"VL"} and len(samples) == 18
    assert any("24 frames of the camera or kind that was not chosen passed over" in note for note in reading.notes)
    reading, samples, _ = read(tmp_path, camera="both")
    assert {sample.facts["sequence_id"].split("/")[0] for sample in samples} == {"VL", "NI"} and len(samples) == 36
    shutil.rmtree(tmp_path / "B_OriginalImg" / "OriginalImg" / "NI")
    with pytest.raises(FerError, match="expected original pictures of the infrared camera, found none"):
        read(tmp_path, camera="infrared")


def test_original_and_cropped_pictures_must_be_chosen(tmp_path):
    layout.write(tmp_path)
    layout.write_cropped(tmp_path)
    with pytest.raises(FerError, match="expected one kind of pictures, found original and cropped"):
        read(tmp_path)
    assert len(read(tmp_path, pictures="cropped")[1]) == 9
    assert len(read(tmp_path, pictures="original")[1]) == 54


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        (f"{ROOT}/Strong/P001/Boredom/000.jpeg", "expected a folder named Anger, Disgust, .*found 'Boredom'"),
        (f"{ROOT}/Strong/P001/Anger/3.jpeg", "expected frame 3 of VL/Strong/P001/Anger once, found it again, after"),
        (f"{ROOT}/Bright/P001/Anger/000.jpeg", "expected VL/Strong/P001/Anger/000.jpeg in its path, found another"),
    ],
)
def test_a_picture_that_lies_elsewhere_is_set_aside(tmp_path, place, sentence):
    layout.write(tmp_path)
    file = tmp_path / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"")
    _, samples, rejections = read(tmp_path, peak_frames=1)
    assert re.search(f"{sentence}.*; the picture was set aside", only(rejections))
    assert len(samples) == 18


def test_a_sequence_that_is_too_short_is_set_aside(tmp_path):
    layout.write(tmp_path)
    place = tmp_path / ROOT / "Dark" / "P002" / "Disgust"
    for number in (1, 2):
        (place / f"{number:03d}.jpeg").unlink()
    _, samples, rejections = read(tmp_path, peak_frames=2, first_neutral=True)
    assert only(rejections) == (
        "VL/Dark/P002/Disgust: expected a sequence of at least 3 frames, found 2; the sequence was set aside"
    )
    assert len(samples) == 51


def test_no_frames_at_all_are_refused(tmp_path):
    (tmp_path / "VL").mkdir()
    (tmp_path / "VL" / "a.jpeg").write_bytes(b"")
    with pytest.raises(FerError, match=r"expected files as VL/Strong/P001/Anger/000.jpeg, found VL;"):
        read(tmp_path)
