import dataclasses

import numpy as np
import pytest

from fer_data.balance import Cell, Plan
from fer_data.errors import FerError
from generators.condition import Vocabulary
from generators.drawing.orders import face_seed, lay_out, plain

WORDS = Vocabulary(("anger", "disgust", "fear"), ("none", "mask"), ("normal", "low"))
LIMITED = Vocabulary(("anger", "disgust", "fear"), (), ("low",))


def one(plan, seed, **options):
    (order,) = lay_out(plan, [("a", WORDS)], seed, **options)
    return order


def test_an_order_lists_every_face_of_the_plan(plan):
    order = one(plan, 5)
    assert [cell.label for cell in order.cells] == ["disgust"] * 3 + ["fear"] * 4
    assert order.conditions.tolist() == [[1, 1, 1]] * 3 + [[2, 2, 2]] * 4
    assert order.places.tolist() == list(range(7))
    assert order.seeds.tolist() == [face_seed(5, 0, i) for i in range(3)] + [face_seed(5, 2, i) for i in range(4)]
    assert len(set(order.seeds)) == 7
    assert (order.seeds >= 0).all()


def test_a_larger_plan_repeats_the_faces_of_a_smaller_one(plan):
    larger = dataclasses.replace(
        plan, cells=tuple(dataclasses.replace(cell, count=2 * cell.count) for cell in plan.cells)
    )
    few, many = one(plan, 5), one(larger, 5)
    assert few.seeds[:3].tolist() == many.seeds[:3].tolist()
    assert few.seeds[3:].tolist() == many.seeds[6:10].tolist()
    assert not set(few.seeds) & set(one(plan, 6).seeds)


def test_a_later_round_goes_on_where_the_one_before_ended(plan):
    larger = dataclasses.replace(
        plan, cells=tuple(dataclasses.replace(cell, count=2 * cell.count) for cell in plan.cells)
    )
    first, second, both = one(plan, 5), one(plan, 5, first=[3, 0, 4]), one(larger, 5)
    assert np.concatenate([first.seeds[:3], second.seeds[:3]]).tolist() == both.seeds[:6].tolist()
    assert np.concatenate([first.seeds[3:], second.seeds[3:]]).tolist() == both.seeds[6:].tolist()
    with pytest.raises(ValueError, match="first: expected 3 numbers, one per cell, found 1"):
        one(plan, 5, first=[3])


@pytest.mark.parametrize("first", [None, [3, 0, 5]])
def test_checkpoints_take_turns_within_a_cell(plan, first):
    whole = one(plan, 5, first=first)
    dealt = lay_out(plan, [("a", WORDS), ("b", WORDS)], 5, first=first)
    assert sorted(np.concatenate([order.places for order in dealt])) == list(range(7))
    for order in dealt:
        assert order.seeds.tolist() == whole.seeds[order.places].tolist()
    start = first[0] if first else 0
    assert dealt[start % 2].places[:2].tolist() == [0, 2]
    assert dealt[1 - start % 2].places[:1].tolist() == [1]


def test_a_checkpoint_may_have_nothing_to_do():
    dealt = lay_out(Plan("basic7", (Cell("fear", None, None, 0, 1, 1),)), [("a", WORDS), ("b", WORDS)], 0)
    assert [len(order) for order in dealt] == [1, 0]
    assert dealt[1].conditions.shape == (0, 3)


def test_conditions_that_are_put_on_afterwards_are_not_asked_for(plan):
    (order,) = lay_out(plan, [("a", WORDS)], 0, conditions="afterwards")
    assert order.conditions.tolist() == [[1, 0, 0]] * 3 + [[2, 2, 2]] * 4  # none and normal; unknown stays unknown
    (limited,) = lay_out(plan, [("a", LIMITED)], 0, conditions="afterwards")
    assert limited.conditions.tolist() == [[1, 0, 1]] * 3 + [[2, 0, 1]] * 4
    assert plain(plan.cells[0]).key == ("disgust", "none", "normal")
    assert plain(plan.cells[2]).key == ("fear", None, None)


def test_each_checkpoint_must_know_what_it_is_asked_for(plan):
    with pytest.raises(FerError, match=r"^runs/b: plan cell 0: occlusion 'mask' is not known to the generator"):
        lay_out(plan, [("runs/a", WORDS), ("runs/b", LIMITED)], 0)
    strange = Plan("basic7", (Cell("joy", None, None, 0, 1, 1),))
    with pytest.raises(FerError, match="plan cell 0: label 'joy'"):
        lay_out(strange, [("a", WORDS)], 0, conditions="afterwards")


def test_an_empty_plan_is_refused():
    with pytest.raises(FerError, match="the plan asks for no faces"):
        one(Plan("basic7", (Cell("fear", None, None, 0, 0, 0),)), 0)
