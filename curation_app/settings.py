"""What the command tells the app: written into the environment by `launch`, read by `app.py`."""

import json
import os
from typing import Literal

from fer_data.configuration import Configuration, build
from fer_data.errors import FerError

VARIABLE = "FER_CURATOR"  # not the command line: a database URL may hold a password, and `ps` shows arguments


class Settings(Configuration):
    """What to review and who reviews it.

    Attributes:
        manifest: path of the manifest.
        audit: path of a table with a model's opinions (kind `label_audit`), or None.
        db: path of the decision log's SQLite file, or a SQLAlchemy URL.
        reviewer: name that decisions are signed with until the reviewer writes another.
        queue: name of the queue to begin with; None takes the first that has faces.
        mode: one face at a time, or a page of them.
        blind: hide the given label and the model's opinion.
        page_faces: faces on a page.
    """

    manifest: str
    audit: str | None = None
    db: str
    reviewer: str = ""
    queue: str | None = None
    mode: Literal["single", "page"] = "single"
    blind: bool = False
    page_faces: int = 40

    def environment(self) -> dict[str, str]:
        """The environment variable that carries these settings to the app."""
        return {VARIABLE: self.model_dump_json()}


def from_environment() -> Settings:
    """The settings that `launch` left.

    Raises:
        FerError: there are none: the app was not started by `launch`.
    """
    if VARIABLE not in os.environ:
        raise FerError("the curator was started without a manifest; start it with: fer curate MANIFEST")
    return build(Settings, json.loads(os.environ[VARIABLE]), "curator settings")
