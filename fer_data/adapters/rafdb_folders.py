"""RAF-DB as copies on Kaggle have it: `DATASET/train|test/1..7/train_00001_aligned.jpg`, and two csv files.

`train_labels.csv` and `test_labels.csv` (header image,label) repeat what the folders say; where they are there, both
must agree.
"""

from types import MappingProxyType

from fer_data.adapters.rafdb_labels import BASIC, EXPECTED, FILE
from fer_data.adapters.shared.counting import compared
from fer_data.adapters.shared.downloads import file_name, first_few, is_picture, note_passed_over
from fer_data.errors import FerError
from fer_data.samples import Reading, Rejection, Sample
from fer_data.sources import Source

SPLITS = ("train", "test")
LABELS = MappingProxyType({split: f"{split}_labels.csv" for split in SPLITS})
_HEADER = ["image", "label"]


def is_form(source: Source) -> bool:
    """Whether numbered folders hold at least one picture that is called as RAF-DB's are."""
    return any(FILE.fullmatch(file_name(name)) and split in SPLITS for name, split, _ in _foldered(source))


def read(source: Source, rejections: list[Rejection]) -> Reading:
    """Open the folders.

    Raises:
        FerError: a folder whose number is no label of RAF-DB, a csv that cannot be read or has another header, or
            several of one name.
    """
    files = _foldered(source)
    numbers = {number for _, _, number in files}
    codes = {str(code): label for code, label in BASIC.items()}
    unknown = sorted(numbers - set(codes))
    if unknown:
        raise FerError(
            f"{source.path}: expected folders 1 to {len(codes)}, found {', '.join(unknown)}; copies that number "
            "otherwise are no form of RAF-DB that can be told apart, use another copy"
        )
    listed = {split: _listed(source, split, rejections) for split in SPLITS}
    samples = []
    strange = []
    for name, split, number in files:
        fault = _fault(name, split, number, listed[split])
        if fault is not None:
            rejections.append(Rejection(source.where(name), *fault, "the picture was set aside"))
            continue
        if FILE.fullmatch(file_name(name)) is None:
            strange.append(name)
        samples.append(Sample(name, None, codes[number], codes[number], split, source.where(name)))
    notes = []
    if strange:
        notes.append(f"{len(strange):,} pictures are not named as RAF-DB's are ({first_few(strange)})")
    read = {name for name, _, _ in files}
    others = [name for name in source.names if name not in read and file_name(name) not in LABELS.values()]
    note_passed_over(others, "other files", notes)
    rejections.extend(_missing(files, listed))
    return Reading(
        form="class folders",
        label_set="basic7",
        total_images=len(samples),
        samples=compared(iter(samples), EXPECTED, "RAF-DB basic", notes),
        source=source,
        notes=notes,
    )


def _foldered(source: Source) -> list[tuple[str, str, str]]:
    """(name, split, number) of every picture in a numbered folder of a split folder."""
    found = []
    for name in source.names:
        parts = name.rsplit("/", 3)
        if len(parts) >= 3 and parts[-3].lower() in SPLITS and parts[-2].isdecimal() and is_picture(name):
            found.append((name, parts[-3].lower(), parts[-2]))
    return found


def _listed(source: Source, split: str, rejections: list[Rejection]) -> dict[str, tuple[str, str]] | None:
    """Picture → (label, where) of a split's csv, or None where there is none."""
    tables = [name for name in source.names if file_name(name) == LABELS[split]]
    if not tables:
        return None
    if len(tables) > 1:
        raise FerError(f"{source.path}: expected one {LABELS[split]}, found {', '.join(tables)}; remove the others")
    rows = source.table(tables[0])
    where = source.where(tables[0])
    if not rows or [field.strip() for field in rows[0]] != _HEADER:
        raise FerError(
            f"{where}: expected the header {','.join(_HEADER)}, "
            f"found {','.join(rows[0])[:60] if rows else 'an empty file'}; download it again"
        )
    listed: dict[str, tuple[str, str]] = {}
    for number, row in enumerate(rows[1:]):
        place = f"{where} row {number}"
        if len(row) != len(_HEADER):
            rejections.append(Rejection(place, "2 fields, image,label", f"{len(row)}"))
        elif listed.setdefault(row[0].strip(), (row[1].strip(), place))[1] != place:
            rejections.append(Rejection(place, f"{row[0].strip()[:60]} once", "it again"))
    return listed


def _fault(name: str, split: str, number: str, listed: dict[str, tuple[str, str]] | None) -> tuple[str, str] | None:
    """What speaks against the folders that a picture lies in: its own name, or the csv."""
    match = FILE.fullmatch(file_name(name))
    if match is not None and match["split"].lower() != split:
        return f"a picture of {split}", f"one named as {match['split']}"
    if listed is None:
        return None
    if file_name(name) not in listed:
        return f"a line in {LABELS[split]}", "none"
    label = listed[file_name(name)][0]
    return None if label == number else (f"label {number} in {LABELS[split]}, as its folder says", repr(label[:20]))


def _missing(
    files: list[tuple[str, str, str]], listed: dict[str, dict[str, tuple[str, str]] | None]
) -> list[Rejection]:
    """Lines of the csv files whose picture is not there."""
    there = {(split, file_name(name)) for name, split, _ in files}
    return [
        Rejection(where, f"the picture {image[:60]}", "no such file")
        for split, lines in listed.items()
        for image, (_, where) in (lines or {}).items()
        if (split, image) not in there
    ]
