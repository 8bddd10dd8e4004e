"""FER-2013 as parquet mirrors on the Hugging Face hub have it: an Image column and a ClassLabel column.

Mirrors number the labels differently. The names stand in the metadata that `datasets` writes into every shard,
and a shard without them is refused.
"""

from collections.abc import Iterator

from fer_data.adapters.shared.parquet_shards import Shard, shard_in
from fer_data.adapters.shared.wording import SPLITS
from fer_data.errors import FerError
from fer_data.expressions import canonical
from fer_data.samples import Reading, Rejection, Sample
from fer_data.sources import Source


def shards(source: Source) -> list[str]:
    """The parquet files of a source."""
    return [name for name in source.names if name.lower().endswith(".parquet")]


def read(source: Source, rejections: list[Rejection]) -> Reading:
    """Open all parquet files of a source.

    Raises:
        FerError: not Parquet, no picture column, no names of the labels, or a name that is no expression.
    """
    opened = [shard_in(source, name) for name in shards(source)]
    columns = [(_column_of(shard, "Image"), _column_of(shard, "ClassLabel")) for shard in opened]
    for shard, (image, label) in zip(opened, columns, strict=True):
        _check(shard, image, label)
    notes = []
    unknown = [shard.key for shard in opened if shard.stated is None]
    if unknown:
        notes.append(f"files whose name tells no split, left without one: {', '.join(unknown)}")
    return Reading(
        form="parquet mirror",
        label_set="basic7",
        total_images=sum(shard.rows or 0 for shard in opened),
        samples=(
            sample
            for shard, (image, label) in zip(opened, columns, strict=True)
            for sample in _samples(shard, image, label, rejections)
        ),
        notes=notes,
    )


def _column_of(shard: Shard, kind: str) -> str:
    if not shard.features:
        raise FerError(
            f"{shard.where}: expected the metadata that `datasets` writes, with the names of the labels, found none; "
            "mirrors number the labels differently and they are never guessed, use another copy"
        )
    columns = shard.columns_of(kind)
    if len(columns) != 1:
        raise FerError(
            f"{shard.where}: expected one {kind} column, found {', '.join(columns) or 'none'} "
            f"among {', '.join(shard.features)}; this is no mirror of FER-2013"
        )
    return columns[0]


def _check(shard: Shard, image: str, label: str) -> None:
    names = shard.names(label)
    unknown = [name for name in names if canonical(name, "basic7") is None]
    if unknown or not names:
        raise FerError(
            f"{shard.where}: expected labels named after the expressions of basic7, "
            f"found {', '.join(map(repr, unknown)) or 'no names'}; this is no mirror of FER-2013"
        )
    if not shard.embeds(image):
        raise FerError(
            f"{shard.where}: expected pictures inside the file (column {image} with bytes), "
            f"found {shard.described(image)}; download the copy that embeds them"
        )


def _samples(shard: Shard, image: str, label: str, rejections: list[Rejection]) -> Iterator[Sample]:
    names = shard.names(label)
    split = SPLITS[shard.stated.lower()] if shard.stated else None
    row = 0
    for batch in shard.batches([image, label]):
        for data, code in zip(shard.pictures(batch, image), shard.values(batch, label), strict=True):
            where = f"{shard.key} row {row}"
            if data is None:
                rejections.append(Rejection(where, "the bytes of a picture", "null"))
            elif not isinstance(code, int) or not 0 <= code < len(names):
                rejections.append(Rejection(where, f"a label 0 to {len(names) - 1}", repr(code)))
            else:
                yield Sample(
                    f"{shard.key}/{row:05d}", data, canonical(names[code], "basic7"), names[code], split, where
                )
            row += 1
