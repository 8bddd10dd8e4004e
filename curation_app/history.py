"""All that was decided, kept in the server and read on from where it ended."""

import threading

import streamlit as st

from curation_app.opened import open_log, place_of_log
from curation_app.settings import Settings
from fer_data.decision_log import Decision, DecisionLog


class History:
    """A log's events in its order. Safe to share between threads."""

    def __init__(self) -> None:
        self._events: tuple[Decision, ...] = ()
        self._position = 0
        self._turn = threading.Lock()

    def follow(self, log: DecisionLog) -> tuple[Decision, ...]:
        """All events up to now; only what is new since the last time is read.

        Raises:
            FerError: the log cannot be read.
        """
        with self._turn:
            last = log.last_position()
            if last != self._position:
                self._events += tuple(log.events_after(self._position, last))
                self._position = last
            return self._events


def read_history(settings: Settings, reviewer: str | None = None) -> tuple[Decision, ...]:
    """All events of the log, or one reviewer's, in order.

    Raises:
        FerError: the log cannot be opened or read.
    """
    events = _history(place_of_log(settings)).follow(open_log(settings))
    return events if reviewer is None else tuple(event for event in events if event.reviewer == reviewer)


@st.cache_resource(show_spinner=False, max_entries=1)
def _history(place: str) -> History:  # the place tells one log's history from another's
    return History()
