"""CK+ in its three forms: which frames become samples, and every side file that may be wrong."""

import numpy as np
import pytest
from layouts import ckplus as layout
from layouts.faces import face, png

from fer_data import images
from fer_data.adapters import ckplus
from fer_data.errors import FerError
from fer_data.importing import PicturesConfig, import_dataset

STEM = "S005/001/S005_001_00000005"


def read(root, **options):
    rejections = []
    reading = ckplus.read(root, ckplus.Options(**options), rejections)
    return reading, list(reading.samples), rejections


@pytest.fixture
def sequences(tmp_path):
    return layout.write_sequences(tmp_path)


def of(samples, subject: str, take: str):
    return [sample for sample in samples if sample.facts["sequence_id"] == f"{subject}_{take}"]


def test_the_published_derivation_is_first_neutral_and_the_last_three_labelled(sequences):
    reading, samples, rejections = read(sequences)
    assert rejections == []
    assert (reading.form, reading.label_set) == ("sequences", "basic8")
    assert reading.label_rule == "source:last 3 frames, first neutral"
    for (subject, take), (frames, label) in layout.SEQUENCES.items():
        found = of(samples, subject, take)
        assert [sample.facts["frame"] for sample in found] == [1, frames - 2, frames - 1, frames]
        peak = [label] * 3
        assert [sample.label for sample in found] == (["neutral", *peak] if label else [None] * 4)
        assert {sample.facts["subject_id"] for sample in found} == {subject}
        assert {sample.split for sample in found} == {None}
    assert [sample.source_label for sample in of(samples, "S010", "006")] == ["neutral", "happy", "happy", "happy"]


@pytest.mark.parametrize(
    ("options", "frames", "label"),
    [
        ({"peak_frames": 1}, [1, 6], ["neutral", "happiness"]),
        ({"peak_frames": 1, "first_neutral": False}, [6], ["happiness"]),
        ({"peak_frames": 99}, [1, 2, 3, 4, 5, 6], ["neutral", *["happiness"] * 5]),
        ({"peak_frames": 99, "first_neutral": False}, [1, 2, 3, 4, 5, 6], ["happiness"] * 6),
    ],
)
def test_frames_are_chosen_by_options(sequences, options, frames, label):
    found = of(read(sequences, **options)[1], "S010", "006")
    assert [sample.facts["frame"] for sample in found] == frames
    assert [sample.label for sample in found] == label


def test_public_readers_choose_the_same_frames(sequences):
    """Every emotion file, then the sorted pictures beside it: the last three, and the first as neutral."""
    theirs = set()
    for file in (sequences / "Emotion").rglob("*_emotion.txt"):
        subject, take = file.name.split("_")[:2]
        pictures = sorted((sequences / "cohn-kanade-images" / subject / take).glob("*.png"))
        label = layout.CODES[int(float(file.read_text().strip()))]
        theirs |= {(path.relative_to(sequences).as_posix(), label) for path in pictures[-3:]}
        theirs.add((pictures[0].relative_to(sequences).as_posix(), "neutral"))
    assert theirs == {(sample.key, sample.label) for sample in read(sequences)[1] if sample.label}


def test_a_sequence_without_emotion_file_has_no_label_and_may_be_left_out(sequences):
    kept, samples, _ = read(sequences)
    assert {sample.label for sample in of(samples, "S502", "001")} == {None}
    left, labelled, _ = read(sequences, unlabelled="leave_out")
    assert {sample.facts["sequence_id"] for sample in labelled} == {"S005_001", "S010_002", "S010_006", "S138_008"}
    assert left.total_images == len(labelled) == 16
    told = "2 sequences have no emotion label and {} (S502_001, S999_003)"
    assert told.format("are samples without a label") in kept.notes
    assert told.format("were left out") in left.notes


def test_landmarks_go_with_their_frame_and_action_units_with_the_last(sequences):
    _, samples, _ = read(sequences)
    for sample in samples:
        subject, take = sample.facts["sequence_id"].split("_")
        frames, label = layout.SEQUENCES[subject, take]
        _, points = layout.picture(subject, label, sample.facts["frame"], frames)
        np.testing.assert_allclose(np.reshape(sample.facts["landmarks"], (68, 2)), points, rtol=1e-6, atol=1e-6)
        last = sample.facts["frame"] == frames
        assert sample.facts.get("action_units") == ({"AU9": 0.8, "AU17": 0.4, "AU12": None} if last else None)


def test_what_the_files_state_reaches_the_store_and_aligns_faces(sequences, project):
    pictures = PicturesConfig(crop="align", size_px=24)
    result = import_dataset(ckplus, sequences, "manifests/ck", ckplus.Options(), pictures)
    assert result.rejections == []
    manifest = result.manifest
    facts = manifest.facts(["action_units", "sequence_id", "frame", "width_px"])
    units = [dict(units) for units in facts["action_units"] if units is not None]
    assert len(units) == 6
    assert units[0]["AU12"] is None and units[0]["AU9"] == pytest.approx(0.8)
    assert set(facts["width_px"]) == {24}
    assert set(manifest.frame["label_origin"]) == {"source:last 3 frames, first neutral"}
    persons = facts["sequence_id"].str[:4].to_numpy()
    assert manifest.frame.groupby(persons)["group_id"].nunique().eq(1).all()


def test_counts_are_compared_with_the_published_ones(sequences):
    notes = read(sequences)[0].notes
    assert notes[0] == (
        "of each sequence these are samples: last 3 frames, first neutral; 4 other frames were passed over"
    )
    assert notes[-1] == (
        "counts differ from the published CK+: sequences 6 instead of 593, labelled sequences 4 instead of 327, "
        "subjects 5 instead of 123"
    )


def test_a_copy_without_the_first_frame_has_no_neutral_one(sequences):
    (sequences / "cohn-kanade-images/S005/001/S005_001_00000001.png").unlink()
    (sequences / "Landmarks/S005/001/S005_001_00000001_landmarks.txt").unlink()
    reading, samples, rejections = read(sequences)
    assert rejections == []
    assert [sample.label for sample in of(samples, "S005", "001")] == ["disgust"] * 3
    assert "1 sequences lack their first frame and get no neutral one (S005_001)" in reading.notes


FAULTS = {
    "an unknown code": (f"Emotion/{STEM}_emotion.txt", "8.0000000e+00", "one number 0 to 7", "8"),
    "half a code": (f"Emotion/{STEM}_emotion.txt", "1.5", "one number 0 to 7", "1.5"),
    "two codes": (f"Emotion/{STEM}_emotion.txt", "1\n3", "one number 0 to 7", "1; 3"),
    "an empty label": (f"Emotion/{STEM}_emotion.txt", "\n", "one number 0 to 7", "an empty file"),
    "a word": (f"Emotion/{STEM}_emotion.txt", "disgust", "numbers", "could not convert string to float: 'disgust'"),
    "not a number": (f"Emotion/{STEM}_emotion.txt", "nan", "numbers below 1,000,000", "nan"),
    "67 points": (f"Landmarks/{STEM}_landmarks.txt", "1 2\n" * 67, "68 lines x y", "67 lines"),
    "an odd line": (f"Landmarks/{STEM}_landmarks.txt", "1 2\n" * 67 + "1 2 3", "68 lines x y", "68 lines"),
    "an intensity of 6": (
        f"FACS/{STEM}_facs.txt", "4 6", "lines of an action unit, each once, and its intensity 0 to 5", "4 6",
    ),
    "a unit twice": (
        f"FACS/{STEM}_facs.txt", "4 1\n4 2", "lines of an action unit, each once, and its intensity 0 to 5", "4 2",
    ),
    "half a unit": (
        f"FACS/{STEM}_facs.txt", "4.5 1", "lines of an action unit, each once, and its intensity 0 to 5", "4.5 1",
    ),
    "a label of the wrong frame": (
        "Emotion/S005/001/S005_001_00000003_emotion.txt", "3", "the last frame, 5", "3",
    ),
    "a label of no sequence": (
        "Emotion/S006/001/S006_001_00000003_emotion.txt", "3", "pictures of the sequence S006_001", "none",
    ),
    "units of no sequence": (  # as the ReadMe's own example is spelled
        "FACS/S005/001/S0005_001_00000011_facs.txt", "9 4", "pictures of the sequence S0005_001", "none",
    ),
    "landmarks of no frame": (
        "Landmarks/S005/001/S005_001_00000009_landmarks.txt", "", "a picture of frame 9 of S005_001", "none",
    ),
    "a second label": (
        f"more/{STEM}_emotion.txt", "3", "one such file for a sequence", f"it again, after Emotion/{STEM}_emotion.txt",
    ),
    "second landmarks": (
        f"more/{STEM}_landmarks.txt", "", "one such file for a frame",
        f"it again, after Landmarks/{STEM}_landmarks.txt",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_side_file_is_told(sequences, name):
    file, content, expected, found = FAULTS[name]
    (sequences / file).parent.mkdir(parents=True, exist_ok=True)
    (sequences / file).write_text(content)
    _, samples, (rejection,) = read(sequences)
    assert (rejection.where, rejection.expected, rejection.found) == (file, expected, found)
    last = of(samples, "S005", "001")[-1]
    lost = {
        "the label was left out": last.label is None,
        "the landmarks were left out": "landmarks" not in last.facts,
        "the action units were left out": "action_units" not in last.facts,
    }
    replaced = STEM in file and not file.startswith("more")
    assert lost == {action: replaced and action == rejection.action for action in lost}


def test_text_that_is_no_text_is_told(sequences):
    (sequences / f"Emotion/{STEM}_emotion.txt").write_bytes(b"\xff3")
    _, _, (rejection,) = read(sequences)
    assert rejection.expected == "a text file" and "UTF-8" in rejection.found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cohn-kanade-images/S005/001/face.png", "a name as S005/001/S005_001_00000001.png"),
        ("cohn-kanade-images/S005/002/S005_001_00000001.png", "a name as S005/001/S005_001_00000001.png"),
        ("copy/S005/001/S005_001_00000001.png", "this frame once"),
    ],
)
def test_a_picture_in_the_wrong_place_is_told(sequences, name, expected):
    (sequences / name).parent.mkdir(parents=True, exist_ok=True)
    (sequences / name).write_bytes(png(face(None, 0, 32)))
    _, samples, (rejection,) = read(sequences)
    assert (rejection.where, rejection.expected) == (name, expected)
    assert len(samples) == 24


def test_files_of_no_known_kind_are_counted(sequences):
    (sequences / "ReadMeCohnKanadeDatabase_website.txt").write_text("")
    told = "1 files of no known kind passed over (first: ReadMeCohnKanadeDatabase_website.txt)"
    assert told in read(sequences)[0].notes


def test_ck48_keeps_person_sequence_and_frame(tmp_path):
    reading, samples, rejections = read(layout.write_ck48(tmp_path))
    assert rejections == []
    happy = next(sample for sample in samples if "/happy/" in sample.key)
    assert (happy.label, happy.source_label) == ("happiness", "happy")
    assert happy.facts == {"subject_id": "S012", "sequence_id": "S012_004", "frame": 11}
    assert "split by group" in reading.notes[0]
    assert "counts differ from the published CK+48: total 21 instead of 981" in reading.notes


def test_torchvision_reads_the_same_folders_of_ck48(tmp_path):
    from torchvision.datasets import ImageFolder

    _, samples, _ = read(layout.write_ck48(tmp_path))
    folders = ImageFolder(tmp_path / "ck" / "CK+48")
    theirs = {(path.removeprefix(f"{tmp_path}/"), folders.classes[code]) for path, code in folders.samples}
    assert theirs == {(sample.key, sample.source_label) for sample in samples}


def test_ck48_says_what_lies_wrong(tmp_path):
    layout.write_ck48(tmp_path)
    folder = tmp_path / "ck" / "CK+48"
    (folder / "anger" / "mine.png").write_bytes(png(face("anger", 0, 48)))
    (folder / "unknown").mkdir()
    (folder / "unknown" / "S010_000_00000014.png").write_bytes(png(face("anger", 1, 48)))
    (folder / "fear" / "S010_000_00000014.png").write_bytes(png(face("anger", 2, 48)))
    (folder / "notes.txt").write_text("")
    reading, samples, rejections = read(tmp_path)
    assert len(samples) == 22
    assert sorted(rejection.where for rejection in rejections) == [
        "ck/CK+48/anger/mine.png",
        "ck/CK+48/unknown/S010_000_00000014.png",
    ]
    assert reading.notes[1] == "1 sequences lie under several expressions: S010_000"
    assert "1 files that are no pictures passed over (first: ck/CK+48/notes.txt)" in reading.notes


def test_a_person_of_ck48_is_one_group(tmp_path, project):
    manifest = import_dataset(
        ckplus, layout.write_ck48(tmp_path / "download"), "manifests/ck", ckplus.Options()
    ).manifest
    persons = manifest.facts(["subject_id"])["subject_id"].to_numpy()
    assert manifest.frame.groupby(persons)["group_id"].nunique().eq(1).all()
    assert manifest.frame["group_id"].nunique() == len(set(persons)) == 4


def test_the_csv_has_exact_pixels_its_own_codes_and_no_persons(tmp_path):
    reading, samples, rejections = read(layout.write_csv(tmp_path))
    assert rejections == []
    assert [sample.label for sample in samples] == list(layout.CSV_CODES) * 3
    assert [sample.split for sample in samples] == ["train"] * 8 + ["val"] * 8 + ["test"] * 8
    expected = np.stack([face(layout.CSV_CODES[row % 8], row, 48) for row in range(24)])
    np.testing.assert_array_equal(np.stack([sample.image for sample in samples]), expected)
    assert all(sample.facts == {} for sample in samples)
    assert "does not tell who is who" in reading.notes[0]
    assert "counts differ from the published ckextended.csv: total 24 instead of 920" in reading.notes
    assert images.encode_png(samples[0].image)


@pytest.mark.parametrize(
    ("row", "expected", "found"),
    [
        ("8,{pixels},Training", "an emotion 0 to 7", "'8'"),
        ("1,{pixels},Test", "a Usage Training, PublicTest, PrivateTest", "'Test'"),
        ("1,1 2 3,Training", "2304 pixels 0 to 255", "3: '1 2 3'"),
        ("1,{pixels}", "3 fields, emotion,pixels,Usage", "2"),
    ],
)
def test_a_faulty_row_of_the_csv_is_told(tmp_path, row, expected, found):
    lines = layout.csv_lines()
    lines[3] = row.format(pixels=lines[3].split(",")[1])
    (tmp_path / "ckextended.csv").write_text("\n".join(lines))
    reading, samples, (rejection,) = read(tmp_path)
    assert (rejection.where, rejection.expected, rejection.found) == ("ckextended.csv row 2", expected, found)
    assert len(samples) == 23 and reading.total_images == 24


def test_a_csv_that_is_none_is_refused(tmp_path):
    file = tmp_path / "ckextended.csv"
    file.write_text("emotion,image,Usage\n")
    with pytest.raises(FerError, match="expected the header emotion,pixels,Usage .* found emotion,image,Usage"):
        read(file)
    file.write_text("")
    with pytest.raises(FerError, match="found an empty file"):
        read(tmp_path)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FerError, match="expected a csv file, found one that cannot be read"):
        read(file)
    file.write_text("emotion,pixels,Usage\n0," + "1" * 200_000)
    with pytest.raises(FerError, match="expected a csv file, found something else"):
        read(file)


def test_two_csv_files_are_refused(tmp_path):
    layout.write_csv(tmp_path)
    (tmp_path / "again").mkdir()
    layout.write_csv(tmp_path / "again")
    with pytest.raises(FerError, match=r"expected one ckextended\.csv, found again/ckextended\.csv, ckextended\.csv"):
        read(tmp_path)


def test_several_forms_are_named_and_one_can_be_chosen(tmp_path):
    layout.write_csv(layout.write_ck48(tmp_path))
    with pytest.raises(FerError, match=r"found several: CK\+48 folders \(ck48\), ckextended\.csv \(csv\)"):
        read(tmp_path)
    assert read(tmp_path, form="csv")[0].form == "ckextended.csv"
    assert read(tmp_path, form="ck48")[0].form == "CK+48 folders"
    with pytest.raises(FerError, match=r"expected .* \(form sequences\), found ck, ckextended\.csv"):
        read(tmp_path, form="sequences")


@pytest.mark.parametrize("write", [layout.write_ck48, layout.write_csv, layout.write_csv_alone])
def test_frames_can_only_be_chosen_where_there_are_sequences(tmp_path, write):
    with pytest.raises(FerError, match="peak_frames chooses among the frames of sequences, and this is"):
        read(write(tmp_path), peak_frames=1)
