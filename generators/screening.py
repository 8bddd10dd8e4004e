"""Screen synthetic faces: drop what a judge contradicts, what is blank, and what copies a face or another sample.

The judge is a classifier that never saw a synthetic face. What counts as a copy is calibrated on real faces: a
held-out face is no copy of a training face, so the threshold lies where at most 1 % of them would be called one.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from fer_data import links, tables
from fer_data import manifest as manifests
from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.expressions import label_indices
from fer_data.files import refuse_existing
from fer_data.manifest import Manifest, manifest_path
from fer_data.progress import SILENT, Reporter
from fer_data.project import relative
from generators.copies import CopyDetector, Views, fit_detector, look


class Judge(Protocol):
    """A trained classifier of expressions.

    Attributes:
        labels: its classes, in the order of its probabilities.
    """

    @property
    def labels(self) -> Sequence[str]: ...

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 [N, C, S, S] to float32 [N, K], rows sum to 1."""
        ...

    def features(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 [N, C, S, S] to float32 [N, F]."""
        ...


class ScreenConfig(Configuration):
    """What is dropped."""

    minimum_p: float = Field(0.0, ge=0, le=1)  # judge's probability of the asked label, beside being its first choice
    minimum_contrast: float = Field(4.0, ge=0)  # standard deviation of grey levels 0..255; less is blank
    false_copies: float = Field(0.01, gt=0, lt=1)  # share of held-out real faces that may be called copies
    size_px: int = Field(48, ge=16)  # pictures are compared at this size
    calibration_faces: int = Field(2000, ge=1)  # at most this many held-out faces


def screen(
    synthetic: Manifest,
    training: Manifest,
    judge: Judge,
    out: str | Path,
    config: ScreenConfig,
    reporter: Reporter = SILENT,
    *,
    replace: bool = False,
) -> tuple[Manifest, Path]:
    """Drop faces that the judge contradicts, that are blank, or that copy a training face or an earlier sample.

    Args:
        synthetic: what `generators.sampling.generate` wrote.
        training: the manifest that the generator was trained on.
        judge: a classifier that saw neither synthetic faces nor, if it is to be quoted, the test split.
        out: the screened manifest; the table lies beside it as `<out>.screening.parquet`.

    Returns:
        The manifest of kept rows, and the table of kind "screening" (one row per synthetic face: keep, reason,
        judge_label, judge_p, nearest_sample_id, and the scores label_score, blank_score, copy_score and
        sibling_score in 0..1, low = bad); its metadata tells the yield per cell and the calibration.

    Raises:
        FerError: `out` exists; label sets differ; no faces to screen or none to compare with.
    """
    out = manifest_path(out)
    table_path = out.with_suffix(".screening.parquet")
    for path in (out, table_path):
        refuse_existing(path, replace=replace)
    _require_same_labels(synthetic, training, judge)
    with reporter.stage("judging synthetic faces", 3) as stage:
        pictures = synthetic.pictures(config.size_px, _channels(synthetic))
        probabilities = judge.probabilities(pictures)
        samples = look(pictures, judge.features)
        stage.advance(note="comparing with training faces")
        faces, face_ids, held_out, source = _reference_faces(training, judge, _channels(training), config)
        stage.advance()
        detector = fit_detector(faces, held_out, config.false_copies)
        table = _verdicts(synthetic, pictures, probabilities, samples, face_ids, detector, config)
        stage.advance()
    facts = synthetic.facts(["occlusion", "light"])
    metadata = tables.provenance(
        "screening",
        "fer screen",
        configuration=config.model_dump(mode="json"),
        parents=_parents(synthetic, training),
        calibration={"faces": source, "count": len(held_out), "flagged": detector.false_rate},
        reasons={str(reason): int(count) for reason, count in table["reason"].value_counts().items()},
        cells=cell_yield(table["given_label"], facts, table["keep"]),
    )
    tables.write_table(table_path, pa.Table.from_pandas(table, preserve_index=False), metadata, replace=replace)
    kept = manifests.write(
        synthetic.frame[table["keep"].to_numpy()].reset_index(drop=True),
        out,
        label_set=synthetic.label_set,
        command="fer screen",
        licence=synthetic.metadata["licence"],
        parents=_parents(synthetic, training),
        configuration=config.model_dump(mode="json"),
        replace=replace,
        screening=relative(table_path, synthetic.root),
    )
    return kept, table_path


def cell_yield(labels: "pd.Series[Any]", facts: pd.DataFrame, keep: "pd.Series[Any]") -> list[dict[str, Any]]:
    """Faces made and kept per (label, occlusion, light), in order of first appearance; null is unknown."""
    frame = pd.DataFrame({"label": labels, "occlusion": facts["occlusion"], "light": facts["light"], "keep": keep})
    frame = frame.astype(object).where(frame.notna(), None)
    groups = frame.groupby(["label", "occlusion", "light"], dropna=False, sort=False)["keep"]
    return [
        {
            "label": label,
            "occlusion": occlusion if occlusion == occlusion else None,
            "light": light if light == light else None,
            "made": len(kept),
            "kept": int(kept.sum()),
        }
        for (label, occlusion, light), kept in groups
    ]


def _require_same_labels(synthetic: Manifest, training: Manifest, judge: Judge) -> None:
    if tuple(judge.labels) != synthetic.labels:
        raise FerError(
            f"{synthetic.path}: expected a judge of its labels ({', '.join(synthetic.labels)}), "
            f"found one of {', '.join(judge.labels)}; train one on this label set"
        )
    if training.label_set != synthetic.label_set:
        raise FerError(
            f"{training.path}: expected the label set {synthetic.label_set} of the synthetic faces, "
            f"found {training.label_set}; give the manifest that the generator was trained on"
        )
    if not len(synthetic):
        raise FerError(f"{synthetic.path}: expected synthetic faces to screen, found no rows; generate some first")


def _reference_faces(
    training: Manifest, judge: Judge, channels: int, config: ScreenConfig
) -> tuple[Views, NDArray[Any], Views, str]:
    """Training faces, their ids, and held-out faces for calibration: those of validation, else training faces."""
    frame = training.frame
    real = (frame["origin"] != "synthetic").to_numpy()
    in_train = (frame["split"] == "train").to_numpy() & real
    if in_train.sum() < 2:
        raise FerError(f"{training.path}: expected training faces to compare with, found {in_train.sum()}")
    rows = np.flatnonzero(in_train)
    faces = look(training.pictures(config.size_px, channels, in_train), judge.features)
    faces = faces.with_groups(frame["group_id"].to_numpy()[rows])
    ids = frame["sample_id"].to_numpy()[rows]
    twins = links.twins_across(training, "val", ("train",)) | links.crossing_groups(training)
    apart = (frame["split"] == "val").to_numpy() & real & ~twins
    random = np.random.default_rng([0, int(apart.sum())])
    if apart.sum() * config.false_copies >= 1:
        chosen = np.zeros(len(frame), dtype=bool)
        chosen[_some(np.flatnonzero(apart), config.calibration_faces, random)] = True
        return faces, ids, look(training.pictures(config.size_px, channels, chosen), judge.features), "validation"
    chosen_rows = _some(np.arange(len(rows)), config.calibration_faces, random)
    return faces, ids, faces.take(chosen_rows), "training faces against those of other groups"


def _some(rows: NDArray[np.int64], count: int, random: np.random.Generator) -> NDArray[np.int64]:
    return rows if len(rows) <= count else np.sort(random.choice(rows, count, replace=False))


def _verdicts(
    synthetic: Manifest,
    pictures: NDArray[np.uint8],
    probabilities: NDArray[np.float32],
    samples: Views,
    face_ids: NDArray[Any],
    detector: CopyDetector,
    config: ScreenConfig,
) -> pd.DataFrame:
    frame = synthetic.frame.reset_index(drop=True)
    asked = label_indices(frame["label"], synthetic.label_set)
    first = probabilities.argmax(axis=1)
    p = probabilities[np.arange(len(asked)), asked]
    contrast = pictures.astype(np.float32).std(axis=(1, 2, 3))
    blank = contrast < config.minimum_contrast
    contradicted = (first != asked) | (p < config.minimum_p)
    distance, nearest = detector.nearest_face(samples)
    copied = detector.is_copy(distance)
    candidates = ~(blank | contradicted | copied)
    sibling_distance, sibling = detector.earlier_sibling(samples, candidates)
    repeated = candidates & detector.is_copy(sibling_distance)
    reason = np.select(
        [blank, contradicted, copied, repeated],
        ["blank", "the judge disagrees", "near-copy of a training face", "near-copy of another sample"],
        "",
    )
    ids = frame["sample_id"].to_numpy()
    return pd.DataFrame(
        {
            "sample_id": ids,
            "given_label": frame["label"],
            "keep": reason == "",
            "reason": pd.Series(reason, dtype=object).where(reason != "", None),
            "judge_label": np.asarray(synthetic.labels, dtype=object)[first],
            "judge_p": p.astype(np.float32),
            "label_score": np.where(first == asked, p, np.minimum(p, 1 - probabilities.max(axis=1))),
            "is_label_issue": contradicted,
            "blank_score": np.minimum(1, contrast / max(2 * config.minimum_contrast, 1e-6)),
            "is_blank": blank,
            "nearest_sample_id": face_ids[nearest],
            "copy_score": detector.score(distance),
            "is_copy": copied,
            "sibling_sample_id": np.where(repeated, ids[sibling], None),
            "sibling_score": detector.score(sibling_distance),
            "is_repeated": repeated,
        }
    )


def _channels(manifest: Manifest) -> int:
    """1 where every picture is grey, else 3."""
    modes = manifest.facts(["mode"])["mode"]
    return 1 if (modes == "L").all() else 3


def _parents(*parents: Manifest) -> dict[str, str]:
    return {relative(parent.path, parent.root): parent.sha256 for parent in parents}
