"""RAF-DB, basic and compound, in the forms in which people have it.

    official   `EmoLabel/list_patition_label.txt` (spelled so) with Image and Annotation beside EmoLabel
    folders    `train|test/1..7/train_00001_aligned.jpg`, as copies on Kaggle have it
    parquet    mirrors with columns image and label 1..7

The forms are read in the modules `rafdb_official`, `rafdb_folders` and `rafdb_parquet` beside this one.
"""

from pathlib import Path
from types import MappingProxyType
from typing import Literal

from fer_data.adapters import rafdb_folders, rafdb_labels, rafdb_official, rafdb_parquet
from fer_data.adapters.shared import ran_lists
from fer_data.adapters.shared.downloads import only_form, required
from fer_data.configuration import Configuration
from fer_data.downloads.opening import is_archive, open_source
from fer_data.errors import FerError
from fer_data.licenses import Licence
from fer_data.samples import Reading, Rejection
from fer_data.sources import Source

NAME = "rafdb"
TITLE = "RAF-DB"
LICENCE = Licence(
    "RAF-DB terms",
    "non-commercial research only; no portion of the images or of derived data may be copied, published or "
    "distributed, beyond copies at a single site",
    url="http://www.whdeng.cn/RAF/model1.html",
)
CITATION = (
    "Li, Deng & Du, Reliable Crowdsourcing and Deep Locality-Preserving Learning for Expression Recognition in the "
    "Wild, CVPR 2017; Li & Deng, Reliable Crowdsourcing and Deep Locality-Preserving Learning for Unconstrained "
    "Facial Expression Recognition, IEEE TIP 28(1), 2019"
)
HOMEPAGE = "http://www.whdeng.cn/RAF/model1.html"
ACCESS = "http://www.whdeng.cn/RAF/model1.html; copies elsewhere are outside the terms"
EXPECTED = rafdb_labels.EXPECTED
UNVERIFIED = (
    "The terms are those of RAF-CE by the same group; the page of RAF-DB itself was not read.",
    "The counts of the compound subset: 3,954 pictures, 3,162 train and 792 test.",
    "The words for gender (0 male, 1 female, 2 unsure), race and age, and the order of the five landmarks (eyes, nose "
    "tip, mouth corners), are those of public readers; the authors' own table was not read.",
)
KNOWN_DEFECTS = (
    "There is no validation split: results chosen on the test split are too good.",
    "Classes are unbalanced: in train happiness has 4,772 pictures, fear 281.",
    "Persons are not told: no split can be known to keep them apart.",
    "Some copies hold extra or renamed files; compare the counts.",
)

_FORMS = MappingProxyType(
    {
        "official": rafdb_official.LIST,
        "folders": "class folders 1 to 7",
        "parquet": "parquet files",
    }
)


class Options(Configuration):
    """How to read a RAF-DB download."""

    form: Literal["auto", "official", "folders", "parquet"] = "auto"  # which form PATH has
    subset: Literal["basic", "compound"] = "basic"  # single labels (basic7), or the compound ones (compound11)
    image: Literal["aligned", "original"] = "aligned"  # 100 px faces, or web pictures with landmarks and face boxes
    ran: Path | None = None  # folder of the RAN lists: occlusion and pose slices of the basic test split


def read(root: Path | None, options: Options, rejections: list[Rejection]) -> Reading:
    """Open a download.

    Args:
        root: a parquet file, or a folder or archive that holds one form.
        rejections: faulty lines and files are appended here, the last when the samples are exhausted.

    Raises:
        FerError: nothing there, no form or several forms recognised, the other subset, an option that the form
            does not know.
    """
    root = required(root, TITLE)
    if root.is_file() and not is_archive(root) and root.suffix.lower() == rafdb_parquet.ENDING:
        _refuse_options(options, "parquet")
        return rafdb_parquet.read(root, rejections)
    source = open_source(root, rejections)
    form = _recognise(source, root, options.form)
    _refuse_options(options, form)
    if form == "official":
        reading = rafdb_official.read(source, options.subset, options.image, rejections)
    elif form == "folders":
        reading = rafdb_folders.read(source, rejections)
    else:
        reading = rafdb_parquet.read_from(source, rejections)
    if options.ran is not None:
        reading.samples = ran_lists.marked(reading.samples, options.ran, "rafdb", reading.notes, rejections)
    return reading


def _recognise(source: Source, root: Path, wanted: str) -> str:
    found = {
        "official": bool(source.bases(rafdb_official.LIST)),
        "folders": rafdb_folders.is_form(source),
        "parquet": any(name.endswith(rafdb_parquet.ENDING) for name in source.names),
    }
    if form := only_form(found, wanted, _FORMS, root, TITLE):
        return form
    raise FerError(
        f"{root}: expected {rafdb_official.LIST}, train/1/train_00001_aligned.jpg and so on, or parquet files"
        f"{'' if wanted == 'auto' else f' (form {wanted})'}, found {source.shown()}; "
        f"give the folder or archive of {TITLE}"
    )


def _refuse_options(options: Options, form: str) -> None:
    """Copies hold the aligned faces of the basic subset; the RAN lists name files of that subset.

    Raises:
        FerError: an option asks for what the form does not have.
    """
    chosen = {"subset": options.subset, "image": options.image}
    for name, only in (("subset", "basic"), ("image", "aligned")):
        if form != "official" and chosen[name] != only:
            raise FerError(
                f"{name}: expected {only}, which is all that {_FORMS[form]} hold, found {chosen[name]}; "
                "leave it out, or import the official download"
            )
    if options.ran is not None and (form == "parquet" or options.subset == "compound"):
        what = _FORMS[form] if form == "parquet" else "the compound subset"
        raise FerError(f"ran: expected files that are named as the basic subset's, found {what}; leave the lists out")
