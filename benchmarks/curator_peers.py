"""The same 500 relabelings by a script, here and in other tools: how fast, in how much memory, what a kill loses.

    python benchmarks/curator_peers.py [--label-studio PYTHON] [--lightly-studio PYTHON] [--quick] [--out FILE]

PYTHON is the interpreter of an environment with that tool (`python -m venv X && X/bin/pip install label-studio`); a
tool that is not named is left out. In each tool one reviewer gets a face with its picture and decides, one after the
other, through the interface that the tool's own page uses, each decision acknowledged before the next face: here the
websocket, whose answer brings the faces ahead and what is known of them, there the HTTP API (programs in `peers/`).
The pictures are drawn faces. After the last acknowledgement the server is killed with SIGKILL, started again, and what
it then knows is compared with what it acknowledged. Memory is that of all its processes after the last decision,
without the pages of mapped files.
FiftyOne is not among them: it needs a MongoDB server, which its package fetches from outside the package index.
"""

import argparse
import asyncio
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from curator_log import LogReader
from curator_server import Faces, serving
from curator_socket import SocketReviewer
from measuring import figure, keep, tell
from million_faces import make_faces
from PIL import Image

from fer_data import manifest as manifests
from fer_data.expressions import BASIC7

BENCH = "curator_peers"
WHO = "scripted"
PEERS = Path(__file__).parent / "peers"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--label-studio", type=Path, metavar="PYTHON")
    parser.add_argument("--lightly-studio", type=Path, metavar="PYTHON")
    parser.add_argument("--quick", action="store_true", help="50 relabelings")
    parser.add_argument("--out", type=Path, help="also write the lines to this file")
    arguments = parser.parse_args()
    count = 50 if arguments.quick else 500
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = make_faces(folder / "drawn", 5 * count)
        own = asyncio.run(relabel(Faces.of(made.path), folder / "decisions.sqlite", count))
        pictures = write_pictures(made, folder / "pictures", count)
        others = {
            program: python
            for program, python in (
                ("label_studio_relabel.py", arguments.label_studio),
                ("lightly_studio_relabel.py", arguments.lightly_studio),
            )
            if python is not None
        }
        for program, python in others.items():
            compare(lines, own, run_peer(python, program, pictures))
        if not others:
            compare(lines, own, None)
    keep(lines, arguments.out)


def compare(lines: list[str], own: dict[str, Any], peer: dict[str, Any] | None) -> None:
    """The curator's figures beside those of one other tool."""
    name = None if peer is None else f"{peer['tool']} {peer['version']}"
    for key, words, unit in (
        ("decisions_a_minute", "relabelings a minute by a script", "1/min"),
        ("memory_mb", "memory of the server afterwards", "MB"),
        ("lost", "acknowledged relabelings lost by kill -9", "decisions"),
    ):
        theirs = [] if peer is None else [peer[key]]
        ratio = own[key] / peer[key] if peer is not None and peer[key] else None
        facts: dict[str, Any] = {"peer": name, "peer_values": theirs, "ratio": ratio}
        tell(lines, figure(BENCH, words, [own[key]], unit, n=own["decisions"], digits=1, **facts))


async def relabel(faces: Faces, log: Path, count: int) -> dict[str, Any]:
    """Relabel so many faces in the curator, kill it, and read the log."""
    with serving(faces, log) as server:
        reviewer = SocketReviewer(server.url, WHO, "all")
        await reviewer.open()
        started = time.perf_counter()
        for number in range(count):
            await reviewer.decide("relabel", BASIC7[number % len(BASIC7)])
        seconds, memory = time.perf_counter() - started, server.memory_mb()
        server.kill()
    decided = [(row, (action, label)) for _, row, action, label in reviewer.decided]
    kept = LogReader(faces.manifest).compare(log, {WHO: decided})
    return {
        "decisions": count,
        "decisions_a_minute": 60 * count / seconds,
        "memory_mb": memory,
        "lost": kept.lost + kept.changed,
    }


def write_pictures(made: manifests.Manifest, folder: Path, count: int) -> Path:
    """The faces as files, as the other tools take them."""
    folder.mkdir()
    for number, picture in enumerate(made.pictures(48, 1)[:count]):
        Image.fromarray(picture[0]).save(folder / f"{number:04d}.png")
    return folder


def run_peer(python: Path, program: str, pictures: Path) -> dict[str, Any]:
    """What the program of another tool measured."""
    command = [str(python.absolute()), str(PEERS / program), str(pictures), *BASIC7]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
