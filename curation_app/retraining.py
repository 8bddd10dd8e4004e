"""Retrain with the decisions: apply them to a new manifest, and run a short before/after experiment beside the server.

Nothing of it lies in a session. Each retraining is a folder, `runs/retrain-<manifest>/<number>/`; whether it still runs
is told by a lock that only its process holds, so a page that is loaded again, another reviewer's page and a server
that was started again all see the same. One runs at a time in a project.
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation_app.changes import MAJORITY, Consensus
from curation_app.settings import without_settings
from fer_data import decisions
from fer_data.decision_log import DecisionLog
from fer_data.errors import FerError
from fer_data.files import read_json, write_json
from fer_data.manifest import Manifest
from fer_data.project import relative

NICENESS = 10  # reviewing goes first
EVALUATIONS = 3  # of each run; the validation faces of a large set take longer than a few steps
_PROGRESS = re.compile(r"\((\d+) of (\d+)\)\s+(\d+) %")


@dataclass(frozen=True)
class Recipe:
    """How much a retraining may cost.

    Attributes:
        steps: optimiser steps of each run.
        seeds: runs of each arm.
        model, size_px, batch_size: of the classifier, `fer train` tells them.
    """

    steps: int = 300
    seeds: int = 2
    model: str = "thin_resnet10"
    size_px: int = 48
    batch_size: int = 64


@dataclass(frozen=True)
class Retraining:
    """A retraining as its folder tells it.

    Attributes:
        folder: where it lies.
        running: its process works.
        stopped: somebody stopped it.
        share: how much is done, 0..1.
        told: what it said last: progress, or why it failed.
        results: what the experiment found, or None until it did.
    """

    folder: Path
    running: bool
    stopped: bool
    share: float
    told: str
    results: Mapping[str, Any] | None

    @property
    def answer(self) -> str:
        """What came out in one sentence; empty until it is known."""
        return _last_line(self.folder / "answer.txt", first=True) if self.results is not None else ""


def start_retraining(
    manifest: Manifest, log: DecisionLog, recipe: Recipe = Recipe(), consensus: Consensus = MAJORITY
) -> Path:
    """Apply the decisions and begin the experiment in a process of its own.

    Returns:
        The retraining's folder.

    Raises:
        FerError: another one runs, or the decisions cannot be applied.
    """
    folder = _home(manifest) / f"{len(_folders(manifest)) + 1:03d}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _lock(manifest, folder) as descriptor, contextlib.ExitStack() as on_failure:
        on_failure.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.mkdir()
        clean = decisions.apply(manifest, log, folder / "cleaned", **consensus.arguments())
        write_json(folder / "experiment.yaml", _configuration(manifest, clean, recipe))  # YAML holds JSON
        _begin(manifest.root, folder, descriptor)
        on_failure.pop_all()
    return folder


def find_retraining(manifest: Manifest) -> Retraining | None:
    """The latest retraining of a manifest, or None."""
    folders = _folders(manifest)
    if not folders:
        return None
    folder = folders[-1]
    running = _runs(manifest, folder)  # asked first: what ends meanwhile has its results by now
    results = folder / "experiment/results.json"
    return Retraining(
        folder=folder,
        running=running,
        stopped=(folder / "stopped").exists(),
        share=_share(folder),
        told=_last_line(folder / "log.txt"),
        results=read_json(results) if not running and (folder / "experiment/report.html").is_file() else None,
    )


def stop_retraining(manifest: Manifest) -> None:
    """End the retraining of a manifest, if it runs."""
    folders = _folders(manifest)
    if not folders or not _runs(manifest, folders[-1]):
        return
    (folders[-1] / "stopped").touch()
    with contextlib.suppress(ProcessLookupError):  # it ended just now
        os.killpg(read_json(folders[-1] / "process.json")["pid"], signal.SIGTERM)


def _home(manifest: Manifest) -> Path:
    return manifest.root / "runs" / f"retrain-{manifest.name}"


def _folders(manifest: Manifest) -> list[Path]:
    """Retrainings that began, oldest first."""
    return sorted(path.parent for path in _home(manifest).glob("[0-9]*/process.json"))


def _configuration(manifest: Manifest, clean: Manifest, recipe: Recipe) -> dict[str, Any]:
    before, after = relative(manifest.path, manifest.root), relative(clean.path, manifest.root)
    return {
        "name": f"retrain-{manifest.name}",
        "title": f"{manifest.name}, before and after the review",
        "evaluate_on": before,
        "baseline": "before",
        "primary": "after",
        "seeds": list(range(1, recipe.seeds + 1)),
        "train": {
            "model": recipe.model,
            "size_px": recipe.size_px,
            "steps": recipe.steps,
            "batch_size": recipe.batch_size,
            "evaluations": EVALUATIONS,
            "mirror_average": False,
            "choose_by": "balanced_accuracy",
        },
        "arms": [
            {"name": "before", "title": "Before", "manifest": before},
            {"name": "after", "title": "After", "manifest": after},
        ],
    }


def _begin(root: Path, folder: Path, descriptor: int) -> None:
    """Start the experiment; it inherits the lock, and holds it until the last of its processes has ended."""
    command = [sys.executable, "-m", "fer_cli", "experiment", str(folder / "experiment.yaml")]
    with (folder / "answer.txt").open("w") as said, (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [*command, "--out", str(folder / "experiment")],
            cwd=root,
            env={**without_settings(os.environ), "PYTHONPATH": _python_path()},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=log,
            pass_fds=[descriptor],
            start_new_session=True,  # its processes can be ended together, and it outlives the server
        )
    write_json(folder / "process.json", {"pid": process.pid})
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
    threading.Thread(target=process.wait, daemon=True).start()  # or it would stay in the list of processes


def _python_path() -> str:
    own = str(Path(__file__).parent.parent)
    return os.pathsep.join([own, *filter(None, [os.environ.get("PYTHONPATH")])])


@contextlib.contextmanager
def _lock(manifest: Manifest, folder: Path) -> Iterator[int]:
    """Hold the project's one lock for a folder; a process that inherits the descriptor goes on holding it."""
    descriptor = os.open(_lock_file(manifest), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _locked(descriptor):
            raise FerError("another retraining runs in this project; wait for it, or stop it")
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, str(folder).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _runs(manifest: Manifest, folder: Path) -> bool:
    """Whether some process holds the lock for this folder."""
    try:
        descriptor = os.open(_lock_file(manifest), os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not _locked(descriptor) and os.pread(descriptor, 1 << 12, 0) == str(folder).encode()
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    """Lock a file, unless another holds it; a page that only asks holds it for a moment, so ask again."""
    for _ in range(5):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(0.01)
    return False


def _lock_file(manifest: Manifest) -> Path:
    return manifest.root / "runs" / ".retraining.lock"


def _share(folder: Path) -> float:
    """How much of all runs is done: those that are kept, and what the log says of the present one."""
    configuration = json.loads((folder / "experiment.yaml").read_text())
    total = len(configuration["arms"]) * len(configuration["seeds"])
    done = len(list((folder / "experiment/records").glob("*.json")))
    now = _PROGRESS.search(_last_line(folder / "log.txt"))
    inside = int(now[3]) / 100 if now and int(now[1]) == done + 1 else 0.0
    return min((done + inside) / total, 1.0)


def _last_line(file: Path, *, first: bool = False) -> str:
    try:
        lines = [line.strip() for line in file.read_text(errors="replace").splitlines() if line.strip()]
    except FileNotFoundError:
        return ""
    return (lines[0] if first else lines[-1]) if lines else ""
