"""A reviewer in a process of its own: appends decisions one by one and tells each id once it is saved.

`python log_writer.py LOG REVIEWER COUNT [--die-at N]`: at the N-th decision the process is killed between saving it
and telling so. Lines on standard output: `saved <event_id>`, or `NOT <what the log said>`.
"""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fer_data.decision_log import Decision, DecisionLog
from fer_data.errors import FerError

WRITER = Path(__file__)
LONG_S = 180  # more than a writer takes on a busy machine


def start_writer(log: object, reviewer: str, count: int, *more: object) -> "subprocess.Popen[str]":
    """This program in a process of its own."""
    command = [sys.executable, str(WRITER), str(log), reviewer, str(count), *map(str, more)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def saved(lines: Iterable[str]) -> list[str]:
    """The ids that a writer told as saved."""
    return [line.split()[1] for line in lines if line.startswith("saved ")]


def decision(reviewer: str, number: int) -> Decision:
    """The number-th decision of a reviewer, the same whoever makes it."""
    return Decision(
        event_id=f"{reviewer}-{number}",
        sample_id=f"s/{number}",
        pixel_sha256="p",
        manifest_sha256="m",
        action="keep",
        reviewer=reviewer,
        time="2026-01-01T00:00:00.000+00:00",
        note="x" * 500,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("log")
    parser.add_argument("reviewer")
    parser.add_argument("count", type=int)
    parser.add_argument("--die-at", type=int)
    given = parser.parse_args()
    log = DecisionLog(given.log)
    for number in range(given.count):
        try:
            log.append([decision(given.reviewer, number)])
        except FerError as error:
            print(f"NOT {error}", flush=True)
            break
        if number == given.die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        print(f"saved {given.reviewer}-{number}", flush=True)


if __name__ == "__main__":
    main()
