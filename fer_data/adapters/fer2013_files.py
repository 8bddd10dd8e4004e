"""FER-2013's forms of single files, read in place: class folders, and the png folders of FER+."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_data.adapters.fer2013_csv import parse_counts, read_lines
from fer_data.errors import FerError
from fer_data.expressions import LABEL_SETS, canonical
from fer_data.samples import Reading, Rejection, Sample
from fer_data.votes import FERPLUS_COLUMNS, majority

SPLIT_FOLDERS = {"train": "train", "val": "val", "validation": "val", "test": "test"}
FERPLUS_FOLDERS = {"FER2013Train": "train", "FER2013Valid": "val", "FER2013Test": "test"}
VOTES_SOURCE = "FER+ label.csv"


def has_class_folders(root: Path) -> bool:
    """Whether `root` holds split folders that hold folders themselves."""
    return any(_visible_folders(split) for split in _split_folders(root))


def has_ferplus_folders(root: Path) -> bool:
    return any((root / name).is_dir() for name in FERPLUS_FOLDERS)


def read_class_folders(root: Path, rejections: list[Rejection]) -> Reading:
    """Open `train|test/<expression>/x.jpg`; folders name expressions as any data set spells them.

    Raises:
        FerError: a class folder whose name is no expression of basic7.
    """
    samples = []
    for split_folder in _split_folders(root):
        for class_folder in _visible_folders(split_folder):
            label = canonical(class_folder.name, "basic7")
            if label is None:
                raise FerError(
                    f"{class_folder}: expected a folder named after one of {', '.join(LABEL_SETS['basic7'])} "
                    f"(or angry, happy, sad …), found {class_folder.name!r}; rename it or move it away"
                )
            for key in _file_keys(class_folder, root, rejections):
                split = SPLIT_FOLDERS[split_folder.name.lower()]
                samples.append(Sample(key, None, label, class_folder.name, split, key))
    ignored = [folder.name for folder in _visible_folders(root) if folder.name.lower() not in SPLIT_FOLDERS]
    notes = ["class folders keep no row order: FER+ votes cannot be joined to them"]
    if ignored:
        notes.append(f"not read, because they name no split: {', '.join(ignored)}")
    return Reading(
        form="class folders",
        label_set="basic7",
        total_images=len(samples),
        samples=iter(samples),
        root=root,
        notes=notes,
    )


@dataclass(frozen=True)
class _Voted:
    """One line of a FER+ `label.csv` whose picture is there."""

    key: str
    split: str
    where: str
    face_box: list[float]
    votes: list[int]


def read_ferplus_folders(root: Path, label_by_majority: bool, rejections: list[Rejection]) -> Reading:
    """Open `FER2013Train|Valid|Test/ferNNNNNNN.png` with their `label.csv`.

    The folders have no FER-2013 label. Labels are made by the published majority rule over basic8
    (`fer_data.votes.majority`), or stay null.

    Raises:
        FerError: a folder without a readable `label.csv`.
    """
    voted = [
        line
        for name, split in FERPLUS_FOLDERS.items()
        if (root / name).is_dir()
        for line in _voted_files(root, name, split, rejections)
    ]
    notes = ["these folders have FER+ votes but no FER-2013 labels"]
    labels: list[str | None] = [None] * len(voted)
    if label_by_majority and voted:
        winners = majority(np.array([line.votes for line in voted]))
        labels = [canonical(winner, "basic8") if winner else None for winner in winners]
        without = {
            "no clear majority": sum(winner is None for winner in winners),
            "unknown": int((winners == "unknown").sum()),
            "not a face": int((winners == "NF").sum()),
        }
        told = ", ".join(f"{reason} {count:,}" for reason, count in without.items())
        notes.append(f"labels are the majority of the votes; faces left without a label: {told}")
    return Reading(
        form="FER+ folders",
        label_set="basic8",
        total_images=len(voted),
        samples=_voted_samples(voted, labels),
        root=root,
        votes_labels=FERPLUS_COLUMNS,
        label_rule="votes:majority" if label_by_majority else "source",
        notes=notes,
    )


def _voted_samples(voted: Iterable[_Voted], labels: Iterable[str | None]) -> Iterator[Sample]:
    for line, label in zip(voted, labels, strict=True):
        facts = {"votes": line.votes, "votes_source": VOTES_SOURCE, "face_box": line.face_box}
        yield Sample(line.key, None, label, None, line.split, line.where, facts)


def _voted_files(root: Path, name: str, split: str, rejections: list[Rejection]) -> list[_Voted]:
    """The good lines of one folder's `label.csv`; bad lines and files without a line are rejected."""
    table = root / name / "label.csv"
    if not table.is_file():
        raise FerError(f"{table} is missing; expected a line of votes for every picture of {name}, download it again")
    files = {Path(key).name for key in _file_keys(root / name, root, rejections)} - {table.name}
    waiting = set(files)
    voted = []
    for row, line in enumerate(read_lines(table)):
        where = f"{name}/label.csv row {row}"
        fault, box, votes = _parse_voted(line)
        if fault is None and line[0] not in waiting:
            known = line[0] in files
            fault = (
                ("a picture once", f"{line[0]} again") if known else (f"the picture {line[0][:60]!r}", "no such file")
            )
        if fault is not None:
            rejections.append(Rejection(where, *fault))
            continue
        waiting.remove(line[0])
        voted.append(_Voted(f"{name}/{line[0]}", split, f"{where}, {line[0]}", box, votes))
    rejections.extend(
        Rejection(f"{name}/{file}", "a good line of votes in label.csv", "none", "the picture was set aside")
        for file in sorted(waiting)
    )
    return voted


def _parse_voted(line: list[str]) -> tuple[tuple[str, str] | None, list[float], list[int]]:
    """What is wrong with a line of `label.csv` (or None), its face box and its votes."""
    columns = 2 + len(FERPLUS_COLUMNS)
    if len(line) != columns:
        return (f"{columns} fields, name, box and ten votes", f"{len(line)}"), [], []
    corners = line[1].strip("() ").split(",")
    if len(corners) != 4 or not all(corner.strip().isdecimal() for corner in corners):
        return ("a face box (left, top, right, bottom)", repr(line[1][:40])), [], []
    votes = parse_counts(line[2:])
    if votes is None:
        return ("ten vote counts", repr(",".join(line[2:])[:60])), [], []
    return None, [float(corner) for corner in corners], votes


def _split_folders(root: Path) -> list[Path]:
    return [folder for folder in _visible_folders(root) if folder.name.lower() in SPLIT_FOLDERS]


def _visible_folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _file_keys(folder: Path, root: Path, rejections: list[Rejection]) -> list[str]:
    """Paths of a folder's files relative to `root`, sorted; hidden files are passed over, the rest told.

    Whether a file is a picture is seen by decoding it, not by its name.
    """
    keys = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        key = path.relative_to(root).as_posix()
        if not path.is_file():
            rejections.append(Rejection(key, "a picture", "a folder or a broken link", "it was set aside"))
        elif not key.isprintable():
            rejections.append(Rejection(repr(key), "a file name of printable text", "another", "it was set aside"))
        else:
            keys.append(key)
    return keys
