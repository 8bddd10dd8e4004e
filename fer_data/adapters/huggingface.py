"""Any Hugging Face dataset: parquet shards, a `save_to_disk` folder, or, where the user names one, the hub.

    parquet  `data/train-00000-of-00002.parquet`, `default/test/0000.parquet`
    arrow    what `Dataset.save_to_disk` and `DatasetDict.save_to_disk` write: `state.json`, `data-*.arrow`
    hub      `--set hub=owner/name`, downloaded by `datasets`; the only form that uses the network

Which column is the picture and what the labels are called is read from the features that `datasets` writes.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from fer_data import licenses
from fer_data.adapters.shared.parquet_shards import BATCH, Shard, shard_at, shard_in
from fer_data.adapters.shared.wording import (
    SPLITS,
    Labels,
    LabelSet,
    Splits,
    StatedLicence,
    as_text,
    resolve_labels,
    resolve_splits,
)
from fer_data.configuration import Configuration
from fer_data.downloads.opening import is_archive, open_source
from fer_data.errors import FerError
from fer_data.samples import Reading, Rejection, Sample
from fer_data.sources import Source

NAME = "huggingface"
TITLE = "Hugging Face dataset"
LICENCE = licenses.UNKNOWN
CITATION = None
HOMEPAGE = "https://huggingface.co/docs/datasets"
ACCESS = None
EXPECTED = None
UNVERIFIED = ()
KNOWN_DEFECTS = (
    "Copies on the hub number the same labels differently, rename splits and merge them; names are read, numbers are "
    "not, but a wrong name in the copy stays wrong.",
    "A copy's card may state a licence that no owner gave.",
)


class Options(Configuration):
    """How to read a dataset of this kind."""

    hub: str | None = None  # owner/name on the hub instead of a path; needs `datasets` and the network
    hub_config: str | None = None  # which configuration of it, where it has several
    hub_revision: str | None = None  # a commit of it, so that another import finds the same
    image: str | None = None  # column of the pictures, where several columns are
    label: str | None = None  # column of the labels, where several columns are, or one that is no ClassLabel
    labels: Labels = {}  # name as the dataset has it → expression, or null for no label
    label_set: LabelSet = "auto"
    licence: StatedLicence | None = None  # without it nothing made from this may be passed on
    splits: Splits = {}  # split as the dataset calls it → train, val, test or null
    subject: str | None = None  # column that says who is shown


@dataclass(frozen=True)
class _Part:
    """A shard, the split it says it belongs to, and its columns."""

    shard: Shard
    stated: str | None
    image: str
    label: str
    names: Sequence[str] | None  # of a ClassLabel column

    def name(self, value: object) -> str | None:
        """What a value of the label column is called; None where the row has no label.

        Raises:
            LookupError: a number outside the ClassLabel's names; -1 is how `datasets` writes "no label".
        """
        if value is None or self.names is None:
            return as_text(value)
        if value == -1:
            return None
        if not isinstance(value, int) or not 0 <= value < len(self.names):
            raise LookupError
        return self.names[value]


def read(root: Path | None, options: Options, rejections: list[Rejection]) -> Reading:
    """Open shards, a saved dataset, or one of the hub.

    Raises:
        FerError: neither a path nor a hub name or both, nothing there, damaged files, no picture or label column or
            several, or a label or split whose name says nothing and that the user did not explain.
    """
    if (root is None) == (options.hub is None):
        raise FerError(f"{TITLE}: expected a path or --set hub=owner/name, found {'none' if root is None else 'both'}")
    where = str(root or options.hub)
    form, shards = _hub_shards(options) if root is None else _stored_shards(root, rejections)
    parts = [_part(shard, stated, options) for shard, stated in shards]
    counts: Counter[str] = Counter()
    for part in parts:
        counts.update(_label_counts(part))
    label_set, labels = resolve_labels(dict(counts), options.labels, options.label_set, where)
    stated = [part.stated for part in parts if part.stated is not None]
    splits = resolve_splits(dict.fromkeys(stated), options.splits, where)
    notes = []
    unknown = [part.shard.key for part in parts if part.stated is None]
    if unknown:
        notes.append(f"{len(unknown)} shards whose name tells no split are left without one (first: {unknown[0]})")
    if options.hub is not None and options.hub_revision is None:
        notes.append("no hub_revision was given: the same command may find other data later")
    return Reading(
        licence=options.licence.licence() if options.licence else None,
        form=form,
        label_set=label_set,
        total_images=sum(_rows(part) for part in parts),
        samples=(
            sample
            for part in parts
            for sample in _samples(part, labels, splits.get(part.stated or ""), options.subject, rejections)
        ),
        notes=notes,
    )


def _stored_shards(root: Path, rejections: list[Rejection]) -> tuple[str, list[tuple[Shard, str | None]]]:
    """The form and the shards of a file, folder or archive, each with the split that it says it belongs to."""
    if root.is_file() and not is_archive(root):
        return "file", [(shard, shard.stated) for shard in [shard_at(root, root.name)]]
    source = open_source(root, rejections)
    parquet = [name for name in source.names if name.lower().endswith(".parquet")]
    saved = source.bases("state.json")
    if bool(parquet) == bool(saved):
        raise FerError(
            f"{root}: expected parquet shards, or the folder of `save_to_disk` with state.json, found "
            f"{'both' if saved else source.shown()}; give the file or folder that holds one dataset"
        )
    if parquet:
        return "parquet shards", [(shard, shard.stated) for shard in (shard_in(source, name) for name in parquet)]
    return "saved by datasets", [one for base in saved for one in _saved_shards(source, base)]


def _saved_shards(source: Source, base: str) -> Iterator[tuple[Shard, str | None]]:
    """The arrow files that a `state.json` names, in its order."""
    where = source.where(f"{base}state.json")
    try:
        state = json.loads(source.text(f"{base}state.json"))
        names = [base + entry["filename"] for entry in state["_data_files"]]
        stated = state.get("_split")
    except (ValueError, KeyError, TypeError):
        raise FerError(f"{where}: expected what `save_to_disk` writes, found other content; save it again") from None
    missing = [name for name in names if name not in source.names]
    if missing or not names:
        raise FerError(f"{where}: expected the file {missing[0] if missing else '*.arrow'}, found none; copy it whole")
    folder = base.rstrip("/").rpartition("/")[2]
    split = folder if folder.lower() in SPLITS else stated
    for name in names:
        yield shard_in(source, name), split if isinstance(split, str) else None


def _hub_shards(options: Options) -> tuple[str, list[tuple[Shard, str | None]]]:
    """The splits of a dataset on the hub, downloaded into the cache of `datasets`."""
    try:
        import datasets
    except ImportError:
        raise FerError(
            "hub: needs the package datasets; install it with pip install 'fer-data-studio[export]'"
        ) from None
    try:
        found = datasets.load_dataset(options.hub, options.hub_config, revision=options.hub_revision)
    except Exception as error:  # what the client raises is not listed anywhere: its own, its HTTP library's, Python's
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise FerError(
            f"hub {options.hub}: cannot be loaded ({reason[:300]}); check the name and the network"
        ) from None
    shards: list[tuple[Shard, str | None]] = []
    for split, rows in found.items():
        plain = rows.with_format("arrow")

        def batches(columns: Sequence[str], plain: Any = plain) -> Iterator[pa.RecordBatch]:
            for table in plain.select_columns(list(columns)).iter(BATCH):
                yield from table.to_batches()

        shards.append((Shard(split, f"{options.hub} {split}", rows.features.arrow_schema, len(rows), batches), split))
    return f"hub {options.hub_config or ''}".strip(), shards


def _part(shard: Shard, stated: str | None, options: Options) -> _Part:
    image = _column(shard, options.image, "Image", "image")
    label = _column(shard, options.label, "ClassLabel", "label")
    if options.subject is not None and options.subject not in shard.schema.names:
        raise FerError(
            f"{shard.where}: expected the column {options.subject} (subject), found {', '.join(shard.schema.names)}"
        )
    if not shard.embeds(image):
        raise FerError(
            f"{shard.where}: expected pictures inside the file (column {image} with bytes), "
            f"found {shard.described(image)}; save it with its pictures"
        )
    names = shard.names(label) if label in shard.columns_of("ClassLabel") else None
    return _Part(shard, stated, image, label, names or None)


def _column(shard: Shard, wanted: str | None, kind: str, option: str) -> str:
    if wanted is not None:
        if wanted not in shard.schema.names:
            raise FerError(f"{shard.where}: expected the column {wanted}, found {', '.join(shard.schema.names)}")
        return wanted
    columns = shard.columns_of(kind)
    if len(columns) != 1:
        raise FerError(
            f"{shard.where}: expected one {kind} column, found {', '.join(columns) or 'none'} among "
            f"{', '.join(shard.schema.names) or 'no columns'}; name it with --set {option}=…"
        )
    return columns[0]


def _label_counts(part: _Part) -> Counter[str]:
    """How often each name occurs."""
    counts: Counter[object] = Counter()
    for batch in part.shard.batches([part.label]):
        values = part.shard.values(batch, part.label)
        try:
            counts.update(values)
        except TypeError:
            raise FerError(
                f"{part.shard.where}: expected a label a row in column {part.label}, found "
                f"{part.shard.described(part.label)}; name another column with --set label=…"
            ) from None
    named: Counter[str] = Counter()
    for value, count in counts.items():
        try:
            name = part.name(value)
        except LookupError:
            continue  # told row by row when the samples are read
        if name is not None:
            named[name] += count
    return named


def _rows(part: _Part) -> int:
    return part.shard.rows if part.shard.rows is not None else sum(map(len, part.shard.batches([part.label])))


def _samples(
    part: _Part, labels: Mapping[str, str | None], split: str | None, subject: str | None, rejections: list[Rejection]
) -> Iterator[Sample]:
    shard, row = part.shard, 0
    columns = list(dict.fromkeys([part.image, part.label, *([subject] if subject else [])]))
    for batch in shard.batches(columns):
        people = shard.values(batch, subject) if subject else [None] * len(batch)
        rows = zip(shard.pictures(batch, part.image), shard.values(batch, part.label), people, strict=True)
        for data, value, person in rows:
            where = f"{shard.key} row {row}"
            row += 1
            if data is None:
                rejections.append(Rejection(where, "the bytes of a picture", "null"))
                continue
            try:
                name = part.name(value)
            except LookupError:
                rejections.append(Rejection(where, f"a label 0 to {len(part.names or ()) - 1}", repr(value)))
                continue
            facts = {"subject_id": as_text(person)} if subject else {}
            yield Sample(f"{shard.key}/{row - 1:05d}", data, labels.get(name or ""), name, split, where, facts)
