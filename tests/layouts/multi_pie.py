"""Multi-PIE: two people, all recordings of the four sessions, several cameras and flashes."""

from collections import Counter
from pathlib import Path

from layouts.cases import Case
from layouts.faces import face, png

# Written out here again, so that a table mixed up in the adapter is seen.
RECORDINGS = {
    "01": ("neutral", "smile"),
    "02": ("neutral", "surprise", "squint"),
    "03": ("neutral", "smile", "disgust"),
    "04": ("neutral", "neutral", "scream"),
}
LABELS = {"neutral": "neutral", "smile": "happiness", "surprise": "surprise", "disgust": "disgust"}
VIEWS = (("05_1", "07"), ("04_1", "00"), ("19_0", "13"))  # camera and flash
PERSONS = ("001", "346")
WORDS = [word for words in RECORDINGS.values() for word in words]


def write(folder: Path) -> Path:
    root = folder / "Multi-Pie"
    for person in PERSONS:
        taken = 0
        for session, words in RECORDINGS.items():
            for recording, word in enumerate(words, 1):
                camera, flash = VIEWS[taken % 3]
                taken += 1
                place = root / "data" / f"session{session}" / "multiview" / person / f"{recording:02d}" / camera
                place.mkdir(parents=True)
                name = f"{person}_{session}_{recording:02d}_{camera.replace('_', '')}_{flash}.png"
                pixels = face(LABELS.get(word), taken + 30 * PERSONS.index(person), 32, colour=True)
                (place / name).write_bytes(png(pixels))
    high = root / "data" / "session01" / "highres" / "001"
    high.mkdir(parents=True)
    (high / "001_01.png").write_bytes(png(face(None, 1, 48)))
    (root / "meta").mkdir()
    (root / "meta" / "subject_list.txt").write_text("1 1975 Male 1 1 1 1\n346 1980 Female 1 1 1 1 \n")
    return folder


CASES = {"pictures": Case("multi_pie", write, 22, Counter(LABELS.get(word) for word in WORDS * 2))}
