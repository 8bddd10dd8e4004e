"""The server's process, seen from whoever starts it."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ENDING_SECONDS = 5


def begin() -> "subprocess.Popen[str]":
    """Start a server. It imports its modules, waits for its orders, and ends when the process that started it does."""
    paths = [str(Path(__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        [sys.executable, "-m", "curation_app.server"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,  # a terminal's Ctrl-C goes to whoever started the server, who ends it
    )


def order(process: "subprocess.Popen[str]", orders: Mapping[str, Any]) -> None:
    """Tell a server what to serve."""
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(orders), file=process.stdin, flush=True)  # the pipe stays open


def serves(process: "subprocess.Popen[str]") -> bool:
    """Wait for a server's word that it answers; false where it ended without one."""
    return bool(next(iter(process.stdout or ()), ""))


def stop(process: "subprocess.Popen[str]") -> None:
    """End a server; decisions are on the disk already."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
