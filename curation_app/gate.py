"""What the server answers, and to whom, before Streamlit sees a request.

The curator needs few of Streamlit's routes; the others are closed. The headers forbid the browser to load anything
from elsewhere, to run code that was written into the page, to show the page inside another, and to keep what it got.
"""

import base64
import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import streamlit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_CLOSED = re.compile(
    r"/(?:component|app/static|_stcore/(?:upload_file|bidi-components|agent|metrics|script-health-check))(?:/|$)"
)
_METHODS = ("GET", "HEAD")
_PAGE_SETTINGS = "/_stcore/host-config"
_SETTINGS = {
    # Streamlit would lay a box over the page and shut it off while the line is cut; the page says itself what is not
    # saved, and can be used meanwhile.
    "blockErrorDialogs": True,
    "allowedOrigins": [],  # of pages that may hold this one: none may
    "useExternalAuthToken": False,
    "enableCustomParentMessages": False,
    "enforceDownloadInNewTab": False,
    "metricsUrl": "",
}
_INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


class Gate:
    """ASGI middleware: refuses other hosts, other origins, other routes and other methods, and adds the headers."""

    def __init__(self, app: Application, hosts: Iterable[str], url: str) -> None:
        """Guard `app`.

        Args:
            hosts: names under which this server may be asked; none means any. Another name is a page elsewhere that
                points its own name at this machine (DNS rebinding).
            url: the page as browsers see it, should a proxy in front of the server change the Host header.
        """
        self._app = app
        self._hosts = frozenset(hosts)
        self._origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        self._headers = [(name.encode(), value.encode()) for name, value in _headers().items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        status = self._refusal(scope)
        if status and scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        elif status:
            await self._answer(status, b"text/plain", b"refused", send)
        elif scope["type"] == "http" and scope["path"] == _PAGE_SETTINGS:
            await self._answer(200, b"application/json", json.dumps(_SETTINGS).encode(), send)
        else:
            await self._app(scope, receive, self._with_headers(scope, send))

    def _refusal(self, scope: Scope) -> int | None:
        """The HTTP status to refuse a request with, or None."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"] if name in (b"host", b"origin")}
        host, origin = headers.get(b"host", ""), headers.get(b"origin")
        if self._hosts and _host_name(host) not in self._hosts:
            return 403
        if scope["type"] == "websocket":
            return None if origin in (None, self._origin, f"http://{host}", f"https://{host}") else 403
        if scope["method"] not in _METHODS:
            return 405
        return 404 if _CLOSED.match(scope["path"]) else None

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        kept = scope["path"].startswith("/static/")  # Streamlit's own scripts and fonts; they hold no face

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), *self._headers]
                if not kept:
                    headers = [(name, value) for name, value in headers if name.lower() != b"cache-control"]
                    headers.append((b"cache-control", b"no-store"))
                message = {**message, "headers": headers}
            await send(message)

        return send_with_headers

    async def _answer(self, status: int, kind: bytes, body: bytes, send: Send) -> None:
        headers = [(b"content-type", kind), (b"cache-control", b"no-store"), *self._headers]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _host_name(host: str) -> str | None:
    """The name in a Host header, without its port; None where it is none."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _headers() -> dict[str, str]:
    index = (Path(streamlit.__file__).parent / "static/index.html").read_text(encoding="utf-8")
    own = [f"'sha256-{_digest(script)}'" for script in _INLINE_SCRIPT.findall(index)]
    policy = {
        "default-src": "'self'",
        # Components are modules from blobs; charts compile their expressions.
        "script-src": " ".join(["'self'", "blob:", "'unsafe-eval'", *own]),
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "worker-src": "'self' blob:",
        "connect-src": "'self'",
        "object-src": "'none'",
        "base-uri": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    return {
        "content-security-policy": "; ".join(f"{name} {sources}" for name, sources in policy.items()),
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
