"""Streamlit's own files are answered as they are; whatever else is asked for is the application's."""

import asyncio
from pathlib import Path

import pytest
import streamlit

from curation_app.page_files import PageFiles

ROOT = Path(streamlit.__file__).parent / "static"


def ask(path, method="GET", kind="http"):
    """What `PageFiles` sends; "passed on" where the application behind it was asked."""
    sent = []

    async def application(scope, receive, send):
        sent.append("passed on")

    async def send(message):
        sent.append(message)

    asyncio.run(PageFiles(application)({"type": kind, "path": path, "method": method}, None, send))
    return sent


@pytest.mark.parametrize("ending", ["js", "css", "woff2"])
def test_scripts_styles_and_fonts_are_sent_as_they_lie_there(ending):
    files = sorted((ROOT / "static").rglob(f"*.{ending}"))
    assert files
    for path in files[:3]:
        start, body = ask(f"/{path.relative_to(ROOT).as_posix()}")
        headers = dict(start["headers"])
        assert start["status"] == 200 and body["body"] == path.read_bytes()
        assert int(headers[b"content-length"]) == len(body["body"])
        assert headers[b"cache-control"] == b"public, immutable, max-age=31536000"
        assert ending != "js" or headers[b"content-type"].endswith(b"javascript")


@pytest.mark.parametrize(
    "path",
    ["/", "/static", "/static/", "/static/js", "/static/../index.html", "/index.html", "/static/js/none.js"],
)
def test_everything_else_is_the_applications(path):
    assert ask(path) == ["passed on"]


def test_other_methods_and_sockets_are_the_applications():
    script = next((ROOT / "static/js").glob("*.js"))
    path = f"/static/js/{script.name}"
    assert ask(path, "HEAD") == ask(path, kind="websocket") == ["passed on"]
