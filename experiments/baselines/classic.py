"""Classifiers from before networks, by scikit-learn, tuned a little and fitted within a cap of time."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from experiments.baselines import features
from fer_data.errors import FerError

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Settings = Mapping[str, Any]

COMPONENTS = 128  # of the features' principal components, where distances between faces decide
TREES = 300  # of a forest
TUNING_FACES = 8_000  # training faces that candidates are fitted on
TUNING_SHARE = 0.25  # of the cap: candidates that come later are not tried
FITTING_SHARE = 0.55  # of the cap: what the last fit may take; the rest is for features and for judging

_TIMED_FACES = 3_000  # a fit on so many tells how long one on all would take


@dataclass(frozen=True)
class ClassicRow:
    """A classic baseline.

    Attributes:
        features: grey faces uint8 [N, S, S] to float32 [N, F].
        build: an unfitted classifier of settings, a seed and a number of threads.
        candidates: settings to choose among on validation faces, the likeliest first.
        growth: the time of a fit grows with the number of faces to this power.
        size: what the fitted classifier is made of: how many, of what.
    """

    features: Callable[[NDArray[np.uint8]], Floats]
    build: Callable[[Settings, int, int], ClassifierMixin]
    candidates: tuple[Settings, ...]
    growth: float
    size: Callable[[ClassifierMixin], tuple[int, str]]


@dataclass(frozen=True)
class Fitted:
    """A fitted classic baseline, and how it came about.

    Attributes:
        settings: the chosen candidate.
        val_accuracy: its accuracy on validation faces when it was chosen, 0..1.
        tried: every candidate that time allowed, with its accuracy.
        training_faces: faces of the last fit; all of them unless that would have run past the cap.
    """

    row: ClassicRow
    model: ClassifierMixin
    settings: Settings
    val_accuracy: float
    tried: list[dict[str, Any]]
    training_faces: int
    feature_seconds: float
    tuning_seconds: float
    fitting_seconds: float

    def probabilities(self, images: NDArray[np.uint8], classes: int) -> Floats:
        """Probabilities of K classes, float32 [N, K]; 0 for a class that was not fitted. SVMs say yes (1) or no (0).

        Args:
            images: grey faces, uint8 [N, S, S].
            classes: K.
        """
        return _judge(self.model, self.row.features(images), classes)


def fit(
    row: ClassicRow,
    images: NDArray[np.uint8],
    truth: Integers,
    val_images: NDArray[np.uint8],
    val_truth: Integers,
    *,
    seconds: float,
    seed: int = 0,
    threads: int = 1,
) -> Fitted:
    """Choose a candidate on validation faces, fit it on all training faces, and stay within a cap of time.

    Candidates are fitted on `TUNING_FACES` training faces drawn by lot. Where a fit on everything would take longer
    than is left, as a fit on fewer tells, it gets as many faces as it can take, drawn by lot.

    Args:
        images: training faces, grey, uint8 [N, S, S].
        truth: their classes, int64 [N].
        val_images, val_truth: faces that choose; none of them may have a twin in training.
        seconds: the cap of everything that happens here.

    Raises:
        FerError: no faces on either side, or faces that fit no cells.
    """
    if not len(images) or not len(val_images):
        raise FerError(
            f"baseline: expected training and validation faces, found {len(images)} and {len(val_images)}; "
            "use a manifest with splits train, val and test"
        )
    started = time.perf_counter()
    seen, val_seen = row.features(images), row.features(val_images)
    featured = time.perf_counter()

    def fitted_on(rows: Integers, settings: Settings) -> ClassifierMixin:
        return row.build(settings, seed, threads).fit(seen[rows], truth[rows])

    order = np.random.default_rng(seed).permutation(len(images))
    tried: list[dict[str, Any]] = []
    for settings in row.candidates:
        if tried and time.perf_counter() - featured > TUNING_SHARE * seconds:
            break
        right = fitted_on(order[:TUNING_FACES], settings).predict(val_seen) == val_truth
        tried.append({"settings": dict(settings), "accuracy": float(right.mean())})
    best = max(tried, key=lambda one: one["accuracy"])
    few = order[:_TIMED_FACES]
    pilot_seconds = _seconds(lambda: fitted_on(few, best["settings"]))
    tuned = time.perf_counter()
    left = min(FITTING_SHARE * seconds, seconds - (tuned - started))
    count = affordable(len(images), len(few), pilot_seconds, row.growth, left)
    model = fitted_on(np.sort(order[:count]), best["settings"])
    return Fitted(
        row,
        model,
        best["settings"],
        best["accuracy"],
        tried,
        training_faces=count,
        feature_seconds=featured - started,
        tuning_seconds=tuned - featured,
        fitting_seconds=time.perf_counter() - tuned,
    )


def affordable(count: int, timed: int, timed_seconds: float, growth: float, seconds: float) -> int:
    """How many of `count` faces a fit can take in so many seconds, at least `timed`.

    Args:
        timed: faces of a fit that took `timed_seconds`.
        growth: the time of a fit is proportional to faces to this power.
    """
    most = timed * (seconds / max(timed_seconds, 1e-9)) ** (1 / growth) if seconds > 0 else 0
    return min(count, max(timed, int(min(most, count))))


def _judge(model: ClassifierMixin, seen: Floats, classes: int) -> Floats:
    judged = np.zeros((len(seen), classes), dtype=np.float32)
    if hasattr(model, "predict_proba"):
        judged[:, model.classes_] = model.predict_proba(seen)
    else:
        judged[np.arange(len(seen)), model.predict(seen)] = 1
    return judged


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _after_pca(model: ClassifierMixin, seed: int) -> Pipeline:
    """Fewer, decorrelated features: an SVM of 900 would spend the cap on a third of the faces."""
    return make_pipeline(PCA(COMPONENTS, svd_solver="covariance_eigh", random_state=seed), model)


def _svm(settings: Settings, seed: int, threads: int) -> ClassifierMixin:
    return _after_pca(SVC(kernel="rbf", cache_size=1000, **settings), seed)


def _knn(settings: Settings, seed: int, threads: int) -> ClassifierMixin:
    return _after_pca(KNeighborsClassifier(weights="distance", algorithm="brute", n_jobs=threads, **settings), seed)


def _forest(settings: Settings, seed: int, threads: int) -> ClassifierMixin:
    return RandomForestClassifier(TREES, n_jobs=threads, random_state=seed, **settings)


def _tree(settings: Settings, seed: int, threads: int) -> ClassifierMixin:
    return DecisionTreeClassifier(random_state=seed, **settings)


def _support_vectors(model: Any) -> tuple[int, str]:
    return int(model[-1].n_support_.sum()), "support vectors"


def _stored_faces(model: Any) -> tuple[int, str]:
    return int(model[-1].n_samples_fit_), "stored faces"


def _nodes(model: Any) -> tuple[int, str]:
    trees = model.estimators_ if hasattr(model, "estimators_") else [model]
    return sum(tree.tree_.node_count for tree in trees), "nodes"


def _grid(**values: Sequence[Any]) -> tuple[Settings, ...]:
    """All combinations, those of the first values first."""
    found: list[dict[str, Any]] = [{}]
    for name, choices in values.items():
        found = [{**one, name: choice} for choice in choices for one in found]
    return tuple(found)


_SVM = dict(build=_svm, growth=2.0, size=_support_vectors)
_KNN = dict(build=_knn, growth=1.0, size=_stored_faces, candidates=_grid(n_neighbors=(15, 30, 7, 60, 1)))
_FOREST = dict(build=_forest, growth=1.1, size=_nodes)
_LEAVES = _grid(min_samples_leaf=(1, 3), max_features=("sqrt", 0.1))

CLASSIC: dict[str, ClassicRow] = {
    "svm_hog": ClassicRow(features.hog, candidates=_grid(C=(3.0, 1.0, 10.0), gamma=(0.3, 0.15, 0.5)), **_SVM),
    "svm_lbp": ClassicRow(features.lbp, candidates=_grid(C=(3.0, 1.0, 10.0), gamma=(0.2, 0.1, 0.3)), **_SVM),
    "knn_hog": ClassicRow(features.hog, **_KNN),
    "knn_lbp": ClassicRow(features.lbp, **_KNN),
    "forest_hog": ClassicRow(features.hog, candidates=_LEAVES, **_FOREST),
    "forest_lbp": ClassicRow(features.lbp, candidates=_LEAVES, **_FOREST),
    "tree_pixels": ClassicRow(
        features.pixels, _tree, _grid(min_samples_leaf=(30, 100, 10), max_features=(None,)), 1.2, _nodes
    ),
}
