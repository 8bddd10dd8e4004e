"""FER+ as folders of pictures, and as two csv files."""

from collections import Counter

import fer2013_forms as forms
from layouts import fer2013
from layouts.cases import Case


def majority_of(votes) -> Counter:
    """The published rule, written out again: single votes aside, more than half of the rest, expressions only."""
    found = Counter()
    for row in votes:
        counts = {name: count for name, count in zip(forms.FERPLUS_COLUMNS, map(int, row), strict=True) if count > 1}
        best = max(counts, key=counts.get, default=None)
        clear = best is not None and counts[best] > sum(counts.values()) / 2 and best not in ("unknown", "NF")
        found[best if clear else None] += 1
    return found


CASES = {
    "folders": Case("ferplus", forms.write_ferplus, 30, majority_of(forms.ferplus_votes())),
    "csv": Case("ferplus", fer2013.csv_with_votes, 80, majority_of(forms.votes_table())),
    "votes only": Case("ferplus", forms.write_ferplus, 30, {None: 30}, lambda folder: {"rule": "none"}),
}
