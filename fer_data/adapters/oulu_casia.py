"""Oulu-CASIA NIR&VIS: sequences from neutral to peak, `…/VL|NI/Strong|Weak|Dark/P001/Anger/000.jpeg`.

    VL | NI               camera: visible light, near infrared; with `_Acropped` the cropped faces
    Strong | Weak | Dark  lighting; here light is `normal`, `low` and `low`, the dataset's word stays in sequence_id
    P001..P080            person

Folders as public preparation scripts read them (`OriginalImg/VL/Strong/P012/Anger/000.jpeg`, `Oulu_CASIA_NIR_VIS/VL/…`,
`PreProcess_Img/NI_Acropped/…`); people, expressions and frame rate as paperswithcode.com/dataset/oulu-casia has them.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import Field

from fer_data.adapters.shared.counting import note_counts
from fer_data.adapters.shared.downloads import is_picture, note_passed_over, open_download
from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.licenses import Licence
from fer_data.samples import Reading, Rejection, Sample
from fer_data.sources import Source

NAME = "oulu_casia"
TITLE = "Oulu-CASIA NIR&VIS"
LICENCE = Licence("Oulu-CASIA agreement", "for research, on request; terms not looked up, so nothing else is allowed")
CITATION = (
    "Zhao, Huang, Taini, Li & Pietikäinen, Facial expression recognition from near-infrared videos, Image and Vision "
    "Computing 29(9), 2011"
)
HOMEPAGE = "https://www.oulu.fi/en/university/faculties-and-units/faculty-information-technology-and-electrical-engineering/center-for-machine-vision-and-signal-analysis"
ACCESS = "ask the Center for Machine Vision and Signal Analysis, University of Oulu, by e-mail"
EXPECTED = MappingProxyType({"people": 80, "sequences of a camera and lighting": 480})
UNVERIFIED = ("The terms of the agreement are from memory.",)
KNOWN_DEFECTS = (
    "Frames of one sequence are nearly the same picture, and a person is filmed by two cameras in three lightings: "
    "split by person. The published protocol is ten folds of persons.",
    "Only the end of a sequence shows its label; by default its last three frames are read.",
    "Expressions are posed after an example.",
)
LIGHTS = MappingProxyType({"Strong": "normal", "Weak": "low", "Dark": "low"})
CLASSES = MappingProxyType(
    {
        "Anger": "anger",
        "Disgust": "disgust",
        "Fear": "fear",
        "Happiness": "happiness",
        "Sadness": "sadness",
        "Surprise": "surprise",
    }
)
CAMERAS = MappingProxyType({"VL": "visible", "NI": "infrared"})
_FRAME = re.compile(
    r"(?:.*/)?(?P<camera>VL|NI)(?P<cropped>_Acropped)?/(?P<light>Strong|Weak|Dark)/(?P<person>P\d{3})/"
    r"(?P<shown>[^/]+)/(?P<frame>\d{1,6})\.\w+"
)


class Options(Configuration):
    """How to read an Oulu-CASIA download."""

    camera: Literal["visible", "infrared", "both"] = "visible"
    pictures: Literal["auto", "original", "cropped"] = "auto"  # auto: the one that is there
    peak_frames: Annotated[int, Field(ge=1, le=100)] = 3  # so many frames at the end show the sequence's label
    first_neutral: bool = False  # take the first frame of a sequence as neutral too


@dataclass
class _Sequence:
    """One act before one camera: frame number → picture."""

    camera: str
    light: str
    person: str
    shown: str
    frames: dict[int, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.camera}/{self.light}/{self.person}/{self.shown}"


def read(root: Path | None, options: Options, rejections: list[Rejection]) -> Reading:
    """Open a folder or archive of Oulu-CASIA.

    Raises:
        FerError: no path, nothing there, no frames, original and cropped pictures without a choice, or none of
            what was chosen.
    """
    source = open_download(root, TITLE, rejections)
    frames = {name: match for name in source.names if (match := _FRAME.fullmatch(name))}
    chosen = _chosen_pictures(root, source, frames, options)
    wanted = {"VL", "NI"} if options.camera == "both" else {"VL" if options.camera == "visible" else "NI"}
    kept = {
        name: match
        for name, match in frames.items()
        if bool(match["cropped"]) == (chosen == "cropped") and match["camera"] in wanted
    }
    if not kept:
        raise FerError(
            f"{root}: expected {chosen} pictures of the {options.camera} camera, found none; set camera=both"
        )
    notes: list[str] = []
    strange = [name for name in source.names if name not in frames]
    for name in strange:
        if is_picture(name):
            fault = ("VL/Strong/P001/Anger/000.jpeg in its path", "another path")
            rejections.append(Rejection(source.where(name), *fault, "the picture was set aside"))
    note_passed_over([name for name in strange if not is_picture(name)], "files that are no pictures", notes)
    note_passed_over(frames.keys() - kept.keys(), "frames of the camera or kind that was not chosen", notes)
    sequences = _sequences(source, kept, rejections)
    _note_sequences(sequences, options, notes)
    return Reading(
        form=f"{chosen} sequences",
        label_set="basic7",
        total_images=len(sequences) * (options.peak_frames + options.first_neutral),
        samples=_samples(source, sequences, options, rejections),
        source=source,
        notes=notes,
    )


def _chosen_pictures(root: Path | None, source: Source, frames: dict[str, "re.Match[str]"], options: Options) -> str:
    kinds = sorted({"cropped" if match["cropped"] else "original" for match in frames.values()}, reverse=True)
    if not kinds:
        raise FerError(
            f"{root}: expected files as VL/Strong/P001/Anger/000.jpeg, found {source.shown()}; give the folder or "
            f"archive of {TITLE}"
        )
    if options.pictures == "auto" and len(kinds) > 1:
        raise FerError(
            f"{root}: expected one kind of pictures, found {' and '.join(kinds)}; set pictures=original or …"
        )
    return kinds[0] if options.pictures == "auto" else options.pictures


def _sequences(source: Source, kept: dict[str, "re.Match[str]"], rejections: list[Rejection]) -> dict[str, _Sequence]:
    """The sequences by name; a frame that comes twice, or shows what is no class, is rejected."""
    sequences: dict[str, _Sequence] = {}
    for name, match in kept.items():
        if match["shown"] not in CLASSES:
            fault = (f"a folder named {', '.join(CLASSES)}", repr(match["shown"][:40]))
            rejections.append(Rejection(source.where(name), *fault, "the picture was set aside"))
            continue
        new = _Sequence(match["camera"], match["light"], match["person"], match["shown"])
        frames = sequences.setdefault(new.name, new).frames
        number = int(match["frame"])
        if number in frames:
            fault = (f"frame {number} of {new.name} once", f"it again, after {frames[number]}")
            rejections.append(Rejection(source.where(name), *fault, "the picture was set aside"))
        else:
            frames[number] = name
    return sequences


def _note_sequences(sequences: dict[str, _Sequence], options: Options, notes: list[str]) -> None:
    told = f"the last {options.peak_frames} frames of each sequence carry its label"
    notes.append(told + (", the first is neutral" if options.first_neutral else ""))
    per_light = Counter((sequence.camera, sequence.light) for sequence in sequences.values())
    counts: Counter[str | None] = Counter({"people": len({sequence.person for sequence in sequences.values()})})
    expected = {"people": EXPECTED["people"]}
    for camera in sorted({sequence.camera for sequence in sequences.values()}):
        for light in LIGHTS:
            counts[f"{camera} {light}"] = per_light[camera, light]
            expected[f"{camera} {light}"] = EXPECTED["sequences of a camera and lighting"]
    note_counts(counts, expected, f"{TITLE} (sequences)", notes)


def _samples(
    source: Source, sequences: dict[str, _Sequence], options: Options, rejections: list[Rejection]
) -> Iterator[Sample]:
    least = options.peak_frames + options.first_neutral
    for sequence in sequences.values():
        numbers = sorted(sequence.frames)
        if len(numbers) < least:
            fault = (f"a sequence of at least {least} frames", f"{len(numbers)}")
            rejections.append(Rejection(sequence.name, *fault, "the sequence was set aside"))
            continue
        for number in [*numbers[: int(options.first_neutral)], *numbers[-options.peak_frames :]]:
            neutral = options.first_neutral and number == numbers[0]
            facts: dict[str, Any] = {
                "subject_id": sequence.person,
                "sequence_id": sequence.name,
                "frame": number,
                "light": LIGHTS[sequence.light],
                "condition_source": "dataset",
            }
            label = "neutral" if neutral else CLASSES[sequence.shown]
            name = sequence.frames[number]
            yield Sample(name, None, label, sequence.shown, None, source.where(name), facts)
