"""The other side of benchmarks/duplicates.py: CleanVision's exact and near check, and perceptual hashes, on a folder.

    python cleanvision_duplicates.py FOLDER [--jobs 2] [--hashes]

Run by a Python that has cleanvision 0.3.7 (and with it imagehash). As CleanVision's README has it
(github.com/cleanlab/cleanvision): `Imagelab(data_path=…).find_issues({...})` with its own settings, which for near
duplicates are equal 64-bit perceptual hashes (cleanvision/issue_managers/duplicate_issue_manager.py). With --hashes
the pHash and dHash of every file too, as imagehash computes them (github.com/JohannesBuchner/imagehash), so that
hashes that differ in some bits can be counted as near as well. Prints one JSON object.
"""

import argparse
import contextlib
import json
import sys
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--hashes", action="store_true")
    arguments = parser.parse_args()
    with contextlib.redirect_stdout(sys.stderr):
        told = check(arguments.folder, arguments.jobs)
        if arguments.hashes:
            told["hashes"] = hashes(arguments.folder)
    print(json.dumps(told))


def check(folder: Path, jobs: int) -> dict:
    """Seconds of the check, and its sets of file names."""
    from cleanvision import Imagelab

    start = time.perf_counter()
    lab = Imagelab(data_path=str(folder))
    lab.find_issues({"exact_duplicates": {}, "near_duplicates": {}}, n_jobs=jobs, verbose=False)
    seconds = time.perf_counter() - start
    return {"seconds": seconds} | {
        kind: [[Path(file).name for file in files] for files in lab.info[f"{kind}_duplicates"]["sets"]]
        for kind in ("exact", "near")
    }


def hashes(folder: Path) -> dict:
    """File name → [pHash, dHash] as hexadecimal text."""
    import imagehash
    from PIL import Image

    told = {}
    for file in sorted(folder.iterdir()):
        with Image.open(file) as image:
            told[file.name] = [str(imagehash.phash(image)), str(imagehash.dhash(image))]
    return told


if __name__ == "__main__":
    main()
