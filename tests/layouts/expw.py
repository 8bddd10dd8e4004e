"""ExpW: pictures with one, two and three faces, a list with a line twice, a readme."""

from collections import Counter
from pathlib import Path

import numpy as np
from layouts.cases import Case
from layouts.faces import face, jpeg

# Written out here again, so that a table mixed up in the adapter is seen.
LABELS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
SIZE_PX = 24
# picture → the label code of each of its faces
PICTURES = {
    "angry_actor_104.jpg": (0,),
    "amazed_teacher_289.jpg": (5, 3),
    "happy_family_12.jpg": (3, 3, 6),
    "crying_boy_7.jpg": (4, 2),
    "disgusted_woman_1.jpg": (1,),
}


def box(place: int) -> tuple[int, int, int, int]:
    """Top, left, right, bottom of the place-th face: faces stand side by side, a little lower each."""
    left = 4 + place * (SIZE_PX + 3)
    return 2 + place, left, left + SIZE_PX, 2 + place + SIZE_PX


def lines() -> list[str]:
    """The rows of label.lst, in the order of its columns: top, left, right, bottom."""
    return [
        f"{name} {place} {' '.join(map(str, box(place)))} {60 + place}.5 {code}"
        for name, codes in PICTURES.items()
        for place, code in enumerate(codes)
    ]


def write(folder: Path) -> Path:
    origin = folder / "ExpW" / "data" / "image" / "origin"
    origin.mkdir(parents=True)
    for number, (name, codes) in enumerate(PICTURES.items()):
        canvas = np.full((SIZE_PX + 8, 8 + len(codes) * (SIZE_PX + 3), 3), 90 + number, dtype=np.uint8)
        for place, code in enumerate(codes):
            top, left, right, bottom = box(place)
            canvas[top:bottom, left:right] = face(LABELS[code], 10 * number + place, SIZE_PX, colour=True)
        (origin / name).write_bytes(jpeg(canvas))
    listed = [*lines(), lines()[2]]  # the second face's line comes once more
    place = folder / "ExpW" / "label"
    place.mkdir()
    (place / "label.lst").write_text("\n".join(listed) + "\n")
    (folder / "ExpW" / "readme.txt").write_text("label.lst: each line indicates an image as follows: …\n")
    return folder


CASES = {
    "pictures with boxes": Case(
        "expw", write, len(lines()), Counter(LABELS[code] for codes in PICTURES.values() for code in codes)
    )
}
