"""Numbers in words: told as they came, losses as plainly as gains."""

import re
from types import SimpleNamespace

import pytest

from experiments.report import wording
from experiments.report.contents import Results
from experiments.report.limits import limits
from experiments.report.parts import Estimate


def estimate(value: float | None, low: float | None = None, high: float | None = None) -> Estimate:
    return Estimate(value=value, low=low, high=high)


def test_the_answer_is_stated_as_it_came(make_results) -> None:
    gain, nothing, loss = (wording.answer(make_results(value)) for value in (0.2, 0.0, -0.2))
    pattern = (
        r"^“Arm cleaned” {} balanced accuracy by [\d.]+ points \[[\d.]+, [\d.]+\] against “Arm baseline” on the test"
    )
    assert re.match(pattern.format("raises"), gain)
    assert re.match(pattern.format("lowers"), loss)
    assert re.match(r"^No difference shown: .* by [+−]?[\d.]+ points \[−[\d.]+, \+[\d.]+\]", nothing)
    assert "test split without twins in train or val, judged by FER+ majority" in gain
    assert re.search(r"\(95 % interval, paired, \d+ faces, 2 seeds\)\.$", gain)
    assert "1 seed, so the chance of training is not in the interval" in wording.answer(make_results(0.2, seeds=(1,)))


def test_an_answer_that_cannot_be_computed_says_so(make_results) -> None:
    results = make_results(0.1)
    primary = next(one for one in results["contrasts"] if one["family"] == "primary")
    primary.update(value=None, low=None, high=None)
    assert wording.answer(results).startswith("No answer: balanced accuracy")


def test_folds_are_named_in_the_answer(folded_results) -> None:
    assert "faces judged once each in 3 folds, 2 seeds" in wording.answer(folded_results)
    assert "on the test faces of all folds without twins in train or val" in wording.answer(folded_results)
    assert "Counted in the first of 3 folds." in wording.reviewers(Results.model_validate(folded_results))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.01, 0.2, "gain"),
        (-0.2, -0.01, "loss"),
        (0.0, 0.2, "nothing"),
        (-0.2, 0.0, "nothing"),
        (-0.1, 0.1, "nothing"),
        (0.0004, 0.2, "nothing"),  # printed as [0.0, +20.0]
        (-0.2, -0.0004, "nothing"),
        (0.0006, 0.2, "gain"),
    ],
)
def test_an_interval_that_touches_zero_shows_nothing(low: float, high: float, expected: str) -> None:
    assert wording.shows(estimate((low + high) / 2, low, high)) == expected


def test_what_else_moved_stands_beside_the_answer(make_results) -> None:
    told = wording.beside_the_answer(Results.model_validate(make_results(0.2)))
    # The two classes with the fewest training faces, the first of equals.
    assert re.search(r"accuracy \+[\d.]+ \[.*recall of disgust .* \(6 test faces\); recall of anger ", told)
    assert "balanced accuracy" not in told
    results = make_results(0.2)
    results["arms"][2]["make"] = {"add": [{"source": "a", "classes": ["fear", "disgust"]}]}
    told = wording.beside_the_answer(Results.model_validate(results))
    assert re.search(r"recall of disgust .*; recall of fear .* \(\d+ test faces\)\.$", told)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.01, 0.2, "“Arm cleaned” does more than that"),
        (-0.1, 0.1, "so as far as this experiment can tell the control suffices: "),
        (-0.2, -0.1, "“Arm cleaned” does less than that"),
        (None, None, "The two cannot be compared"),
    ],
)
def test_whether_a_control_suffices_is_said(full_results, low, high, verdict: str) -> None:
    results = Results.model_validate(full_results)
    assert results.control is not None
    changed = results.control_contrast("cleaned").model_copy(
        update={"low": low, "high": high, "value": None if low is None else (low + high) / 2}
    )
    results = results.model_copy(update={"control": results.control.model_copy(update={"contrasts": [changed]})})
    assert verdict in wording.against_the_control(results)
    assert wording.against_the_control(results.model_copy(update={"control": None})) == ""


def test_a_control_that_shows_no_gain_does_not_suffice(full_results) -> None:
    results = Results.model_validate(full_results)
    primary = results.primary
    changed = [
        contrast.model_copy(update={"value": 0.0, "low": -0.1, "high": 0.1}) if contrast.arm == "sampled" else contrast
        for contrast in results.contrasts
    ]
    assert results.control is not None
    between = primary.model_copy(update={"family": "against control", "value": 0.0, "low": -0.1, "high": 0.1})
    control = results.control.model_copy(update={"contrasts": [between]})
    told = wording.against_the_control(results.model_copy(update={"contrasts": changed, "control": control}))
    assert told.endswith("by 0.0 [−10.0, +10.0] points. No difference between the two is shown: 0.0 [−10.0, +10.0].")


def test_small_classes_are_told_with_what_they_could_show(make_results) -> None:
    results = Results.model_validate(make_results(0.2))
    told = wording.small_classes(results)
    assert len(told) == 3
    assert told[0].startswith(
        "Disgust has 6 test faces: one is 16.7 points of its recall and 2.4 of balanced accuracy."
    )
    smallest = results.contrast(results.primary.view, "recall:disgust", "cleaned").smallest_effect
    assert f"less than {100 * smallest:.1f} points would be missed" in told[0]
    assert sum(limit.startswith("Small classes.") for limit in limits(results, synthetic=False)) == 3


def test_limits_follow_what_was_done(make_results, full_results) -> None:
    plain = " ".join(limits(Results.model_validate(make_results(reviewed=False)), synthetic=False))
    assert "simulated reviewer" not in plain and "generated faces" not in plain and "drawn" not in plain
    assert "Near duplicates" in plain and "Fairness" in plain and "What anybody felt" in plain
    linked = make_results(drawn=True)
    linked["leaks"]["link_tables"] = 1
    told = " ".join(limits(Results.model_validate(linked), synthetic=True))
    assert "simulated reviewer" in told and "generated faces add" in told and "the faces are drawn" in told
    assert "Near duplicates" not in told


def test_numbers_in_words() -> None:
    assert wording.percent(0.6444) == "64.4"
    assert wording.percent(None) == "–"
    assert wording.points(-0.0321) == "−3.2"
    assert wording.points(-0.0001) == "0.0"
    assert wording.points(None) == "–"
    assert wording.interval(estimate(None), signed=True) == ""
    assert wording.change(estimate(0.042, 0.011, 0.073)) == "+4.2 [+1.1, +7.3]"
    assert wording.level(estimate(0.642, 0.61, 0.673)) == "64.2 [61.0, 67.3]"
    assert wording.p_value(0.0004) == "< 0.001"
    assert wording.p_value(None) == "–"
    assert wording.smallest(SimpleNamespace(smallest_effect=0.0)) == "–"
    assert [wording.duration(seconds) for seconds in (3, 600, 7200)] == ["3.0 s", "10 min", "2.0 h"]


def test_other_reviews_are_counted(make_results) -> None:
    results = make_results()
    same = dict(results["arms"][2]["reviews"][0], log_sha256="2")
    results["arms"][1]["reviews"] = [same, dict(same, relabelled=3)]
    results["arms"][2]["reviews"].append(same)
    told = wording.reviewers(Results.model_validate(results))
    assert told.startswith(
        "Reviewed by simulated:FER+ majority (40 relabelled, 2 dropped). 1 other review for other arms."
    )
