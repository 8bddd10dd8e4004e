"""The component: mounted once, it is told what it lacks and sends what was decided.

The browser sends one value, `message`, whenever something was decided or the window moves on::

    {number, who, round, outbox: [event …], at, held: [place or page …], find: {number, id} or null,
     look: {number, place} or null}

and always the *whole* outbox: a message that is lost or overtaken by a newer one loses nothing. The answer names the
events that are in the log (`acknowledged`), and the browser drops exactly those.
"""

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from curation_app.keys import resolve_keys
from curation_app.review.journal import Entry
from curation_app.review.outbox import Receipt
from curation_app.review.page_plan import PagePlan
from curation_app.review.session import Review
from curation_app.review.window import card_of, window
from fer_data.errors import FerError

KEY = "panel"
_STEPS = 10  # undos that the browser can show before it has to ask
_HERE = Path(__file__).parent
_SCRIPTS = (
    "elements",
    "outbox",
    "journal",
    "status",
    "picture",
    "facts",
    "single",
    "closeup",
    "page",
    "help",
    "keyboard",
    "panel",
)

_component = st.components.v2.component(
    "fer_review",
    html='<div class="review"></div>',
    css=(_HERE / "panel.css").read_text(),
    js="\n".join((_HERE / "js" / f"{name}.js").read_text() for name in _SCRIPTS),
)

_WORDS = {"keep": "Keep label", "drop": "Drop face", "unsure": "Unsure", "accept": "Accept", "reject": "Reject"}


@dataclass
class Desk:
    """What a session keeps of reviewing between two messages.

    Attributes:
        plan: the pages, or None where one face is reviewed at a time.
        start: place (or page) to begin with.
        linked: whether a link led there, so that it is shown even if it is decided.
        round: a name for this way through this queue; the browser begins anew when it changes. Of single faces it
            outlives a restart of the server, and the reviewer stays where he was; pages are cut anew.
    """

    review: Review
    plan: PagePlan | None
    keys: Mapping[str, str]
    start: int | None
    linked: bool
    round: str

    @classmethod
    def open(
        cls, review: Review, *, page_faces: int | None, changed_keys: Mapping[str, str], sample_id: str | None = None
    ) -> "Desk":
        """Sit down to review, a page of `page_faces` at a time, or one face at a time where that is None.

        Raises:
            FerError: keys that cannot be, or a sample that is not in the manifest.
        """
        keys = resolve_keys(review.collection.labels, changed_keys)
        plan = PagePlan(review, page_faces) if page_faces is not None else None
        desk = cls(review, plan, keys, None, sample_id is not None, _way(review) if plan is None else uuid.uuid4().hex)
        desk.start = desk.position([review.find(sample_id)] if sample_id else review.open_places(0, 1))
        if plan is not None and not sample_id:
            desk.start = next(iter(plan.open_pages(0, 1)), None)
        return desk

    def position(self, places: list[int]) -> int | None:
        """Where the first of some places is shown: itself, or its page."""
        return next(iter(places), None) if self.plan is None else self.plan.page_of(places)

    def answer(self, message: Any) -> dict[str, Any]:
        """Take in a message of the browser and say what it must know now.

        Args:
            message: as above; what is no message is answered as if nothing had been said.
        """
        message = message if isinstance(message, dict) and message.get("who") == self.review.who else {}
        if message:
            self.review.catch_up()
        outbox = message.get("outbox")
        receipt = self.review.receive(outbox) if isinstance(outbox, list) else Receipt()
        here = message if message.get("round") == self.round else {}
        at = _number(here.get("at", self.start))
        found = self._find(here.get("find"))
        if found is not None and found["at"] is not None:
            at = found["at"]
        if at is not None and not 0 <= at < (self.review.places if self.plan is None else len(self.plan)):
            at = None
        held = [number for one in _list(here.get("held")) if (number := _number(one)) is not None]
        return {
            **self._standing_facts(),
            "number": message.get("number"),
            "acknowledged": receipt.acknowledged,
            "refused": receipt.refused,
            "failed": receipt.failed,
            "found": found,
            "looked": self._look(here.get("look")),
            "at": at,
            **self._progress(),
            **self._window(at, held),
        }

    def _standing_facts(self) -> dict[str, Any]:
        """What does not change while this queue is open."""
        review = self.review
        return {
            "layout": "single" if self.plan is None else "page",
            "round": self.round,
            "linked": self.linked,
            "who": review.who,
            "reviewer": review.reviewer,
            "blind": review.blind,
            "queue": {"name": review.queue.name, "title": review.queue.kind.title, "why": review.queue.kind.why},
            "total": len(review.queue),
            "labels": list(review.collection.labels),
            "actions": self._actions(),
            "keys": dict(self.keys),
        }

    def _actions(self) -> list[dict[str, str | None]]:
        allowed = self.review.queue.kind.actions
        labels = self.review.collection.labels if "relabel" in allowed else ()
        named: list[dict[str, str | None]] = [
            {"action": "relabel", "label": label, "text": label, "key": self.keys.get(label)} for label in labels
        ]
        return named + [
            {"action": action, "label": None, "text": _WORDS[action], "key": self.keys[action]}
            for action in allowed
            if action in _WORDS and not (action == "keep" and self.review.blind)
        ]

    def _progress(self) -> dict[str, Any]:
        progress = self.review.progress()
        return {
            "decided": progress.decided,
            "seconds_each": progress.seconds_each,
            "steps": [[self._taken_back(entry) for entry in step] for step in self.review.last_steps(_STEPS)],
        }

    def _taken_back(self, entry: Entry) -> dict[str, Any]:
        place = self.review.place_of(entry.row) if entry.row >= 0 else None
        at = None if place is None else self.position([place])
        return {"event_id": entry.event_id, "row": entry.row, "place": place, "at": at}

    def _window(self, at: int | None, held: list[int]) -> dict[str, Any]:
        if self.plan is None:
            made = window(self.review, at, held)
            places = [*made["keep"], *held]
        else:
            made = self.plan.window(at, held)
            places = [place for number in made["keep"] for place in self.plan.places(number)]
        return {**made, "outcomes": self._outcomes(places)}

    def _outcomes(self, places: list[int]) -> dict[str, list[str | None]]:
        """Row → action and label that stand there, of all faces that the browser may show."""
        told = {}
        for place in places:
            if not 0 <= place < self.review.places or self.review.is_open(place):
                continue
            entry = self.review.outcome(place)
            if entry is not None:
                told[str(self.review.row(place))] = [entry.action, entry.label]
        return told

    def _find(self, asked: Any) -> dict[str, Any] | None:
        if not isinstance(asked, dict) or not isinstance(asked.get("id"), str):
            return None
        try:
            at, why = self.position([self.review.find(asked["id"].strip())]), None
        except FerError as error:
            at, why = None, str(error)
        return {"number": asked.get("number"), "at": at, "why": why}

    def _look(self, asked: Any) -> dict[str, Any] | None:
        """All that is known of one face of a page, which somebody wants to see large."""
        place = _number(asked.get("place")) if isinstance(asked, dict) else None
        if place is None or not 0 <= place < self.review.places:
            return None
        return {"number": asked.get("number"), "face": card_of(self.review, place)}


def show_panel(desk: Desk) -> None:
    """Draw the component; in a fragment, so that a decision runs nothing else of the page."""
    said = st.session_state.get(KEY)
    message = said.get("message") if said else None
    _component(key=KEY, data=desk.answer(message), on_message_change=_heard)


def _heard() -> None:
    """Streamlit hands a component's value on only where somebody listens; `answer` reads it on every run."""


def _way(review: Review) -> str:
    """The same for the same reviewer on the same faces in the same order, shown in the same way."""
    digest = hashlib.sha256(f"{review.who} {review.queue.name} {review.blind} ".encode())
    digest.update(np.ascontiguousarray(review.queue.rows).data)
    return digest.hexdigest()[:16]


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
