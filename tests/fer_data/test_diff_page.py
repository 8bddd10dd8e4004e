"""The page that compares two manifests: its figures are those of `diffing`, its faces those that changed."""

import re

import numpy as np
import pandas as pd
import pytest

from fer_data import licenses, manifest
from fer_data.description.shifts import relation
from fer_data.diff_page import write_diff_page
from fer_data.errors import FerError
from fer_data.project import relative

LABELS = ["fear"] * 6 + ["anger"] * 4 + [None] * 2
SPLITS = ["train"] * 8 + ["val"] * 2 + ["test"] * 2


@pytest.fixture
def before(picture_manifest):
    facts = [{"light": "low"} if row < 3 else {"light": "normal"} for row in range(12)]
    return picture_manifest(range(12), LABELS, SPLITS, facts=facts)


@pytest.fixture
def after(before, picture_manifest, project):
    """Two of fear are anger now, one unlabelled has a label, two dropped, one moved, two generated added."""
    made = picture_manifest(
        [50, 51], ["fear", "fear"], ["train"] * 2, source="synthetic", origin="synthetic", generation={"seen": "s"}
    )
    frame = before.frame.copy()
    frame.loc[[0, 1], "label"] = "anger"
    frame.loc[10, "label"] = "neutral"
    frame.loc[8, "split"] = "test"
    frame.loc[5, "weight"] = np.float32(0.5)
    return manifest.write(
        pd.concat([frame.drop(index=[4, 11]), made.frame], ignore_index=True),
        project / "manifests" / "after",
        label_set="basic7",
        command="fer apply",
        licence={**licenses.DRAWN.as_dict(), "commercial": False},
        parents={relative(before.path, before.root): before.sha256},
    )


def sections_of(html: str) -> dict[str, str]:
    assert "<script" not in html
    return dict(re.findall(r"<section id=\"[^\"]+\"><h2>([^<]+)</h2>(.*?)</section>", html, flags=re.DOTALL))


def cells(html: str, first: str) -> list[str]:
    """The other cells of the first table row that begins with `first`."""
    row = re.findall(rf'<tr><th scope="row"[^>]*>{first}</th>(.*?)</tr>', html, flags=re.DOTALL)[0]
    return re.findall(r"<td[^>]*>(.*?)</td>", row, flags=re.DOTALL)


def test_every_kind_of_change_is_told(before, after, project):
    html = write_diff_page(before, after, project / "diff.html").read_text()
    page = sections_of(html)
    assert list(page) == [
        "At a glance", "Classes", "Relabelled", "Dropped", "Added", "Moved between splits", "Other changes",
        "Picture quality", "People and conditions", "Duplicates and leaks", "Licence", "Descent",
    ]  # fmt: skip
    for name, value in {"dropped": "2", "added": "2", "relabelled": "3", "moved": "1", "synthetic": "+2"}.items():
        assert f"<dt>{name}</dt><dd>{value}</dd>" in page["At a glance"]
    assert cells(page["Classes"], "fear") == ["6", "5", "−1 (−16.7 %)"]
    assert cells(page["Classes"], "neutral") == ["0", "1", "+1"]
    assert cells(page["Classes"], "all labels") == ["12", "12", "="]
    assert "3 of the 10 faces that are in both carry another label" in page["Relabelled"]
    assert cells(page["Relabelled"], "fear")[:2] == ["0.40", "0.60"]  # of the five that are in both
    assert "fear → anger (2)</h3>" in page["Relabelled"]
    assert "unlabelled → neutral (1)</h3>" in page["Relabelled"]
    assert page["Relabelled"].count('role="img"') == 3
    assert cells(page["Dropped"], "fear") == ["1"]
    assert cells(page["Dropped"], "unlabelled") == ["1"]
    assert cells(page["Added"], "fear") == ["2"]
    assert '<th scope="col" class="right">synthetic</th>' in page["Added"]
    assert cells(page["Moved between splits"], "val") == ["test", "1"]
    assert cells(page["Other changes"], "reweighted")[1:] == ["1", "set/0005: 1, 1 → 0.5, 1"]
    assert cells(page["People and conditions"], "low") == ["25.00 %", "25.00 %", "0.00"]
    assert cells(page["People and conditions"], "unknown") == ["0.00 %", "16.67 %", "+16.67"]
    assert cells(page["Licence"], "commercial") == ["yes", "no", "no longer allowed"]
    assert "after was made from set." in page["Descent"]
    assert "<p class=lead>after was made from set.</p>" in html


def test_a_page_to_be_shared_names_ids_only(before, after, project):
    html = write_diff_page(before, after, project / "diff.html", faces=False).read_text()
    assert "data:image" not in html
    assert "<li>set/0000</li><li>set/0001</li>" in html


def test_two_of_a_name_are_told_apart_and_the_same_is_the_same(before, project):
    page = sections_of(write_diff_page(before, before, project / "same.html").read_text())
    assert "Nothing differs." in page["At a glance"]
    assert "set (a)" in page["Classes"]
    assert "set (b)" in page["Classes"]
    assert "The two are the same file." in page["Descent"]
    assert "Relabelled" not in page


def test_other_label_sets_are_told(before, project):
    other = manifest.write(
        before.frame, project / "basic8", label_set="basic8", command="t", licence=before.metadata["licence"]
    )
    page = sections_of(write_diff_page(before, other, project / "diff.html").read_text())
    assert "The label sets differ: basic7 and basic8." in page["At a glance"]
    assert cells(page["Classes"], "contempt") == ["0", "0", "="]


def test_relations_between_manifests(before, after, project):
    sibling = manifest.write(
        before.frame.iloc[:5],
        project / "sibling",
        label_set="basic7",
        command="fer filter",
        licence=before.metadata["licence"],
        parents={relative(before.path, before.root): before.sha256},
    )
    stranger = manifest.write(
        before.frame.iloc[:5], project / "other", label_set="basic7", command="t", licence=before.metadata["licence"]
    )
    assert relation(before, after) == "after was made from set"
    assert relation(after, before) == "after was made from set"
    assert relation(after, sibling) == "Both were made from manifests/set.parquet"
    assert relation(before, stranger) == "Neither was made from the other"


def test_a_store_that_is_gone_leaves_no_page(before, after, project):
    (project / "stores").rename(project / "moved")
    with pytest.raises(FerError, match="is gone"):
        write_diff_page(manifest.read(before.path), manifest.read(after.path), project / "diff.html")
    assert not (project / "diff.html").exists()
