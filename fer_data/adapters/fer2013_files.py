"""FER-2013's forms of single files, read in place: class folders, and the png folders of FER+."""

from fer_data.adapters.fer2013_csv import parse_counts
from fer_data.errors import FerError
from fer_data.expressions import LABEL_SETS, canonical
from fer_data.samples import Reading, Rejection, Sample
from fer_data.sources import Source
from fer_data.votes import FERPLUS_COLUMNS

SPLIT_FOLDERS = {"train": "train", "val": "val", "validation": "val", "test": "test"}
FERPLUS_FOLDERS = {"FER2013Train": "train", "FER2013Valid": "val", "FER2013Test": "test"}
VOTES_SOURCE = "FER+ label.csv"


def class_folders(source: Source) -> list[tuple[str, str, str]]:
    """The files `train|test/<expression>/x.jpg` of a source, in wrapping folders or none.

    Returns:
        (name, split folder, class folder) of every such file; empty where no folder is called train or test.
    """
    found = []
    for name in source.names:
        parts = name.split("/")
        if len(parts) >= 3 and parts[-3].lower() in SPLIT_FOLDERS:
            found.append((name, parts[-3], parts[-2]))
    return found


def has_ferplus_folders(source: Source) -> bool:
    return any(source.bases(f"{folder}/label.csv") for folder in FERPLUS_FOLDERS)


def read_class_folders(source: Source) -> Reading:
    """Open `train|test/<expression>/x.jpg`; folders name expressions as any data set spells them.

    Raises:
        FerError: a class folder whose name is no expression of basic7.
    """
    samples = []
    files = class_folders(source)
    for name, split, folder in files:
        label = canonical(folder, "basic7")
        if label is None:
            raise FerError(
                f"{source.where(name)}: expected a folder named after one of {', '.join(LABEL_SETS['basic7'])} "
                f"(or angry, happy, sad …), found {folder!r}; rename it or move it away"
            )
        samples.append(Sample(name, None, label, folder, SPLIT_FOLDERS[split.lower()], source.where(name)))
    notes = ["class folders keep no row order: FER+ votes cannot be joined to them"]
    read = {name for name, _, _ in files}
    ignored = sorted({name.rpartition("/")[0] or name for name in source.names if name not in read})
    if ignored:
        notes.append(f"not read, because they lie in no split: {', '.join(ignored[:5])}{' …' if ignored[5:] else ''}")
    return Reading(
        form="class folders",
        label_set="basic7",
        total_images=len(samples),
        samples=iter(samples),
        source=source,
        notes=notes,
    )


def read_ferplus_folders(source: Source, rejections: list[Rejection]) -> Reading:
    """Open `FER2013Train|Valid|Test/ferNNNNNNN.png` with their `label.csv`: votes, and no FER-2013 label.

    Raises:
        FerError: a folder without a readable `label.csv`.
    """
    base = min(source.bases("label.csv"), key=len).rpartition("FER2013")[0]
    samples = [
        sample
        for folder, split in FERPLUS_FOLDERS.items()
        if source.under(base + folder)
        for sample in _voted_samples(source, base + folder, split, rejections)
    ]
    return Reading(
        form="FER+ folders",
        label_set="basic7",
        total_images=len(samples),
        samples=iter(samples),
        source=source,
        votes_labels=FERPLUS_COLUMNS,
        notes=["these folders have FER+ votes but no FER-2013 labels; `fer import ferplus` labels them by the votes"],
    )


def _voted_samples(source: Source, folder: str, split: str, rejections: list[Rejection]) -> list[Sample]:
    """The good lines of one folder's `label.csv`; bad lines and files without a line are rejected."""
    table = f"{folder}/label.csv"
    files = set(source.under(folder)) - {table}
    if table not in source.names:
        raise FerError(
            f"{source.where(table)} is missing; expected a line of votes for every picture of {folder}, "
            "download it again"
        )
    waiting = set(files)
    samples = []
    for row, line in enumerate(source.table(table)):
        where = f"{source.where(table)} row {row}"
        fault, box, votes = _parse_voted(line)
        key = f"{folder}/{line[0]}"
        if fault is None and key not in waiting:
            known = key in files
            fault = (
                ("a picture once", f"{line[0]} again") if known else (f"the picture {line[0][:60]!r}", "no such file")
            )
        if fault is not None:
            rejections.append(Rejection(where, *fault))
            continue
        waiting.remove(key)
        facts = {"votes": votes, "votes_source": VOTES_SOURCE, "face_box": box}
        samples.append(Sample(key, None, None, None, split, f"{where}, {line[0]}", facts))
    rejections.extend(
        Rejection(source.where(file), "a good line of votes in label.csv", "none", "the picture was set aside")
        for file in sorted(waiting)
    )
    return samples


def _parse_voted(line: list[str]) -> tuple[tuple[str, str] | None, list[float] | None, list[int]]:
    """What is wrong with a line of `label.csv` (or None), its face box and its votes.

    The box came to the file later: copies from before have the votes right after the name.
    """
    columns = 2 + len(FERPLUS_COLUMNS)
    if len(line) not in (columns - 1, columns):
        return (f"{columns} fields, name, box and ten votes", f"{len(line)}"), None, []
    box = None
    if len(line) == columns:
        corners = [corner.strip() for corner in line[1].strip("() ").split(",")]
        if len(corners) != 4 or not all(corner.isascii() and corner.isdecimal() for corner in corners):
            return ("a face box (left, top, right, bottom)", repr(line[1][:40])), None, []
        box = [float(corner) for corner in corners]
    votes = parse_counts(line[-len(FERPLUS_COLUMNS) :])
    if votes is None:
        return ("ten vote counts", repr(",".join(line[2:])[:60])), None, []
    return None, box, votes
