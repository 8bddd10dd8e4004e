"""What every page looks at, opened once for the whole server: the faces and the decision log."""

from pathlib import Path

import streamlit as st

from curation_app.collection import Collection
from curation_app.settings import Settings
from fer_data import manifest as manifests
from fer_data.decision_log import DecisionLog, default_log


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
    return settings.db or str(default_log(open_collection(settings).manifest))


@st.cache_resource(show_spinner=False, max_entries=1)
def _collection(manifest: str, audit: str | None) -> Collection:
    return Collection(manifests.read(manifest), Path(audit) if audit else None)


@st.cache_resource(show_spinner=False, max_entries=1)
def _log(db: str) -> DecisionLog:
    return DecisionLog(db)
