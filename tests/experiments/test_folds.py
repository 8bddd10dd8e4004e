"""Cross-validation: every face tested with once, nothing that is one in two folds, results over all faces."""

import json
from pathlib import Path

import numpy as np
import pytest

from experiments.before_after import run_experiment
from experiments.folds import write_folds
from experiments.records import unpack
from experiments.settings import ExperimentConfig, FoldsConfig
from fer_data import manifest as manifests
from fer_data.errors import FerError
from fer_data.links import related_groups

TRAIN = {"model": "thin_resnet10", "size_px": 16, "steps": 6, "batch_size": 32, "evaluations": 2, "threads": 1,
         "trackers": []}  # fmt: skip


def config(**changes) -> ExperimentConfig:
    values = {
        "name": "cv",
        "evaluate_on": "manifests/faces",
        "arms": [{"name": "baseline"}, {"name": "all", "make": {"review": {"order": "random"}}}],
        "baseline": "baseline",
        "primary": "all",
        "seeds": [1, 2],
        "train": TRAIN,
        "folds": {"count": 3, "val_share": 0.2},
        "bootstrap": 100,
    }
    return ExperimentConfig(**{**values, **changes})


def test_folds_keep_together_what_is_one_and_labels_even(project: Path) -> None:
    faces = manifests.read(project / "manifests/faces")
    groups = related_groups(faces)
    groups[50] = groups[51] = groups[52]
    grouped = manifests.write(
        faces.frame.assign(group_id=groups), faces.path.with_name("grouped"), label_set="basic7", command="test",
        licence=faces.metadata["licence"],
    )  # fmt: skip
    folds = write_folds(grouped, FoldsConfig(count=3, val_share=0.2), [], "cv")
    tested = np.zeros(len(faces), dtype=int)
    for fold in folds:
        split = fold.frame["split"].to_numpy()
        tested += split == "test"
        for one, other in (("test", "train"), ("test", "val"), ("val", "train")):
            assert not np.isin(groups[split == one], groups[split == other]).any()
        assert abs((split == "val").sum() - 0.2 * (split != "test").sum()) <= 4
        counts = fold.frame.loc[split == "test", "label"].value_counts()
        whole = faces.frame["label"].value_counts()
        assert (abs(counts - whole / 3) <= 2).all()
    assert (tested == 1).all()
    again = write_folds(grouped, FoldsConfig(count=3, val_share=0.2), [], "cv")
    assert [fold.sha256 for fold in again] == [fold.sha256 for fold in folds]
    other = write_folds(grouped, FoldsConfig(count=3, val_share=0.2, seed=1), [], "cv")
    assert {fold.path for fold in other}.isdisjoint({fold.path for fold in folds})


def test_results_are_over_the_faces_of_all_folds(project: Path) -> None:
    out = project / "runs/cv"
    results = json.loads(run_experiment(config(), project, out).read_text())
    faces = manifests.read(project / "manifests/faces")
    assert len(results["folds"]) == 3
    assert sum(fold["test_faces"] for fold in results["folds"]) == len(faces)
    assert results["configuration"]["folds"]["count"] == 3
    assert {view["key"]: view["faces"] for view in results["views"]}["leak_free/given"] == len(faces)
    assert len(results["runs"]) == 2 * 2 * 3
    hits = {}
    for fold, told in enumerate(results["folds"]):
        yardstick = manifests.read(project / told["manifest"])
        test = (yardstick.frame["split"] == "test").to_numpy()
        given = yardstick.frame["label"][test].to_numpy()
        for arm in ("baseline", "all"):
            for seed in (1, 2):
                record = json.loads((out / f"records/fold{fold}/{arm}-seed{seed}.json").read_text())
                predicted = np.array(yardstick.labels)[unpack(record["probabilities"]).argmax(axis=1)]
                hits[arm, seed] = hits.get((arm, seed), 0) + (predicted == given).sum()
    for arm in ("baseline", "all"):
        told = results["scores"]["leak_free/given"][arm]["metrics"]["accuracy"]["per_seed"]
        assert told == pytest.approx([hits[arm, seed] / len(faces) for seed in (1, 2)])
    assert results["leaks"]["test_faces_related_to_train_or_val"] == 0


def test_what_cannot_be_folded_is_refused(project: Path, write_synthetic) -> None:
    faces = manifests.read(project / "manifests/faces")
    with pytest.raises(FerError, match="folds: expected primary, control and mixing to be named"):
        run_experiment(config(primary=None, choose={"primary": ["all"]}), project, project / "runs/cv")
    arms = [{"name": "baseline"}, {"name": "all", "manifest": "manifests/clean"}]
    with pytest.raises(FerError, match="arm all: expected arms that begin with the training faces of each fold"):
        run_experiment(config(arms=arms), project, project / "runs/cv")
    write_synthetic(faces, "both", seen=faces.frame.iloc[10:12])
    with pytest.raises(FerError, match="expected real faces only for cross-validation"):
        run_experiment(config(evaluate_on="manifests/both"), project, project / "runs/cv")
    together = manifests.write(
        faces.frame.assign(group_id=1), faces.path.with_name("one"), label_set="basic7", command="test",
        licence=faces.metadata["licence"],
    )  # fmt: skip
    with pytest.raises(FerError, match="found too few groups"):
        write_folds(together, FoldsConfig(), [], "cv")
