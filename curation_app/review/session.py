"""One reviewer's way through one queue, as the server knows it: what is decided, what is open, what comes next."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation_app.collection import Collection
from curation_app.queues import Queue
from curation_app.review.journal import Entry, Journal, entry_of
from curation_app.review.outbox import Receipt, SentEvent, decision_of, event_id_of, read_event, undo_of_entry
from fer_data.decision_log import Decision, DecisionLog, RefusedDecisionError
from fer_data.errors import FerError


@dataclass(frozen=True)
class Progress:
    """How far a reviewer is in a queue; `seconds_each` is None before there is a pace to go by."""

    decided: int
    total: int
    seconds_each: float | None

    @property
    def left(self) -> int:
        return self.total - self.decided


class Review:
    """The server's side of reviewing. Places count through the queue from 0; rows are the manifest's.

    The browser goes from face to face by itself; here is what it must be told, and what it decided. What the reviewer
    decided before, in this or an earlier run, is read from the log: those faces count as decided.

    Attributes:
        who: whose outbox this review takes: a name for the reviewer, the manifest and the log together.
    """

    def __init__(
        self, collection: Collection, log: DecisionLog, reviewer: str, queue: Queue, *, blind: bool = False,
        lead: bool = False,
    ) -> None:  # fmt: skip
        """Begin, or go on where the log says that this reviewer stopped.

        Args:
            blind: the reviewer is shown neither label nor opinion.
            lead: the reviewer may see what others decided.
        """
        self.collection, self.log, self.reviewer, self.queue = collection, log, reviewer, queue
        self.blind, self.lead = blind, lead
        signs = "\0".join((reviewer, collection.manifest.sha256, log.name))
        self.who = hashlib.sha256(signs.encode()).hexdigest()[:16]
        self._heard_until = log.last_position()  # first: what comes in between is told twice, not lost
        self._journal = Journal(log.events(reviewer), collection.rows_of)
        self._rows: NDArray[np.int64] = queue.rows
        self._by_row = np.argsort(queue.rows, kind="stable")
        self._open = ~np.isin(queue.rows, np.asarray(self._journal.rows(), dtype=np.int64))

    # -- places ------------------------------------------------------------------------------------------------

    def row(self, place: int) -> int:
        """The manifest's row of a place."""
        return int(self._rows[place])

    def rows(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """The manifest's rows of places."""
        return self._rows[places]

    @property
    def places(self) -> int:
        """How many places there are: the queue's, and those of faces that were jumped to outside of it."""
        return len(self._rows)

    def is_open(self, place: int) -> bool:
        """Whether the reviewer has yet to decide on a place of the queue."""
        return bool(self._open[place])

    def open_places(self, start: int = 0, count: int | None = None) -> list[int]:
        """Undecided places in the order in which they come: from `start` on, then from the beginning."""
        places = np.flatnonzero(self._open)
        first = int(np.searchsorted(places, start))
        count = len(places) if count is None else min(count, len(places))
        after = places[first : first + count]
        return [*after.tolist(), *places[: count - len(after)].tolist()]

    def all_open(self) -> NDArray[np.int64]:
        """All undecided places, int64 [M], ascending."""
        return np.flatnonzero(self._open)

    def any_open(self, places: NDArray[np.int64]) -> bool:
        """Whether one of some places is undecided."""
        return bool(self._open[places].any())

    def place_of(self, row: int) -> int | None:
        """Where a row of the manifest lies in the queue, or None."""
        at = int(np.searchsorted(self.queue.rows, row, sorter=self._by_row))
        if at < len(self.queue) and self.queue.rows[self._by_row[at]] == row:
            return int(self._by_row[at])
        beyond = np.flatnonzero(self._rows[len(self.queue) :] == row)
        return len(self.queue) + int(beyond[0]) if len(beyond) else None

    def mates(self, place: int) -> NDArray[np.int64]:
        """The other rows that the queue puts side by side with a place; none where all stand alone."""
        groups = self.queue.groups
        if groups is None or place >= len(groups):
            return np.empty(0, dtype=np.int64)
        together = np.flatnonzero(groups == groups[place])
        return self._rows[together[together != place]]

    def find(self, sample_id: str) -> int:
        """The place of a face by its id. One outside the queue gets a place behind it and is not counted as open.

        Raises:
            FerError: no face of the manifest has this id.
        """
        row = int(self.collection.rows_of([sample_id])[0])
        if row < 0:
            raise FerError(f"no face of this manifest has the id {sample_id!r}; check it, ids are like source/key")
        place = self.place_of(row)
        if place is None:
            place = len(self._rows)
            self._rows = np.append(self._rows, np.int64(row))
            self._open = np.append(self._open, False)
        return place

    # -- decisions ---------------------------------------------------------------------------------------------

    def catch_up(self) -> None:
        """Take in what the same reviewer decided elsewhere since the last time: in another tab, say."""
        try:
            last = self.log.last_position()
            later = self.log.events_after(self._heard_until, last) if last != self._heard_until else []
        except FerError:  # the log does not answer: appending will tell
            return
        self._heard_until = last
        news = [event for event in later if event.reviewer == self.reviewer and not self._journal.knows(event.event_id)]
        for event, row in zip(news, self.collection.rows_of([event.sample_id for event in news]), strict=True):
            self._record(event, int(row))

    def receive(self, outbox: Sequence[Any]) -> Receipt:
        """Append what is new in the browser's outbox to the log, all in one transaction.

        An event that is in the log already is acknowledged again: the browser may have missed the first answer.
        What can never be saved is refused with its reason. If the log cannot be written, nothing is acknowledged
        that is not on the disk.
        """
        receipt = Receipt()
        fresh: dict[str, tuple[Decision, int]] = {}
        for sent in outbox:
            try:
                event = read_event(sent)
                if self._journal.knows(event.event_id):
                    receipt.acknowledged.append(event.event_id)
                elif event.event_id not in fresh:
                    fresh[event.event_id] = self._decision(event, fresh)
            except FerError as error:
                receipt.refuse(event_id_of(sent), str(error))
        try:
            self._append(list(fresh.values()), receipt)
        except RefusedDecisionError:  # one of them stands in the way of the others
            for one in fresh.values():
                try:
                    self._append([one], receipt)
                except RefusedDecisionError as error:
                    receipt.refuse(one[0].event_id, str(error))
        return receipt

    def outcome(self, place: int) -> Entry | None:
        """What this reviewer decided on the face of a place, if it stands."""
        return self._journal.outcome(self.row(place))

    def last_steps(self, count: int) -> list[list[Entry]]:
        """The reviewer's last steps that can be taken back, oldest first."""
        return self._journal.last_steps(count)

    def progress(self) -> Progress:
        """How much of the queue is decided, and the reviewer's present pace."""
        left = int(self._open.sum())
        return Progress(len(self.queue) - left, len(self.queue), self._journal.seconds_each())

    def _decision(self, sent: SentEvent, fresh: Mapping[str, tuple[Decision, int]]) -> tuple[Decision, int]:
        """The decision that the browser means, and the row that it is about."""
        if sent.action != "undo":
            return decision_of(sent, self.collection, self.reviewer), int(sent.row or 0)
        target = self._journal.entry(sent.undoes or "")
        if sent.undoes in fresh:
            target = entry_of(*fresh[sent.undoes])
        if target is None:
            raise FerError(f"undo {sent.event_id}: that decision was taken back already, or was never saved")
        return undo_of_entry(sent, target, self.collection, self.reviewer), target.row

    def _append(self, events: Sequence[tuple[Decision, int]], receipt: Receipt) -> None:
        if not events or receipt.failed:
            return
        try:
            self.log.append([event for event, _ in events])
        except RefusedDecisionError:
            raise
        except FerError as error:
            receipt.failed = str(error)
            return
        for event, row in events:
            self._record(event, row)
            receipt.acknowledged.append(event.event_id)

    def _record(self, event: Decision, row: int) -> None:
        """Take in an event that is in the log now, and whether its place is open."""
        self._journal.record(event, row)
        place = self.place_of(row) if row >= 0 else None
        if place is not None and place < len(self.queue):
            self._open[place] = self._journal.outcome(row) is None
