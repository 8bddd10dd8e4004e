"""The RAN lists, with lines as github.com/kaiwang960112/Challenge-condition-FER-dataset has them."""

import pytest

from fer_data.adapters.shared import ran_lists
from fer_data.errors import FerError
from fer_data.samples import Sample

HASHES = [f"{number:056x}" for number in (0xBC9AD400, 0xA0D5A9A7, 0xD3DFB191)]
LISTS = {
    "FERplus_dir/jianfei_occlusion_list.txt": "1_fer0034656.png 8 0\r\n2_fer0033359.png 8 2\r\n",
    "FERplus_dir/pose_30_ferplus_list.txt": "0/fer0032226.jpg\n1/fer0034656.jpg\n",
    "FERplus_dir/pose_45_ferplus_list.txt": "1/fer0034656.jpg\n",
    "RAF_DB_dir/rafdb_occlusion_list.txt": "test_0003_aligned 3 4\r\ntest_0006_aligned 4 3\r\ntest_0003_aligned 3 3",
    "RAF_DB_dir/val_raf_db_list.txt": "4/test_0006_aligned.jpg\n2/test_0007_aligned.jpg\n",
    "RAF_DB_dir/val_raf_db_list_45.txt": "2/test_0007_aligned.jpg\n",
    "AffectNet_dir/occlusion_affectnet_list.txt": f"val/0/{HASHES[0]}/\n",
    "AffectNet_dir/pose_30_affectnet_list.txt": f"0/{HASHES[0]}.jpg\n2/{HASHES[1]}.jpg\n",
    "AffectNet_dir/pose_45_affectnet_list.txt": f"7/{HASHES[2]}/8.jpg\n",
}
EXPECTED = {
    "ferplus": {
        "fer0034656": ("ran_occlusion", "ran_pose30", "ran_pose45"),
        "fer0033359": ("ran_occlusion",),
        "fer0032226": ("ran_pose30",),
    },
    "rafdb": {
        "test_0003": ("ran_occlusion",),
        "test_0006": ("ran_occlusion", "ran_pose30"),
        "test_0007": ("ran_pose30", "ran_pose45"),
    },
    "affectnet": {
        HASHES[0]: ("ran_occlusion", "ran_pose30"),
        HASHES[1]: ("ran_pose30",),
        HASHES[2]: ("ran_pose45",),
    },
}


@pytest.fixture
def clone(tmp_path):
    """A clone of the repository, with other files beside the lists."""
    for name, text in LISTS.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, newline="")
    (tmp_path / "README.md").write_bytes(b"\xff not text")
    return tmp_path


@pytest.mark.parametrize("dataset", EXPECTED)
def test_every_line_names_a_picture_of_a_slice(clone, dataset):
    rejections = []
    assert ran_lists.read_slices(clone, dataset, rejections) == EXPECTED[dataset]
    assert rejections == []


def test_a_folder_of_the_repository_will_do(clone):
    assert ran_lists.read_slices(clone / "RAF_DB_dir", "rafdb", []) == EXPECTED["rafdb"]
    with pytest.raises(FerError, match="expected the RAN lists jianfei_occlusion_list.txt, .*found rafdb_occlusion"):
        ran_lists.read_slices(clone / "RAF_DB_dir", "ferplus", [])


def sample(key, file=None):
    return Sample(key, None, "anger", "1", "test", key, {}, file)


@pytest.mark.parametrize(
    ("dataset", "keys"),
    [
        ("ferplus", ["FER2013Test/fer0034656.png", "FER2013Test/fer0000001.png", "FER2013Train/xfer0033359.png"]),
        ("rafdb", ["basic/Image/aligned/test_0006_aligned.jpg", "a/train_00003_aligned.jpg", "a/test_00034.jpg"]),
        (
            "affectnet",
            [f"Manually_Annotated_Images/12/{HASHES[0]}.jpg", "val_set/images/12.jpg", "7.jpg"],
        ),
    ],
)
def test_samples_are_marked_wherever_their_files_lie(clone, dataset, keys):
    notes, rejections = [], []
    marked = list(ran_lists.marked(map(sample, keys), clone, dataset, notes, rejections))
    slices = list(EXPECTED[dataset].values())
    first = next(one for one in slices if len(one) == max(map(len, slices)))
    assert [one.facts.get("slices") for one in marked] == [list(first), None, None]
    assert len(notes) == 1 and "2 of 3 listed pictures are not in this download" in notes[0]


def test_a_sample_is_found_by_its_file_where_the_key_is_another(clone):
    (one,) = ran_lists.marked(iter([sample("x#1", "FER2013Test/fer0032226.png")]), clone, "ferplus", [], [])
    assert one.facts["slices"] == ["ran_pose30"]


def test_all_there_is_no_note(clone):
    notes = []
    keys = [f"a/{stem}.png" for stem in EXPECTED["ferplus"]]
    assert len(list(ran_lists.marked(map(sample, keys), clone, "ferplus", notes, []))) == 3
    assert notes == []


def test_odd_lines_and_missing_lists_are_told(clone):
    place = clone / "FERplus_dir"
    (place / "jianfei_occlusion_list.txt").write_text(
        "fer0034656 fer0034657\n\nnothing\n1_fer00346561.png\n0_fer0033359.png"
    )
    (place / "pose_45_ferplus_list.txt").unlink()
    rejections = []
    found = ran_lists.read_slices(clone, "ferplus", rejections)
    assert found["fer0033359"] == ("ran_occlusion",)
    assert [(one.where, one.found) for one in rejections] == [
        ("FERplus_dir/jianfei_occlusion_list.txt line 1", "'fer0034656 fer0034657'"),
        ("FERplus_dir/jianfei_occlusion_list.txt line 3", "'nothing'"),
        ("FERplus_dir/jianfei_occlusion_list.txt line 4", "'1_fer00346561.png'"),
        (f"{clone.name}/pose_45_ferplus_list.txt", "no such file"),
    ]


def test_a_list_twice_or_in_another_encoding_is_refused(clone):
    (clone / "copy").mkdir()
    (clone / "copy" / "val_raf_db_list.txt").write_text("2/test_0007_aligned.jpg\n")
    with pytest.raises(FerError, match="expected val_raf_db_list.txt once, found it in copy/, RAF_DB_dir/"):
        ran_lists.read_slices(clone, "rafdb", [])
    (clone / "FERplus_dir" / "pose_30_ferplus_list.txt").write_bytes(b"1/\xe9fer0034656.jpg")
    with pytest.raises(FerError, match="expected text in UTF-8"):
        ran_lists.read_slices(clone, "ferplus", [])
