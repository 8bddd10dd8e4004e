"""How long it takes to have FER-2013 ready for training from its manifest, the first time and ever after.

    python benchmarks/tensor_cache.py --data FOLDER [--quick] [--out docs/results/tensor_cache.jsonl]

FOLDER holds `fer2013.csv`. It is imported once; every measurement is a process of its own that opens the manifest and
asks for all pictures at 48x48 (uint8 [N, 1, 48, 48]), with and without `.cache/tensors`. `loaded` is the whole of
`classifier.data.load_faces`: pictures, targets, weights and ids as tensors. The clock starts before the manifest is
opened; imports of Python modules are not counted. `touched_seconds` is a sum over every pixel afterwards, which brings
a mapped file into memory.
"""

import argparse
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from import_fer2013 import cut
from measuring import figure, fresh, keep, peak_gb, tell

from fer_data import manifest
from fer_data.adapters import fer2013
from fer_data.importing import import_dataset

BENCH = "tensor_cache"
TARGET_FIRST_S, TARGET_AGAIN_S = 2.0, 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with fer2013.csv and fer2013new.csv")
    parser.add_argument("--quick", action="store_true", help="the first 4,000 rows, twice")
    parser.add_argument("--out", type=Path, help="also write the lines to this file")
    parser.add_argument("--measure", choices=("pictures", "loaded"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(loaded=arguments.measure == "loaded")))
        return
    if arguments.data is None:
        parser.error("--data is needed")
    data, repeats = arguments.data.absolute(), 2 if arguments.quick else 5
    lines: list[str] = []
    script = Path(__file__).absolute()
    for rows in (4000,) if arguments.quick else (10**4, None):
        with tempfile.TemporaryDirectory() as name:
            os.chdir(name)
            Path("fer.toml").touch()
            folder = cut(data, Path(name) / "data", rows) if rows else data
            import_dataset(fer2013, folder / "fer2013.csv", "manifests/fer2013", fer2013.Options())
            for what in ("pictures", "loaded"):
                first = [_first(script, what) for _ in range(repeats)]
                again = [fresh(script, "--measure", what) for _ in range(repeats)]
                for name_of_it, runs, target in (
                    ("first time", first, TARGET_FIRST_S),
                    ("again", again, TARGET_AGAIN_S),
                ):
                    tell(lines, _figure(f"{what}, {name_of_it}", runs, target if rows is None else None))
            os.chdir(data)
    keep(lines, arguments.out)


def _figure(name: str, runs: list[dict], target: float | None) -> dict:
    seconds = [run["seconds"] for run in runs]
    return figure(
        BENCH,
        name,
        seconds,
        "s",
        digits=4,
        n=runs[0]["rows"],
        target=None if target is None else f"< {target:g} s",
        reached=None if target is None else float(np.median(seconds)) < target,
        touched_seconds=round(float(np.median([run["touched"] for run in runs])), 4),
        peak_gb=max(run["peak_gb"] for run in runs),
    )


def _first(script: Path, what: str) -> dict:
    shutil.rmtree(".cache/tensors", ignore_errors=True)
    return fresh(script, "--measure", what)


def measure(*, loaded: bool) -> dict[str, float]:
    """Open the manifest of the current project and get its pictures."""
    if loaded:
        from classifier.data import load_faces
    start = time.perf_counter()
    opened = manifest.read("manifests/fer2013")
    if loaded:
        pictures = load_faces(opened, np.ones(len(opened), dtype=bool), 48, 1).images.numpy()
    else:
        pictures = opened.pictures(48, 1)
    seconds = time.perf_counter() - start
    int(pictures.sum())
    touched = time.perf_counter() - start - seconds
    return {"seconds": seconds, "touched": touched, "rows": len(pictures), "peak_gb": peak_gb()}


if __name__ == "__main__":
    main()
