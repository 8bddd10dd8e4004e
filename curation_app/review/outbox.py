"""Events as the browser sends them, checked before they may become decisions: what comes from outside is hostile."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from curation_app.collection import Collection, Face
from curation_app.review.journal import Entry
from fer_data.decision_log import Decision, utc_now
from fer_data.errors import FerError

_Id = Annotated[str, Field(min_length=8, max_length=64, pattern="^[0-9A-Za-z-]+$")]
_Word = Annotated[str, Field(max_length=200)]


class SentEvent(BaseModel):
    """One event of the browser's outbox.

    Attributes:
        event_id: made in the browser, so that sending it again does not double it.
        row: the face's row in the open manifest; not its name, which in class folders tells the label. None of an undo.
        pixel_sha256: the picture that was on the screen; empty of an undo.
        undoes: event id of the decision that an undo takes back.
        elapsed_ms: how long it was on the screen, milliseconds; of a page, the share of each face.
        batch: the same for all decisions of one step on a page.
        blind: whether label and opinion were hidden.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    event_id: _Id
    action: Literal["keep", "relabel", "drop", "unsure", "accept", "reject", "undo"]
    row: Annotated[int, Field(ge=0)] | None = None
    pixel_sha256: Annotated[str, Field(max_length=64)] = ""
    label: _Word | None = None
    undoes: _Id | None = None
    note: Annotated[str, Field(max_length=2000)] | None = None
    elapsed_ms: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    batch: _Id | None = None
    queue: _Word = ""
    blind: bool = False


@dataclass
class Receipt:
    """What became of an outbox.

    Attributes:
        acknowledged: ids of events that are in the log, on the disk.
        refused: ids of events that can never be saved, and why.
        failed: why the rest could not be saved now, or None.
    """

    acknowledged: list[str] = field(default_factory=list)
    refused: list[dict[str, str]] = field(default_factory=list)
    failed: str | None = None

    def refuse(self, event_id: str, why: str) -> None:
        """Note that an event can never be saved."""
        self.refused.append({"event_id": event_id, "why": why})


def read_event(sent: Any) -> SentEvent:
    """Check the form of one event.

    Raises:
        FerError: it is none.
    """
    try:
        return SentEvent.model_validate(sent)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "event"
        raise FerError(f"decision from the page: {where}: {first['msg']}; reload the page and decide again") from None


def event_id_of(sent: Any) -> str:
    """The id of whatever was sent, "" where it has none."""
    return str(sent.get("event_id", ""))[:64] if isinstance(sent, dict) else ""


def decision_of(sent: SentEvent, collection: Collection, reviewer: str) -> Decision:
    """The decision that an event (no undo) stands for, with what was shown taken from the collection.

    Raises:
        FerError: the face is not in the manifest, or it is another picture.
    """
    face = _face_of(sent, collection)
    if sent.label is not None and sent.label not in collection.labels:
        raise FerError(f"decision on {face.sample_id}: expected one of {', '.join(collection.labels)}; decide again")
    shown: dict[str, Any] = {"label": face.label, "suggestion": face.suggestion, "blind": sent.blind}
    return Decision(
        event_id=sent.event_id,
        sample_id=face.sample_id,
        pixel_sha256=face.pixel_sha256,
        manifest_sha256=collection.manifest.sha256,
        action=sent.action,
        reviewer=reviewer,
        time=utc_now(),
        label=sent.label,
        elapsed_ms=sent.elapsed_ms,
        queue=sent.queue,
        shown=shown if sent.batch is None else {**shown, "batch": sent.batch},
        note=(sent.note or "").strip() or None,
    )


def undo_of_entry(sent: SentEvent, target: Entry, collection: Collection, reviewer: str) -> Decision:
    """The event that takes a decision back, whichever manifest it was made on."""
    return Decision(
        event_id=sent.event_id,
        sample_id=target.sample_id,
        pixel_sha256=target.pixel_sha256,
        manifest_sha256=collection.manifest.sha256,
        action="undo",
        reviewer=reviewer,
        time=utc_now(),
        undoes=target.event_id,
        queue=sent.queue,
    )


def _face_of(sent: SentEvent, collection: Collection) -> Face:
    face = collection.face(sent.row) if sent.row is not None and sent.row < len(collection) else None
    if face is None or face.pixel_sha256 != sent.pixel_sha256:
        raise FerError(
            f"decision {sent.event_id}: the manifest's row {sent.row} holds another picture than was decided on; "
            "reload the page and decide again"
        )
    return face
