"""How long the import of FER-2013's csv with its votes takes, next to the plain way.

    python benchmarks/import_fer2013.py --data FOLDER [--quick] [--out docs/results/import_fer2013.jsonl]

FOLDER holds `fer2013.csv` and FER+'s `fer2013new.csv`. Store, hashes, groups, manifest and its rendering are written;
every run is a process of its own, in a new project, the file in the page cache, imports of Python modules not counted.
The plain way (`peers/import_plain.py`) runs between ours, on the same rows. Growth is shown on the first rows of the
file and on the file repeated.
"""

import argparse
import importlib
import itertools
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from measuring import figure, fresh, keep, peak_gb, tell

from fer_data.adapters import fer2013
from fer_data.importing import import_dataset

BENCH = "import_fer2013"
TARGET_S, TARGET_RATIO, TARGET_GB = 6.0, 5.0, 1.5
PEER = Path(__file__).parent / "peers" / "import_plain.py"
GROWTH = (10**4, 10**5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with fer2013.csv and fer2013new.csv")
    parser.add_argument("--quick", action="store_true", help="the first 4,000 rows, once")
    parser.add_argument("--out", type=Path, help="also write the lines to this file")
    parser.add_argument("--import-once", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.import_once:
        print(json.dumps(import_once(arguments.data)))
        return
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = cut(arguments.data, folder / "quick", 4000) if arguments.quick else arguments.data
        ours, plain = [], []
        for _ in range(1 if arguments.quick else 3):
            ours.append(fresh(__file__, "--data", whole, "--import-once"))
            with tempfile.TemporaryDirectory(dir=folder) as cache:
                plain.append(fresh(PEER, whole / "fer2013.csv", cache))
        report(lines, ours, plain, promised=not arguments.quick)
        for rows in GROWTH if not arguments.quick else (1000,):
            run = fresh(__file__, "--data", cut(arguments.data, folder / str(rows), rows), "--import-once")
            tell(
                lines, figure(BENCH, f"import of {rows:,} rows", [run["seconds"]], "s", n=rows, peak_gb=run["peak_gb"])
            )
    keep(lines, arguments.out)


def report(lines: list[str], ours: list[dict], plain: list[dict], *, promised: bool) -> None:
    seconds, peer = [run["seconds"] for run in ours], [run["seconds"] for run in plain]
    rows = ours[0]["rows"]
    value, ratio = float(np.median(seconds)), float(np.median(peer) / np.median(seconds))
    peer_name = "csv module, np.array, Pillow, datasets.Dataset.from_generator"
    peak = max(run["peak_gb"] for run in ours)
    for name, target, reached in (
        ("import of the csv with votes", f"<= {TARGET_S:g} s", value <= TARGET_S),
        ("speed against the plain way", f">= {TARGET_RATIO:g} times", ratio >= TARGET_RATIO),
    ):
        tell(
            lines,
            figure(
                BENCH, name, seconds, "s", n=rows, peer=peer_name, peer_values=peer, ratio=ratio, peak_gb=peak,
                target=target if promised else None, reached=reached if promised else None,
            ),
        )  # fmt: skip
    target, reached = (f"< {TARGET_GB:g} GB", peak < TARGET_GB) if promised else (None, None)
    tell(lines, figure(BENCH, "peak memory", [peak], "GB", n=rows, target=target, reached=reached))


def import_once(data: Path) -> dict[str, float]:
    """Import into a new project."""
    importlib.import_module("duckdb")  # imported by the layer when it is first needed
    data = data.absolute()
    with tempfile.TemporaryDirectory() as project:
        os.chdir(project)
        Path("fer.toml").touch()
        options = fer2013.Options(votes=data / "fer2013new.csv")
        start = time.perf_counter()
        result = import_dataset(fer2013, data / "fer2013.csv", "manifests/fer2013", options)
        seconds = time.perf_counter() - start
        os.chdir(data)
    return {"seconds": seconds, "rows": len(result.manifest), "peak_gb": peak_gb()}


def cut(data: Path, folder: Path, rows: int) -> Path:
    """The first rows of a download, repeated from the start where it has fewer."""
    folder.mkdir()
    for name in ("fer2013.csv", "fer2013new.csv"):
        with (data / name).open("rb") as source, (folder / name).open("wb") as target:
            target.write(next(source))
            first = source.tell()
            left = rows
            while left > 0:
                source.seek(first)
                for line in itertools.islice(source, left):
                    target.write(line.rstrip(b"\r\n") + b"\n")
                    left -= 1
    return folder


if __name__ == "__main__":
    main()
