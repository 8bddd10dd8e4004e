"""The curator under measurement: a real `fer curate` in processes of its own, that can be killed and started again."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Faces:
    """What is reviewed: a manifest, and the audit whose worst labels come first."""

    manifest: Path
    audit: Path | None

    @classmethod
    def of(cls, manifest: Path, audit: Path | None = None) -> "Faces":
        """A manifest with the audit that is named, or with the one that `fer audit` wrote for it."""
        path = manifest.with_suffix(".parquet").resolve()
        usual = path.parent.parent / f"audit/{path.stem}.parquet"
        return cls(path, audit.resolve() if audit else usual if usual.is_file() else None)


class CuratorServer:
    """`fer curate` on one port and one decision log, for as many starts as it takes.

    Attributes:
        port: where it listens.
        log: the SQLite file that decisions go to.
    """

    def __init__(self, faces: Faces, log: Path, reviewer: str = "") -> None:
        self.faces, self.log, self.reviewer = faces, log, reviewer
        self.port = free_port()
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def start(self) -> float:
        """Start it; returns the seconds until it said where it is."""
        command = [sys.executable, "-m", "fer_cli", "curate", self.faces.manifest, "--decisions", self.log]
        command += ["--port", self.port]
        command += ["--audit", self.faces.audit] if self.faces.audit else []
        command += ["--reviewer", self.reviewer] if self.reviewer else []
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends this program ends the server with it
        started = time.perf_counter()
        self._process = subprocess.Popen(
            [str(part) for part in command],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        told = self._process.stdout.readline()
        if "curator at" not in told:
            raise RuntimeError(f"fer curate did not start; it said {told!r}")
        return time.perf_counter() - started

    def kill(self) -> None:
        """End all its processes as a power failure would: SIGKILL, no word before."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._forget()

    def stop(self) -> None:
        """End it as a service manager does."""
        if self._process is not None:
            self._process.terminate()
            self._forget()

    def memory_mb(self) -> float:
        """Memory of its processes, megabytes, without the pages of mapped files, which the kernel drops at any time."""
        pages = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self._pids()]
        lines = [line for text in pages for line in text.splitlines() if line.startswith("Pss_Anon:")]
        return sum(int(line.split()[1]) for line in lines) * 1024 / 1e6

    def _pids(self) -> list[int]:
        assert self._process is not None
        found = [self._process.pid]
        for pid in found:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
            found += [int(child) for child in children.split()]
        return found

    def _forget(self) -> None:
        assert self._process is not None
        self._process.wait()
        self._process.stdout.close()
        self._process = None


@contextmanager
def serving(faces: Faces, log: Path, reviewer: str = "") -> Iterator[CuratorServer]:
    """A started curator, stopped at the end whatever happens."""
    server = CuratorServer(faces, log, reviewer)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
