"""A page of faces as one component: the browser keeps the selection, the server hears only decisions."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import streamlit as st

from curation_app import cards
from curation_app.collection import Face
from curation_app.keys import ACTION_KEYS, label_keys
from curation_app.session import Review
from fer_data.errors import FerError

COLUMNS = 10
_FACE_PX = 96
_HERE = Path(__file__).parent
_WORDS = {"keep": "Keep labels", "drop": "Drop", "unsure": "Unsure", "accept": "Accept", "reject": "Reject"}

_component = st.components.v2.component(
    "fer_face_sheet",
    html='<div class="page"></div>',
    css=(_HERE / "sheet.css").read_text(),
    js=(_HERE / "sheet.js").read_text(),
)


def face_sheet(
    review: Review, faces: Sequence[Face], on_decide: Callable[[Review, list[str], str, str | None], None]
) -> None:
    """Draw a page; `on_decide(review, sample_ids, action, label)` is called when the reviewer decides."""
    ids = [face.sample_id for face in faces]
    page = hashlib.sha256("\0".join(ids).encode()).hexdigest()[:16]

    def decided() -> None:
        answer = st.session_state["sheet"].decide
        if answer and answer["page"] == page:  # an answer to an older page is about faces that have left
            chosen = [ids[index] for index in answer["chosen"] if 0 <= index < len(ids)]
            on_decide(review, chosen, answer["action"], answer["label"])

    _component(
        key="sheet",
        data={
            "page": page,
            "columns": COLUMNS,
            "sheet": _picture(review, page, tuple(face.row for face in faces)),
            "faces": [_cell(review, face) for face in faces],
            "actions": _actions(review),
        },
        on_decide_change=decided,
    )


def _cell(review: Review, face: Face) -> dict[str, str | None]:
    earlier = review.earlier(face)
    caption = face.label or "no label"
    if face.suggestion is not None and face.suggestion != face.label:
        caption += f"\n› {face.suggestion}"
    return {
        "caption": "" if review.blind else caption,
        "decided": None if earlier is None else cards.outcome_text(earlier.action, earlier.label),
    }


def _actions(review: Review) -> list[dict[str, str | None]]:
    allowed = review.queue.kind.actions
    labels = label_keys(review.collection.labels).items() if "relabel" in allowed else ()
    made: list[dict[str, str | None]] = [
        {"action": "relabel", "label": label, "text": label, "key": key} for label, key in labels
    ]
    return made + [
        {"action": action, "label": None, "text": _WORDS[action], "key": ACTION_KEYS[action]}
        for action in allowed
        if action in _WORDS and not (action == "keep" and review.blind)
    ]


def _picture(review: Review, page: str, rows: tuple[int, ...]) -> str:
    """The sheet as a data URI, made once for a page and kept only while the page is on the screen."""
    if st.session_state.get("sheet_page") != page:
        pictures = []
        for row in rows:
            try:
                pictures.append(review.collection.picture(row))
            except FerError:
                pictures.append(np.full((8, 8), 128, dtype=np.uint8))  # single review says what is wrong with it
        st.session_state.sheet_picture = cards.data_uri(cards.sheet(pictures, COLUMNS, _FACE_PX))
        st.session_state.sheet_page = page
    return st.session_state.sheet_picture
