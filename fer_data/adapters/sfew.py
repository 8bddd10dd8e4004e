"""SFEW 2.0, Static Facial Expressions in the Wild: frames of movies, `Train|Val/<class>/*.png`, `Test/*.png`.

The layout is that of github.com/albanie/mcnDatasets `sfew/getSfewImdb.m`; the counts are those of the EmotiW 2015
challenge (hyper.ai/datasets/18168). The labels of the test split were never published.
"""

from pathlib import Path
from types import MappingProxyType

from fer_data.adapters.shared.counting import compared
from fer_data.adapters.shared.downloads import is_picture, note_passed_over, open_download
from fer_data.adapters.shared.split_folders import filed, require
from fer_data.configuration import Configuration
from fer_data.licenses import Licence
from fer_data.samples import Reading, Rejection, Sample

NAME = "sfew"
TITLE = "SFEW 2.0"
LICENCE = Licence(
    "SFEW/AFEW agreement",
    "frames of movies, given to researchers who sign an agreement; terms not looked up, so nothing else is allowed",
)
CITATION = (
    "Dhall, Goecke, Lucey & Gedeon, Static Facial Expression Analysis in Tough Conditions: Data, Evaluation Protocol "
    "and Benchmark, ICCV Workshop BEFIT 2011"
)
HOMEPAGE = "https://cs.anu.edu.au/few/"
ACCESS = "ask its authors (https://cs.anu.edu.au/few/); a signed agreement is needed"
EXPECTED = MappingProxyType({"train": 958, "val": 436, "test": 372})
UNVERIFIED = (
    "Where to ask and the terms of the agreement are from memory.",
    "Which pictures are of one movie or clip is not read from the file names, whose parts could not be looked up.",
)
KNOWN_DEFECTS = (
    "Frames are labelled with the label of the clip that they were cut from.",
    "Whole frames of movies; several people may be in view.",
    "The test split has no labels.",
)
SPLITS = MappingProxyType({"train": "train", "val": "val", "test": "test"})
CLASSES = MappingProxyType(
    {
        "Angry": "anger",
        "Disgust": "disgust",
        "Fear": "fear",
        "Happy": "happiness",
        "Sad": "sadness",
        "Surprise": "surprise",
        "Neutral": "neutral",
    }
)


class Options(Configuration):
    """How to read an SFEW download: there is nothing to choose."""


def read(root: Path | None, options: Options, rejections: list[Rejection]) -> Reading:
    """Open a folder or archive of SFEW.

    Raises:
        FerError: no path, nothing there, or no pictures under Train, Val and Test.
    """
    source = open_download(root, TITLE, rejections)
    found = filed(source, is_picture, SPLITS, CLASSES, "test", rejections)
    require(found, source, root, "Train/Angry/picture.png", TITLE)
    notes: list[str] = []
    note_passed_over([name for name in source.names if not is_picture(name)], "files that are no pictures", notes)
    samples = (
        Sample(file.name, None, file.label, file.source_label, file.split, source.where(file.name)) for file in found
    )
    return Reading(
        form="pictures",
        label_set="basic7",
        total_images=len(found),
        samples=compared(samples, EXPECTED, TITLE, notes),
        source=source,
        notes=notes,
    )
