"""The other side of benchmarks/curator_peers.py: Label Studio relabels the same faces through its own HTTP API.

    python label_studio_relabel.py PICTURES LABEL [LABEL …]

Run in an environment that has `label-studio`. As its documentation has it (labelstud.io, version 1.23): `label-studio
start` with its SQLite database, one task per picture (data URIs). As its page does for a reviewer who labels all tasks:
`GET /api/projects/<id>/next/` for a face, its picture within, and `POST /api/tasks/<id>/annotations/` for the decision,
one after the other. Then SIGKILL, a new start, and the export is compared with what was answered. Prints one JSON
object.
"""

import argparse
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from relabeling import HOST, Server, data_uri, free_port, pictures, tell

TOKEN = "0123456789abcdef0123456789abcdef01234567"
HEADERS = {"Authorization": f"Token {TOKEN}"}
CONFIG = """<View><Image name="face" value="$image"/><Choices name="label" toName="face">{}</Choices></View>"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("labels", nargs="+")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = start(Path(folder))
        project = make_project(server, arguments.labels)
        server.ask("POST", f"/api/projects/{project}/import",
                   [{"image": data_uri(picture)} for picture in pictures(arguments.pictures)], HEADERS)  # fmt: skip
        wanted: dict[int, str] = {}
        started = time.perf_counter()
        for number in range(len(pictures(arguments.pictures))):
            task = server.ask("GET", f"/api/projects/{project}/next/", headers=HEADERS)["id"]
            label = arguments.labels[number % len(arguments.labels)]
            choice = {"from_name": "label", "to_name": "face", "type": "choices", "value": {"choices": [label]}}
            server.ask("POST", f"/api/tasks/{task}/annotations/", {"result": [choice]}, HEADERS)
            wanted[task] = label
        seconds, memory = time.perf_counter() - started, server.memory_mb()
        server.kill()
        server = start(Path(folder))
        found = {one["id"]: labels_of(one) for one in export(server, project)}
        server.kill()
    lost = sum(found.get(task) != [label] for task, label in wanted.items())
    tell("Label Studio", version("label-studio"), len(wanted), seconds, memory, lost)


def start(folder: Path) -> Server:
    """Start it on a data folder and wait until it answers."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("label-studio")), "start", "--no-browser", "--port", str(port)]
    command += ["--internal-host", HOST, "--data-dir", str(folder), "--username", "reviewer@example.org"]
    command += ["--password", "not-a-secret", "--user-token", TOKEN, "--enable-legacy-api-token"]
    server = Server(command, port, {"COLLECT_ANALYTICS": "false", "LATEST_VERSION_CHECK": "false"}, folder / "log")
    server.wait("/api/projects", HEADERS)
    return server


def make_project(server: Server, labels: list[str]) -> int:
    choices = "".join(f'<Choice value="{label}"/>' for label in labels)
    made = server.ask("POST", "/api/projects", {"title": "faces", "label_config": CONFIG.format(choices)}, HEADERS)
    return int(made["id"])


def export(server: Server, project: int) -> list[dict[str, Any]]:
    """All tasks with their annotations."""
    path = f"/api/projects/{project}/export?exportType=JSON&download_all_tasks=true"
    return list(server.ask("GET", path, headers=HEADERS))


def labels_of(task: dict[str, Any]) -> list[str]:
    return [one["result"][0]["value"]["choices"][0] for one in task["annotations"]]


if __name__ == "__main__":
    main()
