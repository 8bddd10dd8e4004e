"""Labels made from the votes of FER+."""

from collections import Counter

import fer2013_forms as forms
import numpy as np
import pytest
from layouts.fer2013 import csv, csv_with_votes, parquet

from fer_data.adapters import ferplus
from fer_data.errors import FerError
from fer_data.expressions import BASIC7
from fer_data.importing import import_dataset
from fer_data.votes import FERPLUS_COLUMNS, distribution, majority, shares

BASIC8 = (*BASIC7, "contempt")


def read_all(root, **options):
    rejections = []
    reading = ferplus.read(root, ferplus.Options(**options), rejections)
    return reading, list(reading.samples), rejections


def test_folders_are_labelled_by_the_published_majority(tmp_path):
    reading, samples, rejections = read_all(forms.write_ferplus(tmp_path))
    assert (reading.form, reading.label_set, reading.label_rule, rejections) == (
        "FER+ folders", "basic8", "votes:majority", [],
    )  # fmt: skip
    labels = {sample.key: sample.label for sample in samples}
    assert labels["FER2013Train/fer0000000.png"] == "happiness"
    assert labels["FER2013Valid/fer0000001.png"] == "contempt"
    assert labels["FER2013Test/fer0000002.png"] is None
    winners = majority(np.array([sample.facts["votes"] for sample in samples]))
    assert [sample.label for sample in samples] == [None if w in ("unknown", "NF") else w for w in winners]
    assert all(sample.source_label is None for sample in samples)
    without = sum(sample.label is None for sample in samples)
    assert any(f"{without} faces have too few that agree" in note for note in reading.notes)


def test_the_csv_keeps_the_label_of_fer2013_beside(tmp_path):
    reading, samples, _ = read_all(csv_with_votes(tmp_path))
    assert reading.label_set == "basic8"
    assert {sample.source_label for sample in samples} == {
        "angry",
        "disgust",
        "fear",
        "happy",
        "sad",
        "surprise",
        "neutral",
    }
    votes = forms.votes_table()
    assert [sample.facts["votes"] for sample in samples] == votes.tolist()
    joined = read_all(tmp_path / "fer2013.csv", votes=tmp_path / "fer2013new.csv")[1]
    assert [sample.label for sample in joined] == [sample.label for sample in samples]


@pytest.mark.parametrize("rule", ["filter", "soft"])
def test_soft_labels_follow_the_order_of_the_label_set(tmp_path, rule):
    reading, samples, _ = read_all(forms.write_ferplus(tmp_path), rule=rule)
    assert reading.label_rule == f"votes:{rule}"
    votes = np.array([sample.facts["votes"] for sample in samples])
    expected = distribution(votes) if rule == "filter" else shares(votes)
    for sample, row in zip(samples, expected, strict=True):
        if np.isnan(row).any():
            assert sample.target is None and sample.label is None
            continue
        by_name = dict(zip(BASIC8, sample.target, strict=True))
        assert by_name == pytest.approx(dict(zip(FERPLUS_COLUMNS[:8], row, strict=True)))
        best = [name for name, share in by_name.items() if share == max(by_name.values())]
        assert sample.label == (best[0] if len(best) == 1 else None)
    assert Counter(sample.target is None for sample in samples)[False] > 5


def test_an_import_keeps_soft_labels_and_says_the_rule(project):
    root = forms.write_ferplus(project / "d")
    made = import_dataset(ferplus, root, project / "manifests/a", ferplus.Options(rule="filter")).manifest
    assert set(made.frame["label_origin"]) == {"votes:filter"}
    assert made.frame["target"].notna().sum() == np.isfinite(distribution(forms.ferplus_votes())).all(axis=1).sum()
    assert made.votes_labels() == FERPLUS_COLUMNS


def test_forms_without_votes_are_refused(tmp_path):
    with pytest.raises(FerError, match="which has no votes; give --votes"):
        read_all(parquet(tmp_path))
    (tmp_path / "alone").mkdir()
    csv(tmp_path / "alone")
    with pytest.raises(FerError, match="found FER-2013's csv, which has no votes"):
        read_all(tmp_path / "alone")


def test_the_slices_of_ran_are_marked(tmp_path):
    root = forms.write_ferplus(tmp_path / "d")
    lists = tmp_path / "FERplus_dir"
    lists.mkdir()
    (lists / "jianfei_occlusion_list.txt").write_bytes(b"1_fer0000002.png 8 0\r\n3_fer0000005.png 1 0\r\n")
    (lists / "pose_30_ferplus_list.txt").write_text("0/fer0000002.jpg\n")
    (lists / "pose_45_ferplus_list.txt").write_text("0/fer9999999.jpg\n")
    reading, samples, _ = read_all(root, ran=lists)
    assert {sample.key[-7:-4]: sample.facts["slices"] for sample in samples if "slices" in sample.facts} == {
        "002": ["ran_occlusion", "ran_pose30"], "005": ["ran_occlusion"],
    }  # fmt: skip
    assert any("1 of 3 listed pictures are not in this download" in note for note in reading.notes)
    (tmp_path / "csv").mkdir()
    with pytest.raises(FerError, match="import the FER\\+ folders instead"):
        read_all(csv_with_votes(tmp_path / "csv"), ran=lists)


# neutral happiness surprise sadness anger disgust fear contempt unknown NF → shares, or None
FILTERED = [
    ([10, 0, 0, 0, 0, 0, 0, 0, 0, 0], {"neutral": 1}),
    ([6, 3, 1, 0, 0, 0, 0, 0, 0, 0], {"neutral": 6 / 9, "happiness": 3 / 9}),  # the single vote counts as none
    ([5, 4, 0, 0, 0, 0, 0, 0, 0, 1], {"neutral": 5 / 9, "happiness": 4 / 9}),  # 5 are less than three quarters of 9
    ([8, 2, 0, 0, 0, 0, 0, 0, 0, 0], {"neutral": 1}),  # 8 are three quarters of 10: the rest is left
    ([4, 0, 3, 3, 0, 0, 0, 0, 0, 0], {"neutral": 0.4, "surprise": 0.3, "sadness": 0.3}),
    ([2, 2, 2, 2, 2, 0, 0, 0, 0, 0], None),  # five expressions are too many
    ([0, 0, 0, 0, 0, 0, 0, 0, 0, 10], None),  # no face
    ([5, 0, 0, 0, 0, 0, 0, 0, 5, 0], None),  # "unknown" has half of the votes
    ([6, 0, 0, 0, 0, 0, 0, 0, 4, 0], {"neutral": 1}),  # stops at "unknown"; 6 of 10 are more than half
    ([1, 1, 1, 1, 1, 1, 1, 1, 1, 1], None),  # single votes only
]


@pytest.mark.parametrize(("votes", "expected"), FILTERED)
def test_the_filter_of_the_paper_by_hand(votes, expected):
    (row,) = distribution(np.array([votes]))
    if expected is None:
        assert np.isnan(row).all()
    else:
        assert dict(zip(FERPLUS_COLUMNS, row, strict=False)) == pytest.approx(
            {name: expected.get(name, 0) for name in FERPLUS_COLUMNS[:8]}
        )


def test_shares_count_every_vote_for_an_expression():
    soft = shares(np.array([[6, 3, 1, 0, 0, 0, 0, 0, 0, 0], [4, 0, 0, 0, 0, 0, 0, 0, 4, 2]]))
    assert soft[0] == pytest.approx([0.6, 0.3, 0.1, 0, 0, 0, 0, 0])
    assert np.isnan(soft[1]).all()


@pytest.mark.parametrize("rule", [majority, distribution, shares])
def test_votes_of_another_shape_are_refused(rule):
    with pytest.raises(FerError, match=r"expected counts \[N, 10\]"):
        rule(np.zeros((2, 9), int))
    with pytest.raises(FerError, match="found -1"):
        rule(np.full((1, 10), -1))
