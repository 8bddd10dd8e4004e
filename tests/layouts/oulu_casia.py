"""Oulu-CASIA: sequences of a person before both cameras in three lightings."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from layouts.cases import Case
from layouts.faces import face, jpeg

EXPRESSIONS = ("Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise")
LIGHTS = {"Strong": 1.0, "Weak": 0.5, "Dark": 0.2}
FRAMES = 4


def writer(folders: str, cameras: tuple[str, ...], expressions: tuple[str, ...]) -> Callable[[Path], Path]:
    """Writes sequences of `FRAMES` frames that begin neutral, of one person, under `folders`."""

    def write(folder: Path) -> Path:
        for camera in cameras:
            for light, brightness in LIGHTS.items():
                for row, shown in enumerate(expressions):
                    place = folder / folders / camera / light / f"P{row + 1:03d}" / shown
                    place.mkdir(parents=True)
                    for number in range(FRAMES):
                        label = shown.lower() if number else None
                        pixels = face(label, 3 * row + number, 24, colour=camera.startswith("VL"))
                        data = jpeg((pixels * brightness).astype(np.uint8) + len(camera))
                        (place / f"{number:03d}.jpeg").write_bytes(data)
        (folder / folders / "Description.txt").write_text("Oulu-CASIA NIR&VIS facial expression database\n")
        return folder

    return write


write = writer("OriginalImg", ("VL",), EXPRESSIONS)
write_both = writer("B_OriginalImg/OriginalImg", ("VL", "NI"), ("Anger", "Surprise"))
write_cropped = writer("PreProcess_Img", ("VL_Acropped", "NI_Acropped"), ("Fear",))

CASES = {
    "visible": Case(
        "oulu_casia",
        write,
        36,
        dict.fromkeys([word.lower() for word in EXPRESSIONS], 6),
        lambda folder: {"peak_frames": 2},
    ),
    "both cameras and neutral": Case(
        "oulu_casia",
        write_both,
        36,
        {"anger": 12, "surprise": 12, "neutral": 12},
        lambda folder: {"camera": "both", "peak_frames": 2, "first_neutral": True},
    ),
    "cropped infrared": Case("oulu_casia", write_cropped, 9, {"fear": 9}, lambda folder: {"camera": "infrared"}),
}
