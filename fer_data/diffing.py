"""What differs between two manifests: rows, labels, splits, weights, and what that does to the counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fer_data.manifest import Manifest
from fer_data.project import relative
from fer_data.tabular.columns import matching_rows, value_codes, word_codes

ONLY_A, ONLY_B = "only in a", "only in b"
_SHOWN = {  # what an example of each kind of change tells
    ONLY_A: ("label", "split"),
    ONLY_B: ("label", "split"),
    "relabelled": ("label",),
    "moved": ("split",),
    "reweighted": ("weight", "repeat"),
    "retargeted": ("target",),
    "regrouped": ("group_id",),
    "repointed": ("store", "store_row"),
}
CHANGES = tuple(_SHOWN)


@dataclass(frozen=True)
class ManifestDiff:
    """What differs between two manifests, their samples matched by `sample_id`.

    Attributes:
        a, b: their files, relative to the project of `a`.
        rows_a, rows_b: how many rows they have; `both` of these are in both.
        only_a, only_b: rows that only one of them has.
        relabelled: columns from, to (a label or None for unlabelled) and count, most frequent first.
        moved: the same of splits.
        reweighted: rows in both whose `weight` or `repeat` differs.
        retargeted: rows in both whose soft label differs.
        regrouped: rows in both that share a group with other rows of both than before.
        repointed: rows in both that point to another picture, or to the same one in another store.
        examples: columns sample_id, what (one of CHANGES), before and after (text or None); the first rows of each
            kind of change, in the order of `a`, then of `b`.
        counts_a, counts_b: rows per split and label, as a manifest's footer holds them (`counts`).
        label_set_a, label_set_b: names of the label sets.
    """

    a: str
    b: str
    rows_a: int
    rows_b: int
    both: int
    only_a: int
    only_b: int
    relabelled: pd.DataFrame
    moved: pd.DataFrame
    reweighted: int
    retargeted: int
    regrouped: int
    repointed: int
    examples: pd.DataFrame
    counts_a: Mapping[str, Any]
    counts_b: Mapping[str, Any]
    label_set_a: str
    label_set_b: str

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.total_changes()

    def total_changes(self) -> dict[str, int]:
        """Rows per kind of change, in the order of CHANGES, kinds without any left out."""
        totals = (
            self.only_a,
            self.only_b,
            int(self.relabelled["count"].sum()),
            int(self.moved["count"].sum()),
            self.reweighted,
            self.retargeted,
            self.regrouped,
            self.repointed,
        )
        return {what: count for what, count in zip(CHANGES, totals, strict=True) if count}

    def summary(self) -> dict[str, Any]:
        """The figures as JSON can hold them."""
        return {
            "a": self.a,
            "b": self.b,
            "rows": [self.rows_a, self.rows_b],
            "both": self.both,
            "changes": self.total_changes(),
            "relabelled": self.relabelled.to_dict("records"),
            "moved": self.moved.to_dict("records"),
        }

    def lines(self) -> list[str]:
        """The figures for the terminal, one line each."""
        if self.same:
            return [f"{self.rows_a:,} rows, nothing differs"]
        told = [" · ".join(f"{count:,} {what}" for what, count in self.total_changes().items())]
        for name, table in (("label", self.relabelled), ("split", self.moved)):
            first = [
                f"{row['from'] or 'none'} → {row['to'] or 'none'} {row['count']:,}"
                for row in table.head(5).to_dict("records")
            ]
            if first:
                more = f" and {len(table) - 5} more kinds" if len(table) > 5 else ""
                told.append(f"{name}: {'  '.join(first)}{more}")
        return told


def diff(a: Manifest, b: Manifest, *, examples: int = 20) -> ManifestDiff:
    """Compare two manifests.

    Args:
        examples: how many rows of each kind of change to name.
    """
    place = matching_rows(a.table["sample_id"], b.table["sample_id"])  # of each row of a in b, -1 where it is gone
    here = np.flatnonzero(place >= 0)
    new = np.ones(len(b), dtype=bool)
    new[place[here]] = False
    compared = _Compared(a.table, b.table, here, place[here])
    changed = {
        ONLY_A: np.flatnonzero(place < 0),
        ONLY_B: np.flatnonzero(new),
        "relabelled": compared.differing("label"),
        "moved": compared.differing("split"),
        "reweighted": compared.differing("weight", "repeat"),
        "retargeted": compared.retargeted(),
        "regrouped": compared.regrouped(),
        "repointed": compared.differing("store", "store_row"),
    }
    return ManifestDiff(
        a=relative(a.path, a.root),
        b=relative(b.path, a.root),
        rows_a=len(a),
        rows_b=len(b),
        both=len(here),
        only_a=len(changed[ONLY_A]),
        only_b=len(changed[ONLY_B]),
        relabelled=compared.kinds("label", changed["relabelled"]),
        moved=compared.kinds("split", changed["moved"]),
        reweighted=len(changed["reweighted"]),
        retargeted=len(changed["retargeted"]),
        regrouped=len(changed["regrouped"]),
        repointed=len(changed["repointed"]),
        examples=_examples(compared, changed, examples),
        counts_a=a.metadata["counts"],
        counts_b=b.metadata["counts"],
        label_set_a=a.label_set,
        label_set_b=b.label_set,
    )


@dataclass(frozen=True)
class _Compared:
    """Two tables and the P pairs of rows with the same sample."""

    a: pa.Table
    b: pa.Table
    rows_a: NDArray[np.int64]  # [P], ascending
    rows_b: NDArray[np.int64]  # [P]

    def differing(self, *names: str) -> NDArray[np.int64]:
        """The pairs in which one of the columns differs, int64 [M]; null equals null."""
        different = np.zeros(len(self.rows_a), dtype=bool)
        for name in names:
            before, after, _ = self._pair(name)
            different |= before != after
        return np.flatnonzero(different)

    def retargeted(self) -> NDArray[np.int64]:
        """The pairs whose soft labels differ, int64 [M]."""
        soft_a, soft_b = (pc.is_valid(table["target"]).to_numpy() for table in (self.a, self.b))
        soft = np.flatnonzero(soft_a[self.rows_a] | soft_b[self.rows_b])
        before = self.a["target"].take(pa.array(self.rows_a[soft])).to_pylist()
        after = self.b["target"].take(pa.array(self.rows_b[soft])).to_pylist()
        return soft[[one != other for one, other in zip(before, after, strict=True)]]

    def regrouped(self) -> NDArray[np.int64]:
        """The pairs whose group has other members among the pairs than before, whatever its name, int64 [M]."""
        before, after, _ = self._pair("group_id")
        if np.array_equal(before, after):
            return np.empty(0, dtype=np.int64)
        codes = pd.DataFrame({"a": pd.factorize(before)[0], "b": pd.factorize(after)[0]})
        meetings = codes.drop_duplicates()
        split = np.bincount(meetings["a"])[codes["a"]] > 1
        joined = np.bincount(meetings["b"])[codes["b"]] > 1
        return np.flatnonzero(split | joined)

    def kinds(self, name: str, pairs: NDArray[np.int64]) -> pd.DataFrame:
        """Columns from, to and count of pairs that differ, most frequent first."""
        before, after, values = self._pair(name)
        words = np.array([*values, None], dtype=object)  # -1 is the last
        found, counts = np.unique(before[pairs].astype(np.int64) << 32 | (after[pairs] + 1), return_counts=True)
        order = np.argsort(-counts, kind="stable")
        found, counts = found[order], counts[order]
        table = {"from": words[found >> 32], "to": words[(found & 0xFFFFFFFF) - 1], "count": counts}
        return pd.DataFrame(table, dtype=object).astype({"count": np.int64})

    def _pair(self, name: str) -> tuple[NDArray[Any], NDArray[Any], Sequence[str]]:
        """A column of both, in the order of the pairs, words as codes of these values (-1: null)."""
        one, other = self.a[name], self.b[name]
        if not pa.types.is_dictionary(one.type):
            return one.to_numpy()[self.rows_a], other.to_numpy()[self.rows_b], ()
        values = sorted({*value_codes(one)[1], *value_codes(other)[1]})
        return word_codes(one, values)[self.rows_a], word_codes(other, values)[self.rows_b], values


def _examples(compared: _Compared, changed: Mapping[str, NDArray[np.int64]], count: int) -> pd.DataFrame:
    """The first rows of each kind of change and what they show, columns sample_id, what, before and after."""
    lines: list[tuple[str, str, str | None, str | None]] = []
    for what, rows in changed.items():
        first, columns = rows[:count], _SHOWN[what]
        before = first if what == ONLY_A else compared.rows_a[first] if what != ONLY_B else None
        after = first if what == ONLY_B else compared.rows_b[first] if what != ONLY_A else None
        told = [_told(compared.a, before, columns), _told(compared.b, after, columns)]
        named = compared.a if before is not None else compared.b
        ids = named["sample_id"].take(pa.array(before if before is not None else after)).to_pylist()
        lines += zip(
            ids, [what] * len(ids), *([None] * len(ids) if part is None else part for part in told), strict=True
        )
    return pd.DataFrame(lines, columns=["sample_id", "what", "before", "after"], dtype=object)


def _told(table: pa.Table, rows: NDArray[np.int64] | None, columns: Sequence[str]) -> list[str | None] | None:
    """What some rows say in some columns, as text; None where all of them are null."""
    if rows is None:
        return None
    texts: list[str | None] = []
    for record in table.select(columns).take(pa.array(rows)).to_pylist():
        values = ["none" if value is None else _text(value) for value in record.values()]
        texts.append(", ".join(values) if any(value is not None for value in record.values()) else None)
    return texts


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(f"{number:.3f}" for number in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
