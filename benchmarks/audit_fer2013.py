"""Does `fer audit` find the wrong labels of FER-2013 better than cleanlab alone? FER+ judges.

    python benchmarks/audit_fer2013.py --manifest manifests/fer2013 --predictions predictions/fer2013.parquet
        [--audit audit/fer2013.parquet] [--baseline predictions/plain.parquet] [--report FOLDER]
        [--quick] [--out docs/results/audit_fer2013.jsonl]

The manifest has FER-2013's labels and the FER+ votes; the predictions are what `fer predict` made for it (five repeats
or more: five are the seeds), the audit what `fer audit` made of them, made here where it is left out; one that read the
votes is refused. The baseline is a plain recipe's predictions, fed to cleanlab only. Without --predictions use
`fer experiment configs/experiments/audit_fer2013.yaml`, which trains first and prints the same figures as a page;
--report writes that page too. Everything else is in experiments/audit_benchmark.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measuring import figure, keep, tell

from experiments.audit_benchmark.design import JudgeConfig
from experiments.audit_benchmark.figures import promised
from experiments.audit_benchmark.methods import COMBINED
from experiments.audit_benchmark.run import judge_predictions, write_report
from fer_data import label_audit
from fer_data import manifest as manifests
from fer_data.progress import Terminal

BENCH = "audit_fer2013"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--truth", type=Path, help="manifest of the same faces with votes; default the audited one")
    parser.add_argument("--predictions", type=Path, required=True)
    parser.add_argument("--baseline", type=Path)
    parser.add_argument("--audit", type=Path)
    parser.add_argument("--split", default="train", help="train, val, test or all")
    parser.add_argument("--report", type=Path, help="folder for report.json and report.md")
    parser.add_argument("--quick", action="store_true", help="one seed, 100 resamples, no growth: under a minute")
    parser.add_argument("--out", type=Path, help="also write the lines to this file")
    arguments = parser.parse_args()
    small = {"seeds": 1, "bootstrap": 100, "growth": False} if arguments.quick else {}
    config = JudgeConfig.model_validate({"split": arguments.split, **small})
    manifest = manifests.read(arguments.manifest)
    truth = manifests.read(arguments.truth) if arguments.truth else manifest
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        audit = arguments.audit or label_audit.audit(
            manifest, arguments.predictions, label_audit.AuditConfig(), Path(folder) / "audit.parquet"
        )
        seconds = time.perf_counter() - started
        report = judge_predictions(
            manifest,
            truth,
            arguments.predictions,
            config,
            baseline=arguments.baseline,
            audit=audit,
            reporter=Terminal(),
        )
    if arguments.audit is None:
        report["audit"]["seconds"] = round(seconds, 2)
    lines: list[str] = []
    for entry in [*promised(report), *compared(report)]:
        tell(lines, line(entry))
    keep(lines, arguments.out)
    if arguments.report:
        write_report(report, arguments.report)


def line(entry: dict[str, Any]) -> dict[str, Any]:
    """A figure of `experiments.audit_benchmark.figures` as a JSON line; null where the faces are too few to tell."""
    rest = {key: entry[key] for key in ("value", "peer_value", "interval", "seeds")}
    told = {key: entry[key] for key in ("target", "reached", "peer", "n")}
    return figure(BENCH, entry["figure"], [0.0], entry["unit"], **told, **rest)


def compared(report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every method's AUPRC by seed, what the combined score has more, the ablation and the growth."""
    result = report["comparison"]
    faces = result["faces"]["clear"]
    about = {"unit": "share", "target": None, "reached": None, "n": faces}
    for method, entries in result["seeds"]["methods"].items():
        yield {**_told(f"AUPRC of {method}, one repeat", entries["auprc"]), **about}
    for method, entries in result["seeds"]["differences"].items():
        yield {**_told(f"AUPRC over {method}, one repeat", entries["auprc"]), **about, "peer": method}
    for entry in result["ablation"]:
        if entry["method"] != COMBINED:
            yield {**_told(f"AUPRC lost: {entry['method']}", entry["difference"]), **about, "peer": COMBINED}
    for point in result.get("growth", []):
        where = f"{point['source']}, {point['repeats']} repeats, {point['predict_seconds']:.0f} s"
        peer = {"peer": point["cleanlab"], "peer_value": point["cleanlab_auprc"]["value"]}
        yield {**_told(f"AUPRC, {where}", point.get("auprc", point["cleanlab_auprc"])), **about, **peer}


def _told(name: str, level: dict[str, Any]) -> dict[str, Any]:
    rounded = {key: None if level[key] is None else round(level[key], 4) for key in ("value", "low", "high")}
    return {
        "figure": name,
        "value": rounded["value"],
        "interval": None if rounded["value"] is None else [rounded["low"], rounded["high"]],
        "seeds": [round(value, 4) for value in level["seeds"] if value is not None],
        "peer": None,
        "peer_value": None,
    }


if __name__ == "__main__":
    main()
