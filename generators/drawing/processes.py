"""Work in processes that open what they need once, such as a network, and then take one item after another.

`concurrent.futures` would keep what is opened in a module's variable, and leaves its processes behind when this one
is killed. Here a process ends as soon as the pipe to this one is closed, however that came about.
"""

import contextlib
import pickle
import signal
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, NoReturn, TypeVar

from fer_data.errors import FerError

T = TypeVar("T")
R = TypeVar("R")

_SPAWN = get_context("spawn")  # a fork would copy torch's threads and the locks that they hold


def map_apart(start: Callable[[], Callable[[T], R]], items: Iterator[T], processes: int) -> Iterator[tuple[T, R]]:
    """Apply a function to items in several processes; each item comes back with its result, in no particular order.

    Items are taken when a process is free, so they may be made as they are needed; none of them is None.

    Args:
        start: called once in each process, gives the function; it must pickle, as must items and results.
        processes: at least 1.

    Raises:
        FerError: one that the function raised, or a process ended before it had answered.
    """
    with contextlib.ExitStack() as running:
        idle = [running.enter_context(_started(start)) for _ in range(processes)]
        busy: dict[_Worker, T] = {}
        waiting = iter(items)
        while True:
            while idle and (item := next(waiting, None)) is not None:
                worker = idle.pop()
                worker.send(item)
                busy[worker] = item
            if not busy:
                return
            ready = wait([worker.connection for worker in busy])
            for worker in [worker for worker in busy if worker.connection in ready]:
                item, result = busy.pop(worker), worker.receive()
                idle.append(worker)
                yield item, result


def is_portable(thing: Any) -> bool:
    """Whether something can be sent to another process."""
    try:
        pickle.dumps(thing)
    except Exception:  # an object may raise anything when it is asked to pickle itself
        return False
    return True


class _Worker:
    """A process and this end of the pipe to it."""

    def __init__(self, process: SpawnProcess, connection: Connection) -> None:
        self.process, self.connection = process, connection

    def send(self, item: Any) -> None:
        with contextlib.suppress(OSError):  # it ended: `receive` tells what it said last
            self.connection.send(item)

    def receive(self) -> Any:
        try:
            answer = self.connection.recv()
        except (EOFError, OSError):
            self._tell_end()
        if isinstance(answer, FerError):
            raise answer
        return answer

    def _tell_end(self) -> NoReturn:
        self.process.join(5)
        raise FerError(
            f"a process that works for this one ended (exit code {self.process.exitcode}), what it said stands "
            "above; run the command again to go on, with fewer processes if memory is short"
        )


@contextlib.contextmanager
def _started(start: Callable[[], Callable[[Any], Any]]) -> Iterator[_Worker]:
    here, there = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_serve, args=(there, start), daemon=True)
    process.start()
    there.close()  # or the pipe would stay open when the process ends
    try:
        yield _Worker(process, here)
    finally:
        here.close()
        process.terminate()
        process.join()


def _serve(connection: Connection, start: Callable[[], Callable[[Any], Any]]) -> None:
    """What a process does: open, then answer until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one decides
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            work = start()
            while True:
                connection.send(work(connection.recv()))
        except FerError as error:
            connection.send(error)
