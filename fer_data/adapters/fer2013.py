"""FER-2013, in every form in which people have it.

    csv      `fer2013.csv` or `icml_face_data.csv`: exact pixels, three splits; FER+ votes join by row position
    folder   `train|test/<expression>/x.jpg`: JPEG pixels, PublicTest and PrivateTest merged
    ferplus  `FER2013Train|Valid|Test/ferNNNNNNN.png` with `label.csv`: FER+ votes, no FER-2013 label
    hf       a parquet mirror as the Hugging Face hub has it: an Image and a ClassLabel column

What a form lacks is null; nothing is guessed from a lucky file name. The forms are read in the modules
`fer2013_csv`, `fer2013_files` and `fer2013_parquet` beside this one.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from fer_data import licenses
from fer_data.adapters import fer2013_csv, fer2013_files, fer2013_parquet
from fer_data.adapters.shared.counting import note_counts
from fer_data.configuration import Configuration
from fer_data.downloads.opening import is_archive, open_source, single_file
from fer_data.errors import FerError
from fer_data.samples import Reading, Rejection, Sample
from fer_data.sources import Source

NAME = "fer2013"
TITLE = "FER-2013"
LICENCE = licenses.FER2013
CITATION = (
    "Goodfellow et al., Challenges in Representation Learning: A Report on Three Machine Learning Contests, "
    "ICONIP 2013, arXiv:1307.0414"
)
HOMEPAGE = "https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge"
EXPECTED = MappingProxyType({"total": 35_887, "train": 28_709, "val": 3_589, "test": 3_589})
ACCESS = "Kaggle, after joining the challenge; FER+ votes: https://github.com/microsoft/FERPlus"
UNVERIFIED = ()
KNOWN_DEFECTS = (
    "Where FER+ has a clear majority, the label agrees with it in only 67.6 % of the faces: happiness .934, "
    "neutral .892, surprise .823, anger .512, sadness .421, disgust .365, fear .122.",
    "15.9 % of the labels got none of the ten FER+ votes; train, val and test are equally noisy.",
    "35,887 images hold 34,034 distinct pictures: 1,516 groups of identical images, 57 of them with "
    "conflicting labels; one placeholder occurs 12 times under 5 labels.",
    "288 PrivateTest images (8 %) are identical to a Training image.",
    "Near duplicates: 27 % of the test faces are the same photograph as a training face, cropped, mirrored or "
    "recompressed (docs/results/fer2013-health.md); `fer duplicates` finds them, `fer split --links` joins them.",
    "Not a face: 177 rows where that is the plurality of the FER+ votes.",
    "The number in a FER+ file name is not the row of fer2013.csv: votes join by row position.",
    "Class folders and several mirrors merge PublicTest with PrivateTest, number the labels alphabetically, "
    "and repeat file names across folders.",
)

Form = Literal["csv", "folder", "ferplus", "hf"]


class Options(Configuration):
    """How to read a FER-2013 download."""

    form: Literal["auto", "csv", "folder", "ferplus", "hf"] = "auto"  # which form PATH has
    votes: Path | None = None  # FER+ votes (fer2013new.csv) to join to the csv form


def read(root: Path | None, options: Options, rejections: list[Rejection]) -> Reading:
    """Open a download.

    Args:
        root: a csv or parquet file, or a folder or archive that holds exactly one form.
        rejections: faulty rows and files are appended here, the last when the samples are exhausted.

    Raises:
        FerError: nothing there, no form or several forms recognised, a wrong header, an unknown class, votes
            that do not fit.
    """
    form, source, name = _recognise(root, options.form, rejections)
    if options.votes is not None and form != "csv":
        raise FerError(
            f"{options.votes}: FER+ votes join by row position, which only fer2013.csv and icml_face_data.csv "
            f"have, and {root} is the {form} form; leave the votes out, or import the csv"
        )
    if form == "csv":
        reading = fer2013_csv.read(source, name, options.votes, rejections)
    elif form == "folder":
        reading = fer2013_files.read_class_folders(source)
    elif form == "ferplus":
        reading = fer2013_files.read_ferplus_folders(source, rejections)
    else:
        reading = fer2013_parquet.read(source, rejections)
    reading.samples = _compared_with_published(reading.samples, reading.notes, may_merge=form in ("folder", "hf"))
    return reading


def read_voted(root: Path | None, votes: Path | None, rejections: list[Rejection]) -> Reading:
    """Open a form that has votes, the csv with those that lie beside it where none are given.

    Raises:
        FerError: as `read`, or the form has no votes.
    """
    form, source, name = _recognise(root, "auto", rejections)
    if form == "csv" and votes is None:
        reading = fer2013_csv.read_joined(source, name, rejections)
        reading.samples = _compared_with_published(reading.samples, reading.notes, may_merge=False)
    else:
        reading = read(root, Options(votes=votes), rejections)
    if not reading.votes_labels:
        raise FerError(
            f"{root}: expected FER2013Train|Valid|Test with label.csv, or fer2013.csv with fer2013new.csv, found "
            f"FER-2013's {reading.form}, which has no votes; give --votes, or import it as fer2013"
        )
    return reading


def _recognise(root: Path | None, wanted: str, rejections: list[Rejection]) -> tuple[Form, Source, str]:
    """The form that `root` has, what holds it, and the name of the csv within where it is one."""
    if root is None:
        raise FerError(f"{TITLE}: expected the path of a download, found none; give the file or folder")
    if not root.exists():
        raise FerError(f"{root} is missing; expected a {TITLE} file or folder, check the path")
    source = open_source(root, rejections) if root.is_dir() or is_archive(root) else single_file(root)
    found = [(form, name) for form, name in _candidates(source) if wanted in ("auto", form)]
    if len(found) == 1:
        return found[0][0], source, found[0][1]
    if found:
        names = ", ".join(f"{name or root.name} ({form})" for form, name in found)
        raise FerError(
            f"{root}: expected one form of {TITLE}, found several: {names}; "
            "give the path of one file, or choose with --set form=…"
        )
    raise FerError(
        f"{root}: expected fer2013.csv, icml_face_data.csv, class folders under train and test, the FER+ folders "
        f"FER2013Train, FER2013Valid, FER2013Test, or parquet files{'' if wanted == 'auto' else f' (form {wanted})'}, "
        f"found {source.shown() if source.names else 'an empty folder'}; "
        "give the file, folder or archive that holds the faces"
    )


def _candidates(source: Source) -> list[tuple[Form, str]]:
    """Each form that a source has, with the csv's name where it is one."""
    single = source.names[0] if len(source.names) == 1 else ""
    csvs = [base + name for name in fer2013_csv.FILE_NAMES for base in source.bases(name)]
    if not csvs and single.lower().endswith(".csv"):
        csvs = [single]
    found: list[tuple[Form, str]] = [("csv", name) for name in csvs]
    if fer2013_parquet.shards(source):
        found.append(("hf", ""))
    if fer2013_files.class_folders(source):
        found.append(("folder", ""))
    if fer2013_files.has_ferplus_folders(source):
        found.append(("ferplus", ""))
    return found


def _compared_with_published(samples: Iterator[Sample], notes: list[str], *, may_merge: bool) -> Iterator[Sample]:
    """Pass the samples on; at their end note what differs from the published counts.

    Args:
        may_merge: whether the form is one that puts PublicTest and PrivateTest together under "test" where it
            has no "val"; it is then compared with the sum of both.
    """
    counts: Counter[str | None] = Counter()
    published = {split: EXPECTED[split] for split in ("train", "val", "test")}
    for sample in samples:
        counts[sample.split] += 1
        yield sample
    if may_merge and counts["test"] and not counts["val"]:
        published["test"] += published.pop("val")
        notes.append(
            "there is no val split: PublicTest and PrivateTest lie merged under test, and nothing tells them apart"
        )
    note_counts(counts, published, TITLE, notes)
