"""What the browser holds while one face is on the screen: that face, some ahead and some behind, ready to be shown."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from curation_app import cards
from curation_app.collection import Face
from curation_app.knowledge.synthetic import Judgement
from curation_app.review.session import Review
from fer_data.decision_log import Decision, not_undone
from fer_data.errors import FerError
from fer_data.images import Pixels

AHEAD, BEHIND = 12, 6
AT_ONCE = 5  # faces in one answer; in the first answer one: it is not kept waiting for the others
NEIGHBOURS, TWINS = 8, 6
_SMALL_PX, _LARGE_PX = 64, 160
_LARGEST_PX = 1024
_HEAT, _MOST_OPAQUE = (255, 96, 0), 0.7
_UNREADABLE = np.full((8, 8), 128, dtype=np.uint8)


def window(review: Review, at: int | None, held: Sequence[int]) -> dict[str, Any]:
    """The faces around a place that the browser does not hold yet, nearest first.

    Args:
        at: the place on the screen; None at the end of the queue.
        held: places whose faces the browser holds already.

    Returns:
        `ahead`: open places in the order in which they come; `faces`: what is new, by place; `more`: ask again.
    """
    ahead = review.open_places(0 if at is None else at + 1, AHEAD)
    ahead = [place for place in ahead if place != at]
    around = [] if at is None else [at, *_steps(at, review.places)]
    wanted = list(dict.fromkeys([*around[:1], *ahead[:3], *around[1:3], *ahead[3:], *around[3:]]))
    missing = [place for place in wanted if place not in set(held)]
    now = missing[: AT_ONCE if held else 1]
    faces = [review.collection.face(review.row(place)) for place in now]
    earlier = _earlier(review, faces)
    return {
        "ahead": ahead,
        "keep": wanted,
        "faces": {
            str(place): face_card(review, face, place, earlier.get(face.sample_id, []))
            for place, face in zip(now, faces, strict=True)
        },
        "more": len(missing) > len(now),
    }


def card_of(review: Review, place: int) -> dict[str, Any]:
    """All that the page shows of the face at one place."""
    face = review.collection.face(review.row(place))
    return face_card(review, face, place, _earlier(review, [face]).get(face.sample_id, []))


def face_card(review: Review, face: Face, place: int, earlier: list[dict[str, str]]) -> dict[str, Any]:
    """All that the page shows of one face; a blind reviewer's page is not sent what it must not show."""
    card: dict[str, Any] = {"place": place, "row": face.row, "pixel_sha256": face.pixel_sha256, "earlier": earlier}
    try:
        picture = review.collection.picture(face.row)
        card |= {"picture": cards.data_uri(_shrink(picture)), "size": f"{picture.shape[1]}×{picture.shape[0]} px"}
    except FerError as error:
        card |= {"picture": None, "size": "", "fault": str(error)}
    return card if review.blind else {**card, **_known(face), **_beside(review, face, place)}


def _steps(at: int, places: int) -> list[int]:
    """The places next to one, nearest first, before and after in turn."""
    near = [at + step * sign for step in range(1, BEHIND + 1) for sign in (1, -1)]
    return [place for place in near if 0 <= place < places]


def _known(face: Face) -> dict[str, Any]:
    facts = [
        face.split,
        None if face.origin == "real" else face.origin,
        face.occlusion and f"occlusion {face.occlusion}",
        face.light and f"{face.light} light",
        None if face.score is None else f"label score {face.score:.2f}",
    ]
    shares = None if face.probabilities is None else [round(float(share), 4) for share in face.probabilities]
    return {
        "id": face.sample_id,
        "label": face.label,
        "suggestion": face.suggestion,
        "facts": [str(fact) for fact in facts if fact],
        "probabilities": shares,
        "votes": face.votes,
        "why": face.why,
    }


def _beside(review: Review, face: Face, place: int) -> dict[str, Any]:
    """Pictures beside the face: its twins, its neighbours in feature space, the heat map, what a judge said.

    Mates are those that the queue itself puts side by side with it; they are shown larger.
    """
    collection = review.collection
    mates = review.mates(place)[:TWINS]
    twins = collection.duplicates(face.row)
    near = collection.neighbours(face.row)
    judge = collection.judge(face.row)
    return {
        "mates": strip(review, mates, _LARGE_PX),
        "twins": strip(review, twins[~np.isin(twins, mates)][:TWINS]),
        "neighbours": None if near is None else strip(review, near[:NEIGHBOURS]),
        "heat_map": _heat_map(review, face.row),
        "judge": None if judge is None else _judgement(review, judge),
    }


def _heat_map(review: Review, row: int) -> str | None:
    """The heat map as a veil to lay over the face: orange, the more opaque the more the model looked."""
    try:
        heat = review.collection.heat_map(row)
    except FerError:
        return None  # a broken map is not worth the face
    if heat is None:
        return None
    veil = np.zeros((*heat.shape, 4), dtype=np.uint8)
    veil[..., :3] = _HEAT
    veil[..., 3] = (heat * _MOST_OPAQUE).astype(np.uint8)
    made = io.BytesIO()
    Image.fromarray(veil).save(made, "png")
    return cards.png_uri(made.getvalue())


def _judgement(review: Review, judge: Judgement) -> dict[str, Any]:
    words = [
        None if judge.label is None else f"the judge sees {judge.label}",
        None if judge.p is None else f"what was asked for: {100 * judge.p:.0f} %",
        None if judge.copy_score is None else _nearness(judge.copy_score),
        None if judge.reason is None else f"screening drops it: {judge.reason}",
    ]
    return {"words": [word for word in words if word], "nearest": _nearest(review, judge.nearest)}


def _nearness(copy_score: float) -> str:
    return f"unseen real faces that come nearer to a training face: {100 * copy_score:.0f} % (0 % is nearly a copy)"


def _nearest(review: Review, sample_id: str | None) -> dict[str, Any] | None:
    if sample_id is None:
        return None
    try:
        picture = review.collection.picture_of(sample_id)
    except FerError:
        picture = None
    if picture is None:
        return None
    small = cards.sheet([picture], 1, small_px([picture], _LARGE_PX))
    return {"sheet": cards.data_uri(small), "faces": [{"id": sample_id, "label": "", "split": ""}]}


def strip(review: Review, rows: Sequence[int], largest_px: int = _SMALL_PX) -> dict[str, Any] | None:
    """Small faces in one picture, with their labels, splits and ids; None where there are none."""
    if not len(rows):
        return None
    faces = [review.collection.face(int(row)) for row in rows]
    pictures = [picture_or_grey(review, face.row) for face in faces]
    return {
        "sheet": cards.data_uri(cards.sheet(pictures, len(faces), small_px(pictures, largest_px))),
        "faces": [
            {"id": face.sample_id, "label": face.label or "no label", "split": face.split or ""} for face in faces
        ],
    }


def picture_or_grey(review: Review, row: int) -> Pixels:
    """A picture, or plain grey for one that cannot be read: the view of that face itself says what is wrong."""
    try:
        return review.collection.picture(row)
    except FerError:
        return _UNREADABLE


def small_px(pictures: Sequence[Pixels], largest: int) -> int:
    """Side of a small picture, pixels: no more than the pictures have, and no more than `largest`."""
    return min(largest, max(max(picture.shape[:2]) for picture in pictures))


def _shrink(picture: Pixels) -> Pixels:
    if max(picture.shape[:2]) <= _LARGEST_PX:
        return picture
    step = -(-max(picture.shape[:2]) // _LARGEST_PX)
    return np.ascontiguousarray(picture[::step, ::step])


def _earlier(review: Review, faces: Sequence[Face]) -> dict[str, list[dict[str, str]]]:
    """Sample id → what was decided on it: the reviewer's own decisions, and for a lead those of others too."""
    try:
        events = review.log.events_on([face.sample_id for face in faces])
    except FerError as error:  # the faces can be looked at all the same
        return {face.sample_id: [{"who": "", "when": "", "what": str(error), "note": ""}] for face in faces}
    alive = {event.event_id for event in not_undone(events)}
    told: dict[str, list[dict[str, str]]] = {}
    for event in events:
        own = event.reviewer == review.reviewer
        if event.undoes is None and (own or (review.lead and not review.blind)):
            told.setdefault(event.sample_id, []).append(_tell(event, own, event.event_id in alive))
    return told


def _tell(event: Decision, own: bool, stands: bool) -> dict[str, str]:
    return {
        "event_id": event.event_id,
        "who": "you" if own else event.reviewer,
        "when": event.time[:16].replace("T", " "),
        "what": cards.outcome_text(event.action, event.label) + ("" if stands else " (taken back)"),
        "note": event.note or "",
    }
