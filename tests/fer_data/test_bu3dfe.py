"""What is particular to BU-3DFE: everything is in the name; of a scan only its pictures are read."""

import pytest
from layouts import bu3dfe as layout
from layouts.reading import only, read_all

from fer_data.adapters import bu3dfe
from fer_data.errors import FerError


def read(root, **options):
    return read_all(bu3dfe, root, **options)


def test_every_fact_is_in_the_name(tmp_path):
    reading, samples, rejections = read(layout.write(tmp_path), pictures="both")
    assert rejections == []
    for sample in samples:
        person, code, kind = sample.key.rpartition("/")[2].removesuffix(".bmp").split("_")
        assert (sample.label, sample.source_label) == (layout.EXPRESSIONS[code[:2]], code[:2])
        facts = dict(sample.facts)
        pose = facts.pop("pose", None), facts.pop("condition_source", None)
        assert pose == (("frontal", "dataset") if kind == "F2D" else (None, None))
        assert facts == {
            "subject_id": person,
            "gender": {"F": "female", "M": "male"}[person[0]],
            "race": {"WH": "White", "AE": "East Asian"}[code[4:]],
            "ratings": {"intensity": int(code[2:4])},
        }
    notes = " ".join(reading.notes)
    assert "42 files of 3D scans (surfaces, landmarks in three dimensions) passed over" in notes
    assert "total 28 instead of 5,000" in notes


def test_the_other_kind_is_counted_and_a_kind_that_is_not_there_refused(tmp_path):
    layout.write(tmp_path)
    reading, _, _ = read(tmp_path)
    assert reading.form == "frontal pictures"
    assert any("14 pictures of the kind that was not chosen passed over" in note for note in reading.notes)
    for file in tmp_path.rglob("*_F2D.bmp"):
        file.unlink()
    with pytest.raises(FerError, match=r"expected frontal pictures .*, found texture; choose with pictures="):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("F0002_XX01WH_F2D.bmp", "expected an expression among AN, DI, FE, HA, NE, SA, SU, found XX"),
        ("F0002_AN05WH_F2D.bmp", "expected intensity 01 to 04, or 00 for neutral, found AN05"),
        ("F0002_NE01WH_F2D.bmp", "expected intensity 01 to 04, or 00 for neutral, found NE01"),
        ("F0001_AN01WH_F2D.bmp", "expected F0001_AN01WH_F2D.BMP once, found it again, after BU_3DFE/"),
        ("cover.bmp", "expected a name as F0001_AN01WH_F2D.bmp, found another"),
    ],
)
def test_a_name_that_tells_something_else_is_set_aside(tmp_path, name, sentence):
    layout.write(tmp_path)
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / name).write_bytes(b"")
    _, samples, rejections = read(tmp_path)
    assert only(rejections).startswith(f"copy/{name}: {sentence}")
    assert len(samples) == 14


def test_letters_of_ancestry_that_are_not_known_are_kept(tmp_path):
    (tmp_path / "M0001_NE00QQ_F2D.bmp").write_bytes(b"")
    (tmp_path / "readme.txt").write_text("")
    reading, (sample,), _ = read(tmp_path)
    assert sample.facts["race"] == "QQ"
    assert any("1 files that are no pictures passed over" in note for note in reading.notes)


def test_other_names_are_refused(tmp_path):
    (tmp_path / "a.bmp").write_bytes(b"")
    with pytest.raises(FerError, match=r"expected frontal pictures named as F0001_AN01WH_F2D.bmp .* found a.bmp"):
        read(tmp_path)
