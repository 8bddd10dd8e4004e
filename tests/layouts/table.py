"""Tables of faces as people keep them: paths, encoded bytes or pixels, with words for labels."""

import pyarrow as pa
import pyarrow.parquet as pq
from layouts.cases import Case
from layouts.faces import face, jpeg, png

WORDS = ("happy", "sad", "2", "")
LABELS = {"happiness": 1, "sadness": 1, "contempt": 1, None: 1}


def write_paths(folder):
    (folder / "lists").mkdir()
    (folder / "lists" / "img").mkdir()
    lines = ["file, mood ,set,who"]
    for row, word in enumerate(WORDS):
        (folder / "lists" / "img" / f"ü {row}.jpg").write_bytes(jpeg(face(None, row, 32, colour=True)))
        lines.append(f'"img\\ü {row}.jpg",{word},{("Training", "test")[row % 2]},p{row // 2}')
    (folder / "lists" / "faces.csv").write_text("\r\n".join(lines) + "\r\n", encoding="utf-8-sig", newline="")
    return folder


def write_boxes(folder):
    (folder / "party.png").write_bytes(png(face(None, 1, 64)))
    lines = ["path\tx\ty\tw\th\tmood"]
    lines += [f"./party.png\t{8 * row}\t2\t20\t30.5\t{word}" for row, word in enumerate(WORDS)]
    (folder / "faces.tsv").write_text("\n".join(lines) + "\n")
    return folder


def write_bytes(folder):
    rows = {
        "picture": [png(face(None, row, 32)) for row in range(4)],
        "mood": [{"happy": 0, "sad": 1, "2": 2}.get(word) for word in WORDS],
    }
    pq.write_table(pa.table(rows), folder / "faces.parquet")
    return folder / "faces.parquet"


def write_pixels(folder):
    lines = ["mood;pixels"]
    for row, word in enumerate(WORDS):
        lines.append(f"{word};{' '.join(map(str, face(None, row, 32)[:30].ravel()))}")
    (folder / "faces.csv").write_text("\n".join(lines) + "\n")
    return folder


def words(**more):
    return lambda folder: {"label": "mood", "labels": {"2": "contempt"}, **more}


CASES = {
    "paths": Case("table", write_paths, 4, LABELS, words(path="file", split="set", subject="who")),
    "boxes": Case("table", write_boxes, 4, LABELS, words(path="path", box=("x", "y", "w", "h"), box_form="size")),
    "bytes": Case(
        "table",
        write_bytes,
        4,
        LABELS,
        lambda folder: {"bytes": "picture", "label": "mood", "labels": {0: "joy", 1: "Sad", 2: "contempt"}},
        archives=False,
    ),
    "pixels": Case("table", write_pixels, 4, LABELS, words(pixels="pixels", width_px=32, delimiter=";")),
}
