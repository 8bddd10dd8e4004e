"""Does `fer_data.quality` find planted bad pictures, does it leave good ones alone, and how long does it take?

    python benchmarks/quality.py [--quick] [--manifest MANIFEST] [--peer PYTHON] [--out docs/results/quality.jsonl]

Into a tenth of the faces each, one defect is planted (dark, washed out, low in contrast, blurred, blank), from hardly
to hopelessly; half of them stay as they are. Recall is the share of the planted pictures that carry the flag of their
defect; false alarms are the share of untouched pictures that carry any of the five flags. Formulas and thresholds were
chosen by looking at one half of real FER-2013 (docs/results/quality.md), never on planted pictures.

The faces are drawn, in normal light and without occlusion, and those of --manifest where it is given; there untouched
pictures that are flagged may well be bad, so that no share of them is right. --peer names a Python that has cleanvision
0.3.7 (benchmarks/peers/quality.py), which gets the same pictures.
"""

import argparse
import json
import os
import platform
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from fer_data import manifest, quality
from fer_data.drawn import defects
from fer_data.drawn.population import sample_face, sample_identity
from fer_data.drawn.rendering import render
from fer_data.expressions import BASIC7

PLANTED = ("dark", "bright", "low_contrast", "blurred", "blank")
PEER_NAMES = dict(
    dark="dark", bright="light", low_contrast="low_information", blurred="blurry", blank="low_information"
)
FER2013_ROWS = 35_706
MOST_SECONDS = 3.0
_PEER = Path(__file__).parent / "peers" / "quality.py"

Pixels = NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small share of it")
    parser.add_argument("--manifest", type=Path, help="plant into the faces of this manifest too")
    parser.add_argument("--peer", type=Path, help="a Python that has cleanvision")
    parser.add_argument("--out", type=Path, help="also write the lines to this file")
    arguments = parser.parse_args()
    count, seeds = (600, [0]) if arguments.quick else (3000, [0, 1, 2])
    figures = [speed(arguments.quick)]
    for source in [None, *([arguments.manifest] if arguments.manifest else [])]:
        start = time.perf_counter()
        trials = [trial(count, seed, source, arguments.peer) for seed in seeds]
        told = {"faces": source.stem if source else "drawn", "n": count, "seeds": seeds}
        figures += [{**figure, **told, "seconds": round(time.perf_counter() - start, 2)} for figure in shares(trials)]
    shared = {
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "pillow": PIL.__version__},
        "machine": {"cores": os.cpu_count(), "kind": platform.machine()},
    }
    lines = [json.dumps({**figure, **shared}) for figure in figures]
    print("\n".join(lines))
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text("\n".join(lines) + "\n")


def trial(count: int, seed: int, source: Path | None, peer: Path | None) -> dict[str, dict[str, float]]:
    """Per side ("ours", "peer") each figure's share, for one set of faces."""
    rng = np.random.default_rng(seed)
    faces, skin = drawn_faces(count, seed) if source is None else (stored_faces(source, count, rng), None)
    planted = rng.permutation(np.arange(count) % (2 * len(PLANTED)))  # a tenth of the faces each, half untouched
    pictures = np.stack([plant(face, PLANTED[kind], rng) if kind < len(PLANTED) else face
                         for face, kind in zip(faces, planted, strict=True)])  # fmt: skip
    scores = quality.score_pictures(pictures[:, None]).assign(square_score=1.0, face_score=np.nan)
    marked = quality.mark_quality(scores, quality.QualityConfig())
    sides = {"ours": {name: marked[f"is_{name}"].to_numpy() for name in PLANTED}}
    if peer is not None:
        flags = peer_flags(pictures, peer)
        sides["peer"] = {name: np.array(flags[PEER_NAMES[name]]) for name in PLANTED}
    return {side: _shares(flags, planted, skin) for side, flags in sides.items()}


def _shares(
    flags: dict[str, NDArray[np.bool_]], planted: NDArray[np.int64], skin: NDArray[np.float64] | None
) -> dict[str, float]:
    found = {f"recall of {name}": float(flags[name][planted == kind].mean()) for kind, name in enumerate(PLANTED)}
    untouched = planted >= len(PLANTED)
    found["false alarms"] = float(np.any(list(flags.values()), axis=0)[untouched].mean())
    if skin is not None:
        third = skin <= np.quantile(skin, 1 / 3)
        found["false alarms of dark, darkest third of skin tones"] = float(flags["dark"][untouched & third].mean())
    return found


def shares(trials: list[dict[str, dict[str, float]]]) -> list[dict[str, Any]]:
    """The figures over all trials: mean, lowest and highest."""
    figures = []
    for name in trials[0]["ours"]:
        ours = [one["ours"][name] for one in trials]
        peer = [one["peer"][name] for one in trials if "peer" in one]
        figures.append(
            {
                "bench": "quality",
                "figure": name if "alarms" in name else f"{name} pictures",
                "value": round(float(np.mean(ours)), 4),
                "unit": "share",
                "target": None,
                "reached": None,
                "peer": "cleanvision 0.3.7" if peer else None,
                "peer_value": round(float(np.mean(peer)), 4) if peer else None,
                "ratio": None,
                "interval": [round(min(ours), 4), round(max(ours), 4)],
            }
        )
    return figures


def speed(quick: bool) -> dict[str, Any]:
    """Processor seconds of the one thread that scores as many decoded pictures as FER-2013 has; the best of three."""
    count = FER2013_ROWS // 10 if quick else FER2013_ROWS
    pictures = np.random.default_rng(0).integers(0, 256, (count, 1, 48, 48), dtype=np.uint8)
    times = []
    for _ in range(3):
        start = time.process_time()
        quality.score_pictures(pictures)
        times.append(time.process_time() - start)
    return {
        "bench": "quality",
        "figure": f"scoring {count:,} decoded pictures of 48x48",
        "value": round(min(times), 3),
        "unit": "s",
        "target": None if quick else f"<= {MOST_SECONDS}",
        "reached": None if quick else min(times) <= MOST_SECONDS,
        "peer": None,
        "peer_value": None,
        "ratio": None,
        "interval": [round(min(times), 3), round(max(times), 3)],
        "faces": "noise",
        "n": count,
        "seeds": [0],
        "seconds": round(sum(times), 2),
    }


def drawn_faces(count: int, seed: int) -> tuple[Pixels, NDArray[np.float64]]:
    """Faces in normal light, nothing before them, uint8 [N, 48, 48], and how light their skin is, 0..1."""
    pictures, skin = [], []
    for number in range(count):
        identity = sample_identity(1_000_000 * (seed + 1) + number)
        face = sample_face(1_000_000 * (seed + 1) + number, BASIC7[number % len(BASIC7)], identity)
        pictures.append(render(face, 48).image)
        skin.append(identity.skin)
    return np.stack(pictures), np.array(skin)


def stored_faces(source: Path, count: int, rng: np.random.Generator) -> Pixels:
    """Faces of a manifest, by lot, uint8 [N, 48, 48]."""
    opened = manifest.read(source)
    rows = np.zeros(len(opened), dtype=bool)
    rows[rng.choice(len(opened), count, replace=False)] = True
    return opened.pictures(48, 1, rows)[:, 0]


def plant(face: Pixels, kind: str, rng: np.random.Generator) -> Pixels:
    """The face spoiled, from hardly to hopelessly."""
    grey = face.astype(np.float32)
    if kind == "blank":
        return defects.blank(48, rng)
    if kind == "blurred":
        return np.asarray(Image.fromarray(face).filter(ImageFilter.GaussianBlur(rng.uniform(1.2, 4.0))))
    if kind == "dark":
        grey = grey * rng.uniform(0.04, 0.40) + rng.normal(0, 1.5, grey.shape)
    elif kind == "bright":
        grey = 255 - (255 - grey) * rng.uniform(0.05, 0.35)
    else:
        grey = rng.uniform(70, 185) + (grey - grey.mean()) * rng.uniform(0.06, 0.30)
    return np.clip(grey + 0.5, 0, 255).astype(np.uint8)


def peer_flags(pictures: Pixels, python: Path) -> dict[str, list[bool]]:
    """What CleanVision flags, per issue in the order of the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        for number, picture in enumerate(pictures):
            Image.fromarray(picture).save(Path(folder) / f"{number:06d}.png", compress_level=1)
        run = subprocess.run([python, _PEER, folder], capture_output=True, text=True, check=True)
    flags: dict[str, list[bool]] = json.loads(run.stdout)
    return flags


if __name__ == "__main__":
    main()
