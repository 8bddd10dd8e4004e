"""Datasets as `datasets` itself writes them: parquet shards as on the hub, and folders of `save_to_disk`."""

import functools

from layouts.cases import Case
from layouts.faces import face, png

NAMES = ["happy", "sad", "angry"]  # an order of its own: numbers mean nothing without the names
WORDS = {"happy": "happiness", "sad": "sadness", "angry": "anger"}
STRINGS = {"joyful": "happiness", "no idea": None, "Sad": "sadness"}


@functools.cache
def tables():
    """DatasetDict with a ClassLabel column, six rows in train and three in test."""
    import datasets

    def rows(first, count):
        numbers = range(first, first + count)
        return {
            "img": [{"bytes": png(face(WORDS[NAMES[row % 3]], row, 32)), "path": None} for row in numbers],
            "emotion": [row % 3 for row in numbers],
            "who": [row // 2 for row in numbers],
        }

    features = datasets.Features(
        {"img": datasets.Image(), "emotion": datasets.ClassLabel(names=NAMES), "who": datasets.Value("int64")}
    )
    return datasets.DatasetDict(
        {
            "train": datasets.Dataset.from_dict(rows(0, 6), features=features),
            "test": datasets.Dataset.from_dict(rows(6, 3), features=features),
        }
    )


def write_hub_shards(folder):
    (folder / "data").mkdir()
    train, test = tables()["train"], tables()["test"]
    for number in range(2):
        train.shard(2, number, contiguous=True).to_parquet(folder / "data" / f"train-0000{number}-of-00002.parquet")
    test.to_parquet(folder / "data" / "test-00000-of-00001.parquet")
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    return folder


def write_converted_branch(folder):
    for split, rows in tables().items():
        (folder / "default" / split).mkdir(parents=True)
        rows.to_parquet(folder / "default" / split / "0000.parquet")
    return folder


def write_saved_dict(folder):
    tables().save_to_disk(folder / "saved", num_shards={"train": 2, "test": 1})
    return folder / "saved"


def write_saved(folder):
    tables()["train"].save_to_disk(folder / "faces")
    return folder / "faces"


def write_strings(folder):
    import datasets

    words = ["joyful", "no idea", "Sad", None]
    features = datasets.Features({"image": datasets.Image(), "mood": datasets.Value("string")})
    pictures = [{"bytes": png(face(None, row, 32)), "path": None} for row in range(4)]
    datasets.Dataset.from_dict({"image": pictures, "mood": words}, features=features).to_parquet(folder / "all.parquet")
    return folder / "all.parquet"


CASES = {
    "shards of the hub": Case("huggingface", write_hub_shards, 9, dict.fromkeys(WORDS.values(), 3)),
    "converted branch": Case(
        "huggingface", write_converted_branch, 9, dict.fromkeys(WORDS.values(), 3), lambda folder: {"subject": "who"}
    ),
    "saved DatasetDict": Case("huggingface", write_saved_dict, 9, dict.fromkeys(WORDS.values(), 3)),
    "saved Dataset": Case("huggingface", write_saved, 6, dict.fromkeys(WORDS.values(), 2)),
    "words that the user explains": Case(
        "huggingface",
        write_strings,
        4,
        {"happiness": 1, "sadness": 1, None: 2},
        lambda folder: {"label": "mood", "labels": {"joyful": "joy", "no idea": None}},
        archives=False,
    ),
}
