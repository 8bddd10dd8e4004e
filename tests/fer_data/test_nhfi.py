import pytest
from layouts.nhfi import FOLDERS, write

from fer_data.adapters import nhfi
from fer_data.errors import FerError


def read_all(root):
    rejections = []
    reading = nhfi.read(root, nhfi.Options(), rejections)
    return reading, list(reading.samples), rejections


def test_folders_are_labels_contempt_among_them(tmp_path):
    (tmp_path / "images").mkdir()
    write(tmp_path / "images")
    reading, samples, rejections = read_all(tmp_path)
    assert reading.label_set == "basic8" and reading.notes == [] and rejections == []
    assert {(sample.source_label, sample.label) for sample in samples} == set(FOLDERS.items())
    assert all(sample.key.startswith(f"images/{sample.source_label}/") for sample in samples)


def test_what_is_no_class_is_set_aside_and_what_is_no_picture_is_counted(tmp_path):
    write(tmp_path)
    (tmp_path / "boredom").mkdir()
    (tmp_path / "boredom" / "1.png").write_bytes(b"x")
    (tmp_path / "top.jpg").write_bytes(b"x")
    (tmp_path / "anger" / "notes.txt").write_text("x")
    for file in (tmp_path / "contempt").iterdir():
        file.unlink()
    reading, samples, rejections = read_all(tmp_path)
    assert len(samples) == 14
    assert {(one.where, one.found) for one in rejections} == {("boredom/1.png", "'boredom'"), ("top.jpg", "''")}
    assert reading.notes == [
        "1 files that are no pictures passed over (first: anger/notes.txt)",
        "no pictures of contempt",
    ]


def test_other_folders_are_refused(tmp_path):
    (tmp_path / "anger").mkdir()
    (tmp_path / "anger" / "1.png").write_bytes(b"")
    with pytest.raises(FerError, match="expected class folders anger, contempt, .*found anger"):
        read_all(tmp_path)
