"""Synthetic faces beside the training faces that they are nearest to: a reader sees for himself what is a copy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_data import pages
from fer_data.manifest import Manifest
from fer_data.pages import Html
from fer_data.picture_sheets import picture_sheet
from generators.page.faces import synthetic_name
from generators.page.material import Material

_CLOSEST, _COPIES = 24, 12
_FACE_PX = 96
_WIDTH = "min(5.5rem,20vw)"
_Mate = tuple[str, str]  # a face to show beside a synthetic one: its id, and what it is to it
_NEEDED = ("nearest_sample_id", "copy_score")


def nearest_faces(material: Material) -> Html:
    """The kept faces that come closest to a training face, and those that were dropped as copies."""
    parts: list[str] = []
    if material.is_screened and all(column in material.faces for column in _NEEDED):
        order = material.faces.sort_values("copy_score", kind="stable")
        kept = pd.Series(material.kept)
        parts += [
            _scale(material),
            _closest(material, order[kept[order.index]]),
            _copies(material, order[~kept[order.index]]),
            _repeats(material, material.faces[~kept]),
        ]
    else:
        told = "No face has been compared with the training faces yet: screening does that."
        parts.append(pages.paragraph(told, "note"))
    parts.append(_parents(material))
    return Html("".join(parts))


def _scale(material: Material) -> Html:
    calibration = material.screening.get("calibration", {})
    told = (
        "How near is near: the score of a pair is the share of real held-out faces that lie nearer to a training face "
        "than this synthetic one does. At a score near 0 hardly any unrelated photograph comes as near."
    )
    if "flagged" in calibration:
        told += (
            f" Held-out faces ({calibration.get('faces', 'real')}, {calibration.get('count', 0):,} of them) set the "
            f"threshold for copies: {100 * calibration['flagged']:.1f} % of these would be called one."
        )
    return pages.paragraph(told)


def _closest(material: Material, faces: pd.DataFrame) -> str:
    shown = faces[faces["nearest_sample_id"].notna()].head(_CLOSEST)
    if shown.empty:
        return pages.paragraph("No face was kept.", "note")
    caption = (
        f"The {len(shown)} of {len(faces):,} faces kept that come closest to a training face, the closest first. "
        "Left the synthetic face, beside it the real training face that it is nearest to"
        + (", then the face that it was made from." if shown["parent"].notna().any() else ".")
    )
    return pages.heading("Kept, and closest to a training face") + pages.figure(
        _groups(material, shown, _all_mates(shown)), caption
    )


def _copies(material: Material, faces: pd.DataFrame) -> str:
    if "is_copy" not in faces:
        return ""
    copies = faces[faces["is_copy"].eq(True) & faces["nearest_sample_id"].notna()]
    if copies.empty:
        return ""
    shown = copies.head(_COPIES)
    caption = (
        f"{len(shown)} of {len(copies):,} faces dropped that lie nearer to a training face than the threshold, "
        "the closest first: synthetic left, real right."
    )
    return pages.heading("Dropped, and too near") + pages.figure(_groups(material, shown, _all_mates(shown)), caption)


def _parents(material: Material) -> str:
    """Where nothing was screened, re-expressed faces beside the faces they were made from."""
    faces = material.faces[material.faces["parent"].notna()]
    if faces.empty or material.is_screened:
        return ""
    shown = faces.head(_CLOSEST)
    caption = f"{len(shown)} of {len(faces):,} re-expressed faces, beside each the training face that it was made from."
    return pages.heading("Re-expressed faces and their parents") + pages.figure(
        _groups(material, shown, _all_mates(shown)), caption
    )


def _repeats(material: Material, faces: pd.DataFrame) -> str:
    """Faces that were dropped because another synthetic one is like them."""
    if "sibling_sample_id" not in faces:
        return ""
    repeats = faces[faces["sibling_sample_id"].notna()]
    if repeats.empty:
        return ""
    shown = repeats.head(_COPIES)
    mates = [[(str(sibling), "synthetic, kept")] for sibling in shown["sibling_sample_id"]]
    caption = (
        f"{len(shown)} of {len(repeats):,} faces dropped as near-copies of another synthetic face, shown beside it."
    )
    return pages.heading("Dropped, and like another sample") + pages.figure(
        _groups(material, shown, mates, material.drawn), caption
    )


def _groups(
    material: Material, faces: pd.DataFrame, groups: Sequence[Sequence[_Mate]], source: Manifest | None = None
) -> Html:
    """One group per synthetic face: itself, then its mates out of `source`, the training faces if None."""
    source = source or material.training
    kind = "real training face" if source is material.training else "synthetic face"
    synthetic = pages.stored_faces(material.drawn, faces.index.tolist(), _FACE_PX)
    rows = _rows(source, [sample_id for mates in groups for sample_id, _ in mates])
    found = [sample_id for sample_id, row in rows.items() if row >= 0]
    pictures = [synthetic]
    if found:
        pictures.append(_pictures(source, [rows[sample_id] for sample_id in found], synthetic))
    sheet = picture_sheet(np.concatenate(pictures), 12)
    places = dict(zip(found, sheet.places[len(faces) :], strict=True))
    items = []
    for index, ((_, face), mates) in enumerate(zip(faces.iterrows(), groups, strict=True)):
        score = face.get("copy_score") if source is material.training else face.get("sibling_score")
        near = [] if score is None or not np.isfinite(score) else [f"score {score:.3f}"]
        shown = [_face(sheet.places[index], synthetic_name(face), ["synthetic", str(face["label"]), *near])]
        for sample_id, role in mates:
            told = [role, *(["its parent"] if sample_id == face["parent"] else []), _label(source, rows[sample_id])]
            place = places.get(sample_id)
            shown.append(_face(place, f"{kind} {sample_id}", told) if place else _gone(sample_id, role))
        items.append(f'<li style="display:flex;gap:.2rem">{"".join(shown)}</li>')
    column = f"minmax(calc({_most(groups)} * {_WIDTH} + .6rem),1fr)"
    style = f"grid-template-columns:repeat(auto-fill,{column});gap:.9rem .4rem;{sheet.variable}"
    return Html(f'<ol class="faces" style="{style}">{"".join(items)}</ol>\n')


def _rows(manifest: Manifest, sample_ids: Sequence[str]) -> dict[str, int]:
    """Rows of a manifest by id, -1 for an id that it does not have."""
    ids: pd.Index[str] = pd.Index(manifest.frame["sample_id"], dtype=object)
    wanted: pd.Index[str] = pd.Index(list(sample_ids), dtype=object)
    return dict(zip(sample_ids, ids.get_indexer(wanted).tolist(), strict=True))


def _all_mates(faces: pd.DataFrame) -> list[list[_Mate]]:
    return [_mates(face) for _, face in faces.iterrows()]


def _mates(face: "pd.Series[Any]") -> list[_Mate]:
    """Training faces to show beside a synthetic one: id and what it is to it."""
    nearest, parent = face.get("nearest_sample_id"), face["parent"]
    mates: list[_Mate] = []
    if isinstance(nearest, str):
        mates.append((nearest, "real, nearest"))
    if parent is not None and parent != nearest:
        mates.append((parent, "real"))
    return mates


def _pictures(manifest: Manifest, rows: Sequence[int], like: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Faces of a manifest, uint8 [N, C, S, S], at the size and in the colours of others, to go on one sheet."""
    chosen = np.zeros(len(manifest), dtype=bool)
    chosen[list(rows)] = True
    pictures = manifest.pictures(like.shape[-1], like.shape[1], chosen)
    place = {row: index for index, row in enumerate(np.flatnonzero(chosen).tolist())}
    return pictures[[place[row] for row in rows]]


def _label(manifest: Manifest, row: int) -> str:
    label = manifest.frame["label"].iloc[row] if row >= 0 else None
    return "no label" if label is None or label != label else str(label)


def _face(place: str, name: str, lines: Sequence[str]) -> str:
    under = "".join(f"<span>{pages.text(line)}</span>" for line in lines)
    picture = f'<i role="img" aria-label="{pages.text(name)}" style="{place}"></i>'
    return f'<div style="flex:0 0 {_WIDTH};min-width:0" title="{pages.text(name)}">{picture}{under}</div>'


def _gone(sample_id: str, role: str) -> str:
    return f'<div style="flex:0 0 {_WIDTH}"><span>{pages.text(role)}: {pages.text(sample_id)} is gone</span></div>'


def _most(groups: Sequence[Sequence[object]]) -> int:
    """Faces in the widest group."""
    return 1 + max(len(mates) for mates in groups)
