"""Measures of pictures are kept per store, for every manifest that is built on it: a store never changes.

`cache/quality/<store>.parquet` in the project holds one row per measured picture. It can be deleted at any time.
"""

import hashlib
import inspect
from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from fer_data import tables
from fer_data.errors import FerError
from fer_data.manifest import Manifest
from fer_data.progress import SILENT, Reporter, Stage

Measure = Callable[[NDArray[np.uint8]], pd.DataFrame]

_KIND = "quality_measures"
_ROWS = 2000  # pictures in memory at once


def measures_of(manifest: Manifest, measure: Measure, size_px: int, reporter: Reporter = SILENT) -> pd.DataFrame:
    """Measure the pictures of a manifest, reading only those that no earlier call has measured.

    Args:
        measure: from grey pictures uint8 [N, 1, size_px, size_px] to a row of float32 columns for each.

    Returns:
        The columns of `measure`, a row per row of the manifest, in its order; index 0..N-1.
    """
    frame = manifest.frame.reset_index(drop=True)
    version = _version(measure, size_px)
    parts = [measure(np.empty((0, 1, size_px, size_px), np.uint8))]
    with reporter.stage("picture quality", len(frame)) as stage:
        for name, rows in frame.groupby("store", sort=False):
            wanted = rows["store_row"].to_numpy()
            known = _known(manifest, str(name), version)
            missing = np.setdiff1d(wanted, known.index)
            stage.advance(len(wanted) - len(missing))
            if len(missing):
                found = _measured(manifest, str(name), missing, measure, size_px, stage)
                known = pd.concat([known, found]) if len(known) else found
                _keep(manifest, str(name), version, known)
            parts.append(known.loc[wanted].set_index(rows.index))
    return pd.concat(parts[1:] or parts).sort_index()


def are_measured(manifest: Manifest, measure: Measure, size_px: int) -> bool:
    """Whether `measures_of` would read no picture."""
    version = _version(measure, size_px)
    frame = manifest.frame
    return all(
        rows["store_row"].isin(_known(manifest, str(name), version).index).all()
        for name, rows in frame.groupby("store", sort=False)
    )


def _measured(
    manifest: Manifest, store: str, rows: NDArray[np.int64], measure: Measure, size_px: int, stage: Stage
) -> pd.DataFrame:
    parts = []
    for start in range(0, len(rows), _ROWS):
        some = rows[start : start + _ROWS]
        pictures = manifest.stores[store].pictures(some, size_px, 1)
        parts.append(measure(pictures).set_index(pd.Index(some, name="store_row")))
        stage.advance(len(some))
    return pd.concat(parts)


def _known(manifest: Manifest, store: str, version: str) -> pd.DataFrame:
    """What was measured of a store before, indexed by store_row; empty where that is nothing, or of another version."""
    path = manifest.root / "cache" / "quality" / f"{store.rpartition('/')[2]}.parquet"
    try:
        table, metadata = tables.read_table(path, kind=_KIND)
    except FerError:  # none yet, or not a table of ours: measured again and replaced
        return pd.DataFrame()
    return table.to_pandas().set_index("store_row") if metadata["version"] == version else pd.DataFrame()


def _keep(manifest: Manifest, store: str, version: str, measures: pd.DataFrame) -> None:
    path = manifest.root / "cache" / "quality" / f"{store.rpartition('/')[2]}.parquet"
    facts = tables.provenance(_KIND, "measured", store=store, version=version, rows=len(measures))
    tables.write_table(path, pa.Table.from_pandas(measures.reset_index(), preserve_index=False), facts, replace=True)


def _version(measure: Measure, size_px: int) -> str:
    """Changes with the module that measures: what an older formula measured is not used."""
    source = inspect.getsource(inspect.getmodule(measure) or measure)
    return hashlib.sha256(f"{source}{size_px}".encode()).hexdigest()[:16]
