"""CK+ in its three forms: sequences with their side files, CK+48, ckextended.csv."""

from pathlib import Path

import numpy as np
from layouts.cases import Case
from layouts.faces import drawn, face, png

# Written out here again, so that a table mixed up in the adapter is seen.
CODES = ("neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")
CSV_CODES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral", "contempt")
FOLDERS = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
# (subject, take) → frames, label. Two sequences have no emotion file.
SEQUENCES = {
    ("S005", "001"): (5, "disgust"),
    ("S010", "002"): (4, "surprise"),
    ("S010", "006"): (6, "happiness"),
    ("S138", "008"): (4, "contempt"),
    ("S502", "001"): (4, None),
    ("S999", "003"): (5, None),
}
ACTION_UNITS = {9: 4, 17: 2, 12: 0}  # the ReadMe's examples: AU9d, AU17b, and one whose intensity was not given
SIDE_PX = 32


def picture(subject: str, label: str | None, number: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
    return drawn(label if number > 1 else None, int(subject[1:]) * 10 + number * frames, SIDE_PX)


def matlab(value: float) -> str:
    """A number as CK+'s files have it."""
    return f"   {value:.7e}"


def write_sequences(folder: Path, emotion: str = "Emotion", facs: str = "FACS") -> Path:
    """The four archives of the download, unpacked; their folders are spelled in several ways."""
    for (subject, take), (frames, label) in SEQUENCES.items():
        for number in range(1, frames + 1):
            stem = f"{subject}_{take}_{number:08d}"
            pixels, points = picture(subject, label, number, frames)
            _write(folder, f"cohn-kanade-images/{subject}/{take}/{stem}.png", png(pixels))
            lines = [matlab(x) + matlab(y) for x, y in points]
            _write(folder, f"Landmarks/{subject}/{take}/{stem}_landmarks.txt", "\n".join(lines) + "\n")
        units = [matlab(unit) + matlab(level) for unit, level in ACTION_UNITS.items()]
        _write(folder, f"{facs}/{subject}/{take}/{stem}_facs.txt", "\n".join(units) + "\n")
        if label is not None:
            _write(folder, f"{emotion}/{subject}/{take}/{stem}_emotion.txt", matlab(CODES.index(label)) + "\n")
    return folder


def write_wrapped(folder: Path) -> Path:
    write_sequences(folder / "CK+" / "extended", "Emotion_labels/Emotion", "FACS_labels/FACS")
    return folder


def write_ck48(folder: Path) -> Path:
    """`ck/CK+48/happy/S010_006_00000013.png`: three frames of a sequence for each expression."""
    for row, name in enumerate(FOLDERS):
        for frame in (11, 12, 13):
            label = "happiness" if name == "happy" else name
            pixels = face(label, row, 48).copy()
            pixels[0, 0] = frame  # neighbours are nearly, not exactly, the same
            _write(folder, f"ck/CK+48/{name}/S{10 + row // 2:03d}_{row:03d}_{frame:08d}.png", png(pixels))
    return folder


def csv_lines() -> list[str]:
    lines = ["emotion,pixels,Usage"]
    for row in range(24):
        pixels = face(CSV_CODES[row % 8], row, 48)
        usage = ("Training", "PublicTest", "PrivateTest")[row // 8]
        lines.append(f"{row % 8},{' '.join(map(str, pixels.ravel()))},{usage}")
    return lines


def write_csv(folder: Path) -> Path:
    (folder / "ckextended.csv").write_text("\n".join(csv_lines()) + "\n")
    return folder


def write_csv_alone(folder: Path) -> Path:
    return write_csv(folder) / "ckextended.csv"


def _write(folder: Path, name: str, content: bytes | str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


PEAKS = {"disgust": 3, "surprise": 3, "happiness": 3, "contempt": 3}
CASES = {
    "sequences": Case("ckplus", write_sequences, 24, {**PEAKS, "neutral": 4, None: 8}),
    "sequences, wrapped": Case("ckplus", write_wrapped, 24, {**PEAKS, "neutral": 4, None: 8}),
    "last frames of labelled sequences": Case(
        "ckplus",
        write_sequences,
        4,
        dict.fromkeys(PEAKS, 1),
        lambda folder: {"peak_frames": 1, "first_neutral": False, "unlabelled": "leave_out"},
    ),
    "ck48": Case("ckplus", write_ck48, 21, dict.fromkeys((*CODES[1:],), 3)),
    "csv": Case("ckplus", write_csv, 24, dict.fromkeys(CODES, 3)),
    "csv alone": Case("ckplus", write_csv_alone, 24, dict.fromkeys(CODES, 3), archives=False),
}
