"""What a plan asks of each checkpoint: face by face its cell, the condition to draw under, and the seed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fer_data.errors import FerError
from fer_data.plans import Cell, Plan
from generators.condition import Vocabulary
from generators.seeds import derived_seed

# Occlusion and light are drawn by the generator as it learnt them, or put on the face that it drew.
Conditions = Literal["learned", "afterwards"]

_PLAIN_OCCLUSION, _PLAIN_LIGHT = "none", "normal"


@dataclass(frozen=True)
class Order:
    """The faces of a plan that one checkpoint draws: N rows, in the plan's order.

    Attributes:
        cells: the cell of each face.
        places: int64 [N], where each face stands among all faces of the plan.
        conditions: int64 [N, 3], what the generator is asked for.
        seeds: int64 [N], not negative.
    """

    cells: Sequence[Cell]
    places: NDArray[np.int64]
    conditions: NDArray[np.int64]
    seeds: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.seeds)


def lay_out(
    plan: Plan,
    vocabularies: Sequence[tuple[str, Vocabulary]],
    seed: int,
    *,
    first: Sequence[int] | None = None,
    conditions: Conditions = "learned",
) -> list[Order]:
    """Deal the faces of a plan to checkpoints.

    Face i of a cell is drawn by checkpoint i modulo their number, from a seed that depends on `seed`, the cell's
    place in the plan and i alone.

    Args:
        vocabularies: the checkpoints' names, for messages, and what they know; at least one.
        first: the i that each cell of the plan begins with, where an earlier round drew the faces before; None
            begins with 0.
        conditions: "afterwards" asks for `plain` faces, as far as the checkpoint knows the words.

    Returns:
        One order per checkpoint; one that nothing is asked of has no rows.

    Raises:
        FerError: a checkpoint lacks a condition, or the plan asks for nothing.
        ValueError: `first` has not one number per cell.
    """
    if not plan.asked:
        raise FerError(
            "the plan asks for no faces; expected a cell whose count is above 0, make another with fer balance"
        )
    first = first if first is not None else [0] * len(plan.cells)
    if len(first) != len(plan.cells):
        raise ValueError(f"first: expected {len(plan.cells)} numbers, one per cell, found {len(first)}")
    ends = np.cumsum([cell.count for cell in plan.cells])
    orders = []
    for which, (name, vocabulary) in enumerate(vocabularies):
        cells, places, rows, seeds = [], [], [], []
        for number, (cell, begin, end) in enumerate(zip(plan.cells, first, ends, strict=True)):
            if not cell.count:
                continue
            asked = cell if conditions == "learned" else _known(plain(cell), vocabulary)
            row = vocabulary.encode([asked.label], [asked.occlusion], [asked.light], f"{name}: plan cell {number}")
            mine = [index for index in range(begin, begin + cell.count) if index % len(vocabularies) == which]
            cells += [cell] * len(mine)
            places += [int(end) - cell.count + index - begin for index in mine]
            rows.append(np.repeat(row, len(mine), axis=0))
            seeds += [face_seed(seed, number, index) for index in mine]
        orders.append(
            Order(cells, np.asarray(places, np.int64), np.concatenate(rows), np.asarray(seeds, dtype=np.int64))
        )
    return orders


def face_seed(seed: int, cell: int, index: int) -> int:
    """The seed, 0..2**63 - 1, of face `index` of the plan's cell number `cell`."""
    return derived_seed(seed, cell, index)


def plain(cell: Cell) -> Cell:
    """The cell before its conditions are put on: unoccluded and in normal light wherever it states something."""
    return replace(
        cell,
        occlusion=None if cell.occlusion is None else _PLAIN_OCCLUSION,
        light=None if cell.light is None else _PLAIN_LIGHT,
    )


def _known(cell: Cell, vocabulary: Vocabulary) -> Cell:
    """A plain cell without the words that a generator never learnt, which drew no other faces then."""
    return replace(
        cell,
        occlusion=cell.occlusion if cell.occlusion in vocabulary.occlusion else None,
        light=cell.light if cell.light in vocabulary.light else None,
    )
