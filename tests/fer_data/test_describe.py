import re

import numpy as np
import pyarrow as pa
import pytest

from fer_data import describe, manifest, tables
from fer_data.errors import FerError
from fer_data.votes import FERPLUS_COLUMNS

PICTURES = [1, 1, 2, 3, 4, 5, 5, 6]
LABELS = ["fear", "anger", "fear", "fear", "fear", None, None, "neutral"]
SPLITS = ["train", "test", "train", "val", "test", "train", None, "train"]


def sections_of(html: str) -> dict[str, str]:
    parts = re.findall(r"<section id=\"[^\"]+\"><h2>([^<]+)</h2>(.*?)</section>", html, flags=re.DOTALL)
    return dict(parts)


def described(made, project) -> dict[str, str]:
    html = describe.describe(made, project / "page.html").read_text()
    assert "<script" not in html
    assert "default-src 'none'" in html
    return sections_of(html)


def cells(html: str, first: str) -> list[str]:
    """The other cells of the table row that begins with `first`."""
    (row,) = re.findall(rf"<tr><td>{first}</td>(.*?)</tr>", html)
    return re.findall(r"<td[^>]*>(.*?)</td>", row)


def test_counts_per_class_and_split(picture_manifest):
    counts = describe.class_counts(picture_manifest(PICTURES, LABELS, SPLITS))
    assert counts.index.tolist() == [
        "anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral", "unlabelled",
    ]  # fmt: skip
    assert counts.columns.tolist() == ["train", "val", "test", "no split"]
    assert counts.loc["fear"].tolist() == [2, 1, 1, 0]
    assert counts.loc["unlabelled"].tolist() == [1, 0, 0, 1]
    assert counts.to_numpy().sum() == len(LABELS)


def test_the_page_tells_counts_imbalance_duplicates_and_licence(picture_manifest, project):
    page = described(picture_manifest(PICTURES, LABELS, SPLITS), project)
    assert list(page) == [
        "At a glance", "Classes and splits", "Faces", "Duplicates and leaks", "Pictures", "Licence",
        "Where it comes from",
    ]  # fmt: skip
    assert "<dt>largest : smallest class</dt><dd>4.0 : 1</dd>" in page["At a glance"]
    assert "disgust has no face" in page["At a glance"]
    assert "1 test faces are identical to train faces" in page["At a glance"]
    assert cells(page["Classes and splits"], "fear") == ["2", "1", "1", "0", "4", "50.0 %"]
    assert cells(page["Classes and splits"], "all labels") == ["4", "1", "2", "1", "8", "100 %"]
    assert page["Faces"].count('<ol class="faces plain"') == 3
    assert cells(page["Duplicates and leaks"], "test") == ["1", "0", "–"]
    assert "<span>fear 1</span><span>anger 1</span>" in page["Duplicates and leaks"]
    assert cells(page["Pictures"], "8 × 8") == ["grey", "8"]
    assert cells(page["Licence"], "redistribute") == ["yes"]
    assert "as it was" in page["Where it comes from"]


def test_votes_are_compared_with_labels(picture_manifest, project):
    def votes(**given: int) -> dict[str, object]:
        return {"votes": [given.get(name, 0) for name in FERPLUS_COLUMNS], "votes_source": "FER+"}

    facts = [votes(fear=10), votes(surprise=8, fear=2), votes(fear=5, surprise=5), votes(NF=10)]
    made = picture_manifest(range(4), ["fear"] * 4, ["train"] * 4, facts=facts, votes=FERPLUS_COLUMNS)
    page = described(made, project)["Votes"]
    assert "(2 faces), the label agrees with it in 50.0 %" in page
    (row,) = re.findall(r"<tr><th>fear</th>(.*?)</tr>", page)
    columns = re.findall(r"<th>([^<]+)</th>", page.partition("</thead>")[0])
    shares = dict(zip(columns, re.findall(r">([\d.]+)</td>", row), strict=True))
    assert {name: share for name, share in shares.items() if share != "0.00"} == {
        "fear": "0.25", "surprise": "0.25", "NF": "0.25", "unclear": "0.25",
    }  # fmt: skip


def test_conditions_and_people_are_listed_where_the_dataset_states_them(picture_manifest, project):
    facts = [
        {"occlusion": "mask", "subject_id": "<script>"},
        {"occlusion": "none", "subject_id": "b", "gender": "<script>"},
        {"occlusion": "mask"},
    ]
    page = described(picture_manifest(range(3), ["fear"] * 3, ["train"] * 3, facts=facts), project)
    assert cells(page["Conditions and people"], "occlusion") == ["mask 2, none 1"]
    assert cells(page["Conditions and people"], "gender") == ["unknown 2, &lt;script&gt; 1"]
    assert cells(page["Conditions and people"], "people") == ["2 named in the dataset"]


def test_what_was_set_aside_is_told(picture_manifest, project):
    made = picture_manifest(range(3), ["fear"] * 3, ["train"] * 3)
    table = pa.table({"where": ["row 7", "row 9"]})
    tables.write_table(project / "manifests" / "set.rejects.parquet", table, tables.provenance("rejects", "test"))
    page = described(made, project)
    assert "2 rows were set aside" in page["At a glance"]
    assert cells(page["Where it comes from"], "rows set aside") == ["2"]


def test_parents_that_are_gone_are_told(picture_manifest, project):
    made = picture_manifest(range(3), ["fear"] * 3, ["train"] * 3)
    child = manifest.write(
        made.frame,
        project / "manifests" / "child",
        label_set="basic7",
        command="fer <apply>",
        licence={**made.metadata["licence"], "redistribute": False, "summary": "ask <first>"},
        parents={"manifests/set.parquet": made.sha256, "manifests/gone.parquet": "0"},
    )
    page = described(child, project)
    assert "<code>fer &lt;apply&gt;</code>" in page["Where it comes from"]
    assert "gone" in page["Where it comes from"]
    assert "Licence: ask &lt;first&gt;." in page["At a glance"]


def test_synthetic_colour_and_unlabelled_manifests_have_a_page(picture_manifest, project):
    synthetic = picture_manifest(
        [1, 2], ["fear"] * 2, ["train"] * 2, colour=True, origin="synthetic", generation={"seen": "s"}
    )
    page = described(synthetic, project)
    assert "<dt>synthetic</dt><dd>2</dd>" in page["At a glance"]
    assert cells(page["Pictures"], "8 × 8") == ["colour", "2"]
    unlabelled = picture_manifest([1, 2], [None] * 2, [None] * 2, source="bare")
    page = described(unlabelled, project)
    assert "Faces" not in page
    assert cells(page["Classes and splits"], "unlabelled") == ["2", "2", "100.0 %"]


def test_many_faces_are_sampled_evenly(picture_manifest, project):
    count = 30
    page = described(picture_manifest(range(count), ["fear"] * count, ["train"] * count), project)
    assert page["Faces"].count('role="img"') == 12
    assert "All faces." in page["Pictures"]


def test_the_same_manifest_gives_the_same_page(picture_manifest, project):
    made = picture_manifest(PICTURES, LABELS, SPLITS)
    pages = [describe.describe(made, project / name).read_bytes() for name in ("1.html", "2.html")]
    assert pages[0] == pages[1]


def test_a_store_that_is_gone_leaves_no_page(picture_manifest, project):
    made = picture_manifest(PICTURES, LABELS, SPLITS)
    (project / "stores").rename(project / "moved")
    with pytest.raises(FerError, match="is gone"):
        describe.describe(manifest.read(made.path), project / "page.html")
    assert not (project / "page.html").exists()


def test_brightness_is_counted_once_per_face(picture_manifest, project):
    made = picture_manifest(range(20), ["fear"] * 20, ["train"] * 20)
    html = described(made, project)["Pictures"]
    means = made.pictures(8, 1).mean(axis=(1, 2, 3))
    shares, _ = np.histogram(means, bins=32, range=(0, 256))
    bars = re.findall(r"faces: (\d+)", html)
    assert sum(map(int, bars)) == shares.sum() == 20
