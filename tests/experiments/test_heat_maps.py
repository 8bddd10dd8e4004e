"""Heat maps of an experiment's classifiers, as far as these are on this machine."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from experiments.before_after import finished_parts, run_experiment
from experiments.heat_maps import PER_CLASS, collect_heat_maps
from experiments.settings import ExperimentConfig

TRAIN = {
    "model": "thin_resnet10", "size_px": 16, "steps": 4, "batch_size": 32, "evaluations": 1, "threads": 1,
    "trackers": [],
}  # fmt: skip


@pytest.fixture
def config() -> ExperimentConfig:
    return ExperimentConfig(
        evaluate_on="manifests/faces",
        arms=[{"name": "baseline"}, {"name": "cleaned", "manifest": "manifests/clean"}],
        baseline="baseline",
        primary="cleaned",
        seeds=[3],
        train=TRAIN,
        leaks="score_apart",
        bootstrap=100,
        sheets=4,
    )


def test_before_and_after_are_shown_with_what_they_looked_at(project: Path, config: ExperimentConfig) -> None:
    out = project / "runs/x"
    run_experiment(config, project, out)
    found = collect_heat_maps(finished_parts(config, project, out))
    assert list(found) == ["baseline", "cleaned"]
    for sheets in found.values():
        assert sheets and all(" read " in sheet.title for sheet in sheets)
        # Faces stand in pairs: as they are, and under the map, which changes them.
        pairs = np.concatenate([sheet.images for sheet in sheets]).astype(int)
        assert len(pairs) % 2 == 0 and all(len(sheet.images) <= 2 * PER_CLASS for sheet in sheets)
        assert (pairs[0::2] != pairs[1::2]).any(axis=(1, 2, 3)).all()
    shutil.rmtree(out / "runs" / "baseline-seed3")
    assert list(collect_heat_maps(finished_parts(config, project, out))) == ["cleaned"]
    assert collect_heat_maps(finished_parts(config.model_copy(update={"sheets": 0}), project, out)) == {}
