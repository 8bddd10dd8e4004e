"""Pre-commit hook and test: no face, no table with labels, no weights in git.

Drawn faces may be shown in `docs/`; nothing else that could be a picture of a person may be tracked.
"""

import sys
from collections.abc import Iterable
from pathlib import PurePath

PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".pgm", ".gif"}
DATA = {".parquet", ".arrow", ".npy", ".npz", ".sqlite", ".db", ".csv"}
WEIGHTS = {".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".onnx", ".pkl"}


def forbidden(names: Iterable[str]) -> list[str]:
    """The names that must not be in git."""
    refused = []
    for name in names:
        path = PurePath(name)
        ending = path.suffix.lower()
        drawn = path.parts[:2] == ("docs", "drawn") and ending in PICTURES
        if ending in PICTURES | DATA | WEIGHTS and not drawn:
            refused.append(name)
    return refused


if __name__ == "__main__":
    found = forbidden(sys.argv[1:])
    if found:
        print("refused (faces, tables and weights stay out of git): " + ", ".join(found))
    sys.exit(bool(found))
