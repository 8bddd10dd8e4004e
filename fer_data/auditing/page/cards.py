"""Suspect faces as cards: the picture, what is said of its label, and the nearest faces that are labelled otherwise."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fer_data import pages
from fer_data.auditing.page.material import Material
from fer_data.pages import Html
from fer_data.picture_sheets import picture_sheet

_SHEET_COLUMNS = 32
_NEIGHBOURS = 3
_VOTES_SHOWN = 3

_KINDS = {"ambiguous": "ambiguous", "not_a_face": "perhaps not a face", "out_of_distribution": "unlike all others"}


def face_cards(material: Material, faces: pd.DataFrame, *, tell_given: bool) -> Html:
    """A card for each face, in the order given.

    Args:
        faces: rows of `material.faces`.
        tell_given: say which label they carry, where they do not all carry the same.
    """
    near = _neighbours(material, faces)
    positions = [*faces["position"].tolist(), *(position for mates in near for position, _ in mates)]
    sheet = picture_sheet(pages.stored_faces(material.manifest, positions), _SHEET_COLUMNS)
    votes = _votes(material, faces)
    places = iter(sheet.places[len(faces) :])
    cards = []
    for index, face in enumerate(faces.to_dict("records")):
        key = material.key(str(face["sample_id"]))
        lines = [f"<b>{_claim(face, tell_given)}</b>", *_told(face), pages.text(f"#{face['rank']:,} · {key}")]
        lines += [pages.text(votes[index])] if votes[index] else []
        mates = "".join(_small(next(places), label) for _, label in near[index])
        body = "".join(f"<span>{line}</span>" for line in lines) + (
            f'<span class="near">{mates}</span>' if mates else ""
        )
        picture = f'<i role="img" aria-label="{pages.text(key)}" style="{sheet.places[index]}"></i>'
        cards.append(f"<li>{picture}<div>{body}</div></li>")
    return Html(f'<ol class="cards" style="{sheet.variable}">{"".join(cards)}</ol>\n')


def distinct(faces: pd.DataFrame, most: int) -> pd.DataFrame:
    """The first faces whose pictures differ."""
    return faces[~faces["picture"].duplicated()].head(most)


def _claim(face: Mapping[Hashable, Any], tell_given: bool) -> Html:
    """What the label is thought to be."""
    given, suggested = face["given_label"], face["suggested_label"]
    if face.get("kind") == "ambiguous" and face.get("second_label") is not None:
        claim = f"{suggested} or {face['second_label']}"
    else:
        claim = str(suggested) if suggested != given else f"{given}?"
    return pages.text(f"{given} → {claim}" if tell_given and suggested != given else claim)


def _told(face: Mapping[Hashable, Any]) -> list[Html]:
    """How sure the suggestion is, and of what kind the doubt."""
    suggested = face["suggested_label"]
    sure = face.get("suggestion_score", face.get(f"p_{suggested}"))
    words = [] if sure is None or sure != sure else [f"{suggested} {100 * sure:.0f} %"]
    words += [_KINDS[str(face["kind"])]] if face.get("kind") in _KINDS else []
    return [pages.text(" · ".join(words))] if words else []


def _small(place: str, label: str) -> str:
    return f'<span><i role="img" aria-label="{pages.text(label)}" style="{place}"></i>{pages.text(label)}</span>'


def _neighbours(material: Material, faces: pd.DataFrame) -> list[list[tuple[int, str]]]:
    """Per face the rows of the nearest faces that are labelled otherwise, with their labels; no picture twice."""
    if "neighbours" not in faces:
        return [[] for _ in range(len(faces))]
    mates = [_listed(ids) for ids in faces["neighbours"]]
    rows = iter(material.positions([sample_id for ids in mates for sample_id in ids]).tolist())
    found = []
    for ids, labels in zip(mates, faces["neighbour_labels"], strict=True):
        there = [(next(rows), label) for _, label in zip(ids, _listed(labels), strict=True)]
        by_picture = {material.pictures[row]: (row, label) for row, label in there if row >= 0}
        found.append(list(by_picture.values())[:_NEIGHBOURS])
    return found


def _listed(values: "np.ndarray[tuple[int], np.dtype[np.object_]] | Sequence[str] | None") -> list[str]:
    return [] if values is None else [str(value) for value in values]


def _votes(material: Material, faces: pd.DataFrame) -> list[str]:
    """Per face what people voted, most first: "votes: sadness 7, neutral 3"; empty where the audit used no votes."""
    if not material.uses_votes:
        return [""] * len(faces)
    names = material.manifest.votes_labels()
    chosen = np.zeros(len(material.manifest), dtype=bool)
    chosen[faces["position"]] = True
    facts = material.manifest.facts(["votes"], chosen)["votes"].tolist()
    counts = dict(zip(np.flatnonzero(chosen).tolist(), facts, strict=True))
    return [_tally(counts[position], names) for position in faces["position"].tolist()]


def _tally(counts: Sequence[int] | None, names: Sequence[str]) -> str:
    if counts is None:
        return ""
    most = sorted(zip(counts, names, strict=True), key=lambda pair: -pair[0])[:_VOTES_SHOWN]
    return "votes: " + ", ".join(f"{name} {count}" for count, name in most if count)
