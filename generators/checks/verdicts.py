"""The verdict on each synthetic face: what was measured, what of it is bad, and the one reason to drop the face."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from fer_data.expressions import label_indices
from fer_data.manifest import Manifest
from generators.checks import picture_faults
from generators.checks.bands import class_distances
from generators.checks.copies import Views, look
from generators.checks.real_faces import Condition, stated
from generators.checks.thresholds import ScreenConfig, Thresholds, measure_faults
from generators.contract import Judge

# In the order in which they are given: a face that is bad in several ways is told the first.
REASONS = {
    "is_blank": "blank",
    "is_broken": "broken",
    "is_label_issue": "the judge disagrees",
    "is_unsure": "the judge is unsure",
    "is_unlike": "unlike the class's real faces",
    "is_caricature": "nearer to the class than real faces are",
    "is_copy": "near-copy of a training face",
    "is_repeated": "near-copy of another sample",
}

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Suspects:
    """N synthetic faces as screening sees them.

    Attributes:
        pictures: uint8 [N, C, S, S].
        asked: int64 [N], index of the label that was asked for.
        conditions: the occlusion and light that was asked for, null where plain.
        probabilities: float32 [N, K], the judge's.
        views: as the judge and as pixels.
    """

    pictures: NDArray[np.uint8]
    asked: NDArray[np.int64]
    conditions: list[Condition]
    probabilities: NDArray[np.float32]
    views: Views

    def __len__(self) -> int:
        return len(self.asked)


def look_at(synthetic: Manifest, pictures: NDArray[np.uint8], judge: Judge) -> Suspects:
    """Judge the faces of a manifest, given as uint8 [N, C, S, S]."""
    facts = synthetic.facts(["occlusion", "light"]).astype(object)
    facts = facts.where(facts.notna(), None)
    return Suspects(
        pictures,
        label_indices(synthetic.frame["label"], synthetic.label_set),
        [stated(occlusion, light) for occlusion, light in zip(facts["occlusion"], facts["light"], strict=True)],
        judge.probabilities(pictures),
        look(pictures, judge.features),
    )


def give_verdicts(
    synthetic: Manifest,
    suspects: Suspects,
    thresholds: Thresholds,
    config: ScreenConfig,
    earlier: tuple[Views, NDArray[Any]] | None = None,
) -> pd.DataFrame:
    """One row per face: keep, reason, what the judge saw, scores in 0..1 (low = bad) and a flag per reason.

    Args:
        earlier: faces that were kept before these, and their ids; a near-copy of one is dropped.
    """
    columns: dict[str, Any] = {"sample_id": synthetic.frame["sample_id"], "given_label": synthetic.frame["label"]}
    columns |= _picture_columns(suspects, thresholds, config)
    columns |= _judge_columns(suspects, synthetic.labels, config)
    columns |= _distance_columns(suspects, thresholds, synthetic.labels, config)
    columns |= _copy_columns(synthetic, suspects, thresholds, columns, earlier)
    flags = [columns[flag] for flag in REASONS]
    reason = np.select(flags, list(REASONS.values()), "").astype(object)
    dropped = reason != ""
    frame = pd.DataFrame({name: np.asarray(column) for name, column in columns.items()})
    frame.insert(2, "keep", ~dropped)
    frame.insert(3, "reason", pd.Series(reason, dtype=object).where(dropped, None))
    return frame


def verdict_table(verdicts: pd.DataFrame) -> pa.Table:
    """Verdicts as they are written: a column of words is one even where all of it is null."""
    table = pa.Table.from_pandas(verdicts, preserve_index=False)
    words = [pa.field(field.name, pa.string()) if pa.types.is_null(field.type) else field for field in table.schema]
    return table.cast(pa.schema(words))


def _picture_columns(suspects: Suspects, thresholds: Thresholds, config: ScreenConfig) -> dict[str, Any]:
    contrast = picture_faults.contrast(suspects.pictures)
    measures = measure_faults(suspects.pictures)
    broken, score = np.zeros(len(suspects), dtype=bool), np.ones(len(suspects))
    for condition, rows in _places(suspects.conditions).items():
        for name, band in thresholds.faults[condition].items():
            values = measures[name][rows]
            broken[rows] |= (values < band.low) | (values > band.high)
            score[rows] = np.minimum(score[rows], band.score(values))
    return {
        "blank_score": np.minimum(1, contrast / max(2 * config.minimum_contrast, 1e-6)),
        "is_blank": contrast < config.minimum_contrast,
        "broken_score": score,
        "is_broken": broken,
    }


def _judge_columns(suspects: Suspects, labels: tuple[str, ...], config: ScreenConfig) -> dict[str, Any]:
    first = suspects.probabilities.argmax(axis=1)
    p = suspects.probabilities[np.arange(len(suspects)), suspects.asked]
    agreed = first == suspects.asked
    return {
        "judge_label": np.asarray(labels, dtype=object)[first],
        "judge_p": p.astype(np.float32),
        "label_score": np.where(agreed, p, np.minimum(p, 1 - suspects.probabilities.max(axis=1))),
        "is_label_issue": ~agreed,
        "is_unsure": agreed & (p < config.minimum_p),
    }


def _distance_columns(
    suspects: Suspects, thresholds: Thresholds, labels: tuple[str, ...], config: ScreenConfig
) -> dict[str, Any]:
    """Distance to the asked class, against real faces of the class under the same occlusion and light."""
    score = np.ones(len(suspects))
    unlike, caricature = np.zeros(len(suspects), dtype=bool), np.zeros(len(suspects), dtype=bool)
    for label in np.unique(suspects.asked):
        own = np.flatnonzero(suspects.asked == label)
        faces = thresholds.class_features(int(label))
        distances = class_distances(suspects.views.features[own], faces, config.neighbours)
        for condition, places in _places([suspects.conditions[row] for row in own]).items():
            band = thresholds.distances[labels[label], *condition]
            rows, values = own[places], distances[places]
            score[rows] = band.score(values)
            unlike[rows], caricature[rows] = values > band.high, values < band.low
    return {"band_score": score, "is_unlike": unlike, "is_caricature": caricature}


def _copy_columns(
    synthetic: Manifest,
    suspects: Suspects,
    thresholds: Thresholds,
    columns: dict[str, Any],
    earlier: tuple[Views, NDArray[Any]] | None,
) -> dict[str, Any]:
    """Nearest training face and nearest sample before; only what nothing else drops counts as a sample before."""
    detector, views = thresholds.detector, suspects.views
    distance, nearest = detector.nearest_face(views)
    copied = detector.is_copy(distance)
    bad = copied | np.any([columns[flag] for flag in REASONS if flag in columns], axis=0)
    before, ids_before = earlier if earlier is not None else (None, np.empty(0, dtype=object))
    sibling_distance, sibling = detector.earlier_sibling(views, ~bad, before)
    repeated = ~bad & detector.is_copy(sibling_distance)
    ids = np.concatenate([ids_before, synthetic.frame["sample_id"].to_numpy(dtype=object)])
    return {
        "nearest_sample_id": thresholds.real.sample_ids[nearest],
        "copy_score": detector.score(distance),
        "is_copy": copied,
        "sibling_sample_id": [ids[row] if found else None for row, found in zip(sibling, repeated, strict=True)],
        "sibling_score": detector.score(sibling_distance),
        "is_repeated": repeated,
    }


def _places(conditions: list[Condition]) -> dict[Condition, NDArray[np.int64]]:
    """Where each condition stands, int64 positions, ascending."""
    places: dict[Condition, list[int]] = {}
    for place, condition in enumerate(conditions):
        places.setdefault(condition, []).append(place)
    return {condition: np.asarray(rows, dtype=np.int64) for condition, rows in places.items()}
