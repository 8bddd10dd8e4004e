"""Where screening draws its lines, all of them learnt from real faces: what is a copy, unlike a class, or broken."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fer_data.configuration import Configuration
from fer_data.expressions import label_names
from fer_data.manifest import Manifest
from fer_data.plans import Key
from fer_data.progress import SILENT, Reporter
from generators.checks import picture_faults
from generators.checks.bands import Band, class_distances, fit_band
from generators.checks.copies import CopyDetector, fit_detector, unit_rows
from generators.checks.real_faces import Condition, RealFaces, View, read_real_faces, stated_keys, under
from generators.contract import Judge

Faults = Mapping[str, Band]

_FAULTS: Mapping[str, Callable[[NDArray[np.uint8]], NDArray[np.float64]]] = {
    "clipping": picture_faults.clipping,
    "detail": picture_faults.detail,
}


class ScreenConfig(Configuration):
    """What is dropped."""

    # The judge's probability of the asked label, besides being its first choice. Of FER-2013's validation faces whose
    # label the judge names, .3 loses 1 % (happiness, surprise) to 11 % (disgust); .4 loses 39 % of disgust.
    minimum_p: float = Field(0.3, ge=0, le=1)
    minimum_contrast: float = Field(4.0, ge=0)  # standard deviation of grey levels 0..255; less is blank
    broken: float = Field(0.005, ge=0, lt=0.5)  # share of real faces that each measure of a picture may call broken
    neighbours: int = Field(5, ge=1)  # a face's distance to its class is that to so many of the class's faces
    too_near: float = Field(0.01, ge=0, lt=0.5)  # share of the class's real faces that may be nearer to the class
    too_far: float = Field(0.05, ge=0, lt=0.5)  # share of the class's real faces that may be farther from it
    band_faces: int = Field(150, ge=10)  # real faces per class and condition that the band is learnt from
    false_copies: float = Field(0.01, gt=0, lt=1)  # share of held-out real faces that may be called copies
    calibration_faces: int = Field(2000, ge=1)  # at most this many held-out faces tell what a copy is
    size_px: int | None = Field(None, ge=16)  # pictures are compared at this size; null is the synthetic faces' own


@dataclass(frozen=True)
class Thresholds:
    """What real faces are like.

    Attributes:
        real: the training faces.
        detector: what is a copy of one.
        copies_from: the faces that taught it.
        distances: of a label under a condition, the band of distances to the label's training faces.
        faults: of a condition, the bands of each measure of a picture.
        agreement: of a label under a condition, how often the judge names it in real faces, 0..1; None without any.
            A judge that cannot see fear in the dark drops nearly all dark fear, however good it is.
    """

    real: RealFaces
    detector: CopyDetector
    copies_from: str
    distances: Mapping[Key, Band]
    faults: Mapping[Condition, Faults]
    agreement: Mapping[Key, float | None]

    def class_features(self, label: int) -> NDArray[np.float32]:
        """Unit features float32 [M, F] of a label's training faces."""
        features: NDArray[np.float32] = self.real.views.features[self.real.labels == label]
        return features

    def as_dict(self) -> dict[str, Any]:
        """The calibration, JSON-able: thresholds, and how many real faces each was learnt from."""
        return {
            "faces": self.copies_from,
            "count": len(self.detector.reference),
            "flagged": self.detector.false_rate,
            "copy_distance": self.detector.threshold,
            "distances": [
                {
                    **dict(zip(("label", "occlusion", "light"), key, strict=True)),
                    **_band_dict(band),
                    "judge_agrees": self.agreement[key],
                }
                for key, band in self.distances.items()
            ],
            "faults": [
                {"occlusion": occlusion, "light": light, "measure": name, **_band_dict(band)}
                for (occlusion, light), bands in self.faults.items()
                for name, band in bands.items()
            ],
        }


def fit_thresholds(
    training: Manifest,
    judge: Judge,
    cells: Iterable[Key],
    view: View,
    config: ScreenConfig,
    reporter: Reporter = SILENT,
) -> Thresholds:
    """Learn from real faces what screening drops.

    Args:
        training: the manifest that the generator was trained on.
        cells: every (label, occlusion, light) that will be screened.

    Raises:
        FerError: fewer than two training faces, or none that can be compared with another.
    """
    keys = stated_keys(cells)
    with reporter.stage("looking at real faces", 2 + len(keys)) as stage:
        real = read_real_faces(training, judge, view)
        stage.advance()
        held_out, copies_from = real.held_out(judge, config.calibration_faces, 1 / config.false_copies)
        detector = fit_detector(real.views, held_out, config.false_copies)
        stage.advance()
        distances: dict[Key, Band] = {}
        agreement: dict[Key, float | None] = {}
        measured: dict[Condition, list[dict[str, NDArray[np.float64]]]] = {}
        for label, occlusion, light in keys:
            code = label_names(training.label_set).index(label)
            rows = real.of_label(code, config.band_faces)
            pictures = under(real.pictures(rows), (occlusion, light))
            key = (label, occlusion, light)
            distances[key] = _distance_band(real, judge, code, rows, pictures, config)
            agreement[key] = float((judge.probabilities(pictures).argmax(axis=1) == code).mean()) if len(rows) else None
            measured.setdefault((occlusion, light), []).append(measure_faults(pictures))
            stage.advance(note=label)
    faults = {condition: _fault_bands(parts, config.broken) for condition, parts in measured.items()}
    return Thresholds(real, detector, copies_from, distances, faults, agreement)


def measure_faults(pictures: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
    """Every measure of a broken picture, by name, float64 [N] each."""
    return {name: measure(pictures) for name, measure in _FAULTS.items()}


def _distance_band(
    real: RealFaces,
    judge: Judge,
    label: int,
    rows: NDArray[np.int64],
    pictures: NDArray[np.uint8],
    config: ScreenConfig,
) -> Band:
    if not len(rows):
        return fit_band(np.empty(0), config.too_near, config.too_far)
    own = real.labels == label
    faces, groups = real.views.take(np.flatnonzero(own)), real.manifest.frame["group_id"].to_numpy()[rows]
    features = unit_rows(judge.features(pictures))
    distances = class_distances(features, faces.features, config.neighbours, groups, faces.groups)
    return fit_band(distances, config.too_near, config.too_far)


def _fault_bands(parts: list[dict[str, NDArray[np.float64]]], share: float) -> dict[str, Band]:
    bands = {}
    for name in _FAULTS:
        values = np.concatenate([part[name] for part in parts])
        bands[name] = fit_band(values, share, share)
    return bands


def _band_dict(band: Band) -> dict[str, Any]:
    ends = {name: end if np.isfinite(end) else None for name, end in (("low", band.low), ("high", band.high))}
    return {**ends, "real_faces": len(band.reference)}
