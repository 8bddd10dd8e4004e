"""JAFFE: labels from the names, the raters' scores from the README."""

import pytest
from layouts import jaffe as layout
from layouts.faces import encoded, face

from fer_data.adapters import jaffe
from fer_data.adapters.jaffe import parse_ratings
from fer_data.errors import FerError
from fer_data.importing import import_dataset

NAMES = ("happiness", "sadness", "surprise", "anger", "disgust", "fear")


def read(root, **options):
    rejections = []
    reading = jaffe.read(root, jaffe.Options(**options), rejections)
    return reading, list(reading.samples), rejections


@pytest.fixture
def download(tmp_path):
    folder = tmp_path / "download"
    folder.mkdir()
    return layout.write(folder)


def readme_of(download):
    return download / "jaffedbase" / "README_FIRST.txt"


def altered(download, old: str, new: str):
    text = readme_of(download).read_bytes().decode("latin-1")
    assert old in text
    readme_of(download).write_bytes(text.replace(old, new).encode("latin-1"))


def expected_ratings(name):
    return {label: pytest.approx(score, abs=0.005) for label, score in zip(NAMES, layout.scores(name), strict=True)}


@pytest.mark.parametrize(("ending", "spelling"), [(".tiff", "."), (".tif", "-"), (".tiff.bmp", ".")])
def test_names_tell_person_and_expression_and_the_readme_what_the_raters_saw(tmp_path, ending, spelling):
    _, samples, rejections = read(layout.write(tmp_path, ending, spelling))
    assert rejections == []
    by_name = {sample.key.rpartition("/")[2]: sample for sample in samples}
    for name in layout.FILES:
        sample = by_name[name.replace(".", spelling, 1) + ending]
        assert (sample.label, sample.source_label) == (layout.CODES[name[3:5]], name[3:5])
        ratings = expected_ratings(name)
        assert sample.facts == {"subject_id": name[:2], "gender": "female", "ratings": ratings}


def test_ratings_reach_the_store(download, project):
    manifest = import_dataset(jaffe, download, "manifests/jaffe", jaffe.Options()).manifest
    facts = manifest.facts(["ratings", "subject_id", "mode"])
    first = manifest.frame["sample_id"].str.endswith("KM.NE1.1.tiff").to_numpy().nonzero()[0][0]
    assert dict(facts["ratings"].iloc[first]) == expected_ratings("KM.NE1.1")
    assert set(facts["mode"]) == {"L"}
    assert manifest.frame.groupby(facts["subject_id"].to_numpy())["group_id"].nunique().eq(1).all()


def test_the_second_table_is_not_read():
    ratings = parse_ratings(layout.readme(), "README", [])
    assert ratings["KA-AN1"] == expected_ratings("KA.AN1.39")
    assert len(ratings) == len(layout.FILES) + 1


def test_what_does_not_fit_together_is_noted(download):
    (download / "jaffedbase" / "KA.AN2.40.tiff").write_bytes(encoded(face("anger", 50, 32), "TIFF"))
    (download / "jaffedbase" / "facepoints.txt").write_text("")
    reading, samples, rejections = read(download)
    assert (len(samples), rejections) == (13, [])
    assert reading.notes == [
        "1 pictures have no ratings: KA-AN2",
        "1 rated pictures are not in the download: KM-SA4",
        "1 files that are no pictures passed over (first: jaffedbase/facepoints.txt)",
        "counts differ from the published JAFFE: total 13 instead of 213",
    ]
    assert "ratings" not in next(sample for sample in samples if "AN2" in sample.key).facts


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("99 1.00 4.00", "99 0.50 4.00", "a number, six scores 1 to 5 and a name as KM-NE1"),
        ("99 1.00 4.00", "99 nan 4.00", "a number, six scores 1 to 5 and a name as KM-NE1"),
        ("99 1.00 4.00", "99 one 4.00", "a number, six scores 1 to 5 and a name as KM-NE1"),
        ("99 1.00 4.00", "99 4.00", "a number, six scores 1 to 5 and a name as KM-NE1"),
        ("KM-SA4", "KA-AN1", "KA-AN1 once"),
    ],
)
def test_a_faulty_row_of_ratings_is_told(download, old, new, expected):
    altered(download, old, new)
    _, samples, (rejection,) = read(download)
    assert len(samples) == 12 and all("ratings" in sample.facts for sample in samples)
    assert (rejection.expected, rejection.action) == (expected, "the ratings were left out")
    assert rejection.where == "jaffedbase/README_FIRST.txt line 19"


def test_a_readme_without_the_table_is_told(download):
    altered(download, "FEA  PIC", "FEAR  PIC")
    _, samples, (rejection,) = read(download)
    assert rejection.sentence() == (
        "jaffedbase/README_FIRST.txt: expected the table HAP SAD SUR ANG DIS FEA PIC, found none; "
        "the ratings were left out"
    )
    assert not any("ratings" in sample.facts for sample in samples)


def test_the_readme_may_lie_elsewhere(download, tmp_path):
    given = readme_of(download).rename(tmp_path / "scores.txt")
    assert any("no README_FIRST.txt lies among the pictures" in note for note in read(download)[0].notes)
    assert all("ratings" in sample.facts for sample in read(download, ratings=given)[1])
    given.write_text("nothing of the kind")
    with pytest.raises(FerError, match=r"scores\.txt: expected the table HAP SAD .* found none"):
        read(download, ratings=given)
    with pytest.raises(FerError, match="none.txt: cannot be read"):
        read(download, ratings=tmp_path / "none.txt")


def test_two_readmes_are_refused(download):
    readme_of(download).with_name("A_README_FIRST.txt").write_text("")
    with pytest.raises(FerError, match=r"expected one README_FIRST\.txt, found .*A_README_FIRST\.txt.*--set ratings"):
        read(download)


@pytest.mark.parametrize("name", ["XX.AN1.39.tiff", "KA.XX1.39.tiff", "face.tiff", "KA.AN.39.tiff"])
def test_a_name_that_tells_too_little_is_set_aside(download, name):
    (download / "jaffedbase" / name).write_bytes(encoded(face("anger", 0, 32), "TIFF"))
    _, samples, (rejection,) = read(download)
    assert len(samples) == 12
    assert (rejection.where, rejection.expected) == (f"jaffedbase/{name}", "a name as KA.AN1.39.tiff")


def test_a_second_copy_of_a_picture_is_set_aside(download):
    (download / "jaffedbase" / "KA.AN1.39.bmp").write_bytes(encoded(face("anger", 0, 32), "BMP"))
    _, samples, (rejection,) = read(download)
    assert len(samples) == 12
    assert (rejection.expected, rejection.action) == ("KA-AN1 once", "the picture was set aside")


def test_another_download_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(FerError, match=r"expected pictures named as KA\.AN1\.39\.tiff, found notes\.txt"):
        read(tmp_path)
