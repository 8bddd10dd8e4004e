"""The same question where the truth is known: labels are made wrong on purpose, and classifiers are trained on them.

Faces whose labels are right get wrong ones in three ways:

    symmetric   any face, any other label
    confusion   as FER-2013's labels are wrong against FER+: which labels, how often, and what the faces show
    look_alike  rather faces that lie among faces of another label, which they are then given: how people err

Nearness is that of features of classifiers which saw the right labels and not the face.
"""

import shutil
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from classifier.out_of_fold import PredictConfig, predict_out_of_fold
from experiments.audit_benchmark.methods import COMBINED, cleanlab_scores, combined_score
from experiments.audit_benchmark.paired import draw, judge
from experiments.audit_benchmark.truth import Truth
from fer_data.adapters import procedural
from fer_data.auditing.evidence import Evidence, read_evidence
from fer_data.auditing.neighbours import vote
from fer_data.configuration import Configuration, build
from fer_data.errors import FerError
from fer_data.expressions import label_indices
from fer_data.files import sha256_json
from fer_data.importing import import_dataset
from fer_data.manifest import Manifest, derive, manifest_path, read
from fer_data.progress import SILENT, Reporter
from fer_data.votes import reference_labels

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
Kind = Literal["symmetric", "confusion", "look_alike"]

KEPT = 5  # faces of a label that are never planted

FIGURES = ("auprc", "auroc", "precision_at_errors")


class PlantedConfig(Configuration):
    """What is planted and how the classifiers are trained; every cell costs `folds` trainings."""

    kinds: tuple[Kind, ...] = ("symmetric", "confusion", "look_alike")
    shares: tuple[float, ...] = (0.05, 0.1, 0.2, 0.4)  # of the labels
    faces: int = Field(3000, ge=40)  # of each source
    predict: dict[str, Any] = Field({})  # classifier.out_of_fold.PredictConfig
    bootstrap: int = Field(1000, ge=100)  # resamples of groups
    seed: int = Field(0, ge=0)  # of the faces, the planting and the resampling


def draw_faces(config: PlantedConfig, root: Path) -> Manifest:
    """Drawn faces with right labels, evenly many of each, all to train on, in a project folder; those that are there
    are taken.
    """
    plain = dict.fromkeys(("label_noise", "exact_duplicates", "near_duplicates", "blank", "not_a_face"), 0.0)
    asked = {"count": config.faces, "seed": config.seed, "classes": "balanced", **plain, "occlusions": {}, "lights": {}}
    options = build(procedural.Options, asked, "drawn faces")
    out = root / f"manifests/drawn-{config.faces}-{config.seed}"
    if manifest_path(out).is_file():
        return read(out)
    drawn = import_dataset(procedural, None, out.with_name(f"{out.name}-split"), options, replace=True).manifest
    return _with_words(drawn, "split", np.full(len(drawn), "train", dtype=object), out)


def clean_faces(manifest: Manifest, config: PlantedConfig, out: Path) -> Manifest:
    """Training faces whose label is that of most voters, a random share of them, as a manifest in the same project.

    Raises:
        FerError: there are fewer than asked for.
    """
    truth, _ = reference_labels(manifest)
    frame = manifest.frame
    splits = frame["split"].fillna("train")
    right = np.flatnonzero((truth == frame["label"].to_numpy()) & (splits == "train").to_numpy())
    if len(right) < config.faces:
        raise FerError(
            f"{manifest.path}: expected {config.faces} training faces whose label is the voters' majority, found "
            f"{len(right)}; lower `faces`, or import the votes"
        )
    rows = np.sort(np.random.default_rng(config.seed).permutation(right)[: config.faces])
    told = config.model_dump(mode="json")
    return derive(
        manifest, manifest.table.take(rows), out, command="plant", configuration=told, replace=True
    )  # fmt: skip


def judge_planted(
    faces: Manifest, config: PlantedConfig, work: Path, reporter: Reporter = SILENT
) -> Iterator[dict[str, Any]]:
    """Plant, train, score and judge, cell by cell.

    Args:
        faces: a manifest whose labels are right.
        work: folder for the classifiers; cells that stand there are not trained again. The planted manifests
            stand beside `faces`.

    Yields:
        JSON-able: kind, share, faces, errors, accuracy (out of fold, of the right labels), cleanlab (its best
        score), and for every figure the level of both and their paired difference.
    """
    predict = build(PredictConfig, config.predict, "predict")
    work = work / sha256_json([predict.model_dump(mode="json"), config.faces, config.seed, KEPT])[:12]
    right = label_indices(faces.frame["label"], faces.label_set)
    clean = _predicted(faces, predict, work / f"{faces.name}-clean", reporter)
    names = np.asarray(faces.labels, dtype=object)
    position = pd.Index(clean.sample_ids).get_indexer(pd.Index(faces.frame["sample_id"]))
    if (position < 0).any():
        raise FerError(
            f"{faces.path}: expected predictions of all {len(faces)} faces, found {len(clean)}; set predict.splits to "
            "all splits of the manifest"
        )
    for kind, share in product(config.kinds, config.shares):
        odds = noise_odds(kind, clean)[position]
        labels = plant_by_odds(right, odds, share, config.seed)
        name = f"{faces.name}-{kind}-{100 * share:g}"
        told = _with_words(faces, "label", names[labels], faces.path.with_name(name))
        evidence = _predicted(told, predict, work / name, reporter)
        yield {"kind": kind, "share": share, **_judge_cell(evidence, clean.labels, config)}


def noise_odds(kind: Kind, clean: Evidence) -> Array:
    """How likely each face is to get each wrong label, float64 [N, K], up to a factor; 0 for its own.

    Args:
        clean: faces under their right labels, with features where the kind is "look_alike".

    Raises:
        FerError: there are no features to tell look-alikes by.
    """
    classes = len(clean.names)
    odds: Array
    if kind == "symmetric":
        odds = np.ones((len(clean), classes))
    elif kind == "confusion":
        odds = _fer2013_confusion(clean.names, np.bincount(clean.labels, minlength=classes))[clean.labels]
    else:
        repeat = clean.repeats[0] if clean.repeats else None
        if repeat is None or repeat.features is None:
            raise FerError("look_alike: expected features to find look-alikes by, found none; predict with repeats")
        votes = np.nan_to_num(vote(repeat.features, clean.labels, repeat.fold, clean.groups, classes))
        votes[np.arange(len(clean)), clean.labels] = 0
        nearest = np.eye(classes)[votes.argmax(axis=1)]
        odds = votes * nearest
    odds[np.arange(len(clean)), clean.labels] = 0
    return odds


def plant_by_odds(labels: Labels, odds: Array, share: float, seed: int) -> Labels:
    """Labels of which a share is wrong, int64 [N].

    Faces are drawn without replacement with odds that are the sum of their row, by the largest of log odds plus
    Gumbel noise (Efraimidis & Spirakis, Information Processing Letters 97, 2006). Of every label `KEPT` faces stay as
    they are, so that it can be learnt.

    Args:
        labels: int64 [N], the right ones.
        odds: float64 [N, K], of every wrong label; a row of zeros keeps its label.
        share: of the labels, 0..1.
    """
    generator = np.random.default_rng(seed)
    total = odds.sum(axis=1)
    keys = np.log(np.maximum(total, 1e-300)) + generator.gumbel(size=len(labels))
    order = np.argsort(-keys, kind="stable")
    order = order[total[order] > 0]
    free = np.bincount(labels, minlength=odds.shape[1]) - KEPT
    before = (labels[order][:, None] == np.arange(odds.shape[1])).cumsum(axis=0)[np.arange(len(order)), labels[order]]
    chosen = order[before <= free[labels[order]]][: round(share * len(labels))]
    steps = odds[chosen].cumsum(axis=1)
    planted = labels.copy()
    planted[chosen] = (steps <= generator.random((len(chosen), 1)) * steps[:, -1:]).sum(axis=1)
    return planted


def _fer2013_confusion(names: tuple[str, ...], counts: NDArray[np.int64]) -> Array:
    """Odds that a face that shows one label (row) is given another (column), [K, K], as in FER-2013."""
    options = build(procedural.Options, {}, "drawn faces")
    rates = np.array([options.noise_rates.get(name, 0.0) for name in names])
    shown = np.array([[options.confusions.get(given, {}).get(true, 0.0) for true in names] for given in names])
    shown = shown / np.maximum(shown.sum(axis=1, keepdims=True), 1e-12)
    joint = (counts * rates)[:, None] * shown
    return np.asarray(joint.T / np.maximum(counts, 1)[:, None])


def _with_words(faces: Manifest, column: str, words: NDArray[np.object_], out: Path) -> Manifest:
    """The same rows with other values in one column, as another manifest."""
    schema = faces.table.schema
    place = schema.get_field_index(column)
    table = faces.table.set_column(place, schema.field(place), pa.array(words, pa.string()).cast(schema.types[place]))
    return derive(faces, table, out, command="plant", configuration={}, changed=(column,), replace=True)


def _predicted(faces: Manifest, config: PredictConfig, folder: Path, reporter: Reporter) -> Evidence:
    path = folder / "predictions.parquet"
    if not path.exists():
        predict_out_of_fold(faces, config, path, folder / "run", reporter)
        shutil.rmtree(folder / "run", ignore_errors=True)
    return read_evidence(faces, path)[0]


def _judge_cell(evidence: Evidence, right: Labels, config: PlantedConfig) -> Mapping[str, Any]:
    names = np.asarray(evidence.names, dtype=object)
    truth = Truth(evidence.names, evidence.labels, names[right], np.ones(len(evidence), dtype=bool))
    peers = cleanlab_scores(evidence.labels, evidence.probabilities)
    scores = {COMBINED: combined_score(evidence, config.seed), **peers}
    draws = draw(evidence.groups, 1, config.bootstrap, config.seed)
    judged = judge([scores], truth, draws, classes=False, reviews=False)
    best = judged.best(list(peers))
    return {
        "faces": len(evidence),
        "errors": int(truth.wrong.sum()),
        "accuracy": float((evidence.probabilities.argmax(axis=1) == right).mean()),
        "cleanlab": best,
        "figures": {
            figure: {
                "value": judged.level(COMBINED, figure),
                "cleanlab": judged.level(best, figure),
                "difference": judged.difference(COMBINED, best, figure),
            }
            for figure in FIGURES
        },
    }
