"""Starts the curator: on this machine only, unless reviewers sign in or the user insists."""

import contextlib
import importlib.util
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from curation_app.process import begin, order, serves, stop
from curation_app.settings import Settings
from curation_app.team import LOOPBACK, Team, read_client_secret, read_team, sign_in_secrets
from fer_data.errors import FerError

HOST = LOOPBACK[0]
FIRST_PORT = 8501


def launch(
    manifest: str | Path,
    audit: str | Path | None = None,
    db: str | Path | None = None,
    port: int | None = None,
    *,
    host: str = HOST,
    oidc: str | Path | None = None,
    insecure_public: bool = False,
    tell: Callable[[str], object] = print,
    server: "subprocess.Popen[str] | None" = None,
    **settings: Any,
) -> int:
    """Serve the curator until it is interrupted.

    Args:
        manifest: the manifest to review.
        audit: table of a model's opinions on it (`fer audit`).
        db: SQLite file or SQLAlchemy URL of the decision log; None means the project's.
        port: port to listen on; None takes the first free one from FIRST_PORT on.
        host: address to listen on.
        oidc: file that says where a team signs in and who belongs to it (`curation_app.team.Team`).
        insecure_public: listen on another address than this machine's although nobody signs in.
        tell: where the URL and the place of the decisions are told.
        server: one that has begun (`process.begin`) and waits for its orders; None begins one.
        settings: further fields of `curation_app.settings.Settings`: reviewer, queue, mode, blind, page_faces.

    Returns:
        The server's exit status; 0 after Ctrl-C.

    Raises:
        FerError: the manifest, the audit, the log or the team's file cannot be opened, a port is taken, the address
            is open to others without a sign-in, or the server fails.
    """
    team = None if oidc is None else _read_team(oidc)
    local = is_loopback(host)
    if not (local or team or insecure_public):
        raise FerError(
            f"--host {host}: everybody who reaches this machine could see the faces and decide; let reviewers sign in "
            "(--oidc FILE), or insist with --insecure-public"
        )
    port = _free_port(host) if port is None else _require_free(host, port)
    resolved = Settings(
        manifest=str(Path(manifest).resolve()),
        audit=str(Path(audit).resolve()) if audit else None,
        db=None if db is None else str(db) if "://" in str(db) else str(Path(db).resolve()),
        team=team,
        team_file=None if oidc is None else str(Path(oidc).resolve()),
        public=not (local or team),
        **settings,
    )
    process = server or begin()
    decisions = _start(process, resolved, port, host)
    previous = signal.signal(signal.SIGTERM, lambda *_: process.terminate())  # what a service manager does
    try:
        tell(f"curator at {page_url(resolved, port, host)}   decisions: {decisions}   (Ctrl-C stops; nothing is lost)")
        return process.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        signal.signal(signal.SIGTERM, previous)
        with _undisturbed():
            stop(process)


def start(settings: Settings, port: int, host: str = HOST) -> "subprocess.Popen[str]":
    """Start the server and return once it answers. It ends when the process that started it does.

    Raises:
        FerError: it refused, or ended before it answered.
    """
    process = begin()
    _start(process, settings, port, host)
    return process


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    return host in LOOPBACK or host.startswith("127.")


def page_url(settings: Settings, port: int, host: str = HOST) -> str:
    """Where reviewers find the page."""
    if settings.team is not None:
        return settings.team.page_url(port)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def orders(settings: Settings, port: int, host: str) -> dict[str, Any]:
    """What the server is told; `curation_app.server` reads it."""
    url = page_url(settings, port, host)
    secrets = {}
    if settings.team is not None:
        secrets = {"auth": sign_in_secrets(settings.team, read_client_secret(settings.team), port)}
    names = {*LOOPBACK, host, urlsplit(url).hostname}
    return {
        "settings": settings.model_dump(mode="json"),
        "secrets": secrets,
        "hosts": [] if settings.public else sorted(names - {"0.0.0.0", "::"}),
        "url": url,
        "host": host,
        "port": port,
    }


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """One Ctrl-C is enough: another one meanwhile does nothing."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _read_team(file: str | Path) -> Team:
    if importlib.util.find_spec("authlib") is None:
        raise FerError(f"--oidc {file}: Authlib is not installed; pip install 'fer-data-studio[team]'")
    return read_team(file)


def _start(process: "subprocess.Popen[str]", settings: Settings, port: int, host: str) -> str:
    """Tell a server what to serve, and look at it while the server gets ready; returns where decisions go."""
    order(process, orders(settings, port, host))
    from curation_app.opening import check  # half a second of imports, while the server gets ready

    try:
        place = check(settings)
    except FerError:
        stop(process)
        raise
    if serves(process):
        return place
    process.wait()
    stop(process)
    raise FerError(
        f"the curator did not start on {host}:{port} (exit status {process.returncode}); what it said is above, "
        "another --port may help"
    )


def _free_port(host: str) -> int:
    for port in range(FIRST_PORT, FIRST_PORT + 100):
        if _is_free(host, port):
            return port
    raise FerError(f"no port from {FIRST_PORT} to {FIRST_PORT + 99} is free on {host}; name one with --port")


def _require_free(host: str, port: int) -> int:
    if not _is_free(host, port):
        raise FerError(f"port {port} on {host} is taken or not ours; name another with --port, or leave it out")
    return port


def _is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True
