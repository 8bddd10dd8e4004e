"""A scripted reviewer who knows the answers decides the worst 2,000 faces in the browser; then `fer apply` is checked.

    python benchmarks/curator_review.py --manifest manifests/fer2013 [--audit TABLE] [--quick] [--out FILE]

The answer to a face is what most FER+ voters saw. A real `fer curate`, a real Chromium, one face at a time, worst
first: the face on the screen is looked up by its row, and the key of its answer is pressed. The same decisions are
made through the library (`fer_data.simulated_review`, `fer_data.decisions.apply`), and the two manifests are compared
row by row. --quick draws 300 faces, whose truth is known, and decides the worst 40.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from curator_options import curator_parser, parse
from curator_page import ReviewPage, browsing
from curator_server import CuratorServer, Faces, serving
from measuring import figure, keep, tell

from fer_data import decisions, manifest, tables
from fer_data.adapters.registry import find_adapter
from fer_data.decision_log import Decision, DecisionLog
from fer_data.importing import import_dataset
from fer_data.manifest import Manifest
from fer_data.simulated_review import default_rule, simulate_review

BENCH = "curator_review"
WHO = "scripted"


def main() -> None:
    parser = curator_parser(__doc__, "40 faces")
    parser.add_argument("--faces", type=int, default=2000, help="how many of the worst are reviewed")
    arguments = parse(parser)
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        faces = Faces.of(arguments.manifest, arguments.audit) if arguments.manifest else draw_faces(folder)
        measure(lines, faces, folder, 40 if arguments.quick else arguments.faces)
    keep(lines, arguments.out)


def measure(lines: list[str], faces: Faces, folder: Path, budget: int) -> None:
    opened = manifest.read(faces.manifest)
    by_page, by_library = folder / "page.sqlite", DecisionLog(folder / "library.sqlite")
    rule = default_rule(opened)
    answers = answer_all(opened, faces.audit, folder, rule)
    with serving(faces, by_page, WHO) as server:
        reviewed, seconds = asyncio.run(review(server, keys_of(opened, answers), budget))
    by_library.append(answers[row] for row in reviewed)
    pressed = tables.read_table(apply_by_command(faces, by_page, folder))[0]
    wanted = decisions.apply(opened, by_library, folder / "library.parquet").table
    differing = abs(len(pressed) - len(wanted)) or rows_that_differ(pressed, wanted)
    facts: dict[str, Any] = dict(Counter(answers[row].action for row in reviewed))
    rate = 60 * budget / seconds
    facts |= {"decisions": budget, "rule": rule, "target": "0", "reached": not differing}
    tell(lines, figure(BENCH, "rows unlike the library's after fer apply", [differing], "rows", n=len(wanted), **facts))
    name = f"decisions a minute over {budget:,} faces, without a look"
    tell(lines, figure(BENCH, name, [rate], "1/min", n=budget, digits=1, seconds=round(seconds, 1)))


def answer_all(opened: Manifest, audit: Path, folder: Path, rule: str) -> dict[int, Decision]:
    """What the library's simulated reviewer decides on every face of an audit, by row."""
    log = DecisionLog(folder / "all.sqlite")
    simulate_review(opened, audit, log, tables.read_table(audit)[0].num_rows, rule=rule)
    row_of = {sample_id: row for row, sample_id in enumerate(opened.table["sample_id"].to_pylist())}
    return {row_of[event.sample_id]: event for event in log.events()}


def keys_of(opened: Manifest, answers: dict[int, Decision]) -> dict[int, str]:
    """The key of each decision, as keys are by default."""
    labels = {name: str(number) for number, name in enumerate(opened.labels, start=1)}
    others = {"keep": "k", "drop": "d"}
    return {row: labels[one.label] if one.label else others[one.action] for row, one in answers.items()}


async def review(server: CuratorServer, keys: dict[int, str], budget: int) -> tuple[list[int], float]:
    """Decide so many faces in the order in which they come; returns their rows and the seconds."""
    async with browsing() as (browser,):
        page = await ReviewPage.open(browser, f"{server.url}/?queue=suspected")
        started = time.perf_counter()
        for _ in range(budget):
            await page.look(0)
            await page.decide(keys[await page.row()])
        await page.wait_until_saved()
        return [row for row, _ in page.faces], time.perf_counter() - started


def apply_by_command(faces: Faces, log: Path, folder: Path) -> Path:
    """What `fer apply` makes of a log."""
    out = folder / "page.parquet"
    command = [sys.executable, "-m", "fer_cli", "apply", faces.manifest, "--out", out, "--decisions", log]
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    return out


def rows_that_differ(one: pa.Table, other: pa.Table) -> int:
    """How many rows of two tables of equal length differ in any column."""
    differ = np.zeros(len(one), dtype=bool)
    for name in other.column_names:
        pairs = zip(one[name].to_pylist(), other[name].to_pylist(), strict=True)
        differ |= np.asarray([a != b for a, b in pairs])
    return int(differ.sum())


def draw_faces(folder: Path) -> Faces:
    """Drawn faces of which some have a wrong label, and an audit that suspects every one of them, by lot."""
    (folder / "fer.toml").touch()
    adapter = find_adapter("procedural")
    options = adapter.Options(count=300, seed=1)
    made = import_dataset(adapter, None, folder / "manifests/drawn.parquet", options).manifest
    rng = np.random.default_rng(1)
    shares = rng.dirichlet(np.ones(len(made.labels)), len(made)).astype(np.float32)
    rank = rng.permutation(len(made)) + 1
    table = pa.table(
        {
            "sample_id": made.table["sample_id"],
            "given_label": made.table["label"].cast(pa.string()),
            "suggested_label": pa.array([made.labels[code] for code in shares.argmax(axis=1)]),
            "label_score": rank / len(made),
            "is_label_issue": np.ones(len(made), bool),
            "rank": rank,
            **{f"p_{label}": shares[:, index] for index, label in enumerate(made.labels)},
        }
    )
    path = folder / "audit/drawn.parquet"
    tables.write_table(path, table, tables.provenance("label_audit", "benchmark", label_set=made.label_set))
    return Faces(made.path, path)


if __name__ == "__main__":
    main()
