"""The MMI facial expression database: a folder per session with a clip and XML files beside it.

    Sessions/1767/S052-001.avi             from neutral over the expression back to neutral
    Sessions/1767/S052-001.xml             `<Metatag Name="Emotion" Value="4"/>`
    Sessions/1767/S052-001-oao_aucs.xml    `<ActionUnit Number="12"><Marker Frame="1" Type="0"/>…`
    Sessions/1767/session.xml              `<track view="0" …>`: 0 frontal, 2 both views in one picture

Names, elements and the codes of the six emotions are those that two public readers of the download agree on; frames
count from 1, and the type of a marker is the phase that begins there: 0 neutral, 1 onset, 2 apex, 3 offset.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import Field

from fer_data.adapters.shared.downloads import file_name, note_passed_over, open_download
from fer_data.adapters.shared.videos import Frame, evenly, is_video, read_frames
from fer_data.adapters.shared.xml_elements import parse_xml
from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.licenses import Licence
from fer_data.samples import Reading, Rejection, Sample
from fer_data.sources import Source

NAME = "mmi"
TITLE = "MMI"
LICENCE = Licence(
    "MMI agreement", "for research, after signing an agreement; terms not looked up, so nothing is allowed"
)
CITATION = (
    "Pantic, Valstar, Rademaker & Maat, Web-based Database for Facial Expression Analysis, ICME 2005; Valstar & "
    "Pantic, Induced Disgust, Happiness and Surprise: an Addition to the MMI Facial Expression Database, LREC 2010"
)
HOMEPAGE = "https://mmifacedb.eu/"
ACCESS = "https://mmifacedb.eu/, an account after the signed agreement was sent in"
EXPECTED = None
UNVERIFIED = (
    "Emotion codes above 6 exist; what they mean could not be looked up, and such clips have no label.",
    "That `view` 1 is the profile, and that S052 in S052-001.avi is the person, are from memory.",
    "The address of the database and the terms of its agreement are from memory.",
)
KNOWN_DEFECTS = (
    "Clips go from neutral to the expression and back; where no action units are coded, the peak is taken to be the "
    "middle.",
    "Frames of some sessions lie on their side, and some show the frontal and the profile view side by side.",
    "Action units are coded by their phases, without intensity: present is a null intensity.",
    "Many clips show single action units and have no emotion.",
)
# Metatag "Emotion".
CODES = MappingProxyType({1: "anger", 2: "disgust", 3: "fear", 4: "happiness", 5: "sadness", 6: "surprise"})
VIEWS = MappingProxyType({"0": "frontal", "1": "profile", "2": "frontal and profile"})
APEX = 2
_UNIT = re.compile(r"\d{1,2}[A-Z]?|[LRTB]\d{1,2}[A-Z]?")
_PERSON = re.compile(r"(S\d{3})-\d+")
_ASIDE = "the clip was set aside"


class Options(Configuration):
    """How to read an MMI download."""

    peak_frames: Annotated[int, Field(ge=1, le=1000)] = 3  # per clip, where most action units are at their apex
    first_neutral: bool = True  # take the first frame of a clip with an emotion as neutral


@dataclass
class _Clip:
    """One clip and what its files say."""

    name: str
    label: str | None = None
    source_label: str | None = None
    pose: str | None = None
    phases: dict[str, list[tuple[int, int]]] = field(default_factory=dict)  # "AU12" → (frame from 0, type), rising

    def units(self, frame: int) -> dict[str, None]:
        """The action units that are to be seen in a frame."""
        return {unit: None for unit in self.phases if self._phase(unit, frame)}

    def peak(self, total: int) -> list[int]:
        """The frames in which most action units are at their apex; none where no apex is coded."""
        at_apex = [sum(self._phase(unit, frame) == APEX for unit in self.phases) for frame in range(total)]
        most = max(at_apex, default=0)
        return [frame for frame, count in enumerate(at_apex) if count == most and most]

    def has_apex(self) -> bool:
        return any(kind == APEX for markers in self.phases.values() for _, kind in markers)

    def _phase(self, unit: str, frame: int) -> int:
        return next((kind for start, kind in reversed(self.phases[unit]) if start <= frame), 0)


def read(root: Path | None, options: Options, rejections: list[Rejection]) -> Reading:
    """Open a folder or archive of MMI sessions.

    Raises:
        FerError: no path, nothing there, or no clip with an XML file of a session beside it.
    """
    source = open_download(root, TITLE, rejections)
    names = set(source.names)
    clips = [name for name in source.names if is_video(name) and names & set(_beside(name))]
    if not clips:
        raise FerError(
            f"{root}: expected session folders with S001-001.avi and session.xml, found {source.shown()}; give the "
            f"folder or archive of {TITLE}"
        )
    used = {*clips, *(side for clip in clips for side in _beside(clip))}
    notes: list[str] = []
    note_passed_over(names - used, "files that belong to no clip", notes)
    described = [clip for name in clips if (clip := _described(source, name, names, rejections))]
    _note_clips(described, options, notes)
    return Reading(
        form="sessions",
        label_set="basic7",
        total_images=sum(options.peak_frames + _has_neutral(clip, options) for clip in described),
        samples=_samples(source, described, options, rejections),
        notes=notes,
    )


def _beside(clip: str) -> tuple[str, str, str]:
    """The files that describe a clip: its own, its action units, its session's."""
    stem = clip.rpartition(".")[0]
    folder = clip.rpartition("/")[0]
    return f"{stem}.xml", f"{stem}-oao_aucs.xml", f"{folder}/session.xml" if folder else "session.xml"


def _note_clips(clips: list[_Clip], options: Options, notes: list[str]) -> None:
    neutral = " and the first, as neutral," if options.first_neutral else ""
    notes.append(f"the {options.peak_frames} frames of each clip's peak{neutral} are samples")
    tally = {
        "have no emotion": sum(clip.source_label is None for clip in clips),
        "have an emotion whose code is not known": sum(
            clip.source_label is not None and not clip.label for clip in clips
        ),
        "have no coded apex: their peak is taken to be the middle": sum(not clip.has_apex() for clip in clips),
    }
    notes.extend(f"{count:,} clips {what}" for what, count in tally.items() if count)


def _samples(source: Source, clips: list[_Clip], options: Options, rejections: list[Rejection]) -> Iterator[Sample]:
    for clip in clips:
        where = source.where(clip.name)
        try:
            frames = read_frames(source.read(clip.name), partial(_chosen, clip, options), where)
        except FerError as error:
            rejections.append(Rejection(where, "a whole AVI video", str(error), _ASIDE))
            continue
        for frame in frames:
            yield _sample(clip, frame, options, where)


def _has_neutral(clip: _Clip, options: Options) -> bool:
    return options.first_neutral and clip.label is not None


def _chosen(clip: _Clip, options: Options, total: int) -> list[int]:
    peak = clip.peak(total)
    middle = max(0, (total - options.peak_frames) // 2)
    chosen = [peak[place] for place in evenly(len(peak), options.peak_frames)] or list(
        range(middle, min(total, middle + options.peak_frames))
    )
    return [0, *chosen] if _has_neutral(clip, options) else chosen


def _sample(clip: _Clip, frame: Frame, options: Options, where: str) -> Sample:
    facts: dict[str, Any] = {
        "sequence_id": clip.name.rpartition(".")[0],
        "frame": frame.number,
        "timestamp_s": frame.timestamp_s,
    }
    person = _PERSON.match(file_name(clip.name))
    if person:
        facts["subject_id"] = person[1]
    if clip.pose:
        facts |= {"pose": clip.pose, "condition_source": "dataset"}
    if clip.phases:
        facts["action_units"] = clip.units(frame.number)
    label = "neutral" if _has_neutral(clip, options) and frame.number == 0 else clip.label
    key = f"{clip.name}#{frame.number}"
    return Sample(key, frame.pixels, label, clip.source_label, None, f"{where} frame {frame.number}", facts)


def _described(source: Source, name: str, names: set[str], rejections: list[Rejection]) -> _Clip | None:
    """What the files beside a clip say of it; None where one that names its emotion or view is broken."""
    clip = _Clip(name)
    own, units, session = _beside(name)
    try:
        if own in names:
            clip.label, clip.source_label = _emotion(source, own)
        if session in names:
            clip.pose = _view(source, session)
    except FerError as error:
        rejections.append(Rejection(source.where(name), "good XML files beside it", str(error), _ASIDE))
        return None
    try:
        if units in names:
            clip.phases = _phases(source, units)
    except FerError as error:
        fault = ("coded action units", str(error), "the action units were left out")
        rejections.append(Rejection(source.where(units), *fault))
    return clip


def _view(source: Source, name: str) -> str | None:
    track = parse_xml(source.read(name), source.where(name)).find(".//track")
    view = track.get("view") if track is not None else None
    return VIEWS.get(view, f"view {view}") if view else None


def _emotion(source: Source, name: str) -> tuple[str | None, str | None]:
    """The label and the code as written; none where the clip has no emotion."""
    for tag in parse_xml(source.read(name), source.where(name)).iter("Metatag"):
        if tag.get("Name") == "Emotion":
            code = (tag.get("Value") or "").strip()
            if not code.isdecimal():
                raise FerError(f"{source.where(name)}: expected an emotion code, found {code[:20]!r}")
            return CODES.get(int(code)), f"emotion {code}"
    return None, None


def _phases(source: Source, name: str) -> dict[str, list[tuple[int, int]]]:
    where = source.where(name)
    phases: dict[str, list[tuple[int, int]]] = {}
    for unit in parse_xml(source.read(name), where).iter("ActionUnit"):
        number = (unit.get("Number") or "").strip()
        if not _UNIT.fullmatch(number):
            raise FerError(f"{where}: expected the number of an action unit, found {number[:20]!r}")
        phases.setdefault(f"AU{number}", []).extend(_marker(marker.attrib, where) for marker in unit.iter("Marker"))
    return {unit: sorted(markers) for unit, markers in phases.items()}


def _marker(attributes: Mapping[str, str], where: str) -> tuple[int, int]:
    """The frame, from 0, at which a phase begins, and the phase."""
    frame, kind = attributes.get("Frame", ""), attributes.get("Type", "")
    if not (frame.isdecimal() and int(frame) >= 1 and kind in ("0", "1", "2", "3")):
        raise FerError(f"{where}: expected a marker with Frame from 1 and Type 0 to 3, found {frame!r} and {kind!r}")
    return int(frame) - 1, int(kind)
