"""Makes the project that the curator is measured on: a million drawn faces with an audit and all other tables.

    python benchmarks/million_faces.py FOLDER [--rows 1000000]

A thousand faces are drawn; each comes again and again under new ids, with its number written into three pixels, so
that every picture is one of its own. One in a hundred is planted as an exact copy of another, in another split or
under another label. The last rows are synthetic, with a screening table. What models would say (probabilities, scores,
judgements) is made up; the tables have the columns, the order and the size that the verbs give them. Beside each
other lie `manifests/faces`, `audit/faces.parquet`, `.duplicates`, `.quality` and `manifests/faces.screening.parquet`.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from measuring import peak_gb
from numpy.typing import NDArray

from fer_data import licenses, manifest, tables
from fer_data.adapters.procedural import Options, read
from fer_data.duplicates import find_duplicates, write_duplicates
from fer_data.expressions import BASIC7
from fer_data.label_audit import ROWS_TOGETHER
from fer_data.manifest import Manifest
from fer_data.quality import ISSUES
from fer_data.samples import Sample
from fer_data.store_writer import StoreWriter
from fer_data.tabular.rows import coded

SEED = 20130414
DRAWN, SYNTHETIC_SHARE, COPY_SHARE, WRONG_SHARE = 1000, 0.005, 0.01, 0.2
SHARES = (0.139, 0.015, 0.143, 0.251, 0.168, 0.111, 0.173)  # of BASIC7 in FER-2013's training split, as published
NAME = "faces"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the project; it must not hold one yet")
    parser.add_argument("--rows", type=int, default=10**6)
    arguments = parser.parse_args()
    start = time.perf_counter()
    made = make_faces(arguments.folder, arguments.rows)
    seconds = round(time.perf_counter() - start, 1)
    print(json.dumps({"manifest": str(made.path), "rows": len(made), "seconds": seconds, "peak_gb": peak_gb()}))


def make_faces(folder: Path, rows: int) -> Manifest:
    """Write the project and return its manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fer.toml").touch(exist_ok=False)
    home = Path.cwd()
    os.chdir(folder)
    try:
        rng = np.random.default_rng(SEED)
        synthetic = int(rows * SYNTHETIC_SHARE)
        drawn = _drawn(min(DRAWN, rows))
        made = _write_manifest(rng, [_store("drawn", drawn, rows - synthetic), _store("made", drawn, synthetic)])
        _write_audit(rng, made, rows - synthetic)
        _write_quality(rng, made)
        _write_screening(rng, made, rows - synthetic)
        write_duplicates(made, find_duplicates(made), Path(f"audit/{NAME}.duplicates.parquet"))
    finally:
        os.chdir(home)
    return made


def _drawn(count: int) -> NDArray[np.uint8]:
    """Different faces, uint8 [count, 48, 48]."""
    options = Options(count=count, seed=SEED, exact_duplicates=0, near_duplicates=0, blank=0, not_a_face=0)
    return np.stack([sample.image for sample in read(None, options, []).samples])


def _store(name: str, drawn: NDArray[np.uint8], rows: int) -> tuple[str, int]:
    """A store of so many faces; returns its path and their number."""
    generation = {"generation_id": "made up"} if name == "made" else None
    licence = licenses.DRAWN.as_dict()
    with StoreWriter(name, Path.cwd(), licence=licence, source=name, generation=generation) as writer:
        for _ in writer.add_all(_samples(drawn, rows)):
            pass
        return f"stores/{writer.close().path.name}", rows


def _samples(drawn: NDArray[np.uint8], rows: int) -> Iterator[Sample]:
    every = round(1 / COPY_SHARE)
    for row in range(rows):
        number = row - row % every // (every - 1)  # the last of each hundred repeats the one before it
        image = drawn[number % len(drawn)].copy()
        image[-1, -3:] = number >> 16 & 255, number >> 8 & 255, number & 255
        facts = {"occlusion": "mask" if row % 20 == 0 else "none", "light": "low" if row % 10 == 0 else "normal"}
        yield Sample(f"{row:07d}", image, None, None, None, f"row {row}", facts)


def _write_manifest(rng: np.random.Generator, stores: list[tuple[str, int]]) -> Manifest:
    sizes = [size for _, size in stores]
    rows = sum(sizes)
    keys = [pc.utf8_lpad(pc.cast(pa.array(np.arange(size)), pa.string()), 7, "0") for size in sizes]
    ids = [pc.binary_join_element_wise(name, key, "/") for name, key in zip(("drawn", "made"), keys, strict=True)]
    is_made = np.arange(rows) >= sizes[0]
    split = np.where(is_made, 0, rng.choice(3, rows, p=[0.8, 0.1, 0.1]))
    label = rng.choice(len(BASIC7), rows, p=np.array(SHARES) / sum(SHARES))
    table = pa.table(
        {
            "sample_id": pa.concat_arrays(ids),
            "store": coded(is_made.astype(np.int32), [path for path, _ in stores]),
            "store_row": np.concatenate([np.arange(size) for size in sizes]),
            "label": coded(label, BASIC7),
            "target": pa.nulls(rows, pa.list_(pa.float32())),
            "label_origin": coded(is_made.astype(np.int32), ["source", "generated"]),
            "split": coded(split, manifest.SPLITS),
            "fold": pa.nulls(rows, pa.int16()),
            "group_id": np.arange(rows),
            "origin": coded(np.where(is_made, 2, 0), manifest.ORIGINS),
            "weight": np.ones(rows, np.float32),
            "repeat": np.ones(rows, np.int32),
        }
    )
    licence = licenses.DRAWN.as_dict()
    return manifest.write(table, f"manifests/{NAME}", label_set="basic7", command="benchmark", licence=licence)


def _write_audit(rng: np.random.Generator, made: Manifest, rows: int) -> None:
    """Opinions on the first rows, as sure of themselves as a model is, in the order of their rank."""
    given = made.table["label"].combine_chunks().indices.to_numpy()[:rows]
    seen = np.where(rng.random(rows) < WRONG_SHARE, rng.integers(0, len(BASIC7), rows), given)
    logits = rng.normal(size=(rows, len(BASIC7))).astype(np.float32)
    logits[np.arange(rows), seen] += 2.5
    shares = np.exp(logits)
    shares /= shares.sum(axis=1, keepdims=True)
    suggested, score = shares.argmax(axis=1), shares[np.arange(rows), given].astype(np.float64)
    order = np.argsort(score, kind="stable")
    rank = np.empty(rows, np.int64)
    rank[order] = np.arange(1, rows + 1)
    marked = score < np.quantile(score, WRONG_SHARE)
    kinds = np.select([~marked, rng.random(rows) < 0.05, rng.random(rows) < 0.2], [0, 3, 2], 1)
    ids = made.table["sample_id"].combine_chunks().slice(0, rows)
    near = pa.array(rng.integers(0, rows, 3 * rows))
    offsets = pa.array(np.arange(0, 3 * rows + 1, 3), pa.int32())
    table = pa.table(
        {
            "sample_id": ids,
            "given_label": coded(given, BASIC7).cast(pa.string()),
            "suggested_label": coded(suggested, BASIC7).cast(pa.string()),
            "label_score": score,
            "suggestion_score": shares.max(axis=1).astype(np.float64),
            "is_label_issue": marked,
            "needs_person": np.zeros(rows, bool),
            "is_reviewed": np.zeros(rows, bool),
            "rank": rank,
            "review_rank": rank,
            "kind": coded(kinds, ["fine", "wrong", "ambiguous", "out_of_distribution"]).cast(pa.string()),
            "neighbours": pa.ListArray.from_arrays(offsets, ids.take(near)),
            "outlier_score": rng.random(rows),
            "is_outlier": kinds == 3,
            **{f"p_{name}": shares[:, k] for k, name in enumerate(BASIC7)},
        }
    )
    _keep(made, "label_audit", table.take(order), f"audit/{NAME}.parquet")


def _write_quality(rng: np.random.Generator, made: Manifest) -> None:
    scores = {score: np.sqrt(rng.random(len(made), dtype=np.float32)) for score in ISSUES.values()}
    flags = {f"is_{issue}": scores[score] < 0.05 for issue, score in ISSUES.items()}
    table = pa.table({"sample_id": made.table["sample_id"], **scores, **flags})
    _keep(made, "quality", table, f"audit/{NAME}.quality.parquet")


def _write_screening(rng: np.random.Generator, made: Manifest, first: int) -> None:
    ids, rows = made.table["sample_id"], len(made) - first
    table = pa.table(
        {
            "sample_id": ids.slice(first),
            "keep": np.ones(rows, bool),
            "reason": pa.nulls(rows, pa.string()),
            "judge_label": made.table["label"].slice(first).cast(pa.string()),
            "judge_p": rng.random(rows, dtype=np.float32),
            "label_score": rng.random(rows),
            "nearest_sample_id": ids.take(pa.array(rng.integers(0, first, rows))),
            "copy_score": rng.random(rows),
        }
    )
    _keep(made, "screening", table, f"manifests/{NAME}.screening.parquet")


def _keep(made: Manifest, kind: str, table: pa.Table, path: str) -> None:
    parents = {f"manifests/{NAME}.parquet": made.sha256}
    facts = tables.provenance(kind, "benchmark", parents=parents, label_set="basic7")
    tables.write_table(Path(path), table, facts, row_group_size=ROWS_TOGETHER)


if __name__ == "__main__":
    main()
