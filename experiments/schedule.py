"""Works off the runs of an experiment: what is finished stays, what another process is at is left to it.

Two processes may work on one experiment at the same time, for instance one for each core: the same command, twice.
"""

import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from classifier.checkpoints import checkpoint_folder
from experiments.records import kept_record, same_identity
from experiments.runs import Part, is_judged, judge_run, lift_twin, train_run
from fer_data.files import atomic_folder, write_json
from fer_data.locks import NameInUseError, name_lock
from fer_data.progress import SILENT, Reporter

Run = tuple[int, str, int]  # number of the part, arm, seed
Record = dict[str, Any]


class Besides(Protocol):
    """What is done with a judged run besides."""

    def is_missing(self, part: Part, record: Record) -> bool: ...

    def add(self, part: Part, record: Record) -> None: ...


_LOOK_AGAIN = 5.0  # seconds, while only runs of other processes are left


def runs_of(parts: Sequence[Part]) -> list[Run]:
    """Every run, in the order in which they are worked off."""
    return [(number, arm, seed) for number, part in enumerate(parts) for arm, seed in part.design.runs]


def read_records(parts: Sequence[Part], runs: Sequence[Run]) -> dict[Run, Record]:
    """The records that are there.

    Raises:
        FerError: one of them was made by another configuration.
    """
    found = {}
    for run in runs:
        record = _kept(parts, run)
        if record is not None:
            found[run] = record
    return found


def work_off(
    parts: Sequence[Part],
    runs: Sequence[Run],
    reporter: Reporter = SILENT,
    *,
    judged: bool,
    besides: Besides | None = None,
) -> dict[Run, Record]:
    """Train, and judge, every run that is not finished yet; a killed one goes on where it was.

    Args:
        judged: whether test faces are judged, too; else no record gets an answer to a test face.
        besides: what else judged runs are asked.

    Raises:
        FerError: a record that another configuration made, or what a training refuses; what is finished stays.
    """
    records = read_records(parts, runs_of(parts))

    def is_finished(run: Run) -> bool:
        record = records.get(run)
        if record is None or (judged and not is_judged(record)):
            return False
        return not judged or besides is None or not besides.is_missing(parts[run[0]], record)

    def count() -> int:
        """Runs whose record is there, those that another process made too."""
        return sum(parts[number].record_path(arm, seed).is_file() for number, arm, seed in runs)

    waiting = [run for run in runs if not is_finished(run)]
    twins = {run: plain_twin(parts, run, runs) for run in waiting}
    pace = Pace(len(runs), count(), [record["seconds"] for record in records.values()])
    while waiting:
        left = []
        for run in waiting:
            part, twin = parts[run[0]], twins[run]
            if twin is not None and twin not in records:  # it is trained first, here or by another process
                left.append(run)
                continue
            try:
                with name_lock(part.run_folder(*run[1:])):
                    pace.finished = count()
                    records[run] = _finish(parts, run, records, reporter, pace, judged=judged)
                    if judged and besides is not None and besides.is_missing(part, records[run]):
                        besides.add(part, records[run])
            except NameInUseError:
                left.append(run)
        if len(left) == len(waiting):
            time.sleep(_LOOK_AGAIN)
        waiting = left
    return {run: records[run] for run in runs}


@dataclass
class Pace:
    """How far an experiment is, and how long it will take.

    Attributes:
        total, finished: runs.
        known: seconds of runs that were finished before, for the time until the first one ends.
        begun: when this call began, by `time.monotonic`.
    """

    total: int
    finished: int
    known: Sequence[float] = ()
    begun: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._at_first = self.finished

    def words(self) -> str:
        """ "run 41 of 85, about 4 h 10 min left"."""
        place = f"run {self.finished + 1} of {self.total}"
        seconds = self.seconds_left()
        return place if seconds is None else f"{place}, about {duration(seconds)} left"

    def seconds_left(self) -> float | None:
        """From the runs of this call, else from those before; None where there are none."""
        done = self.finished - self._at_first
        if done:
            return (time.monotonic() - self.begun) / done * (self.total - self.finished)
        if self.known:
            return sum(self.known) / len(self.known) * (self.total - self.finished)
        return None


def duration(seconds: float) -> str:
    """Hours and minutes: "4 h 10 min", "6 min", "40 s"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _kept(parts: Sequence[Part], run: Run) -> Record | None:
    number, arm, seed = run
    part = parts[number]
    return kept_record(part.record_path(arm, seed), part.design.identity(arm, seed), arm, seed)


def _finish(
    parts: Sequence[Part],
    run: Run,
    records: Mapping[Run, Record],
    reporter: Reporter,
    pace: Pace,
    *,
    judged: bool,
) -> Record:
    """One run, from wherever it stands; another process may have been faster."""
    number, arm, seed = run
    part = parts[number]
    record = _kept(parts, run) or _same_run(parts, run, records)
    if record is not None and (is_judged(record) or not judged):
        return record
    if record is None or not part.has_checkpoint(arm, seed):
        title = f"{arm} · seed {seed} ({pace.words()})"
        record = _lifted_run(parts, run, records) or train_run(part, arm, seed, reporter, title)
    return judge_run(part, record) if judged else record


def _same_run(parts: Sequence[Part], run: Run, records: Mapping[Run, Record]) -> Record | None:
    """The record of a run of another name that trained on the same faces in the same way, kept under this name too."""
    number, arm, seed = run
    part = parts[number]
    identity = part.design.identity(arm, seed)
    for (other, _, _), record in records.items():
        if other != number or not same_identity(record["identity"], identity):
            continue
        if not is_judged(record) and not _copy_checkpoint(part, record, run):
            continue
        copy = {**record, "arm": arm, "same_as": record["arm"]}
        write_json(part.record_path(arm, seed), copy)
        return copy
    return None


def plain_twin(parts: Sequence[Part], run: Run, runs: Iterable[Run]) -> Run | None:
    """Among `runs`, the one that differs from a run with `lift_rare` in that alone."""
    number, arm, seed = run
    design = parts[number].design
    if not design.train_configs[arm].lift_rare:
        return None
    identity = design.identity(arm, seed)
    plain = {**identity, "train": {**identity["train"], "lift_rare": False}}
    same = (other for other in runs if other[0] == number and other[2] == seed)
    return next((other for other in same if same_identity(design.identity(*other[1:]), plain)), None)


def _lifted_run(parts: Sequence[Part], run: Run, records: Mapping[Run, Record]) -> Record | None:
    """The record of a run with `lift_rare` whose plain twin was trained: that one's classifier, lifted."""
    twin = plain_twin(parts, run, records)
    if twin is None or not parts[run[0]].has_checkpoint(*twin[1:]):
        return None
    return lift_twin(parts[run[0]], records[twin], run[1])


def _copy_checkpoint(part: Part, record: Record, run: Run) -> bool:
    """Give a run the classifier of its twin, by which test faces are to be judged; says whether there is one."""
    _, arm, seed = run
    if not part.has_checkpoint(record["arm"], seed):
        return False
    if not part.has_checkpoint(arm, seed):
        source, to = (checkpoint_folder(part.run_folder(name, seed)) for name in (record["arm"], arm))
        with atomic_folder(to) as partial:
            shutil.copytree(source, partial, dirs_exist_ok=True)
    return True
