"""RAF-DB: the official download, basic and compound, and two forms in which copies of it go round."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from layouts.cases import Case
from layouts.faces import drawn, face, jpeg

# Written out here again, so that a table mixed up in the adapter is seen.
BASIC = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
COMPOUND = (
    "happily surprised", "happily disgusted", "sadly fearful", "sadly angry", "sadly surprised", "sadly disgusted",
    "fearfully angry", "fearfully surprised", "angrily surprised", "angrily disgusted", "disgustedly surprised",
)  # fmt: skip
GENDERS = ("male", "female", "unsure")
RACES = ("Caucasian", "African-American", "Asian")
AGES = ("0-3", "4-19", "20-39", "40-69", "70+")
ORIGINAL_PX = 64


def listing(subset: str) -> list[tuple[str, int]]:
    """(stem, label) of two train pictures and one test picture for each label; train has 5 digits, test 4."""
    codes = range(1, (7 if subset == "basic" else 11) + 1)
    train = [*codes, *(codes if subset == "basic" else ())]
    return [(f"train_{number:05d}", code) for number, code in enumerate(train, 1)] + [
        (f"test_{number:04d}", code) for number, code in enumerate(codes, 1)
    ]


def shown(subset: str, row: int) -> str:
    """The expression that the drawn face shows; of a compound label the second word."""
    code = listing(subset)[row][1]
    return BASIC[code - 1] if subset == "basic" else ("surprise", "disgust", "fear", "anger")[code % 4]


def five(points: np.ndarray) -> np.ndarray:
    """Centres of the eyes, nose tip, mouth corners, from 68 points; left to right in the picture."""
    return np.stack([points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]])


def landmarks(subset: str, row: int) -> np.ndarray:
    return five(drawn(shown(subset, row), row, ORIGINAL_PX)[1])


def attributes(row: int) -> tuple[int, int, int]:
    """Gender, race and age as numbers."""
    return row % 3, (row // 3) % 3, row % 5


def box(row: int) -> list[float]:
    return [4.5 + row / 8, 6.0, 50.25, 60.5]


def write_subset(base: Path, subset: str, aligned: str = "Image/aligned") -> None:
    """One subset: list, both kinds of pictures, manual attributes and boxes."""
    for folder in ("EmoLabel", aligned, "Image/original", "Annotation/manual", "Annotation/boundingbox"):
        (base / folder).mkdir(parents=True)
    lines = []
    for row, (stem, code) in enumerate(listing(subset)):
        lines.append(f"{stem}.jpg {code}")
        original = face(shown(subset, row), row, ORIGINAL_PX, colour=True)
        (base / "Image" / "original" / f"{stem}.jpg").write_bytes(jpeg(original))
        (base / aligned / f"{stem}_aligned.jpg").write_bytes(jpeg(original[8:-8, 8:-8]))
        points = [f"{x:.3f}\t{y:.3f}" for x, y in landmarks(subset, row)]
        manual = "\n".join([*points, *map(str, attributes(row))])  # the last line has no end in some files
        (base / "Annotation" / "manual" / f"{stem}_manu_attri.txt").write_text(manual)
        edges = " ".join(f"{edge:.6f}" for edge in box(row))
        (base / "Annotation" / "boundingbox" / f"{stem}_boundingbox.txt").write_text(edges + "\n")
    (base / "EmoLabel" / "list_patition_label.txt").write_text("\n".join(lines) + "\n")


def write_official(folder: Path) -> Path:
    """Both subsets side by side, the archives of the compound one unpacked into folders of their own name."""
    write_subset(folder / "RAF-DB" / "basic", "basic")
    write_subset(folder / "RAF-DB" / "compound", "compound", "Image/aligned/aligned")
    return folder


def write_basic_alone(folder: Path) -> Path:
    write_subset(folder, "basic")
    return folder


def write_folders(folder: Path) -> Path:
    """`DATASET/train/1/train_00001_aligned.jpg` with the two csv files beside DATASET."""
    lines: dict[str, list[str]] = {"train": ["image,label"], "test": ["image,label"]}
    for row, (stem, code) in enumerate(listing("basic")):
        split = stem.partition("_")[0]
        place = folder / "DATASET" / split / str(code)
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{stem}_aligned.jpg").write_bytes(jpeg(face(shown("basic", row), row, 48, colour=True)))
        lines[split].append(f"{stem}_aligned.jpg,{code}")
    for split, some in lines.items():
        (folder / f"{split}_labels.csv").write_bytes(("\r\n".join(some) + "\r\n").encode())
    return folder


def write_shard(path: Path, split: str, names: list[str] | None = None, shift: int = 0) -> Path:
    """A parquet file of one split; labels 1 to 7 plus `shift`, named by `names` where they are given."""
    rows = [row for row, (stem, _) in enumerate(listing("basic")) if stem.startswith(split)]
    images = [
        {
            "bytes": jpeg(face(shown("basic", row), row, 48, colour=True)),
            "path": f"{listing('basic')[row][0]}_aligned.jpg",
        }
        for row in rows
    ]
    table = pa.table(
        {
            "image": pa.array(images, pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
            "label": pa.array([listing("basic")[row][1] + shift for row in rows], pa.int64()),
        }
    )
    label = {"_type": "ClassLabel", "names": names} if names else {"_type": "Value", "dtype": "int64"}
    features = {"info": {"features": {"image": {"_type": "Image"}, "label": label}}}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(features)}), path)
    return path


def write_parquet(folder: Path) -> Path:
    for split in ("train", "test"):
        write_shard(folder / "data" / f"{split}-00000-of-00001.parquet", split)
    return folder


def write_parquet_alone(folder: Path) -> Path:
    return write_shard(folder / "test-00000-of-00001.parquet", "test")


EACH = dict.fromkeys(BASIC, 3)
CASES = {
    "basic": Case("rafdb", write_official, 21, EACH),
    "basic, original pictures": Case("rafdb", write_official, 21, EACH, lambda folder: {"image": "original"}),
    "basic alone": Case("rafdb", write_basic_alone, 21, EACH),
    "compound": Case("rafdb", write_official, 22, dict.fromkeys(COMPOUND, 2), lambda folder: {"subset": "compound"}),
    "class folders": Case("rafdb", write_folders, 21, EACH),
    "parquet": Case("rafdb", write_parquet, 21, EACH),
    "one parquet file": Case("rafdb", write_parquet_alone, 7, Counter(BASIC), archives=False),
}
