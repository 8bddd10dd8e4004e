"""Runs damaged input through the readers in a process of its own, which may be killed or die.

    python -m stress.fuzz --seed 7 image:500 zip:100      (with PYTHONPATH=tests:.)
    python -m stress.fuzz --seed 7 --first 17 image:18    one case again, as a failure names it

A case is right, refused (FerError), or a bug: any other exception, a crash, more than `SECONDS`, or memory that
grows by more than `GROWTH_BYTES`. The same seed and case give the same input.
"""

import argparse
import faulthandler
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 5.0
GROWTH_BYTES = 1 << 30
_STARTUP_SECONDS = 120  # imports and the whole copies, on a busy machine


@dataclass
class Report:
    """What came of a run.

    Attributes:
        outcomes: "right", "refused" and "bug", counted.
        bugs: one text each, with the command that shows it again.
    """

    seed: int
    outcomes: Counter[str] = field(default_factory=Counter)
    bugs: list[str] = field(default_factory=list)


def run(targets: Mapping[str, int], seed: int) -> Report:
    """Run `targets` (name → number of cases) in a worker process; one that dies is replaced."""
    report = Report(seed)
    plan = _plan(targets.items())
    done = 0
    while done < len(plan):
        done = _run_worker(targets, plan, done, report)
    return report


def _plan(targets: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """Every case as (target, number)."""
    return [(name, case) for name, count in targets for case in range(count)]


def _run_worker(targets: Mapping[str, int], plan: list[tuple[str, int]], done: int, report: Report) -> int:
    """Run cases until the worker ends or dies; returns how many of the plan are done."""
    command = [sys.executable, "-m", "stress.fuzz", "--seed", str(report.seed), "--first", str(done)]
    scratch = tempfile.mkdtemp(prefix="fuzz")
    paths = f"{ROOT / 'tests'}{os.pathsep}{ROOT}"
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "TMPDIR": scratch}
    with tempfile.TemporaryFile("w+") as errors:
        worker = subprocess.Popen(
            [*command, *(f"{name}:{count}" for name, count in targets.items())],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        deadline = [time.monotonic() + _STARTUP_SECONDS]
        watch = threading.Thread(target=_kill_when_late, args=(worker, deadline), daemon=True)
        watch.start()
        for line in worker.stdout:
            told = json.loads(line)
            report.outcomes[told["outcome"]] += 1
            if told["outcome"] == "bug":
                report.bugs.append(_again(report.seed, *plan[done], told["error"]))
            done += 1
            ahead = plan[done][0] if done < len(plan) else ""
            starts = ahead == "layout" and plan[done][1] == 0  # it writes its whole copies first
            deadline[0] = time.monotonic() + (_STARTUP_SECONDS if starts else 4 * SECONDS)
        status = worker.wait()
        watch.join()
        shutil.rmtree(scratch, ignore_errors=True)
        if done < len(plan):  # it died in the middle of a case
            errors.seek(0)
            report.outcomes["bug"] += 1
            told = f"the process ended with {status}: {errors.read()[-2000:]}"
            report.bugs.append(_again(report.seed, *plan[done], told))
            done += 1
    return done


def _kill_when_late(worker: "subprocess.Popen[str]", deadline: list[float]) -> None:
    while worker.poll() is None:
        if time.monotonic() > deadline[0]:
            worker.kill()
        time.sleep(0.1)


def _again(seed: int, name: str, case: int, what: str) -> str:
    return f"python -m stress.fuzz --seed {seed} --first {case} '{name}:{case + 1}'\n{what}"


def _work(plan: list[tuple[str, int]], seed: int) -> None:
    """The worker: one line of JSON for each case."""
    from stress.fuzz_targets import TARGETS, write_layouts

    with tempfile.TemporaryDirectory() as scratch:
        for name, case in plan:
            if name == "layout":
                write_layouts()
            rng = np.random.default_rng([seed, case, *name.encode()])
            folder = _fresh(Path(scratch))
            memory, start = _peak_bytes(), time.monotonic()
            told = _outcome(TARGETS[name], folder, rng)
            seconds, growth = time.monotonic() - start, _peak_bytes() - memory
            if seconds > SECONDS:
                told = {"outcome": "bug", "error": f"it took {seconds:.1f} s"}
            if growth > GROWTH_BYTES:
                told = {"outcome": "bug", "error": f"its memory grew by {growth >> 20} MB"}
            print(json.dumps(told), flush=True)


def _outcome(target: Callable[[Path, np.random.Generator], None], folder: Path, rng: np.random.Generator) -> dict:
    from fer_data.errors import FerError

    try:
        target(folder, rng)
    except FerError as error:
        if str(error).strip():
            return {"outcome": "refused"}
        return {"outcome": "bug", "error": "a FerError that says nothing"}
    except BaseException:
        return {"outcome": "bug", "error": traceback.format_exc()}
    return {"outcome": "right"}


def _fresh(scratch: Path) -> Path:
    folder = scratch / "case"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--first", type=int, default=0, help="how many of all cases to skip")
    parser.add_argument("target", nargs="+", help="name:count")
    arguments = parser.parse_args()
    faulthandler.enable()
    named = [target.rpartition(":") for target in arguments.target]
    plan = _plan((name, int(count)) for name, _, count in named)
    _work(plan[arguments.first :], arguments.seed)


if __name__ == "__main__":
    main()
