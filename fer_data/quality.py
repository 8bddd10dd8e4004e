"""How good small faces are as pictures: dark, bright, low in contrast, blurred, blank, not square, not a face.

Calculate, score, mark: a picture is measured once (`fer_data.quality_cache` keeps the measures), scores follow from
the measures, and what counts as bad is a threshold that is set last and costs nothing to change. Scores are
`<what>_score` in 0..1, low = bad, null where unknown; flags are `is_<issue>`. All of it is measured on the grey
picture at 48 px, the size of FER-2013, so that scores of different data sets compare.

The brightness of the whole picture says little about the face in it: studio portraits have white backgrounds, faces
against a window are black. All but blankness is therefore measured in the middle of the picture, where faces are.
Docs: `docs/results/quality.md` (how the formulas and thresholds were chosen, on one half of FER-2013).
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

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
from fer_data.quality_cache import are_measured, measures_of

# Issue -> the score that tells it. The flag of an issue is `is_<issue>`.
ISSUES: Mapping[str, str] = MappingProxyType(
    {
        "dark": "dark_score",
        "bright": "bright_score",
        "low_contrast": "contrast_score",
        "blurred": "sharpness_score",
        "blank": "blank_score",
        "not_square": "square_score",
        "not_a_face": "face_score",
    }
)
MEASURED = ("dark_score", "bright_score", "contrast_score", "sharpness_score", "blank_score")

SIZE_PX = 48
NOT_A_FACE = "NF"  # what FER+ calls a vote for "there is no face"

# The middle of the picture as shares of its height and width.
_TOP, _BOTTOM, _LEFT, _RIGHT = 1 / 6, 5 / 6, 5 / 24, 19 / 24
_ONE_TONE = 17  # neighbouring tones, of 256, that count as one: noise and JPEG blocks on a constant
_BATCH = 64  # pictures at a time: what they need fits into a processor's cache


class QualityConfig(Configuration):
    """Below which score, 0..1, a picture has an issue."""

    dark: float = Field(default=0.33, ge=0, le=1)
    bright: float = Field(default=0.34, ge=0, le=1)
    low_contrast: float = Field(default=0.19, ge=0, le=1)
    blurred: float = Field(default=0.50, ge=0, le=1)
    blank: float = Field(default=0.10, ge=0, le=1)
    not_square: float = Field(default=0.75, ge=0, le=1)
    not_a_face: float = Field(default=0.50, ge=0, le=1)  # more than half of the votes


def measure_quality(manifest: Manifest, reporter: Reporter = SILENT) -> pd.DataFrame:
    """Score every picture of a manifest; pictures that were measured before are not read again.

    Returns:
        One row per sample, in the manifest's order: `sample_id`, `brightness` (mean of all pixels, 0..1), and the
        scores of ISSUES, float32 in 0..1, low = bad. `face_score` is NaN where nobody voted.
    """
    scores = measures_of(manifest, score_pictures, SIZE_PX, reporter)
    facts = manifest.facts(["width_px", "height_px", "votes"])
    sides = facts[["width_px", "height_px"]].to_numpy(dtype=np.float32)
    scores["square_score"] = sides.min(axis=1, initial=np.inf) / sides.max(axis=1, initial=1)
    scores["face_score"] = _face_scores(manifest, facts["votes"])
    scores.insert(0, "sample_id", manifest.frame["sample_id"].to_numpy())
    return scores[["sample_id", "brightness", *ISSUES.values()]]


def is_measured(manifest: Manifest) -> bool:
    """Whether every picture was measured before, so that `measure_quality` costs next to nothing."""
    return are_measured(manifest, score_pictures, SIZE_PX)


def score_pictures(images: NDArray[np.uint8]) -> pd.DataFrame:
    """What pixels alone tell, one row per picture, float32 in 0..1.

    - `brightness`: mean of all pixels; no score, neither end is good.
    - `dark_score`: the tone of the face's lights (95th percentile of the middle). It is low for faces in the dark and
      against the light; dark skin under fair light has lights of its own (eyes, teeth, shine) and keeps its score.
    - `bright_score`: what shading is left: 1 - q25 + (q95 - q5) / 2 over the middle, low for washed-out faces.
    - `contrast_score`: (q98 - q2) / (q98 + q2 + 0.4) over the middle: Michelson's contrast (Studies in Optics, 1927),
      with an offset that keeps noise in the dark from counting as contrast.
    - `sharpness_score`: sqrt(E|L| / E|G| · q95|L| / (q98 - q2)) over the middle, with the Laplacian L (Pech-Pacheco et
      al., "Diatom autofocusing in brightfield microscopy", ICPR 2000) and the gradient G: how sudden the edges are, not
      how strong, so that a faint picture is not a blurred one.
    - `blank_score`: share of all pixels that differ from the commonest tone by more than 8 of 255.

    Args:
        images: uint8 [N, 1, S, S], S at least 12 where N > 0.

    Raises:
        FerError: pixels of another shape or type.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != 1 or (len(images) and images.shape[2] < 12):
        raise FerError(
            "quality: expected grey pictures uint8 [N, 1, S, S] of at least 12 px, "
            f"found {images.dtype} {list(images.shape)}"
        )
    names = ("brightness", *MEASURED)
    parts = [_score_batch(images[start : start + _BATCH, 0]) for start in range(0, len(images), _BATCH)]
    return pd.DataFrame(np.concatenate([np.empty((0, len(names)), np.float32), *parts]), columns=list(names))


def mark_quality(scores: pd.DataFrame, config: QualityConfig) -> pd.DataFrame:
    """The scores with a flag `is_<issue>` for each of ISSUES: true below its threshold, false where unknown."""
    flags = {f"is_{issue}": scores[score] < getattr(config, issue) for issue, score in ISSUES.items()}
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


def _score_batch(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Brightness and the scores of MEASURED of pictures uint8 [N, H, W], float32 [N, 6]."""
    height, width = grey.shape[1:]
    top, bottom = round(_TOP * height), round(_BOTTOM * height)
    left, right = round(_LEFT * width), round(_RIGHT * width)
    middle = _tones(grey[:, top:bottom, left:right], 256)
    q2, q5, q25, q95, q98 = (_quantile(middle, share) / 255 for share in (0.02, 0.05, 0.25, 0.95, 0.98))
    around = grey[:, top - 1 : bottom + 1, left - 1 : right + 1].astype(np.int32)
    up, down, west, east = around[:, :-2, 1:-1], around[:, 2:, 1:-1], around[:, 1:-1, :-2], around[:, 1:-1, 2:]
    laplacian = np.abs(up + down + west + east - 4 * around[:, 1:-1, 1:-1])
    gradient = np.hypot((down - up).astype(np.float32), (east - west).astype(np.float32)) / 2
    sudden = laplacian.mean(axis=(1, 2)) / np.maximum(gradient.mean(axis=(1, 2)), 1 / 4)
    strong = _quantile(_tones(laplacian, 1021), 0.95) / 255 / np.maximum(q98 - q2, 4 / 255)
    everything = np.pad(_tones(grey, 256), ((0, 0), (1, 0)))
    columns = (
        grey.mean(axis=(1, 2)) / 255,
        q95,
        1 - q25 + (q95 - q5) / 2,
        (q98 - q2) / (q98 + q2 + 0.4),
        np.sqrt(sudden * strong),
        1 - (everything[:, _ONE_TONE:] - everything[:, :-_ONE_TONE]).max(axis=1) / (height * width),
    )
    scores: NDArray[np.float32] = np.clip(np.stack(columns, axis=1), 0, 1).astype(np.float32)
    return scores


def _tones(values: NDArray[np.integer[Any]], levels: int) -> NDArray[np.int64]:
    """How many pixels of each picture have at most each value 0..levels-1, int64 [N, levels]."""
    count = len(values)
    offsets = (np.arange(count) * levels)[:, None]
    counts = np.bincount((values.reshape(count, -1) + offsets).ravel(), minlength=count * levels)
    return counts.reshape(count, levels).cumsum(axis=1)


def _quantile(tones: NDArray[np.int64], share: float) -> NDArray[np.float64]:
    """The lowest value that at least this share of a picture's pixels do not exceed, float64 [N]."""
    below: NDArray[np.bool_] = tones < share * tones[:, -1:]
    return np.asarray(below.sum(axis=1), dtype=np.float64)


def _face_scores(manifest: Manifest, votes: "pd.Series[Any]") -> NDArray[np.float32]:
    """Share of the voters that saw a face, float32 [N]; NaN where nobody voted or no face was no choice."""
    scores = np.full(len(votes), np.nan, dtype=np.float32)
    stores = manifest.frame["store"].to_numpy()
    for name, store in manifest.stores.items():
        choices = list(store.info["votes_labels"])
        voted = (votes.notna() & (stores == name)).to_numpy(dtype=bool)
        if NOT_A_FACE in choices and voted.any():
            counts = np.stack(votes[voted].to_list()).astype(np.float32)
            total = counts.sum(axis=1)
            share = counts[:, choices.index(NOT_A_FACE)] / np.maximum(total, 1)
            scores[voted] = np.where(total > 0, 1 - share, np.nan)
    return scores
