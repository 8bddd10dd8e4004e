"""Tables of paths, labels and facts, as csv and as Parquet, with the pictures beside them or where they are.

The pictures lie in `images/<split>/`, unless only references were asked for.
"""

from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa

from fer_data.export import croissant
from fer_data.export.contract import ExportConfig, Layout
from fer_data.export.picture_files import PictureFiles
from fer_data.export.rows import BATCH, Rows
from fer_data.export.sample_tables import PARQUET, SampleTables, table_objects
from fer_data.progress import Stage

NAME = "csv"
TITLE = "csv and Parquet tables"

_LOADING = 'import pandas as pd\n\nfaces = pd.read_parquet("FOLDER/samples.parquet")'


class Options(ExportConfig):
    """What the tables hold."""

    pictures: Literal["copy", "reference"] = "copy"  # reference: store, row and hash instead of a path


def write(rows: Rows, folder: Path, options: Options, stage: Stage) -> Layout:
    """Write the tables, and the pictures where they are to be copied."""
    if options.pictures == "reference":
        return _write_references(rows, folder, stage)
    with PictureFiles(folder, rows) as files:
        for split in rows.splits:
            for batch in rows.batches(rows.of_split(split)):
                named = zip(batch.table["name"].to_pylist(), batch.pictures, strict=True)
                files.add(batch, [f"images/{split}/{name}.{picture.suffix}" for name, picture in named])
                stage.advance(len(batch.pictures), split)
    return Layout(_LOADING, files.distribution(), files.fields())


def _write_references(rows: Rows, folder: Path, stage: Stage) -> Layout:
    """Tables only: where each picture is, as the manifest says it."""
    shown = [rows.table.schema.field(name) for name in rows.columns]
    schema = pa.schema([*rows.place.schema, *shown])
    with SampleTables(folder, schema) as tables:
        for start in range(0, len(rows), BATCH):
            chosen = pa.array(np.arange(start, min(start + BATCH, len(rows))))
            place, table = rows.place.take(chosen), rows.table.take(chosen)
            tables.add(pa.table([*place.columns, *(table[name] for name in rows.columns)], schema=schema))
            stage.advance(len(chosen))
    fields = croissant.column_fields(schema, {"fileObject": {"@id": PARQUET}}, rows.manifest.votes_labels())
    notes = ["the tables refer to the project's stores; the pictures were not copied"]
    return Layout(_LOADING, table_objects(folder), fields, notes=notes)
