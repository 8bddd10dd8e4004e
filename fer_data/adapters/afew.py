"""AFEW, Acted Facial Expressions in the Wild: clips of movies, `Train|Val/<class>/*.avi`, unlabelled test clips.

Layout and counts are those of github.com/albanie/mcnDatasets `afew3.0/` (`getAfewImdb.m`, `README.md`), which also
says that one video may lie in train and in val, in different segments; the folder names Train_AFEW, Val_AFEW and
Test_vid_Distribute are those of later EmotiW challenges. Clips are decoded to frames when they are imported.

The faces that the authors cut out of the clips lie in `Faces/Train/<clip>/*.jpg`, or in
`Train_AFEW/AlignedFaces_LBPTOP_Points/Faces/<clip>/*.jpg`; they get the label of the clip of their name.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field

from fer_data.adapters.sfew import CLASSES
from fer_data.adapters.sfew import LICENCE as SFEW_LICENCE
from fer_data.adapters.shared.counting import note_counts
from fer_data.adapters.shared.downloads import file_name, first_few, is_picture, note_passed_over, open_download
from fer_data.adapters.shared.split_folders import Filed, filed, require
from fer_data.adapters.shared.videos import evenly, is_video, read_frames
from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.samples import Reading, Rejection, Sample
from fer_data.sources import Source

NAME = "afew"
TITLE = "AFEW"
LICENCE = SFEW_LICENCE
CITATION = (
    "Dhall, Goecke, Lucey & Gedeon, Collecting Large, Richly Annotated Facial-Expression Databases from Movies, IEEE "
    "MultiMedia 19(3), 2012"
)
HOMEPAGE = "https://cs.anu.edu.au/few/"
ACCESS = "ask its authors (https://cs.anu.edu.au/few/); a signed agreement is needed"
EXPECTED = MappingProxyType({"train": 773, "val": 383})  # clips
UNVERIFIED = ("Where to ask and the terms of the agreement are from memory.",)
KNOWN_DEFECTS = (
    "A clip has one label; its first and last frames may show little of it.",
    "One movie clip may be used in different segments for train and for val: clips of one name carry one sequence_id.",
    "Whole frames of movies; several people may be in view, and there are no face boxes.",
    "The test split has no labels; it has 593 clips in EmotiW 2016, and another number in other years.",
)
SPLITS = MappingProxyType(
    {
        "train": "train",
        "train_afew": "train",
        "val": "val",
        "val_afew": "val",
        "test": "test",
        "test_vid_distribute": "test",
    }
)
_FACE = re.compile(
    r"(?:.*/)?(?:Faces/(?P<under>Train|Val|Test)|(?P<above>Train_AFEW|Val_AFEW)/[^/]+/Faces)/(?P<clip>[^/]+)/[^/]+"
)


class Options(Configuration):
    """How to read an AFEW download."""

    frames: Annotated[int, Field(ge=1, le=1000)] = 8  # per clip, evenly spaced; a shorter clip gives all it has
    pictures: Literal["frames", "faces"] = "frames"  # whole frames of the clips, or the faces that come with them


def read(root: Path | None, options: Options, rejections: list[Rejection]) -> Reading:
    """Open a folder or archive of AFEW's clips.

    Raises:
        FerError: no path, nothing there, no clips under Train and Val, or no faces where faces were asked for.
    """
    source = open_download(root, TITLE, rejections)
    clips = filed(source, is_video, SPLITS, CLASSES, "test", rejections)
    require(clips, source, root, "Train/Angry/clip.avi", TITLE)
    if options.pictures == "faces":
        return _read_faces(source, clips, options, rejections)
    notes = [f"{options.frames} frames of each clip, evenly spaced, carry the clip's label"]
    others = [name for name in source.names if not is_video(name)]
    note_passed_over(others, "files that are no clips (.avi)", notes)
    _note_shared(clips, notes)
    counts: Counter[str | None] = Counter(clip.split for clip in clips)
    note_counts(counts, EXPECTED, f"{TITLE} (clips)", notes)
    return Reading(
        form="clips",
        label_set="basic7",
        total_images=len(clips) * options.frames,
        samples=_samples(source, clips, options, rejections),
        notes=notes,
    )


def _samples(source: Source, clips: list[Filed], options: Options, rejections: list[Rejection]) -> Iterator[Sample]:
    for clip in clips:
        where = source.where(clip.name)
        try:
            frames = read_frames(source.read(clip.name), lambda total: evenly(total, options.frames), where)
        except FerError as error:
            rejections.append(Rejection(where, "a whole AVI video", str(error), "the clip was set aside"))
            continue
        for frame in frames:
            facts = {"sequence_id": _sequence(clip), "frame": frame.number, "timestamp_s": frame.timestamp_s}
            key, told = f"{clip.name}#{frame.number}", f"{where} frame {frame.number}"
            yield Sample(key, frame.pixels, clip.label, clip.source_label, clip.split, told, facts)


def _read_faces(source: Source, clips: list[Filed], options: Options, rejections: list[Rejection]) -> Reading:
    labelled = {(clip.split, _sequence(clip)): clip for clip in clips}
    faces: dict[tuple[str, str], list[str]] = {}
    for name in source.names:
        match = _FACE.fullmatch(name)
        if match and is_picture(name):
            split = SPLITS[(match["under"] or match["above"]).lower()]
            faces.setdefault((split, match["clip"]), []).append(name)
    if not faces:
        raise FerError(f"{source.path}: expected faces as Faces/Train/clip/001.jpg, found none; set pictures=frames")
    samples = []
    for (split, name), files in faces.items():
        clip = labelled.get((split, name), Filed(name, split, None, None) if split == "test" else None)
        if clip is None:
            fault = (f"a clip {name}.avi in a class folder of {split}", "none", f"{len(files)} faces were set aside")
            rejections.append(Rejection(source.where(files[0].rpartition("/")[0]), *fault))
            continue
        for place in evenly(len(files), options.frames):
            number = re.search(r"(\d+)\D*$", file_name(files[place]).rpartition(".")[0])
            facts = {"sequence_id": name, "frame": int(number[1]) if number and len(number[1]) < 9 else None}
            file = files[place]
            samples.append(Sample(file, None, clip.label, clip.source_label, split, source.where(file), facts))
    notes = [f"{options.frames} faces of each clip, evenly spaced, carry the clip's label"]
    used = {sample.key for sample in samples}
    note_passed_over({name for files in faces.values() for name in files} - used, "other faces of the clips", notes)
    counts: Counter[str | None] = Counter(split for split, _ in faces)
    note_counts(counts, EXPECTED, f"{TITLE} (clips with faces)", notes)
    return Reading(
        form="faces", label_set="basic7", total_images=len(samples), samples=iter(samples), source=source, notes=notes
    )


def _sequence(clip: Filed) -> str:
    """The clip's name without folders and ending, which it shares with its other segments."""
    return file_name(clip.name).rpartition(".")[0]


def _note_shared(clips: list[Filed], notes: list[str]) -> None:
    splits: dict[str, set[str]] = {}
    for clip in clips:
        splits.setdefault(_sequence(clip), set()).add(clip.split)
    shared = [name for name, found in splits.items() if len(found) > 1]
    if shared:
        notes.append(f"{len(shared)} clip names occur in more than one split ({first_few(shared)}): a leak")
