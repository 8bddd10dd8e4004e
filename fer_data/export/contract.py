"""What a format module of this folder offers, and what it hands back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import Field

from fer_data.configuration import Configuration
from fer_data.export.rows import Rows
from fer_data.progress import Stage


class ExportConfig(Configuration):
    """What every format can be asked for."""

    title: str | None = None  # what the card calls the data set; none given: the manifest's name
    creator: str | None = None  # whom croissant.json names; none given: this tool
    url: str | None = None  # the page where the export will lie; none given: that of its first source
    facts: tuple[str, ...] = (  # columns of the stores' facts that go along
        "source_label", "occlusion", "light", "pose", "slices", "condition_source", "votes",
    )  # fmt: skip
    repeats: Literal["keep", "apply"] = "keep"  # apply: a row is written `repeat` times, and not at all for 0
    shuffle_seed: int | None = Field(None, ge=0)  # None keeps the manifest's order


class ShardedConfig(ExportConfig):
    """Formats that write shards."""

    shard_mb: int = Field(256, ge=1)  # a shard is closed before it grows larger, unless one picture does


@dataclass(frozen=True)
class Layout:
    """What a format wrote, as the documents beside it tell it.

    Attributes:
        loading: lines of Python that open the export; the word FOLDER stands for where it lies.
        distribution: Croissant FileObjects and FileSets.
        fields: Croissant fields of the record set "faces".
        left_out: why faces were not written, or not where the rest is → how many.
        notes: what the user should know, one sentence each.
        card: further keys of the card's YAML header.
    """

    loading: str
    distribution: Sequence[Mapping[str, Any]]
    fields: Sequence[Mapping[str, Any]]
    left_out: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()
    card: Mapping[str, Any] = field(default_factory=dict)


class Format(Protocol):
    """What a module in this folder offers."""

    @property
    def NAME(self) -> str: ...  # noqa: N802

    @property
    def TITLE(self) -> str: ...  # noqa: N802

    @property
    def Options(self) -> type[ExportConfig]: ...  # noqa: N802

    def write(self, rows: Rows, folder: Path, options: Any, stage: Stage) -> Layout: ...
