"""The few pieces of HTML that the app draws itself. Whatever comes from data is escaped: text, never markup."""

import base64
import html
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from curation_app.collection import Face
from fer_data.images import Pixels, encode_png

STYLE = f"<style>{Path(__file__).with_name('style.css').read_text()}</style>"

_SPECIAL = {"keep": "kept", "drop": "dropped", "unsure": "unsure", "accept": "accepted", "reject": "rejected"}


def data_uri(pixels: Pixels) -> str:
    """A picture inside the page: no further request, and nothing for the browser's disk cache to keep."""
    return "data:image/png;base64," + base64.b64encode(encode_png(pixels)).decode()


def face_card(pixels: Pixels, alt: str) -> str:
    """One face, as large as its place allows, its pixels as they are.

    Args:
        pixels: uint8 [H, W] or [H, W, 3].
    """
    return f'<div class="fer-face"><img src="{data_uri(pixels)}" alt="{html.escape(alt)}"></div>'


def label_card(face: Face, outcome: str | None) -> str:
    """What is known of a face besides its picture: label, suggestion, conditions, an earlier decision."""
    given = _tag("label", face.label or "none", "given")
    parts = [given]
    if face.suggestion is not None and face.suggestion != face.label:
        parts.append(_tag("model suggests", face.suggestion, "suggested"))
    if outcome is not None:
        parts.append(_tag("you decided", outcome, "decided"))
    facts = [face.split, face.occlusion and f"occlusion {face.occlusion}", face.light and f"{face.light} light"]
    facts += [face.origin if face.origin != "real" else None]
    facts += [None if face.score is None else f"label score {face.score:.2f}"]
    small = " · ".join(html.escape(str(fact)) for fact in facts if fact)
    return f'<div class="fer-label">{"".join(parts)}</div><div class="fer-facts">{small}</div>'


def blind_card(outcome: str | None) -> str:
    """The same for a reviewer who must not know the label or the model's opinion."""
    decided = _tag("you decided", outcome, "decided") if outcome is not None else ""
    hidden = _tag("blind", "label and opinion are hidden", "hidden")
    return f'<div class="fer-label">{hidden}{decided}</div>'


def opinion_bars(labels: Sequence[str], probabilities: NDArray[np.float32], given: str | None, best: str | None) -> str:
    """The model's probabilities as bars; the given and the suggested label are named, not only coloured.

    Args:
        probabilities: float32 [K], in the order of `labels`.
    """
    rows = []
    for label, share in zip(labels, probabilities, strict=True):
        kind = "suggested" if label == best else "given" if label == given else ""
        note = {"suggested": "suggested", "given": "label"}.get(kind, "")
        rows.append(
            f'<div class="fer-bar {kind}"><span class="name">{html.escape(label)}</span>'
            f'<span class="track"><span class="fill" style="width:{100 * float(share):.1f}%"></span></span>'
            f'<span class="share">{100 * float(share):.0f} %</span><span class="note">{note}</span></div>'
        )
    return f'<div class="fer-bars">{"".join(rows)}</div>'


def outcome_text(action: str, label: str | None) -> str:
    """A decision in one word or two: "relabelled surprise", "dropped"."""
    return f"→ {label}" if action == "relabel" else _SPECIAL[action]


def spell_time(seconds: float) -> str:
    """A duration as people say it: "about 40 s", "about 17 minutes", "about 2.5 hours"."""
    if seconds < 90:
        return f"about {seconds:.0f} s"
    return f"about {seconds / 60:.0f} minutes" if seconds < 90 * 60 else f"about {seconds / 3600:.1f} hours"


def sheet(pictures: Sequence[Pixels], columns: int, face_px: int) -> Pixels:
    """Faces side by side as one picture, uint8 [rows * face_px, columns * face_px, 3], row by row, rest black."""
    rows = -(-len(pictures) // columns)
    whole = np.zeros((rows * face_px, columns * face_px, 3), dtype=np.uint8)
    for index, pixels in enumerate(pictures):
        image = Image.fromarray(pixels).convert("RGB")
        if image.size != (face_px, face_px):
            image = image.resize((face_px, face_px), Image.Resampling.BILINEAR)
        top, left = face_px * (index // columns), face_px * (index % columns)
        whole[top : top + face_px, left : left + face_px] = np.asarray(image)
    return whole


def _tag(what: str, value: str, kind: str) -> str:
    return f'<span class="fer-tag {kind}"><small>{what}</small><b>{html.escape(value)}</b></span>'
