"""The scores that compete: cleanlab's and ours, on the same evidence, and ours with a part of it taken away."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from classifier.calibration import calibrate
from fer_data.auditing.combining import CombineConfig, combine
from fer_data.auditing.evidence import Evidence
from fer_data.auditing.scores import score_labels

Array = NDArray[np.float64]
Calibration = Literal["none", "temperature", "vector"]

COMBINED = "combined"
CLEANLAB: Mapping[str, tuple[str, bool]] = MappingProxyType(  # name here → cleanlab's method, adjusted by class or not
    {
        "cleanlab self-confidence": ("self_confidence", False),
        "cleanlab normalized margin": ("normalized_margin", False),
        "cleanlab weighted entropy": ("confidence_weighted_entropy", False),
        "cleanlab self-confidence, adjusted": ("self_confidence", True),
        "cleanlab normalized margin, adjusted": ("normalized_margin", True),
    }
)


def cleanlab_scores(labels: NDArray[np.int64], probabilities: Array) -> dict[str, Array]:
    """Every score of one label that cleanlab has, name → float64 [N], low = bad.

    The entropy cannot be adjusted by class: cleanlab refuses that. Where a label is never given, only the plain
    ones are there: adjusting divides by its number of faces.

    Args:
        labels: int64 [N], 0..K-1.
        probabilities: float64 [N, K], out of fold, rows sum to 1.
    """
    from cleanlab.rank import get_label_quality_scores

    every = np.bincount(labels, minlength=probabilities.shape[1]).all()
    return {
        name: get_label_quality_scores(labels, probabilities, method=method, adjust_pred_probs=adjusted)
        for name, (method, adjusted) in CLEANLAB.items()
        if every or not adjusted
    }


def single_scores(evidence: Evidence) -> dict[str, Array]:
    """Every single score of ours; a face of which a score knows nothing gets the median of the others."""
    return {name: _filled(score) for name, score in score_labels(evidence).items()}


def combined_score(evidence: Evidence, seed: int) -> Array:
    """Our combined score, float64 [N], 0..1, low = bad."""
    return np.asarray(combine(evidence, CombineConfig(), seed).score)


def without_parts(evidence: Evidence) -> dict[str, Evidence]:
    """The evidence with one part taken away each, by what was taken; only parts that are there."""
    if not evidence.repeats:
        return {}
    parts = {
        "neighbours": ("features",),
        "in-training probabilities": ("seen",),
        "margins over the training": ("margins",),
        "all training dynamics": ("seen", "margins"),
    }
    known = {part: fields for part, fields in parts.items() if any(_has(evidence, field) for field in fields)}
    reduced = {part: _strip(evidence, fields) for part, fields in known.items()}
    return reduced | {"everything but probabilities": replace(evidence, repeats=())}


def of_repeats(evidence: Evidence, numbers: Sequence[int], calibration: Calibration) -> Evidence:
    """The evidence as it would be with these repeats only.

    Args:
        numbers: which repeats, counted from 0.
        calibration: how the predictions were calibrated before they were averaged.
    """
    if list(numbers) == list(range(len(evidence.repeats))):
        return evidence
    kept = tuple(evidence.repeats[number] for number in numbers)
    probabilities = np.mean(
        [calibrate(repeat.probabilities, evidence.labels, repeat.fold, calibration) for repeat in kept], axis=0
    )
    probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
    return replace(evidence, repeats=kept, probabilities=probabilities)


def _has(evidence: Evidence, field: str) -> bool:
    return any(getattr(repeat, field) is not None for repeat in evidence.repeats)


def _strip(evidence: Evidence, fields: Iterable[str]) -> Evidence:
    gone: dict[str, Any] = dict.fromkeys(fields)
    return replace(evidence, repeats=tuple(replace(repeat, **gone) for repeat in evidence.repeats))


def _filled(score: Array) -> Array:
    known = np.isfinite(score)
    if known.all():
        return score
    return np.where(known, score, np.median(score[known]) if known.any() else 0.5)
