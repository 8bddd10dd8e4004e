"""The adapter `folders`, and the words that it shares with `table` and `huggingface`."""

import pytest
from layouts.folders import NUMBERS, write_compound, write_numbers, write_splits

from fer_data.adapters import folders
from fer_data.adapters.shared import wording
from fer_data.configuration import resolve
from fer_data.errors import FerError
from fer_data.importing import import_dataset
from fer_data.licenses import PERMISSIONS


def read_all(root, **options):
    rejections = []
    reading = folders.read(root, folders.Options(**options), rejections)
    return reading, list(reading.samples), rejections


def imported(root, name, **options):
    return import_dataset(folders, root, f"manifests/{name}", folders.Options(**options))


def put(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"picture")
    return root


def test_the_same_files_and_classes_as_torchvision_reads(tmp_path):
    from torchvision.datasets import ImageFolder

    root = write_splits(tmp_path) / "faces" / "Train"
    theirs = ImageFolder(str(root))
    expected = {path.removeprefix(f"{root}/"): theirs.classes[index] for path, index in theirs.samples}
    _, samples, _ = read_all(root)
    assert {sample.key: sample.source_label for sample in samples} == expected


def test_splits_are_read_from_folders_above_the_class(tmp_path):
    reading, samples, _ = read_all(write_splits(tmp_path))
    assert {sample.key.split("/")[1]: sample.split for sample in samples} == {"Train": "train", "validation": "val"}
    assert reading.notes == ["1 files that are no pictures passed over (first: faces/readme.md)"]
    assert reading.label_set == "basic7"


def test_splits_may_be_named_by_the_user(tmp_path):
    put(tmp_path, "part one/happy/1.png", "test/happy/2.png", "extra/happy/3.png")
    reading, samples, _ = read_all(tmp_path, splits={"part one": "train", "test": None})
    assert {sample.key: sample.split for sample in samples} == {
        "part one/happy/1.png": "train",
        "test/happy/2.png": None,
        "extra/happy/3.png": None,
    }
    assert "2 pictures lie in no split's folder and have no split" in reading.notes
    assert read_all(tmp_path / "extra")[0].notes == ["no folder names a split; `fer split` makes one"]


def test_folders_of_two_splits_are_refused(tmp_path):
    with pytest.raises(FerError, match="expected folders of one split, found train and test"):
        read_all(put(tmp_path, "train/test/happy/1.png"))
    assert read_all(tmp_path, splits={"test": None})[1][0].split == "train"


def test_folders_that_nobody_explained_are_refused_with_their_list(tmp_path):
    put(tmp_path, "happy/1.png", "bored/1.png", "bored/2.png", "7/1.png", "top.png")
    with pytest.raises(FerError, match=r"found '' \(1\), '7' \(1\), 'bored' \(2\); say what each means"):
        read_all(tmp_path)
    said = {"7": "Surprised", "bored": None, "": "neutral"}
    _, samples, _ = read_all(tmp_path, labels=said)
    assert {sample.key: (sample.label, sample.source_label) for sample in samples} == {
        "7/1.png": ("surprise", "7"),
        "bored/1.png": (None, "bored"),
        "bored/2.png": (None, "bored"),
        "happy/1.png": ("happiness", "happy"),
        "top.png": ("neutral", ""),
    }


def test_numbers_may_be_given_as_numbers_in_yaml(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "labels.yaml"
    file.write_text("labels:\n  1: surprise\n  2: fear\n  9: null\n")
    _, samples, _ = read_all(write_numbers(tmp_path), **resolve(folders.Options, file).model_dump())
    assert {sample.source_label: sample.label for sample in samples} == NUMBERS
    assert resolve(folders.Options, None, ["labels.1=fear"]).labels == {"1": "fear"}


def test_the_label_set_is_the_first_that_has_all_the_labels(tmp_path):
    (tmp_path / "c").mkdir()
    assert read_all(write_compound(tmp_path / "c"))[0].label_set == "compound11"
    put(tmp_path / "b", "happy/1.png", "contempt/1.png")
    assert read_all(tmp_path / "b")[0].label_set == "basic8"
    with pytest.raises(FerError, match=r"found 'contempt' \(1\)"):
        read_all(tmp_path / "b", label_set="basic7")
    put(tmp_path / "b", "happily surprised/1.png")
    with pytest.raises(FerError, match="expected labels of one set"):
        read_all(tmp_path / "b")


def test_a_meaning_that_is_no_expression_is_refused(tmp_path):
    with pytest.raises(FerError, match="labels.a: expected an expression of basic7 or .*, found 'boredom'"):
        read_all(put(tmp_path, "a/1.png"), labels={"a": "boredom"})


def test_a_folder_without_class_folders_is_refused(tmp_path):
    with pytest.raises(FerError, match="expected pictures in folders named after expressions, found 1.png"):
        read_all(put(tmp_path, "1.png"))


def test_values_of_tables_as_text():
    assert [wording.as_text(value) for value in (3, 3.0, 3.5, " a ", "", None, float("nan"), True)] == [
        "3", "3", "3.5", "a", None, None, None, "True",
    ]  # fmt: skip


def test_splits_that_nobody_explained_are_refused():
    with pytest.raises(FerError, match="found 'fold 1'; say what each means: --set splits.fold 1=train"):
        wording.resolve_splits(["Train", "fold 1"], {}, "a.csv")
    assert wording.resolve_splits(["PublicTest", "x"], {"x": None}, "a.csv") == {"PublicTest": "val", "x": None}


def test_long_lists_are_cut_short():
    names = {f"class {number}": 1 for number in range(40)}
    with pytest.raises(FerError, match="'class 11' \\(1\\) and 28 more"):
        wording.resolve_labels(names, {}, "auto", "here")


def test_the_user_may_state_the_licence_of_their_own_pictures(project):
    root = write_splits(project / "d")
    unstated = imported(root, "a").licence.as_dict()
    assert not any(unstated[flag] for flag in PERMISSIONS)
    stated = {"name": "CC BY 4.0", "permissions": ["redistribute", "derivatives"], "url": "https://example.org"}
    result = imported(root, "b", licence=stated)
    assert result.licence.redistribute and not result.licence.commercial
    assert result.manifest.metadata["licence"] == result.licence.as_dict()
    assert next(iter(result.manifest.stores.values())).info["licence"]["name"] == "CC BY 4.0"
    with pytest.raises(FerError, match="expected permissions among redistribute"):
        imported(root, "c", licence={"name": "x", "permissions": ["everything"]})
