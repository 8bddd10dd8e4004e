"""Small copies of every form in which people have FER-2013, with noise for faces."""

import functools
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from fer_data import images
from fer_data.votes import FERPLUS_COLUMNS

# Written out here again, so that a table mixed up in the adapter is seen.
CSV_ORDER = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
ALPHABETICAL = ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"]
USAGES = ("Training", "PublicTest", "PrivateTest")
SPLITS = ("train", "val", "test")
COUNT = 80  # more than one block of the parser


def pictures(count: int = COUNT) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, 48, 48), dtype=np.uint8)


def votes_table(count: int = COUNT) -> np.ndarray:
    return np.random.default_rng(2).multinomial(10, [0.1] * 10, size=count)


@functools.cache
def _csv_text(count: int, order: str) -> str:
    lines = [order]
    for row, picture in enumerate(pictures(count)):
        fields = {
            "emotion": str(row % 7),
            "pixels": " ".join(map(str, picture.ravel())),
            "Usage": USAGES[row % 3],
        }
        lines.append(",".join(fields[name.strip()] for name in order.split(",")))
    return "\n".join(lines)


def csv_lines(count: int = COUNT, order: str = "emotion,pixels,Usage") -> list[str]:
    return _csv_text(count, order).split("\n")


def write_lines(path: Path, lines: list[str], end: str = "\n") -> Path:
    path.write_text(end.join(lines) + end, newline="")
    return path


def votes_lines(count: int = COUNT) -> list[str]:
    head = ["Usage,Image name," + ",".join(FERPLUS_COLUMNS)]
    return head + [
        f"{USAGES[row % 3]},fer{row:07d}.png,{','.join(map(str, counts))}"
        for row, counts in enumerate(votes_table(count))
    ]


def png(picture: np.ndarray) -> bytes:
    return images.encode_png(picture)


def jpeg(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG")
    return buffer.getvalue()


def write_folders(root: Path, names: list[str] = ALPHABETICAL) -> Path:
    for row, picture in enumerate(pictures(28)):
        folder = root / ("train" if row < 14 else "test") / names[row % 7]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"PublicTest_{row}.jpg").write_bytes(jpeg(picture))  # a lucky name that must not be used
    return root


def ferplus_votes() -> np.ndarray:
    votes = votes_table(30)
    votes[0] = [0, 10, 0, 0, 0, 0, 0, 0, 0, 0]
    votes[1] = [0, 0, 0, 0, 0, 0, 0, 9, 0, 1]
    votes[2] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 10]
    return votes


def write_ferplus(root: Path) -> Path:
    votes = ferplus_votes()
    for row, picture in enumerate(pictures(30)):
        folder = root / ("FER2013Train", "FER2013Valid", "FER2013Test")[row % 3]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"fer{row:07d}.png").write_bytes(png(picture))
        with (folder / "label.csv").open("a") as handle:
            handle.write(f'fer{row:07d}.png,"(0, 0, 48, 48)",{",".join(map(str, votes[row]))}\n')
    return root


def write_parquet(
    path: Path, names: list[str] | None, codes: list[int | None], data: list[bytes | None] | None = None
) -> Path:
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": names}}
    schema = pa.schema(
        [("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("label", pa.int64())],
        metadata={"huggingface": json.dumps({"info": {"features": features}})} if names is not None else None,
    )
    data = data if data is not None else [png(picture) for picture in pictures(len(codes))]
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = {"image": [{"bytes": one, "path": "1.png"} for one in data], "label": codes}
    pq.write_table(pa.table(rows, schema=schema), path)
    return path
