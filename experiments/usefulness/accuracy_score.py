"""Classification accuracy score: a classifier that saw synthetic faces only, tested on real ones.

Ravuri & Vinyals, "Classification Accuracy Score for Conditional Generative Models" (NeurIPS 2019). Beside it stands
the same classifier trained on as many real faces of each class.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from experiments.usefulness.design import TrialConfig, require_generated, usable_rows
from experiments.usefulness.figures import describe_judged, tabulate, training_facts
from experiments.usefulness.trials import Rows, run_trials
from experiments.usefulness.yardstick import PLAIN, open_yardstick
from fer_data.errors import FerError
from fer_data.manifest import Manifest
from fer_data.progress import SILENT, Reporter
from generators.training_faces import select_faces

ARMS = ("real", "synthetic")


def classification_accuracy_score(
    synthetic: Manifest, real: Manifest, config: TrialConfig, out: Path, reporter: Reporter = SILENT
) -> dict[str, Any]:
    """Train on synthetic faces only and on as many real ones, test both on the same real held-out faces.

    Of every class both arms get as many faces as the scarcer of the two has, drawn anew for each seed. Real training
    faces with a twin or a group in val or test are left out.

    Args:
        synthetic: generated faces alone, as `fer generate` or `fer screen` wrote them.
        real: its train split is the control, its held-out split judges.
        out: keeps one record a run; the same call again goes on where it was interrupted.

    Returns:
        JSON-able: "training_faces" (label → faces of either arm), "available", "judged", "faces", "scores" and
        "differences" (synthetic less real) as `figures.tabulate` tells them.

    Raises:
        FerError: see `design.require_generated` and `trials.run_trials`; no class has faces of both kinds.
    """
    require_generated(synthetic, real)
    pools = {"real": (real, select_faces(real, 0).rows), "synthetic": (synthetic, usable_rows(synthetic))}
    available = {arm: _counts(*pool) for arm, pool in pools.items()}
    counts = {label: min(available[arm][label] for arm in ARMS) for label in real.labels}
    if not any(counts.values()):
        raise FerError(f"{synthetic.path}: expected faces of a class that {real.path} trains on too, found none")
    yardstick = open_yardstick(real, config, under_conditions=False)
    runs = {
        (arm, seed): [Rows(manifest, draw(manifest, rows, counts, [config.seed, seed]))]
        for seed in config.seeds
        for arm, (manifest, rows) in pools.items()
    }
    judged = run_trials(runs, yardstick, config.classifier(), out, reporter)
    return {
        "kind": "classification_accuracy_score",
        "training_faces": counts,
        "available": available,
        "synthetic_sha256": synthetic.sha256,
        "judged": describe_judged(yardstick, config),
        **training_facts(config),
        **tabulate(judged, [PLAIN], yardstick, config, ARMS, [("synthetic", "real")]),
    }


def draw(manifest: Manifest, rows: NDArray[np.bool_], counts: dict[str, int], seed: list[int]) -> NDArray[np.bool_]:
    """Some of the rows: so many of each label, without replacement; bool over the manifest."""
    labels = manifest.frame["label"].to_numpy(dtype=object)
    drawn = np.zeros(len(rows), dtype=bool)
    for place, (label, count) in enumerate(counts.items()):
        found = np.flatnonzero(rows & (labels == label))
        drawn[np.random.default_rng([*seed, place]).choice(found, count, replace=False)] = True
    return drawn


def _counts(manifest: Manifest, rows: NDArray[np.bool_]) -> dict[str, int]:
    found = pd.Series(manifest.frame["label"].to_numpy(dtype=object)[rows]).value_counts()
    return {label: int(found.get(label, 0)) for label in manifest.labels}
