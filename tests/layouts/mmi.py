"""MMI: sessions with an emotion and coded action units, with one of the two, and with neither known."""

from pathlib import Path

from layouts.cases import Case
from layouts.clips import avi
from layouts.faces import face

FRAMES = 10
# session → clip, emotion code, view, action unit → [(frame from 1, type)]
SESSIONS = {
    "1767": (
        "S052-001",
        4,
        0,
        {"6": [(1, 0), (4, 1), (5, 2), (8, 3), (10, 0)], "12": [(1, 0), (3, 1), (5, 2), (9, 3)]},
    ),
    "1800": ("S052-014", 6, 2, {}),
    "0021": ("S003-007", None, 0, {"46R": [(1, 0), (3, 2), (7, 0)]}),
    "2100": ("S061-002", 9, 1, {}),
}
PEAKS = {"1767": (4, 5, 6), "1800": (3, 4, 5), "0021": (2, 4, 5), "2100": (3, 4, 5)}  # three frames, from 0
EMOTIONS = {4: "happiness", 6: "surprise"}


def own_xml(code: int | None) -> str:
    emotion = "" if code is None else f'<Metatag Name="Emotion" Value="{code}"/>'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Item><Metatag Name="Language" Value="en"/>{emotion}</Item>\n'


def units_xml(units: dict) -> str:
    coded = "".join(
        f'<ActionUnit Number="{number}">'
        + "".join(f'<Marker Frame="{frame}" Type="{kind}"/>' for frame, kind in markers)
        + "</ActionUnit>"
        for number, markers in units.items()
    )
    return f'<?xml version="1.0"?>\n<ActionUnits>{coded}</ActionUnits>\n'


def write(folder: Path) -> Path:
    for number, (session, (clip, code, view, units)) in enumerate(SESSIONS.items()):
        place = folder / "mmi" / "Sessions" / session
        place.mkdir(parents=True)
        frames = [face(EMOTIONS.get(code), 40 * number + frame, 32, colour=True) for frame in range(FRAMES)]
        (place / f"{clip}.avi").write_bytes(avi(frames))
        (place / f"{clip}.xml").write_text(own_xml(code))
        if units:
            (place / f"{clip}-oao_aucs.xml").write_text(units_xml(units))
        (place / "session.xml").write_text(
            f'<?xml version="1.0"?>\n<session id="{session}"><track view="{view}" filename="{clip}.avi"/></session>\n'
        )
    (folder / "mmi" / "readme.txt").write_text("MMI\n")
    return folder


CASES = {
    "sessions": Case("mmi", write, 14, {"happiness": 3, "surprise": 3, "neutral": 2, None: 6}),
    "without neutral": Case(
        "mmi", write, 12, {"happiness": 3, "surprise": 3, None: 6}, lambda folder: {"first_neutral": False}
    ),
}
