"""Opens the faces and the decision log; without Streamlit, so that whoever starts the server can look at them too."""

from contextlib import closing
from pathlib import Path

from curation_app.collection import Collection
from curation_app.settings import Settings
from fer_data import manifest as manifests
from fer_data.decision_log import DecisionLog, default_log
from fer_data.manifest import Manifest


def read_collection(manifest: str, audit: str | None) -> Collection:
    """The faces under review.

    Raises:
        FerError: the manifest or a table of opinions cannot be opened.
    """
    return Collection(manifests.read(manifest), Path(audit) if audit else None)


def place_of_log(db: str | None, manifest: Manifest) -> str:
    """Path or SQLAlchemy URL of the log: the one that is named, or the project's."""
    return db or str(default_log(manifest))


def check(settings: Settings) -> str:
    """Open all that a server with these settings opens, and close it again; returns where decisions go.

    Raises:
        FerError: the manifest, the table of opinions or the log cannot be opened.
    """
    manifest = read_collection(settings.manifest, settings.audit).manifest
    with closing(DecisionLog(place_of_log(settings.db, manifest))) as log:
        return log.name
