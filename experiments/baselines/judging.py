"""The test faces as a baseline answers them: the same few figures for every kind of classifier."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.metrics import evaluate
from experiments.views import build_views
from fer_data.errors import FerError
from fer_data.manifest import Manifest

_TIMED_FACES = 256
_REPEATS = 3

Answer = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def score_test(manifest: Manifest, answer: Answer, size_px: int = 48, channels: int = 1) -> dict[str, dict[str, Any]]:
    """Figures of every view of the test split: official, without copies and without twins, given labels and reference.

    Args:
        answer: pictures uint8 [N, channels, size_px, size_px] to probabilities float32 [N, K].

    Returns:
        "official/given", "leak_free/given", … → count, accuracy, balanced_accuracy, macro_f1 and recall by label.

    Raises:
        FerError: no test faces.
    """
    test = (manifest.frame["split"] == "test").to_numpy(dtype=bool)
    if not test.any():
        raise FerError(f"{manifest.path}: expected test faces, found none; use a manifest with a test split")
    judged = answer(manifest.pictures(size_px, channels, test))
    found = {}
    for view in build_views(manifest):
        if not view.rows.any():
            continue
        told = evaluate(view.truth[view.rows], judged[view.rows], manifest.labels)
        recall = {label: _rounded(one["recall"]) for label, one in told["per_class"].items()}
        kept = {name: _rounded(told[name]) for name in ("accuracy", "balanced_accuracy", "macro_f1")}
        found[view.key] = {"count": told["count"], **kept, "recall": recall}
    return found


def microseconds_per_face(manifest: Manifest, answer: Answer, size_px: int = 48, channels: int = 1) -> float:
    """How long one face takes among 256 validation faces, from grey levels to probabilities; the best of three."""
    rows = np.flatnonzero((manifest.frame["split"] == "val").to_numpy(dtype=bool))[:_TIMED_FACES]
    mask = np.zeros(len(manifest), dtype=bool)
    mask[rows] = True
    pictures = manifest.pictures(size_px, channels, mask)
    times = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        answer(pictures)
        times.append(time.perf_counter() - started)
    return round(1e6 * min(times) / len(pictures), 1)


def averaging_shifts(answer: Answer) -> Answer:
    """Answers averaged over a face and its four neighbours, shifted by one pixel along the diagonals; borders repeat.

    After Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", arXiv:2404.00498, with two more shifts.
    """

    def judge(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        height, width = pictures.shape[2:]
        padded = np.pad(pictures, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
        corners = [(down, right) for down in (0, 2) for right in (0, 2)]
        views = [pictures, *(padded[:, :, down : down + height, right : right + width] for down, right in corners)]
        return np.mean([answer(view) for view in views], axis=0)

    return judge


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
