"""The faces themselves: those kept, cell by cell, and those dropped, reason by reason."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_data import pages
from fer_data.pages import Html
from fer_data.picture_sheets import picture_sheet
from generators.page.material import CellYield, Material, condition_words

_SIZES_PX = (96, 64, 48, 32)  # the largest of which enough faces of each cell fit in
_DROPPED_PX = 48
_SHEET_COLUMNS = 24
_BYTES = 1_200_000  # of pixels in the sheets of all cells together
_MOST, _ENOUGH, _FEWEST = 24, 4, 2  # faces of a cell
_PER_REASON = 24


def sheets(material: Material) -> Html:
    """Per label and condition the first faces that were kept, in the order drawn: nobody chose them."""
    cells = [cell for cell in material.cells if cell.drawn]
    if not cells:
        return pages.paragraph("No face was drawn.", "note")
    count, size_px = _portion(material, len(cells))
    lead = (
        "Synthetic faces, the first of each cell in the order in which they were drawn"
        + (" and kept" if material.is_screened else "")
        + ": nobody picked the good ones."
    )
    parts = [pages.paragraph(lead, "note")]
    for label in dict.fromkeys(cell.label for cell in cells):
        parts.append(pages.heading(label))
        parts += [_cell_sheet(material, cell, count, size_px) for cell in cells if cell.label == label]
    return Html("".join(parts))


def dropped(material: Material) -> Html:
    """What screening dropped and why, a few faces of each reason, labels in turn."""
    if not material.is_screened:
        return Html("")
    if not material.reasons:
        return pages.paragraph("Screening dropped nothing.", "note")
    return Html("".join(_reason_sheet(material, reason) for reason in material.reasons))


def face_grid(
    images: NDArray[np.uint8], names: Sequence[str], captions: Sequence[Sequence[str]] | None = None, width_px: int = 62
) -> Html:
    """Faces in as many columns as the screen is wide, all in one PNG.

    Args:
        images: uint8 [N, C, S, S], N >= 1.
        names: N texts for those who hear the page or point at a face.
        captions: N lists of lines to stand under the faces.
        width_px: least width of a face.
    """
    sheet = picture_sheet(images, min(_SHEET_COLUMNS, len(images)))
    lines = captions if captions is not None else [()] * len(images)
    items = "".join(
        f'<li title="{pages.text(name)}"><i role="img" aria-label="{pages.text(name)}" style="{place}"></i>'
        + "".join(f"<span>{pages.text(line)}</span>" for line in under)
        + "</li>"
        for name, place, under in zip(names, sheet.places, lines, strict=True)
    )
    kind = "faces" if captions is not None else "faces plain"
    style = f"grid-template-columns:repeat(auto-fill,minmax({width_px}px,1fr));{sheet.variable}"
    return Html(f'<ol class="{kind}" style="{style}">{items}</ol>\n')


def synthetic_name(face: "pd.Series[Any]") -> str:
    """A synthetic face in words."""
    return f"synthetic: {face['label']}, {condition_words(face['occlusion'], face['light'])} ({face['sample_id']})"


def _portion(material: Material, cells: int) -> tuple[int, int]:
    """How many faces of each cell are shown, and at which size, so that the page stays light."""
    facts = material.drawn.facts(["width_px", "mode"])
    channels = 1 if (facts["mode"] == "L").all() else 3
    stored_px = int(facts["width_px"].median())
    for largest_px in _SIZES_PX:
        size_px = min(stored_px, largest_px)
        count = _BYTES // (cells * channels * size_px**2)
        if count >= _ENOUGH:
            break
    return int(np.clip(count, _FEWEST, _MOST)), size_px


def _cell_sheet(material: Material, cell: CellYield, count: int, size_px: int) -> Html:
    shown = cell.rows[material.kept[cell.rows]][:count]
    asked = "" if cell.asked is None else f"{cell.asked:,} asked, "
    told = f"Synthetic {cell.label}, {cell.condition}: {asked}{cell.drawn:,} drawn"
    if cell.kept is not None:
        told += f", {cell.kept:,} kept"
    if not len(shown):
        return pages.paragraph(f"{told}.", "note")
    names = [synthetic_name(material.faces.iloc[row]) for row in shown]
    pictures = pages.stored_faces(material.drawn, shown.tolist(), size_px)
    return pages.figure(face_grid(pictures, names), f"{told}.")


def _reason_sheet(material: Material, reason: str) -> Html:
    faces = material.faces
    rows = np.flatnonzero(~material.kept & faces["reason"].eq(reason).to_numpy(dtype=bool))
    shown = in_turn(faces["label"].iloc[rows])[:_PER_REASON]
    own = faces.loc[shown]
    pictures = pages.stored_faces(material.drawn, shown.tolist(), _DROPPED_PX)
    grid = face_grid(
        pictures, [synthetic_name(face) for _, face in own.iterrows()], [_told(face) for _, face in own.iterrows()], 76
    )
    some = f"{len(shown)} of {len(rows):,}" if len(shown) < len(rows) else f"All {len(rows):,}"
    caption = (
        f"{some} synthetic faces, labels in turn. Below each the label that was asked for, what the screening judge "
        "takes it for, and its probability of the label asked for."
    )
    return Html(pages.heading(f"{reason[:1].upper()}{reason[1:]}") + pages.figure(grid, caption))


def in_turn(labels: "pd.Series[str]") -> NDArray[np.int64]:
    """Index of `labels` reordered: the first of each label, then the second of each, labels in order of appearance."""
    turn = labels.groupby(labels).cumcount().to_numpy()
    place = pd.factorize(labels)[0]
    return labels.index.to_numpy(dtype=np.int64)[np.lexsort((place, turn))]


def _told(face: "pd.Series[Any]") -> list[str]:
    lines = [str(face["label"])]
    taken = face.get("judge_label")
    if isinstance(taken, str):
        lines.append(f"→ {taken}")
    p = face.get("judge_p")
    if p is not None and np.isfinite(p):
        lines.append(f"{100 * p:.0f} %")
    return lines
