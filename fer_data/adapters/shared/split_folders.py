"""Downloads that keep a picture or clip as `<split folder>/<class folder>/<file>`: SFEW, AFEW, CAER-S."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fer_data.errors import FerError
from fer_data.samples import Rejection
from fer_data.sources import Source


@dataclass(frozen=True)
class Filed:
    """One file of a split, and what its class folder says; an unlabelled split has no class folders."""

    name: str
    split: str
    label: str | None
    source_label: str | None


def filed(
    source: Source,
    wanted: Callable[[str], bool],
    splits: Mapping[str, str],
    labels: Mapping[str, str],
    unlabelled: str | None,
    rejections: list[Rejection],
) -> list[Filed]:
    """The files that lie where they should, in name order; those that do not are rejected.

    Args:
        wanted: which names are meant at all (pictures, clips).
        splits: name of a split's folder, in lower case → split.
        labels: name of a class folder, as the dataset spells it → label.
        unlabelled: the split whose files may lie without a class folder.
    """
    found = []
    for name in source.names:
        if not wanted(name):
            continue
        folders = name.split("/")[:-1]
        at = next((place for place, folder in enumerate(folders) if folder.lower() in splits), None)
        if at is None:
            _set_aside(source, name, f"a folder named {_named(splits)} above it", "none", rejections)
            continue
        split, below = splits[folders[at].lower()], folders[at + 1 :]
        if not below and split == unlabelled:
            found.append(Filed(name, split, None, None))
        elif len(below) == 1 and below[0] in labels:
            found.append(Filed(name, split, labels[below[0]], below[0]))
        else:
            path = "/".join([folders[at], *below])
            _set_aside(source, name, f"a folder {folders[at]}/ with one of {_named(labels)}", path, rejections)
    return found


def require(found: list[Filed], source: Source, root: Path | None, example: str, title: str) -> None:
    """Refuse a download in which nothing lies where it should.

    Raises:
        FerError: `found` is empty.
    """
    if not found:
        raise FerError(
            f"{root}: expected files as {example}, found {source.shown()}; give the folder or archive of {title}"
        )


def _named(words: Mapping[str, str]) -> str:
    return ", ".join(words)


def _set_aside(source: Source, name: str, expected: str, seen: str, rejections: list[Rejection]) -> None:
    rejections.append(Rejection(source.where(name), expected, seen, "the file was set aside"))
