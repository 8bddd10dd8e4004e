"""Odd names and unreadable files; tests/stress/test_hostile_names.py does many more of the same."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from layouts.folders import write_splits
from stress import hostile_names

from fer_data.adapters import folders
from fer_data.importing import import_dataset

SOME = settings(max_examples=40, deadline=None)


@pytest.mark.parametrize("kind", ["zip", "tar"])
@SOME
@given(names=hostile_names.NAMES)
def test_archives_with_any_names(kind, names):
    hostile_names.check_archive(names, kind)


@pytest.mark.parametrize("raw", [False, True])
@SOME
@given(rows=hostile_names.ROWS)
def test_tables_with_any_cells(raw, rows):
    hostile_names.check_table(rows, raw)


@SOME
@given(names=hostile_names.NAMES)
def test_class_folders_with_any_names(names):
    hostile_names.check_folders(names)


def test_a_picture_that_may_not_be_read_is_set_aside(project, monkeypatch):
    root = write_splits(project)
    opened = Path.open

    def refuse(path, *arguments, **options):
        if path.parent.name == "Angry":
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    result = import_dataset(folders, root, "manifests/m", folders.Options())
    assert len(result.manifest) == 4
    assert sorted(rejection.where for rejection in result.rejections) == [
        "faces/Train/Angry/a b.jpg",
        "faces/validation/Angry/a b.jpg",
    ]
    assert all("Permission denied" in rejection.sentence() for rejection in result.rejections)


def test_a_folder_that_may_not_be_listed_is_told(tmp_path, monkeypatch):
    root = write_splits(tmp_path)
    scan = os.scandir

    def refuse(path="."):
        if str(path).rstrip("/").endswith("Angry"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    rejections = []
    samples = list(folders.read(root, folders.Options(), rejections).samples)
    assert len(samples) == 4 and len(rejections) == 2
    assert all(one.expected == "a readable folder" and one.found == "Permission denied" for one in rejections)
