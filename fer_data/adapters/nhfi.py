"""NHFI, "Natural Human Face Images for Emotion Recognition": class folders, with contempt, from Kaggle.

    <anger|contempt|disgust|fear|happiness|neutrality|sadness|surprise>/<name>.jpg

The eight names as tungxd96/facial-emotion-recognition, README.md lists them ("neutrality", not "neutral"); users link
to its folder `happiness` on Kaggle.
"""

from pathlib import Path
from types import MappingProxyType

from fer_data.adapters.shared.downloads import is_picture, note_passed_over, open_download
from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.licenses import Licence
from fer_data.samples import Reading, Rejection, Sample
from fer_data.sources import Source

NAME = "nhfi"
TITLE = "NHFI (Natural Human Face Images)"
LICENCE = Licence(
    "no owner licence known",
    "collected from the web; no statement of the pictures' owners is known",
)
CITATION = "Sudarshan Vaidya, Natural Human Face Images for Emotion Recognition, Kaggle"
HOMEPAGE = "https://www.kaggle.com/datasets/sudarshanvaidya/random-images-for-face-emotion-recognition"
ACCESS = "Kaggle, with an account"
EXPECTED = None
UNVERIFIED = (
    "About 5,550 pictures in eight folders at the top of the download.",
    "Pictures are said to be grey and cut to the face.",
    "Cartoons and drawings are reported among the photographs.",
    "What licence the page on Kaggle states.",
)
KNOWN_DEFECTS = (
    "Photographs found on the web, labelled by one person; there are no subject ids and no published split.",
    "Pictures of one person can lie on both sides of any split: look at `fer duplicates` before training.",
)

LABELS = MappingProxyType(
    {
        "anger": "anger",
        "contempt": "contempt",
        "disgust": "disgust",
        "fear": "fear",
        "happiness": "happiness",
        "neutrality": "neutral",
        "neutral": "neutral",
        "sadness": "sadness",
        "surprise": "surprise",
    }
)


class Options(Configuration):
    """NHFI has one form, and nothing to choose."""


def read(root: Path | None, options: Options, rejections: list[Rejection]) -> Reading:
    """Open a download.

    Raises:
        FerError: nothing there, or fewer than half of the class folders.
    """
    source = open_download(root, TITLE, rejections)
    samples: list[Sample] = []
    for name in source.names:
        *_, folder, file = ("", *name.split("/"))
        if not is_picture(file):
            continue
        if folder.lower() in LABELS:
            samples.append(Sample(name, None, LABELS[folder.lower()], folder, None, source.where(name)))
        else:
            rejections.append(
                Rejection(source.where(name), f"a folder among {', '.join(LABELS)}", repr(folder), "it was set aside")
            )
    classes = {sample.label for sample in samples}
    if len(classes) < len(set(LABELS.values())) // 2:
        raise FerError(
            f"{root}: expected class folders {', '.join(LABELS)}, found {source.shown()}; give the folder that holds "
            "them, or import other class folders with `fer import folders`"
        )
    return Reading(
        form="class folders",
        label_set="basic8",
        total_images=len(samples),
        samples=iter(samples),
        source=source,
        notes=_notes(source, classes),
    )


def _notes(source: Source, classes: set[str | None]) -> list[str]:
    notes: list[str] = []
    note_passed_over([name for name in source.names if not is_picture(name)], "files that are no pictures", notes)
    absent = [label for label in dict.fromkeys(LABELS.values()) if label not in classes]
    if absent:
        notes.append(f"no pictures of {', '.join(absent)}")
    return notes
