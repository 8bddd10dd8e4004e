"""How long it takes to filter, group, balance, split and merge a manifest, and how that grows with its rows.

    python benchmarks/manifest_ops.py [--quick] [--out docs/results/manifest_ops.jsonl]

Manifests and the facts of their stores are made up (no pictures are needed: no operation looks at one): ten stores,
labels as rare as FER-2013's, one picture in a hundred occurring twice, a tenth of the rows frames of known persons.
Each operation runs in a process of its own, from the Parquet files to the Parquet file as the command line does it,
the hash of the parents included; `value` is that wall clock, `cpu_seconds` its processor time, `in_memory_seconds`
the same operation on an opened manifest without writing (where the two can be told apart), and `peak_gb` the
resident memory of the process at its highest, Python and libraries included.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from measuring import peak_gb

from fer_data import manifest
from fer_data.balance import BalanceConfig, make_plan, write_plan
from fer_data.diffing import diff
from fer_data.expressions import BASIC7
from fer_data.facts import FACTS, UNIQUE
from fer_data.filtering import filter_manifest, matching_rows
from fer_data.licenses import DRAWN
from fer_data.manifest import derive
from fer_data.merging import merge
from fer_data.resampling import RebalanceConfig, rebalance
from fer_data.splits import SplitConfig, split
from fer_data.tabular.grouping import groups_for
from fer_data.tabular.rows import coded, with_columns

SEED = 20130414
STORES = 10
SHARES = (0.139, 0.015, 0.143, 0.251, 0.168, 0.111, 0.173)  # of BASIC7 in FER-2013's training split, as published
TARGETS_S = {10**6: 0.5, 10**7: 5.0}
TARGET_GB = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="up to a million rows, once each")
    parser.add_argument("--out", type=Path, help="also write the lines to this file")
    parser.add_argument("--measure", nargs=3, metavar=("OPERATION", "ROWS", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        name, rows, folder = arguments.measure
        print(json.dumps(measure(name, int(rows), Path(folder))))
        return
    sizes = (10**4, 10**5, 10**6) if arguments.quick else (10**4, 10**5, 10**6, 10**7)
    repeats = 1 if arguments.quick else 3
    lines = []
    for rows in sizes:
        with tempfile.TemporaryDirectory() as folder:
            make_project(Path(folder), rows)
            for name in OPERATIONS:
                lines.append(json.dumps(figure(name, rows, Path(folder), repeats)))
                print(lines[-1], flush=True)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text("\n".join(lines) + "\n")


def figure(name: str, rows: int, folder: Path, repeats: int) -> dict[str, Any]:
    """One operation at one size: the median of fresh processes, with the lowest and the highest."""
    runs = []
    for _ in range(repeats):
        command = [sys.executable, __file__, "--measure", name, str(rows), str(folder)]
        runs.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    seconds = sorted(run["seconds"] for run in runs)
    run = sorted(runs, key=lambda run: run["seconds"])[len(runs) // 2]
    highest_gb = max(run["peak_gb"] for run in runs)
    limit = TARGETS_S.get(rows) if name not in EXTRA else None
    target = None if limit is None else f"< {limit} s" + (f" and < {TARGET_GB} GB" if rows == 10**7 else "")
    within = limit is not None and run["seconds"] < limit and (rows < 10**7 or highest_gb < TARGET_GB)
    return {
        "bench": "manifest_ops",
        "figure": f"{name}, {rows:,} rows, Parquet in, Parquet out",
        "value": round(run["seconds"], 3),
        "unit": "s",
        "target": target,
        "reached": within if limit is not None else None,
        "peer": None,
        "peer_value": None,
        "ratio": None,
        "n": rows,
        "seeds": [SEED],
        "interval": [round(seconds[0], 3), round(seconds[-1], 3)],
        "seconds": round(sum(seconds), 3),
        "cpu_seconds": round(run["cpu_seconds"], 3),
        "in_memory_seconds": None if run["in_memory_seconds"] is None else round(run["in_memory_seconds"], 3),
        "peak_gb": round(highest_gb, 2),
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "pyarrow": pa.__version__,
            "duckdb": duckdb.__version__,
        },
        "machine": {"cores": os.cpu_count(), "kind": platform.machine()},
    }


def measure(name: str, rows: int, folder: Path) -> dict[str, Any]:
    """Run one operation in this process, and the part of it that is in memory after that."""
    os.chdir(folder)
    shutil.rmtree(folder / "out", ignore_errors=True)
    whole, inner = OPERATIONS[name]
    matching_rows(manifest.read("warm"), "label = 'fear' and light = 'low'")  # imports
    start, cpu = time.perf_counter(), time.process_time()
    whole()
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    peak = peak_gb()
    in_memory = None
    if inner is not None:
        opened = manifest.read("whole")
        start = time.perf_counter()
        inner(opened)
        in_memory = time.perf_counter() - start
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "in_memory_seconds": in_memory, "peak_gb": peak}


def _filter() -> None:
    filter_manifest(manifest.read("whole"), "label in ('fear', 'disgust') or weight > 1", "out/filtered")


def _filter_by_fact() -> None:
    filter_manifest(manifest.read("whole"), "label = 'fear' and light = 'low'", "out/filtered")


def _group() -> None:
    opened = manifest.read("whole")
    grouped = with_columns(opened.table, group_id=groups_for(opened, "subjects"))
    derive(opened, grouped, "out/grouped", command="benchmark", configuration={})


def _balance() -> None:
    rebalance(manifest.read("whole"), RebalanceConfig(), "out/balanced")


def _plan() -> None:
    opened = manifest.read("whole")
    write_plan(make_plan(opened, BalanceConfig()), Path("out/plan.yaml"))


def _split() -> None:
    config = SplitConfig(redraw=("none", "train", "val", "test"))
    split(manifest.read("whole"), config, "out/split")


def _merge() -> None:
    merge([manifest.read("first"), manifest.read("second")], "out/merged")


def _diff() -> None:
    diff(manifest.read("whole"), manifest.read("changed"))


OPERATIONS: dict[str, tuple[Callable[[], None], Callable[[manifest.Manifest], object] | None]] = {
    "filter by label": (_filter, lambda opened: matching_rows(opened, "label in ('fear', 'disgust') or weight > 1")),
    "filter by label and light": (
        _filter_by_fact,
        lambda opened: matching_rows(opened, "label = 'fear' and light = 'low'"),
    ),
    "group": (_group, lambda opened: groups_for(opened, "subjects")),
    "balance": (_balance, None),
    "balance plan": (_plan, lambda opened: make_plan(opened, BalanceConfig())),
    "split": (_split, None),
    "merge": (_merge, None),
    "diff": (_diff, lambda opened: diff(opened, manifest.read("changed"))),
}
EXTRA = ("diff",)  # told beside the operations that were promised


def make_project(folder: Path, rows: int) -> None:
    """A project of ten stores and the manifests `whole`, its halves `first` and `second`, and `changed`."""
    (folder / "fer.toml").write_text("")
    os.chdir(folder)
    rng = np.random.default_rng(SEED)
    parts = [_store(rng, number, rows // STORES) for number in range(STORES)]
    _manifest(rng, "whole", parts)
    _manifest(rng, "first", parts[: STORES // 2])
    _manifest(rng, "second", parts[STORES // 2 :])
    _manifest(rng, "warm", [_store(rng, STORES, 100)])
    opened = manifest.read("whole")
    label = opened.table["label"].combine_chunks().cast(pa.string()).to_numpy(zero_copy_only=False).copy()
    label[rng.integers(0, rows, rows // 100)] = "neutral"
    changed = with_columns(opened.table, label=pa.array(label, pa.string())).slice(rows // 1000)
    derive(opened, changed, "changed", command="benchmark", configuration={}, changed=("label",))


def _store(rng: np.random.Generator, number: int, rows: int) -> str:
    """Write the facts of one store; returns its path."""
    name = f"stores/made-{number:08x}"
    Path(name).mkdir(parents=True)
    pictures = rng.bytes(32 * rows)
    hashes = [pictures[32 * row : 32 * row + 32].hex() for row in range(rows)]
    for row in rng.integers(0, rows, rows // 100):
        hashes[row] = hashes[rng.integers(0, rows)]
    number_of_person = pc.cast(pa.array(rng.integers(0, max(rows // 1000, 1), rows)), pa.string())
    subjects = pc.binary_join_element_wise("S", number_of_person, "") if number == 0 else pa.nulls(rows, pa.string())
    given = {
        "store_row": pa.array(np.arange(rows)),
        "key": _keys(rows),
        "pixel_sha256": pa.array(hashes),
        "pixel_key": pa.array([int.from_bytes(bytes.fromhex(digest[:16]), "big", signed=True) for digest in hashes]),
        "file_sha256": pa.array(hashes),
        "width_px": pa.array(np.full(rows, 48, np.int32)),
        "height_px": pa.array(np.full(rows, 48, np.int32)),
        "mode": pa.array(["L"] * rows),
        "subject_id": subjects,
        "occlusion": pa.array(rng.choice(["none", "mask", "sunglasses"], rows, p=[0.8, 0.1, 0.1])),
        "light": pa.array(rng.choice(["normal", "low"], rows, p=[0.9, 0.1])),
    }
    table = pa.table({field.name: given.get(field.name, pa.nulls(rows, field.type)) for field in FACTS}, schema=FACTS)
    few = [field.name for field in FACTS if field.name not in UNIQUE]
    path = f"{name}/facts.parquet"
    pq.write_table(table, path, compression="zstd", use_dictionary=few, row_group_size=2**16)  # as FactsWriter does
    info = {"kind": "embedded", "name": "made", "source": f"made{number}", "root_key": None, "rows": rows,
            "licence": DRAWN.as_dict(), "votes_labels": [], "generation": None, "files": {}}  # fmt: skip
    Path(name, "store.json").write_text(json.dumps(info))
    return name


def _manifest(rng: np.random.Generator, name: str, parts: list[str]) -> None:
    """All rows of some stores, with random labels and splits, each its own group."""
    sizes = [pq.read_metadata(f"{part}/facts.parquet").num_rows for part in parts]
    rows = sum(sizes)
    store = np.repeat(np.arange(len(parts)), sizes)
    ids = pa.concat_arrays(
        [
            pc.binary_join_element_wise(f"made{part[-1]}", _keys(size), "/")
            for part, size in zip(parts, sizes, strict=True)
        ]
    )
    label = rng.choice(len(BASIC7), rows, p=np.array(SHARES) / sum(SHARES))
    label[rng.random(rows) < 0.01] = -1
    table = pa.table(
        {
            "sample_id": ids,
            "store": coded(store, parts),
            "store_row": pa.array(np.concatenate([np.arange(size) for size in sizes])),
            "label": coded(label, BASIC7),
            "target": pa.nulls(rows, pa.list_(pa.float32())),
            "label_origin": coded(np.zeros(rows, np.int32), ["source"]),
            "split": coded(rng.choice(3, rows, p=[0.8, 0.1, 0.1]), manifest.SPLITS),
            "fold": pa.nulls(rows, pa.int16()),
            "group_id": pa.array(rng.integers(-(2**63), 2**63 - 1, rows)),
            "origin": coded(np.zeros(rows, np.int32), ["real"]),
            "weight": pa.array(np.ones(rows, np.float32)),
            "repeat": pa.array(np.ones(rows, np.int32)),
        }
    )
    manifest.write(table, name, label_set="basic7", command="benchmark", licence=DRAWN.as_dict())


def _keys(rows: int) -> pa.Array:
    return pc.utf8_lpad(pc.cast(pa.array(np.arange(rows)), pa.string()), 8, "0")


if __name__ == "__main__":
    main()
