"""The other side of benchmarks/curator_peers.py: LightlyStudio relabels the same faces through its own HTTP API.

    python lightly_studio_relabel.py PICTURES LABEL [LABEL …]

Run in an environment that has `lightly-studio`. As its documentation has it (docs.lightly.ai/studio, version 1.2): a
data set of images without embeddings in its DuckDB file, every face labelled alike at first. As its page does for a
reviewer: `GET /api/images/<id>` and `GET /images/sample/<id>` for a face, `PUT /api/collections/<id>/annotations` for
the decision, one after the other. Then SIGKILL, a new start, and the annotations are compared with what was answered.
Prints one JSON object.
"""

import argparse
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from relabeling import HOST, Server, free_port, tell

FIRST = "unlabelled"
PAGE = 100  # the most that it answers at once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("labels", nargs="*")
    parser.add_argument("--serve", nargs=2, metavar=("DATABASE", "PORT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.pictures, Path(arguments.serve[0]), int(arguments.serve[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        server = start(arguments.pictures, Path(folder))
        images, collection = label_all(server)
        annotations = read_annotations(server, collection, len(images))
        wanted: dict[str, tuple[str, str]] = {}
        started = time.perf_counter()
        for number, (annotation, (image, _)) in enumerate(annotations.items()):
            server.ask("GET", f"/api/images/{image}")
            server.ask("GET", f"/images/sample/{image}")
            label = arguments.labels[number % len(arguments.labels)]
            wanted[annotation] = image, label
            change = {"annotation_id": annotation, "collection_id": collection, "label_name": label}
            server.ask("PUT", f"/api/collections/{collection}/annotations", [change])
        seconds, memory = time.perf_counter() - started, server.memory_mb()
        server.kill()
        server = start(arguments.pictures, Path(folder))
        found = read_annotations(server, collection, len(images))
        server.kill()
    lost = sum(found.get(annotation) != decided for annotation, decided in wanted.items())
    tell("LightlyStudio", version("lightly-studio"), len(wanted), seconds, memory, lost)


def serve(folder: Path, database: Path, port: int) -> None:
    """The server's process."""
    import lightly_studio
    from lightly_studio.database import db_manager

    known = database.is_file()
    db_manager.connect(db_file=str(database))
    if known:
        lightly_studio.ImageDataset.load()
    else:
        lightly_studio.ImageDataset.create().add_images_from_path(path=folder, embed=False)
    lightly_studio.start_gui(host=HOST, port=port, open_browser=False)


def start(faces: Path, folder: Path) -> Server:
    """Start it on a database file and wait until it answers."""
    port = free_port()
    command = [
        sys.executable,
        str(Path(__file__).absolute()),
        str(faces),
        "--serve",
        str(folder / "faces.db"),
        str(port),
    ]
    server = Server(command, port, {"LIGHTLY_STUDIO_ANALYTICS_ENABLED": "false"}, folder / "log")
    server.wait("/api/collections")
    return server


def label_all(server: Server) -> tuple[list[str], str]:
    """Give every image the same first label; returns the images and the collection of their annotations."""
    images = next(
        one["collection_id"] for one in server.ask("GET", "/api/collections") if one["sample_type"] == "image"
    )
    ids = list(server.ask("POST", f"/api/collections/{images}/images/sample_ids", {}))
    path = f"/api/collections/{images}/annotations/classifications/bulk_create"
    server.ask("POST", path, {"sample_ids": ids, "class_name": FIRST})
    known = [one for one in server.ask("GET", "/api/collections") if one["sample_type"] == "annotation"]
    return ids, known[0]["collection_id"]


def read_annotations(server: Server, collection: str, count: int) -> dict[str, tuple[str, str]]:
    """Annotation id → its image and its label."""
    found: dict[str, tuple[str, str]] = {}
    for start in range(0, count, PAGE):
        body = {"pagination": {"cursor": start, "limit": PAGE}}
        listed = server.ask("POST", f"/api/collections/{collection}/annotations/payload", body)
        rows = [one["annotation"] for one in listed["data"]]
        for one in rows:
            found[one["sample_id"]] = one["parent_sample_id"], one["annotation_label"]["annotation_label_name"]
    return found


if __name__ == "__main__":
    main()
