"""CK+ as its authors give it: image sequences, and text files beside them that are found by their names.

    S005_001_00000011_emotion.txt    one number for the sequence, named after its last frame; no file, no label
    S005_001_00000011_facs.txt       action units of the last frame, a line each: number and intensity 1..5, 0 unknown
    S005_001_00000011_landmarks.txt  68 points of this frame, a line each: x and y

Downloads call their folders Emotion, Emotion_labels, FACS, FACS_labels and so on. All of this is in CK+'s own ReadMe.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from fer_data.adapters.shared.counting import note_counts
from fer_data.adapters.shared.downloads import file_name, first_few, is_picture, note_passed_over
from fer_data.errors import FerError
from fer_data.samples import Reading, Rejection, Sample
from fer_data.sources import Source

EXPECTED = MappingProxyType({"sequences": 593, "labelled sequences": 327, "subjects": 123})
LABEL_SET = "basic8"
# CK+ ReadMe, "Emotion coded files": the number, the label, and the ReadMe's word for it.
CODES = MappingProxyType(
    {
        0: ("neutral", "neutral"),
        1: ("anger", "anger"),
        2: ("contempt", "contempt"),
        3: ("disgust", "disgust"),
        4: ("fear", "fear"),
        5: ("happiness", "happy"),
        6: ("sadness", "sadness"),
        7: ("surprise", "surprise"),
    }
)
LANDMARKS = 68
LARGEST = 1_000_000  # no frame has so many pixels on a side
_FRAME = re.compile(r"(?:.*/)?(?P<subject>S\d{3})/(?P<take>\d{3})/(?P=subject)_(?P=take)_(?P<frame>\d{8})\.\w+")
_SIDE = re.compile(r"(?P<sequence>S\d+_\d+)_(?P<frame>\d{1,9})_(?P<kind>emotion|facs|landmarks)\.txt")


@dataclass(frozen=True)
class Frames:
    """Which frames of a sequence become samples."""

    peak: int
    first_neutral: bool
    unlabelled: bool

    def told(self) -> str:
        """The rule in words, for the manifest."""
        return f"last {self.peak} frames" + (", first neutral" if self.first_neutral else "")


@dataclass
class _Sequence:
    """One sequence: frame number → picture, and the files that belong to it."""

    name: str
    pictures: dict[int, str] = field(default_factory=dict)
    label: tuple[str, str] | None = None
    action_units: tuple[int, str] | None = None  # frame and file

    def first(self) -> int | None:
        """The frame that shows a neutral face: number 1 of several. A copy without it has none."""
        return 1 if 1 in self.pictures and len(self.pictures) > 1 else None

    def chosen(self, frames: Frames) -> list[int]:
        """Frame numbers, in order; a neutral frame is never also a peak."""
        first = self.first() if frames.first_neutral else None
        later = sorted(number for number in self.pictures if number != first)
        return ([] if first is None else [first]) + later[-frames.peak :]


def is_form(source: Source) -> bool:
    return any(_FRAME.fullmatch(name) for name in source.names)


def read(source: Source, frames: Frames, rejections: list[Rejection]) -> Reading:
    """Open the sequences, wherever in the source they and their side files lie."""
    sequences, strange = _sequences(source, rejections)
    rejections.extend(
        Rejection(
            source.where(name), "a name as S005/001/S005_001_00000001.png", "another", "the picture was set aside"
        )
        for name in strange
    )
    sides = _side_files(source)
    _add_labels(sequences, sides["emotion"], source, rejections)
    _add_action_units(sequences, sides["facs"], source, rejections)
    landmarks = _landmarks(sequences, sides["landmarks"], source, rejections)
    kept = [sequence for sequence in sequences.values() if sequence.label or frames.unlabelled]
    notes = _notes(sequences, kept, frames)
    sided = {name for files in sides.values() for _, _, name in files}
    note_passed_over(
        [name for name in source.names if not is_picture(name) and name not in sided], "files of no known kind", notes
    )
    return Reading(
        form="sequences",
        label_set=LABEL_SET,
        total_images=sum(len(sequence.chosen(frames)) for sequence in kept),
        samples=(sample for sequence in kept for sample in _samples(sequence, frames, landmarks, source, rejections)),
        source=source,
        label_rule=f"source:{frames.told()}",
        notes=notes,
    )


def _sequences(source: Source, rejections: list[Rejection]) -> tuple[dict[str, _Sequence], list[str]]:
    """The sequences by name ("S005_001"), and pictures that belong to none."""
    sequences: dict[str, _Sequence] = {}
    strange = []
    for name in source.names:
        match = _FRAME.fullmatch(name)
        if match is not None and is_picture(name):
            called = f"{match['subject']}_{match['take']}"
            sequence = sequences.setdefault(called, _Sequence(called))
            first = sequence.pictures.setdefault(int(match["frame"]), name)
            if first != name:
                fault = ("this frame once", f"it again, after {first}")
                rejections.append(Rejection(source.where(name), *fault, "the picture was set aside"))
        elif is_picture(name):
            strange.append(name)
    return dict(sorted(sequences.items())), strange


def _side_files(source: Source) -> dict[str, list[tuple[str, int, str]]]:
    """Kind → (sequence, frame, file) of each text file that goes with a frame."""
    sides: dict[str, list[tuple[str, int, str]]] = defaultdict(list)
    for name in source.names:
        match = _SIDE.fullmatch(file_name(name))
        if match is not None:
            sides[match["kind"]].append((match["sequence"], int(match["frame"]), name))
    return sides


def _add_labels(
    sequences: dict[str, _Sequence], files: list[tuple[str, int, str]], source: Source, rejections: list[Rejection]
) -> None:
    aside = "the label was left out"
    before: dict[str, str] = {}
    for of, frame, name in files:
        fault = _misplaced(sequences, of, frame, before.get(of))
        if fault is None:
            before[of] = name
            rows = _numbers(source, name, rejections, aside)
            if rows is None:
                continue
            if len(rows) == 1 and len(rows[0]) == 1 and rows[0][0] in CODES:
                sequences[of].label = CODES[int(rows[0][0])]
                continue
            fault = (f"one number 0 to {len(CODES) - 1}", _shown(rows))
        rejections.append(Rejection(source.where(name), *fault, aside))


def _add_action_units(
    sequences: dict[str, _Sequence], files: list[tuple[str, int, str]], source: Source, rejections: list[Rejection]
) -> None:
    for of, frame, name in files:
        known = sequences[of].action_units if of in sequences else None
        fault = _misplaced(sequences, of, frame, known[1] if known else None)
        if fault is not None:
            rejections.append(Rejection(source.where(name), *fault, "the action units were left out"))
        else:
            sequences[of].action_units = (frame, name)


def _misplaced(sequences: dict[str, _Sequence], of: str, frame: int, before: str | None) -> tuple[str, str] | None:
    """What is wrong with the place of a file that should go with the last frame of a sequence."""
    if of not in sequences:
        return f"pictures of the sequence {of}", "none"
    if before is not None:
        return "one such file for a sequence", f"it again, after {before}"
    last = max(sequences[of].pictures)
    if frame != last:
        return f"the last frame, {last}", f"{frame}"
    return None


def _landmarks(
    sequences: dict[str, _Sequence], files: list[tuple[str, int, str]], source: Source, rejections: list[Rejection]
) -> dict[tuple[str, int], str]:
    """(sequence, frame) → file of its landmarks."""
    found: dict[tuple[str, int], str] = {}
    for of, frame, name in files:
        if of not in sequences or frame not in sequences[of].pictures:
            fault = (f"a picture of frame {frame} of {of}", "none")
        elif found.setdefault((of, frame), name) != name:
            fault = ("one such file for a frame", f"it again, after {found[of, frame]}")
        else:
            continue
        rejections.append(Rejection(source.where(name), *fault, "the landmarks were left out"))
    return found


def _samples(
    sequence: _Sequence,
    frames: Frames,
    landmarks: dict[tuple[str, int], str],
    source: Source,
    rejections: list[Rejection],
) -> Iterator[Sample]:
    for number in sequence.chosen(frames):
        name = sequence.pictures[number]
        facts: dict[str, Any] = {
            "subject_id": sequence.name.partition("_")[0],
            "sequence_id": sequence.name,
            "frame": number,
        }
        if (sequence.name, number) in landmarks:
            points = _points(source, landmarks[sequence.name, number], rejections)
            if points is not None:
                facts["landmarks"] = points
        if sequence.action_units and sequence.action_units[0] == number:
            units = _action_units(source, sequence.action_units[1], rejections)
            if units is not None:
                facts["action_units"] = units
        neutral = frames.first_neutral and number == sequence.first()
        label, word = (None, None) if sequence.label is None else CODES[0] if neutral else sequence.label
        yield Sample(name, None, label, word, None, source.where(name), facts)


def _points(source: Source, name: str, rejections: list[Rejection]) -> list[float] | None:
    rows = _numbers(source, name, rejections, "the landmarks were left out")
    if rows is None:
        return None
    if len(rows) == LANDMARKS and all(len(row) == 2 for row in rows):
        return [value for row in rows for value in row]
    fault = (f"{LANDMARKS} lines x y", f"{len(rows)} lines")
    rejections.append(Rejection(source.where(name), *fault, "the landmarks were left out"))
    return None


def _action_units(source: Source, name: str, rejections: list[Rejection]) -> dict[str, float | None] | None:
    """ "AU9" → intensity, A..E as 0.2..1, null where the unit is there and its intensity was not given."""
    aside = "the action units were left out"
    rows = _numbers(source, name, rejections, aside)
    if rows is None:
        return None
    units: dict[str, float | None] = {}
    for row in rows:
        whole = len(row) == 2 and all(value.is_integer() for value in row)
        if not whole or not 1 <= row[0] <= 99 or not 0 <= row[1] <= 5 or f"AU{int(row[0])}" in units:
            fault = ("lines of an action unit, each once, and its intensity 0 to 5", _shown([row]))
            rejections.append(Rejection(source.where(name), *fault, aside))
            return None
        units[f"AU{int(row[0])}"] = row[1] / 5 if row[1] else None
    return units


def _numbers(source: Source, name: str, rejections: list[Rejection], aside: str) -> list[list[float]] | None:
    """The numbers of a text file, line by line without the blank ones; None where it has been rejected."""
    try:
        rows = [[float(field) for field in line.split()] for line in source.text(name).splitlines() if line.strip()]
        if all(abs(value) < LARGEST for row in rows for value in row):  # False for NaN
            return rows
        rejections.append(Rejection(source.where(name), f"numbers below {LARGEST:,}", _shown(rows), aside))
    except FerError as error:
        rejections.append(Rejection(source.where(name), "a text file", str(error), aside))
    except ValueError as error:
        rejections.append(Rejection(source.where(name), "numbers", str(error), aside))
    return None


def _shown(rows: list[list[float]]) -> str:
    return "; ".join(" ".join(f"{value:g}" for value in row) for row in rows)[:60] or "an empty file"


def _notes(sequences: dict[str, _Sequence], kept: list[_Sequence], frames: Frames) -> list[str]:
    counts: Counter[str | None] = Counter(
        {
            "sequences": len(sequences),
            "labelled sequences": sum(sequence.label is not None for sequence in sequences.values()),
            "subjects": len({name.partition("_")[0] for name in sequences}),
        }
    )
    chosen = sum(len(sequence.chosen(frames)) for sequence in kept)
    total = sum(len(sequence.pictures) for sequence in sequences.values())
    notes = [f"of each sequence these are samples: {frames.told()}; {total - chosen:,} other frames were passed over"]
    without = [name for name, sequence in sequences.items() if sequence.label is None]
    if without:
        what = "are samples without a label" if frames.unlabelled else "were left out"
        notes.append(f"{len(without)} sequences have no emotion label and {what} ({first_few(without)})")
    headless = [name for name, sequence in sequences.items() if sequence.first() is None]
    if headless and frames.first_neutral:
        notes.append(f"{len(headless)} sequences lack their first frame and get no neutral one ({first_few(headless)})")
    note_counts(counts, EXPECTED, "CK+", notes)
    return notes
