"""Streamlit's own scripts, styles and fonts, answered at once.

The first page asks for a hundred of them. Streamlit hands each to several threads in turn, which have to wait for
each other and for whatever else the server does in Python; the files are small and in the machine's memory, so that
reading one costs less than one such hand-over.
"""

import mimetypes
from pathlib import Path

import streamlit

from curation_app.gate import Application, Receive, Scope, Send

_ROOT = Path(streamlit.__file__).parent / "static"
_KEPT = (b"cache-control", b"public, immutable, max-age=31536000")  # their names change when they do


class PageFiles:
    """ASGI middleware: answers what is asked of `/static/` and is there; everything else is the application's."""

    def __init__(self, app: Application) -> None:
        self._app = app
        files = (path for path in (_ROOT / "static").rglob("*") if path.is_file())
        self._files = {f"/{path.relative_to(_ROOT).as_posix()}": path for path in files}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = self._files.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "GET" else None
        if path is None:
            await self._app(scope, receive, send)
            return
        content = path.read_bytes()
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(content)).encode()), _KEPT]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})
