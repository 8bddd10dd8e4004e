"""A raw dataset goes in; a store, a manifest and a table of what was set aside come out."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from fer_data import links, manifest, tables
from fer_data.adapters.registry import Adapter
from fer_data.configuration import Configuration
from fer_data.duplicates import find_duplicates
from fer_data.errors import FerError
from fer_data.files import refuse_existing
from fer_data.manifest import Manifest
from fer_data.progress import SILENT, Reporter, Stage
from fer_data.project import project_root
from fer_data.samples import Reading, Rejection, Sample
from fer_data.store import Store, StoreWriter

REJECTS = pa.schema([(name, pa.string()) for name in ("where", "expected", "found", "action")])


@dataclass(frozen=True)
class ImportResult:
    """What an import made, and what the user should know about it."""

    manifest: Manifest
    rejects_path: Path | None
    rejections: list[Rejection]
    notes: list[str] = field(default_factory=list)


def import_dataset(
    adapter: Adapter,
    root: Path | None,
    out: str | Path,
    options: Configuration,
    *,
    replace: bool = False,
    reporter: Reporter = SILENT,
) -> ImportResult:
    """Read a dataset through its adapter and write `out`.

    Args:
        adapter: one of `fer_data.adapters.ADAPTERS`.
        root: the file or folder that the user downloaded; None for faces that are drawn.
        out: the manifest to write; its store goes into the project's `stores/`.
        options: an instance of the adapter's `Options`.

    Raises:
        FerError: `root` is missing or is no form of the dataset, every row was rejected, or `out` exists.
    """
    out = manifest.manifest_path(out).absolute()
    refuse_existing(out, replace=replace)
    rejections: list[Rejection] = []
    reading = adapter.read(root, options, rejections)
    store, rows = _store_samples(adapter, reading, rejections, out, reporter)
    if not rows:
        first = f" (first: {rejections[0].sentence()})" if rejections else ""
        raise FerError(f"{root}: expected faces, found none that could be read{first}; no manifest was written")
    ids = [row["sample_id"] for row in rows]
    facts = store.facts(["pixel_sha256", "subject_id"]).to_pydict()
    edges = links.identity_edges(ids, facts["pixel_sha256"], facts["subject_id"])
    frame = manifest.new_rows(
        len(rows),
        **{name: [row[name] for row in rows] for name in rows[0]},
        store=f"stores/{store.path.name}",
        label_origin=reading.label_rule,
        group_id=links.group_ids(ids, edges),
    )
    rejects_path = _write_rejects(out, rejections, replace=replace)
    written = manifest.write(
        frame,
        out,
        label_set=reading.label_set,
        command=f"fer import {adapter.NAME}",
        licence=adapter.LICENCE.as_dict(),
        configuration=options.model_dump(mode="json"),
        replace=replace,
        source={"form": reading.form, "rejected": len(rejections), "notes": reading.notes},
    )
    notes = [*reading.notes, *_leaks(written)]
    return ImportResult(written, rejects_path, rejections, notes)


def _store_samples(
    adapter: Adapter, reading: Reading, rejections: list[Rejection], out: Path, reporter: Reporter
) -> tuple[Store, list[dict[str, Any]]]:
    """Write the store; returns it and the columns of each manifest row that the sample decides."""
    rows = []
    with (
        StoreWriter(
            adapter.NAME if reading.root is None else f"{adapter.NAME}-{out.stem}",
            project_root(out.parent),
            licence=adapter.LICENCE.as_dict(),
            source=adapter.NAME,
            in_place_root=reading.root,
            votes_labels=reading.votes_labels,
        ) as writer,
        reporter.stage(f"{adapter.TITLE} ({reading.form})", reading.total_images) as stage,
    ):
        for sample in _counted(reading, rejections, stage):
            try:
                row = writer.add(sample)
            except FerError as error:  # a picture that does not decode
                rejections.append(_undecodable(sample, error))
                continue
            sample_id = f"{adapter.NAME}/{sample.key}"
            rows.append({"sample_id": sample_id, "store_row": row, "label": sample.label, "split": sample.split})
        return writer.close(), rows


def _counted(reading: Reading, rejections: list[Rejection], stage: Stage) -> Iterator[Sample]:
    """The samples, each counted, and what was rejected between them counted too."""
    told = 0
    for sample in reading.samples:
        stage.advance(1 + len(rejections) - told)
        told = len(rejections)
        yield sample


def _undecodable(sample: Sample, error: FerError) -> Rejection:
    expected, _, found = str(error).removeprefix(f"{sample.where}: expected ").partition(", found ")
    return Rejection(sample.where, expected, found or str(error), "the picture was set aside")


def _write_rejects(out: Path, rejections: list[Rejection], *, replace: bool) -> Path | None:
    path = out.with_name(f"{out.stem}.rejects.parquet")
    if not rejections:
        if replace:
            path.unlink(missing_ok=True)
        return None
    rows = [{name: getattr(rejection, name) for name in REJECTS.names} for rejection in rejections]
    facts = tables.provenance("rejects", "fer import", manifest=out.name, rows=len(rows))
    return tables.write_table(path, pa.Table.from_pylist(rows, schema=REJECTS), facts, replace=True)


def _leaks(written: Manifest) -> list[str]:
    report = find_duplicates(written)
    return [report.sentence()] if report.groups else []
