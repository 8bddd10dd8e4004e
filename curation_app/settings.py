"""What the command tells the app: handed to the server by `launch`, read by the pages."""

import json
import os
from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from curation_app.team import Team
from fer_data.configuration import Configuration, build
from fer_data.errors import FerError

# The server's own environment, set after it began: neither `ps` nor /proc shows it, and a database URL may hold a
# password.
VARIABLE = "FER_CURATOR"


class Preferences(Configuration):
    """What a user may set for the page (`fer curate --config`, `--set`).

    Attributes:
        queue: name of the queue to begin with; None takes the first that has faces.
        mode: one face at a time, or a page of them.
        blind: hide the given label and the model's opinion.
        page_faces: faces on a page.
        keys: action or label → key, as browsers name it ("b", "ArrowUp"); what is left out keeps its default.
    """

    queue: str | None = None
    mode: Literal["single", "page"] = "single"
    blind: bool = False
    page_faces: int = Field(default=64, ge=1, le=400)
    keys: dict[str, str] = {}


class Settings(Preferences):
    """What to review and who reviews it.

    Attributes:
        manifest: path of the manifest.
        audit: path of a table with a model's opinions (kind `label_audit`), or None.
        db: path of the decision log's SQLite file, or a SQLAlchemy URL; None means the project's log.
        reviewer: name that decisions are signed with until the reviewer writes another; without sign-in only.
        team: who may sign in and what they may do; None means nobody signs in.
        team_file: where that was read; the lists of members are read again when it changes.
        public: without sign-in, whoever reaches this machine over the network sees the faces and decides.
    """

    manifest: str
    audit: str | None = None
    db: str | None = Field(default=None, repr=False)  # may hold a password
    reviewer: str = ""
    team: Team | None = None
    team_file: str | None = None
    public: bool = False

    def environment(self) -> dict[str, str]:
        """The environment variable that carries these settings to the pages."""
        return {VARIABLE: self.model_dump_json()}


def from_environment() -> Settings:
    """The settings that `launch` left.

    Raises:
        FerError: there are none: the app was not started by `launch`.
    """
    if VARIABLE not in os.environ:
        raise FerError("the curator was started without a manifest; start it with: fer curate MANIFEST")
    return build(Settings, json.loads(os.environ[VARIABLE]), "curator settings")


def without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` as a program that a page starts may have it: without what only the server may know."""
    return {name: value for name, value in environment.items() if name != VARIABLE}
