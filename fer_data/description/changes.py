"""What a comparison shows row by row: relabelled, dropped, added, moved, and everything else that differs."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from fer_data import pages
from fer_data.description import drawings
from fer_data.description.material import NO_SPLIT, UNLABELLED, Material
from fer_data.diffing import ONLY_A, ONLY_B, ManifestDiff, diff
from fer_data.pages import Html

_EXAMPLES = 5000  # changed rows of each kind to choose faces from
_KINDS_SHOWN = 8  # of relabelling
_FACES = 12
_REST = {
    "reweighted": "weight or repeat differs",
    "retargeted": "the soft label differs",
    "regrouped": "shares a group with other samples than before",
    "repointed": "points to another picture or store",
}


@dataclass(frozen=True)
class Comparison:
    """Two manifests side by side.

    Attributes:
        a, b: what is known of each; names tell them apart on the page.
    """

    a: Material
    b: Material
    names: tuple[str, str] = field(init=False)

    def __post_init__(self) -> None:
        one, other = self.a.manifest, self.b.manifest
        same = one.name == other.name
        names = (f"{one.name} (a)", f"{other.name} (b)") if same else (one.name, other.name)
        object.__setattr__(self, "names", names)

    @cached_property
    def diff(self) -> ManifestDiff:
        return diff(self.a.manifest, self.b.manifest, examples=_EXAMPLES)

    @cached_property
    def labels(self) -> list[str]:
        """Labels of both, those of `b` first."""
        return list(dict.fromkeys([*self.b.labels, *self.a.labels]))

    def examples(self, what: str) -> pd.DataFrame:
        """Rows of `diff.examples` of one kind of change."""
        return self.diff.examples[self.diff.examples["what"] == what]


def classes(pair: Comparison) -> Html:
    """Faces per label before and after."""
    counts = pd.DataFrame(
        {name: material.label.value_counts() for name, material in zip(pair.names, (pair.a, pair.b), strict=True)}
    )
    counts = counts.reindex(index=pair.labels).fillna(0).astype(int)
    bars = drawings.paired_bars(counts, "faces per label before and after")
    rows = [(label, f"{before:,}", f"{after:,}", _change(before, after)) for label, before, after in _tuples(counts)]
    before, after = counts.sum()
    rows.append(("all labels", f"{before:,}", f"{after:,}", _change(before, after)))
    return Html(pages.figure(bars, "Faces per label.") + pages.table(("label", *pair.names, "change"), rows))


def relabelled(pair: Comparison) -> Html:
    """From which label to which, and faces of the most frequent changes."""
    kinds = pair.diff.relabelled.fillna(UNLABELLED)
    if kinds.empty:
        return Html("")
    from_labels = [label for label in pair.labels if label in set(kinds["from"])]
    to_labels = [label for label in pair.labels if label in set(kinds["to"]) or label in from_labels]
    moved = kinds.pivot(index="from", columns="to", values="count").reindex(index=from_labels, columns=to_labels)
    in_both = pair.a.frame["sample_id"].isin(pair.b.frame["sample_id"])
    had = pair.a.label[in_both].value_counts().reindex(from_labels)
    shares = moved.fillna(0).div(had, axis=0)
    for label in from_labels:
        shares.loc[label, label] = 1 - moved.loc[label].sum() / had[label]
    drawing = pages.matrix(
        from_labels, to_labels, shares.to_numpy(dtype=np.float64), rows_are=pair.names[0], columns_are=pair.names[1]
    )
    total = int(kinds["count"].sum())
    parts: list[str] = [
        pages.paragraph(f"{total:,} of the {pair.diff.both:,} faces that are in both carry another label."),
        pages.figure(drawing, "Of the faces with the row's label before, the share with the column's label after."),
    ]
    examples = pair.examples("relabelled").fillna({"before": UNLABELLED, "after": UNLABELLED})
    for before, after, count in list(_tuples(kinds.set_index("from")))[:_KINDS_SHOWN]:
        own = examples[(examples["before"] == before) & (examples["after"] == after)]
        sheet = _faces(pair.b, own["sample_id"].head(_FACES).tolist())
        parts.append(pages.heading(f"{before} → {after} ({count:,})") + sheet)
    parts.append(pages.paragraph("The first faces of the most frequent changes, with their ids.", "note"))
    return Html("".join(parts))


def dropped(pair: Comparison) -> Html:
    """Rows that only the first has."""
    return _one_sided(pair, pair.a, ONLY_A, pair.diff.only_a, f"are in {pair.names[0]} only")


def added(pair: Comparison) -> Html:
    """Rows that only the second has, synthetic ones told apart."""
    return _one_sided(pair, pair.b, ONLY_B, pair.diff.only_b, f"are in {pair.names[1]} only")


def splits(pair: Comparison) -> Html:
    """Rows that moved between splits."""
    rows = [
        (str(before), str(after), f"{count:,}")
        for before, after, count in _tuples(pair.diff.moved.fillna(NO_SPLIT).set_index("from"))
    ]
    return pages.table(("from", "to", "faces"), rows, "llr") if rows else Html("")


def rest(pair: Comparison) -> Html:
    """The other kinds of change, with examples."""
    totals = pair.diff.total_changes()
    rows = []
    for what, meaning in _REST.items():
        if what in totals:
            first = pair.examples(what).iloc[0]
            told = f"{first['sample_id']}: {first['before']} → {first['after']}"
            rows.append((what, meaning, f"{totals[what]:,}", told))
    return pages.table(("change", "", "faces", "the first"), rows, "lwrw") if rows else Html("")


def _one_sided(pair: Comparison, material: Material, what: str, total: int, told: str) -> Html:
    if not total:
        return Html("")
    other = pair.b if material is pair.a else pair.a
    own = ~material.frame["sample_id"].isin(other.frame["sample_id"])
    origins = material.frame["origin"][own]
    counts = pd.crosstab(material.label[own], origins).reindex(index=material.present).dropna().astype(int)
    rows = [(label, *(f"{count:,}" for count in row)) for label, row in counts.iterrows()]
    parts: list[str] = [pages.paragraph(f"{total:,} faces {told}."), pages.table(("label", *counts.columns), rows)]
    examples = pair.examples(what)["sample_id"]
    labels = material.label.set_axis(pd.Index(material.frame["sample_id"]))
    for label in counts.index:
        ids = examples[(labels.loc[examples] == label).to_numpy()].head(_FACES).tolist()
        if ids and material.faces:
            parts.append(pages.heading(label) + _faces(material, ids))
    return Html("".join(parts))


def _faces(material: Material, sample_ids: list[str]) -> Html:
    """A sheet of some samples; only their ids where faces are not shown."""
    positions = pd.Index(material.frame["sample_id"]).get_indexer(pd.Index(sample_ids)).tolist()
    captions = [material.key(position) for position in positions]
    return material.sheet(positions, _FACES, captions, 80)


def _tuples(table: pd.DataFrame) -> list[tuple[Any, ...]]:
    return list(table.itertuples(name=None))


def _change(before: int, after: int) -> str:
    if not before or before == after:
        return "=" if before == after else f"+{after:,}"
    return f"{after - before:+,} ({100 * (after / before - 1):+.1f} %)".replace("-", "−")
