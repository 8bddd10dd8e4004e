"""A map of the faces: two dimensions in which faces that a classifier takes for alike lie close together."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from curation_app.collection import Collection
from curation_app.knowledge.side_tables import SideTable

MOST_POINTS = 40_000
KEY = "map"
_MOST_NUMBERS = 1 << 24  # of features that are read; of larger sets the audit's probabilities are shown
_KEPT = 8  # dimensions in which the maps of several folds are laid over each other
_SIDE = 65_535
_FLOOR = 1e-4

_HERE = Path(__file__).parent
_component = st.components.v2.component(
    "fer_map",
    html='<div class="map"><canvas tabindex="0"></canvas><ul></ul></div>',
    css=(_HERE / "map.css").read_text(),
    js=(_HERE / "map.js").read_text(),
)


@dataclass(frozen=True)
class FeatureMap:
    """Where faces lie.

    Attributes:
        rows: int64 [P], ascending.
        places: uint16 [P, 2], x and y, 0..65535.
        total: how many faces there would be without MOST_POINTS.
        source: what it was made of, in words.
    """

    rows: NDArray[np.int64]
    places: NDArray[np.uint16]
    total: int
    source: str

    def inside(self, polygon: Sequence[Sequence[float]]) -> NDArray[np.int64]:
        """Rows of the faces inside a polygon of at least three corners, int64 [M], ascending."""
        corners = np.asarray(polygon, dtype=np.float64)
        x, y = self.places.astype(np.float64).T
        within = np.zeros(len(x), dtype=bool)
        for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, 1, axis=0), strict=True):
            if y1 != y2:  # how often a ray to the right crosses the edges: an odd number is inside
                crossing = (y1 > y) != (y2 > y)
                within ^= crossing & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
        return self.rows[within]


def make_map(collection: Collection) -> FeatureMap | None:
    """A map of the classifier's features, or of the audit's probabilities; None where there is neither."""
    labels, words = collection.codes("label")
    found = _features(collection)
    if found is not None:
        rows, vectors, fold = found
        flat = _laid_over(vectors, fold, labels[rows], len(words))
        source = "features of the classifiers of fer predict"
    elif collection.opinions is not None:
        rows = np.flatnonzero(collection.opinions.known)
        told = [collection.opinions.table.numbers(f"p_{label}", 0.0)[rows] for label in words]
        flat = np.log(np.maximum(np.stack(told, axis=1), _FLOOR))
        source = "probabilities of the audit"
    else:
        return None
    total = len(rows)
    if total > MOST_POINTS:
        some = np.sort(np.random.default_rng(0).choice(total, MOST_POINTS, replace=False))
        rows, flat = rows[some], flat[some]
    return FeatureMap(rows, _squared(principal(flat, 2)), total, source)


def principal(vectors: NDArray[np.floating[Any]], count: int) -> NDArray[np.float64]:
    """The `count` principal components of some vectors, float64 [N, count], by the covariance's eigenvectors."""
    centred = vectors - vectors.mean(axis=0)
    covariance = (centred.T @ centred).astype(np.float64)
    _, directions = np.linalg.eigh(covariance)
    found: NDArray[np.float64] = centred @ directions[:, ::-1][:, :count]
    missing = count - found.shape[1]
    return np.pad(found, ((0, 0), (0, missing))) if missing > 0 else found


def _features(collection: Collection) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]] | None:
    """Rows, their features and the fold whose classifier made them; None where nobody kept any, or too many."""
    if collection.paths.features is None:
        return None
    table = SideTable(collection.paths.features, "repeat", collection.manifest)
    if "features" not in table.columns or not table.known.any():
        return None
    rows = np.flatnonzero(table.known)
    length = len(table.value("features", int(rows[0])))
    if len(table.known) * length > _MOST_NUMBERS:
        return None
    return rows, table.vectors("features")[table.place[rows]], table.numbers("fold", -1)[rows]


def _laid_over(
    vectors: NDArray[np.float32], fold: NDArray[np.int64], labels: NDArray[Any], classes: int
) -> NDArray[np.float64]:
    """Principal components of each fold, turned so that the means of the classes lie over each other.

    Every fold has a classifier of its own, whose features mean something else (Schönemann, "A generalized solution
    of the orthogonal Procrustes problem", Psychometrika 31, 1966).
    """
    laid = np.zeros((len(vectors), _KEPT))
    goal = None
    for number in np.unique(fold):
        here = fold == number
        own = principal(vectors[here], _KEPT)
        own /= max(own.std(), np.finfo(float).tiny)
        means = np.stack([_mean(own[labels[here] == label]) for label in range(classes)])
        if goal is None:
            goal = means
        left, _, right = np.linalg.svd(means.T @ goal)
        laid[here] = own @ (left @ right)
    return laid


def _mean(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return vectors.mean(axis=0) if len(vectors) else np.zeros(vectors.shape[1])


def _squared(places: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Places in 0..65535; the outermost thousandths lie at the border, or a few would press the rest together."""
    low, high = np.quantile(places, [0.001, 0.999], axis=0)
    spread = np.where(high > low, high - low, np.inf)  # faces that all lie at one place lie in the middle
    share = np.where(high > low, (places - low) / spread, 0.5)
    return np.asarray(np.clip(share, 0, 1) * _SIDE).astype(np.uint16)


def show_map(made: FeatureMap, codes: NDArray[Any], words: Sequence[str], only: str | None) -> NDArray[np.int64] | None:
    """Draw the map, and tell which rows were selected on it.

    Args:
        codes: of the label of each row of the manifest; -1 for none.
        words: what they stand for.
        only: draw the faces of this label only; None draws all.

    Returns:
        int64 [M] rows inside what was drawn, of the label asked for; None while nothing is drawn.
    """
    shown = codes[made.rows] == words.index(only) if only is not None else np.ones(len(made.rows), dtype=bool)
    data = {
        "places": base64.b64encode(np.ascontiguousarray(made.places[shown], dtype="<u2").tobytes()).decode(),
        "codes": base64.b64encode(codes[made.rows][shown].astype(np.int8).tobytes()).decode(),
        "words": list(words),
    }
    _component(key=KEY, data=data, on_polygon_change=_heard)
    said = st.session_state.get(KEY)
    polygon = said.get("polygon") if said else None
    if not is_polygon(polygon):
        return None
    rows = made.inside(polygon)
    return rows if only is None else rows[codes[rows] == words.index(only)]


def is_polygon(value: Any) -> TypeGuard[list[list[float]]]:
    """Whether what a browser sent is a list of three corners or more, each two finite numbers."""
    if not isinstance(value, list) or len(value) < 3:
        return False
    pairs = all(isinstance(corner, list) and len(corner) == 2 for corner in value)
    return pairs and all(isinstance(x, int | float) and abs(x) <= 2 * _SIDE for corner in value for x in corner)


def _heard() -> None:
    """Streamlit hands a component's value on only where somebody listens."""
