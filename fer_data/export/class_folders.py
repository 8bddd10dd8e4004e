"""Class folders as `torchvision.datasets.ImageFolder` and most training scripts read: `<split>/<label>/<name>.png`.

A folder says a label and nothing else; `samples.csv` and `samples.parquet` beside them hold the rest.
"""

from pathlib import Path

import pyarrow.compute as pc

from fer_data.export.contract import ExportConfig, Layout
from fer_data.export.picture_files import PictureFiles
from fer_data.export.rows import Rows
from fer_data.progress import Stage

NAME = "folders"
TITLE = "class folders"
Options = ExportConfig

UNLABELLED = "unlabelled"  # beside the splits, where ImageFolder(folder / "train") does not look


def write(rows: Rows, folder: Path, options: ExportConfig, stage: Stage) -> Layout:
    """Write the pictures and their tables.

    Every label that occurs has a folder in every split, an empty one where it must be: ImageFolder numbers the
    folders that it finds, and would number those of two splits differently.
    """
    present = set(rows.table["label"].drop_null().to_pylist())
    labels = [label for label in rows.manifest.labels if label in present]
    for split in rows.splits:
        for label in labels:
            (folder / split / folder_name(label)).mkdir(parents=True)
    with PictureFiles(folder, rows) as files:
        for split in rows.splits:
            for batch in rows.batches(rows.of_split(split)):
                paths = [
                    f"{f'{split}/{folder_name(label)}' if label else f'{UNLABELLED}/{split}'}/{name}.{picture.suffix}"
                    for label, name, picture in zip(
                        batch.table["label"].to_pylist(), batch.table["name"].to_pylist(), batch.pictures, strict=True
                    )
                ]
                files.add(batch, paths)
                stage.advance(len(batch.pictures), split)
    unlabelled = rows.table["label"].null_count
    notes = [*_empty_classes(rows, labels), *_what_folders_cannot_say(rows)]
    return Layout(
        loading=f'from torchvision.datasets import ImageFolder\n\nfaces = ImageFolder("FOLDER/{rows.splits[0]}")',
        distribution=files.distribution(),
        fields=files.fields(),
        left_out={f"unlabelled faces, in the folder {UNLABELLED}/": unlabelled} if unlabelled else {},
        notes=notes,
    )


def folder_name(label: str) -> str:
    """A label as a folder's name: "happily surprised" is `happily_surprised`."""
    return label.replace(" ", "_")


def _empty_classes(rows: Rows, labels: list[str]) -> list[str]:
    notes = []
    for split in rows.splits:
        held = set(rows.table["label"].take(rows.of_split(split)).to_pylist())
        empty = [label for label in labels if label not in held]
        if empty:
            notes.append(
                f"{split} has no face of {', '.join(empty)}: open it with ImageFolder(…, allow_empty=True), so that "
                "its labels keep the numbers that they have in the other splits"
            )
    return notes


def _what_folders_cannot_say(rows: Rows) -> list[str]:
    notes = []
    for column in ("weight", "repeat"):
        other = pc.sum(pc.not_equal(rows.table[column], 1)).as_py()
        if other:
            hint = "; --set repeats=apply writes the copies" if column == "repeat" else ""
            notes.append(f"{other:,} faces have a {column} other than 1, which only the tables say{hint}")
    soft = len(rows) - rows.table["target"].null_count
    if soft:
        notes.append(f"{soft:,} faces have soft labels, which only the tables say")
    return notes
