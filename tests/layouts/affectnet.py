"""AffectNet: the csv edition with its eleven classes, and the npy edition of cropped faces."""

import functools
import hashlib
import io
from collections import Counter
from pathlib import Path

import numpy as np
from layouts.cases import Case
from layouts.faces import drawn, jpeg

HEADER = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
# Written out here again, so that a table mixed up in the adapter is seen.
CLASSES = (
    ("Neutral", "neutral"),
    ("Happiness", "happiness"),
    ("Sadness", "sadness"),
    ("Surprise", "surprise"),
    ("Fear", "fear"),
    ("Disgust", "disgust"),
    ("Anger", "anger"),
    ("Contempt", "contempt"),
    ("None", None),
    ("Uncertain", None),
    ("No-Face", None),
)
SIZE_PX = 32
LEFT, TOP = 6, 4  # where the face lies in its picture


@functools.lru_cache(maxsize=64)
def picture(code: int, number: int) -> tuple[bytes, str, list[float]]:
    """The bytes of a picture with a face in it, its name in the lists, and its landmarks as the lists write them."""
    face, points = drawn(CLASSES[code][1], number, SIZE_PX)
    canvas = np.full((SIZE_PX + 8, SIZE_PX + 12, 3), 60 + 5 * code, dtype=np.uint8)
    canvas[TOP : TOP + SIZE_PX, LEFT : LEFT + SIZE_PX] = face[..., None]
    name = hashlib.sha224(f"{code} {number}".encode()).hexdigest()  # 56 digits, as AffectNet's
    landmarks = [round(float(value), 2) for value in (points + np.array([LEFT, TOP])).ravel()]
    return jpeg(canvas), f"{number}/{name}.jpg", landmarks


def row(code: int, number: int) -> str:
    """One row of a list. Faces without an expression have no ratings; no face, no box and no landmarks."""
    _, name, landmarks = picture(code, number)
    rated = f"{code / 10:g},{-code / 20:g}" if code < 8 else "-2,-2"
    if code == 10:
        return f"{name},-1,-1,-1,-1,NULL,{code},{rated}"
    points = ";".join(f"{value:g}" for value in landmarks)
    return f"{name},{LEFT},{TOP},{SIZE_PX},{SIZE_PX},{points},{code},{rated}"


TRAIN = tuple((code, number) for code in range(11) for number in (1, 2) if code != 10 or number == 1)
VAL = tuple((code, 3) for code in range(8))


def write_csv(folder: Path) -> Path:
    """`training.csv` with its header, `validation.csv` without one, the pictures in numbered folders."""
    lists = folder / "AffectNet" / "Manually_Annotated_file_lists"
    lists.mkdir(parents=True)
    for code, number in (*TRAIN, *VAL):
        data, name, _ = picture(code, number)
        file = folder / "AffectNet" / "Manually_Annotated" / "Manually_Annotated_Images" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    lines = [HEADER, *(row(*face) for face in TRAIN)]
    (lists / "training.csv").write_bytes("\r\n".join([*lines, ""]).encode())
    (lists / "validation.csv").write_text("".join(f"{row(*face)}\n" for face in VAL))
    return folder


def npy(values: object, dtype: object = None) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array(values, dtype=dtype), allow_pickle=False)
    return buffer.getvalue()


def write_npy(folder: Path) -> Path:
    """Ids that the two sets share, numbers as text as the authors wrote them, landmarks as a column."""
    for place, count in (("train_set", 12), ("val_set", 8)):
        for number in range(count):
            code = number % 8
            face, points = drawn(CLASSES[code][1], number, SIZE_PX)
            files = {
                f"images/{number}.jpg": jpeg(face + (place == "val_set")),
                f"annotations/{number}_exp.npy": npy(str(code)),
                f"annotations/{number}_val.npy": npy(f"{code / 10:g}"),
                f"annotations/{number}_aro.npy": npy(-code / 20),
                f"annotations/{number}_lnd.npy": npy(points.reshape(-1, 1)),
            }
            for name, data in files.items():
                file = folder / place / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
    return folder


CASES = {
    "csv edition": Case(
        "affectnet", write_csv, len(TRAIN) + len(VAL), Counter(CLASSES[code][1] for code, _ in (*TRAIN, *VAL))
    ),
    "npy edition": Case(
        "affectnet",
        write_npy,
        20,
        Counter([CLASSES[number % 8][1] for count in (12, 8) for number in range(count)]),
    ),
}
