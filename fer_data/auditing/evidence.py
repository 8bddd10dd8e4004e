"""What an audit knows about the labelled faces: how classifiers judged them, and what they were trained to say.

`fer predict` writes three things that belong together:

    predictions/<name>.parquet              one row per face: sample_id, fold, given_label, p_<label>
    predictions/<name>.repeats/<r>.parquet  one per repeat of the folding, see `Repeat`

The first alone is enough for an audit (probabilities from elsewhere); the repeats add features and training
dynamics.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from fer_data import tables
from fer_data.errors import FerError
from fer_data.expressions import label_indices
from fer_data.manifest import Manifest

Labels = NDArray[np.int64]
Probabilities = NDArray[np.float64]
Floats = NDArray[np.float32]
Rows = NDArray[np.bool_] | NDArray[np.int64]

UNTRAINED = -1


@dataclass(frozen=True)
class Repeat:
    """One repeat of the folding: each face judged by the one classifier that did not train on it.

    Attributes:
        fold: int16 [N], which classifier judged a face; features are comparable within a fold only.
        probabilities: float32 [N, K], out of fold, not calibrated, rows sum to 1.
        trained_label: int64 [N], what the other folds' classifiers were told: the given label, another where
            noise was planted, `UNTRAINED` where they never trained on the face (val and test rows).
        features: float32 [N, F], what the last layer of the judging classifier saw; None if not kept.
        seen: float32 [N, K], mean probabilities by the classifiers that did train on the face, at their end;
            NaN rows where untrained; None if not kept.
        margins: float32 [N, E], logit of the trained label minus the largest other, mean over the classifiers that
            trained on the face, in E equal stretches of the training; NaN rows where untrained; None if not kept.
            Their mean is the area under the margin (Pleiss et al., NeurIPS 2020).
    """

    fold: NDArray[np.int16]
    probabilities: Floats
    trained_label: Labels
    features: Floats | None = None
    seen: Floats | None = None
    margins: Floats | None = None

    @property
    def trained(self) -> NDArray[np.bool_]:
        """Which faces were trained on by the other folds, bool [N]."""
        return np.asarray(self.trained_label != UNTRAINED)

    def take(self, rows: Rows) -> "Repeat":
        """These faces only."""
        return replace(
            self,
            fold=self.fold[rows],
            probabilities=self.probabilities[rows],
            trained_label=self.trained_label[rows],
            features=None if self.features is None else self.features[rows],
            seen=None if self.seen is None else self.seen[rows],
            margins=None if self.margins is None else self.margins[rows],
        )


@dataclass(frozen=True)
class Evidence:
    """N labelled faces and what is known about them; nothing here knows their truth.

    Attributes:
        names: the K labels, in the order of columns and indices.
        sample_ids: object [N].
        labels: int64 [N], the given labels, 0..K-1.
        probabilities: float64 [N, K], out of fold, mean over repeats, calibrated; rows sum to 1.
        groups: int64 [N]; faces of one group are twins or one person, never independent.
        repeats: what each repeat saw; empty where only probabilities are known.
    """

    names: tuple[str, ...]
    sample_ids: NDArray[np.object_]
    labels: Labels
    probabilities: Probabilities
    groups: NDArray[np.int64]
    repeats: tuple[Repeat, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Rows) -> "Evidence":
        """These faces only."""
        return replace(
            self,
            sample_ids=self.sample_ids[rows],
            labels=self.labels[rows],
            probabilities=self.probabilities[rows],
            groups=self.groups[rows],
            repeats=tuple(repeat.take(rows) for repeat in self.repeats),
        )

    def relabelled(self, labels: Labels) -> "Evidence":
        """The same faces under other given labels."""
        return replace(self, labels=labels)


def repeats_folder(predictions: Path) -> Path:
    """Where the repeats lie that belong to a predictions table."""
    return predictions.with_name(f"{predictions.stem}.repeats")


def read_evidence(manifest: Manifest, predictions: Path) -> tuple[Evidence, dict[str, Any]]:
    """What is known about the labelled faces that a predictions table judges.

    Returns:
        The evidence, in the manifest's order; and the table's metadata, with `left_out_unlabelled` added: how many
        of its faces have no label to judge.

    Raises:
        FerError: the predictions do not fit the manifest or are no probabilities, or a repeat does not fit them.
    """
    table, metadata = tables.read_table(predictions, kind="predictions")
    probabilities = read_probabilities(table, manifest.labels, str(predictions))
    judged = _judged_rows(manifest, table["sample_id"].to_pandas(), predictions)
    known = np.argsort(judged, kind="stable")[int((judged < 0).sum()) :]
    rows = manifest.frame.iloc[judged[known]]
    evidence = Evidence(
        names=tuple(manifest.labels),
        sample_ids=rows["sample_id"].to_numpy(dtype=object),
        labels=label_indices(rows["label"], manifest.label_set),
        probabilities=probabilities[known],
        groups=rows["group_id"].to_numpy(),
        repeats=_read_repeats(predictions, table, known, manifest.labels),
    )
    return evidence, {**metadata, "left_out_unlabelled": len(judged) - len(known)}


def read_probabilities(table: pa.Table, names: Sequence[str], where: str) -> Probabilities:
    """The columns p_<label> of a predictions table, float64 [N, K] in the order of `names`; rows sum to 1.

    Raises:
        FerError: there are columns for other labels, or a row is not a distribution (NaN, negative, wrong sum).
    """
    wanted = [f"p_{name}" for name in names]
    found = [name for name in table.column_names if name.startswith("p_")]
    if set(found) != set(wanted) or "sample_id" not in table.column_names:
        raise FerError(
            f"{where}: expected the columns sample_id, {', '.join(wanted)}, found "
            f"{', '.join(table.column_names)}; predict again with the label set of this manifest"
        )
    probabilities = _matrix(table, wanted).astype(np.float64)
    rules = {
        "a number": np.isfinite(probabilities).all(axis=1),
        "0 or more": (probabilities >= 0).all(axis=1),
        "probabilities that sum to 1": np.abs(probabilities.sum(axis=1) - 1) < 1e-3,
    }
    for rule, kept in rules.items():
        if not kept.all():
            row = int(np.flatnonzero(~kept)[0])
            values = ", ".join(f"{value:.4g}" for value in probabilities[row])
            raise FerError(
                f"{where}: expected {rule} in every row, found {int((~kept).sum())} rows that break this "
                f"(first: {table['sample_id'][row].as_py()}: {values}); predict again"
            )
    normalized: Probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
    return normalized


def _read_repeats(predictions: Path, table: pa.Table, known: Labels, names: Sequence[str]) -> tuple[Repeat, ...]:
    folder = repeats_folder(predictions)
    files = sorted(folder.glob("*.parquet"), key=lambda file: int(file.stem)) if folder.is_dir() else []
    repeats = []
    for file in files:
        part, _ = tables.read_table(file, kind="repeat")
        if not part["sample_id"].equals(table["sample_id"]):
            raise FerError(
                f"{file}: expected the faces of {predictions.name} in the same order, found others; remove the folder "
                f"{folder.name}, or predict again with --replace"
            )
        repeats.append(read_repeat(part, names).take(known))
    return tuple(repeats)


def read_repeat(part: pa.Table, names: Sequence[str]) -> Repeat:
    """One repeat from its table, all rows.

    Args:
        names: the K labels, in the order of columns and indices.
    """
    code = {name: index for index, name in enumerate(names)} | {None: UNTRAINED}
    return Repeat(
        fold=part["fold"].to_numpy().astype(np.int16),
        probabilities=_matrix(part, [f"p_{name}" for name in names]),
        trained_label=np.asarray([code[name] for name in part["trained_label"].to_pylist()], dtype=np.int64),
        features=_vectors(part, "features"),
        seen=_matrix(part, [f"seen_{name}" for name in names]) if f"seen_{names[0]}" in part.column_names else None,
        margins=_vectors(part, "margins"),
    )


def _matrix(table: pa.Table, columns: Sequence[str]) -> Floats:
    return np.stack([table[name].to_numpy(zero_copy_only=False).astype(np.float32) for name in columns], axis=1)


def _vectors(table: pa.Table, column: str) -> Floats | None:
    """A column of lists of equal length as a matrix; None where there is no such column."""
    if column not in table.column_names:
        return None
    lists = table[column].combine_chunks()
    values = lists.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    return np.asarray(values.reshape(len(table), -1))


def _judged_rows(manifest: Manifest, sample_ids: "pd.Series[str]", path: Path) -> Labels:
    """Manifest position of each prediction, int64 [N]; -1 where the row has no label to judge."""
    frame = manifest.frame
    if sample_ids.duplicated().any():
        first = sample_ids[sample_ids.duplicated()].iloc[0]
        raise FerError(f"{path}: expected one row per face, found {first} more than once; predict again")
    positions = pd.Index(frame["sample_id"]).get_indexer(pd.Index(sample_ids)).astype(np.int64)
    extra = positions < 0
    if extra.any():
        raise FerError(
            f"{path}: expected faces of {manifest.path}, found {int(extra.sum())} rows that it does not have "
            f"(first: {sample_ids[extra].iloc[0]}); predict for this manifest"
        )
    labelled = frame["label"].notna().to_numpy(dtype=bool)
    splits = frame["split"].fillna("none")
    covered = splits.isin(splits.iloc[positions].unique()).to_numpy(dtype=bool)
    missing = labelled & covered & (frame["origin"] != "synthetic").to_numpy(dtype=bool)
    missing[positions] = False
    if missing.any():
        raise FerError(
            f"{path}: expected every labelled face of its splits, found {int(missing.sum())} missing "
            f"(first: {frame.loc[missing, 'sample_id'].iloc[0]}); predict for this manifest"
        )
    return np.where(labelled[positions], positions, -1)
