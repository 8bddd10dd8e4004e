"""Any tree of class folders: `[…/][train|val|test/]…/<class>/picture.jpg`.

A picture's class is the folder that it lies in. Folders are named after expressions as data sets spell them
("happy", "Fear"), or the user says what they show; a folder that nobody explained is refused, never left out.
"""

from collections import Counter
from pathlib import Path

from fer_data import licenses
from fer_data.adapters.shared.downloads import is_picture, note_passed_over, open_download
from fer_data.adapters.shared.wording import SPLITS, Labels, LabelSet, Splits, StatedLicence, resolve_labels
from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.samples import Reading, Rejection, Sample
from fer_data.sources import Source

NAME = "folders"
TITLE = "class folders"
LICENCE = licenses.UNKNOWN
CITATION = None
HOMEPAGE = None
ACCESS = None
EXPECTED = None
UNVERIFIED = ()
KNOWN_DEFECTS = ("Nothing is known of these pictures but their folders: neither who labelled them nor who is shown.",)


class Options(Configuration):
    """How to read a tree of class folders."""

    labels: Labels = {}  # class folder → expression, or null for no label
    label_set: LabelSet = "auto"
    licence: StatedLicence | None = None  # without it nothing made from this may be passed on
    splits: Splits = {}  # folder above the class folders → train, val, test or null; train, val, test … are known


def read(root: Path | None, options: Options, rejections: list[Rejection]) -> Reading:
    """Open a folder or archive.

    Raises:
        FerError: nothing there, no pictures in folders, a class folder that nobody explained, or a picture that
            lies in the folders of two splits.
    """
    source = open_download(root, TITLE, rejections)
    pictures = [name for name in source.names if is_picture(name)]
    counts = Counter(_class_folder(name) for name in pictures)
    if not counts or set(counts) == {""}:
        raise FerError(
            f"{root}: expected pictures in folders named after expressions, found {source.shown()}; give the folder "
            "above the class folders"
        )
    label_set, labels = resolve_labels(dict(sorted(counts.items())), options.labels, options.label_set, str(root))
    samples = []
    for name in pictures:
        folder = _class_folder(name)
        split = _split(name, options.splits, source)
        samples.append(Sample(name, None, labels[folder], folder, split, source.where(name)))
    return Reading(
        licence=options.licence.licence() if options.licence else None,
        form="class folders",
        label_set=label_set,
        total_images=len(samples),
        samples=iter(samples),
        source=source,
        notes=_notes(source, samples),
    )


def _class_folder(name: str) -> str:
    """The folder that a picture lies in; "" at the top."""
    return name.rpartition("/")[0].rpartition("/")[2]


def _split(name: str, said: Splits, source: Source) -> str | None:
    """The split that one of the folders above the class folder names; None where none does."""
    named = {
        folder: said[folder] if folder in said else SPLITS[folder.lower()]
        for folder in name.split("/")[:-2]
        if folder in said or folder.lower() in SPLITS
    }
    found = {split for split in named.values() if split is not None}
    if len(found) > 1:
        raise FerError(
            f"{source.where(name)}: expected folders of one split, found {' and '.join(named)}; "
            "say with splits which of them names none: --set splits.<folder>=null"
        )
    return found.pop() if found else None


def _notes(source: Source, samples: list[Sample]) -> list[str]:
    notes: list[str] = []
    note_passed_over([name for name in source.names if not is_picture(name)], "files that are no pictures", notes)
    splits = Counter(sample.split for sample in samples)
    if splits[None] and len(splits) > 1:
        notes.append(f"{splits[None]:,} pictures lie in no split's folder and have no split")
    if len(splits) == 1 and splits[None]:
        notes.append("no folder names a split; `fer split` makes one")
    return notes
