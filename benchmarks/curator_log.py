"""What a decision log holds of what reviewers pressed: what is lost, what is there twice, what is wrong."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from fer_data import manifest as manifests
from fer_data.decision_log import DecisionLog
from fer_data.tabular.columns import matching_rows

Outcome = tuple[str, str | None]


@dataclass(frozen=True)
class Kept:
    """A log compared with what was decided.

    Attributes:
        lost: decisions that are not in it.
        doubled: decisions that are in it more than once.
        changed: decisions that are in it as others.
    """

    lost: int
    doubled: int
    changed: int

    @property
    def faultless(self) -> bool:
        return not (self.lost or self.doubled or self.changed)


class LogReader:
    """Reads logs on one manifest by row."""

    def __init__(self, manifest: Path) -> None:
        self._manifest = manifests.read(manifest)
        self._keys = {"k": ("keep", None), "u": ("unsure", None), "d": ("drop", None)}
        self._keys |= {str(number): ("relabel", name) for number, name in enumerate(self._manifest.labels, start=1)}

    def outcome(self, key: str) -> Outcome:
        """Action and label of a key, as they are by default."""
        return self._keys[key]

    def decisions(self, log: Path) -> dict[str, list[tuple[int, Outcome]]]:
        """By reviewer: row and outcome of every event, in the log's order."""
        opened = DecisionLog(log, must_exist=True)
        try:
            events = opened.events()
        finally:
            opened.close()
        names = sorted({event.sample_id for event in events})
        rows = matching_rows(pa.chunked_array([pa.array(names, pa.string())]), self._manifest.table["sample_id"])
        row_of = dict(zip(names, rows.tolist(), strict=True))
        found: dict[str, list[tuple[int, Outcome]]] = {}
        for event in events:
            found.setdefault(event.reviewer, []).append((row_of[event.sample_id], (event.action, event.label)))
        return found

    def compare(self, log: Path, pressed: Mapping[str, Sequence[tuple[int, Outcome]]]) -> Kept:
        """Compare a log with what each reviewer decided, each row once."""
        found = self.decisions(log)
        lost = doubled = changed = 0
        for reviewer, wanted in pressed.items():
            kept = found.get(reviewer, [])
            counts = Counter(row for row, _ in kept)
            outcomes = dict(kept)
            lost += sum(not counts[row] for row, _ in wanted)
            doubled += sum(count - 1 for count in counts.values())
            changed += sum(row in outcomes and outcomes[row] != outcome for row, outcome in wanted)
        return Kept(lost, doubled, changed)
