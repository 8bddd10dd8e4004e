"""Progress with a time estimate. Library code reports to it and is silent by default."""

import contextlib
import time
from collections.abc import Iterator
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class Stage(Protocol):
    """One piece of long work that moves forward."""

    def advance(self, amount: float = 1, note: str = "") -> None: ...


class Reporter(Protocol):
    """Where long work tells how far it is."""

    def stage(self, name: str, total: float) -> contextlib.AbstractContextManager[Stage]: ...


class _SilentStage:
    def advance(self, amount: float = 1, note: str = "") -> None:
        pass


class Silent:
    """Reports nothing."""

    @contextlib.contextmanager
    def stage(self, name: str, total: float) -> Iterator[Stage]:
        yield _SilentStage()


SILENT = Silent()


class _BarStage:
    def __init__(self, bars: Progress, task: TaskID) -> None:
        self._bars, self._task = bars, task

    def advance(self, amount: float = 1, note: str = "") -> None:
        self._bars.update(self._task, advance=amount, note=note)


class _LogStage:
    """One line now and then, for logs and pipes where a bar would be noise."""

    def __init__(self, name: str, total: float, console: Console) -> None:
        self._name, self._total, self._console = name, total, console
        self._done, self._start = 0.0, time.monotonic()
        self._last = self._start

    def advance(self, amount: float = 1, note: str = "") -> None:
        self._done += amount
        now = time.monotonic()
        if now - self._last > 15 and self._done < self._total:
            self._last = now
            left = (now - self._start) * (self._total - self._done) / max(self._done, 1e-9)
            share = 100 * self._done / self._total
            self._console.print(f"{self._name}  {share:3.0f} %  about {left:.0f} s left  {note}", highlight=False)


class Terminal:
    """Bars with a time estimate on a terminal; a line every 15 seconds elsewhere."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)

    @contextlib.contextmanager
    def stage(self, name: str, total: float) -> Iterator[Stage]:
        if not self._console.is_terminal:
            yield _LogStage(name, total, self._console)
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:3.0f} %"),
            TimeRemainingColumn(compact=True),
            TextColumn("[dim]{task.fields[note]}"),
        )
        with Progress(*columns, console=self._console, transient=True) as bars:
            yield _BarStage(bars, bars.add_task(name, total=total, note=""))
