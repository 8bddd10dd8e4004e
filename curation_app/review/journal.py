"""What one reviewer has decided so far, and what of it stands: ids and outcomes, never pictures."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_data.agreement import PAUSE_MS
from fer_data.decision_log import Decision, not_undone

_PACE_OVER = 30


@dataclass(frozen=True, slots=True)
class Entry:
    """A decision that stands, in the few words that reviewing needs.

    Attributes:
        row: the face's row in the open manifest; -1 where it holds no such face.
        batch: the step that it belongs to; the decisions of a page are one step. None stands alone.
    """

    event_id: str
    sample_id: str
    row: int
    pixel_sha256: str
    action: str
    label: str | None
    batch: str | None
    elapsed_ms: int | None


class Journal:
    """One reviewer's own decisions, of this run and of earlier ones, folded from the log's events."""

    def __init__(self, events: Sequence[Decision], rows_of: Callable[[Sequence[str]], NDArray[np.int64]]) -> None:
        """Fold all of a reviewer's events, in the log's order.

        Args:
            rows_of: the manifest's rows of sample ids, -1 for faces that it does not hold.
        """
        self._known: set[str] = {event.event_id for event in events}
        self._alive: dict[str, Entry] = {}  # by event id, in the order in which they were decided
        self._on: dict[int, list[str]] = {}  # row → event ids that stand; the last one counts
        standing = not_undone(events)
        rows = rows_of([event.sample_id for event in standing])
        for event, row in zip(standing, rows, strict=True):
            self.record(event, int(row))

    def knows(self, event_id: str) -> bool:
        """Whether an event is in the log already."""
        return event_id in self._known

    def entry(self, event_id: str) -> Entry | None:
        """A decision that stands, or None."""
        return self._alive.get(event_id)

    def outcome(self, row: int) -> Entry | None:
        """What stands for a row of the manifest, or None where it is open."""
        events = self._on.get(row)
        return None if not events else self._alive[events[-1]]

    def rows(self) -> list[int]:
        """The rows on which something stands."""
        return [row for row in self._on if row >= 0]

    def record(self, event: Decision, row: int) -> None:
        """Take in an event that is in the log now."""
        self._known.add(event.event_id)
        if event.undoes is None:
            self._alive[event.event_id] = entry_of(event, row)
            self._on.setdefault(row, []).append(event.event_id)
            return
        taken_back = self._alive.pop(event.undoes, None)
        if taken_back is not None:
            self._on[taken_back.row].remove(event.undoes)
            if not self._on[taken_back.row]:
                del self._on[taken_back.row]

    def last_steps(self, count: int) -> list[list[Entry]]:
        """The last steps that stand, oldest first: what `count` undos would take back."""
        steps: list[list[Entry]] = []
        for entry in reversed(self._alive.values()):
            if steps and entry.batch is not None and steps[-1][-1].batch == entry.batch:
                steps[-1].append(entry)
            elif len(steps) == count:
                break
            else:
                steps.append([entry])
        return [step[::-1] for step in reversed(steps)]

    def seconds_each(self) -> float | None:
        """The mean look of the last decisions without pauses, seconds; None before there is one."""
        times = []
        for entry in reversed(self._alive.values()):
            if entry.elapsed_ms is not None and entry.elapsed_ms <= PAUSE_MS:
                times.append(entry.elapsed_ms)
            if len(times) == _PACE_OVER:
                break
        return float(np.mean(times)) / 1000 if times else None


def entry_of(event: Decision, row: int) -> Entry:
    """A decision (no undo) in few words."""
    action, label, batch = event.action, event.label, event.shown.get("batch")
    return Entry(
        event_id=event.event_id,
        sample_id=event.sample_id,
        row=row,
        pixel_sha256=event.pixel_sha256,
        action=sys.intern(action),  # a reviewer decides tens of thousands: equal words are one string
        label=label and sys.intern(label),
        batch=batch and sys.intern(batch),
        elapsed_ms=event.elapsed_ms,
    )
