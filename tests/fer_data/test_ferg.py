import pytest
from layouts.faces import face, png
from layouts.ferg import write

from fer_data.adapters import ferg
from fer_data.errors import FerError


def read_all(root):
    rejections = []
    reading = ferg.read(root, ferg.Options(), rejections)
    return reading, list(reading.samples), rejections


def test_characters_are_the_subjects_and_joy_is_happiness(tmp_path):
    reading, samples, rejections = read_all(write(tmp_path))
    assert rejections == []
    for sample in samples:
        _, character, folder, file = sample.key.split("/")
        assert sample.facts == {"subject_id": character}
        assert f"{character}_{sample.source_label}" == folder and file.startswith(folder + "_")
        assert sample.label == {"joy": "happiness"}.get(sample.source_label, sample.source_label)
    assert {sample.split for sample in samples} == {None}
    assert "1 files that are no png pictures passed over (first: FERG_DB_256/README.txt)" in reading.notes
    assert "no pictures of mery, ray" in reading.notes
    assert "counts differ from the published FERG-DB: total 28 instead of 55,767" in reading.notes


def test_published_counts_are_those_of_the_readme():
    # rows of FERG_DB_256/README.txt: anger, disgust, fear, joy, neutral, sadness, surprise
    readme = {
        "aia": (1644, 1596, 1116, 1232, 1200, 1469, 1746),
        "bonnie": (2059, 2088, 1255, 1438, 1243, 1506, 1682),
        "jules": (1479, 1321, 1858, 1317, 1344, 1475, 1961),
        "malcolm": (1100, 1190, 1018, 1089, 1083, 1034, 1065),
        "mery": (1428, 911, 1035, 1140, 941, 1045, 1058),
        "ray": (1459, 1465, 1137, 1114, 1128, 1098, 1200),
    }
    assert sum(map(sum, readme.values())) == ferg.EXPECTED["total"]
    assert tuple(readme) == ferg.CHARACTERS


def test_names_that_disagree_with_their_folder_are_set_aside(tmp_path):
    root = write(tmp_path) / "FERG_DB_256"
    picture = png(face("anger", 0, 32))
    odd = ["aia/aia_anger/bonnie_anger_1.png", "aia/aia_anger/aia_fear_1.png", "aia/aia_anger/copy of x.png", "x.png"]
    for name in odd:
        (root / name).write_bytes(picture)
    _, samples, rejections = read_all(root)
    assert sorted(one.where for one in rejections) == sorted(odd)
    assert len(samples) == 28


def test_other_folders_are_refused(tmp_path):
    (tmp_path / "anger").mkdir()
    (tmp_path / "anger" / "1.png").write_bytes(b"")
    with pytest.raises(FerError, match="expected <character>/<character>_<expression>.*found anger"):
        read_all(tmp_path)
