"""How many faces to draw next: what each cell of a plan lacks, over the share of faces that its screening keeps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fer_data.configuration import Configuration
from fer_data.plans import Plan

Counts = NDArray[np.int64]

_PRIOR_FACES = 20  # what is known of a label weighs as much as so many faces of a cell


class BudgetConfig(Configuration):
    """When to stop drawing."""

    budget_faces: float = Field(10.0, ge=1)  # at most so many faces are drawn for each that a cell asks for
    minutes: float | None = Field(None, gt=0)  # no round starts later than this; null has no limit
    round_faces: int = Field(2000, ge=1)  # at most so many are drawn, then screened, at a time
    first_yield: float = Field(0.5, gt=0, le=1)  # share of faces expected to be kept before any was screened


@dataclass(frozen=True)
class Tally:
    """What became of a plan so far, for each of its C cells.

    Attributes:
        asked, drawn, passed: int64 [C], faces that the plan asks for, that were drawn, and that screening kept.
    """

    asked: Counts
    drawn: Counts
    passed: Counts

    @property
    def missing(self) -> Counts:
        """int64 [C], not negative."""
        missing: Counts = np.maximum(self.asked - self.passed, 0)
        return missing


def estimate_yields(labels: Sequence[str], tally: Tally, first_yield: float) -> NDArray[np.float64]:
    """The share of each cell's faces that screening will keep, float64 [C] in 0..1, above 0.

    The mean of a beta distribution. A cell of which little was drawn is believed to do as the other cells of its
    label do, and these as all cells do (empirical Bayes in two steps, after Efron & Morris, "Stein's estimation rule
    and its competitors", JASA 1973).
    """

    def shrunk(rows: NDArray[np.bool_], towards: float) -> float:
        drawn, passed = int(tally.drawn[rows].sum()), int(tally.passed[rows].sum())
        return (passed + _PRIOR_FACES * towards) / (drawn + _PRIOR_FACES)

    names = np.asarray(labels, dtype=object)
    overall = shrunk(np.ones(len(names), dtype=bool), first_yield)
    of_label = {label: shrunk(names == label, overall) for label in set(labels)}
    cells = np.arange(len(names))
    return np.asarray([shrunk(cells == cell, of_label[label]) for cell, label in enumerate(labels)])


def next_round(plan: Plan, tally: Tally, config: BudgetConfig) -> Counts:
    """How many faces of each cell to draw next, int64 [C]; all 0 where the plan is full or the budget is spent.

    A little more than what is likely to be needed: an unlucky round costs another.
    """
    share = estimate_yields([cell.label for cell in plan.cells], tally, config.first_yield)
    missing = tally.missing
    wanted = np.where(missing > 0, np.ceil((missing + np.sqrt(missing * (1 - share))) / share), 0)
    left = np.floor(config.budget_faces * tally.asked) - tally.drawn
    counts: Counts = np.minimum(wanted, left).clip(min=0).astype(np.int64)
    total = int(counts.sum())
    if total <= config.round_faces:
        return counts
    part: Counts = np.floor(counts * (config.round_faces / total)).astype(np.int64)
    return part if part.any() else np.minimum(counts, 1)
