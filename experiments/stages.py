"""A row of stages, each run once: what is done is kept, what changed is done again, what was killed goes on."""

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from fer_data.files import read_json, sha256_json, write_json


class Stages:
    """Runs named stages in order and remembers, in `stages.json`, which are done.

    A stage is done again where its settings, or those of any stage before it, have changed, and where a stage before
    it was done in this call: what that made may be new, and a room that finds its work unchanged returns at once.

    Attributes:
        seconds: what each stage took, over all its attempts.
    """

    def __init__(self, folder: Path, total: int, console: Console) -> None:
        self._file = folder / "stages.json"
        self._state: dict[str, Any] = read_json(self._file) if self._file.exists() else {}
        self._chain, self._number, self._total, self._console = "", 0, total, console
        self._worked = False
        self.seconds: dict[str, float] = {}

    def run(self, name: str, settings: Any, outputs: Sequence[Path], work: Callable[[], str]) -> None:
        """Do `work` unless it is done.

        Args:
            settings: JSON-able; all that decides the outcome besides the stages before.
            outputs: files and folders it makes; they are removed before a stage whose settings changed.
            work: does it and returns one line that tells what came out.
        """
        self._number += 1
        self._chain = sha256_json([self._chain, name, settings])
        known = self._state.get(name, {})
        if known.get("key") != self._chain:
            for path in outputs:
                _remove(path)
            known = {"key": self._chain, "done": False, "seconds": 0.0, "line": ""}
        title = f"[{self._number}/{self._total}] {name}"
        if known["done"] and not self._worked and all(path.exists() for path in outputs):
            self._console.print(f"[bold]{title}[/]  [dim]done before[/]\n  {known['line']}", highlight=False)
        else:
            self._console.print(f"[bold]{title}[/]", highlight=False)
            self._worked = True
            self._save(name, {**known, "done": False})
            start = time.monotonic()
            try:
                line = work()
                known = {**known, "done": True, "line": line}
            finally:
                known["seconds"] = known["seconds"] + time.monotonic() - start
                self._save(name, known)
            self._console.print(f"  {known['line']}  [dim]{known['seconds']:.0f} s[/]", highlight=False)
        self.seconds[name] = round(known["seconds"], 1)

    def _save(self, name: str, entry: dict[str, Any]) -> None:
        self._state[name] = entry
        write_json(self._file, self._state)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
