"""AffectNet, in the two editions that its authors give out.

    csv  `Manually_Annotated_file_lists/training.csv, validation.csv` and `Manually_Annotated_Images/<n>/<hash>.jpg`:
         pictures with face boxes, 68 landmarks, eleven classes
    npy  `train_set|val_set/images/<id>.jpg` and `annotations/<id>_exp|val|aro|lnd.npy` (2021): cropped faces of eight

The classes None, Uncertain and No-Face are no expressions: such faces have no label and keep the class as their
source label.
The editions are read in `affectnet_csv` and `affectnet_npy` beside this module.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from fer_data.adapters import affectnet_csv, affectnet_npy
from fer_data.adapters.shared import ran_lists
from fer_data.adapters.shared.counting import note_counts
from fer_data.adapters.shared.downloads import open_download
from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.licenses import Licence
from fer_data.samples import Reading, Rejection, Sample

NAME = "affectnet"
TITLE = "AffectNet"
LICENCE = Licence(
    "AffectNet licence agreement",
    "for research only, for those who signed the agreement; web pictures of other owners, nothing may be passed on",
    url="http://mohammadmahoor.com/pages/databases/affectnet/",
)
CITATION = (
    "Mollahosseini, Hasani & Mahoor, AffectNet: A Database for Facial Expression, Valence, and Arousal Computing in "
    "the Wild, IEEE Transactions on Affective Computing, 2017, arXiv:1708.03985"
)
HOMEPAGE = "http://mohammadmahoor.com/affectnet/"
ACCESS = (
    "http://mohammadmahoor.com/affectnet/: lab managers and professors send the signed agreement; students ask their "
    "adviser"
)
EXPECTED = MappingProxyType({"train": 287_651, "val": 4_000})  # faces with one of the eight expressions
UNVERIFIED = ("That numbers in the npy edition are kept as text of one element is from memory; numbers are read too.",)
KNOWN_DEFECTS = (
    "The test split was never published: what papers call AffectNet's test is val, 500 faces a class.",
    "The edition of March 2021 has 3,999 faces in val.",
    "Train is far from balanced: 134,415 happiness, 3,750 contempt, 3,803 disgust.",
    "Most faces were labelled by one person.",
    "Some editions have no header in validation.csv.",
    "Automatically labelled faces (automatically_annotated.csv) are not read.",
)


class Options(Configuration):
    """How to read an AffectNet download."""

    form: Literal["auto", "csv", "npy"] = "auto"  # which edition PATH has
    ran: Path | None = None  # folder of the RAN lists: occlusion and pose slices of val, csv edition only


def read(root: Path | None, options: Options, rejections: list[Rejection]) -> Reading:
    """Open a folder or archive with one edition.

    Raises:
        FerError: no path, nothing there, no edition or both, a list with a wrong header, or RAN lists for an edition
            whose pictures they do not name.
    """
    source = open_download(root, TITLE, rejections)
    lists, sets = affectnet_csv.lists(source), affectnet_npy.sets(source)
    found = [form for form, there in (("csv", lists), ("npy", sets)) if there and options.form in ("auto", form)]
    if len(found) > 1:
        raise FerError(
            f"{root}: expected one edition of {TITLE}, found the csv and the npy edition; choose with form=csv or npy"
        )
    if not found:
        wanted = "" if options.form == "auto" else f" (form {options.form})"
        raise FerError(
            f"{root}: expected training.csv or validation.csv with Manually_Annotated_Images, or train_set and val_set "
            f"with images and annotations{wanted}, found {source.shown()}; give the folder or archive of {TITLE}"
        )
    if found == ["npy"]:
        reading = affectnet_npy.read(source, sets, rejections)
        if options.ran is not None:
            raise FerError(f"{root}: expected the csv edition, whose names the RAN lists have, found the npy edition")
    else:
        reading = affectnet_csv.read(source, lists, rejections)
    reading.samples = _compared(reading.samples, reading.notes)
    if options.ran is not None:
        reading.samples = ran_lists.marked(reading.samples, options.ran, "affectnet", reading.notes, rejections)
    return reading


def _compared(samples: Iterator[Sample], notes: list[str]) -> Iterator[Sample]:
    """Pass samples on; at their end say how the labelled ones compare with the published counts."""
    notes.append("val is what papers call AffectNet's test: the test split was never published")
    counts: Counter[str | None] = Counter()
    without: Counter[str | None] = Counter()
    for sample in samples:
        if sample.label is None:
            without[sample.source_label] += 1
        else:
            counts[sample.split] += 1
        yield sample
    if without:
        told = ", ".join(f"{word} {count:,}" for word, count in sorted(without.items(), key=str))
        notes.append(f"faces without a label: {told}")
    note_counts(counts, EXPECTED, f"{TITLE} (faces with an expression)", notes)
