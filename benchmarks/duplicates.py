"""How fast near duplicates are found, which share of planted ones, and how many of those found are none.

    python benchmarks/duplicates.py [--quick] [--manifest MANIFEST] [--peer-python PYTHON] [--peer-full]
        [--rows 10000,100000,1000000] [--out docs/results/duplicates.jsonl]

Planted: into all pictures of the manifest (FER-2013) copies of some are put, altered in one of eight ways or in two of
them. Recall is the share of copies linked to their original. Precision counts the pairs that a copy is in: right where
the partner is its original, or in the group of the original that the search finds without any copy planted (what is
in these groups was judged by looking: docs/results/near_duplicates.md). Seeds are others than those that constants
were chosen with.
Drawn faces (`fer import procedural`) have a complete truth: a pair is right only where both show one drawing.
Growth: pictures mixed from two drawn faces each, thumbnails ready, search alone.
--peer-python names a Python that has cleanvision 0.3.7; without it peers are "not run". --peer-full runs it on all
pictures of the manifest too, which takes minutes.
"""

import argparse
import io
import json
import subprocess
import sys
import tempfile
import time
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from measuring import figure as shared_figure
from measuring import fresh, keep, peak_gb, tell
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from fer_data import manifest, progress
from fer_data.adapters.procedural import Options, read
from fer_data.links import group_ids
from fer_data.near_duplicates import NearDuplicateConfig, find_near_duplicates, near_pairs
from fer_data.similarity.fingerprints import THUMBNAIL_PX, thumbnails

KINDS = ("mirror", "shift", "crop", "brightness", "contrast", "jpeg", "blur", "resolution")
RECALL, PRECISION, MOST_SECONDS, SPEEDUP = 0.95, 0.99, 10.0, 15.0
DARK, FLAT = 60.0, 25.0  # mean and standard deviation of brightness below which a face counts as dark or flat
_PEER = Path(__file__).parent / "peers" / "cleanvision_duplicates.py"

Pixels = NDArray[np.uint8]
Pairs = set[tuple[int, int]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small share of it")
    parser.add_argument("--manifest", type=Path, help="search and plant in the faces of this manifest")
    parser.add_argument("--peer-python", type=Path, help="a Python that has cleanvision")
    parser.add_argument("--peer-full", action="store_true", help="run the peer on the whole manifest too")
    parser.add_argument("--rows", default="10000,100000", help="sizes at which growth is measured")
    parser.add_argument("--out", type=Path, help="also write the lines to this file")
    parser.add_argument("--search", type=Path, help=argparse.SUPPRESS)  # one search in a process of its own
    parser.add_argument("--grow", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.search:
        print(json.dumps(search(arguments.search)))
        return
    if arguments.grow:
        print(json.dumps(grow(arguments.grow)))
        return
    lines: list[str] = []
    seeds = [101] if arguments.quick else [101, 102, 103]
    for line in drawn(500 if arguments.quick else 4000, seeds):
        tell(lines, line)
    if arguments.manifest:
        pictures = manifest.read(arguments.manifest).pictures(48, 1)[:, 0]
        for line in (
            *speed(arguments.manifest, pictures, 1 if arguments.quick else 3, arguments),
            *planted(pictures[:6000] if arguments.quick else pictures, seeds),
            *hashing(pictures, arguments.peer_python, 300 if arguments.quick else 2000),
        ):
            tell(lines, line)
    for line in growth([2000] if arguments.quick else [int(rows) for rows in arguments.rows.split(",")]):
        tell(lines, line)
    keep(lines, arguments.out)


def figure(name: str, values: list[float], unit: str, **more: Any) -> dict[str, Any]:
    return shared_figure("duplicates", name, values, unit, **more)


def alter(kind: str, face: Pixels, rng: np.random.Generator) -> Pixels:
    """One alteration of a face, uint8 [48, 48], drawn within the ranges that the issue names."""
    size = len(face)
    image = Image.fromarray(np.ascontiguousarray(face))
    if kind == "mirror":
        return face[:, ::-1]
    if kind == "shift":
        right, down = (int(step) for step in rng.choice([step for step in range(-4, 5) if step], 2))
        padded = np.pad(face, 4, mode=str(rng.choice(["edge", "reflect", "constant"])))
        return padded[4 - down : 4 - down + size, 4 - right : 4 - right + size]
    if kind == "crop":
        side = size * rng.uniform(0.9, 0.98)
        left, top = rng.uniform(0, size - side, 2)
        return np.asarray(image.resize(image.size, Image.Resampling.BICUBIC, box=(left, top, left + side, top + side)))
    if kind == "jpeg":
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=int(rng.integers(25, 90)))
        return np.asarray(Image.open(buffer))
    if kind == "blur":
        return np.asarray(image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.5, 1.5)))))
    if kind == "resolution":
        other = int(rng.choice([36, 40, 64, 100]))
        return np.asarray(image.resize((other, other), Image.Resampling.BILINEAR).resize(image.size))
    if kind == "brightness":
        changed = face + rng.choice([-1, 1]) * rng.uniform(15, 50)
    else:
        changed = (face - face.mean()) * np.exp(rng.choice([-1, 1]) * rng.uniform(0.15, 0.6)) + face.mean()
    return np.clip(changed + 0.5, 0, 255).astype(np.uint8)


def plant(pictures: Pixels, count: int, seed: int) -> tuple[NDArray[np.int64], Pixels, list[tuple[str, ...]]]:
    """Copies of `count` pictures: their rows, the copies, and how each was altered; half once, half twice."""
    rng = np.random.default_rng(seed)
    shown = np.flatnonzero(pictures.reshape(len(pictures), -1).std(axis=1) >= 6)
    rows = rng.choice(shown, count, replace=False)
    twice = list(combinations(KINDS, 2))
    ways = [twice[n // 2 % len(twice)] if n % 2 else (KINDS[n // 2 % len(KINDS)],) for n in range(count)]
    copies = []
    for row, way in zip(rows, ways, strict=True):
        copy = pictures[row]
        for kind in way:
            copy = alter(kind, copy, rng)
        copies.append(copy)
    return rows, np.stack(copies), ways


def pairs_in(pictures: Pixels, config: NearDuplicateConfig | None = None) -> Pairs:
    found = near_pairs(thumbnails(pictures), config or NearDuplicateConfig())
    return set(zip(found.i.tolist(), found.j.tolist(), strict=True))


def planted(pictures: Pixels, seeds: list[int]) -> list[dict[str, Any]]:
    """Recall per kind and precision of copies planted among all faces of a manifest; identical pictures count once."""
    pictures = np.unique(pictures.reshape(len(pictures), -1), axis=0).reshape(-1, 48, 48)
    start = time.perf_counter()
    links = np.array(sorted(pairs_in(pictures)), dtype=np.int64).reshape(-1, 2)
    natural = group_ids([f"{row:06d}" for row in range(len(pictures))], links)
    recalls, precisions, found = [], [], {}
    count = min(2240, len(pictures) // 3)
    for seed in seeds:
        rows, copies, ways = plant(pictures, count, seed)
        pairs = pairs_in(np.concatenate([pictures, copies]))
        hits = np.array([(int(row), len(pictures) + n) in pairs for n, row in enumerate(rows)])
        right = total = 0
        for i, j in pairs:
            if j < len(pictures):
                continue
            original = int(rows[j - len(pictures)])
            partner = i if i < len(pictures) else int(rows[i - len(pictures)])
            total += 1
            right += natural[partner] == natural[original]
        recalls.append(float(hits.mean()))
        precisions.append(right / total)
        means, spreads = (getattr(pictures[rows].reshape(count, -1), name)(axis=1) for name in ("mean", "std"))
        for name, chosen in [
            *((kind, np.array([way == (kind,) for way in ways])) for kind in KINDS),
            ("two of them", np.array([len(way) == 2 for way in ways])),
            ("dark faces", means < DARK),
            ("flat faces", spreads < FLAT),
        ]:
            found.setdefault(name, []).append(hits[chosen])
    told = {"n": count, "seeds": seeds, "seconds": round(time.perf_counter() - start, 2), "faces": len(pictures)}
    lines = [
        figure("recall of planted copies", recalls, "share", target=f">= {RECALL}",
               reached=min(recalls) >= RECALL, **told),
        figure("precision of pairs with planted copies", precisions, "share", target=f">= {PRECISION}",
               reached=min(precisions) >= PRECISION, **told),
    ]  # fmt: skip
    for name, hits_per_seed in found.items():
        shares = [float(hits.mean()) for hits in hits_per_seed if len(hits)]
        if shares:
            told["n"] = sum(map(len, hits_per_seed))
            lines.append(figure(f"recall of planted copies: {name}", shares, "share", **told))
    return lines


def drawn(count: int, seeds: list[int]) -> list[dict[str, Any]]:
    """Recall and precision on drawn faces, of which `fer import procedural` plants near duplicates itself."""
    start = time.perf_counter()
    shares: dict[float, list[tuple[float, float]]] = {}
    for seed in seeds:
        options = Options(count=count, seed=seed, exact_duplicates=0, near_duplicates=0.05)
        samples = list(read(None, options, []).samples)
        drawing = np.array([sample.facts["seed"] for sample in samples])
        truth = sum(sample.facts["planted"] == "near_duplicate" for sample in samples)
        for threshold in (NearDuplicateConfig().threshold, 0.97):
            pairs = pairs_in(np.stack([sample.image for sample in samples]), NearDuplicateConfig(threshold=threshold))
            copies = {j if samples[j].facts["planted"] else i for i, j in pairs if drawing[i] == drawing[j]}
            right = sum(drawing[i] == drawing[j] for i, j in pairs)
            shares.setdefault(threshold, []).append((len(copies) / truth, right / max(len(pairs), 1)))
    told = {"n": count, "seeds": seeds, "seconds": round(time.perf_counter() - start, 2)}
    return [
        figure(f"{name} on drawn faces at threshold {threshold}", [pair[which] for pair in values], "share", **told)
        for threshold, values in shares.items()
        for which, name in enumerate(("recall of near duplicates", "precision of pairs"))
    ]


def search(path: Path) -> dict[str, float]:
    """Seconds of one search through a manifest, import of the program not counted; reading apart from the rest."""
    stages: dict[str, float] = {}

    class Clock(progress.Silent):
        def stage(self, name: str, total: float) -> Any:
            stages[name] = time.perf_counter()
            return super().stage(name, total)

    opened = manifest.read(path)
    start, processor = time.perf_counter(), time.process_time()
    report = find_near_duplicates([opened], reporter=Clock())
    end = time.perf_counter()
    return {
        "total": end - start,
        "processor": time.process_time() - processor,
        "reading": stages["near duplicates"] - stages["pictures"],
        "groups": report.together.groups,
        "pairs": report.summary()["near_pairs"],
        "peak_gb": peak_gb(),
    }


def speed(path: Path, pictures: Pixels, runs: int, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Seconds of the whole search, each time in a fresh process and a project that holds no decoded pictures."""
    opened = manifest.read(path)
    results = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            project = Path(folder)
            (project / "fer.toml").write_text("")
            (project / "stores").symlink_to(opened.root / "stores")
            (project / "manifests").mkdir()
            (project / "manifests" / opened.path.name).write_bytes(opened.path.read_bytes())
            results.append(fresh(__file__, "--search", project / "manifests" / opened.path.name))
    seconds = [result["total"] for result in results]
    peer: dict[str, Any] = {"peer": "cleanvision 0.3.7, exact and near check, 2 jobs: not run"}
    if arguments.peer_python and arguments.peer_full:
        told = ask_peer(arguments.peer_python, pictures)
        peer = {
            "peer": "cleanvision 0.3.7, exact and near check, 2 jobs",
            "peer_values": [told["seconds"]],
            "ratio": told["seconds"] / float(np.median(seconds)),
            "peer_groups": {"exact": len(told["exact"]), "near": len(told["near"])},
        }
    told = {"n": len(opened), "groups": results[0]["groups"], "near_pairs": results[0]["pairs"]}
    processor = [result["processor"] for result in results]
    peak = [result["peak_gb"] for result in results]
    within = float(np.median(seconds)) <= MOST_SECONDS and peer.get("ratio", SPEEDUP) >= SPEEDUP
    return [
        figure("exact and near duplicates, decoding included", seconds, "s",
               target=f"<= {MOST_SECONDS:.0f} s and >= {SPEEDUP:.0f}x faster than the peer", reached=within,
               **told, **peer),
        figure("of which reading and decoding pictures", [result["reading"] for result in results], "s", **told),
        figure("processor time of the search, all cores together", processor, "s", **told),
        figure("peak memory of the search", peak, "GB", **told),
    ]  # fmt: skip


def ask_peer(python: Path, pictures: Pixels, *options: str) -> dict[str, Any]:
    """What the peer says of pictures, written as PNG files named by their row."""
    with tempfile.TemporaryDirectory() as folder:
        for row, picture in enumerate(pictures):
            Image.fromarray(picture).save(Path(folder) / f"{row:06d}.png", compress_level=1)
        command = [str(python), str(_PEER), folder, *options]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=sys.stderr, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def hashing(pictures: Pixels, python: Path | None, count: int, seed: int = 104) -> list[dict[str, Any]]:
    """Copies planted in a sample: this search, CleanVision's check, and hashes that nearly agree."""
    chosen = np.random.default_rng(seed).choice(len(pictures), 2 * count, replace=False)
    unique = np.unique(pictures[chosen].reshape(2 * count, -1), axis=0).reshape(-1, 48, 48)
    rows, copies, _ = plant(unique, count, seed)
    both = np.concatenate([unique, copies])
    truth = {(int(row), len(unique) + n) for n, row in enumerate(rows)}
    ours = len(pairs_in(both) & truth) / count
    name = "recall of planted copies in a sample, perceptual hashes beside"
    if python is None:
        return [figure(name, [ours], "share", n=count, peer="cleanvision and imagehash: not run")]
    told = ask_peer(python, both, "--hashes")
    near = {tuple(sorted(int(file[:6]) for file in pair)) for files in told["near"] for pair in combinations(files, 2)}
    sides = [("cleanvision 0.3.7 near check (equal pHash)", len(near & truth) / count, None)]
    for which, hashed in enumerate(("pHash", "dHash")):
        codes = np.array([int(told["hashes"][file][which], 16) for file in sorted(told["hashes"])], dtype=np.uint64)
        for bits in (4, 8, 12):
            pairs = {
                (row, int(other))
                for row in range(len(codes))
                for other in np.flatnonzero(np.bitwise_count(codes[row + 1 :] ^ codes[row]) <= bits) + row + 1
            }
            sides.append((f"{hashed}, at most {bits} of 64 bits differ", len(pairs & truth) / count, len(pairs)))
    return [
        figure(name, [ours], "share", n=count, peer=peer, peer_values=[share], peer_pairs=pairs)
        for peer, share, pairs in sides
    ]


def grow(rows: int, seed: int = 105) -> dict[str, float]:
    """Seconds of the search alone among pictures mixed from two drawn faces each, a thousand of them planted copies."""
    rng = np.random.default_rng(seed)
    options = Options(count=1500, seed=seed, exact_duplicates=0, near_duplicates=0, blank=0, not_a_face=0)
    faces = thumbnails(np.stack([sample.image for sample in read(None, options, []).samples])).astype(np.float32)
    small = np.empty((rows, THUMBNAIL_PX, THUMBNAIL_PX), dtype=np.uint16)
    copies = min(1000, rows // 10)
    for start in range(0, rows, 5000):
        size = min(5000, rows - start)
        first, second = faces[rng.integers(0, len(faces), (2, size))]
        share = rng.uniform(0.35, 0.65, (size, 1, 1)).astype(np.float32)
        turned = np.roll(second, tuple(rng.integers(-6, 7, 2)), axis=(1, 2))
        small[start : start + size] = share * first + (1 - share) * turned
    originals = rng.choice(rows - copies, copies, replace=False)
    small[rows - copies :] = np.roll(small[originals], (1, -1), axis=(1, 2)) * np.float32(0.9)
    start = time.perf_counter()
    pairs = near_pairs(small, NearDuplicateConfig())
    seconds = time.perf_counter() - start
    found = set(zip(pairs.i.tolist(), pairs.j.tolist(), strict=True))
    hits = sum((int(row), rows - copies + n) in found for n, row in enumerate(originals))
    return {"seconds": seconds, "recall": hits / copies, "pairs": len(found), "peak_gb": peak_gb()}


def growth(sizes: list[int]) -> list[dict[str, Any]]:
    lines = []
    for rows in sizes:
        told = fresh(__file__, "--grow", rows)
        more = {name: round(told[name], 3) for name in ("recall", "pairs", "peak_gb")}
        lines.append(figure(f"search alone among {rows:,} pictures", [told["seconds"]], "s", n=rows, **more))
    return lines


if __name__ == "__main__":
    main()
