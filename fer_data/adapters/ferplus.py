"""FER+: the faces of FER-2013, labelled by ten voters each, by a rule that the user chooses.

    folders  `FER2013Train|Valid|Test/ferNNNNNNN.png` with `label.csv`
    csv      `fer2013.csv` and `fer2013new.csv`, side by side or joined with the option `votes`

The source label is FER-2013's own where the form has it; the label is what the voters saw.
"""

from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fer_data import licenses
from fer_data.adapters import fer2013
from fer_data.adapters.shared import ran_lists
from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.expressions import canonical, label_names
from fer_data.samples import Reading, Rejection, Sample
from fer_data.votes import EXPRESSIONS, FERPLUS_COLUMNS, distribution, majority, shares

NAME = "ferplus"
TITLE = "FER+"
LICENCE = licenses.FER2013
CITATION = (
    "Barsoum et al., Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label "
    "Distribution, ICMI 2016, arXiv:1608.01041"
)
HOMEPAGE = "https://github.com/microsoft/FERPlus"
ACCESS = "votes: https://github.com/microsoft/FERPlus (MIT); the pictures are FER-2013's, from Kaggle"
EXPECTED = MappingProxyType({"train": 28_709, "val": 3_589, "test": 3_589})
UNVERIFIED = ()
KNOWN_DEFECTS = (
    "One of 35,887 rows has nine votes, all others ten; 1,776 rows have no single winner, 177 are mostly "
    "called no face.",
    "By the majority rule 25,057 train, 3,199 val and 3,152 test faces get a label; contempt 119, disgust 119 and "
    "fear 532 in train.",
    "Voters are not identified: the counts cannot tell a careless voter from an ambiguous face.",
    "The pictures, their duplicates and their leaks are FER-2013's; identical pictures have identical votes.",
)
LABEL_SET = "basic8"
_BLOCK = 4096

Rule = Literal["majority", "filter", "soft", "none"]


class Options(Configuration):
    """How to read FER+, and how votes become labels."""

    # majority: more than half of the votes, single votes aside · filter: the soft labels that the paper trains with ·
    # soft: the shares of all votes for an expression · none: votes only
    rule: Rule = "majority"
    votes: Path | None = None  # fer2013new.csv, where it does not lie beside the csv
    ran: Path | None = None  # folder of the RAN lists: occlusion and pose slices of the test split


def read(root: Path | None, options: Options, rejections: list[Rejection]) -> Reading:
    """Open the FER+ folders, or FER-2013's csv with the votes.

    Raises:
        FerError: as `fer2013.read`, or a form that has no votes.
    """
    reading = fer2013.read_voted(root, options.votes, rejections)
    if options.ran is not None:
        if reading.source is None:
            raise FerError(
                f"{options.ran}: the RAN lists name pictures, which {root} does not; import the FER+ folders instead"
            )
        reading.samples = ran_lists.marked(reading.samples, options.ran, "ferplus", reading.notes, rejections)
    reading.notes[:] = [note for note in reading.notes if "no FER-2013 labels" not in note]
    reading.label_set = LABEL_SET
    reading.label_rule = f"votes:{options.rule}"
    reading.samples = _labelled(reading.samples, options.rule, reading.notes)
    return reading


def _labelled(samples: Iterator[Sample], rule: Rule, notes: list[str]) -> Iterator[Sample]:
    unlabelled = 0
    while block := [sample for _, sample in zip(range(_BLOCK), samples, strict=False)]:
        votes = np.array([sample.facts["votes"] for sample in block])
        labels, targets = _labels(votes, rule)
        for sample, label, target in zip(block, labels, targets, strict=True):
            sample.label, sample.target = label, target
            unlabelled += label is None and target is None
            yield sample
    if unlabelled and rule != "none":
        notes.append(f"labels are made from the votes (rule {rule}); {unlabelled:,} faces have too few that agree")


def _labels(votes: NDArray[np.integer], rule: Rule) -> tuple[list[str | None], list[list[float] | None]]:
    """The label and the soft label over basic8 of each row of votes."""
    if rule in ("none", "majority"):
        winners = majority(votes) if rule == "majority" else [None] * len(votes)
        return [canonical(name, LABEL_SET) if name else None for name in winners], [None] * len(votes)
    soft = distribution(votes) if rule == "filter" else shares(votes)
    order = [FERPLUS_COLUMNS.index(name) for name in label_names(LABEL_SET)]
    names = np.array(FERPLUS_COLUMNS[:EXPRESSIONS], dtype=object)
    labels: list[str | None] = []
    targets: list[list[float] | None] = []
    for row in soft:
        known = bool(np.isfinite(row).all())
        single = known and int((row == row.max()).sum()) == 1
        labels.append(str(names[row.argmax()]) if single else None)
        targets.append(row[order].tolist() if known else None)
    return labels, targets
