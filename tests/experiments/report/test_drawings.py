"""What is drawn lies where the figures say, and arms differ by more than colour."""

import re

import pytest

from experiments.report import calibration, charts, marks, robustness
from experiments.report.charts import Point
from experiments.report.contents import Results
from experiments.report.marks import Axis, Style
from experiments.report.parts import Estimate


def estimate(value: float | None, low: float | None, high: float | None) -> Estimate:
    return Estimate(value=value, low=low, high=high)


def test_an_axis_holds_every_interval_and_zero() -> None:
    axis = Axis.around([estimate(0.05, 0.02, 0.08), estimate(None, None, None)])
    assert axis.low < 0 < 0.08 < axis.high
    assert axis.place(axis.low) == 0 and axis.place(axis.high) == marks.TRACK_PX
    assert axis.place(0.02) < axis.place(0.05) < axis.place(0.08)
    assert axis.ticks() == pytest.approx([0, 0.05])
    assert Axis.around([]).ticks() == [0]


def test_an_effect_is_filled_only_where_its_interval_does_not_touch_zero() -> None:
    axis = Axis(-0.2, 0.2)
    assert 'class="clear"' in marks.effect(estimate(0.1, 0.05, 0.15), axis)
    assert 'class="clear"' in marks.effect(estimate(-0.1, -0.15, -0.05), axis)
    assert 'class="open"' in marks.effect(estimate(0.1, 0.0, 0.15), axis)
    assert marks.effect(estimate(None, None, None), axis) == "–"
    drawn = marks.effect(estimate(0.1, 0.0, 0.2), axis)
    assert re.search(r'class="span" x1="66.0" x2="132.0"', drawn) and "+10.0" in drawn and 'cx="99.0"' in drawn


def test_changes_are_shaded_by_size_and_sign() -> None:
    row = [estimate(0.2, 0.1, 0.3), estimate(-0.1, -0.3, 0.1), None]
    table = marks.shaded_changes(["a", "b", "c"], {"arm": row})
    assert "rgba(31,95,139,0.600)" in table and "rgba(201,122,32,0.300)" in table and "<td>–</td>" in table
    assert "<strong>+20.0</strong>" in table and "<strong>−10.0" not in table


def test_lines_are_told_apart_by_colour_dashes_and_shape() -> None:
    styles = {"a": Style("#111111", (1, 0), "circle"), "b": Style("#222222", (7, 3), "square")}
    points = {name: [Point(0, 40, 35, 45), Point(1, 50, 45, 55)] for name in styles}
    svg = charts.lines(points, styles, title="Accuracy", x="severity", below="FER+", whole_x=True)
    assert svg.count("<svg") == 1
    assert 'aria-label="Accuracy, FER+ by severity; lines: a, b"' in svg
    assert "#111111" in svg and "#222222" in svg and 'stroke-dasharray="7,3"' in svg
    key = marks.key(styles)
    assert 'stroke-dasharray="7 3"' in key and "<rect" in key and "<circle" in key


def test_every_arm_has_a_look_of_its_own(full_results) -> None:
    results = Results.model_validate(full_results)
    styles = charts.arm_styles(results, ["baseline", "sampled", "cleaned", "all"])
    assert len({(style.colour, style.dash) for style in styles.values()}) == 4
    assert styles["cleaned"].colour == charts.OKABE_ITO[0]


def test_panels_share_a_scale_of_whole_tens() -> None:
    assert charts.domain_of([[Point(0, 41, 38, 44)], [Point(0, 55)]]) == (30, 60)
    assert charts.at(1, estimate(None, None, None)) == []


def test_bins_with_few_answers_are_not_drawn(full_results) -> None:
    bins = [{"faces": 9, "confidence": 0.2, "accuracy": 1.0, "low": 0.7, "high": 1.0}]
    results = Results.model_validate(full_results | {"reliability": {"baseline": bins}})
    assert results.reliability is not None
    assert calibration._points(results.reliability["baseline"]) == []
    assert len(calibration._points(Results.model_validate(full_results).reliability["baseline"])) >= 1


def test_scores_of_runs_are_averaged_over_seeds(full_results) -> None:
    results = Results.model_validate(full_results)
    told = [run.metrics["leak_free/reference"]["ece"] for run in results.runs if run.arm == "cleaned"]
    assert results.mean_of_runs(results.primary.view, "cleaned", "ece") == pytest.approx(sum(told) / 3)
    assert results.mean_of_runs(results.primary.view, "cleaned", "unknown") is None


def test_conditions_are_averaged_over_severities_and_compared_with_the_baseline(full_results) -> None:
    results = Results.model_validate(full_results)
    told = full_results["robustness"]["low"]
    expected = sum(told[severity]["cleaned"]["accuracy"]["value"] for severity in "12345") / 5
    assert robustness.mean_by_condition(results, "accuracy")["cleaned"]["low"] == pytest.approx(expected)
    assert set(robustness.mean_by_condition(results, "accuracy")) == {"baseline", "sampled", "cleaned"}
    assert robustness.pooled(results)["cleaned"]["occlusion"].against == "baseline"
    assert [robustness.condition_name(name) for name in ("low", "both", "hand_eyes")] == [
        "low light", "occlusion in low light", "hand over eyes",
    ]  # fmt: skip
