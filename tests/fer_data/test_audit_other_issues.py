import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fer_data.auditing.evidence import Evidence
from fer_data.auditing.noise import estimate_noise
from fer_data.auditing.order import judge_order
from fer_data.auditing.other_issues import OtherIssuesConfig, find_other_issues, picture_quality
from fer_data.auditing.overlapping import overlapping_classes
from fer_data.auditing.slices import Slicing, slicings, worse_slices
from fer_data.duplicates import find_duplicates, write_duplicates
from fer_data.errors import FerError
from fer_data.expressions import label_indices
from fer_data.manifest import Manifest
from fer_data.quality import measure_quality


def evidence_of(manifest: Manifest, probabilities=None) -> Evidence:
    """What an audit knows of all labelled rows; without probabilities the model says the given labels."""
    rows = manifest.frame[manifest.frame["label"].notna()]
    labels = label_indices(rows["label"], manifest.label_set)
    if probabilities is None:
        probabilities = 0.9 * np.eye(len(manifest.labels))[labels] + 0.1 / len(manifest.labels)
    ids, groups = rows["sample_id"].to_numpy(dtype=object), rows["group_id"].to_numpy()
    return Evidence(manifest.labels, ids, labels, probabilities, groups)


def issues_of(manifest: Manifest, evidence=None, config=None, *, outliers=None, neighbours=None, quality=None):
    evidence = evidence or evidence_of(manifest)
    count = len(evidence)
    outlier_score, is_outlier = outliers or (np.ones(count), np.zeros(count, dtype=bool))
    return find_other_issues(
        manifest,
        evidence,
        np.full(count, 0.8),
        outlier_score,
        is_outlier,
        config or OtherIssuesConfig(),
        quality=quality,
        neighbours=neighbours,
    )


def test_identical_pictures_under_different_labels_conflict(picture_manifest):
    labels = ["fear", "fear", "surprise", "anger", "anger", None, "neutral"]
    found = issues_of(picture_manifest([1, 1, 1, 2, 2, 3, 3], labels, ["train"] * 7))
    # The unlabelled row is not audited and contradicts nobody.
    assert found.columns["is_conflicting_duplicate"].tolist() == [True, True, True, False, False, False]
    np.testing.assert_allclose(found.columns["conflicting_duplicate_score"], [2 / 3, 2 / 3, 1 / 3, 1, 1, 1])
    assert found.summary["conflicting_duplicate"] == {
        "count": 3,
        "sentence": "3 faces carry another label than one of the identical pictures.",
        "rows": [{"labels": "fear, surprise", "sets": 1}],
    }


def test_without_copies_nothing_conflicts_and_nothing_leaks(picture_manifest):
    found = issues_of(picture_manifest(range(4), ["fear", "anger"] * 2, ["train", "test"] * 2))
    assert found.summary["conflicting_duplicate"]["sentence"] == "No identical pictures carry different labels."
    assert found.summary["leak"]["sentence"] == "No face shares picture, person or group with another split."
    assert not found.columns[["is_leak", "is_conflicting_duplicate"]].any(axis=None)
    assert found.summary["leak"]["rows"] == [] and "conflicting_near_duplicate" not in found.summary


def test_links_beside_the_audits_count_if_they_are_of_this_manifest(picture_manifest, project):
    manifest = picture_manifest([1, 1, 2], ["fear", "sadness", "anger"], ["train"] * 3)
    path = project / "audit" / f"{manifest.name}.duplicates.parquet"
    write_duplicates(manifest, find_duplicates(manifest), path)
    found = issues_of(manifest)
    assert found.columns["is_conflicting_near_duplicate"].tolist() == [True, True, False]
    assert found.summary["conflicting_near_duplicate"]["count"] == 2
    other = picture_manifest([1, 1, 2], ["fear", "fear", "anger"], ["train"] * 3)
    assert "conflicting_near_duplicate" not in issues_of(other).summary
    named = issues_of(other, config=OtherIssuesConfig(links=path))
    assert named.summary["conflicting_near_duplicate"]["count"] == 0
    with pytest.raises(FerError, match="missing"):
        issues_of(other, config=OtherIssuesConfig(links=Path("nowhere.parquet")))


def test_both_ends_of_a_leak_are_marked(picture_manifest):
    splits = ["train", "test", "train", "val"]
    manifest = picture_manifest([1, 1, 2, 3], ["fear"] * 4, splits, group_id=np.array([1, 1, 2, 2]))
    found = issues_of(manifest)
    assert found.columns["is_leak"].all() and (found.columns["leak_score"] == 0).all()
    assert found.summary["leak"]["rows"] == [
        {"held out": "test", "also in": "train", "because": "picture", "faces": 1},
        {"held out": "val", "also in": "train", "because": "group", "faces": 1},
    ]
    assert "the very picture of a train face" in found.summary["leak"]["sentence"]


def test_every_rare_class_is_named_not_only_the_rarest(noise_manifest):
    labels = ["happiness"] * 60 + ["neutral"] * 36 + ["fear"] * 3 + ["disgust"]
    found = issues_of(noise_manifest(labels, ["train"] * 100))
    rows = {row["label"]: row for row in found.summary["class_imbalance"]["rows"]}
    assert [label for label, row in rows.items() if row["rare"]] == ["anger", "sadness", "surprise", "disgust", "fear"]
    assert rows["fear"]["largest is times as large"] == 20 and rows["anger"]["largest is times as large"] is None
    assert found.columns["is_class_imbalance"].tolist() == [False] * 96 + [True] * 4
    np.testing.assert_allclose(found.columns["class_imbalance_score"].iloc[[0, 96, 99]], [1, 0.21, 0.07])
    shares = np.array([0.6, 0.36, 0.03, 0.01])
    effective = np.exp(-(shares * np.log(shares)).sum())
    assert f"worth {effective:.1f} equally frequent ones" in found.summary["class_imbalance"]["sentence"]
    even = issues_of(
        noise_manifest(["fear", "anger"] * 4, ["train"] * 8, name="even"), config=OtherIssuesConfig(rare=0)
    )
    assert even.summary["class_imbalance"]["sentence"].startswith(
        "No label is rare; the 7 labels are worth 2.0 equally frequent ones"
    )


def test_pictures_are_measured_only_where_they_are_or_where_that_is_asked(noise_manifest):
    manifest = noise_manifest(["fear", None, "anger", "fear"], ["train"] * 4)
    evidence = evidence_of(manifest)
    assert picture_quality(manifest, evidence, OtherIssuesConfig()) is None
    asked = picture_quality(manifest, evidence, OtherIssuesConfig(quality="always"))
    known = picture_quality(manifest, evidence, OtherIssuesConfig())
    pd.testing.assert_frame_equal(asked, known)
    assert picture_quality(manifest, evidence, OtherIssuesConfig(quality="never")) is None
    measured = measure_quality(manifest)
    np.testing.assert_array_equal(asked["dark_score"], measured["dark_score"].iloc[[0, 2, 3]])
    assert not [name for name in asked if "face" in name]  # what votes say is not for an audit
    flags = [name for name in asked if name.startswith("is_")]
    known[flags] = asked[flags] = False
    asked["is_dark"] = [True, False, False]
    found = issues_of(manifest, evidence, quality=asked)
    assert found.summary["picture_quality"]["sentence"] == "Too dark 1, of 3 pictures."
    assert found.summary["picture_quality"]["count"] == 1
    assert found.summary["picture_quality"]["rows"][0] == {"pictures": "too dark", "faces": 1}
    good = issues_of(manifest, evidence, quality=known)
    assert good.summary["picture_quality"]["sentence"] == "None to complain of, of 3 pictures."
    assert found.columns["is_dark"].tolist() == [True, False, False]


def test_outliers_are_handed_through(noise_manifest):
    manifest = noise_manifest(["fear", "anger", "fear"], ["train"] * 3)
    score, flag = np.array([0.5, 0.01, np.nan]), np.array([False, True, False])
    found = issues_of(manifest, outliers=(score, flag))
    np.testing.assert_array_equal(found.columns["outlier_score"], score)
    assert found.summary["outlier"]["sentence"] == "1 face lies far from every other."
    assert issues_of(manifest).summary["outlier"]["sentence"] == "No face is an outlier."


def test_faces_of_another_manifest_are_refused(noise_manifest):
    manifest = noise_manifest(["fear", "anger"], ["train"] * 2)
    evidence = evidence_of(manifest)
    evidence.sample_ids[1] = "else/where"
    with pytest.raises(FerError, match=r"expected every audited face, found 1 missing \(first: else/where\)"):
        issues_of(manifest, evidence)


def test_the_summary_is_json_and_the_columns_are_scores_and_flags(noise_manifest):
    rng = np.random.default_rng(0)
    facts = [{"light": light} for light in rng.choice(["normal", "low"], 80)]
    manifest = noise_manifest(rng.choice(["fear", "anger", "sadness"], 80).tolist(), ["train"] * 80, facts=facts)
    found = issues_of(manifest, neighbours=rng.integers(0, 80, (80, 5)))
    assert json.loads(json.dumps(found.summary)) == found.summary
    assert set(found.columns.dtypes.astype(str)) == {"float64", "bool"}
    scores = found.columns.filter(like="_score")
    assert ((scores >= 0) & (scores <= 1)).all(axis=None)
    assert {name.removesuffix("_score") for name in scores} == {
        name.removeprefix("is_") for name in found.columns if name.startswith("is_")
    }


def test_a_sorted_data_set_is_told(noise_manifest):
    labels = ["anger"] * 60 + ["fear"] * 60
    rng = np.random.default_rng(0)
    found = issues_of(noise_manifest(labels, ["train"] * 120))
    assert found.summary["order"]["count"] == 2
    assert "follow one of the same label" in found.summary["order"]["sentence"]
    faint = issues_of(noise_manifest(labels, ["train"] * 120, name="faint"), config=OtherIssuesConfig(order_strength=9))
    assert faint.summary["order"]["count"] == 0
    shuffled = issues_of(noise_manifest(rng.permutation(labels).tolist(), ["train"] * 120, name="shuffled"))
    assert shuffled.summary["order"]["sentence"] == "The order tells nothing."
    assert len(shuffled.summary["order"]["rows"]) == 2


def test_the_order_of_the_manifest_counts_not_that_of_the_predictions(noise_manifest):
    manifest = noise_manifest(["anger"] * 50 + ["fear"] * 50, ["train"] * 100)
    shuffle = np.random.default_rng(1).permutation(100)
    ring = (np.arange(100)[:, None] + [1, 2]) % 100  # in the manifest's order, alike faces are next to each other
    place = np.argsort(shuffle)
    found = issues_of(manifest, evidence_of(manifest).take(shuffle), neighbours=place[ring[shuffle]])
    assert found.summary["order"]["count"] == 3
    assert found.summary["order"]["rows"][2]["p"] == 1 / 200


def test_the_number_of_equal_labels_in_a_row_has_the_moments_of_a_shuffle():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 60)
    p_values = np.array([judge_order(rng.permutation(labels)).runs_p for _ in range(600)])
    assert 0.02 < (p_values < 0.05).mean() < 0.08
    runs = np.array([judge_order(rng.permutation(labels)).runs for _ in range(600)])
    assert runs.mean() == pytest.approx(1, abs=0.03)
    alternating = judge_order(np.arange(60) % 2)
    assert alternating.runs == 0 and alternating.runs_p < 1e-6


def test_drift_is_pearsons_test_of_labels_against_stretches():
    from scipy.stats import chi2_contingency
    from scipy.stats.contingency import association

    rng = np.random.default_rng(2)
    labels = np.concatenate([rng.choice(3, 200, p=[0.5, 0.3, 0.2]), rng.choice(3, 200, p=[0.3, 0.3, 0.4])])
    labels[labels == 2] = 4  # two labels that no face has
    table = pd.crosstab(np.arange(400) // 20, labels).to_numpy()
    found = judge_order(labels)
    assert found.drift_p == pytest.approx(chi2_contingency(table, correction=False).pvalue)
    assert found.drift == pytest.approx(association(table, method="cramer"))


def test_few_faces_or_one_label_have_no_order(recwarn):
    for labels in ([], [1], [0, 1, 0], [2] * 50):
        found = judge_order(np.array(labels, dtype=np.int64))
        assert (found.runs, found.runs_p, found.drift, found.drift_p, found.neighbours) == (1, 1, 0, 1, None)
    nobody = judge_order(np.array([0, 1] * 10), np.full((20, 3), -1))
    assert nobody.neighbours is None and nobody.neighbours_p is None
    assert not recwarn.list


def test_neighbours_in_random_order_are_rarely_told():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 200)
    p_values = [judge_order(labels, rng.integers(0, 200, (200, 4)), seed).neighbours_p for seed in range(60)]
    assert np.mean(np.array(p_values) < 0.1) < 0.25 and np.mean(p_values) > 0.3
    some = rng.integers(0, 200, (200, 4))
    assert judge_order(labels, some, 5) == judge_order(labels, some, 5)


def faces_in_groups(rng, worse: float):
    """1,000 faces; those in slice 1 are recognised `worse` less often, and slice 1 is mostly of the harder label."""
    code = np.repeat([0, 1], [800, 200])
    labels = np.where(rng.random(1000) < np.where(code == 1, 0.8, 0.2), 1, 0)
    agrees = rng.random(1000) < np.where(labels == 1, 0.5, 0.9) - worse * (code == 1)
    return Slicing("light", code, ("normal", "low")), labels.astype(np.int64), agrees


def test_a_worse_group_is_found_and_a_hard_mix_of_labels_is_no_reason():
    rng = np.random.default_rng(4)
    division, labels, agrees = faces_in_groups(rng, 0)
    options = {"least": 30, "worse_by": 0.05, "level": 0.01}
    fair = worse_slices([division], labels, agrees, np.full(1000, 0.8), np.arange(1000), **options)
    low = next(one for one in fair if one.value == "low")
    assert not any(one.is_worse for one in fair) and low.agreement < agrees[:800].mean() - 0.1
    division, labels, agrees = faces_in_groups(rng, 0.2)
    found = worse_slices([division], labels, agrees, np.full(1000, 0.8), np.arange(1000), **options)
    assert (found[0].value, found[0].is_worse, found[1].is_worse) == ("low", True, False)
    outside = [agrees[:800][labels[:800] == label].mean() for label in (0, 1)]
    assert found[0].expected == pytest.approx(np.mean([outside[label] for label in labels[800:]]))
    assert found[0].error_rate == pytest.approx(0.2) and found[0].faces == 200


def test_intervals_are_wilsons():
    from scipy.stats import binomtest

    division, labels, agrees = faces_in_groups(np.random.default_rng(5), 0.1)
    for one in worse_slices([division], labels, agrees, np.ones(1000), np.arange(1000), least=1, worse_by=0):
        interval = binomtest(round(one.agreement * one.faces), one.faces).proportion_ci(method="wilson")
        assert (one.low, one.high) == pytest.approx((interval.low, interval.high))


def test_the_test_of_groups_holds_its_level_and_twins_are_one_observation():
    rng = np.random.default_rng(6)
    single, twins = [], []
    for _ in range(120):
        division = Slicing("light", rng.integers(0, 2, 400), ("a", "b"))
        agrees = rng.random(400) < 0.7
        options = {"least": 30, "worse_by": 0.0, "level": 0.05}
        zeros = np.zeros(400, dtype=np.int64)
        found = worse_slices([division], zeros, agrees, np.ones(400), np.arange(400), **options)
        single.append(min(one.p_value for one in found) < 0.05)
        # every face eight times: as much evidence as before
        copied = Slicing("light", np.repeat(division.codes[:100], 8), ("a", "b"))
        groups = np.repeat(np.arange(100), 8)
        found = worse_slices(
            [copied], np.zeros(800, dtype=np.int64), np.repeat(agrees[:100], 8), np.ones(800), groups, **options
        )
        twins.append(min(one.p_value for one in found) < 0.05)
    assert np.mean(single) < 0.12 and np.mean(twins) < 0.14


def test_unknown_values_small_groups_and_labels_of_one_group_only(recwarn):
    codes = np.array([0] * 40 + [1] * 40 + [2] * 3 + [-1] * 17)
    labels = np.array([0] * 40 + [1] * 40 + [0] * 20)
    division = Slicing("age", codes, ("young", "old", "rare", "nobody"))
    found = worse_slices([division], labels, labels == 0, np.ones(100), np.arange(100), least=10, worse_by=0.05)
    assert {one.value for one in found} == {"young", "old"}
    old = next(one for one in found if one.value == "old")  # nobody else has its label: nothing to compare with
    assert old.agreement == old.expected == 0 and not old.is_worse
    assert worse_slices([], labels, labels == 0, np.ones(100), np.arange(100), least=10, worse_by=0) == []
    assert not recwarn.list


def test_attributes_divide_the_faces_and_people_are_told_apart_by_source(picture_manifest):
    from fer_data.merging import merge

    people = [{"subject_id": name, "light": "low"} for name in ("S1", "S2")]
    one = picture_manifest([1, 2], ["fear"] * 2, ["train"] * 2, source="one", facts=people)
    two = picture_manifest([3, 4], ["fear"] * 2, ["test", None], source="two", facts=people, group_id=np.array([7, 8]))
    both = merge([one, two], "manifests/both")
    found = {division.attribute: division for division in slicings(both, np.arange(4))}
    assert set(found) == {"source", "split", "subject_id"}  # all have the same light
    subject = found["subject_id"]
    assert [subject.values[code] for code in subject.codes] == ["one/S1", "one/S2", "two/S1", "two/S2"]
    assert found["split"].codes[3] == -1
    assert [division.attribute for division in slicings(one, np.arange(2))] == ["subject_id"]
    assert slicings(one, np.arange(2))[0].values == ("S1", "S2")
    with pytest.raises(FerError, match="no attribute 'lights'; near it are light"):
        slicings(one, np.arange(2), ("lights",))


def test_a_group_that_is_recognised_worse_is_in_the_table(noise_manifest):
    rng = np.random.default_rng(7)
    light = np.repeat(["normal", "low"], [300, 100])
    labels = rng.choice(["fear", "anger"], 400)
    manifest = noise_manifest(labels.tolist(), ["train"] * 400, facts=[{"light": word} for word in light])
    evidence = evidence_of(manifest)
    wrong = rng.random(400) < np.where(light == "low", 0.5, 0.1)
    evidence.probabilities[wrong] = np.roll(evidence.probabilities[wrong], 1, axis=1)
    found = issues_of(manifest, evidence)
    told = found.summary["underperforming_group"]
    assert told["count"] == 1 and "groups is recognised worse than expected: light low" in told["sentence"]
    assert told["rows"][0]["is_worse"] and told["rows"][0]["error_rate"] == pytest.approx(0.2)
    np.testing.assert_array_equal(found.columns["is_underperforming_group"], light == "low")
    assert found.columns["underperforming_group_score"].min() == pytest.approx(
        told["rows"][0]["agreement"] / told["rows"][0]["expected"]
    )
    alone = issues_of(manifest, evidence, config=OtherIssuesConfig(attributes=("gender",)))
    assert alone.summary["underperforming_group"]["sentence"].startswith("No attribute divides the faces")


def test_overlaps_are_cleanlabs_with_intervals():
    from cleanlab.dataset import find_overlapping_classes

    rng = np.random.default_rng(8)
    truth = rng.integers(0, 4, 3000)
    labels = np.where((truth == 2) & (rng.random(3000) < 0.3), 1, truth)
    probabilities = 0.8 * np.eye(4)[truth] + 0.05
    noise = estimate_noise(labels, probabilities, np.arange(3000), resamples=20)
    names = ("anger", "disgust", "fear", "happiness")
    ours = overlapping_classes(names, noise)
    theirs = find_overlapping_classes(joint=noise.joint.value, num_examples=3000, class_names=names)
    best = theirs.iloc[0]
    assert ours[0].labels == ("disgust", "fear") and {best["Class Name A"], best["Class Name B"]} == {"disgust", "fear"}
    assert ours[0].share == pytest.approx(best["Joint Probability"])
    assert ours[0].faces == pytest.approx(3000 * ours[0].share)
    assert ours[0].low <= ours[0].share <= ours[0].high <= 1
    rarer = min((labels == 1).sum(), (labels == 2).sum())
    assert ours[0].of_rarer == pytest.approx(ours[0].faces / rarer)
    assert json.loads(json.dumps(ours[0].as_dict()))["labels"] == ["disgust", "fear"]
    assert len(overlapping_classes(names, noise, most=1)) == 1
    shares = [one.share for one in ours]
    assert shares == sorted(shares, reverse=True) and min(shares) > 0
