import numpy as np
import pytest

from experiments.fill_budget import BudgetConfig, Tally, estimate_yields, next_round
from fer_data.plans import Cell, Plan


def plan_of(*counts, labels=None):
    labels = labels or ["fear"] * len(counts)
    lights = ("normal", "low", "side", "back")
    cells = [Cell(label, None, lights[i % 4], 0, n, n) for i, (label, n) in enumerate(zip(labels, counts, strict=True))]
    return Plan("basic7", tuple(cells))


def tally_of(asked, drawn, passed):
    return Tally(*(np.asarray(column, dtype=np.int64) for column in (asked, drawn, passed)))


def test_a_cell_of_which_nothing_was_drawn_is_believed_to_do_as_its_label():
    tally = tally_of([50, 50, 50, 50], [100, 0, 100, 0], [80, 0, 5, 0])
    yields = estimate_yields(["fear", "fear", "disgust", "disgust"], tally, 0.5)
    overall = (85 + 20 * 0.5) / (200 + 20)
    assert yields[1] == pytest.approx((80 + 20 * overall) / 120)
    assert yields[3] == pytest.approx((5 + 20 * overall) / 120)
    assert yields[0] == pytest.approx((80 + 20 * yields[1]) / 120)
    assert (yields > 0).all() and (yields < 1).all()


def test_before_anything_was_drawn_the_first_yield_counts():
    nothing = tally_of([10, 0], [0, 0], [0, 0])
    assert estimate_yields(["fear", "fear"], nothing, 0.4) == pytest.approx([0.4, 0.4])
    counts = next_round(plan_of(10, 0), nothing, BudgetConfig(first_yield=0.4))
    assert counts.tolist() == [int(np.ceil((10 + np.sqrt(10 * 0.6)) / 0.4)), 0]


def test_rounds_end_when_cells_are_full_or_the_budget_is_spent():
    plan = plan_of(10, 10, 10)
    tally = tally_of([10, 10, 10], [20, 20, 19], [10, 3, 3])
    assert next_round(plan, tally, BudgetConfig(budget_faces=2)).tolist() == [0, 0, 1]
    full = tally_of([10, 10, 10], [20, 20, 20], [10, 11, 10])
    assert not next_round(plan, full, BudgetConfig()).any()


def test_a_round_is_dealt_in_proportion_where_it_would_be_too_large():
    counts = next_round(plan_of(900, 100), tally_of([900, 100], [0, 0], [0, 0]), BudgetConfig(round_faces=200))
    assert 190 <= counts.sum() <= 200
    assert 5 < counts[0] / counts[1] < 9
    tiny = next_round(plan_of(5, 5, 5), tally_of([5] * 3, [0] * 3, [0] * 3), BudgetConfig(round_faces=1))
    assert tiny.tolist() == [1, 1, 1]


def test_a_simulated_filling_needs_few_rounds_and_wastes_little():
    random = np.random.default_rng(0)
    true, asked = np.array([0.8, 0.6, 0.15, 0.1]), np.array([100, 100, 100, 100])
    plan = plan_of(*asked, labels=["fear", "fear", "disgust", "disgust"])
    drawn, passed, rounds = np.zeros(4, int), np.zeros(4, int), 0
    while (counts := next_round(plan, tally_of(asked, drawn, passed), BudgetConfig(budget_faces=30))).any():
        drawn, passed, rounds = drawn + counts, passed + random.binomial(counts, true), rounds + 1
    assert (passed >= asked).all() and rounds <= 6
    assert drawn.sum() < 1.35 * (asked / true).sum()
