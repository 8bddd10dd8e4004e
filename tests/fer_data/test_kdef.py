"""KDEF: everything is told by the name, and what a name does not tell is set aside."""

import pytest
from layouts import kdef as layout
from layouts.faces import face, jpeg

from fer_data.adapters import kdef
from fer_data.errors import FerError
from fer_data.importing import import_dataset


def read(root):
    rejections = []
    reading = kdef.read(root, kdef.Options(), rejections)
    return reading, list(reading.samples), rejections


@pytest.fixture
def download(tmp_path):
    return layout.write(tmp_path)


def test_a_name_tells_person_expression_and_angle(download):
    samples = {sample.key.rpartition("/")[2]: sample for sample in read(download)[1]}
    assert len(samples) == 28
    first = samples["AF01AFFL.JPG"]
    assert (first.label, first.source_label, first.split) == ("fear", "afraid", None)
    assert first.facts == {
        "subject_id": "F01",
        "gender": "female",
        "age": "20-30",
        "pose": "full left profile",
        "condition_source": "dataset",
    }
    angles = {name[6:-4]: sample.facts["pose"] for name, sample in samples.items()}
    assert angles == {
        "FL": "full left profile",
        "HL": "half left profile",
        "S": "straight",
        "HR": "half right profile",
        "FR": "full right profile",
    }
    assert {name[4:6]: sample.label for name, sample in samples.items()} == layout.CODES
    assert {name[1]: sample.facts["gender"] for name, sample in samples.items()} == {"F": "female", "M": "male"}


def test_both_sessions_of_a_person_are_one_group(download, project):
    manifest = import_dataset(kdef, download, "manifests/kdef", kdef.Options()).manifest
    persons = manifest.frame["sample_id"].str.extract(r"/[AB]([FM]\d\d)[A-Z]+\.JPG")[0]
    assert manifest.frame.groupby(persons)["group_id"].nunique().to_dict() == {"F01": 1, "M35": 1}
    assert manifest.frame["group_id"].nunique() == 2


@pytest.mark.parametrize("name", ["AF31V.JPG", "AM31H.JPG", "AF36ANS.JPG", "CF01ANS.JPG", "AF01XXS.JPG", "face.png"])
def test_a_name_that_tells_too_little_is_set_aside(download, name):
    (download / "KDEF_and_AKDEF" / "KDEF" / name).write_bytes(jpeg(face("anger", 0, 24)))
    _, samples, rejections = read(download)
    assert len(samples) == 28
    assert [(rejection.where, rejection.action) for rejection in rejections] == [
        (f"KDEF_and_AKDEF/KDEF/{name}", "the picture was set aside")
    ]


def test_a_second_copy_of_a_picture_is_set_aside(download):
    copy = download / "copy" / "af01afFL.jpg"
    copy.parent.mkdir()
    copy.write_bytes(jpeg(face("fear", 0, 24)))
    _, samples, (rejection,) = read(download)
    assert len(samples) == 28
    assert rejection.where == "copy/af01afFL.jpg" or "copy/af01afFL.jpg" in rejection.found
    assert rejection.expected == "AF01AFFL once"


def test_averaged_faces_other_files_and_wrong_counts_are_noted(download):
    notes = read(download)[0].notes
    assert notes == [
        "1 averaged faces (AKDEF) passed over (first: KDEF_and_AKDEF/AKDEF/FAFS.JPG)",
        "1 files that are no pictures passed over (first: KDEF_and_AKDEF/ReadMe.txt)",
        "counts differ from the published KDEF: total 28 instead of 4,900",
    ]


def test_another_download_is_refused(tmp_path):
    (tmp_path / "happy.jpg").write_bytes(jpeg(face("happiness", 0, 24)))
    with pytest.raises(FerError, match=r"expected pictures named as AF01ANS\.JPG, found happy\.jpg"):
        read(tmp_path)
