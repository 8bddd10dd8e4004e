"""What runs add up to, whichever views there are; the figures themselves are checked in test_before_after.py."""

import numpy as np
import pytest

from experiments import statistics
from experiments.results import Question, summarise
from experiments.views import View
from fer_data.expressions import BASIC7
from fer_data.intervals import holm


@pytest.fixture(scope="module")
def told():
    """The same answers summed up with and without the view between the other two."""
    random = np.random.default_rng(0)
    truth = random.integers(0, 7, 300)
    answers = {
        (arm, seed): np.eye(7, dtype=np.float32)[np.where(random.random(300) < 0.6, truth, random.integers(0, 7, 300))]
        for arm in ("before", "after", "control")
        for seed in (1, 2)
    }
    inside = {split: np.arange(300) % step > 0 for split, step in (("no_copies", 30), ("leak_free", 10))}
    inside = {"official": np.ones(300, dtype=bool), **inside}
    views = [
        View(split, labels, labels, np.where(rows, truth, -1), 0)
        for split, rows in inside.items()
        for labels in ("given", "reference")
    ]
    question = Question(
        ["before", "after", "control"], "before", "after", "reference", "accuracy", [1, 2], 200, "control"
    )
    fewer = [view for view in views if view.split != "no_copies"]
    return [summarise(question, answers, some, BASIC7, np.arange(300)) for some in (views, fewer)]


def test_a_view_between_changes_no_number_of_the_others(told):
    more, fewer = told
    assert [view["key"] for view in more["views"]][2:4] == ["no_copies/given", "no_copies/reference"]
    for key, scores in fewer["scores"].items():
        assert more["scores"][key] == scores
    for kept, all_of in (
        (fewer["contrasts"], more["contrasts"]),
        (fewer["control"]["contrasts"], more["control"]["contrasts"]),
    ):
        assert kept == [one for one in all_of if not one["view"].startswith("no_copies")]


def test_the_view_between_is_corrected_for_its_own_looks_only(told):
    contrasts = [*told[0]["contrasts"], *told[0]["control"]["contrasts"]]
    apart = [one for one in contrasts if one["view"].startswith("no_copies")]
    families = {
        "exploratory, without copies", "per class, without copies", "against the control, without copies",
        "per class, against the control, without copies",
    }  # fmt: skip
    assert {one["family"] for one in apart} == families
    for family in families:
        members = [one for one in contrasts if one["family"] == family]
        assert all(one["view"].startswith("no_copies") for one in members)
        adjusted = holm(np.array([one["p_value"] for one in members]))
        np.testing.assert_allclose([one["p_holm"] for one in members], adjusted)


def test_a_metric_measured_once_is_that_measured_for_each_arm():
    random = np.random.default_rng(3)
    truth, predicted = random.integers(0, 4, 90), random.integers(0, 4, (3, 2, 90))
    sample = statistics.bootstrap(truth, predicted, 4, resamples=150, generator=np.random.default_rng(0))
    of_class = sample.measure(statistics.recalls).of(2)
    for arm in range(3):
        assert of_class.level(arm) == sample.level(statistics.recall_of(2), arm)
    assert of_class.difference(2, 0) == sample.difference(statistics.recall_of(2), 2, 0)
    resampled = statistics.recalls(sample.resampled[:, 1].astype(float))[..., 2]
    np.testing.assert_array_equal(of_class.resampled[:, 1], resampled)
