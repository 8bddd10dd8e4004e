"""AFEW: clips of several codecs and lengths, a clip name that two splits share, an unlabelled test clip."""

from pathlib import Path

from layouts.cases import Case
from layouts.clips import avi
from layouts.faces import face, jpeg
from layouts.sfew import CLASSES

# file → number of frames
CLIPS = {
    "Train_AFEW/Angry/000046280.avi": 9,
    "Train_AFEW/Happy/000149120.avi": 4,
    "Val_AFEW/Sad/000046280.avi": 6,
    "Test_vid_Distribute/000222000.avi": 5,
}
CODECS = ("mjpeg", "mpeg4", "mjpeg", "ffv1")


def frames(name: str) -> list:
    """The frames of a clip: a face that is another one in each."""
    word = name.split("/")[1]
    grey = CODECS[list(CLIPS).index(name)] == "ffv1"
    return [face(CLASSES.get(word), 20 + number, 32, colour=not grey) for number in range(CLIPS[name])]


def write(folder: Path) -> Path:
    for (name, _), codec in zip(CLIPS.items(), CODECS, strict=True):
        file = folder / "AFEW" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(avi(frames(name), codec))
    (folder / "AFEW" / "Train_AFEW" / "Angry" / "000046280.xml").write_text("<Clip/>")
    return folder


def write_faces(folder: Path) -> Path:
    """The clips, and five aligned faces of each; the test clip's too, as the newer folders have none for it."""
    write(folder)
    root = folder / "AFEW"
    places = {
        "Train_AFEW/Angry/000046280.avi": "Train_AFEW/AlignedFaces_LBPTOP_Points/Faces",
        "Train_AFEW/Happy/000149120.avi": "Train_AFEW/AlignedFaces_LBPTOP_Points/Faces",
        "Val_AFEW/Sad/000046280.avi": "Val_AFEW/AlignedFaces_LBPTOP_Points_Val/Faces",
        "Test_vid_Distribute/000222000.avi": "Faces/Test",
    }
    for row, (name, place) in enumerate(places.items()):
        clip = Path(name).stem
        (root / place / clip).mkdir(parents=True)
        for number in range(5):
            data = jpeg(face(CLASSES.get(name.split("/")[1]), 50 + 5 * row + number, 24))
            (root / place / clip / f"{clip}-{number + 1:03d}.jpg").write_bytes(data)
    return folder


CASES = {
    "clips": Case("afew", write, 12, {"anger": 3, "happiness": 3, "sadness": 3, None: 3}, lambda folder: {"frames": 3}),
    "four frames a clip": Case(
        "afew", write, 16, {"anger": 4, "happiness": 4, "sadness": 4, None: 4}, lambda folder: {"frames": 4}
    ),
    "faces": Case(
        "afew",
        write_faces,
        12,
        {"anger": 3, "happiness": 3, "sadness": 3, None: 3},
        lambda folder: {"pictures": "faces", "frames": 3},
    ),
}
