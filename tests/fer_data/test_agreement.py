"""How far reviewers agree, against other people's programs and published examples; where they do not; their pace."""

import numpy as np
import pytest
from decisions_made import plain
from hypothesis import given
from hypothesis import strategies as st

from fer_data import agreement
from fer_data.consensus import DROP, UNSURE, Verdict
from fer_data.decision_log import standing, undo_of

# Ten subjects, fourteen raters, five categories: the worked example that goes around with Fleiss' method.
FLEISS = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip
# Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), section C: four observers, twelve units.
KRIPPENDORFF = [
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
]


def test_cohen_is_scikit_learns():
    rng = np.random.default_rng(0)
    metrics = pytest.importorskip("sklearn.metrics")
    first = rng.integers(0, 4, 200)
    second = np.where(rng.random(200) < 0.6, first, rng.integers(0, 4, 200))
    expected = metrics.cohen_kappa_score(first, second)
    assert agreement.cohen_kappa(first.tolist(), second.tolist()) == pytest.approx(expected)
    assert agreement.cohen_kappa(["a", "a"], ["a", "a"]) is None


def test_fleiss_is_that_of_the_paper():
    ratings = [[kind for kind, count in enumerate(row) for _ in range(count)] for row in FLEISS]
    assert agreement.fleiss_kappa(ratings) == pytest.approx(0.210, abs=5e-4)
    assert agreement.fleiss_kappa([["a", "a"], ["a", "a", "a"]]) is None


def test_krippendorff_is_that_of_the_paper():
    observers = [row.split() for row in KRIPPENDORFF]
    units = [[value for value in unit if value != "."] for unit in zip(*observers, strict=True)]
    assert agreement.krippendorff_alpha(units) == pytest.approx(0.743, abs=5e-4)
    assert agreement.krippendorff_alpha([["a", "a"], ["a", "a", "a"]]) is None
    assert agreement.krippendorff_alpha([["a"], ["b"]]) is None  # nobody to agree with


def alpha_by_pairs(units):
    """Alpha as its definition says it: disagreement within units against that of any two values, pair by pair."""
    units = [unit for unit in units if len(unit) > 1]
    values = [value for unit in units for value in unit]
    within = sum(
        (unit[i] != unit[j]) / (len(unit) - 1)
        for unit in units
        for i in range(len(unit))
        for j in range(len(unit))
        if i != j
    ) / len(values)
    any_two = [values[i] != values[j] for i in range(len(values)) for j in range(len(values)) if i != j]
    return 1 - within / np.mean(any_two)


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=4), min_size=1, max_size=12))
def test_krippendorff_is_what_its_definition_says(units):
    used = {value for unit in units if len(unit) > 1 for value in unit}
    alpha = agreement.krippendorff_alpha(units)
    assert alpha is None if len(used) < 2 else alpha == pytest.approx(alpha_by_pairs(units))


def test_agreement_counts_only_faces_that_two_have_seen():
    assert agreement.agreement([{"ada": "fear"}])["samples"] == 0
    two = agreement.agreement([{"ada": "fear", "ben": "fear"}, {"ada": "fear", "ben": "anger"}, {"ada": "fear"}])
    assert (two["samples"], two["reviewers"], two["observed"], two["method"]) == (2, 2, 0.5, "cohen")
    assert two["alpha"] == pytest.approx(0)
    three = agreement.agreement([{"ada": "fear", "ben": "fear"}, {"ada": "fear", "eve": "fear", "ben": "anger"}])
    assert three["method"] == "fleiss" and three["observed"] == pytest.approx(2 / 4)


def test_every_two_who_share_faces_are_a_pair():
    ratings = [{"ben": 1, "ada": 1}, {"ben": 2, "ada": 1, "eve": 1}, {"ada": 2, "ben": 2}, {"eve": 1}]
    first, second, third = agreement.pairs(ratings)
    assert (first.reviewers, first.samples, first.observed) == (("ada", "ben"), 3, pytest.approx(2 / 3))
    assert first.kappa == pytest.approx(agreement.cohen_kappa([1, 1, 2], [1, 2, 2]))
    assert [(pair.reviewers, pair.observed, pair.kappa) for pair in (second, third)] == [
        (("ada", "eve"), 1.0, None),
        (("ben", "eve"), 0.0, 0.0),
    ]
    assert agreement.pairs([{"ada": 1}]) == []


def said(sample_id, reviewer, action, label=None, **more):
    name = f"{sample_id}-{reviewer}-{action}"
    shown = {"label": "fear"}
    event = {"event_id": name, "sample_id": sample_id, "reviewer": reviewer, "label": label, "shown": shown}
    return plain(0, action, **{**event, **more})


def test_faces_are_in_dispute_where_what_stands_differs():
    taken_back = said("s/5", "ben", "drop")
    events = [
        said("s/1", "ada", "keep"), said("s/1", "ben", "relabel", "fear"),  # two words for the same
        said("s/2", "ada", "keep"), said("s/2", "ben", "unsure"), said("s/2", "eve", "keep"),
        said("s/3", "ada", "drop"), said("s/3", "ben", "relabel", "anger"),
        said("s/4", "ada", "drop"),
        said("s/5", "ada", "keep"), taken_back, undo_of(taken_back),
    ]  # fmt: skip
    verdicts = agreement.verdicts(standing(events))
    assert agreement.disagreements(verdicts) == ["s/3", "s/2"]
    assert verdicts["s/2"] == {"ada": Verdict("label", "fear"), "ben": UNSURE, "eve": Verdict("label", "fear")}
    assert verdicts["s/4"] == {"ada": DROP}


def test_the_most_divided_faces_come_first_and_of_these_the_ones_with_most_reviewers():
    ratings = {
        "one of four": dict(zip("abcd", "xxxy", strict=True)),
        "one of two": dict(zip("ab", "xy", strict=True)),
        "none": dict(zip("ab", "xx", strict=True)),
        "two of four": dict(zip("abcd", "xxyy", strict=True)),
        "three words": dict(zip("abc", "xyz", strict=True)),
        "another one of two": dict(zip("ab", "yz", strict=True)),
    }
    first = ["three words", "two of four", "one of two", "another one of two", "one of four"]
    assert agreement.disagreements(ratings) == first


def test_a_confirmation_that_does_not_tell_the_label_is_of_the_present_one():
    (kept,) = standing([said("s/1", "ada", "keep", shown={})]).items()
    assert agreement.verdicts(dict([kept]), {"s/1": "anger"})["s/1"] == {"ada": Verdict("label", "anger")}


def test_the_pace_leaves_out_pauses_and_what_was_taken_back():
    looked = [1_000, 3_000, 2_000, 120_000]
    events = [
        said(f"s/{row}", "ada", "keep", elapsed_ms=elapsed, time=f"2026-01-01T00:0{row}:00+00:00")
        for row, elapsed in enumerate(looked)
    ]
    gone = said("s/9", "ada", "drop", elapsed_ms=9_000, time="2026-01-01T00:08:00+00:00")
    events += [gone, undo_of(gone, time="2026-01-01T00:09:00+00:00"), said("s/1", "ben", "drop")]
    ada, ben = agreement.paces(events)
    assert (ada.reviewer, ada.decisions, ada.faces, ada.undone, ada.actions) == ("ada", 4, 4, 1, {"keep": 4})
    assert ada.median_seconds == 2 and ada.per_minute == pytest.approx(30)
    assert (ada.first, ada.last) == ("2026-01-01T00:00:00+00:00", "2026-01-01T00:09:00+00:00")
    assert (ben.decisions, ben.per_minute, ben.median_seconds) == (1, None, None)
    assert agreement.paces([]) == []
