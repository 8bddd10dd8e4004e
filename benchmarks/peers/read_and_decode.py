"""How fast this machine reads and decodes a folder's JPEG files on all cores, and does nothing else.

    python benchmarks/peers/read_and_decode.py FOLDER [--arrays]

Pillow's `Image.load`, over threads (the decoder releases Python's lock) and over processes; the pools are started and
warmed up before the clock. No pixel is copied out, hashed or kept; with --arrays each picture becomes the array that
a program could use (`numpy.asarray`). After Pillow's documentation of `Image.load` and the
`concurrent.futures` documentation ("ProcessPoolExecutor Example"). Prints the seconds of both and of the faster.
"""

import json
import os
import sys
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

CORES = len(os.sched_getaffinity(0))
TOGETHER = 64
ARRAYS = "--arrays" in sys.argv


def decode(path: str) -> int:
    with Image.open(path) as image:
        image.load()
        return image.width


def decode_to_array(path: str) -> int:
    with Image.open(path) as image:
        return np.asarray(image).shape[1]


def decode_some(paths: list[str]) -> int:
    return sum(map(decode_to_array if ARRAYS else decode, paths))


def seconds(pool: Executor, paths: list[str]) -> float:
    batches = [paths[first : first + TOGETHER] for first in range(0, len(paths), TOGETHER)]
    list(pool.map(decode_some, batches[: 2 * CORES]))
    start = time.perf_counter()
    list(pool.map(decode_some, batches))
    return time.perf_counter() - start


def main() -> None:
    paths = sorted(str(path) for path in Path(sys.argv[1]).rglob("*.jpg"))
    for path in paths:
        Path(path).read_bytes()  # into the page cache
    told = {}
    for name, pool in (("threads", ThreadPoolExecutor(CORES)), ("processes", ProcessPoolExecutor(CORES))):
        with pool:
            told[name] = seconds(pool, paths)
    print(json.dumps({**told, "seconds": min(told.values()), "files": len(paths)}))


if __name__ == "__main__":
    main()
