"""One picture in two manifests: which rows stay when they are merged, and under which label."""

from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fer_data.errors import FerError
from fer_data.tabular.columns import value_codes
from fer_data.tabular.rows import coded, with_columns
from fer_data.tabular.together import Together

SamePicture = Literal["group", "first", "refuse"]
Conflicts = Literal["keep", "first", "null", "drop", "refuse"]


class Settled(NamedTuple):
    """Rows in which no picture is disputed any more.

    Attributes:
        table: the rows that stay, columns of `rows.SCHEMA`.
        twins: their identical pictures, as row positions in `table`.
        told: same_pictures (in two manifests), conflicts (of these, under two labels), relabelled and dropped rows.
    """

    table: pa.Table
    twins: Together
    told: dict[str, Any]


def settle_twins(
    table: pa.Table, origin: NDArray[np.int64], twins: Together, same_picture: SamePicture, conflicts: Conflicts
) -> Settled:
    """Apply the rules for pictures that occur in several manifests; a manifest's own duplicates are its own affair.

    Args:
        table: the rows of all manifests, one after the other.
        origin: int64 [N], which manifest each row comes from, ascending.
        twins: all identical pictures.

    Raises:
        FerError: there are such pictures, or conflicts among them, and the rule is to refuse.
    """
    rows, codes = twins.rows, twins.codes
    first, last = _extremes(codes, origin[rows])
    shared = first != last
    if same_picture == "refuse" and shared.any():
        raise FerError(
            f"{int(shared.sum()):,} pictures lie in two of the manifests {_named(table, rows[shared[codes]])}; choose "
            "same_picture=group to keep both or same_picture=first to keep one"
        )
    labels = value_codes(table["label"])[0]
    known = labels[rows] >= 0
    least, greatest = _extremes(codes, labels[rows], known)
    disputed = shared & (least < greatest)
    if conflicts == "refuse" and disputed.any():
        raise FerError(
            f"{int(disputed.sum()):,} pictures carry two labels {_named(table, rows[disputed[codes]])}; choose "
            "conflicts=keep, first, null or drop"
        )
    told: dict[str, Any] = {"same_pictures": int(shared.sum()), "conflicts": int(disputed.sum())}
    concerned = rows[disputed[codes]]
    if conflicts in ("first", "null") and len(concerned):
        source = _first_labelled(twins, known & disputed[codes])[codes[disputed[codes]]]
        table, told["relabelled"] = _relabelled(table, concerned, source, conflicts)
    kept = np.ones(len(table), dtype=bool)
    if conflicts == "drop":
        kept[concerned] = False
    if same_picture == "first":
        kept[rows[shared[codes] & (origin[rows] > first[codes])]] = False
    told["dropped"] = int(len(kept) - kept.sum())
    if told["dropped"]:
        place = np.cumsum(kept) - 1
        left = twins.within(kept)
        table, twins = table.filter(pa.array(kept)), Together(place[left.rows], left.codes)
    return Settled(table, twins, told)


def _extremes(
    codes: NDArray[np.int64], values: NDArray[Any], counted: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The smallest and the largest value of every code, int64 [K] each."""
    total = int(codes.max(initial=-1)) + 1
    least, greatest = np.full(total, np.iinfo(np.int64).max), np.full(total, -1)
    if counted is not None:
        codes, values = codes[counted], values[counted]
    np.minimum.at(least, codes, values)
    np.maximum.at(greatest, codes, values)
    return least, greatest


def _first_labelled(twins: Together, counted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The first of the counted rows of every code, int64 [K]."""
    least, _ = _extremes(twins.codes, twins.rows, counted)
    return least


def _relabelled(table: pa.Table, rows: NDArray[np.int64], source: NDArray[np.int64], rule: str) -> tuple[pa.Table, int]:
    """The table with these rows labelled as their source row, or not at all, and how many changed."""
    labels, names = value_codes(table["label"])
    origins, origin_names = value_codes(table["label_origin"])
    wanted = labels[source] if rule == "first" else np.full(len(rows), -1, dtype=np.int32)
    changed = labels[rows] != wanted
    rows, source, wanted = rows[changed], source[changed], wanted[changed]
    labels[rows] = wanted
    origins[rows] = len(origin_names)
    columns: dict[str, Any] = {
        "label": coded(labels, names),
        "label_origin": coded(
            origins, [*origin_names, "policy:merge_first" if rule == "first" else "policy:merge_conflict"]
        ),
    }
    if table["target"].null_count < len(table):
        place = np.arange(len(table))
        place[rows] = source
        target = table["target"].combine_chunks().take(pa.array(place, mask=_nulled(len(table), rows, rule)))
        columns["target"] = target
    return with_columns(table, **columns), len(rows)


def _nulled(count: int, rows: NDArray[np.int64], rule: str) -> NDArray[np.bool_]:
    mask = np.zeros(count, dtype=bool)
    mask[rows] = rule == "null"
    return mask


def _named(table: pa.Table, rows: NDArray[np.int64]) -> str:
    ids = table["sample_id"].take(pa.array(np.sort(rows)[:3])).to_pylist()
    return f"(first: {', '.join(ids)})"
