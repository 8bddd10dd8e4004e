"""How good small grey faces are as pictures: brightness, contrast, sharpness, blankness.

Measured once per picture; what counts as bad is a threshold that is set last and costs nothing to change.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from fer_data import tables
from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.manifest import Manifest
from fer_data.progress import SILENT, Reporter
from fer_data.project import relative

ISSUES = ("brightness", "contrast", "sharpness", "blankness")

_SIZE_PX = 48
_ROWS = 2000  # pictures in memory at once

# Where a score reaches 1, in brightness 0..1.
_DARK, _BRIGHT = 0.30, 0.15  # distance of the mean from black, and from white
_CONTRAST = 0.18  # standard deviation
_SHARP = 0.5  # standard deviation of the Laplacian over that of the picture
_RANGE = 0.20  # from the 5th to the 95th percentile


class QualityConfig(Configuration):
    """Below which score, 0..1, a picture counts as bad."""

    brightness: float = Field(0.25, ge=0, le=1)
    contrast: float = Field(0.25, ge=0, le=1)
    sharpness: float = Field(0.25, ge=0, le=1)
    blankness: float = Field(0.20, ge=0, le=1)


def measure_quality(manifest: Manifest, reporter: Reporter = SILENT) -> pd.DataFrame:
    """Score every picture of a manifest.

    Returns:
        One row per sample, in the manifest's order: `sample_id` and for each of ISSUES `<issue>_score`, float32 in
        0..1, low = bad.
    """
    total = len(manifest)
    parts = []
    with reporter.stage("picture quality", total) as stage:
        for start in range(0, total, _ROWS):
            rows = np.zeros(total, dtype=bool)
            rows[start : start + _ROWS] = True
            parts.append(score_pictures(manifest.pictures(_SIZE_PX, 1, rows)))
            stage.advance(int(rows.sum()))
    scores = pd.concat(parts, ignore_index=True) if parts else score_pictures(np.empty((0, 1, 2, 2), np.uint8))
    scores.insert(0, "sample_id", manifest.frame["sample_id"].to_numpy())
    return scores


def score_pictures(images: NDArray[np.uint8]) -> pd.DataFrame:
    """Scores of pictures, one column `<issue>_score` for each of ISSUES, float32 in 0..1, low = bad.

    Brightness is low for pictures that are very dark or very bright; contrast follows the standard deviation;
    sharpness is the Laplacian's spread relative to the picture's own (after Pech-Pacheco et al., "Diatom
    autofocusing in brightfield microscopy", ICPR 2000), so that a faint picture is not a blurred one; blankness is
    low where nearly all pixels have one value.

    Args:
        images: uint8 [N, 1, S, S], S at least 3 where N > 0.

    Raises:
        FerError: pixels of another shape or type.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != 1 or (len(images) and images.shape[2] < 3):
        raise FerError(f"quality: expected grey pictures uint8 [N, 1, S, S], found {images.dtype} {list(images.shape)}")
    grey = images[:, 0].astype(np.float32) / 255
    if not len(grey):
        return pd.DataFrame({f"{issue}_score": np.empty(0, dtype=np.float32) for issue in ISSUES})
    flat = grey.reshape(len(grey), -1)
    mean, spread = flat.mean(axis=1), flat.std(axis=1)
    low, high = np.percentile(flat, (5, 95), axis=1)
    around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    laplacian = (around - 4 * grey[:, 1:-1, 1:-1]).reshape(len(grey), -1)
    edges = laplacian.std(axis=1)
    values = {
        "brightness": np.minimum(mean / _DARK, (1 - mean) / _BRIGHT),
        "contrast": spread / _CONTRAST,
        "sharpness": edges / np.maximum(spread, 0.01) / _SHARP,
        "blankness": (high - low) / _RANGE,
    }
    return pd.DataFrame({f"{issue}_score": np.clip(values[issue], 0, 1).astype(np.float32) for issue in ISSUES})


def mark_quality(scores: pd.DataFrame, config: QualityConfig) -> pd.DataFrame:
    """The scores with a flag `is_<issue>` for each of ISSUES, true where the score is below its threshold."""
    flags = {f"is_{issue}": scores[f"{issue}_score"] < getattr(config, issue) for issue in ISSUES}
    return scores.assign(**flags)


def write_quality(
    manifest: Manifest, config: QualityConfig, out: Path, *, replace: bool = False, reporter: Reporter = SILENT
) -> Path:
    """Score and mark a manifest's pictures into a table of kind `quality`.

    Raises:
        FerError: `out` exists and `replace` is false.
    """
    marked = mark_quality(measure_quality(manifest, reporter), config)
    metadata = tables.provenance(
        "quality",
        "fer quality",
        parents={relative(manifest.path, manifest.root): manifest.sha256},
        configuration=config.model_dump(),
        rows=len(marked),
        counts={issue: int(marked[f"is_{issue}"].sum()) for issue in ISSUES},
    )
    return tables.write_table(out, pa.Table.from_pandas(marked, preserve_index=False), metadata, replace=replace)
