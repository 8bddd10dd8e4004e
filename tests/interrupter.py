"""A reporter that interrupts long work at a chosen step."""

from contextlib import contextmanager


class Interrupter:
    """A reporter that raises once a stage has come to a step, and remembers how far stages came."""

    def __init__(self, at: float = float("inf")) -> None:
        self.at, self.done = at, 0
        self.names: list[str] = []

    @contextmanager
    def stage(self, name, total):
        self.names.append(name)
        self.done = 0
        yield self

    def advance(self, amount=1, note=""):
        self.done += amount
        if self.done == self.at:
            raise KeyboardInterrupt
