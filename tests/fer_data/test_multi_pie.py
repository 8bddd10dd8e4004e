"""What is particular to Multi-PIE: everything is in the name; two expressions are none of the label set."""

import re

import pytest
from layouts import multi_pie as layout
from layouts.reading import only, read_all

from fer_data.adapters import multi_pie
from fer_data.errors import FerError

SESSION = "Multi-Pie/data/session01/multiview/001/01/05_1"


def read(root):
    return read_all(multi_pie, root)


def test_every_fact_is_in_the_name(tmp_path):
    reading, samples, rejections = read(layout.write(tmp_path))
    assert rejections == []
    poses = {"051": "frontal", "041": "yaw +30", "190": "yaw +45"}
    for sample in samples:
        person, session, recording, camera, flash = sample.key.rpartition("/")[2].removesuffix(".png").split("_")
        word = layout.RECORDINGS[session][int(recording) - 1]
        assert (sample.label, sample.source_label, sample.split) == (layout.LABELS.get(word), word, None)
        facts = dict(sample.facts)
        assert facts.pop("light", None) == (None if flash == "13" else "normal")
        assert facts == {
            "subject_id": person,
            "sequence_id": f"{person}_{session}_{recording}",
            "pose": poses[camera],
            "condition_source": "dataset",
            "gender": {"001": "male", "346": "female"}[person],
        }
    notes = " ".join(reading.notes)
    assert "1 pictures of high resolution passed over" in notes
    assert "total 22 instead of 755,370" in notes


def test_the_cameras_of_the_arc_are_in_order():
    arc = ["110", "120", "090", "080", "130", "140", "051", "050", "041", "190", "200", "010", "240"]
    degrees = [0 if multi_pie.CAMERAS[name] == "frontal" else int(multi_pie.CAMERAS[name][4:]) for name in arc]
    assert degrees == list(range(-90, 91, 15))
    assert set(multi_pie.CAMERAS) - set(arc) == {"081", "191"}


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        (
            f"{SESSION}/001_01_03_051_07.png",
            "expected a recording that its session has, found session 01, recording 03",
        ),
        (f"{SESSION}/001_05_01_051_07.png", "expected a recording that its session has, found session 05"),
        (f"{SESSION}/001_01_01_052_07.png", "expected a camera among 110, 120, .*, found 052"),
        (f"{SESSION}/001_01_01_051_20.png", "expected a flash 00 to 19, found 20"),
        (f"{SESSION}/001_02_01_051_07.png", "expected the folder session02 above it, found session01"),
        ("copy/001_01_01_051_07.png", "expected 001_01_01_051_07 once, found it again, after Multi-Pie"),
        (f"{SESSION}/cover.png", "expected a name as 001_01_01_051_07.png, found another"),
    ],
)
def test_a_name_that_tells_something_else_is_set_aside(tmp_path, place, sentence):
    layout.write(tmp_path)
    file = tmp_path / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"")
    _, samples, rejections = read(tmp_path)
    assert re.search(f"{sentence}.*; the picture was set aside", only(rejections))
    assert len(samples) == 22


def test_a_wrong_line_of_the_subject_list_is_told(tmp_path):
    layout.write(tmp_path)
    table = tmp_path / "Multi-Pie" / "meta" / "subject_list.txt"
    table.write_text("\n1 1975 Male 1 1 1 1\n346 1980 unknown 1 1 1 1\n")
    _, samples, rejections = read(tmp_path)
    assert "subject_list.txt row 2: expected number, birth year, Male or Female" in only(rejections)
    assert {sample.facts.get("gender") for sample in samples} == {"male", None}


def test_other_names_are_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(FerError, match=r"expected pictures named as 001_01_01_051_07.png, found a.png"):
        read(tmp_path)
