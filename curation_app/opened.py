"""What every page looks at, opened once for the whole server: the faces and the decision log."""

import streamlit as st

from curation_app import opening
from curation_app.collection import Collection
from curation_app.settings import Settings
from fer_data.decision_log import DecisionLog


def open_collection(settings: Settings) -> Collection:
    """The faces under review.

    Raises:
        FerError: the manifest or a table of opinions cannot be opened.
    """
    return _collection(settings.manifest, settings.audit)


def open_log(settings: Settings) -> DecisionLog:
    """The log that decisions go to.

    Raises:
        FerError: it cannot be opened.
    """
    return _log(place_of_log(settings))


def place_of_log(settings: Settings) -> str:
    """Path or SQLAlchemy URL of the log: what the settings name, or the project's."""
    return settings.db or opening.place_of_log(None, open_collection(settings).manifest)


@st.cache_resource(show_spinner=False, max_entries=1)
def _collection(manifest: str, audit: str | None) -> Collection:
    return opening.read_collection(manifest, audit)


@st.cache_resource(show_spinner=False, max_entries=1)
def _log(db: str) -> DecisionLog:
    return DecisionLog(db)
