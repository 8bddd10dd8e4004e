"""How the labels stand to what several people said about the faces."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_data import pages
from fer_data.description import drawings
from fer_data.description.material import Material
from fer_data.description.sheets import distinct
from fer_data.pages import Html
from fer_data.votes import FERPLUS_COLUMNS, majority

_SHOWN = 24


def votes(material: Material) -> Html:
    """Agreement of voters with each other and with the labels, where there are votes."""
    facts = material.facts["votes"]
    known = facts.notna() & material.frame["label"].notna()
    if not known.any():
        return Html("")
    names = {tuple(store.info["votes_labels"]) for store in material.manifest.stores.values()} - {()}
    if len(names) != 1:
        return pages.paragraph("The sources name their votes differently; describe them one by one.", "note")
    (columns,) = names
    rows = np.flatnonzero(known.to_numpy(dtype=bool))
    counts = np.stack(facts.iloc[rows].to_list())
    labels = material.label.iloc[rows]
    present = [label for label in material.manifest.labels if (labels == label).any()]
    return Html(
        (_majority(labels, counts, present, material.manifest.labels) if columns == FERPLUS_COLUMNS else "")
        + _for_the_label(material, rows, labels, counts, columns, present)
    )


def _majority(
    labels: "pd.Series[str]", counts: NDArray[np.int64], present: list[str], label_set: tuple[str, ...]
) -> Html:
    """What the majority of the FER+ voters saw in the faces of each label."""
    winner = pd.Series(majority(counts), index=labels.index).fillna("unclear")
    columns = [*label_set, *(name for name in (*FERPLUS_COLUMNS, "unclear") if name not in label_set)]
    shares = pd.crosstab(labels, winner, normalize="index").reindex(index=present, columns=columns, fill_value=0.0)
    clear = winner.isin(label_set)
    agreement = (winner[clear] == labels[clear]).mean() if clear.any() else float("nan")
    text = (
        f"{len(labels):,} labelled faces have FER+ votes. Where a clear majority names a label of the set "
        f"({clear.sum():,} faces), the label agrees with it in {100 * agreement:.1f} %."
    )
    drawing = pages.matrix(present, columns, shares.to_numpy(), rows_are="label", columns_are="majority of the voters")
    return Html(
        pages.paragraph(text) + pages.figure(drawing, "Of the faces with the row's label, what most voters saw.")
    )


def _for_the_label(
    material: Material,
    rows: NDArray[np.int64],
    labels: "pd.Series[str]",
    counts: NDArray[np.int64],
    columns: tuple[str, ...],
    present: list[str],
) -> Html:
    """How many votes the given label got, per class, and faces whose label nobody voted for."""
    place = {name: index for index, name in enumerate(columns)}
    own = labels.map(place)
    voted = own.notna().to_numpy()
    if not voted.any():
        return Html("")
    got = counts[voted, own[voted].to_numpy(dtype=np.int64)]
    total = counts[voted].sum(axis=1)
    grid = pd.crosstab(labels[voted].to_numpy(), got)
    grid = grid.reindex(
        index=[label for label in present if label in place], columns=range(int(got.max()) + 1), fill_value=0
    )
    drawing = drawings.squares(grid, "votes that the label got", "votes for the given label, per class")
    nobody = rows[voted][(got == 0) & (total > 0)]
    median = f"{np.median(total):g}"
    text = (
        f"{median} people voted on a face, in the median. For {len(nobody):,} faces "
        f"({100 * len(nobody) / len(labels):.1f} %) nobody chose the label that they carry."
    )
    parts = [pages.figure(drawing, "Of the faces of a label, how many voters chose it."), pages.paragraph(text)]
    shown = distinct(material, nobody[np.argsort(material.facts["pixel_sha256"].iloc[nobody])], _SHOWN)
    if shown:
        at = {int(row): index for index, row in enumerate(rows)}
        seen = [columns[int(counts[at[position]].argmax())] for position in shown]
        captions = [
            (str(material.label.iat[position]), f"→ {most}", material.key(position))
            for position, most in zip(shown, seen, strict=True)
        ]
        caption = "Faces whose label got no vote, by lot: the label, → what most voters saw, the id."
        parts.append(pages.figure(material.sheet(shown, 8, captions, 104), caption))
    return Html("".join(parts))
