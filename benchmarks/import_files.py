"""How fast a folder of JPEG files is imported in place, next to how fast the machine reads and decodes them.

    python benchmarks/import_files.py [--quick] [--out docs/results/import_files.jsonl]

20,000 files of 224x224 pixels in class folders: smooth colour fields with grain, every file another, about as large
as photographs of faces (`kib_per_file`). Both sides read warm files in fresh processes, in turn. Ours decodes and
hashes every picture, writes store, groups, manifest and its rendering; the clock is around the whole import. Growth
is shown on the same files under more names.
"""

import argparse
import io
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from measuring import figure, fresh, keep, peak_gb, tell
from PIL import Image

from fer_data.adapters import fer2013
from fer_data.importing import import_dataset
from fer_data.parallel import ordered_map

BENCH = "import_files"
SIDE_PX = 224
FILES = 20_000
TARGET_SHARE = 0.8
CLASSES = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
PEER = Path(__file__).parent / "peers" / "read_and_decode.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2,000 files, once")
    parser.add_argument("--out", type=Path, help="also write the lines to this file")
    parser.add_argument("--import-once", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.import_once:
        print(json.dumps(import_once(arguments.import_once)))
        return
    count, repeats = (2000, 1) if arguments.quick else (FILES, 3)
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = write_files(Path(name) / "files", count)
        ours, peer, arrays = [], [], []
        for _ in range(repeats):
            peer.append(fresh(PEER, folder))
            ours.append(fresh(__file__, "--import-once", folder))
            arrays.append(fresh(PEER, folder, "--arrays"))
        tell(lines, compared(folder, ours, peer, "reading and decoding them", promised=not arguments.quick))
        tell(lines, compared(folder, ours, arrays, "reading and decoding them to arrays", promised=False))
        for rows in (500,) if arguments.quick else (10**4, 10**5):
            more = link_files(folder, Path(name) / str(rows), rows)
            run = fresh(__file__, "--import-once", more)
            per_file = round(1e3 * run["seconds"] / rows, 4)
            name_of_it = f"import of {rows:,} files in place"
            more_facts = {"peak_gb": run["peak_gb"], "ms_per_file": per_file}
            tell(lines, figure(BENCH, name_of_it, [run["seconds"]], "s", n=rows, **more_facts))
    keep(lines, arguments.out)


def compared(folder: Path, ours: list[dict], peer: list[dict], what: str, *, promised: bool) -> dict:
    seconds, decoding = [run["seconds"] for run in ours], [run["seconds"] for run in peer]
    sizes = [path.stat().st_size for path in folder.rglob("*.jpg")]
    share = float(np.median(decoding) / np.median(seconds))
    return figure(
        BENCH,
        f"files imported in place per second, against {what}",
        [len(sizes) / value for value in seconds],
        "files/s",
        digits=1,
        n=len(sizes),
        target=f">= {TARGET_SHARE:g} of the peer" if promised else None,
        reached=share >= TARGET_SHARE if promised else None,
        peer="Pillow's Image.load in threads or processes on all cores, the faster of both",
        peer_values=[len(sizes) / value for value in decoding],
        ratio=share,
        seconds=round(sum(seconds), 2),
        peak_gb=max(run["peak_gb"] for run in ours),
        kib_per_file=round(float(np.mean(sizes)) / 1024, 1),
    )


def import_once(folder: Path) -> dict[str, float]:
    """Import into a new project."""
    with tempfile.TemporaryDirectory() as project:
        os.chdir(project)
        Path("fer.toml").touch()
        start = time.perf_counter()
        result = import_dataset(fer2013, folder, "manifests/files", fer2013.Options())
        seconds = time.perf_counter() - start
        if result.rejections:
            raise SystemExit(f"expected every file to be read, found {result.rejections[0].sentence()}")
        os.chdir(folder)
    return {"seconds": seconds, "rows": len(result.manifest), "peak_gb": peak_gb()}


def write_files(folder: Path, count: int) -> Path:
    """Write JPEG files in class folders."""
    for name in CLASSES:
        (folder / "train" / name).mkdir(parents=True)
    for _ in ordered_map(lambda number: _write_file(folder, number), range(count)):
        pass
    return folder


def _write_file(folder: Path, number: int) -> None:
    rng = np.random.default_rng(number)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)).astype(np.int16)
    grain = rng.integers(-8, 9, (SIDE_PX, SIDE_PX, 1), dtype=np.int16)
    buffer = io.BytesIO()
    Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
    name = CLASSES[number % len(CLASSES)]
    (folder / "train" / name / f"{number:06d}.jpg").write_bytes(buffer.getvalue())


def link_files(folder: Path, more: Path, count: int) -> Path:
    """The files under other names, as often as it takes."""
    paths = sorted(folder.rglob("*.jpg"))
    for number in range(count):
        path = paths[number % len(paths)]
        target = more / path.relative_to(folder).with_name(f"{number:07d}.jpg")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.hardlink_to(path)
    return more


if __name__ == "__main__":
    main()
