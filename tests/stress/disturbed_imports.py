"""Imports that are killed or run out of disk: afterwards there is the old state or the new one, and a rerun ends it.

    python -m stress.disturbed_imports PROJECT DOWNLOAD (embed|in_place) [LARGEST_FILE_BYTES]

is the import that is disturbed: it prints `go` before it begins, and `right` or `refused: …` at its end.
"""

import os
import resource
import shutil
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from layouts.faces import face, png

from fer_data import manifest
from fer_data.adapters import folders
from fer_data.errors import FerError
from fer_data.importing import PicturesConfig, import_dataset

ROOT = Path(__file__).resolve().parents[2]
OUT = "manifests/faces"
_LABELS = ("anger", "fear", "happiness", "neutral")
_PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Scene:
    """A project that holds an import of an old download, a copy to start from again, and the new download.

    Attributes:
        states: what the manifest can be afterwards, by name: "old" and "new", as `_state` tells them.
        seconds: how long the import of the new download takes undisturbed, after `go`.
    """

    project: Path
    pristine: Path
    download: Path
    way: str
    states: dict[str, tuple]
    seconds: float

    def reset(self) -> None:
        shutil.rmtree(self.project)
        shutil.copytree(self.pristine, self.project)


def make_scene(folder: Path, way: str, pictures: int = 400) -> Scene:
    """Write both downloads, import the old one, and measure the import of the new one.

    Args:
        way: "embed" or "in_place".
    """
    project, pristine = folder / "project", folder / "pristine"
    project.mkdir(parents=True)
    (project / "fer.toml").write_text("")
    for name, first, count in (("old", 0, 12), ("new", 100, pictures)):
        for number in range(count):
            place = folder / name / _LABELS[number % 4]
            place.mkdir(parents=True, exist_ok=True)
            noise = np.random.default_rng(first + number).integers(0, 256, (40, 40), dtype=np.uint8)
            data = png(face(_LABELS[number % 4], 0, 40) // 2 + noise // 2)
            (place / f"{number}.png").write_bytes(data)
    _import(project, folder / "old", way)
    shutil.copytree(project, pristine)
    old = _state(project)
    seconds = []
    for _ in range(2):  # the first one fills caches of the disk
        shutil.rmtree(project)
        shutil.copytree(pristine, project)
        seconds.append(_undisturbed_seconds(project, folder / "new", way))
    states = {"old": old, "new": _state(project)}
    return Scene(project, pristine, folder / "new", way, states, min(seconds))


def killed(scene: Scene, moment: float) -> tuple[str, list[str]]:
    """Kill the import `moment` × its usual time after it began.

    Returns:
        "old" or "new", and what is wrong, one sentence each.
    """
    scene.reset()
    worker = _start(scene.project, scene.download, scene.way)
    _wait_for_go(worker)
    time.sleep(moment * scene.seconds)
    worker.kill()
    worker.communicate()
    return _aftermath(scene)


def out_of_disk(scene: Scene, largest_file_bytes: int) -> tuple[str, list[str]]:
    """Let no file of the import grow beyond a size, as a quota does; returns as `killed`, or "refused"."""
    scene.reset()
    worker = _start(scene.project, scene.download, scene.way, largest_file_bytes)
    told = worker.communicate(timeout=_PATIENCE_SECONDS)[0].strip().splitlines()
    found, faults = _aftermath(scene, before_rerun=_no_partials)
    last = told[-1] if told else ""
    if not (last == "right" or last.startswith("refused: ")):
        faults.append(f"expected a right result or one sentence, found {told[-12:]}")
    if (last == "right") != (found == "new"):
        faults.append(f"the import said {last[:80]!r}, and the manifest is the {found} one")
    return ("refused" if last.startswith("refused") else found), faults


def disturb(scene: Scene, moments: list[float]) -> tuple[Counter[str], list[str]]:
    """Kill the import at every moment; the outcomes counted, and all faults."""
    outcomes: Counter[str] = Counter()
    faults: list[str] = []
    for moment in moments:
        found, wrong = killed(scene, moment)
        outcomes[found] += 1
        faults += [f"killed after {moment * scene.seconds:.3f} s ({scene.way}): {fault}" for fault in wrong]
    return outcomes, faults


def _aftermath(scene: Scene, before_rerun: Callable[[Path], list[str]] | None = None) -> tuple[str, list[str]]:
    """Which state the project is in, then a rerun, after which nothing but old and new may be there."""
    faults = before_rerun(scene.project) if before_rerun else []
    try:
        seen = _state(scene.project)
    except (FerError, OSError, ValueError) as error:
        seen = (f"{type(error).__name__}: {error}",)
    found = next((name for name, state in scene.states.items() if state == seen), "neither")
    if found == "neither":
        faults.append(f"expected the old state or the new one, found {str(seen)[:300]}")
    again = _start(scene.project, scene.download, scene.way).communicate(timeout=_PATIENCE_SECONDS)[0].split("\n")
    if "right" not in again:
        faults.append(f"the rerun failed: {again[-6:]}")
    else:
        faults += [] if _state(scene.project) == scene.states["new"] else ["the rerun ended with another state"]
    return found, faults + _no_partials(scene.project)


def _undisturbed_seconds(project: Path, download: Path, way: str) -> float:
    """From `go` to `right`."""
    worker = _start(project, download, way)
    _wait_for_go(worker)
    start = time.monotonic()
    told = worker.stdout.readline()
    seconds = time.monotonic() - start
    if told.strip() != "right" or worker.wait() != 0:
        raise RuntimeError(f"the undisturbed import failed: {told}{worker.stdout.read()}")
    return seconds


def _no_partials(project: Path) -> list[str]:
    stray = [str(path.relative_to(project)) for path in project.rglob("*") if _is_stray(path, project)]
    return [f"left behind: {', '.join(stray[:5])}"] if stray else []


def _is_stray(path: Path, project: Path) -> bool:
    inside_stray = any(part.startswith(".") for part in path.relative_to(project).parts[:-1])
    return path.name.startswith(".") and not inside_stray


def _state(project: Path) -> tuple:
    """The whole content of the manifest and its store, all hashes checked, and what lies beside them."""
    found = manifest.read(project / OUT)
    faults = manifest.validate(found, full=True)
    if faults:
        raise ValueError(str(faults[:3]))
    tomllib.loads((project / "fer.local.toml").read_text() if (project / "fer.local.toml").is_file() else "")
    frame = found.frame.drop(columns="store")
    beside = sorted(path.name for path in (project / "manifests").iterdir() if not path.name.startswith("."))
    return (frame.to_json(), tuple(beside))


def _import(project: Path, download: Path, way: str) -> None:
    options, pictures = folders.Options(), PicturesConfig(embed=way == "embed")
    import_dataset(folders, download, project / OUT, options, pictures, replace=True)


def _start(project: Path, download: Path, way: str, *limits: int) -> "subprocess.Popen[str]":
    paths = f"{ROOT / 'tests'}{os.pathsep}{ROOT}"
    return subprocess.Popen(
        [sys.executable, "-m", "stress.disturbed_imports", str(project), str(download), way, *map(str, limits)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=project,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
    )


def _wait_for_go(worker: "subprocess.Popen[str]") -> None:
    for line in worker.stdout:
        if line.strip() == "go":
            return
    raise RuntimeError("the import ended before it began")


def main() -> None:
    project, download, way, *limits = sys.argv[1:]
    for limit in limits:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    print("go", flush=True)
    try:
        _import(Path(project), Path(download), way)
    except FerError as error:
        print(f"refused: {error}")
    else:
        print("right")


if __name__ == "__main__":
    main()
