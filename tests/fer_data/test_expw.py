"""What is particular to ExpW: several faces in a picture, the order of the box's columns, lines twice."""

import numpy as np
import pandas as pd
import pytest
from layouts import expw as layout
from layouts.reading import by_key, only, read_all

from fer_data import images
from fer_data.adapters import expw
from fer_data.errors import FerError
from fer_data.importing import PicturesConfig, import_dataset

LIST = "ExpW/label/label.lst"
ORIGIN = "ExpW/data/image/origin"


def read(root):
    return read_all(expw, root)


def test_every_face_has_its_box_label_and_picture(tmp_path):
    reading, samples, rejections = read(layout.write(tmp_path))
    assert rejections == []
    found = by_key(samples)
    for name, codes in layout.PICTURES.items():
        for place, code in enumerate(codes):
            sample = found.pop(f"{ORIGIN}/{name}#{place}")
            top, left, right, bottom = layout.box(place)
            assert sample.file == f"{ORIGIN}/{name}"
            assert sample.label == layout.LABELS[code]
            assert sample.split is None
            assert sample.facts == {
                "face_box": [left, top, right, bottom],
                "ratings": {"face_box_confidence": 60.5 + place},
                "sequence_id": name,
            }
    assert found == {}
    notes = " ".join(reading.notes)
    assert "1 lines repeat another line word by word and were dropped" in notes
    assert "1 files that are no pictures passed over" in notes
    assert "total 9 instead of 91,793, anger 1 instead of 3,671" in notes


def test_pandas_reads_the_same_faces(tmp_path):
    """How meerkat's loader reads the list: named columns, repeated rows dropped, a face cut by rows and columns."""
    layout.write(tmp_path)
    edges = [f"face_box_{edge}" for edge in ("top", "left", "right", "bottom")]
    columns = ["name", "face", *edges, "confidence", "label"]
    table = pd.read_csv(tmp_path / LIST, delimiter=" ", names=columns).drop_duplicates()
    found = by_key(read(tmp_path)[1])
    assert len(table) == len(found) == 9
    for row in table.itertuples():
        sample = found[f"{ORIGIN}/{row.name}#{row.face}"]
        left, top, right, bottom = map(int, sample.facts["face_box"])
        assert (slice(top, bottom), slice(left, right)) == (
            slice(row.face_box_top, row.face_box_bottom),
            slice(row.face_box_left, row.face_box_right),
        )
        assert sample.label == layout.LABELS[row.label]


def test_cut_faces_are_the_faces_that_were_drawn(tmp_path, project):
    result = import_dataset(
        expw, layout.write(tmp_path / "d"), "manifests/m", expw.Options(), PicturesConfig(crop="box")
    )
    (store,) = result.manifest.stores.values()
    facts = result.manifest.facts(["key", "store_row"])
    row = int(facts.set_index("key")["store_row"][f"{ORIGIN}/happy_family_12.jpg#2"])
    drawn = layout.face("neutral", 22, layout.SIZE_PX, colour=True)
    assert store.image(row).shape == drawn.shape
    assert np.abs(store.image(row).astype(int) - drawn).mean() < 8, "JPEG changes pixels, another face far more"
    whole = images.decode(store.encoded(row), "here")
    assert whole.shape[1] > layout.SIZE_PX * 3


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("angry_actor_104.jpg 1 2 4 26 0", "expected 8 fields"),
        ("angry_actor_104.jpg 1 2 4 28 26 60 7", "expected a label among 0, 1, 2, 3, 4, 5, 6, found '7'"),
        ("angry_actor_104.jpg one 2 4 28 26 60 1", "expected numbers for face, box and confidence"),
        ("angry_actor_104.jpg 1 26 4 28 2 60 1", "expected a face number, a box top left right bottom"),
        ("angry_actor_104.jpg 1 2 28 4 26 60 1", "expected a face number, a box top left right bottom"),
        ("angry_actor_104.jpg -1 2 4 28 26 60 1", "expected a face number"),
        ("angry_actor_104.jpg 1 2 4 28 26 nan 1", "expected a face number"),
        ("nobody.jpg 0 2 4 28 26 60 1", "expected the picture 'nobody.jpg', found no such file"),
        ("angry_actor_104.jpg 0 2 4 28 26 60.5 1", "expected face 0 of angry_actor_104.jpg once, found it again"),
    ],
)
def test_a_wrong_line_is_set_aside_by_name(tmp_path, line, sentence):
    layout.write(tmp_path)
    with (tmp_path / LIST).open("a") as table:
        table.write(f"\n{line}\r\n")
    _, samples, rejections = read(tmp_path)
    assert only(rejections).startswith(f"{LIST} row 11: {sentence}")
    assert len(samples) == 9


def test_a_picture_without_a_line_and_a_picture_twice(tmp_path):
    layout.write(tmp_path)
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "angry_actor_104.jpg").write_bytes(b"")
    (tmp_path / ORIGIN / "new.jpg").write_bytes(b"")
    told = [rejection.sentence() for rejection in read(tmp_path)[2]]
    assert told == [
        "copy/angry_actor_104.jpg: expected every picture once, found angry_actor_104.jpg again, after "
        f"{ORIGIN}/angry_actor_104.jpg; the picture was set aside",
        f"{ORIGIN}/new.jpg: expected a good line in label.lst, found none; the picture was set aside",
    ]


def test_no_list_two_lists_or_a_list_that_is_no_text(tmp_path):
    layout.write(tmp_path)
    (tmp_path / LIST).write_bytes(b"\xff\xfe")
    with pytest.raises(FerError, match="expected text in UTF-8"):
        read(tmp_path)
    (tmp_path / "label.lst").write_text("")
    with pytest.raises(FerError, match=f"expected one label.lst .* found label.lst and {LIST}"):
        read(tmp_path)
