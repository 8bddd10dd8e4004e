"""Near duplicates, pages and exports on real faces: what holds whatever the copy, and no face where none may be."""

import os
import subprocess
import sys

import pytest

from fer_data import images
from fer_data.adapters import fer2013
from fer_data.diff_page import write_diff_page
from fer_data.errors import FerError
from fer_data.export.exporting import export
from fer_data.export.registry import find_format
from fer_data.filtering import filter_manifest
from fer_data.importing import import_dataset
from fer_data.near_duplicates import find_near_duplicates
from fer_data.splits import SplitConfig, split

pytestmark = pytest.mark.real_data


@pytest.fixture
def real(project):
    """Real faces with votes, 60 of each label and split."""
    if "FER_REAL_DATA" not in os.environ:
        pytest.skip("FER_REAL_DATA names no folder with real FER-2013 in it")
    script = [sys.executable, os.environ["FER_REAL_DATA"] + "/materialize.py", "csv", "download", "--limit", "60"]
    subprocess.run(script, check=True, capture_output=True)
    options = fer2013.Options(votes=project / "download" / "fer2013new.csv")
    return import_dataset(fer2013, project / "download", "manifests/real", options).manifest


def test_a_split_leaves_no_photograph_on_two_sides(real, project):
    report = find_near_duplicates([real])
    assert report.together.leaks and report.together.groups >= report.exact.groups
    links = report.write(project / "audit" / "real.duplicates.parquet")
    config = SplitConfig(redraw=("train", "val", "test"))
    made = split(real, config, "manifests/split", link_tables=[links])
    after = find_near_duplicates([made])
    assert after.together.leaks == {} and after.together.groups == report.together.groups


def test_the_export_is_refused_and_for_this_machine_holds_every_face(real, project):
    from datasets import load_dataset

    options = find_format("hf").Options()
    with pytest.raises(FerError, match="for use on this machine only, add --local-use"):
        export(real, "hf", "exports/real", options)
    assert not (project / "exports").exists() or not list((project / "exports").iterdir())
    export(real, "hf", "exports/real", options, local_use=True)
    loaded = load_dataset(str(project / "exports/real"), cache_dir=str(project / "cache"))
    hashes = real.facts(["pixel_sha256"])["pixel_sha256"]
    found = {}
    for part in loaded.values():
        plain = part.cast_column("image", part.features["image"].__class__(decode=False))
        for row in plain:
            found[row["sample_id"]] = images.pixel_sha256(images.decode(row["image"]["bytes"], "export"))
    assert found == dict(zip(real.frame["sample_id"], hashes, strict=True))
    assert "ON THE MACHINE WHERE IT WAS MADE ONLY" in (project / "exports/real/LICENCE.txt").read_text()


def test_a_page_without_faces_holds_none(real, project):
    fewer = filter_manifest(real, "label in ('fear', 'disgust')", "manifests/fewer")
    with_faces = write_diff_page(real, fewer, project / "with.html").read_text()
    without = write_diff_page(real, fewer, project / "without.html", faces=False).read_text()
    assert "data:image" in with_faces and "data:image" not in without
