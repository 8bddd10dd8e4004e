"""Measure the fidelity of synthetic faces, and of real ones in their place, and keep the figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fer_data import tables
from fer_data.errors import FerError
from fer_data.files import read_json, refuse_existing, write_json
from fer_data.manifest import Manifest, manifest_path
from fer_data.progress import SILENT, Reporter
from fer_data.project import relative
from generators.contract import Judge
from generators.fidelity.agreement import ConditionJudge, require_known
from generators.fidelity.configuration import FidelityConfig
from generators.fidelity.estimates import Rows
from generators.fidelity.faces import GRADIENTS, JUDGE, Embeddings, Faces, keys_of, mix_of, read_faces
from generators.fidelity.measures import Marks, as_group
from generators.fidelity.reference import Reference, copied, judged, measured_size, memories, read_reference

KIND = "fidelity"


def measure_fidelity(
    synthetic: Manifest,
    real: Manifest,
    judge: Judge,
    config: FidelityConfig | None = None,
    reporter: Reporter = SILENT,
    *,
    condition_judge: ConditionJudge | None = None,
    embeddings: Embeddings | None = None,
    kept: Manifest | None = None,
    reference: Reference | None = None,
) -> dict[str, Any]:
    """Measure how true synthetic faces are; what the answer holds is told in `generators.fidelity`.

    Args:
        synthetic: the faces as drawn, before screening.
        real: the manifest that the generator was trained on, with its held-out faces.
        judge: a classifier that saw no synthetic face, steered none and screened none.
        condition_judge: tells occlusion and light.
        embeddings: further feature spaces by name, as `embeddings.load_embedding` makes them.
        kept: those of the faces that screening kept. What depends on the number of faces is then measured on equally
            many of both, so that drawn and kept compare.
        reference: `read_reference` of the same real faces, judges and configuration, to save its work.

    Raises:
        FerError: no faces, labels that the judge does not know, other label sets, kept faces that were not drawn, a
            reference to other faces, or no real faces to compare with.
    """
    config = config or FidelityConfig()
    _require_comparable(synthetic, real, judge)
    size_px = measured_size(config, real, synthetic)
    if reference is not None:
        _require_same(reference, real, judge, config, embeddings or {}, size_px)
    chosen = _kept_rows(synthetic, kept)
    if reference is None:
        reference = read_reference(
            real,
            judge,
            config,
            reporter,
            condition_judge=condition_judge,
            embeddings=embeddings,
            drawn=synthetic,
        )
    with reporter.stage("synthetic faces", 3) as stage:
        every = np.ones(len(synthetic), dtype=bool)
        faces = read_faces(synthetic, every, judge, embeddings or {}, size_px)
        stage.advance(1, "copies")
        marks = _marks(faces, reference, judge, condition_judge)
        stage.advance(1, "distances")
        drawn, screened = _groups(faces, marks, chosen, synthetic.labels, reference)
        stage.advance(1)
    return tables.provenance(
        KIND,
        "fer fidelity",
        synthetic=_named(synthetic),
        kept_faces=_named(kept) if kept is not None else None,
        real={**_named(real), "training": len(reference.training), "held_out": len(reference.held_out)},
        held_out=config.held_out,
        size_px=size_px,
        configuration=config.model_dump(mode="json"),
        features={space: {"width": points.shape[1]} for space, points in faces.points.items()},
        copy_detector={
            "threshold": reference.threshold,
            "calibrated_on": len(reference.apart),
            "left_out": len(reference.held_out) - len(reference.apart) - len(reference.marks.examined),
        },
        condition_judge=None if condition_judge is None else {"left_out": int((~reference.fresh).sum())},
        groups=drawn,
        kept=screened,
    )


def fidelity_path(synthetic: str | Path) -> Path:
    """Where the figures of a manifest lie: `<synthetic>.fidelity.json` beside it."""
    return manifest_path(synthetic).with_suffix(".fidelity.json")


def write_fidelity(path: Path, measured: dict[str, Any], *, replace: bool = False) -> Path:
    """Write what `measure_fidelity` returned.

    Raises:
        FerError: `path` exists and `replace` is false.
    """
    refuse_existing(path, replace=replace)
    write_json(path, measured)
    return path


def read_fidelity(path: Path) -> dict[str, Any]:
    """Read what `write_fidelity` wrote.

    Raises:
        FerError: missing, broken, or another file.
    """
    measured = read_json(path)
    if not isinstance(measured, dict) or measured.get("kind") != KIND:
        raise FerError(f"{path}: expected figures of kind {KIND!r}, found another file; make them with fer fidelity")
    return measured


def _marks(faces: Faces, reference: Reference, judge: Judge, condition_judge: ConditionJudge | None) -> Marks:
    every = np.arange(len(faces))
    likeness = reference.search.similarity(faces.thumbnails, faces.histograms)
    training, config = reference.training, reference.config
    return Marks(
        judged(faces.pictures, *faces.words(), judge, condition_judge),
        every,
        copied(faces.pictures, likeness, training, reference.threshold, config),
        memories(faces, every, training, reference.held_out, reference.apart, config.seed, reference.marks.memories),
    )


def _groups(
    faces: Faces, marks: Marks, kept: Rows | None, labels: Sequence[str], reference: Reference
) -> tuple[list[dict[str, Any]], list[dict[str, Any]] | None]:
    """The entries of all drawn faces and, where some were screened, of those that were kept."""
    config = reference.config
    keys = keys_of(faces, labels, per_condition=config.per_condition)
    members = {key: faces.rows(key, exactly=True) for key in keys}
    mixes = {key: mix_of(faces.labels[rows]) for key, rows in members.items()}
    by_label = [key for key in keys if key.level == "label"]
    smallest = min(min(len(members[key]), len(reference.training_rows(key, mixes[key]))) for key in by_label)
    subset_size = min(config.subset_size, max(smallest, config.fewest))
    drawn: list[dict[str, Any]] = []
    screened: list[dict[str, Any]] = []
    for key in keys:
        sets = [(members[key], drawn)]
        limit = config.faces
        if kept is not None:
            stay = np.intersect1d(members[key], kept, assume_unique=True)
            sets.append((stay, screened))
            limit = len(stay) if len(stay) >= config.fewest else limit
        for rows, into in sets:
            mix = mix_of(faces.labels[rows]) or mixes[key]
            counts = reference.counts(key, mix, len(rows), limit)
            figures = reference.figures(faces, marks, key, rows, mix, subset_size, counts)
            real = reference.real_figures(key, mix, subset_size, counts)
            into.append(as_group(key, figures, real, len(reference.training_rows(key, mix))))
    return drawn, screened if kept is not None else None


def _require_comparable(synthetic: Manifest, real: Manifest, judge: Judge) -> None:
    if not len(synthetic):
        raise FerError(f"{synthetic.path}: expected synthetic faces to measure, found no rows; generate some first")
    nameless = int(synthetic.frame["label"].isna().sum())
    if nameless:
        raise FerError(
            f"{synthetic.path}: expected a label for every synthetic face, found {nameless:,} faces without one; "
            "give the manifest that fer generate wrote"
        )
    require_known(synthetic.frame["label"].tolist(), judge.labels)
    if real.label_set != synthetic.label_set:
        raise FerError(
            f"{real.path}: expected the label set {synthetic.label_set} of the synthetic faces, found "
            f"{real.label_set}; give the manifest that the generator was trained on"
        )


def _require_same(
    reference: Reference, real: Manifest, judge: Judge, config: FidelityConfig, embeddings: Embeddings, size_px: int
) -> None:
    if reference.size_px != size_px:
        raise FerError(
            f"{real.path}: expected a reference to real faces at {size_px} px, as these faces were drawn, found one at "
            f"{reference.size_px} px; make it with read_reference(…, drawn=…), or state size_px"
        )
    same = reference.real.sha256 == real.sha256 and reference.judge is judge and reference.config == config
    if not same or set(reference.training.points) != {JUDGE, GRADIENTS, *embeddings}:
        raise FerError(
            f"{real.path}: expected a reference to these real faces, by this judge, under this configuration, in the "
            "same feature spaces, found another; make it with read_reference(real, judge, config)"
        )


def _kept_rows(synthetic: Manifest, kept: Manifest | None) -> Rows | None:
    if kept is None:
        return None
    place = {name: row for row, name in enumerate(synthetic.frame["sample_id"])}
    rows = [place.get(name, -1) for name in kept.frame["sample_id"]]
    if -1 in rows:
        raise FerError(
            f"{kept.path}: expected faces of {synthetic.path.name}, found "
            f"{kept.frame['sample_id'].iloc[rows.index(-1)]!r}; give what screening kept of these faces"
        )
    return np.sort(np.asarray(rows, dtype=np.int64))


def _named(manifest: Manifest) -> dict[str, Any]:
    return {"path": relative(manifest.path, manifest.root), "sha256": manifest.sha256, "count": len(manifest)}
