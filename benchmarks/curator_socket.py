"""A reviewer without a browser: speaks Streamlit's websocket protocol, as the page does, and decides what it is sent.

It keeps an outbox as the page does: every message carries all that is not acknowledged, one message is on its way at a
time, and what the server does not acknowledge is sent again.
"""

import asyncio
import json
import time
import uuid
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect

_COMPONENT = "fer_review"
_SILENCE_S = 60


class SocketReviewer:
    """One session with the curator, reviewing a face at a time.

    Attributes:
        decided: what was decided, in order: (event id, row of the manifest, action, label).
        saved_ms: from each decision to the server's word that it is on the disk.
    """

    def __init__(self, url: str, name: str, queue: str = "suspected") -> None:
        self.name = name
        self._query = f"queue={queue}"
        self.decided: list[tuple[str, int, str, str | None]] = []
        self.saved_ms: list[float] = []
        self._url = url.replace("http", "ws", 1) + "/_stcore/stream"
        self._socket: ClientConnection | None = None
        self._states: dict[str, WidgetState] = {}
        self._page_hash = self._fragment = ""
        self._panel_id: str | None = None
        self._name_id: str | None = None
        self._data: dict[str, Any] = {}
        self._faces: dict[int, dict[str, Any]] = {}
        self._at: int | None = None
        self._outbox: list[dict[str, Any]] = []
        self._number = 0

    async def open(self) -> None:
        """Connect, sign with the name, and get the first faces."""
        self._socket = await connect(self._url, subprotocols=["streamlit"], max_size=None, compression=None)
        await self._run("")
        assert self._name_id is not None
        self._states[self._name_id] = WidgetState(id=self._name_id, string_value=self.name)
        await self._run("")
        self._take_in(self._data)
        self._at = self._data["at"]
        while len(self._faces) < 2 and self._data["more"]:
            await self._exchange()

    async def close(self) -> None:
        if self._socket is not None:
            await self._socket.close()

    async def decide(self, action: str, label: str | None = None) -> None:
        """Decide on the present face and wait until the decision is acknowledged."""
        face = self._faces[self._at]
        event = {
            "event_id": str(uuid.uuid4()),
            "action": action,
            "label": label,
            "row": face["row"],
            "pixel_sha256": face["pixel_sha256"],
            "elapsed_ms": 500,
            "batch": None,
            "queue": self._data["queue"]["name"],
            "blind": self._data["blind"],
            "note": None,
        }
        self._outbox.append(event)
        self.decided.append((event["event_id"], face["row"], action, label))
        started = time.perf_counter()
        done = {event["row"] for event in self._outbox}
        self._at = next(
            (one for one in self._data["ahead"] if one in self._faces and self._faces[one]["row"] not in done), None
        )
        while self._outbox:
            await self._exchange()
        self.saved_ms.append(1e3 * (time.perf_counter() - started))
        while self._at is None or self._data["more"]:
            await self._exchange()

    async def _exchange(self) -> None:
        """Send all that is not acknowledged, and take in the answer."""
        self._number += 1
        message = {
            "number": self._number,
            "who": self._data["who"],
            "round": self._data["round"],
            "outbox": self._outbox,
            "at": self._at,
            "held": list(self._faces),
            "find": None,
        }
        assert self._panel_id is not None
        self._states[self._panel_id] = WidgetState(id=self._panel_id, json_value=json.dumps({"message": message}))
        await self._run(self._fragment)
        self._take_in(self._data)

    def _take_in(self, data: dict[str, Any]) -> None:
        if data["refused"] or data["failed"]:
            raise RuntimeError(f"{self.name}: not saved: {data['refused'] or data['failed']}")
        gone = set(data["acknowledged"])
        self._outbox = [event for event in self._outbox if event["event_id"] not in gone]
        self._faces |= {int(place): face for place, face in data["faces"].items()}
        kept = {*data["keep"], self._at}
        self._faces = {place: face for place, face in self._faces.items() if place in kept}
        if self._at is None:
            self._at = next((place for place in data["ahead"] if place in self._faces), None)

    async def _run(self, fragment: str) -> None:
        """Let the server run the script, or a fragment of it, and read all that it answers."""
        state = ClientState(query_string=self._query, fragment_id=fragment, page_script_hash=self._page_hash)
        state.widget_states.widgets.extend(self._states.values())
        await self._socket.send(BackMsg(rerun_script=state).SerializeToString())
        async with asyncio.timeout(_SILENCE_S):
            while True:
                message = ForwardMsg.FromString(await self._socket.recv())
                kind = message.WhichOneof("type")
                if kind == "new_session":
                    self._page_hash = message.new_session.page_script_hash
                elif kind == "delta":
                    self._look(message)
                elif kind == "script_finished":
                    return

    def _look(self, message: ForwardMsg) -> None:
        element = message.delta.new_element
        kind = element.WhichOneof("type")
        if kind == "text_input" and element.text_input.label == "Reviewer":
            self._name_id = element.text_input.id
        elif kind == "bidi_component" and _COMPONENT in element.bidi_component.component_name:
            self._panel_id = element.bidi_component.id
            self._fragment = message.delta.fragment_id
            self._data = json.loads(element.bidi_component.json)
