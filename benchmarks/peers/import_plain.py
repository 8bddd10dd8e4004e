"""The plain way to import FER-2013's csv: the csv module, `np.array`, Pillow, `datasets` from a generator.

    python benchmarks/peers/import_plain.py fer2013.csv OUT

The recipe of the `datasets` documentation, "Create a dataset", section "From Python dictionaries / generator"
(huggingface.co/docs/datasets/create_dataset), with the usual loader of FER-2013 notebooks: one row at a time, the
pixels split at spaces. No hashes, no votes, no checks. Prints the seconds, imports not counted, and the peak memory.
"""

import csv
import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from PIL import Image


def rows(path: str) -> Iterator[dict[str, Any]]:
    with Path(path).open(newline="") as handle:
        for row in csv.DictReader(handle):
            pixels = np.array(row["pixels"].split(), dtype=np.uint8).reshape(48, 48)
            yield {"image": Image.fromarray(pixels), "label": int(row["emotion"]), "split": row["Usage"]}


def main() -> None:
    path, out = sys.argv[1:]
    datasets.disable_progress_bars()
    names = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=names), "split": datasets.Value("string")}
    )
    start = time.perf_counter()
    made = datasets.Dataset.from_generator(rows, features=features, gen_kwargs={"path": path}, cache_dir=out)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(json.dumps({"seconds": seconds, "rows": len(made), "peak_gb": round(peak, 3)}))


if __name__ == "__main__":
    main()
