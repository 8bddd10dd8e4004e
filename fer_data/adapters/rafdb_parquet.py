"""RAF-DB as parquet mirrors: columns image (bytes, path) and label.

Labels are read by the names that `datasets` writes into the file, or, without names, where they are exactly RAF-DB's
numbers 1 to 7: a mirror that counts from 0 looks the same but for the missing 7, and is refused.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from fer_data.adapters.rafdb_labels import BASIC, EXPECTED
from fer_data.adapters.shared.counting import compared
from fer_data.adapters.shared.downloads import note_passed_over
from fer_data.adapters.shared.parquet_shards import Shard, shard_at, shard_in
from fer_data.adapters.shared.wording import SPLITS
from fer_data.errors import FerError
from fer_data.expressions import canonical
from fer_data.samples import Reading, Rejection, Sample
from fer_data.sources import Source

ENDING = ".parquet"
LABEL_SET = "basic7"
_COLUMNS = ("image", "label")


def read(path: Path, rejections: list[Rejection]) -> Reading:
    """Open one parquet file.

    Raises:
        FerError: no parquet file, other columns, or labels that cannot be told.
    """
    return _reading([shard_at(path, path.name)], [], rejections)


def read_from(source: Source, rejections: list[Rejection]) -> Reading:
    """Open all parquet files of a folder or an archive.

    Raises:
        FerError: as `read`.
    """
    names = [name for name in source.names if name.endswith(ENDING)]
    notes: list[str] = []
    note_passed_over([name for name in source.names if not name.endswith(ENDING)], "other files", notes)
    return _reading([shard_in(source, name) for name in names], notes, rejections)


def _reading(shards: list[Shard], notes: list[str], rejections: list[Rejection]) -> Reading:
    for shard in shards:
        _check(shard)
    words = _words(shards)
    unknown = [shard.key for shard in shards if shard.stated is None]
    if unknown:
        notes.append(f"files whose name tells no split, left without one: {', '.join(unknown)}")
    samples = (sample for shard in shards for sample in _samples(shard, words, rejections))
    return Reading(
        form="parquet mirror",
        label_set=LABEL_SET,
        total_images=sum(shard.rows or 0 for shard in shards),
        samples=compared(samples, EXPECTED, "RAF-DB basic", notes),
        notes=notes,
    )


def _check(shard: Shard) -> None:
    there = all(name in shard.schema.names for name in _COLUMNS)
    if not there or not shard.embeds("image") or not pa.types.is_integer(shard.schema.field("label").type):
        found = ", ".join(f"{field.name} {field.type}" for field in shard.schema)[:120]
        raise FerError(
            f"{shard.where}: expected a column image with the bytes of pictures and a column label of numbers, "
            f"found {found}; use another copy"
        )


def _words(shards: list[Shard]) -> Mapping[int, str]:
    """Code → the name of its expression.

    Raises:
        FerError: names that are no expressions, names that differ between files, or numbers that are not 1 to 7.
    """
    stated = {tuple(shard.names("label")) if "label" in shard.features else () for shard in shards}
    if len(stated) > 1:
        found = " and ".join(", ".join(names) or "none" for names in sorted(stated))
        raise FerError(
            f"{shards[0].where}: expected the same label names in all files, found {found}; use another copy"
        )
    names = stated.pop()
    unknown = [name for name in names if canonical(name, LABEL_SET) is None]
    if unknown:
        raise FerError(
            f"{shards[0].where}: expected labels named after the expressions of {LABEL_SET}, "
            f"found {', '.join(map(repr, unknown))}; use another copy"
        )
    if names:
        return dict(enumerate(names))
    codes = {code for shard in shards for batch in shard.batches(["label"]) for code in shard.values(batch, "label")}
    codes.discard(None)
    if codes != set(BASIC):
        raise FerError(
            f"{shards[0].where}: expected each of RAF-DB's labels 1 to {len(BASIC)} and no other, "
            f"found {', '.join(sorted(map(str, codes)))[:60] or 'none'}; numbers without names are never guessed, "
            "use another copy"
        )
    return BASIC


def _samples(shard: Shard, words: Mapping[int, str], rejections: list[Rejection]) -> Iterator[Sample]:
    split = SPLITS[shard.stated.lower()] if shard.stated else None
    row = 0
    for batch in shard.batches(_COLUMNS):
        for data, code in zip(shard.pictures(batch, "image"), shard.values(batch, "label"), strict=True):
            where = f"{shard.key} row {row}"
            if data is None:
                rejections.append(Rejection(where, "the bytes of a picture", "null"))
            elif code not in words:
                rejections.append(Rejection(where, f"a label {min(words)} to {max(words)}", repr(code)))
            else:
                label = canonical(words[code], LABEL_SET)
                yield Sample(f"{shard.key}/{row:05d}", data, label, words[code], split, where)
            row += 1
