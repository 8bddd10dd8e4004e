"""A raw dataset goes in; a store, a manifest and a table of what was set aside come out."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from fer_data import links, manifest, tables
from fer_data.adapters.registry import Adapter
from fer_data.configuration import Configuration
from fer_data.duplicates import find_duplicates
from fer_data.errors import FerError
from fer_data.files import refuse_existing
from fer_data.licenses import Licence
from fer_data.locks import name_lock
from fer_data.manifest import Manifest
from fer_data.progress import SILENT, Reporter
from fer_data.project import project_root, relative
from fer_data.samples import Reading, Rejection, Sample
from fer_data.store import Store
from fer_data.store_writer import StoreWriter
from fer_data.tabular.rows import coded
from fer_data.tabular.together import same_keys, same_persons
from fer_data.views import View

_TOLD_EVERY = 64  # samples between two words on progress
REJECTS = pa.schema([(name, pa.string()) for name in ("where", "expected", "found", "action")])


class PicturesConfig(Configuration):
    """How an import keeps pictures, whatever the dataset."""

    embed: bool = False  # copy files into the store; otherwise they are read where they lie
    crop: Literal["none", "box", "align"] = "none"  # cut to the dataset's face box, or align by its landmarks
    size_px: Annotated[int, Field(ge=8, le=2048)] | None = None  # side of what is cut; pictures not cut keep their size
    margin: Annotated[float, Field(ge=0, le=2)] = 0.0  # around the box, as a share of its side

    @model_validator(mode="after")
    def _cut_or_whole(self) -> Self:
        if self.crop == "none" and (self.size_px is not None or self.margin):
            raise ValueError("size_px and margin belong to a crop; choose crop: box or align, or leave them out")
        return self

    def view(self) -> View | None:
        """The view that the store gets."""
        return None if self.crop == "none" else View(crop=self.crop, size_px=self.size_px, margin=self.margin)


@dataclass(frozen=True)
class ImportResult:
    """What an import made, and what the user should know about it."""

    manifest: Manifest
    rejects_path: Path | None
    rejections: list[Rejection]
    licence: Licence
    notes: list[str] = field(default_factory=list)


def import_dataset(
    adapter: Adapter,
    root: Path | None,
    out: str | Path,
    options: Configuration,
    pictures: PicturesConfig | None = None,
    *,
    replace: bool = False,
    reporter: Reporter = SILENT,
) -> ImportResult:
    """Read a dataset through its adapter and write `out`.

    Args:
        adapter: one of `fer_data.adapters.ADAPTERS`.
        root: the file, folder or archive that the user downloaded; None for faces that are drawn.
        out: the manifest to write; its store goes into the project's `stores/`.
        options: an instance of the adapter's `Options`.
        pictures: whether files are embedded, and how faces are cut; default in place and whole.

    Raises:
        FerError: `root` is missing or is no form of the dataset, every row was rejected, or `out` exists.
    """
    pictures = pictures or PicturesConfig()
    out = manifest.manifest_path(out).absolute()
    with name_lock(out):
        refuse_existing(out, replace=replace)
        rejections: list[Rejection] = []
        reading = adapter.read(root, options, rejections)
        licence = reading.licence or adapter.LICENCE
        store, rows = _store_samples(adapter, reading, rejections, out, pictures, reporter)
        rejects_path = _write_rejects(out, rejections) if rejections else None
        project = project_root(out.parent)
        written = manifest.write(
            rows.table(store, reading.label_rule),
            out,
            label_set=reading.label_set,
            command=f"fer import {adapter.NAME}",
            licence=licence.as_dict(),
            configuration={**_as_written(options, project), "pictures": pictures.model_dump(mode="json")},
            replace=replace,
            source={"form": reading.form, "rejected": len(rejections), "notes": reading.notes},
        )
        if rejects_path is None:
            _rejects_path(out).unlink(missing_ok=True)  # of the manifest that was replaced
    notes = [*reading.notes, *_leaks(written)]
    return ImportResult(written, rejects_path, rejections, licence, notes)


@dataclass
class _Rows:
    """The columns of a manifest that samples decide, as they come; the store's rows are in the same order."""

    ids: list[str] = field(default_factory=list)
    labels: list[str | None] = field(default_factory=list)
    targets: list[list[float] | None] = field(default_factory=list)
    splits: list[str | None] = field(default_factory=list)

    def add(self, sample_id: str, sample: Sample) -> None:
        self.ids.append(sample_id)
        self.labels.append(sample.label)
        self.targets.append(sample.target)
        self.splits.append(sample.split)

    def table(self, store: Store, label_origin: str) -> pa.Table:
        """Rows of a manifest, grouped by picture, person, sequence and photograph."""
        facts = store.facts(["pixel_key", "subject_id", "sequence_id", "file"])
        ids = pa.chunked_array([self.ids], pa.string())
        # Frames of one sequence and faces in one photograph belong together as faces of one person do.
        named = (same_persons(ids, facts[name]) for name in ("subject_id", "sequence_id", "file"))
        pictures = same_keys(facts["pixel_key"].to_numpy(), np.ones(len(ids), dtype=bool))
        edges = links.chains([pictures, *named])
        first = np.zeros(len(self.ids), dtype=np.int32)
        columns = {
            "sample_id": ids,
            "store": coded(first, [f"stores/{store.path.name}"]),
            "store_row": pa.array(np.arange(len(self.ids))),
            "label": pa.array(self.labels, pa.string()),
            "target": pa.array(self.targets, pa.list_(pa.float32())),
            "label_origin": coded(first, [label_origin]),
            "split": pa.array(self.splits, pa.string()),
            "fold": pa.nulls(len(self.ids), pa.int16()),
            "group_id": pa.array(links.group_ids(self.ids, edges)),
            "origin": coded(first, ["real"]),
            "weight": pa.array(np.ones(len(self.ids), dtype=np.float32)),
            "repeat": pa.array(np.ones(len(self.ids), dtype=np.int32)),
        }
        return pa.table(columns)


def _store_samples(
    adapter: Adapter,
    reading: Reading,
    rejections: list[Rejection],
    out: Path,
    pictures: PicturesConfig,
    reporter: Reporter,
) -> tuple[Store, _Rows]:
    """Write the store; returns it and what its samples say of the manifest's rows."""
    rows = _Rows()
    undecodable = []
    with (
        StoreWriter(
            adapter.NAME if reading.source is None else f"{adapter.NAME}-{out.stem}",
            project_root(out.parent),
            licence=(reading.licence or adapter.LICENCE).as_dict(),
            source=adapter.NAME,
            files=reading.source,
            embed=pictures.embed,
            view=pictures.view(),
            votes_labels=reading.votes_labels,
        ) as writer,
        reporter.stage(f"{adapter.TITLE} ({reading.form})", reading.total_images) as stage,
    ):
        told = count = 0
        for count, (sample, stored) in enumerate(writer.add_all(reading.samples), 1):
            if isinstance(stored, FerError):  # a picture that does not decode
                undecodable.append(_undecodable(sample, stored))
            else:
                rows.add(f"{adapter.NAME}/{sample.key}", sample)
            if count % _TOLD_EVERY == 0:
                stage.advance(count + len(rejections) - told)
                told = count + len(rejections)
        stage.advance(count + len(rejections) - told)
        rejections += undecodable  # after those of the adapter, which reads ahead
        if not rows.ids:
            first = f" (first: {rejections[0].sentence()})" if rejections else ""
            raise FerError(
                f"{adapter.TITLE} ({reading.form}): expected faces, found none that could be read{first}; "
                "nothing was written"
            )
        return writer.close(), rows


def _as_written(options: Configuration, project: Path) -> dict[str, Any]:
    """Options as a manifest keeps them: paths relative to the project where they lie inside it."""
    written: dict[str, Any] = options.model_dump(mode="json")
    for name, value in options:
        if isinstance(value, Path):
            written[name] = relative(value, project)
    return written


def _undecodable(sample: Sample, error: FerError) -> Rejection:
    expected, _, found = str(error).removeprefix(f"{sample.where}: expected ").partition(", found ")
    return Rejection(sample.where, expected, found or str(error), "the picture was set aside")


def _rejects_path(out: Path) -> Path:
    return out.with_name(f"{out.stem}.rejects.parquet")


def _write_rejects(out: Path, rejections: list[Rejection]) -> Path:
    rows = [{name: getattr(rejection, name) for name in REJECTS.names} for rejection in rejections]
    facts = tables.provenance("rejects", "fer import", manifest=out.name, rows=len(rows))
    return tables.write_table(_rejects_path(out), pa.Table.from_pylist(rows, schema=REJECTS), facts, replace=True)


def _leaks(written: Manifest) -> list[str]:
    report = find_duplicates(written)
    return [report.sentence()] if report.groups else []
