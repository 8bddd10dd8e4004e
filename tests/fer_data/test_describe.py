"""The page that describes a manifest: every figure on it is the manifest's, and nothing on it is loaded."""

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from fer_data import describe, licenses, manifest, tables
from fer_data.adapters import procedural
from fer_data.description import datasheet
from fer_data.duplicates import NEAR, marked_links, write_links
from fer_data.errors import FerError
from fer_data.importing import import_dataset
from fer_data.quality import QualityConfig, measure_quality
from fer_data.samples import Sample
from fer_data.store_writer import StoreWriter
from fer_data.votes import FERPLUS_COLUMNS

PICTURES = [1, 1, 2, 3, 4, 5, 5, 6]
LABELS = ["fear", "anger", "fear", "fear", "fear", None, None, "neutral"]
SPLITS = ["train", "test", "train", "val", "test", "train", None, "train"]


def sections_of(html: str) -> dict[str, str]:
    parts = re.findall(r"<section id=\"[^\"]+\"><h2>([^<]+)</h2>(.*?)</section>", html, flags=re.DOTALL)
    return dict(parts)


def described(made, project, **options) -> dict[str, str]:
    html = describe.describe(made, project / "page.html", **options).read_text()
    assert "<script" not in html
    assert "default-src 'none'" in html
    return sections_of(html)


def cells(html: str, first: str) -> list[str]:
    """The other cells of the table row that begins with `first`."""
    (row,) = re.findall(rf'<tr><th scope="row"[^>]*>{first}</th>(.*?)</tr>', html, flags=re.DOTALL)
    return re.findall(r"<td[^>]*>(.*?)</td>", row, flags=re.DOTALL)


def votes(**given: int) -> dict[str, object]:
    return {"votes": [given.get(name, 0) for name in FERPLUS_COLUMNS], "votes_source": "FER+"}


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
        "At a glance", "Classes and splits", "Faces", "Duplicates and leaks", "Size and brightness",
        "Picture quality", "What is known", "Licence", "Datasheet", "Where it comes from",
    ]  # fmt: skip
    assert "<dt>largest : smallest class</dt><dd>4.0 : 1</dd>" in page["At a glance"]
    assert "disgust has no face" in page["At a glance"]
    assert "1 test faces are identical to train faces" in page["At a glance"]
    assert cells(page["Classes and splits"], "fear") == ["2", "1", "1", "0", "4", "50.0 %"]
    assert cells(page["Classes and splits"], "all labels") == ["4", "1", "2", "1", "8", "100 %"]
    assert page["Faces"].count('<ol class="faces"') == 3
    assert cells(page["Duplicates and leaks"], "test") == ["1", "0", "–"]
    assert "<span>test anger · 0001</span><span>train fear · 0000</span>" in page["Duplicates and leaks"]
    assert "<span>fear 1</span><span>anger 1</span><span>0000</span>" in page["Duplicates and leaks"]
    assert cells(page["Size and brightness"], "8 × 8") == ["grey", "8"]
    assert cells(page["Licence"], "pass the pictures on") == ["yes"]
    assert "as it was" in page["Where it comes from"]


def test_people_in_two_splits_are_shown_side_by_side(picture_manifest, project):
    facts = [{"subject_id": person} for person in ("ann", "bob", "ann", "eve")]
    made = picture_manifest(range(4), ["fear"] * 4, ["train", "train", "test", "val"], facts=facts)
    page = described(made, project)
    assert "1 test faces share the person of a train face." in page["At a glance"]
    twins = page["Duplicates and leaks"]
    assert "No two pictures are identical." in twins
    shown = twins.partition("One person, two splits</h3>")[2]
    assert re.findall(r"<span>([^<]*)</span>", shown) == ["test fear · 0002", "train fear · 0000"]


def test_near_duplicates_are_shown_from_their_table(picture_manifest, project):
    made = picture_manifest(range(4), ["fear", "fear", "anger", "fear"], ["train", "train", "test", "val"])
    assert "not looked for yet" in described(made, project)["Duplicates and leaks"]
    ends = pd.DataFrame({"a": ["set/0000", "set/0000"], "b": ["set/0001", "set/0002"], "score": [0.96, 0.98]})
    ends = ends.assign(kind=NEAR, mirrored=False, shift_x_px=0.0, shift_y_px=0.0, zoom=1.0)
    members = made.frame[["sample_id", "split", "label"]].assign(twin_group=1)
    path = project / "audit" / "set.duplicates.parquet"
    write_links([made], marked_links(ends, members), path, {}, {})
    page = described(made, project)["Duplicates and leaks"]
    assert "2 pairs of different pictures show the same photograph; 1 of them lie in two splits, 1 carry" in page
    shown = re.findall(r"<span>([^<]*)</span>", page.partition("Near duplicates</h3>")[2])
    assert shown[:3] == ["train fear · 0000", "score 0.980", "test anger · 0002"]
    assert shown[3:] == ["train fear · 0000", "score 0.960", "train fear · 0001"]
    write_links([made], marked_links(ends, members).iloc[:0], path, {}, {}, replace=True)
    assert "No two different pictures show the same photograph" in described(made, project)["Duplicates and leaks"]
    path.rename(project / "audit" / "other.duplicates.parquet")
    other = manifest.write(
        made.frame, project / "other", label_set="basic7", command="t", licence=made.metadata["licence"]
    )
    assert "is of another version" in described(other, project)["Duplicates and leaks"]


def test_votes_are_compared_with_labels(picture_manifest, project):
    facts = [votes(fear=10), votes(surprise=8, fear=2), votes(fear=5, surprise=5), votes(NF=10), votes()]
    made = picture_manifest(range(5), ["fear"] * 5, ["train"] * 5, facts=facts, votes=FERPLUS_COLUMNS)
    page = described(made, project)
    assert "(2 faces), the label agrees with it in 50.0 %" in page["Votes"]
    (row,) = re.findall(r'<tr><th scope="row">fear</th>(.*?)</tr>', page["Votes"])
    columns = re.findall(r'<th scope="col">([^<]+)</th>', page["Votes"].partition("</thead>")[0])
    shares = dict(zip(columns, re.findall(r">([\d.]+)</td>", row), strict=True))
    assert {name: share for name, share in shares.items() if share != "0.00"} == {
        "fear": "0.20", "surprise": "0.20", "NF": "0.20", "unclear": "0.40",
    }  # fmt: skip
    # Who has no vote at all is not one for whom nobody chose the label.
    assert "For 1 faces (20.0 %) nobody chose the label" in page["Votes"]
    assert "<span>fear</span><span>→ NF</span><span>0003</span>" in page["Votes"]
    assert cells(page["Picture quality"], "fear")[-1] == "1"
    assert "5 of 5 pictures have votes (FER+)" in page["Datasheet"]


def test_votes_of_other_names_are_counted_for_the_labels_they_name(picture_manifest, project):
    facts = [{"votes": [3, 1]}, {"votes": [0, 4]}, {"votes": [4, 0]}]
    made = picture_manifest(range(3), ["fear", "fear", "anger"], ["train"] * 3, facts=facts, votes=("fear", "other"))
    page = described(made, project)["Votes"]
    assert "FER+" not in page
    assert "For 1 faces (33.3 %) nobody chose" in page
    assert "<span>→ other</span>" in page


def test_sources_that_name_votes_differently_are_told(picture_manifest, project):
    one = picture_manifest([1], ["fear"], ["train"], facts=[{"votes": [1]}], votes=("fear",), source="one")
    two = picture_manifest([2], ["fear"], ["train"], facts=[{"votes": [1]}], votes=("anger",), source="two")
    both = manifest.write(
        pd.concat([one.frame, two.frame], ignore_index=True),
        project / "both",
        label_set="basic7",
        command="test",
        licence=licenses.DRAWN.as_dict(),
    )
    page = described(both, project)
    assert "name their votes differently" in page["Votes"]
    assert cells(page["Sources"], "fear") == ["1", "1", "2", "100.0 %"]
    assert cells(page["Sources"], "two") == ["1", "1", "50.0 %"]


def test_attributes_are_counted_per_class_and_escaped(picture_manifest, project):
    facts = [
        {"occlusion": "mask", "subject_id": "<script>", "age": "20-39", "valence": 0.5, "arousal": -0.5},
        {"occlusion": "none", "subject_id": "b", "gender": "<script>", "age": "3"},
        {"occlusion": "mask", "subject_id": "b", "age": "100"},
    ]
    made = picture_manifest(range(3), ["fear", "fear", "anger"], ["train", "train", "test"], facts=facts)
    page = described(made, project)["People and conditions"]
    occlusion = page.partition("occlusion</h3>")[2]
    assert re.findall(r'<th scope="col"[^>]*>([^<]*)</th>', occlusion)[:3] == ["label", "none", "mask"]
    assert cells(occlusion, "fear") == ["1", "1"]
    assert "&lt;script&gt; 1" in page
    ages = page.partition("age</h3>")[2]
    assert re.findall(r'<th scope="col"[^>]*>([^<]*)</th>', ages)[:4] == ["label", "3", "20-39", "100"]
    assert cells(page, "people") == ["2 named, 1.5 faces each in the median"]
    assert cells(page, "people in more than one split") == ["1"]
    assert "Valence and arousal as annotated, 1 faces" in page


def test_rare_values_of_an_attribute_are_taken_together(picture_manifest, project):
    facts = [{"race": f"r{row:02d}"} for row in range(20)]
    made = picture_manifest(range(20), ["fear"] * 20, ["train"] * 20, facts=facts)
    page = described(made, project)["People and conditions"]
    assert cells(page, "fear") == ["1"] * 12 + ["8"]
    assert "8 more" in page


def test_what_was_set_aside_is_told(picture_manifest, project):
    made = picture_manifest(range(3), ["fear"] * 3, ["train"] * 3)
    table = pa.table({"where": ["row 7", "row 9"]})
    tables.write_table(project / "manifests" / "set.rejects.parquet", table, tables.provenance("rejects", "test"))
    page = described(made, project)
    assert "2 rows were set aside" in page["At a glance"]
    assert cells(page["Where it comes from"], "rows set aside") == ["2"]


def test_known_and_unknown_columns_are_told(picture_manifest, project):
    made = picture_manifest(range(8), ["fear"] * 8, ["train"] * 8, facts=[{"light": "low"}, *[{}] * 7])
    page = described(made, project)["What is known"]
    assert "12.5 %" in cells(page, "light")[1]
    assert "100 %" in cells(page, "label")[1]
    assert re.search(r"Known of no face: [^<]*valence", page)


def test_the_plan_of_a_balanced_manifest_is_told(picture_manifest, project):
    made = picture_manifest(range(3), ["fear"] * 3, ["train"] * 3)
    cell = {"occlusion": "mask", "light": None, "left_out": 0}
    balanced = manifest.write(
        made.frame,
        project / "balanced",
        label_set="basic7",
        command="fer merge",
        licence=made.metadata["licence"],
        plan={"asked": 5, "cells": [{**cell, "label": "fear", "asked": 4, "got": 1},
                                    {**cell, "label": "anger", "asked": 1, "got": 1, "left_out": 7}]},
    )  # fmt: skip
    page = described(balanced, project)["Plan"]
    assert "asked for 5 synthetic faces in 2 cells of label · occlusion · light and got 2 (40.0 %)" in page
    assert "1 cells got fewer" in page
    assert cells(page, "fear")[:4] == ["mask", "unknown", "4", "1"]
    assert "25.0 %" in cells(page, "fear")[4]
    assert cells(page, "anger")[-1] == "7"
    empty = manifest.write(
        made.frame, project / "empty", label_set="basic7", command="fer merge", licence=made.metadata["licence"],
        plan={"asked": 0, "cells": []},
    )  # fmt: skip
    assert "asked for nothing" in described(empty, project)["Plan"]


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
    assert "made by fer &lt;apply&gt; from set.parquet, gone.parquet" in page["Datasheet"]


def test_the_licences_of_several_sources_are_told(picture_manifest, project):
    made = picture_manifest(range(3), ["fear"] * 3, ["train"] * 3)
    both = licenses.combine([licenses.DRAWN.as_dict(), licenses.FERPLUS.as_dict()])
    child = manifest.write(made.frame, project / "both", label_set="basic7", command="merge", licence=both)
    page = described(child, project)["Licence"]
    assert cells(page, "MIT")[1:] == ["yes"] * 4
    assert cells(page, "Apache-2.0")[1:] == ["yes"] * 4


def test_synthetic_colour_and_unlabelled_manifests_have_a_page(picture_manifest, project):
    synthetic = picture_manifest(
        [1, 2], ["fear"] * 2, ["train"] * 2, colour=True, origin="synthetic",
        facts=[{"seed": 5}, {"seed": 9}], generation={"seen": "s", "id": "abc", "kind": "diffusion", "seed": 3},
    )  # fmt: skip
    page = described(synthetic, project)
    assert "<dt>synthetic</dt><dd>2</dd>" in page["At a glance"]
    assert cells(page["Size and brightness"], "8 × 8") == ["colour", "2"]
    assert "generation abc: kind diffusion, base seed 3, seeds 5 to 9, one per picture" in page["Datasheet"]
    assert cells(page["Datasheet"], "Memorisation test") == ["not stated"]
    unlabelled = picture_manifest([1, 2], [None] * 2, [None] * 2, source="bare")
    page = described(unlabelled, project)
    assert "Faces" not in page
    assert cells(page["Classes and splits"], "unlabelled") == ["2", "2", "100.0 %"]


def test_a_manifest_without_rows_has_a_page(picture_manifest, project):
    made = picture_manifest([1], ["fear"], ["train"])
    empty = manifest.write(
        made.frame.iloc[:0], project / "empty", label_set="basic7", command="filter", licence=made.metadata["licence"]
    )
    page = described(empty, project)
    assert "<dt>faces</dt><dd>0</dd>" in page["At a glance"]
    assert cells(page["Classes and splits"], "all labels")[-2:] == ["0", "100 %"]


def test_faces_are_different_pictures_of_their_class(picture_manifest, project):
    made = picture_manifest([1] * 10 + list(range(2, 32)), ["fear"] * 40, ["train"] * 40)
    page = described(made, project)["Faces"]
    assert page.count('role="img"') == 24
    assert page.partition("</h3>")[0].endswith("fear (40)")
    made = picture_manifest([1] * 10 + [2], ["fear"] * 11, ["train"] * 11, source="few")
    assert described(made, project)["Faces"].count('role="img"') == 2


def test_a_page_to_be_shared_shows_no_face(picture_manifest, project):
    made = picture_manifest(PICTURES, LABELS, SPLITS)
    html = describe.describe(made, project / "shared.html", faces=False).read_text()
    assert "data:image" not in html
    assert "made without faces" in html
    assert "test anger · 0001 · train fear · 0000" in html


def test_the_worst_faces_of_every_issue_are_shown_in_order(noise_manifest, project):
    made = noise_manifest(["fear"] * 12, ["train"] * 12, size_px=16)
    scores = measure_quality(made).sort_values("contrast_score", kind="stable")
    page = described(made, project, quality=QualityConfig(low_contrast=1.0, blurred=0.0))["Picture quality"]
    assert cells(page, "all labels")[2] == "12"
    shown = re.findall(r"<span>0\.\d+ · (\d+)</span>", page.partition("Low in contrast (12)")[2])[:12]
    assert shown == [name.partition("/")[2] for name in scores["sample_id"]]


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
    html = described(made, project)["Size and brightness"]
    means = made.pictures(48, 1).mean(axis=(1, 2, 3))
    counts, _ = np.histogram(means, bins=32, range=(0, 256))
    bars = [int(count) for count in re.findall(r"faces: (\d+)", html)]
    assert sum(bars) == counts.sum() == 20
    assert [count for count in bars if count] == [count for count in counts.tolist() if count]


def test_pictures_of_many_sizes_get_a_histogram(project):
    with StoreWriter("s", project, licence=licenses.DRAWN.as_dict(), source="s") as writer:
        for size in range(12, 32):
            writer.add(Sample(f"{size}", np.full((size, size), size, np.uint8), None, None, None, "row", {}))
        store = writer.close()
    rows = manifest.new_rows(
        20, sample_id=[f"s/{row}" for row in range(20)], store=f"stores/{store.path.name}",
        store_row=np.arange(20), group_id=np.arange(20),
    )  # fmt: skip
    made = manifest.write(rows, project / "m", label_set="basic7", command="t", licence=licenses.DRAWN.as_dict())
    page = described(made, project)["Size and brightness"]
    assert cells(page, "12 other sizes") == ["", "12"]
    assert "The shorter side of the pictures" in page


def test_drawn_faces_get_every_part_they_have_facts_for(project):
    options = procedural.Options(count=120, seed=2)
    made = import_dataset(procedural, None, project / "manifests" / "drawn", options).manifest
    page = described(made, project)
    facts = made.facts(["light", "planted"])
    people = page["People and conditions"]
    assert cells(people, "planted")[0].startswith("label_noise")
    low = pd.crosstab(made.frame["label"], facts["light"].fillna("unknown").to_numpy())
    columns = re.findall(r'<th scope="col"[^>]*>([^<]*)</th>', people.partition("light</h3>")[2])
    fear = dict(zip(columns[1:], cells(people.partition("light</h3>")[2], "fear"), strict=False))
    assert {name: int(count) for name, count in fear.items() if name in low.columns} == low.loc["fear"].to_dict()
    defects = cells(page["Datasheet"], "Known defects")[0]
    assert all(re.sub("`", "`", line) in defects for line in procedural.KNOWN_DEFECTS)


def test_a_datasheet_says_what_nobody_stated(picture_manifest):
    made = picture_manifest(PICTURES, LABELS, SPLITS, source="unheard")
    answers = {answer.question: answer.lines for answer in datasheet.datasheet(made)}
    for question in ("Motivation", "Collection", "Consent of the people shown", "Raters per item", "Known defects"):
        assert answers[question] == ("not stated",)
    assert "Article 5(1)(f)" in answers["Prohibited uses"][0]
    assert answers["Composition"][1] == "anger 1, fear 4, neutral 1"
    assert answers["Splits and leaks"][:2] == (
        "train 4, val 1, test 2; 1 rows without one", "rule: as the sources have it",
    )  # fmt: skip
    assert len(answers["Splits and leaks"]) == 3
    assert answers["Memorisation test"] == ("no synthetic pictures",)


def test_a_datasheet_tells_the_split_rule_of_an_ancestor_and_who_is_in_two_splits(picture_manifest, project):
    facts = [{"subject_id": "ann"}] * 2
    made = picture_manifest([1, 2], ["fear"] * 2, ["train", "test"], facts=facts)
    common = {"label_set": "basic7", "licence": made.metadata["licence"]}
    split = manifest.write(
        made.frame, project / "split", command="fer split", configuration={"by": "subject", "seed": 4}, **common
    )
    child = manifest.write(
        made.frame, project / "child", command="fer filter", parents={"split.parquet": split.sha256}, **common
    )
    answers = {answer.question: answer.lines for answer in datasheet.datasheet(child)}
    assert "rule: drawn by fer split (by subject, seed 4)" in answers["Splits and leaks"]
    assert answers["Splits and leaks"][-1] == "1 test faces share the person of a train face"


def test_a_datasheet_reads_adapters_and_screenings(picture_manifest, project):
    made = picture_manifest([1, 2], ["fear"] * 2, ["train"] * 2, source="fer2013")
    drawn = picture_manifest(
        [3], ["fear"], ["train"], source="synthetic-1", origin="synthetic", generation={"seen": "s"}
    )
    facts = tables.provenance(
        "screening", "fer screen", reasons={"kept": 1, "copy": 4}, calibration={"count": 50, "flagged": 0.02}
    )
    tables.write_table(project / "manifests" / "s.screening.parquet", pa.table({"keep": [True]}), facts)
    both = manifest.write(
        pd.concat([made.frame, drawn.frame], ignore_index=True), project / "manifests" / "both", label_set="basic7",
        command="fer merge", licence=made.metadata["licence"], screening="manifests/s.screening.parquet",
    )  # fmt: skip
    answers = {answer.question: answer.lines for answer in datasheet.datasheet(both)}
    assert "Goodfellow" in answers["Collection"][0]
    assert "the published FER-2013 has 35,887 pictures" in answers["Composition"]
    assert answers["Memorisation test"] == (
        "s.screening.parquet: kept 1, copy 4; the threshold for copies calls 2.0 % of 50 held-out real faces copies",
    )
    (project / "manifests" / "s.screening.parquet").unlink()
    answers = {answer.question: answer.lines for answer in datasheet.datasheet(both)}
    assert answers["Memorisation test"] == ("s.screening.parquet: the table is gone",)
