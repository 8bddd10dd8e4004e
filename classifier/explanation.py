"""What the predictions of a manifest looked at: a heat map of every face, kept beside them.

    <name>.heat_maps.parquet    sample_id, label (which is explained), heat_map (grey PNG of the picture's size)

A face is explained by the classifier that judged it, which never saw it, and for the label that is predicted.
"""

import io
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from classifier.prediction import Classifier, load_classifier
from fer_data import tables
from fer_data.errors import FerError
from fer_data.files import refuse_existing, sha256_file
from fer_data.filtering import matching_rows
from fer_data.manifest import Manifest
from fer_data.progress import SILENT, Reporter, Stage
from fer_data.project import relative
from fer_data.tabular import columns

KIND = "heat_maps"
_AT_ONCE = 1024
_GROUP_ROWS = 256  # a face's map is read without those of all others


def heat_maps_path(predictions: Path) -> Path:
    """Where the heat maps of a predictions table lie."""
    return predictions.with_suffix(f".{KIND}.parquet")


def explain(
    manifest: Manifest,
    predictions: Path,
    out: Path,
    *,
    where: str | None = None,
    reporter: Reporter = SILENT,
    replace: bool = False,
) -> Path:
    """Write a heat map of every predicted face, or of those that meet a condition.

    Args:
        predictions: a table of kind `predictions` of faces of this manifest; the classifiers of its first folding
            must still be where it says.
        where: condition on the rows, see `fer_data.filtering`.

    Returns:
        The table, of kind `heat_maps`; its footer tells how many faces were explained in how many seconds.

    Raises:
        FerError: `out` exists, predictions of other faces or without their classifiers, a condition that no
            predicted face meets, or a network without convolutions.
    """
    refuse_existing(out, replace=replace)
    wanted = _read_wanted(manifest, predictions, where)
    started = time.perf_counter()
    maps: list[bytes] = [b""] * len(wanted.rows)
    with reporter.stage("heat maps", len(wanted.rows)) as stage:
        for fold in np.unique(wanted.fold):
            classifier = load_classifier(wanted.classifiers / f"fold-{fold}")
            for places, pngs in _explain_fold(manifest, wanted, classifier, np.flatnonzero(wanted.fold == fold), stage):
                for place, png in zip(places, pngs, strict=True):
                    maps[place] = png
    seconds = time.perf_counter() - started
    table = pa.table(
        {
            "sample_id": manifest.table["sample_id"].take(pa.array(wanted.rows)),
            "label": pa.array([manifest.labels[code] for code in wanted.classes], pa.string()),
            "heat_map": pa.array(maps, pa.binary()),
        }
    )
    facts = {
        "manifest": relative(manifest.path, manifest.root),
        "parents": {relative(predictions, manifest.root): sha256_file(predictions)},
        "label_set": manifest.label_set,
        "where": where,
        "faces": len(maps),
        "seconds": round(seconds, 1),
    }
    return tables.write_table(
        out, table, tables.provenance(KIND, "predict --explain", **facts), replace=replace, row_group_size=_GROUP_ROWS
    )


@dataclass(frozen=True)
class _Wanted:
    """The faces to explain, n of them, in the order of the predictions.

    Attributes:
        rows: int64 [n], rows of the manifest.
        fold: int64 [n], whose classifier judged them.
        classes: int64 [n], the label predicted.
        classifiers: folder of the folds.
    """

    rows: NDArray[np.int64]
    fold: NDArray[np.int64]
    classes: NDArray[np.int64]
    classifiers: Path


def _read_wanted(manifest: Manifest, predictions: Path, where: str | None) -> _Wanted:
    table, metadata = tables.read_table(predictions, kind="predictions")
    names = [f"p_{label}" for label in manifest.labels]
    missing = [name for name in ("fold", *names) if name not in table.column_names]
    if missing or "classifiers" not in metadata:
        raise FerError(
            f"{predictions}: expected out-of-fold predictions with {', '.join(names)} and the folder of their "
            f"classifiers, {missing[0] if missing else 'the folder'} is missing; predict again"
        )
    classifiers = manifest.root / str(metadata["classifiers"]) / "repeat-0"
    if not classifiers.is_dir():
        raise FerError(
            f"{predictions}: its classifiers are not in {classifiers}, where they were trained; put them back, or "
            "predict again with --replace"
        )
    rows = columns.matching_rows(table["sample_id"], manifest.table["sample_id"])
    if (rows < 0).all():
        raise FerError(f"{predictions}: none of its faces is in {manifest.path}; give the predictions of this manifest")
    kept = rows >= 0 if where is None else (rows >= 0) & matching_rows(manifest, where)[rows]
    if not kept.any():
        raise FerError(f"--where {where}: no face of {predictions} meets it; predictions are of the folds' splits only")
    shares = np.column_stack([table[name].to_numpy() for name in names])
    return _Wanted(
        rows[kept], table["fold"].to_numpy()[kept].astype(np.int64), shares[kept].argmax(axis=1), classifiers
    )


def _explain_fold(
    manifest: Manifest, wanted: _Wanted, classifier: Classifier, places: NDArray[np.int64], stage: Stage
) -> Iterator[tuple[NDArray[np.int64], list[bytes]]]:
    """Heat maps of the faces at some places of `wanted`, a part of them at a time."""
    order = places[np.argsort(wanted.rows[places])]  # as pictures are read
    for start in range(0, len(order), _AT_ONCE):
        part = order[start : start + _AT_ONCE]
        asked = np.zeros(len(manifest), dtype=bool)
        asked[wanted.rows[part]] = True
        images = manifest.pictures(classifier.size_px, classifier.channels, asked)
        sizes = manifest.facts(["width_px", "height_px"], asked).to_numpy()
        maps = classifier.heat_maps(images, wanted.classes[part])
        yield (
            part,
            [encode_heat_map(heat, int(width), int(height)) for heat, (width, height) in zip(maps, sizes, strict=True)],
        )
        stage.advance(len(part))


def encode_heat_map(heat: NDArray[np.float32], width_px: int, height_px: int) -> bytes:
    """A heat map, float32 [S, S] in 0..1, as a grey PNG of another size; 255 where the most was said."""
    image = Image.fromarray(np.rint(255 * heat).astype(np.uint8))
    if image.size != (width_px, height_px):
        image = image.resize((width_px, height_px), Image.Resampling.BILINEAR)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
