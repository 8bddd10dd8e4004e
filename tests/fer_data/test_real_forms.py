"""The forms of real FER-2013 agree in everything that each of them can carry (the table of docs/fer2013.md)."""

import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from fer_data.adapters import fer2013, ferplus
from fer_data.importing import import_dataset

pytestmark = pytest.mark.real_data
EXACT = ("csv", "icml", "hf", "ferplus")
MERGED = {"train": "train", "val": "test", "test": "test"}


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    """A folder with the same real faces in every form, each in a folder named after the form."""
    if "FER_REAL_DATA" not in os.environ:
        pytest.skip("FER_REAL_DATA names no folder with real FER-2013 in it")
    root = tmp_path_factory.mktemp("real")
    for form in (*EXACT, "folder"):
        script = [
            sys.executable,
            os.environ["FER_REAL_DATA"] + "/materialize.py",
            form,
            str(root / form),
            "--limit",
            "25",
        ]
        subprocess.run(script, check=True, capture_output=True)
    return root


@pytest.fixture
def forms(downloads, project):
    """form → rows with pixel_sha256, label, source_label, split and votes, as imported."""
    return {form: imported(fer2013, downloads / form, form, votes=form == "csv") for form in (*EXACT, "folder")}


def imported(adapter, folder, form, *, votes=False, **options):
    if votes:
        options["votes"] = folder / "fer2013new.csv"
    result = import_dataset(adapter, folder, f"manifests/{form}", adapter.Options(**options))
    assert result.rejections == []
    frame = result.manifest.frame.reset_index(drop=True)
    facts = result.manifest.facts(["pixel_sha256", "source_label", "votes"])
    frame = frame[["sample_id", "label", "split"]].join(facts)
    return frame.assign(pixels=list(result.manifest.pictures(48, 1)))


def counted(frame, *columns):
    """How often every combination of values occurs: the forms order their rows differently."""
    values = [
        frame[column].map(lambda value: tuple(value) if isinstance(value, np.ndarray) else value) for column in columns
    ]
    return Counter(zip(*values, strict=True))


def test_every_form_has_the_same_faces(forms):
    assert {len(frame) for frame in forms.values()} == {3 * 7 * 25}
    for form in EXACT[1:]:
        assert counted(forms[form], "pixel_sha256") == counted(forms["csv"], "pixel_sha256"), form


def test_labels_agree_by_picture_and_are_null_where_a_form_has_none(forms):
    for form in ("icml", "hf"):
        assert counted(forms[form], "pixel_sha256", "label") == counted(forms["csv"], "pixel_sha256", "label"), form
    assert counted(forms["folder"], "label") == counted(forms["csv"], "label")
    assert forms["ferplus"]["label"].isna().all() and forms["ferplus"]["source_label"].isna().all()


def test_splits_agree_and_stay_merged_where_a_form_merges_them(forms):
    csv = forms["csv"]
    for form in ("icml", "ferplus"):
        assert counted(forms[form], "pixel_sha256", "split") == counted(csv, "pixel_sha256", "split"), form
    merged = csv.assign(split=csv["split"].map(MERGED))
    assert counted(forms["hf"], "pixel_sha256", "split") == counted(merged, "pixel_sha256", "split")
    assert counted(forms["folder"], "label", "split") == counted(merged, "label", "split")


def test_votes_agree_and_are_null_where_a_form_has_none(forms):
    assert counted(forms["ferplus"], "pixel_sha256", "votes") == counted(forms["csv"], "pixel_sha256", "votes")
    for form in ("icml", "hf", "folder"):
        assert forms[form]["votes"].isna().all(), form


def test_rows_of_both_csv_files_have_the_same_keys(forms):
    columns = ["sample_id", "pixel_sha256", "label", "split"]
    assert forms["icml"][columns].equals(forms["csv"][columns])


def test_jpeg_folders_hold_the_same_faces_but_not_the_same_pixels(forms):
    """Every JPEG is nearest to a face of the csv that has its label and its merged split."""
    csv, folder = forms["csv"], forms["folder"]
    assert not set(folder["pixel_sha256"]) & set(csv["pixel_sha256"])
    exact = np.stack(csv["pixels"].to_list()).reshape(len(csv), -1).astype(np.float32)
    lossy = np.stack(folder["pixels"].to_list()).reshape(len(folder), -1).astype(np.float32)
    distance = (lossy**2).sum(1)[:, None] - 2 * lossy @ exact.T + (exact**2).sum(1)[None]
    nearest = distance.argmin(axis=1)
    difference = np.abs(lossy - exact[nearest]).mean(axis=1)
    assert difference.max() < 6  # grey levels, of 255
    twins = csv.duplicated("pixel_sha256", keep=False).to_numpy()[nearest]
    assert (csv["label"].to_numpy()[nearest] == folder["label"].to_numpy())[~twins].all()
    assert (csv["split"].map(MERGED).to_numpy()[nearest] == folder["split"].to_numpy())[~twins].all()


def test_labels_by_votes_are_the_same_from_both_forms(downloads, project):
    folders = imported(ferplus, downloads / "ferplus", "by-folders")
    csv = imported(ferplus, downloads / "csv", "by-csv")
    assert counted(folders, "pixel_sha256", "label") == counted(csv, "pixel_sha256", "label")
    assert csv["source_label"].notna().all() and folders["source_label"].isna().all()
