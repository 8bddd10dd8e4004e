"""How many faces the project draws in a second on one core.

    python benchmarks/drawn_faces.py [--quick] [--out docs/results/drawn_faces.jsonl]

Faces of all classes, people, occlusions and lights in the shares that `fer import procedural` uses, with their
facts, before they are stored. The clock is processor time of this process, which draws in one thread, so that
other work on the machine does not count; `wall_seconds` says how long it took.
"""

import argparse
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from fer_data.adapters.procedural import Options, read

TARGET_PER_SECOND = 300
SIZES_PX = (48, 96)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small share of it")
    parser.add_argument("--out", type=Path, help="also write the lines to this file")
    arguments = parser.parse_args()
    count, seeds = (300, [0, 1, 2]) if arguments.quick else (3000, [0, 1, 2, 3, 4])
    lines = [json.dumps(measure(size_px, count, seeds)) for size_px in SIZES_PX]
    print("\n".join(lines))
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text("\n".join(lines) + "\n")


def measure(size_px: int, count: int, seeds: list[int]) -> dict[str, Any]:
    """One figure: faces per second of processor time, the median over seeds, with the lowest and highest."""
    _draw(20, 0, size_px)  # caches and imports
    start = time.perf_counter()
    rates = [count / _draw(count, seed, size_px) for seed in seeds]
    rate = float(np.median(rates))
    promised = size_px == 48
    return {
        "bench": "drawn_faces",
        "figure": f"faces drawn per second on one core at {size_px}x{size_px}",
        "value": round(rate, 1),
        "unit": "faces/s",
        "target": f">= {TARGET_PER_SECOND}" if promised else None,
        "reached": rate >= TARGET_PER_SECOND if promised else None,
        "peer": None,
        "peer_value": None,
        "ratio": None,
        "n": count,
        "seeds": seeds,
        "interval": [round(min(rates), 1), round(max(rates), 1)],
        "seconds": round(count * sum(1 / value for value in rates), 2),
        "wall_seconds": round(time.perf_counter() - start, 2),
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "pillow": PIL.__version__},
        "machine": {"cores": os.cpu_count(), "kind": platform.machine()},
    }


def _draw(count: int, seed: int, size_px: int) -> float:
    """Processor seconds for a whole data set."""
    samples = read(None, Options(count=count, seed=seed, size_px=size_px), []).samples
    start = time.process_time()
    for _ in samples:
        pass
    return time.process_time() - start


if __name__ == "__main__":
    main()
