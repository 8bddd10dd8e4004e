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


def order(process: "subprocess.Popen[str]", orders: Mapping[str, Any]) -> dict[str, str]:
    """Tell a server what to serve, and wait for its answer.

    Returns:
        `decisions`: where they go; or `refused`: why it does not serve; or nothing, where it ended without a word.
    """
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(orders), file=process.stdin, flush=True)  # the pipe stays open
    line = next(iter(process.stdout or ()), "")
    said: dict[str, str] = json.loads(line) if line else {}
    return said


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
