"""Starts the app: on this machine only, without telemetry, without a browser being opened or an e-mail asked for."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from curation_app.collection import Collection
from curation_app.settings import Settings
from fer_data import manifest as manifests
from fer_data.decision_log import DecisionLog, default_log
from fer_data.errors import FerError

HOST = "127.0.0.1"
FIRST_PORT = 8501
START_SECONDS = 60

OPTIONS = (
    f"--server.address={HOST}",
    "--server.headless=true",  # no browser, no e-mail prompt
    "--server.fileWatcherType=none",
    "--server.enableXsrfProtection=true",
    "--server.enableCORS=true",
    "--server.enableStaticServing=false",
    "--browser.gatherUsageStats=false",
    "--client.toolbarMode=minimal",
    "--client.showErrorDetails=type",
    "--logger.level=warning",
    "--theme.base=light",
    "--theme.primaryColor=#2b6cb0",
)


def launch(
    manifest: str | Path,
    audit: str | Path | None = None,
    db: str | Path | None = None,
    port: int | None = None,
    *,
    tell: Callable[[str], object] = print,
    **settings: object,
) -> int:
    """Serve the curator until it is interrupted.

    Args:
        manifest: the manifest to review.
        audit: table of a model's opinions on it (`fer audit`).
        db: SQLite file or SQLAlchemy URL of the decision log; None means the project's.
        port: port on 127.0.0.1; None takes the first free one from FIRST_PORT on.
        tell: where the URL and the place of the decisions are told.
        settings: further fields of `curation_app.settings.Settings`: reviewer, queue, mode, blind, page_faces.

    Returns:
        The server's exit status; 0 after Ctrl-C.

    Raises:
        FerError: the manifest, the audit or the log cannot be opened, a port is taken, or the server fails.
    """
    opened = manifests.read(manifest)
    place = str(db) if db is not None else str(default_log(opened))
    Collection(opened, Path(audit) if audit else None)  # what is wrong is told here, not in the browser
    log = DecisionLog(place)
    log.close()
    resolved = Settings(
        manifest=str(opened.path),
        audit=str(Path(audit).resolve()) if audit else None,
        db=place if "://" in place else str(Path(place).resolve()),
        **settings,
    )
    port = _free_port() if port is None else _require_free(port)
    process = start(resolved, port)
    # A terminal sends Ctrl-C to the server too; a service manager stops only this process.
    previous = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        tell(f"curator at http://{HOST}:{port}   decisions: {log.name}   (Ctrl-C stops; nothing is lost)")
        return process.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        signal.signal(signal.SIGTERM, previous)
        stop(process)


def start(settings: Settings, port: int) -> "subprocess.Popen[bytes]":
    """Start the server and return once it answers.

    Raises:
        FerError: it ended, or did not answer within START_SECONDS.
    """
    app = Path(__file__).with_name("app.py")
    package_root = str(app.parent.parent)
    paths = [package_root, *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(app), *OPTIONS, f"--server.port={port}"],
        env={**os.environ, **settings.environment(), "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(f"http://{HOST}:{port}/_stcore/health", timeout=2).close()
            return process
        time.sleep(0.1)
    stop(process)
    raise FerError(
        f"the curator did not start on {HOST}:{port} (exit status {process.returncode}); what it said is above, "
        "another --port may help"
    )


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End the server; decisions are on the disk already."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    for port in range(FIRST_PORT, FIRST_PORT + 100):
        if _is_free(port):
            return port
    raise FerError(f"no port from {FIRST_PORT} to {FIRST_PORT + 99} is free on {HOST}; name one with --port")


def _require_free(port: int) -> int:
    if not _is_free(port):
        raise FerError(f"port {port} on {HOST} is taken; name another with --port, or leave it out")
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
