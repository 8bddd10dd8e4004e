"""How long a page of 64 random faces takes from stores of ten thousand to a million, and how such stores are made.

    python benchmarks/random_page.py [--quick] [--out docs/results/random_page.jsonl]

Faces are 48x48 pixels of noise, which compress less than faces do, each with the facts of a labelled picture; they
are written through `fer_data.store_writer`, whose seconds and peak memory are shown. A page is 64 rows by lot, their
bytes read and decoded, as the review page does it. `first page` is that in a process that opens the store for it,
`page` in one that has it open, both with the file in the page cache; `first page, from disk` after the kernel was
asked to drop the file.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from measuring import figure, fresh, keep, peak_gb, tell

from fer_data import licenses
from fer_data.samples import Sample
from fer_data.store import ARROW, Store
from fer_data.store_writer import StoreWriter

BENCH = "random_page"
PAGE = 64
TARGET_MS = 50.0
PAGES = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="up to 20,000 faces")
    parser.add_argument("--out", type=Path, help="also write the lines to this file")
    parser.add_argument("--write", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--pages", nargs=2, metavar=("STORE", "SEED"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:
        print(json.dumps(write(arguments.write)))
        return
    if arguments.pages:
        store, seed = arguments.pages
        print(json.dumps(pages(Path(store), int(seed))))
        return
    lines: list[str] = []
    script = Path(__file__).absolute()
    for rows in (2000, 20_000) if arguments.quick else (10**4, 10**5, 10**6):
        with tempfile.TemporaryDirectory() as folder:
            home = Path.cwd()
            os.chdir(folder)
            Path("fer.toml").touch()
            made = fresh(script, "--write", rows)
            seconds, peak = made["seconds"], made["peak_gb"]
            tell(lines, figure(BENCH, f"store of {rows:,} faces written", [seconds], "s", n=rows, peak_gb=peak))
            measure(lines, script, made["store"], rows, promised=rows == 10**6)
            os.chdir(home)
    keep(lines, arguments.out)


def measure(lines: list[str], script: Path, store: str, rows: int, *, promised: bool) -> None:
    warm = [fresh(script, "--pages", store, seed) for seed in range(5)]
    cold = []
    for seed in range(5):
        drop(Path(store) / ARROW)
        cold.append(fresh(script, "--pages", store, seed))
    for name, values, counts in (
        ("page", [value for run in warm for value in run["pages_ms"]], promised),
        ("first page", [run["first_ms"] for run in warm], promised),
        ("first page, from disk", [run["first_ms"] for run in cold], False),
    ):
        target, reached = (f"< {TARGET_MS:g} ms", float(np.median(values)) < TARGET_MS) if counts else (None, None)
        figure_name = f"{name}: {PAGE} faces of {rows:,}"
        tell(lines, figure(BENCH, figure_name, values, "ms", n=rows, target=target, reached=reached))


def write(rows: int) -> dict[str, object]:
    """Write a store into the current project."""
    start = time.perf_counter()
    with StoreWriter("faces", Path.cwd(), licence=licenses.DRAWN.as_dict(), source="faces") as writer:
        for _ in writer.add_all(samples(rows)):
            pass
        store = writer.close()
    return {"seconds": time.perf_counter() - start, "store": str(store.path), "peak_gb": peak_gb()}


def samples(rows: int) -> Iterator[Sample]:
    rng = np.random.default_rng(0)
    for row in range(rows):
        pixels = rng.integers(0, 256, (48, 48), dtype=np.uint8)
        facts = {"subject_id": f"S{row % 997:03d}", "votes": [row % 11, 10 - row % 11], "votes_source": "made"}
        yield Sample(f"{row:07d}", pixels, "happiness", "happy", None, f"row {row}", facts)


def pages(path: Path, seed: int) -> dict[str, object]:
    """Read pages by lot: the first with the opening of the store, then some more."""
    rng = np.random.default_rng(seed)
    times = []
    start = time.perf_counter()
    store = Store(path, Path.cwd())
    for _ in range(PAGES + 1):
        for row in rng.choice(len(store), PAGE, replace=False):
            store.image(int(row))
        times.append(1e3 * (time.perf_counter() - start))
        start = time.perf_counter()
    return {"first_ms": times[0], "pages_ms": times[1:]}


def drop(file: Path) -> None:
    """Ask the kernel to forget a file's pages, where it can be asked."""
    with file.open("rb") as handle:
        os.fsync(handle.fileno())
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    main()
