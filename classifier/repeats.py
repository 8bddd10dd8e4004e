"""One repeat of the folding: every face judged once by a classifier that did not train on it.

The tables, of kind "repeat", are what `fer_data.auditing.evidence.Repeat` reads: sample_id, fold, trained_label,
p_<label> (out of fold), seen_<label> and margins (by the classifiers that trained on the face), features.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from classifier.data import load_faces
from classifier.dynamics import read_margins
from classifier.folds import assign_folds, train_folds, trainable_rows
from classifier.prediction import Classifier, load_classifier
from classifier.recipe import TrainConfig
from fer_data import tables
from fer_data.auditing.evidence import UNTRAINED, Repeat
from fer_data.auditing.planting import plant
from fer_data.manifest import Manifest
from fer_data.progress import Reporter

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Pool:
    """The rows that get predictions, n of them.

    Attributes:
        rows: bool, one per row of the manifest.
        ids: object [n].
        classes: int64 [n], index of the given label, `UNTRAINED` where there is none.
        trainable: bool [n], rows that the classifiers of other folds train on.
        images: uint8 [n, C, S, S].
    """

    manifest: Manifest
    rows: NDArray[np.bool_]
    ids: NDArray[np.object_]
    classes: Labels
    trainable: NDArray[np.bool_]
    images: NDArray[np.uint8]


@dataclass(frozen=True)
class RepeatPlan:
    """Which repeat is made, and how.

    Attributes:
        number: counted from 0.
        folds: how many.
        planted: share of the trained labels that are made wrong.
        train: how each classifier is trained.
        seed: of folding and planting.
        title: what its progress is called.
    """

    number: int
    folds: int
    planted: float
    train: TrainConfig
    seed: int
    title: str


def make_repeat(
    pool: Pool, plan: RepeatPlan, before: Sequence[Repeat], run_dir: Path, reporter: Reporter, *, replace: bool
) -> Path:
    """Train the classifiers of one repeat and keep how they judge; a finished one is taken as it is.

    Args:
        before: the repeats before it, whose estimate of the noise says what is planted.

    Returns:
        `run_dir/repeat-<number>.parquet`.
    """
    manifest, file = pool.manifest, run_dir / f"repeat-{plan.number}.parquet"
    told = _told(pool, plan, before)
    changed = told != np.where(pool.trainable, pool.classes, UNTRAINED)
    identity = {
        "manifest_sha256": manifest.sha256,
        "configuration": plan.train.model_dump(mode="json"),
        **{key: getattr(plan, key) for key in ("number", "folds", "planted", "seed")},
        "planted_labels": int(changed.sum()),
    }
    if file.is_file() and _identity(file, identity) == identity:
        return file
    faces = load_faces(manifest, trainable_rows(manifest), plan.train.size_px, plan.train.channels)
    faces = faces.relabelled(dict(zip(pool.ids[changed], told[changed], strict=True)))
    folds = assign_folds(manifest, pool.rows, plan.folds, plan.seed)
    judged = _Judgements(pool, told, folds, len(manifest.labels))
    seconds = 0.0
    training = train_folds(
        manifest, pool.rows, folds, faces, plan.train, run_dir / f"repeat-{plan.number}", reporter,
        title=plan.title, replace=replace,
    )  # fmt: skip
    for held, learnt, checkpoint in training:
        started, classifier = time.perf_counter(), load_classifier(checkpoint)
        judged.add(classifier, held, [faces.sample_ids[row] for row in np.flatnonzero(learnt)], checkpoint)
        seconds += classifier.description["chosen"]["seconds"] + time.perf_counter() - started
    facts = {**identity, "seconds": round(seconds, 1), "accuracy": judged.accuracy(), "label_set": manifest.label_set}
    return tables.write_table(
        file, judged.table(manifest.labels), tables.provenance("repeat", "predict", **facts), replace=True
    )


class _Judgements:
    """What the classifiers of one repeat say of the pool, gathered fold by fold."""

    def __init__(self, pool: Pool, told: Labels, folds: Labels, classes: int) -> None:
        self.pool, self.told, self.folds = pool, told, folds
        self.index = pd.Index(pool.ids)
        self.probabilities = np.zeros((len(folds), classes), dtype=np.float32)
        self.seen = np.zeros_like(self.probabilities)
        self.times_seen = np.zeros(len(folds), dtype=np.float32)
        self.features: Floats | None = None
        self.margins: tuple[Floats, Floats] | None = None  # sums and counts, [n, E] each

    def add(self, classifier: Classifier, held: NDArray[np.bool_], learnt_ids: Sequence[str], checkpoint: Path) -> None:
        """One classifier: it judges the faces of its fold, and tells how it sees those it trained on."""
        probabilities, features = classifier.judge(self.pool.images)
        self.probabilities[held] = probabilities[held]
        if self.features is None:
            self.features = np.zeros((len(held), features.shape[1]), dtype=np.float32)
        self.features[held] = features[held]
        places = self.index.get_indexer(pd.Index(learnt_ids))
        here = places >= 0
        learnt = np.unique(places[here])
        self.seen[learnt] += probabilities[learnt]
        self.times_seen[learnt] += 1
        if classifier.description["configuration"]["dynamics"]:
            self._add_margins(places[here], read_margins(checkpoint)[here])

    def table(self, names: Sequence[str]) -> pa.Table:
        """The table of kind "repeat"; where no fold trained on a face, what speaks of its training is null."""
        told = pa.array([None if code == UNTRAINED else names[code] for code in self.told], pa.string())
        with np.errstate(invalid="ignore"):
            seen = self.seen / self.times_seen[:, None]
        columns: dict[str, Any] = {
            "sample_id": pa.array(self.pool.ids, pa.string()),
            "fold": pa.array(self.folds, pa.int16()),
            "trained_label": told,
            **{f"p_{name}": self.probabilities[:, index] for index, name in enumerate(names)},
            **{f"seen_{name}": seen[:, index] for index, name in enumerate(names)},
        }
        if self.margins is not None:
            columns["margins"] = _lists(_means(*self.margins))
        if self.features is not None:
            columns["features"] = _lists(self.features)
        return pa.table(columns)

    def accuracy(self) -> float:
        """How often the out-of-fold prediction is the given label."""
        known = self.pool.classes != UNTRAINED
        return round(float((self.probabilities.argmax(axis=1) == self.pool.classes)[known].mean()), 4)

    def _add_margins(self, places: Labels, margins: Floats) -> None:
        if self.margins is None:
            shape = (len(self.told), margins.shape[1])
            self.margins = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
        known = np.isfinite(margins)
        np.add.at(self.margins[0], places, np.where(known, margins, 0))
        np.add.at(self.margins[1], places, known)


def _told(pool: Pool, plan: RepeatPlan, before: Sequence[Repeat]) -> Labels:
    """What the classifiers are told of each face, int64 [n]: the given label, a planted one, or `UNTRAINED`."""
    told = np.where(pool.trainable, pool.classes, UNTRAINED)
    known = np.flatnonzero(told != UNTRAINED)
    if plan.planted and len(known):
        probabilities = np.mean([repeat.probabilities[known] for repeat in before], axis=0) if before else None
        told[known] = plant(told[known], probabilities, plan.planted, plan.seed, len(pool.manifest.labels))
    return told


def _identity(file: Path, wanted: Mapping[str, Any]) -> dict[str, Any]:
    metadata = tables.read_metadata(file, kind="repeat")
    return {key: metadata.get(key) for key in wanted}


def _means(sums: Floats, counts: Floats) -> Floats:
    """Mean margins, float32 [n, E]; a stretch in which a face did not come by takes the face's mean."""
    with np.errstate(invalid="ignore"):
        means = sums / counts
        whole = sums.sum(axis=1) / counts.sum(axis=1)
    return np.where(np.isfinite(means), means, whole[:, None])


def _lists(matrix: Floats) -> pa.Array:
    """Rows of a matrix as lists of half-precision numbers: a fourth digit is noise here."""
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.astype(np.float16).ravel()), matrix.shape[1])
