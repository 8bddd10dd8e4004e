"""FERG-DB as its zip unpacks: `FERG_DB_256/<character>/<character>_<expression>/<character>_<expression>_<n>.png`."""

import numpy as np
from layouts.cases import Case
from layouts.faces import encoded, face

CHARACTERS = ("aia", "bonnie", "jules", "malcolm", "mery", "ray")
EXPRESSIONS = {"anger": 5, "disgust": 1, "fear": 12, "joy": 63, "neutral": 7, "sadness": 631, "surprise": 249}


def write(folder):
    base = folder / "FERG_DB_256"
    for person, character in enumerate(CHARACTERS[:4]):
        for expression, number in EXPRESSIONS.items():
            place = base / character / f"{character}_{expression}"
            place.mkdir(parents=True)
            colour = face("happiness" if expression == "joy" else expression, person, 32, colour=True)
            alpha = np.full((32, 32, 1), 255, np.uint8)
            alpha[:4] = 0  # transparent around the head
            picture = encoded(np.concatenate([colour, alpha], axis=-1), "PNG")
            (place / f"{character}_{expression}_{number}.png").write_bytes(picture)
        (base / character / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (base / "README.txt").write_text("Facial Expression Research Group Database (FERG-DB)\n")
    return folder


LABELS = {label: 4 for label in ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")}
CASES = {"FERG_DB_256": Case("ferg", write, 28, LABELS)}
