import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from fer_data.errors import FerError
from generators.drawing.processes import is_portable, map_apart


def started(offset):
    own = os.getpid()
    return lambda item: work(own, offset, item)


def work(own, offset, item):
    if item == "ill":
        raise FerError("item ill: expected a number")
    if item == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    return own, item + offset


def refused():
    raise FerError("nothing to start with")


def test_every_item_comes_back_with_its_result_from_processes_that_start_once():
    found = list(map_apart(partial(started, 10), iter(range(9)), 2))
    assert sorted((item, result) for item, (_, result) in found) == [(item, item + 10) for item in range(9)]
    owners = {own for _, (own, _) in found}
    assert len(owners) <= 2
    assert os.getpid() not in owners
    assert not any(Path(f"/proc/{own}").exists() for own in owners)  # none is left behind


def test_an_error_is_told_as_it_was_raised():
    with pytest.raises(FerError, match="item ill: expected a number"):
        list(map_apart(partial(started, 1), iter([1, "ill", 2]), 1))
    with pytest.raises(FerError, match="nothing to start with"):
        list(map_apart(refused, iter([1]), 1))


def test_an_error_is_told_also_where_the_item_never_arrived():
    large = bytes(8_000_000)  # more than a pipe holds: sending it breaks off when the process ends
    with pytest.raises(FerError, match="nothing to start with"):
        list(map_apart(refused, iter([large]), 1))


def test_a_process_that_is_killed_is_told():
    with pytest.raises(FerError, match=r"ended \(exit code -9\).*run the command again to go on"):
        list(map_apart(partial(started, 1), iter([1, "die", 2]), 1))


def test_items_are_taken_when_a_process_is_free():
    taken = []

    def items():
        for item in range(6):
            taken.append(item)
            yield item

    results = map_apart(partial(started, 0), items(), 1)
    next(results)
    assert len(taken) == 1
    results.close()


WORKING = """
import multiprocessing, time
from functools import partial
from itertools import repeat
from generators.drawing.processes import map_apart
for _ in map_apart(partial(partial, time.sleep), repeat(0.05), 2):
    print(*[child.pid for child in multiprocessing.active_children()], flush=True)
"""


def test_no_process_outlives_the_one_that_started_it():
    running = subprocess.Popen([sys.executable, "-c", WORKING], stdout=subprocess.PIPE, text=True)
    workers = [Path(f"/proc/{number}") for number in running.stdout.readline().split()]
    assert len(workers) == 2
    assert all(worker.exists() for worker in workers)
    running.kill()
    running.wait()
    deadline = time.monotonic() + 60
    while any(map(_runs, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_runs, workers))


def _runs(worker):
    """Whether a process is there and is more than an entry that nobody has read."""
    try:
        return "\nState:\tZ" not in (worker / "status").read_text()
    except OSError:
        return False


def test_what_does_not_pickle_stays_here():
    assert is_portable(partial(started, 1))
    assert not is_portable(lambda: None)
