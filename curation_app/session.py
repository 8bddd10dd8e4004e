"""One reviewer's way through one queue. Every decision is in the log before anything here changes."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curation_app.collection import Collection, Face
from curation_app.queues import Queue
from fer_data.decision_log import Decision, DecisionLog, new_event_id, not_undone, undo_of, utc_now

_LONGEST_MS = 60_000  # a longer look is a pause, and is not counted in the pace
_PACE_OVER = 30


@dataclass(frozen=True)
class Progress:
    """How far a reviewer is in a queue; `seconds_left` is None before there is a pace to go by."""

    decided: int
    total: int
    seconds_left: float | None

    @property
    def left(self) -> int:
        return self.total - self.decided


class Review:
    """What has been decided, which face is on the screen, and what comes next.

    What the reviewer decided before, in this or an earlier run, is read from the log: those faces count as decided.
    """

    def __init__(
        self,
        collection: Collection,
        log: DecisionLog,
        reviewer: str,
        queue: Queue,
        *,
        blind: bool = False,
        page_faces: int = 40,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.collection, self.queue, self.reviewer, self.blind = collection, queue, reviewer, blind
        self._log, self._clock, self._page_faces = log, clock, page_faces
        self._history = not_undone(log.events(reviewer))
        self._standing = {event.sample_id: event for event in self._history}
        rows = collection.rows_of(list(self._standing))
        self._open = ~np.isin(queue.rows, rows)
        self._by_row = np.argsort(queue.rows, kind="stable")
        self._place = self._next_open(0)
        self._page: list[int] = []
        self._unsaved: dict[object, list[Decision]] = {}  # tried again they keep their ids, and are written once
        self._seen_at = clock()

    # -- one face at a time ------------------------------------------------------------------------------------

    @property
    def face(self) -> Face | None:
        """The face on the screen, or None at the end of the queue."""
        return None if self._place is None else self.collection.face(int(self.queue.rows[self._place]))

    @property
    def place(self) -> int | None:
        """Its place in the queue, from 0."""
        return self._place

    def earlier(self, face: Face) -> Decision | None:
        """What this reviewer decided on a face, if it stands."""
        return self._standing.get(face.sample_id)

    def decide(self, sample_id: str, action: str, label: str | None = None, note: str | None = None) -> bool:
        """Decide the face on the screen and go to the next one that is not decided.

        Returns:
            False, and nothing is written, where `sample_id` is not the face on the screen: a key that was pressed
            twice must not decide a face that nobody has seen.

        Raises:
            FerError: the log could not be written; the face stays on the screen.
        """
        if self._place is None or self.face.sample_id != sample_id:  # type: ignore[union-attr]
            return False
        place = self._place
        self._write([place], action, label, note, batch=None)
        self._move(self._next_open(place + 1))
        return True

    def step(self, places: int) -> None:
        """Go forward or back in the queue, past decided faces too; stops at both ends."""
        if len(self.queue):
            place = len(self.queue) if self._place is None else self._place
            self._move(int(np.clip(place + places, 0, len(self.queue) - 1)))

    # -- a page at a time --------------------------------------------------------------------------------------

    @property
    def page(self) -> list[Face]:
        """The faces of the page, in order; the next page once all are decided; empty at the end of the queue."""
        if not any(self._open[place] for place in self._page):
            self._page = np.flatnonzero(self._open)[: self._page_faces].tolist()
            self._seen_at = self._clock()
        return [self.collection.face(int(self.queue.rows[place])) for place in self._page]

    def decide_page(self, sample_ids: Sequence[str], action: str, label: str | None = None) -> int:
        """Decide faces of the page, all in one transaction.

        Args:
            sample_ids: which; those that are not on the page are left alone.

        Returns:
            How many were decided.

        Raises:
            FerError: the log could not be written; nothing was decided.
        """
        chosen = set(sample_ids)
        places = [
            place for place in self._page if str(self.collection.face(int(self.queue.rows[place])).sample_id) in chosen
        ]
        if places:
            self._write(places, action, label, None, batch=new_event_id())
        return len(places)

    # -- both --------------------------------------------------------------------------------------------------

    def undo(self) -> int:
        """Take back this reviewer's last step, of this run or an earlier one, and show its face again.

        Returns:
            How many decisions were taken back: 0 where there is nothing left, more than 1 for a page's.

        Raises:
            FerError: the log could not be written; nothing was taken back.
        """
        if not self._history:
            return 0
        last = self._history[-1].shown.get("batch")
        step = [event for event in self._history if last is not None and event.shown.get("batch") == last]
        step = step or self._history[-1:]
        self._log.append([undo_of(event) for event in step])
        ids = {event.event_id for event in step}
        self._history = [event for event in self._history if event.event_id not in ids]
        self._standing = {event.sample_id: event for event in self._history}
        places = [place for event in step if (place := self._place_of(event.sample_id)) is not None]
        for place in places:
            self._open[place] = self._sample_id(place) not in self._standing
        if places:
            self._move(places[0])
            self._page = sorted({*self._page, *places}) if last is not None else []
        return len(step)

    def progress(self) -> Progress:
        """How much of the queue is decided, and how long the rest takes at the present pace."""
        decided = int((~self._open).sum())
        times = [event.elapsed_ms for event in self._history[-_PACE_OVER:] if event.elapsed_ms is not None]
        times = [elapsed for elapsed in times if elapsed <= _LONGEST_MS]
        pace = float(np.mean(times)) / 1000 if times else None
        left = len(self.queue) - decided
        return Progress(decided, len(self.queue), None if pace is None else left * pace)

    def _write(self, places: list[int], action: str, label: str | None, note: str | None, batch: str | None) -> None:
        attempt = (tuple(places), action, label, note)
        events = self._unsaved.get(attempt)
        if events is None:
            elapsed_ms = int(1000 * (self._clock() - self._seen_at) / len(places))
            more = {} if batch is None else {"batch": batch}
            events = [self._event(place, action, label, note, elapsed_ms, more) for place in places]
            self._unsaved[attempt] = events
        self._log.append(events)  # raises if it is not on the disk
        self._unsaved.clear()
        self._history += events
        self._standing.update({event.sample_id: event for event in events})
        self._open[places] = False
        self._seen_at = self._clock()

    def _event(
        self, place: int, action: str, label: str | None, note: str | None, elapsed_ms: int, more: dict[str, str]
    ) -> Decision:
        face = self.collection.face(int(self.queue.rows[place]))
        return Decision(
            event_id=new_event_id(),
            sample_id=face.sample_id,
            pixel_sha256=face.pixel_sha256,
            manifest_sha256=self.collection.manifest.sha256,
            action=action,
            reviewer=self.reviewer,
            time=utc_now(),
            label=label,
            elapsed_ms=elapsed_ms,
            queue=self.queue.name,
            shown={"label": face.label, "suggestion": face.suggestion, "blind": self.blind, **more},
            note=note or None,
        )

    def _move(self, place: int | None) -> None:
        self._place, self._seen_at = place, self._clock()

    def _next_open(self, start: int) -> int | None:
        """The first undecided place from `start` on, then from the beginning; None where all are decided."""
        places: NDArray[np.int64] = np.flatnonzero(self._open)
        if not len(places):
            return None
        return int(places[np.searchsorted(places, start) % len(places)])

    def _place_of(self, sample_id: str) -> int | None:
        row = self.collection.rows_of([sample_id])[0]
        at = int(np.searchsorted(self.queue.rows, row, sorter=self._by_row))
        if row < 0 or at == len(self.queue) or self.queue.rows[self._by_row[at]] != row:
            return None
        return int(self._by_row[at])

    def _sample_id(self, place: int) -> str:
        return self.collection.face(int(self.queue.rows[place])).sample_id
