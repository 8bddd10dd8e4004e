"""Gaps between groups: found where they are planted, covered by their intervals, and not compared where few show them.

Drawn people say which group a face is in, and a reader of known skill, worse for one of them by a known gap, stands
for a classifier: see `benchmarks/planted_gap.py`.
"""

import numpy as np
import pytest

from benchmarks.planted_gap import covered, found_gaps, read_faces
from classifier.fairness import fairness, read_attributes
from classifier.metrics import evaluate
from fer_data.errors import FerError
from fer_data.expressions import BASIC7

FEAR = BASIC7.index("fear")
GAP = {"lighter": 0.75, "darker": 0.55}


def test_a_planted_gap_is_covered_at_about_the_level_of_its_interval():
    found = found_gaps(100, 450, GAP)
    for metric, widest in (("accuracy", 0.3), ("recall:fear", 0.45)):
        gaps = [one[metric] for one in found]
        assert covered(gaps, 0.2) >= 0.88  # 95 of 100 are expected; 87 or fewer, once in 600
        assert np.mean([gap["value"] for gap in gaps]) == pytest.approx(0.2, abs=0.02)
        assert {gap["worst"] for gap in gaps if gap["low"] > 0} == {"darker"}
        assert np.mean([gap["high"] - gap["low"] for gap in gaps]) < widest  # and not by being wide
    assert np.mean([one["accuracy"]["low"] > 0 for one in found]) > 0.8


def test_no_gap_is_seldom_found():
    gaps = [one["accuracy"] for one in found_gaps(50, 300, {"lighter": 0.6, "darker": 0.6})]
    assert np.mean([gap["low"] > 0 for gap in gaps]) < 0.15


def test_faces_that_come_twice_tell_no_more():
    once, thrice = ([one["accuracy"] for one in found_gaps(15, 300, GAP, copies=copies)] for copies in (1, 3))
    widths = [np.mean([gap["high"] - gap["low"] for gap in gaps]) for gaps in (once, thrice)]
    assert widths[1] == pytest.approx(widths[0], rel=0.06)


def test_every_group_has_the_metrics_of_its_faces_alone():
    truth, probabilities, attributes, groups = read_faces(1, 400, {"lighter": 0.8, "darker": 0.5})
    attributes["skin"][:20] = None
    truth[20:30] = -1
    found = fairness(truth, probabilities, BASIC7, attributes, groups)
    assert (found["count"], found["left_out"]) == (390, 10)
    skin = found["attributes"]["skin"]
    assert skin["unknown"] == 20
    for value, group in skin["groups"].items():
        inside = (attributes["skin"] == value) & (truth >= 0)
        expected = evaluate(truth[inside], probabilities[inside], BASIC7)
        assert group["faces"] == inside.sum() and group["compared"]
        for name in ("accuracy", "balanced_accuracy", "macro_f1", "cross_entropy", "brier", "ece"):
            entry = group["measures"][name]
            assert entry["value"] == pytest.approx(expected[name])
            assert entry["low"] < entry["high"]
        fear = group["measures"]["recall:fear"]
        assert fear["value"] == pytest.approx(expected["per_class"]["fear"]["recall"])
        assert fear["low"] < fear["value"] < fear["high"]
    assert skin["smallest"]["faces"] == min(group["faces"] for group in skin["groups"].values())
    accuracies = [group["measures"]["accuracy"]["value"] for group in skin["groups"].values()]
    assert skin["gaps"]["accuracy"]["value"] == pytest.approx(max(accuracies) - min(accuracies))


def test_several_runs_are_averaged():
    truth, one, attributes, groups = read_faces(2, 300, {"lighter": 0.8, "darker": 0.5})
    other = np.roll(one, 1, axis=1)
    both = fairness(truth, np.stack([one, other]), BASIC7, attributes, groups, resamples=100)
    alone = [fairness(truth, run, BASIC7, attributes, groups, resamples=100) for run in (one, other)]
    for value in ("lighter", "darker"):
        values = [run["attributes"]["skin"]["groups"][value]["measures"]["accuracy"]["value"] for run in alone]
        together = both["attributes"]["skin"]["groups"][value]["measures"]["accuracy"]["value"]
        assert together == pytest.approx(np.mean(values))


def test_small_groups_are_shown_and_not_compared():
    truth, probabilities, attributes, groups = read_faces(3, 200, {"lighter": 0.8, "darker": 0.5})
    attributes["skin"] = np.array(["few"] * 5 + ["some"] * 45 + ["many"] * 150, dtype=object)
    skin = fairness(truth, probabilities, BASIC7, attributes, groups, resamples=100)["attributes"]["skin"]
    assert not skin["groups"]["few"]["compared"] and skin["smallest"] == {"group": "few", "faces": 5}
    assert skin["gaps"]["accuracy"]["compared"] == ["many", "some"]
    assert skin["gaps"]["accuracy"]["smallest_faces"] == 45
    assert "recall:fear" not in skin["gaps"]  # "some" have fewer than 30 faces of fear
    alone = {"skin": np.array(["all"] * 200, dtype=object)}
    assert fairness(truth, probabilities, BASIC7, alone, groups, resamples=100)["attributes"]["skin"]["gaps"] == {}


def test_a_recall_of_one_is_not_certain():
    truth = np.full(80, FEAR)
    probabilities = np.full((80, 7), 0.05) + 0.65 * np.eye(7)[FEAR]
    probabilities[:20] = np.roll(probabilities[:20], 1, axis=1)
    attributes = {"skin": np.array(["lighter", "darker"] * 40, dtype=object)}
    attributes["skin"][:20], attributes["skin"][20:] = "darker", "lighter"
    found = fairness(truth, probabilities, BASIC7, attributes, np.arange(80), fewest=20, resamples=100)
    recall = found["attributes"]["skin"]["groups"]["lighter"]["measures"]["recall:fear"]
    assert recall["value"] == 1 and 0.9 < recall["low"] < 1
    gap = found["attributes"]["skin"]["gaps"]["recall:fear"]
    assert gap["value"] == 1 and 0.8 < gap["low"] < 1 and gap["high"] == 1


def test_attributes_that_divide_no_faces_are_not_told(noise_manifest):
    facts = [{"gender": "f", "age": "23"}, {"gender": "m", "age": "41"}, {"gender": None, "age": "27"}]
    manifest = noise_manifest(["anger", "fear", "fear"], ["test"] * 3, facts=facts)
    found = read_attributes(manifest, np.array([True, True, True]))
    assert {name: values.tolist() for name, values in found.items()} == {
        "age": ["20-29", "40-49", "20-29"],
        "gender": ["f", "m", None],
    }
    assert read_attributes(manifest, np.array([True, False, False])) == {}


def test_what_does_not_fit_is_refused():
    truth, probabilities, attributes, groups = read_faces(4, 40, {"lighter": 0.8, "darker": 0.5})
    with pytest.raises(FerError, match="expected skin of 40 faces, found 39"):
        fairness(truth, probabilities, BASIC7, {"skin": attributes["skin"][1:]}, groups)
    with pytest.raises(FerError, match="expected groups of 40 faces, found 2"):
        fairness(truth, probabilities, BASIC7, attributes, groups[:2])
    with pytest.raises(FerError, match="at least 100 resamples"):
        fairness(truth, probabilities, BASIC7, attributes, groups, resamples=10)
    with pytest.raises(FerError, match="expected probabilities"):
        fairness(truth, probabilities[:, :5], BASIC7, attributes, groups)
