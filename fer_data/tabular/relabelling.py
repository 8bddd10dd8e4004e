"""Labels and soft labels of one label set in another, by name."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fer_data.errors import FerError
from fer_data.expressions import LABEL_SETS, label_names
from fer_data.tabular.columns import word_codes
from fer_data.tabular.rows import coded, target_column, target_matrix, with_columns

Outside = Literal["refuse", "null", "drop"]


class Relabelled(NamedTuple):
    """Rows in another label set.

    Attributes:
        table: the rows that are left, columns of `rows.SCHEMA`.
        outside: rows whose label the new set has not, now unlabelled or left out.
        renormalised: rows whose soft label lost what it gave to labels outside, and sums to 1 again.
    """

    table: pa.Table
    outside: int
    renormalised: int


def joint_label_set(label_sets: Sequence[str], rule: str) -> str:
    """The label set that results from several.

    Args:
        rule: "same" (they must agree), "union" or "intersection" of their names, or the name of a label set.

    Raises:
        FerError: they differ though they must agree, or no set has exactly the names that result.
    """
    if rule not in ("same", "union", "intersection"):
        label_names(rule)
        return rule
    first = label_sets[0]
    other = next((name for name in label_sets if name != first), None)
    if other is None:
        return first
    if rule == "same":
        raise FerError(
            f"expected one label set, found {first} and {other}; say how to join them with labels=union, "
            "labels=intersection or the name of a label set"
        )
    names = [set(label_names(name)) for name in label_sets]
    result = set.union(*names) if rule == "union" else set.intersection(*names)
    fitting = [name for name, labels in LABEL_SETS.items() if set(labels) == result]
    if not fitting:
        told = ", ".join(sorted(result)) or "no label at all"
        raise FerError(
            f"the {rule} of {' and '.join(dict.fromkeys(label_sets))} ({told}) is no label set; expected one of "
            f"{', '.join(LABEL_SETS)}, name it with labels=…"
        )
    return fitting[0]


def relabelled(table: pa.Table, old: str, new: str, outside: Outside, where: str) -> Relabelled:
    """Rows of the label set `old` as rows of `new`.

    A label that `new` has not, and a soft label all of whose mass lies outside, is refused, becomes null or costs
    the row. A soft label with some mass outside keeps the rest, scaled to sum to 1.

    Raises:
        FerError: labels lie outside and `outside` is "refuse".
    """
    contained = set(label_names(old)) <= set(label_names(new))
    if old == new or (contained and table["target"].null_count == len(table)):
        return Relabelled(table, 0, 0)
    names = label_names(new)
    label = word_codes(table["label"], names)
    rows, targets = target_matrix(table["target"], len(label_names(old)))
    moved = np.zeros((len(rows), len(names)), dtype=np.float32)
    for column, name in enumerate(label_names(old)):
        if name in names:
            moved[:, names.index(name)] = targets[:, column]
    inside = moved.sum(axis=1)
    lost = inside < targets.sum(axis=1) - 1e-6
    left_out = label == len(names)
    left_out[rows[inside <= 0]] = True
    if outside == "refuse" and (left_out.any() or lost.any()):
        raise FerError(
            f"{where}: expected labels of {new}, found {_told(table, left_out)}{int(lost.sum()):,} soft labels with "
            "others; choose outside=null or outside=drop"
        )
    soft = inside > 0
    moved[soft] /= inside[soft, None]
    columns: dict[str, Any] = {
        "label": coded(np.where(left_out, -1, label), names),
        "target": target_column(len(table), rows[soft], moved[soft]),
    }
    changed = with_columns(table, **columns)
    kept = changed.filter(pa.array(~left_out)) if outside == "drop" and left_out.any() else changed
    return Relabelled(kept, int(left_out.sum()), int((lost & soft).sum()))


def _told(table: pa.Table, left_out: NDArray[np.bool_]) -> str:
    """How many labels of which name are left out."""
    counts = table["label"].filter(pa.array(left_out)).cast(pa.string()).value_counts().to_pylist()
    told = [f"{entry['counts']:,} {entry['values']}" for entry in sorted(counts, key=lambda entry: -entry["counts"])]
    return "".join(f"{part}, " for part in told)
