"""Out-of-fold predictions: each face judged by classifiers that were trained neither on it nor on its group.

They are what `fer_data.auditing.evidence` reads:

    <name>.parquet              sample_id, fold (of the first repeat), given_label, p_<label>
    <name>.repeats/<r>.parquet  what each repeat saw, see `classifier/repeats.py`
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from classifier.calibration import calibrate
from classifier.folds import pool_rows, trainable_rows
from classifier.recipe import TrainConfig
from classifier.repeats import Pool, RepeatPlan, make_repeat
from fer_data import tables
from fer_data.auditing.evidence import Repeat, read_repeat, repeats_folder
from fer_data.configuration import Configuration
from fer_data.expressions import label_indices
from fer_data.files import atomic_folder, refuse_existing
from fer_data.manifest import Manifest
from fer_data.progress import SILENT, Reporter
from fer_data.project import relative


class PredictConfig(Configuration):
    """How out-of-fold predictions are made. They cost folds × repeats trainings."""

    splits: tuple[Literal["train", "val", "test"], ...] = (
        "train",
    )  # whose rows get predictions; a manifest without splits gets them everywhere
    folds: int = Field(4, ge=2)
    repeats: int = Field(1, ge=1)  # foldings, each with a seed of its own; their probabilities are averaged
    minutes: float | None = Field(None, gt=0)  # no repeat begins that would, going by those before, end later
    models: tuple[str, ...] = ()  # networks that the repeats take by turns; none given: the one of `train`
    planted: float = Field(0.05, ge=0, lt=0.5)  # share of the labels that each repeat makes wrong while training
    calibration: Literal["none", "temperature", "vector"] = "temperature"  # of each fold, fitted on the other folds
    train: TrainConfig = TrainConfig(epochs=16)  # the weights of its last step judge: nothing is chosen
    least_steps: int = Field(600, ge=1)  # of a training; a small set is passed over more often than `epochs` says
    seed: int = Field(0, ge=0)  # of folding and planting; repeat r takes seed + r

    def plan(self, number: int, faces: int) -> RepeatPlan:
        """How repeat `number` is made of so many faces to train on."""
        models = self.models or (self.train.model,)
        steps = self.train.epochs * faces * (1 - 1 / self.folds) / self.train.batch_size
        train = self.train.model_copy(
            update={
                "model": models[number % len(models)],
                "seed": self.train.seed + self.folds * number,
                "steps": self.train.steps or (self.least_steps if steps < self.least_steps else None),
            }
        )
        title = "out-of-fold probabilities" + (f", repeat {number + 1}/{self.repeats}" if self.repeats > 1 else "")
        return RepeatPlan(number, self.folds, self.planted, train, self.seed + number, title)


def predict_out_of_fold(
    manifest: Manifest,
    config: PredictConfig,
    out: Path,
    run_dir: Path,
    reporter: Reporter = SILENT,
    *,
    replace: bool = False,
) -> Path:
    """Predict every row by classifiers that were trained neither on it nor on any member of its group.

    Rows of val and test may be predicted; they are never trained on. Run again after a kill, it goes on in the
    fold and at the step where it was. Finished repeats stay in `run_dir`, and are taken from there where the same
    configuration asks for more of them.

    A share of the labels is planted wrong while a repeat trains, other faces in each: from them the audit
    learns how a wrong label looks. The first repeat plants by chance, later ones by the confusion that those
    before show.

    Returns:
        The predictions table; `fer_data.auditing.evidence.read_evidence` reads it and its repeats.

    Raises:
        FerError: `out` exists, synthetic rows, no rows in these splits, a class with fewer groups than folds,
            or what `classifier.training.train` refuses.
    """
    refuse_existing(out, replace=replace)
    rows = pool_rows(manifest, config.splits)
    part = manifest.frame[rows]
    classes = label_indices(part["label"], manifest.label_set)
    pool = Pool(
        manifest=manifest,
        rows=rows,
        ids=part["sample_id"].to_numpy(dtype=object),
        classes=classes,
        trainable=trainable_rows(manifest)[rows] & (classes >= 0),
        images=manifest.pictures(config.train.size_px, config.train.channels, rows),
    )
    files: list[Path] = []
    repeats: list[Repeat] = []
    seconds: list[float] = []
    while len(files) < config.repeats and _in_time(seconds, config.minutes):
        plan = config.plan(len(files), int(pool.trainable.sum()))
        files.append(make_repeat(pool, plan, repeats, run_dir, reporter, replace=replace))
        table, metadata = tables.read_table(files[-1], kind="repeat")
        repeats.append(read_repeat(table, manifest.labels))
        seconds.append(metadata["seconds"])
    _keep_repeats(files, repeats_folder(out))
    return _write(pool, config, repeats, run_dir, sum(seconds), out, replace=replace)


def _in_time(seconds: Sequence[float], minutes: float | None) -> bool:
    """Whether one more repeat, as long as the mean of those before, still ends in time; the first always does."""
    return not seconds or minutes is None or sum(seconds) * (1 + 1 / len(seconds)) <= 60 * minutes


def _keep_repeats(files: Sequence[Path], folder: Path) -> None:
    """Copies of the repeats beside the predictions: the work folder may be thrown away."""
    with atomic_folder(folder, replace=True) as partial:
        for number, file in enumerate(files):
            shutil.copyfile(file, partial / f"{number}.parquet")


def _write(
    pool: Pool,
    config: PredictConfig,
    repeats: Sequence[Repeat],
    run_dir: Path,
    seconds: float,
    out: Path,
    *,
    replace: bool,
) -> Path:
    manifest = pool.manifest
    judged: NDArray[np.float64] = np.mean(
        [calibrate(repeat.probabilities, pool.classes, repeat.fold, config.calibration) for repeat in repeats], axis=0
    )
    given = manifest.frame.loc[pool.rows, "label"]
    columns: dict[str, Any] = {
        "sample_id": pa.array(pool.ids, pa.string()),
        "fold": pa.array(repeats[0].fold, pa.int16()),
        "given_label": pa.array(given, pa.string(), from_pandas=True),
        **{f"p_{label}": judged[:, index].astype(np.float32) for index, label in enumerate(manifest.labels)},
    }
    metadata = tables.provenance(
        "predictions",
        "predict",
        manifest=relative(manifest.path, manifest.root),
        manifest_sha256=manifest.sha256,
        label_set=manifest.label_set,
        out_of_fold=True,
        classifiers=relative(run_dir, manifest.root),
        configuration=config.model_dump(mode="json"),
        repeats=len(repeats),
        seconds=round(seconds, 1),
    )
    return tables.write_table(out, pa.table(columns), metadata, replace=replace)
