"""Judge faces: a loaded classifier, plain predictions, and out-of-fold predictions for the audit.

Tables that this module makes:

    predictions   sample_id, fold (null where not out of fold), given_label, p_<label>…
    features      sample_id, features (list of float32)
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from pydantic import Field

from classifier import inference
from classifier.checkpoints import checkpoint_folder, read_checkpoint
from classifier.data import to_view
from classifier.folds import assign_folds, pool_rows, train_folds
from classifier.models import build_model
from classifier.recipe import TrainConfig
from fer_data import tables
from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.files import refuse_existing
from fer_data.manifest import Manifest
from fer_data.progress import SILENT, Reporter
from fer_data.project import relative

Floats = NDArray[np.float32]


class PredictConfig(Configuration):
    """How out-of-fold predictions are made. They cost folds × repeats trainings."""

    splits: tuple[Literal["train", "val", "test"], ...] = (
        "train",
    )  # whose rows get predictions; a manifest without splits gets them everywhere
    folds: int = Field(4, ge=2)
    repeats: int = Field(1, ge=1)  # further foldings; the probabilities are averaged
    train: TrainConfig = TrainConfig(epochs=8)  # the weights of its last step judge: nothing is chosen
    seed: int = Field(0, ge=0)  # of the folding; repeat r takes seed + r


class Classifier:
    """A trained classifier.

    Attributes:
        labels: its K labels, in the order of its probabilities.
        description: what its checkpoint says about it.
        size_px, channels: the pictures that it looks at; others are brought to that.
    """

    def __init__(self, folder: Path, device: str | None = None) -> None:
        state, self.description = read_checkpoint(folder)
        self.labels: tuple[str, ...] = tuple(self.description["labels"])
        config = self.description["configuration"]
        self.size_px, self.channels = config["size_px"], config["channels"]
        self._mirror = config["mirror_average"]
        model = build_model(config["model"], len(self.labels), self.channels, self.size_px)
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            raise FerError(f"{folder}: expected the weights of {config['model']}, found others ({error})") from None
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._model = model.to(self._device, memory_format=torch.channels_last).eval()

    def probabilities(self, images: NDArray[np.uint8]) -> Floats:
        """Probabilities of `labels`, float32 [N, K], rows sum to 1.

        Args:
            images: uint8 [N, C, H, W], C = 1 or 3, of any size.
        """
        return inference.probabilities(self._model, self._view(images), mirror=self._mirror).numpy()

    def features(self, images: NDArray[np.uint8]) -> Floats:
        """What the last layer sees, float32 [N, F]; arguments as for `probabilities`."""
        return inference.features(self._model, self._view(images), mirror=self._mirror).numpy()

    def _view(self, images: NDArray[np.uint8]) -> torch.Tensor:
        if images.ndim != 4 or images.shape[1] not in (1, 3) or images.dtype != np.uint8:
            raise FerError(
                f"classifier: expected pictures uint8 [N, 1 or 3, H, W], found {images.dtype} {list(images.shape)}"
            )
        return to_view(torch.from_numpy(np.ascontiguousarray(images)), self.size_px, self.channels)


def load_classifier(checkpoint: Path) -> Classifier:
    """The classifier in a checkpoint folder, or in the folder of a finished run.

    Raises:
        FerError: there is none, or its files are damaged.
    """
    inner = checkpoint_folder(checkpoint)
    return Classifier(inner if inner.is_dir() else checkpoint)


def predict_with(
    checkpoint: Path, manifest: Manifest, rows: NDArray[np.bool_], out: Path, *, replace: bool = False
) -> Path:
    """Write one classifier's predictions for some rows of a manifest.

    Args:
        rows: bool, one per row of the manifest.

    Returns:
        The predictions table; `features_path` tells where the features lie.

    Raises:
        FerError: `out` exists, no rows, or the classifier knows other labels than the manifest.
    """
    refuse_existing(out, replace=replace)
    classifier = load_classifier(checkpoint)
    if classifier.labels != manifest.labels:
        raise FerError(
            f"{checkpoint}: expected a classifier of {manifest.label_set} ({', '.join(manifest.labels)}), found one "
            f"of {', '.join(classifier.labels)}; train one on this manifest"
        )
    if not rows.any():
        raise FerError(f"{manifest.path}: expected rows to predict, found none; choose other splits")
    images = manifest.pictures(classifier.size_px, classifier.channels, rows)
    judged = classifier.probabilities(images)
    facts = {"out_of_fold": False, "checkpoints": [relative(checkpoint, manifest.root)]}
    return _write(out, manifest, rows, None, judged, classifier.features(images), facts, replace=replace)


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
    fold and at the step where it was. The classifiers stay in `run_dir/fold-<k>`, where k counts on through
    the repeats; the column `fold` and the features come from the first.

    Returns:
        The predictions table; `features_path` tells where the features lie.

    Raises:
        FerError: `out` exists, synthetic rows, no rows in these splits, a class with fewer groups than folds,
            or what `classifier.training.train` refuses.
    """
    refuse_existing(out, replace=replace)
    rows = pool_rows(manifest, config.splits)
    images = manifest.pictures(config.train.size_px, config.train.channels, rows)
    foldings = [assign_folds(manifest, rows, config.folds, config.seed + number) for number in range(config.repeats)]
    judged = np.zeros((len(images), len(manifest.labels)), dtype=np.float32)
    seen: dict[int, Floats] = {}
    checkpoints = []
    for number, folds in enumerate(foldings):
        first, total = number * config.folds, config.repeats * config.folds
        trained = train_folds(
            manifest, rows, folds, config.train, run_dir, reporter, first=first, total=total, replace=replace
        )
        for held, checkpoint in trained:
            classifier = load_classifier(checkpoint)
            judged[held] += classifier.probabilities(images[held]) / np.float32(config.repeats)
            if number == 0:
                seen |= zip(np.flatnonzero(held).tolist(), classifier.features(images[held]), strict=True)
            checkpoints.append(relative(checkpoint, manifest.root))
    facts = {
        "out_of_fold": True,
        "checkpoints": checkpoints,
        "configuration": config.model_dump(mode="json"),
    }
    features = np.stack([seen[row] for row in range(len(images))])
    return _write(out, manifest, rows, foldings[0], judged, features, facts, replace=replace)


def features_path(predictions: Path) -> Path:
    """Where the features lie that belong to a predictions table."""
    return predictions.with_name(f"{predictions.stem}.features.parquet")


def _write(
    out: Path,
    manifest: Manifest,
    rows: NDArray[np.bool_],
    folds: NDArray[np.int64] | None,
    judged: Floats,
    features: Floats,
    facts: Mapping[str, Any],
    *,
    replace: bool,
) -> Path:
    part = manifest.frame[rows]
    ids = pa.array(part["sample_id"], pa.string())
    common = {
        "manifest": relative(manifest.path, manifest.root),
        "manifest_sha256": manifest.sha256,
        "label_set": manifest.label_set,
        **facts,
    }
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(features.ravel()), features.shape[1]).cast(
        pa.list_(pa.float32())
    )
    # The features first: where the predictions are, both are there.
    table = pa.table({"sample_id": ids, "features": vectors})
    tables.write_table(features_path(out), table, tables.provenance("features", "predict", **common), replace=True)
    columns = {
        "sample_id": ids,
        "fold": pa.nulls(len(part), pa.int16()) if folds is None else pa.array(folds, pa.int16()),
        "given_label": pa.array(part["label"], pa.string(), from_pandas=True),
        **{f"p_{label}": judged[:, index] for index, label in enumerate(manifest.labels)},
    }
    metadata = tables.provenance("predictions", "predict", **common)
    return tables.write_table(out, pa.table(columns), metadata, replace=replace)
