"""How long an audit of given probabilities takes and what it needs, up to a million rows × 8 classes.

    python benchmarks/audit_scale.py [--quick] [--runs 3] [--out docs/results/audit_scale.jsonl]

The audit: a manifest and a table of predictions in, the audit table out, no features and no repeats, so no neighbours
and no training dynamics; reading, checking, scores, confident joint, marks, ranks and writing counted, imports of
libraries too. Beside it cleanlab's own functions and its Datalab on arrays that are loaded already. Then the scores
alone, and the neighbours of 32,000 faces × 128 features in four folds against scikit-learn's (brute force, cosine,
as cleanlab's Datalab searches). Every run is a process of its own. Labels and probabilities are made up: as rare as
FER-2013's, a tenth of the labels wrong.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from manifest_ops import make_project
from measuring import figure as shared_figure
from measuring import fresh, keep, peak_gb, tell

from fer_data import manifest, tables
from fer_data.auditing.evidence import Evidence
from fer_data.auditing.neighbours import find_nearest, vote
from fer_data.auditing.scores import score_labels
from fer_data.expressions import label_indices, label_names
from fer_data.tabular.rows import with_columns

SEED = 20130414
LABEL_SET = "basic8"
LABELS = label_names(LABEL_SET)
MOST_SECONDS, MOST_GB = 20.0, 4.0
FACES, FEATURES, FOLDS, NEAREST = 32_000, 128, 4, 20
_PEER = Path(__file__).parent / "peers" / "cleanlab_scale.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a hundred thousand rows, once")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path, help="also write the lines to this file")
    parser.add_argument("--measure", nargs=2, metavar=("PART", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        part, folder = arguments.measure
        print(json.dumps(measure(part, Path(folder))))
        return
    runs = 1 if arguments.quick else arguments.runs
    lines: list[str] = []
    for rows in (10**5,) if arguments.quick else (10**5, 10**6):
        with tempfile.TemporaryDirectory() as folder:
            fresh(__file__, "--measure", f"make {rows}", folder)
            for line in (audit_figure(rows, Path(folder), runs), scores_figure(rows, Path(folder), runs)):
                tell(lines, line)
    for line in neighbour_figures(FACES // 8 if arguments.quick else FACES, runs):
        tell(lines, line)
    keep(lines, arguments.out)


def audit_figure(rows: int, folder: Path, runs: int) -> dict[str, Any]:
    """The whole audit, and the two ways in which cleanlab would be called."""
    ours = [fresh(__file__, "--measure", "audit", folder) for _ in range(runs)]
    peers = {
        method: [
            fresh(_PEER, folder / "labels.npy", folder / "probabilities.npy", "--method", method) for _ in range(runs)
        ]
        for method in ("functions", "datalab")
    }
    seconds, highest_gb = [run["seconds"] for run in ours], max(run["peak_gb"] for run in ours)
    promised = rows == 10**6
    within = float(np.median(seconds)) <= MOST_SECONDS and highest_gb < MOST_GB
    theirs = [run["seconds"]["all"] for run in peers["datalab"]]
    return figure(
        f"audit of given probabilities, {rows:,} rows × 8, tables in, table out",
        seconds,
        n=rows,
        target=f"<= {MOST_SECONDS:.0f} s, < {MOST_GB:.0f} GB" if promised else None,
        reached=within if promised else None,
        peer="cleanlab 2.9 Datalab, the label check alone, arrays in memory",
        peer_values=theirs,
        ratio=float(np.median(theirs) / np.median(seconds)),
        cpu_seconds=round(float(np.median([run["cpu_seconds"] for run in ours])), 3),
        peak_gb=highest_gb,
        peer_peak_gb=max(run["peak_gb"] for run in peers["datalab"]),
        functions_seconds=round(float(np.median([run["seconds"]["all"] for run in peers["functions"]])), 3),
        functions_peak_gb=max(run["peak_gb"] for run in peers["functions"]),
    )


def scores_figure(rows: int, folder: Path, runs: int) -> dict[str, Any]:
    """All scores that need probabilities only, against cleanlab's three."""
    ours = [fresh(__file__, "--measure", "scores", folder) for _ in range(runs)]
    peer = [fresh(_PEER, folder / "labels.npy", folder / "probabilities.npy") for _ in range(runs)]
    seconds, theirs = [run["seconds"] for run in ours], [run["seconds"]["scores"] for run in peer]
    return figure(
        f"four scores of probabilities, {rows:,} rows × 8, arrays in memory",
        seconds,
        n=rows,
        peer="cleanlab 2.9 get_label_quality_scores, its three methods",
        peer_values=theirs,
        ratio=float(np.median(theirs) / np.median(seconds)),
        cpu_seconds=round(float(np.median([run["cpu_seconds"] for run in ours])), 3),
        peak_gb=max(run["peak_gb"] for run in ours),
    )


def neighbour_figures(faces: int, runs: int) -> list[dict[str, Any]]:
    """The vote of the faces around, and the nearest ones, against scikit-learn's nearest."""
    told = {
        part: [fresh(__file__, "--measure", f"{part} {faces}", ".") for _ in range(runs)]
        for part in ("vote", "nearest", "scikit-learn")
    }
    theirs = [run["seconds"] for run in told["scikit-learn"]]
    names = {"vote": "vote of all faces of the fold", "nearest": f"the {NEAREST} nearest of other groups"}
    return [
        figure(
            f"{name}, {faces:,} faces × {FEATURES} features, {FOLDS} folds",
            [run["seconds"] for run in told[part]],
            n=faces,
            peer=f"scikit-learn NearestNeighbors, brute force, cosine, {NEAREST} nearest, groups not kept apart",
            peer_values=theirs,
            ratio=float(np.median(theirs) / np.median([run["seconds"] for run in told[part]])),
            cpu_seconds=round(float(np.median([run["cpu_seconds"] for run in told[part]])), 3),
            peer_cpu_seconds=round(float(np.median([run["cpu_seconds"] for run in told["scikit-learn"]])), 3),
            peak_gb=max(run["peak_gb"] for run in told[part]),
        )
        for part, name in names.items()
    ]


def figure(name: str, seconds: list[float], **more: Any) -> dict[str, Any]:
    return shared_figure("audit_scale", name, seconds, "s", seeds=[SEED], **more)


def measure(part: str, folder: Path) -> dict[str, Any]:
    """One part in this process; what is loaded or made for it does not count."""
    name, _, rows = part.partition(" ")
    if name == "make":
        make_inputs(folder, int(rows))
        return {}
    task = {"audit": audit_task, "scores": scores_task}.get(name)
    work = task(folder) if task else faces_task(name, int(rows))
    start, cpu = time.perf_counter(), time.process_time()
    work()
    return {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu,
        "peak_gb": peak_gb(),
    }


def audit_task(folder: Path) -> Callable[[], object]:
    def work() -> None:
        from fer_data.label_audit import AuditConfig, audit

        opened = manifest.read("judged")
        audit(opened, Path("predictions/judged.parquet"), AuditConfig(), Path("audit/judged.parquet"), replace=True)

    os.chdir(folder)
    return work


def scores_task(folder: Path) -> Callable[[], object]:
    labels, probabilities = np.load(folder / "labels.npy"), np.load(folder / "probabilities.npy")
    rows = np.arange(len(labels))
    evidence = Evidence(tuple(LABELS), rows.astype(object), labels, probabilities, rows)
    return lambda: score_labels(evidence)


def faces_task(name: str, faces: int) -> Callable[[], object]:
    """Faces about seven centres, as features behind a ReLU are."""
    rng = np.random.default_rng(SEED)
    labels = rng.integers(0, 7, faces)
    features = np.abs(rng.normal(size=(7, FEATURES))[labels] + rng.normal(size=(faces, FEATURES))).astype(np.float32)
    fold, groups = (np.arange(faces) % FOLDS).astype(np.int16), np.arange(faces)
    if name == "vote":
        return lambda: vote(features, labels, fold, groups, 7)
    if name == "nearest":
        return lambda: find_nearest(features, fold, groups, NEAREST)

    from sklearn.neighbors import NearestNeighbors

    def peer() -> None:
        for number in range(FOLDS):
            NearestNeighbors(n_neighbors=NEAREST, metric="cosine").fit(features[fold == number]).kneighbors()

    return peer


def make_inputs(folder: Path, rows: int) -> None:
    """The manifest `judged` over eight labels, its predictions, and both as arrays."""
    make_project(folder, rows)
    rng = np.random.default_rng(SEED)
    whole = manifest.read("whole")
    names = whole.table["label"].combine_chunks().cast(pa.string()).to_numpy(zero_copy_only=False).copy()
    names[rng.random(rows) < 0.02] = LABELS[-1]
    table = with_columns(whole.table, label=pa.array(names, pa.string(), from_pandas=True))
    licence = whole.metadata["licence"]
    manifest.write(table, "judged", label_set=LABEL_SET, command="benchmark", licence=licence)
    labels = label_indices(names, LABEL_SET)
    known = labels >= 0
    true = np.where(rng.random(rows) < 0.1, rng.integers(0, len(LABELS), rows), labels)
    logits = rng.normal(size=(rows, len(LABELS))) + 2.5 * np.eye(len(LABELS))[true]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    columns = {f"p_{name}": probabilities[:, k].astype(np.float32) for k, name in enumerate(LABELS)}
    predictions = pa.table(
        {
            "sample_id": whole.table["sample_id"],
            "fold": pa.array(rng.integers(0, FOLDS, rows), pa.int16()),
            "given_label": pa.array(names, pa.string(), from_pandas=True),
            **columns,
        }
    )
    metadata = tables.provenance("predictions", "benchmark", label_set=LABEL_SET, manifest="manifests/judged.parquet")
    tables.write_table(Path("predictions/judged.parquet"), predictions, metadata)
    np.save("labels.npy", labels[known])
    np.save("probabilities.npy", probabilities[known])


if __name__ == "__main__":
    main()
