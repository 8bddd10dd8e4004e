"""CK+, the Extended Cohn-Kanade dataset, in the forms in which people have it.

    sequences  `cohn-kanade-images/S005/001/S005_001_00000011.png` with Emotion, FACS and Landmarks files
    ck48       `CK+48/happy/S010_006_00000013.png`: the last three frames of each labelled sequence at 48 px
    csv        `ckextended.csv`: one peak frame per labelled sequence and first frames as neutral, at 48 px

The forms are read in the modules `ckplus_sequences`, `ckplus_folders` and `ckplus_csv` beside this one.
"""

from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field

from fer_data.adapters import ckplus_csv, ckplus_folders, ckplus_sequences
from fer_data.adapters.shared.downloads import file_name, only_form, required
from fer_data.configuration import Configuration
from fer_data.downloads.opening import is_archive, open_source
from fer_data.errors import FerError
from fer_data.licenses import Licence
from fer_data.samples import Reading, Rejection
from fer_data.sources import Source

NAME = "ckplus"
TITLE = "CK+"
LICENCE = Licence(
    "CK+ user agreement",
    "non-commercial research under a signed agreement; only some of the persons may be shown in print",
)
CITATION = (
    "Lucey, Cohn, Kanade, Saragih, Ambadar & Matthews, The Extended Cohn-Kanade Dataset (CK+): A complete dataset for "
    "action unit and emotion-specified expression, CVPR Workshops 2010, pp. 94-101"
)
HOMEPAGE = "https://www.jeffcohn.net/Resources/"
ACCESS = "https://www.jeffcohn.net/Resources/, after signing the agreement; CK+48 and ckextended.csv are others' copies"
EXPECTED = MappingProxyType(
    {
        **ckplus_sequences.EXPECTED,
        "pictures of CK+48": ckplus_folders.EXPECTED["total"],
        "rows of ckextended.csv": ckplus_csv.EXPECTED["total"],
    }
)
UNVERIFIED = (
    "The agreement was not read: that use is non-commercial and that only listed persons may be shown in print.",
    "FACS intensities 1 to 5 are A to E; a code with a number outside 0 to 5 is set aside.",
)
KNOWN_DEFECTS = (
    "266 of 593 sequences have no emotion label: what they show fits no prototype (ReadMe), and null is all that is "
    "known of them.",
    "Only the last frame is coded; that the last three show the label and the first is neutral is a convention of the "
    "papers that use CK+, not of its authors.",
    "CK+48 has three nearly identical frames of each sequence: a random split tests on what it trained with. Its names "
    "keep the person; split by group.",
    "ckextended.csv has lost the persons, so that no split of it, its own included, can be known to keep them apart.",
    "The labels' numbers differ between the forms: 1 is anger in the Emotion files and disgust in ckextended.csv.",
)
_FORMS = MappingProxyType({"sequences": "sequences", "ck48": "CK+48 folders", "csv": ckplus_csv.FILE_NAME})


class Options(Configuration):
    """How to read a CK+ download; all but `form` is about sequences."""

    form: Literal["auto", "sequences", "ck48", "csv"] = "auto"  # which form PATH has
    peak_frames: Annotated[int, Field(ge=1, le=100)] = 3  # so many frames at the end show the sequence's label
    first_neutral: bool = True  # take the first frame of a labelled sequence as neutral
    unlabelled: Literal["keep", "leave_out"] = "keep"  # sequences without emotion label: same frames, label null


def read(root: Path | None, options: Options, rejections: list[Rejection]) -> Reading:
    """Open a download.

    Args:
        root: `ckextended.csv`, or a folder or archive that holds exactly one form.
        rejections: faulty rows and files are appended here, the last when the samples are exhausted.

    Raises:
        FerError: nothing there, no form or several forms recognised, an option that the form does not know.
    """
    root = required(root, TITLE)
    if root.is_file() and not is_archive(root) and root.suffix.lower() == ".csv" and options.form in ("auto", "csv"):
        _refuse_frame_options(options, "csv")
        return ckplus_csv.read(root, rejections)
    source = open_source(root, rejections)
    form = _recognise(source, root, options.form)
    if form == "sequences":
        frames = ckplus_sequences.Frames(options.peak_frames, options.first_neutral, options.unlabelled == "keep")
        return ckplus_sequences.read(source, frames, rejections)
    _refuse_frame_options(options, form)
    if form == "ck48":
        return ckplus_folders.read(source, rejections)
    return ckplus_csv.read_from(source, rejections)


def _recognise(source: Source, root: Path, wanted: str) -> str:
    found = {
        "sequences": ckplus_sequences.is_form(source),
        "ck48": ckplus_folders.is_form(source),
        "csv": any(file_name(name) == ckplus_csv.FILE_NAME for name in source.names),
    }
    if form := only_form(found, wanted, _FORMS, root, TITLE):
        return form
    raise FerError(
        f"{root}: expected S005/001/S005_001_00000001.png and so on, pictures named like that in folders named after "
        f"expressions, or {ckplus_csv.FILE_NAME}{'' if wanted == 'auto' else f' (form {wanted})'}, "
        f"found {source.shown()}; give the folder or archive of {TITLE}"
    )


def _refuse_frame_options(options: Options, form: str) -> None:
    stray = sorted(options.model_fields_set - {"form"})
    if stray:
        raise FerError(
            f"{stray[0]} chooses among the frames of sequences, and this is {_FORMS[form]}, where they are chosen "
            "already; leave it out"
        )
