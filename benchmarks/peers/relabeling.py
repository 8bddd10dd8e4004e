"""What the other sides of benchmarks/curator_peers.py share: a server that can be killed, and requests to it.

Only the standard library: these programs run in the environments of the tools that they measure.
"""

import atexit
import base64
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"


class Server:
    """A tool's server in processes of its own."""

    def __init__(self, command: Sequence[str], port: int, environment: Mapping[str, str], log: Path) -> None:
        self.url = f"http://{HOST}:{port}"
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                command, stdout=file, stderr=file, start_new_session=True, env={**os.environ, **environment}
            )
        atexit.register(self.kill)

    def wait(self, path: str, headers: Mapping[str, str] | None = None, seconds: float = 300) -> None:
        """Wait until it answers a request.

        Raises:
            RuntimeError: it ended, or did not answer in time.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until and self._process.poll() is None:
            try:
                self.ask("GET", path, headers=headers)
                return
            except (OSError, urllib.error.URLError):
                time.sleep(0.5)
        raise RuntimeError(f"no answer from {self.url}{path} after {seconds:g} s")

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        """Send a request and read the JSON answer."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=dict(headers or {}))
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=300) as answer:
            text = answer.read()
        return json.loads(text) if text and text[:1] in b'[{"' else None

    def kill(self) -> None:
        """SIGKILL to all its processes, if it still runs."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def memory_mb(self) -> float:
        """Memory of its processes, megabytes, without the pages of mapped files."""
        pids = [self._process.pid]
        for pid in pids:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
            pids += [int(child) for child in children.split()]
        texts = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
        lines = [line for text in texts for line in text.splitlines() if line.startswith("Pss_Anon:")]
        return sum(int(line.split()[1]) for line in lines) * 1024 / 1e6


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def pictures(folder: Path) -> list[Path]:
    """The pictures to relabel, in the order of their names."""
    return sorted(folder.glob("*.png"))


def data_uri(picture: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()


def tell(tool: str, version: str, count: int, seconds: float, memory_mb: float, lost: int) -> None:
    """Print what was measured, one JSON object."""
    print(
        json.dumps(
            {
                "tool": tool,
                "version": version,
                "decisions": count,
                "decisions_a_minute": round(60 * count / seconds, 1),
                "memory_mb": round(memory_mb, 1),
                "lost": lost,
            }
        )
    )
