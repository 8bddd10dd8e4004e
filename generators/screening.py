"""Screen synthetic faces: drop what is broken, what a judge contradicts, what is unlike its class, and what copies.

The judge is a classifier that never saw a synthetic face. Every threshold is learnt from real faces (`thresholds`),
every dropped face is told one reason (`verdicts`).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from fer_data import manifest as manifests
from fer_data import tables
from fer_data.errors import FerError
from fer_data.files import refuse_existing
from fer_data.manifest import Manifest, manifest_path
from fer_data.plans import Key
from fer_data.progress import SILENT, Reporter
from fer_data.project import relative
from generators.checks.copies import look
from generators.checks.real_faces import View
from generators.checks.thresholds import ScreenConfig, Thresholds, fit_thresholds
from generators.checks.verdicts import give_verdicts, look_at, verdict_table
from generators.contract import Judge

__all__ = [
    "ScreenConfig",
    "cell_yield",
    "cells_of",
    "require_same_labels",
    "require_screenable",
    "screen",
    "table_path",
    "view_of",
]


def screen(
    synthetic: Manifest,
    training: Manifest,
    judge: Judge,
    out: str | Path,
    config: ScreenConfig,
    reporter: Reporter = SILENT,
    *,
    earlier: Manifest | None = None,
    thresholds: Thresholds | None = None,
    replace: bool = False,
) -> tuple[Manifest, Path]:
    """Drop faces that are broken, contradicted, unlike their class, or near-copies of a training face or a sample.

    Args:
        synthetic: what `generators.sampling.generate` wrote.
        training: the manifest that the generator was trained on.
        judge: a classifier that saw neither synthetic faces nor, if it is to be quoted, the test split.
        out: the screened manifest; the table lies beside it as `<out>.screening.parquet`.
        earlier: faces that were kept before; near-copies of these are dropped too.
        thresholds: what `generators.checks.thresholds.fit_thresholds` learnt from the same training manifest, judge and
            configuration; None learns it here.

    Returns:
        The manifest of kept rows, and the table of kind "screening", one row per synthetic face: keep, reason,
        judge_label, judge_p, nearest_sample_id, sibling_sample_id, a flag per reason, and the scores blank_score,
        broken_score, label_score, band_score, copy_score and sibling_score in 0..1, low = bad. Its metadata tells the
        yield per cell and the calibration.

    Raises:
        FerError: `out` exists; label sets differ; no faces to screen, or rows that are not synthetic or have no
            label; none to compare with.
    """
    out, _ = require_screenable(synthetic, training, judge, out, replace=replace)
    if thresholds is None:
        thresholds = fit_thresholds(training, judge, cells_of(synthetic), view_of(synthetic, config), config, reporter)
    view = thresholds.real.view
    with reporter.stage("judging synthetic faces", 3) as stage:
        suspects = look_at(synthetic, synthetic.pictures(view.size_px, view.channels), judge)
        stage.advance()
        before = None
        if earlier is not None and len(earlier):
            kept_views = look(earlier.pictures(view.size_px, view.channels), judge.features)
            before = kept_views, earlier.frame["sample_id"].to_numpy(dtype=object)
        stage.advance(note="comparing with training faces")
        table = give_verdicts(synthetic, suspects, thresholds, config, before)
        stage.advance()
    parents = [synthetic, training, *([earlier] if earlier is not None else [])]
    metadata = {
        "configuration": config.model_dump(mode="json"),
        "parents": {relative(parent.path, parent.root): parent.sha256 for parent in parents},
    }
    return _write_screened(synthetic, table, out, metadata, thresholds, replace=replace)


def require_screenable(
    synthetic: Manifest, training: Manifest, judge: Judge, out: str | Path, *, replace: bool = False
) -> tuple[Path, Path]:
    """Check what can be checked before any face is looked at, and tell the manifest and the table to be written.

    Raises:
        FerError: an output exists and `replace` is false; label sets differ; no faces to screen, or rows that are not
            synthetic or have no label.
    """
    out = manifest_path(out)
    for path in (out, table_path(out)):
        refuse_existing(path, replace=replace)
    require_same_labels(synthetic, training, judge)
    _require_synthetic(synthetic)
    return out, table_path(out)


def _write_screened(
    synthetic: Manifest,
    verdicts: pd.DataFrame,
    out: Path,
    metadata: dict[str, Any],
    thresholds: Thresholds,
    *,
    replace: bool,
) -> tuple[Manifest, Path]:
    """Write why each face is kept or dropped, and the manifest of those that are kept."""
    table = table_path(out)
    facts = tables.provenance(
        "screening",
        "fer screen",
        **metadata,
        calibration=thresholds.as_dict(),
        reasons={str(reason): int(count) for reason, count in verdicts["reason"].value_counts().items()},
        cells=cell_yield(cells_of(synthetic), verdicts["keep"]),
    )
    tables.write_table(table, verdict_table(verdicts), facts, replace=replace)
    kept = manifests.write(
        synthetic.frame[verdicts["keep"].to_numpy()].reset_index(drop=True),
        out,
        label_set=synthetic.label_set,
        command="fer screen",
        licence=synthetic.metadata["licence"],
        **metadata,
        replace=replace,
        screening=relative(table, synthetic.root),
    )
    return kept, table


def _require_synthetic(synthetic: Manifest) -> None:
    """Raise FerError where there are no faces to screen, or rows that are none."""
    if not len(synthetic):
        raise FerError(f"{synthetic.path}: expected synthetic faces to screen, found no rows; generate some first")
    others = int(((synthetic.frame["origin"] != "synthetic") | synthetic.frame["label"].isna()).sum())
    if others:
        raise FerError(
            f"{synthetic.path}: expected synthetic faces with a label to screen, found {others} other rows; "
            "give the manifest that fer generate wrote"
        )


def table_path(out: Path) -> Path:
    """Where the screening table of a screened manifest lies."""
    return manifest_path(out).with_suffix(".screening.parquet")


def view_of(synthetic: Manifest, config: ScreenConfig) -> View:
    """How synthetic faces are compared: at their own size where the configuration states none, grey if all are."""
    facts = synthetic.facts(["mode", "width_px"])
    return View(config.size_px or int(facts["width_px"].max()), 1 if (facts["mode"] == "L").all() else 3)


def cells_of(synthetic: Manifest) -> list[Key]:
    """The (label, occlusion, light) that was asked for, face by face; null is unknown."""
    facts = synthetic.facts(["occlusion", "light"]).astype(object)
    facts = facts.where(facts.notna(), None)
    return list(zip(synthetic.frame["label"], facts["occlusion"], facts["light"], strict=True))


def cell_yield(cells: Iterable[Key], keep: Iterable[bool]) -> list[dict[str, Any]]:
    """Faces made and kept per (label, occlusion, light), in order of first appearance."""
    counted: dict[Key, list[int]] = {}
    for cell, kept in zip(cells, keep, strict=True):
        made_kept = counted.setdefault(cell, [0, 0])
        made_kept[0] += 1
        made_kept[1] += bool(kept)
    return [
        {"label": label, "occlusion": occlusion, "light": light, "made": made, "kept": kept}
        for (label, occlusion, light), (made, kept) in counted.items()
    ]


def require_same_labels(synthetic: Manifest, training: Manifest, judge: Judge) -> None:
    """Raise FerError where synthetic faces, training faces and the judge do not share a label set."""
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
